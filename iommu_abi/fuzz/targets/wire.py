"""A case of a walk as bytes: one form for every engine. tests/c/fuzz_case.c reads it too.

All little-endian. What is beyond the end reads as 0, so that any bytes are a case::

    u8 kind (of walk.kinds()), u8 access (0 read, 1 write, 2 execute), u8 flags (1: PASID, 2: privileged),
    u8 address type, u32 rid, u32 pasid, u32 given (bit i: register i is), u64 iova
    u64 for each register of the kind, in the order of walk.registers()
    records of u64 where, u64 value to the end, by the low three bits of where
      1  no memory: from byte value[2:0] of the word on, 1 + value[14:3] bytes
      *  the word at this address; its page of 4 KiB exists, and what it does not say there is 0
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from iommu_abi.schemas import build, plain_walk
from iommu_abi.schemas.format import Step
from iommu_abi.terms import Access, At, Request
from iommu_abi.walk import kinds, registers
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.image import Image
from iommu_abi.worlds.mutate import Case
from iommu_abi.worlds.spaces import PAGE
from iommu_abi.worlds.world import World

HEAD = struct.Struct("<BBBBIIIQ")
RECORD = struct.Struct("<QQ")
ACCESSES = (Access.READ, Access.WRITE, Access.EXEC)
HAS_PASID, PRIV = 1, 2
HOLE = 1
#: Pages of a case, at most.
PAGES = 256


def kind_of(name: str) -> str:
    """The kind of IOMMU of a format."""
    return name.partition("-")[0]


def _whole(data: bytes, kind: str) -> tuple[bytes, bytes, bytes]:
    """Head, registers and records, filled up with zeros."""
    start = HEAD.size + 8 * len(registers(kind))
    padded = data.ljust(start, b"\0")
    records = padded[start:]
    return padded[: HEAD.size], padded[HEAD.size : start], records.ljust(-(-len(records) // 16) * 16, b"\0")


def pieces(data: bytes, kind: str) -> list[bytes]:
    """Head and registers, then each record."""
    head, given, records = _whole(data, kind)
    return [head + given, *(records[at : at + 16] for at in range(0, len(records), 16))]


def words(data: bytes, kind: str) -> set[int]:
    """The addresses of memory that an input gives."""
    found = (RECORD.unpack(record)[0] for record in pieces(data, kind)[1:])
    return {where & ~7 for where in found if where & 7 != HOLE}


# ---------------------------------------------------------------- bytes -> case


def unpack(data: bytes, format_: str) -> Case:
    """The case of any bytes, as one of a format."""
    kind = kind_of(format_)
    head, given, records = _whole(data, kind)
    _, access, flags, at, rid, pasid, mask, iova = HEAD.unpack(head)
    request = Request(
        rid,
        iova,
        pasid if flags & HAS_PASID else None,
        ACCESSES[access % 3],
        bool(flags & PRIV),
        At(at % 3),
    )
    values = struct.unpack(f"<{len(given) // 8}Q", given)
    chosen = {name: values[i] for i, name in enumerate(registers(kind)) if mask >> i & 1}
    memory, holes = _memory(records)
    world = World(format_, kind, chosen, memory, [request])
    image = Image(memory.runs())
    for first, length in holes:
        image.take(first, length)
    return Case(FORMATS[format_].vendor, world, image, Dice(), request, (), dict(chosen))


def _memory(records: bytes) -> tuple[build.Memory, list[tuple[int, int]]]:
    memory, holes, pages = build.Memory(0), [], set[int]()
    for where, value in RECORD.iter_unpack(records):
        address = where & ~7
        if where & 7 == HOLE:
            holes.append((address + (value & 7), 1 + (value >> 3 & PAGE - 1)))
            continue
        pages.add(address // PAGE)
        if len(pages) > PAGES:
            break
        memory.write(address, value.to_bytes(8, "little"))
    return memory, holes


# ---------------------------------------------------------------- case -> bytes


def steps(case: Case, seen: set[int]) -> tuple[Step, ...]:
    """The entries that a request meets in the plain ledger; ``seen`` gets the words that are read."""
    image = case.image

    def read(address: int, length: int) -> bytes | None:
        seen.update(range(address & ~7, address + length, 8))
        return image.read(address, length)

    try:
        refs = plain_walk.translate(case.world.kind, case.registers, read, case.request).refs
    except ValueError:  # a request or register that makes no sense
        return ()
    return tuple((ref, image.read(ref.hpa, ref.len) or b"") for ref in refs)


def pack(case: Case, given: Iterable[int]) -> bytes:
    """The bytes of a case, with those words of ``given`` for which there is a page."""
    kind, request = case.world.kind, case.request
    names = registers(kind)
    mask = sum(1 << i for i, name in enumerate(names) if name in case.registers)
    flags = HAS_PASID * (request.pasid is not None) | PRIV * request.priv
    head = HEAD.pack(
        list(kinds()).index(kind),
        ACCESSES.index(request.access),
        flags,
        request.at,
        request.rid,
        request.pasid or 0,
        mask,
        request.iova,
    )
    values = [case.registers.get(name, 0) for name in names]
    return head + struct.pack(f"<{len(values)}Q", *values) + b"".join(_records(case.image, given))


def _records(image: Image, given: Iterable[int]) -> Iterator[bytes]:
    for address in sorted(set(given)):
        data = image.beneath(address, 8)
        if data is not None:
            yield RECORD.pack(address, int.from_bytes(data, "little"))
    for first, length in image.taken:
        yield RECORD.pack(first & ~7 | HOLE, first & 7 | (length - 1) << 3)
