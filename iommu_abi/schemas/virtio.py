"""virtio-iommu on the wire: requests, properties and fault reports, in construct.

Source: Virtual I/O Device (VIRTIO) 1.2, 5.13 "IOMMU Device", 5.13.6 "Device operations". All numbers
are little-endian. A request has two parts: what the device reads, which begins with a head, and what it
writes, which ends with a tail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import construct  # type: ignore[import-untyped]

U8, U32, U64 = construct.Int8ul, construct.Int32ul, construct.Int64ul


def _reserved(size: int, name: str = "reserved") -> Any:
    return name / construct.Default(construct.Bytes(size), bytes(size))


HEAD = construct.Struct("type" / U8, _reserved(3))
TAIL = construct.Struct("status" / U8, _reserved(3))

ATTACH = construct.Struct("head" / HEAD, "domain" / U32, "endpoint" / U32, "flags" / U32, _reserved(4))
DETACH = construct.Struct("head" / HEAD, "domain" / U32, "endpoint" / U32, _reserved(8))
MAP = construct.Struct(
    "head" / HEAD,
    "domain" / U32,
    "virt_start" / U64,
    "virt_end" / U64 * "the last address, not the one after it",
    "phys_start" / U64,
    "flags" / U32,
)
UNMAP = construct.Struct(
    "head" / HEAD, "domain" / U32, "virt_start" / U64, "virt_end" / U64 * "the last address", _reserved(4)
)
PROBE = construct.Struct("head" / HEAD, "endpoint" / U32, _reserved(64))

#: What the device reads of a request, by its name.
REQUESTS: Mapping[str, Any] = {
    "ATTACH": ATTACH, "DETACH": DETACH, "MAP": MAP, "UNMAP": UNMAP, "PROBE": PROBE,
}  # fmt: skip

TAIL_SIZE = TAIL.sizeof()

T_RESV_MEM = 1
FAULT_F_READ, FAULT_F_WRITE, FAULT_F_EXEC, FAULT_F_ADDRESS = 1 << 0, 1 << 1, 1 << 2, 1 << 8

#: The head of a property. ``type`` has 12 bits, the 4 above them are reserved; ``length`` is without it.
PROPERTY = construct.Struct("type" / construct.Int16ul, "length" / construct.Int16ul)
RESV_MEM = construct.Struct(
    "head" / PROPERTY, "subtype" / U8, _reserved(3), "start" / U64, "end" / U64 * "the last address"
)

FAULT = construct.Struct(
    "reason" / U8,
    _reserved(3),
    "flags" / U32,
    "endpoint" / U32,
    _reserved(4, "reserved1"),
    "address" / U64,
)
