"""Blobs of ``struct pasid_table_info``: valid ones, ones that break one rule, and any.

The rules are those of docs/rules.md. :func:`breaks` tests every one of them by itself, without the
order in which the ledgers check: so it can say that a blob breaks a rule *alone*.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from iommu_abi import uapi
from iommu_abi.errors import AbiError
from iommu_abi.schemas import pasid_table_info as schema
from iommu_abi.uapi import payload as payloads
from iommu_abi.worlds.dice import Dice

ORDER = "<" if sys.byteorder == "little" else ">"
HEAD = 24
#: Generation -> model -> the payload's name.
GENERATIONS: Mapping[str, Mapping[int, str]] = {
    "v1_2017": {0: "vtd", 1: "smmuv3"},
    "rfc2017": {1: "vtd", 2: "smmuv3"},
}
SIZES = {"vtd": 16, "smmuv3": 8}
EMTE = 1 << 8


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes, and what they were made for. ``before`` are the valid ones they came from."""

    generation: str
    payload: str
    before: bytes
    data: bytes
    rule: str | None = None


def _u32(data: bytes, offset: int) -> int:
    return int(struct.unpack_from(ORDER + "I", data, offset)[0])


def _put(data: bytes, offset: int, value: int) -> bytes:
    """The same with another 32-bit number."""
    return data[:offset] + struct.pack(ORDER + "I", value) + data[offset + 4 :]


def _opaque(data: bytes, opaque: bytes) -> bytes:
    """The same with another tail, and the length of it."""
    return _put(data[:HEAD], 20, len(opaque)) + opaque


# ---------------------------------------------------------------- valid blobs


def _payload(dice: Dice, name: str, emte: bool | None) -> bytes:
    if name == "smmuv3":
        return struct.pack(ORDER + "IBBxx", 1, dice.randrange(3), dice.randrange(3))
    flags = dice.getrandbits(9)
    if emte is not None:
        flags = flags & ~EMTE | EMTE * emte
    pat = dice.getrandbits(32) & 0x7777_7777
    return struct.pack(ORDER + "IIII", 1, flags, pat, dice.getrandbits(3) if flags & EMTE else 0)


def valid(dice: Dice, generation: str, name: str, *, full: bool = False, emte: bool | None = None) -> Blob:
    """A blob that breaks no rule. ``full``: with a payload; ``emte``: with that flag, or without."""
    model = next(number for number, each in GENERATIONS[generation].items() if each == name)
    opaque = b""
    if full or dice.chance(0.7):
        opaque = _payload(dice, name, emte) + bytes(dice.pick((0, 0, 1, dice.randrange(40))))
    head = struct.pack(ORDER + "QQII", dice.number(64), dice.number(64), model, len(opaque))
    return Blob(generation, name, head + opaque, head + opaque)


# ---------------------------------------------------------------- one rule broken


def _truncated(dice: Dice, b: Blob) -> bytes:
    return b.data[: dice.randrange(HEAD)]


def _model(dice: Dice, b: Blob) -> bytes:
    while True:
        model = dice.pick((0, 2, 3, dice.number(32)))
        if model not in GENERATIONS[b.generation]:
            return _put(b.data, 16, model)


def _length(dice: Dice, b: Blob) -> bytes:
    follow = len(b.data) - HEAD
    return _put(b.data, 20, dice.pick((follow + 1, 0xFFFF_FFFF, dice.randrange(follow + 1, 1 << 32))))


def _trailing(dice: Dice, b: Blob) -> bytes:
    if len(b.data) > HEAD and dice.chance(0.3):
        return _put(b.data, 20, 0)  # an empty payload is valid
    return b.data + dice.randbytes(dice.randrange(1, 40))


def _payload_truncated(dice: Dice, b: Blob) -> bytes:
    return _opaque(b.data, b.data[HEAD : HEAD + dice.randrange(1, SIZES[b.payload])])


def _version(dice: Dice, b: Blob) -> bytes:
    return _put(b.data, HEAD, dice.pick((0, 2, dice.randrange(2, 1 << 32))))


def _flags(dice: Dice, b: Blob) -> bytes:
    return _put(b.data, HEAD + 4, _u32(b.data, HEAD + 4) | (dice.number(23) or 1) << 9)


def _pat(dice: Dice, b: Blob) -> bytes:
    bits = dice.getrandbits(32) & 0x8888_8888 or 8 << 4 * dice.randrange(8)
    return _put(b.data, HEAD + 8, _u32(b.data, HEAD + 8) | bits)


def _emt(dice: Dice, b: Blob) -> bytes:
    return _put(b.data, HEAD + 12, dice.pick((8, dice.randrange(8, 1 << 32))))


def _emt_emte(dice: Dice, b: Blob) -> bytes:
    if _u32(b.data, HEAD + 12):
        return _put(b.data, HEAD + 4, _u32(b.data, HEAD + 4) & ~EMTE)
    flags = _u32(b.data, HEAD + 4) & ~EMTE
    return _put(_put(b.data, HEAD + 4, flags), HEAD + 12, dice.randrange(1, 8))


def _byte(b: Blob, offset: int, value: int) -> bytes:
    return b.data[: HEAD + offset] + bytes([value]) + b.data[HEAD + offset + 1 :]


def _s1fmt(dice: Dice, b: Blob) -> bytes:
    return _byte(b, 4, dice.pick((3, dice.randrange(3, 256))))


def _s1dss(dice: Dice, b: Blob) -> bytes:
    return _byte(b, 5, dice.pick((3, dice.randrange(3, 256))))


def _padding(dice: Dice, b: Blob) -> bytes:
    data = _byte(b, dice.pick((6, 7)), dice.randrange(1, 256))
    return data if dice.chance(0.7) else _byte(replace(b, data=data), 7, dice.randrange(1, 256))


def _payload_trailing(dice: Dice, b: Blob) -> bytes:
    extra = bytearray(dice.randrange(1, 40))
    extra[dice.randrange(len(extra))] = dice.randrange(1, 256)
    return _opaque(b.data, b.data[HEAD : HEAD + SIZES[b.payload]] + bytes(extra))


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a rule is broken: of which payload (None: either), in a blob with one, with EMTE or not."""

    apply: Callable[[Dice, Blob], bytes]
    payload: str | None = None
    full: bool = True
    emte: bool | None = None


BREAKERS: Mapping[str, Breaker] = {
    "pasid_table_info.truncated": Breaker(_truncated, full=False),
    "pasid_table_info.model": Breaker(_model, full=False),
    "pasid_table_info.length": Breaker(_length, full=False),
    "pasid_table_info.trailing": Breaker(_trailing, full=False),
    "payload.truncated": Breaker(_payload_truncated),
    "payload.version": Breaker(_version),
    "vtd.flags": Breaker(_flags, "vtd"),
    "vtd.pat": Breaker(_pat, "vtd"),
    "vtd.emt": Breaker(_emt, "vtd", emte=True),
    "vtd.emt.emte": Breaker(_emt_emte, "vtd"),
    "smmuv3.s1fmt": Breaker(_s1fmt, "smmuv3"),
    "smmuv3.s1dss": Breaker(_s1dss, "smmuv3"),
    "smmuv3.padding": Breaker(_padding, "smmuv3"),
    "payload.trailing": Breaker(_payload_trailing),
}
RULES = tuple(BREAKERS)


def make(dice: Dice, generation: str, rule: str | None) -> Blob:
    """A blob that breaks ``rule`` and no other; with None one that is changed at random, or not at all."""
    if rule is None:
        blob = valid(dice, generation, dice.pick(tuple(SIZES)))
        return replace(blob, data=noise(dice, blob.data))
    breaker = BREAKERS[rule]
    name = breaker.payload or dice.pick(tuple(SIZES))
    blob = valid(dice, generation, name, full=breaker.full, emte=breaker.emte)
    return replace(blob, data=breaker.apply(dice, blob), rule=rule)


def noise(dice: Dice, data: bytes) -> bytes:
    """Bits flipped, numbers set, bytes added or cut off."""
    changed = bytearray(data)
    for _ in range(dice.pick((0, 1, 1, 2))):
        kind = dice.randrange(4)
        if kind == 0 and changed:
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        elif kind == 1 and len(changed) >= HEAD:
            at = dice.pick((0, 8, *range(16, len(changed) - 3, 4)))
            changed[at : at + 4] = struct.pack(
                ORDER + "I", dice.pick((0, 1, 2, 7, 8, 0xFFFF_FFFF, dice.number(32)))
            )
        elif kind == 2:
            changed += dice.randbytes(dice.randrange(9))
        else:
            del changed[dice.randrange(len(changed) + 1) :]
    return bytes(changed)


# ---------------------------------------------------------------- every rule by itself


def breaks(blob: Blob) -> set[str]:
    """The rules that the bytes break, whatever the order of checking; of the payload they were made for."""
    data = blob.data
    if len(data) < HEAD:
        return {"pasid_table_info.truncated"}
    model, length, follow = _u32(data, 16), _u32(data, 20), len(data) - HEAD
    tests = {
        "pasid_table_info.model": model not in GENERATIONS[blob.generation],
        "pasid_table_info.length": length > follow,
        "pasid_table_info.trailing": length < follow,
    }
    return {rule for rule, broken in tests.items() if broken} | _payload_breaks(
        blob.payload, data[HEAD : HEAD + length]
    )


def _payload_breaks(name: str, opaque: bytes) -> set[str]:
    if not opaque:
        return set()
    if len(opaque) < SIZES[name]:
        return {"payload.truncated"}
    tests = {"payload.version": _u32(opaque, 0) != 1, "payload.trailing": any(opaque[SIZES[name] :])}
    if name == "vtd":
        flags, pat, emt = (_u32(opaque, at) for at in (4, 8, 12))
        tests["vtd.flags"] = flags >= 1 << 9
        tests["vtd.pat"] = any(pat >> 4 * i & 8 for i in range(8))
        tests["vtd.emt"] = emt > 7
        tests["vtd.emt.emte"] = emt != 0 and not flags & EMTE
    else:
        tests["smmuv3.s1fmt"] = opaque[4] > 2
        tests["smmuv3.s1dss"] = opaque[5] > 2
        tests["smmuv3.padding"] = any(opaque[6:8])
    return {rule for rule, broken in tests.items() if broken}


# ---------------------------------------------------------------- both ledgers


def _guarded(data: bytes) -> memoryview:
    """The bytes at the end of memory that Python takes from malloc(), where AddressSanitizer watches."""
    buffer = bytearray(1024 + len(data))
    buffer[1024:] = data
    return memoryview(buffer)[1024:]


def _verdict(call: Callable[[], object]) -> tuple[object, ...]:
    """What a ledger says: the broken rule with all that belongs to it, or what was read."""
    try:
        return ("accepted", call())
    except AbiError as error:
        return error.rule.name, error.errno, error.field, error.offset, error.got, error.want
    except schema.RuleBroken as broken:
        return broken.rule, broken.errno, broken.field, broken.offset, broken.got, broken.want


def both(blob: Blob) -> tuple[str | None, tuple[str, ...]]:
    """The first rule that a blob breaks, None if it is accepted; and where the ledgers differ."""
    rule, problems = _envelope(blob, strict=True)
    _, lenient = _envelope(blob, strict=False)
    problems += lenient
    if rule is None:
        name = GENERATIONS[blob.generation][_u32(blob.data, 16)]
        opaque = blob.data[HEAD:]
        c = _verdict(lambda: payloads.validate(name, _guarded(opaque)))  # type: ignore[arg-type]
        plain = _verdict(lambda: schema.check_payload(name, opaque, ORDER))
        rule = None if c[0] == "accepted" else str(c[0])
        problems += _differ(f"payload {name}", c, plain)
    return rule, problems


def _envelope(blob: Blob, strict: bool) -> tuple[str | None, tuple[str, ...]]:
    unpack = uapi.generation(blob.generation).pasid_table_info.unpack

    def fast() -> tuple[int, int, int, int, bytes]:
        info = unpack(_guarded(blob.data), strict=strict)
        return info.ptr, info.size, info.model, info.length, bytes(info.opaque)

    def slow() -> tuple[int, int, int, int, bytes]:
        info = schema.parse(blob.generation, blob.data, ORDER, lenient=not strict)
        return info.ptr, info.size, info.model, info.length, info.opaque

    c, plain = _verdict(fast), _verdict(slow)
    rule = None if c[0] == "accepted" else str(c[0])
    return rule, _differ("strictly" if strict else "leniently", c, plain)


def _differ(what: str, c: tuple[object, ...], plain: tuple[object, ...]) -> tuple[str, ...]:
    return () if c == plain else (f"{what}: C {c}, plain {plain}",)
