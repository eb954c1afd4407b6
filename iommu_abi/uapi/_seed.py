"""What ``pasid_table_info`` has beyond its layout: the rules of the C core, and speed.

``unpack()`` of bytes costs hardly more than ctypes alone, because the core checks them where they
lie; ``unpack_many()`` takes a run of blobs into two arrays without an object for each.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from iommu_abi import _core_errors as core_errors
from iommu_abi._core import ffi, lib
from iommu_abi._core_buffers import hold, rows
from iommu_abi.errors import AbiError
from iommu_abi.uapi import layout as _layout
from iommu_abi.uapi.types import Buffer

#: enum iommu_abi_generation; generations without a pasid_table_info have no number in C
C_GENERATIONS = {"rfc2017": lib.IOMMU_ABI_RFC2017, "v1_2017": lib.IOMMU_ABI_V1_2017}
STRUCT = "pasid_table_info"
HEAD = 24
MOST_LENGTHS = 256  # that have a short cut
_A_MODEL_OF_BOTH = 1


@dataclass(frozen=True, slots=True)
class Blobs:
    """Blobs that lie one behind the other: header i, and where in the buffer its opaque bytes begin.

    Both are ctypes arrays, so ``numpy.frombuffer`` and ``memoryview`` read them without a copy.
    """

    heads: Any
    offsets: Any

    def __len__(self) -> int:
        return len(self.heads)


def check(gen: int, data: Buffer, strict: bool) -> None:
    """AbiError if the blob breaks a rule. Not strict: unknown models and trailing bytes pass."""
    if strict:
        _validate(gen, data)
        return
    known = bytearray(ffi.buffer(hold(data, STRUCT)))
    if len(known) >= HEAD:
        known[16:20] = _A_MODEL_OF_BOTH.to_bytes(4, "little" if _layout.host().order == "<" else "big")
    try:
        _validate(gen, known)
    except AbiError as error:
        if error.rule.name != f"{STRUCT}.trailing":
            raise


def _validate(gen: int, data: Buffer) -> None:
    view = hold(data, STRUCT)
    err = ffi.new("struct iommu_abi_error *")
    if lib.iommu_abi_pasid_table_info_validate(gen, view, len(view), err):
        raise core_errors.abi_error(err, STRUCT)


def request(info: Buffer) -> Any:
    """A request to bind as C takes it: a ``struct pasid_table_info *`` whose tail is there.

    AbiError for one that is shorter than it says. The pointer owns a copy, which nobody can change between
    this check and its use. What else is wrong with the request is the driver's to say.
    """
    copy = bytearray(ffi.buffer(hold(info, STRUCT)))
    check(lib.IOMMU_ABI_V1_2017, copy, strict=False)
    return ffi.from_buffer("struct pasid_table_info *", copy)


def checker(made: _layout.Layout, gen: str) -> Callable[[Buffer, bool], None] | None:
    """:func:`check`, if this is the seed's struct."""
    return partial(check, C_GENERATIONS[gen]) if made.record.tag == STRUCT else None


def make_fast(found: Mapping[str, Any], gen: str) -> None:
    """Give the class among those of a generation its quick ``unpack`` and ``unpack_many``."""
    cls = found.get(STRUCT)
    if cls is None:
        return
    cls.unpack = staticmethod(_unpack(cls, getattr(lib, f"iommu_abi_py_valid_size_{gen}")))
    cls.unpack_many = staticmethod(_unpack_many(cls, C_GENERATIONS[gen]))


def _unpack(cls: Any, valid_size: Callable[[bytes], int]) -> Callable[..., Any]:
    """The class's own unpack, with a short cut for bytes that break no rule."""
    thorough = cls.unpack
    copies: dict[int, Callable[[bytes], Any]] = {}  # by the length of the blob, a header's at least

    def unpack(data: Buffer, *, strict: bool = True) -> Any:
        if strict and type(data) is bytes:
            n = len(data)
            if n in copies and valid_size(data) == n:
                return copies[n](data)
        made = thorough(data, strict=strict)
        if len(copies) < MOST_LENGTHS:
            copies[ctypes.sizeof(made)] = type(made).from_buffer_copy
        return made

    unpack.__doc__ = thorough.__doc__
    return unpack


def _unpack_many(cls: Any, gen: int) -> Callable[..., Blobs]:
    head = cls._head_class

    def unpack_many(data: Buffer, into: Blobs | None = None) -> Blobs:
        """Blobs one behind the other, each checked; AbiError names the first that breaks a rule.

        The error's offset counts from the start of ``data``. ``into``: arrays to use again.
        """
        view = hold(data, STRUCT)
        most = len(view) // HEAD
        # not ctypes arrays, which would touch every page of what may not be needed
        heads = into.heads if into else bytearray(HEAD * most)
        offsets = into.offsets if into else bytearray(8 * most)
        to_heads = rows("struct pasid_table_info", heads, "into.heads")
        to_offsets = rows("__u64", offsets, "into.offsets")
        room = min(len(to_heads), len(to_offsets))
        err, n = ffi.new("struct iommu_abi_error *"), ffi.new("size_t *")
        if lib.iommu_abi_pasid_table_info_unpack_many(
            gen, view, len(view), room, err, to_heads, to_offsets, n
        ):
            raise core_errors.abi_error(err, f"{STRUCT}[{n[0]}]")
        return Blobs((head * n[0]).from_buffer(heads), (ctypes.c_uint64 * n[0]).from_buffer(offsets))

    return unpack_many
