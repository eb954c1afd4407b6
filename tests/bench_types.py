"""Speed of `pasid_table_info` in Python, beside what else reads such blobs; `make bench` runs this.

Every contender's values are checked first.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable
from typing import Any

import construct
from bench_support import Goal, rounds, show

from iommu_abi.uapi import v1_2017

ROUNDS, CALLS, BULK = 15, 4000, 1_000_000
VALUES = (0x4000_5000, 4096, 1, 16)
OPAQUE = bytes(range(16))
INFO = v1_2017.pasid_table_info
BLOB = struct.pack("=QQII", *VALUES) + OPAQUE
NAMES = ("ptr", "size", "model", "length")


class Head(ctypes.Structure):
    """The header as anybody would write it."""

    _fields_ = [("ptr", ctypes.c_uint64), ("size", ctypes.c_uint64), ("model", ctypes.c_uint32),
                ("length", ctypes.c_uint32)]  # fmt: skip


SIZED: dict[int, Any] = {}


def bare(blob: bytes) -> Any:
    """Bare ctypes: read the header, take the class of that size, copy. Nothing is checked."""
    n = Head.from_buffer_copy(blob).length
    made = SIZED.get(n)
    if made is None:
        fields = [*Head._fields_, ("opaque", ctypes.c_uint8 * n)]
        made = SIZED[n] = type("Sized", (ctypes.Structure,), {"_fields_": fields})
    return made.from_buffer_copy(blob)


SCHEMA = construct.Struct(
    "ptr" / construct.Int64un, "size" / construct.Int64un, "model" / construct.Int32un,
    "length" / construct.Int32un, "opaque" / construct.Bytes(construct.this.length),
)  # fmt: skip
CSTRUCT = "struct info { uint64 ptr; uint64 size; uint32 model; uint32 length; uint8 opaque[length]; };"


def contenders() -> dict[str, Callable[[bytes], Any]]:
    """Who unpacks one blob to an object with attributes."""
    from dissect.cstruct import cstruct

    return {
        "iommu_abi": INFO.unpack,
        "bare ctypes, unchecked": bare,
        "construct, compiled": SCHEMA.compile().parse,
        "construct": SCHEMA.parse,
        "dissect.cstruct": cstruct().load(CSTRUCT).info,
    }


def single() -> dict[str, float]:
    """Nanoseconds per unpacked blob."""
    works = {}
    for name, unpack in contenders().items():
        made = unpack(BLOB)
        assert tuple(getattr(made, field) for field in NAMES) == VALUES, name
        assert bytes(made.opaque) == OPAQUE, name
        works[name] = lambda unpack=unpack: [unpack(BLOB) for _ in range(CALLS)]
    return {name: took / CALLS * 1e9 for name, took in rounds(works, ROUNDS).items()}


def attributes() -> dict[str, float]:
    """Nanoseconds of an assignment that is checked, and of a read against one of bare ctypes."""
    ours, theirs = INFO.unpack(BLOB), bare(BLOB)

    def assign() -> None:
        for _ in range(CALLS):
            ours.ptr = 5

    works: dict[str, Callable[[], object]] = {
        "assign": assign,
        "read": lambda: [ours.ptr for _ in range(CALLS)],
        "bare read": lambda: [theirs.ptr for _ in range(CALLS)],
    }
    return {name: took / CALLS * 1e9 for name, took in rounds(works, ROUNDS).items()}


def struct_loop(blobs: bytes) -> list[tuple[int, ...]]:
    """What a program without any library does."""
    unpack, at, found = struct.Struct("=QQII").unpack_from, 0, []
    while at < len(blobs):
        values = unpack(blobs, at)
        found.append((*values, at + 24))
        at += 24 + values[3]
    return found


def bulk() -> dict[str, float]:
    """Milliseconds for a million blobs of 24 to 56 bytes; memory that was used before, as for memcpy."""
    few = [struct.pack("=QQII", i << 12, 4096, i & 1, i % 5 * 8) + bytes(i % 5 * 8) for i in range(1000)]
    blobs = b"".join(few) * (BULK // len(few))
    copy = bytearray(len(blobs))
    target = (ctypes.c_char * len(copy)).from_buffer(copy)
    arrays = INFO.unpack_many(blobs)
    expected = struct_loop(blobs)
    found = zip(arrays.heads[-1000:], arrays.offsets[-1000:], strict=True)
    assert len(arrays) == BULK
    assert [(h.ptr, h.size, h.model, h.length, at) for h, at in found] == expected[-1000:]
    fast = rounds(
        {
            "memcpy": lambda: ctypes.memmove(target, blobs, len(blobs)),
            "unpack_many": lambda: INFO.unpack_many(blobs, into=arrays),
        },
        ROUNDS,
    )
    slow = rounds({"struct loop": lambda: struct_loop(blobs)}, 3)
    return {name: took * 1e3 for name, took in (fast | slow).items()}


def main() -> int:
    """Print the figures beside their targets."""
    one, many, access = single(), bulk(), attributes()
    ours = one["iommu_abi"]
    targets = [Goal(*each) for each in (
        ("unpack and validate, of bare ctypes", ours / one["bare ctypes, unchecked"], "at most", 1.3),
        ("construct compiled, of ours", one["construct, compiled"] / ours, "at least", 6),
        ("construct, of ours", one["construct"] / ours, "at least", 25),
        ("dissect.cstruct, of ours", one["dissect.cstruct"] / ours, "at least", 12),
        ("a read, of bare ctypes", access["read"] / access["bare read"], "at most", 1.1),
        ("checked assignment, ns", access["assign"], "at most", 450),
        ("unpack_many, of memcpy", many["unpack_many"] / many["memcpy"], "at most", 2),
        ("struct loop, of unpack_many", many["struct loop"] / many["unpack_many"], "at least", 80),
    )]  # fmt: skip
    show("pasid_table_info in Python", targets)
    times = {name: f"{ns:.0f} ns" for name, ns in one.items()} | {k: f"{v:.1f} ms" for k, v in many.items()}
    print(", ".join(f"{name} {value}" for name, value in times.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
