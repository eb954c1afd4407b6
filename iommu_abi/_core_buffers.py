"""Bytes that C is given: the only place where a Python object's memory becomes a pointer.

What an object says of itself (its ``len()``, its ``nbytes``, its ``id()``) is not believed: the exported
buffer has the number of bytes that count, and is exported for as long as the pointer is in use.
"""

from __future__ import annotations

from typing import Any

from iommu_abi._core import ffi
from iommu_abi.errors import UsageError


def hold(data: Any, what: str, *, writable: bool = False) -> Any:
    """The bytes of a buffer where they lie, as ``unsigned char[]``: ``len()`` counts bytes.

    The object keeps its bytes in place until the result is gone. UsageError for what is no buffer, is not
    contiguous, or with ``writable`` may not be written.
    """
    return _exported("unsigned char[]", data, what, writable)


def _exported(items: str, data: Any, what: str, writable: bool) -> Any:
    try:
        return ffi.from_buffer(items, data, require_writable=writable)
    except (TypeError, ValueError, BufferError) as error:
        kind = "writable buffer" if writable else "buffer"
        raise UsageError(
            f"{what}: got a {type(data).__name__}, expected a contiguous {kind} ({error})"
        ) from None


def address(held: Any) -> int:
    """Where the bytes of :func:`hold` begin."""
    return int(ffi.cast("uintptr_t", held))


def rows(item: str, data: Any, what: str) -> Any:
    """A writable buffer as an array of C structs or integers, as many as fit into it."""
    held = _exported(f"{item}[]", data, what, writable=True)
    align = ffi.alignof(item)
    if address(held) % align:
        raise UsageError(f"{what}: it begins at {address(held):#x}, expected a multiple of {align}")
    return held
