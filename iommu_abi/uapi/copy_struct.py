"""``copy_struct_from_user()`` from Python: ``cdefs/iommu_abi/copy_struct.h``."""

from __future__ import annotations

from iommu_abi._core import ffi, lib
from iommu_abi._core_buffers import hold
from iommu_abi._core_errors import abi_error


def copy_struct_from_user(data: bytes, ksize: int, where: str = "") -> bytes:
    """The ``ksize`` bytes that a kernel gets from a caller's struct, continued with zeros.

    AbiError, with ``where`` as the struct's name, if a byte that the kernel does not know is not 0.
    """
    held = hold(data, where or "struct")
    room = ffi.new("unsigned char[]", ksize)
    err = ffi.new("struct iommu_abi_error *")
    if lib.iommu_abi_copy_struct_from_user(room, ksize, held, len(held), err):
        raise abi_error(err, where)
    return bytes(ffi.buffer(room, ksize))
