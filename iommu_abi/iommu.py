"""The seed's kernel API: domains, devices, drivers' hooks, bind and unbind.

The core is C and does what the patch does; drivers may be Python (subclasses of
:class:`IommuOps`) or C (a ``const struct iommu_ops *``). Either is reached through the same two
functions, so that a C program's call arrives in a Python hook and the other way round. An exception
of a Python hook crosses C and arrives at the caller as it was raised.
"""

from __future__ import annotations

import errno
import threading
from typing import Any

from iommu_abi._core import ffi, lib
from iommu_abi._core_errors import abi_error
from iommu_abi._core_errors import broken as core_broken
from iommu_abi.errors import UsageError, errno_name

_pending = threading.local()  # the exception that is crossing C in this thread


class Device:
    """A device by its requester ID, and which PCIe capabilities are on: PASID, ATS, PRI."""

    def __init__(self, rid: int, *, pasid: bool = True, ats: bool = False, pri: bool = False) -> None:
        self.rid, self.pasid, self.ats, self.pri = rid, pasid, ats, pri
        self._handle = ffi.new_handle(self)
        self.c = ffi.cast("struct device *", self._handle)

    def __repr__(self) -> str:
        return f"Device({self.rid >> 8:02x}:{self.rid >> 3 & 31:02x}.{self.rid & 7})"


class IommuOps:
    """A driver. A hook returns nothing, and raises an OSError to refuse.

    A hook that is not overridden is not set, so that the core's own -EINVAL stays the core's.
    """

    def bind_pasid_table(self, domain: Domain, dev: Device, info: Any) -> None:
        """Install a guest's PASID table; ``info`` is a ``uapi.v1_2017.pasid_table_info``."""
        raise NotImplementedError

    def unbind_pasid_table(self, domain: Domain, dev: Device) -> None:
        """Take it away and restore what was there before."""
        raise NotImplementedError


class Domain:
    """An address space that a driver manages; owns its C ``struct iommu_domain``.

    ``ops`` is an :class:`IommuOps`, or a ``const struct iommu_ops *`` as a cffi pointer or an
    address. Calls for one domain must not run at the same time.
    """

    def __init__(self, ops: IommuOps | Any) -> None:
        self.ops = ops
        self._handle = ffi.new_handle(self)
        if isinstance(ops, IommuOps):
            self._c_ops = ffi.new("struct iommu_ops *")
            if type(ops).bind_pasid_table is not IommuOps.bind_pasid_table:
                self._c_ops.bind_pasid_table = lib.iommu_abi_py_bind
            if type(ops).unbind_pasid_table is not IommuOps.unbind_pasid_table:
                self._c_ops.unbind_pasid_table = lib.iommu_abi_py_unbind
        else:
            self._c_ops = _c_ops(ops)
        self.c = ffi.new("struct iommu_domain *", {"ops": self._c_ops, "priv": self._handle})

    def bind_pasid_table(self, dev: Device, info: Any) -> None:
        """iommu_bind_pasid_table(): OSError with the driver's errno if it refuses.

        ``info`` is a pasid_table_info or its bytes; AbiError, before the driver is asked, if those are fewer
        than it says.
        """
        _call(lib.iommu_bind_pasid_table, self.c, dev.c, _request(info))

    def unbind_pasid_table(self, dev: Device) -> None:
        """iommu_unbind_pasid_table()."""
        _call(lib.iommu_unbind_pasid_table, self.c, dev.c)


def _c_ops(ops: Any) -> Any:
    """Hooks in C. What an address points to cannot be checked: the caller answers for it."""
    if not isinstance(ops, (int, ffi.CData)) or isinstance(ops, bool):
        raise UsageError(f"ops: got a {type(ops).__name__}, expected an IommuOps or a struct iommu_ops *")
    made = ffi.cast("const struct iommu_ops *", ops)
    if made == ffi.NULL:
        raise UsageError("ops: got NULL, expected an IommuOps or a struct iommu_ops *")
    return made


def _request(info: Any) -> Any:
    """A ``struct pasid_table_info *`` of which C may read all that its length says."""
    from iommu_abi.uapi import _seed

    return _seed.request(info)


def _call(function: Any, *args: Any) -> None:
    _pending.exception = None
    rc = function(*args)
    exception, _pending.exception = _pending.exception, None
    if exception is not None:
        raise exception
    if rc < 0:
        raise OSError(-rc, f"the driver refused ({errno_name(-rc)})")


def _guard(hook: Any, *args: Any) -> int:
    """Run a Python hook for C: 0, or -errno with the exception kept for the caller in Python."""
    try:
        hook(*args)
    except OSError as error:
        _pending.exception = error
        return -(error.errno or errno.EINVAL)
    except BaseException as error:  # a bug in a hook must not vanish in C
        _pending.exception = error
        return -errno.EIO
    return 0


def _device(c_dev: Any) -> Device | None:
    return None if c_dev == ffi.NULL else ffi.from_handle(ffi.cast("void *", c_dev))


@ffi.def_extern(error=-errno.EIO)  # type: ignore[untyped-decorator]
def iommu_abi_py_bind(c_domain: Any, c_dev: Any, c_info: Any) -> int:
    """C -> Python: the bind hook of a Domain's ops."""
    domain = ffi.from_handle(c_domain.priv)
    blob = ffi.buffer(c_info, ffi.sizeof("struct pasid_table_info") + c_info.length)
    # the hook checks the request; here it only gets its type
    from iommu_abi.uapi import v1_2017

    info = v1_2017.pasid_table_info.unpack(blob, strict=False)
    return _guard(domain.ops.bind_pasid_table, domain, _device(c_dev), info)


@ffi.def_extern(error=-errno.EIO)  # type: ignore[untyped-decorator]
def iommu_abi_py_unbind(c_domain: Any, c_dev: Any) -> int:
    """C -> Python: the unbind hook of a Domain's ops."""
    domain = ffi.from_handle(c_domain.priv)
    return _guard(domain.ops.unbind_pasid_table, domain, _device(c_dev))


def check_bind(info: Any, *, model: int, ptr_align: int, ptr_last: int, size_min: int, size_host: int,
               vtd_flags: int = 0, vtd_pat: bool = False) -> None:  # fmt: skip
    """The checks that every driver makes on a request to bind (iommu_abi_bind_check()).

    AbiError with the broken rule. Addresses and sizes in bytes.
    """
    limits = ffi.new("struct iommu_abi_bind_limits *",
                     (model, ptr_align, ptr_last, size_min, size_host, vtd_flags, vtd_pat))  # fmt: skip
    err = ffi.new("struct iommu_abi_error *")
    if lib.iommu_abi_bind_check(limits, _request(info), err):
        raise abi_error(err, "pasid_table_info")


def broken(rule: str, where: str, got: int | None = None, want: int = 0) -> OSError:
    """The exception for a rule that a driver checks itself, by the rule's name."""
    return core_broken(rule, where, got, want)
