"""Every struct of every generation on every ABI: the layout that the C headers have against the schemas.

The fast side reads numbers at the offsets that the compiler's headers give (on this machine they are held
against the compiler when a generation is loaded, and ctypes reads them too); the plain side is construct.
What is packed on one ABI must mean the same on another.
"""

from __future__ import annotations

import struct as binary
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from operator import attrgetter, getitem
from typing import Any

from iommu_abi import uapi as fast
from iommu_abi.errors import AbiError, UsageError
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome, Problem, blank
from iommu_abi.schemas import uapi as plain
from iommu_abi.schemas.uapi.blobs import build, parse
from iommu_abi.uapi._generation import check_size
from iommu_abi.uapi.layout import Array, Enum, Field, Layout, Pointer, Scalar, host, layout
from iommu_abi.uapi.layout import abi as fast_abi
from iommu_abi.worlds.dice import Dice

STRUCTS = tuple((name, each.name) for each in plain.GENERATIONS.values() for name in each.structs)
ABIS = tuple(plain.ABIS)
#: u16 struct, u8 ABI that reads, u8 ABI to which the values go; then the blob.
HEAD = binary.Struct("<HBB")


@cache
def _layout(name: str, generation: str, abi: str) -> Layout:
    return layout(fast.declarations(generation).records[name], fast_abi(abi))


class Layouts(FuzzTarget):
    """All of them."""

    name = "layouts"
    about = f"{len(STRUCTS)} structs of all generations on {len(ABIS)} ABIs: C headers and plain ledger"

    def seeds(self, dice: Dice) -> Iterator[bytes]:
        """A blob of each struct, of zeros and of other bytes."""
        for i, (name, generation) in enumerate(STRUCTS):
            size = plain.layout(plain.get(name, generation), plain.abi("x86_64")).size
            yield HEAD.pack(i, ABIS.index("x86_64"), dice.randrange(len(ABIS))) + bytes(size)
            yield HEAD.pack(i, dice.randrange(len(ABIS)), dice.randrange(len(ABIS))) + dice.randbytes(size)

    def fresh(self, dice: Dice) -> bytes:
        """Any struct on any ABI, mostly of its size."""
        i, abi = dice.randrange(len(STRUCTS)), dice.randrange(len(ABIS))
        size = plain.layout(plain.get(*STRUCTS[i]), plain.abi(ABIS[abi])).size
        if dice.chance(0.2):
            size = dice.randrange(size + 10)
        body = dice.randbytes(size) if dice.chance(0.7) else bytes(size)
        return HEAD.pack(i, abi, dice.randrange(len(ABIS))) + body

    def run(self, data: bytes) -> Outcome:
        """Read both ways, write back, write elsewhere."""
        number, reads, writes = HEAD.unpack(data[: HEAD.size].ljust(HEAD.size, b"\0"))
        name, generation = STRUCTS[number % len(STRUCTS)]
        abi, other = ABIS[reads % len(ABIS)], ABIS[writes % len(ABIS)]
        body = data[HEAD.size :]
        made = plain.get(name, generation)
        what = f"{name}@{generation}"
        refused, parsed = None, None
        try:
            parsed = parse(made, body, plain.abi(abi))
        except AbiError as error:
            refused = error
        problems = list(_verdicts(name, generation, body, refused)) if abi == host().name else []
        features = [f"{what} {refused.rule.name.rpartition('.')[2] if refused else 'accepted'}"]
        if refused is None:
            features.append(f"{what} on {abi}")
            problems += _values(name, generation, abi, body, parsed)
            problems += _round(made, abi, body, parsed)
            problems += _elsewhere(made, abi, other, parsed)
        problem = Problem(f"{what}: {blank(problems[0])}", "\n".join(problems)) if problems else None
        return Outcome(tuple(features), problem)

    def known(self) -> Mapping[str, str | None]:
        """Each struct, accepted."""
        return {f"{name}@{generation} accepted": None for name, generation in STRUCTS}

    def show(self, data: bytes) -> list[str]:
        """Which struct, on which ABIs; the bytes."""
        number, reads, writes = HEAD.unpack(data[: HEAD.size].ljust(HEAD.size, b"\0"))
        name, generation = STRUCTS[number % len(STRUCTS)]
        abis = f"read on {ABIS[reads % len(ABIS)]}, written on {ABIS[writes % len(ABIS)]}"
        return [f"{name}@{generation}, {abis}", *super().show(data[HEAD.size :])]

    def pieces(self, data: bytes) -> list[bytes]:
        """What chooses, and the bytes of the blob."""
        return [data[: HEAD.size], *super().pieces(data[HEAD.size :])[1:]]


# ---------------------------------------------------------------- the fast side


def _number(f: Field, size: int, scalar: Any, raw: bytes, order: str) -> int:
    order = getattr(scalar, "byteorder", None) or order
    return int.from_bytes(raw, order, signed=getattr(scalar, "signed", False))  # type: ignore[arg-type]


def _read(made: Layout, f: Field, data: bytes) -> Any:
    """A field as the layout engine places it."""
    order = made.abi.byteorder
    if f.bits is not None:
        first = (f.bit_offset or 0) % 8
        shift = first if order == "little" else 8 - first - f.bits
        return data[f.offset] >> shift & (1 << f.bits) - 1
    raw = data[f.offset : f.offset + f.size]
    if isinstance(f.type, Array):
        assert isinstance(f.type.item, Scalar)
        step = f.type.item.size
        if step == 1:
            return raw
        return [_number(f, step, f.type.item, raw[at : at + step], order) for at in range(0, len(raw), step)]
    assert isinstance(f.type, (Scalar, Enum, Pointer))
    return _number(f, f.size, f.type, raw, order)


def _plain_value(value: Any) -> Any:
    return value if isinstance(value, (int, bytes)) else list(value)


def _values(name: str, generation: str, abi: str, data: bytes, parsed: Any) -> Iterator[str]:
    """Every field of both sides; on this machine ctypes' as well."""
    made = _layout(name, generation, abi)
    tail = made.record.flexible
    fields = [f for f in made.fields if not (tail and f.name == tail.name)]
    mine = None
    if abi == host().name:
        mine = getattr(fast.generation(generation), name).unpack(data, strict=False)
    for f in fields:
        there, here = _plain_value(reduce(getitem, f.name.split("."), parsed)), _read(made, f, data)
        if there != here:
            yield f"{f.name} on {abi}: layout {here!r}, plain {there!r}"
        if mine is not None:
            value = attrgetter(f.name)(mine)
            if not isinstance(value, int):
                value = bytes(value) if isinstance(here, bytes) else list(value)
            if value != here:
                yield f"{f.name}: ctypes {value!r}, plain {there!r}"


def _verdicts(name: str, generation: str, data: bytes, refused: AbiError | None) -> Iterator[str]:
    """Whether ctypes takes a blob that the schemas take."""
    try:
        check_size(_layout(name, generation, host().name), data, strict=True)
    except AbiError as error:
        if refused is None:
            yield f"ctypes refuses, the schema does not: {error}"
        elif error.offset != refused.offset and "truncated" in refused.rule.name:
            yield f"ctypes says offset {error.offset}, the schema {refused.offset}"
        return
    if refused is not None:
        yield f"the schema refuses, ctypes does not: {refused}"


# ---------------------------------------------------------------- writing


def _round(made: plain.Struct, abi: str, data: bytes, parsed: Any) -> Iterator[str]:
    """Written again: the same bytes, but for holes."""
    on = plain.abi(abi)
    size = plain.layout(made, on).size
    used = bytearray(size)
    for leaf in plain.leaves(made, on):
        bit = isinstance(leaf.field.type, plain.Integer) and leaf.field.type.kind == "bit"
        mask = (1 if on.order == "<" else 0x80) if bit else 0xFF
        for at in range(leaf.offset, leaf.offset + leaf.size):
            used[at] |= mask
    expected = bytes(byte & mask for byte, mask in zip(data, used)) + data[size:]
    if build(made, parsed, on) != expected:
        yield f"written again on {abi}: other bytes"


def _elsewhere(made: plain.Struct, abi: str, other: str, parsed: Any) -> Iterator[str]:
    """Written on another ABI and read there: the same values, if they fit.

    All members of a union at once only have a meaning where their bytes are the same on both.
    """
    here, there = plain.abi(abi), plain.abi(other)
    if _has_union(made) and (here.order, _places(made, abi)) != (there.order, _places(made, other)):
        return
    try:
        moved = build(made, parsed, there)
    except UsageError as error:
        if (here.pointer, here.enum) <= (there.pointer, there.enum):
            yield f"cannot be written on {other}: {error}"
        return
    again = parse(made, moved, there)
    if again != parsed:
        yield f"packed on {abi}, unpacked on {other}: other values"


@cache
def _places(made: plain.Struct, abi: str) -> tuple[tuple[str, int, int], ...]:
    return tuple((leaf.path, leaf.offset, leaf.size) for leaf in plain.leaves(made, plain.abi(abi)))


@cache
def _has_union(made: plain.Struct) -> bool:
    inner = [each.type for each in made.fields if isinstance(each.type, plain.Struct)]
    return made.union or any(map(_has_union, inner))


TARGETS: tuple[FuzzTarget, ...] = (Layouts(),)
