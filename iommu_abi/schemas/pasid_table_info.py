"""``struct pasid_table_info`` and its payloads: the rules of docs/rules.md on the schema.

Sources: "iommu: Introduce bind_pasid_table API function", patch 1/9 of 27 June 2017
(generation ``v1_2017``), and the RFC before it (``rfc2017``); the payloads and the rules
about bytes that do not fit are the project's own.

Byte order is ``"<"`` or ``">"``. Offsets are in bytes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import construct  # type: ignore[import-untyped]

from iommu_abi.schemas.uapi.abi import ABIS, Abi
from iommu_abi.schemas.uapi.build import schema as struct_schema
from iommu_abi.schemas.uapi.tables_2017 import V1_2017

#: Generation -> number in ``model`` -> the payload that belongs to it.
MODELS: Mapping[str, Mapping[int, str]] = {
    "v1_2017": {0: "vtd", 1: "smmuv3"},
    "rfc2017": {1: "vtd", 2: "smmuv3"},
}

HEADER_SIZE = 24
OFFSET_MODEL, OFFSET_LENGTH = 16, 20

VTD_FLAGS = 0x1FF
VTD_EMTE = 1 << 8
VTD_PAT = 0x7777_7777
VTD_EMT_MAX = 7
S1FMT_MAX = 2
S1DSS_MAX = 2


@dataclass(eq=False)
class RuleBroken(Exception):
    """A blob that breaks a rule: which, at which field, and what was expected.

    ``errno`` is positive; ``want`` is 0 where the rule has no number to expect.
    """

    rule: str
    errno: int
    field: str
    offset: int
    got: int
    want: int = 0

    def __str__(self) -> str:
        name = errno.errorcode[self.errno]
        return f"{self.rule}: {name}: {self.field} at {self.offset}: got {self.got:#x}, want {self.want:#x}"


@dataclass(frozen=True, slots=True)
class PasidTableInfo:
    """A parsed blob. ``opaque`` has the bytes that are there, at most ``length``."""

    ptr: int
    size: int
    model: int
    length: int
    opaque: bytes


def _abi(byteorder: str) -> Abi:
    """Any ABI of a byte order: this struct has the same layout on all."""
    if byteorder not in ("<", ">"):
        raise ValueError(f"byte order is '<' or '>', not {byteorder!r}")
    return ABIS["x86_64" if byteorder == "<" else "aarch64_be"]


def _integer32(byteorder: str) -> Any:
    return construct.FormatField(_abi(byteorder).order, "L")


def schema(byteorder: str = "<") -> Any:
    """Describe the whole struct."""
    return struct_schema(V1_2017.structs["pasid_table_info"], _abi(byteorder))


@cache
def header_schema(byteorder: str = "<") -> Any:
    """Describe the 24 bytes before ``opaque``."""
    return construct.Struct(*schema(byteorder).subcons[:-1])


@cache
def payload_schema(model_name: str, byteorder: str = "<") -> Any:
    """``opaque[]`` of a model, version 1."""
    u32 = _integer32(byteorder)
    if model_name == "vtd":
        return construct.Struct(
            "version" / u32 * "1",
            "flags" / u32 * "WPE NXE SMEP PGE EAFE ERE SLEE CD EMTE, from bit 0 up",
            "pat" / u32 * "8 memory types of 3 bits, each in 4",
            "emt" / u32 * "memory type of table reads, with EMTE",
        )
    if model_name == "smmuv3":
        return construct.Struct(
            "version" / u32 * "1",
            "s1fmt" / construct.Int8ub * "0 linear, 1 two levels with 4 KiB leaves, 2 with 64 KiB leaves",
            "s1dss" / construct.Int8ub * "without PASID: 0 refused, 1 bypass, 2 entry 0",
            "padding" / construct.Bytes(2) * "0",
        )
    raise ValueError(f"no model {model_name!r}")


@cache
def _fields(described: Any) -> list[tuple[str, int, int]]:
    """Name, offset and end of every field; construct adds sizes up anew each time it is asked."""
    ends = list(accumulate(each.sizeof() for each in described.subcons))
    return [(each.name, end - each.sizeof(), end) for each, end in zip(described.subcons, ends)]


def _check_whole(rule: str, described: Any, data: bytes) -> None:
    """Raise ``rule`` at the first field of a struct that is not there as a whole."""
    fields = _fields(described)
    *_, (_, _, size) = fields
    for name, offset, end in fields:
        if end > len(data):
            raise RuleBroken(rule, errno.EINVAL, name, offset, len(data), size)


def _models(generation: str) -> Mapping[int, str]:
    if generation not in MODELS:
        raise ValueError(f"no generation {generation!r} has a struct pasid_table_info")
    return MODELS[generation]


def _check_model(generation: str, model: int) -> None:
    if model not in _models(generation):
        raise RuleBroken("pasid_table_info.model", errno.EINVAL, "model", OFFSET_MODEL, model)


def parse(generation: str, data: bytes, byteorder: str = "<", lenient: bool = False) -> PasidTableInfo:
    """Take a blob apart; RuleBroken if it is not one.

    ``lenient`` takes any model and leaves out bytes that follow ``opaque``. The payload's meaning
    is for :func:`check_payload`.
    """
    _models(generation)
    header = header_schema(byteorder)
    _check_whole("pasid_table_info.truncated", header, data)
    head = header.parse(data)
    if not lenient:
        _check_model(generation, head.model)
    _check_length(head.length, len(data), lenient)
    opaque = bytes(data[HEADER_SIZE : HEADER_SIZE + head.length])
    return PasidTableInfo(head.ptr, head.size, head.model, head.length, opaque)


def _check_length(length: int, given: int, lenient: bool) -> None:
    follow = given - HEADER_SIZE
    if length > follow:
        raise RuleBroken("pasid_table_info.length", errno.EINVAL, "length", OFFSET_LENGTH, length, follow)
    if length < follow and not lenient:
        end = HEADER_SIZE + length
        raise RuleBroken("pasid_table_info.trailing", errno.E2BIG, "opaque", end, given, end)


def build(
    generation: str, ptr: int, size: int, model: int, opaque: bytes = b"", byteorder: str = "<"
) -> bytes:
    """Make a blob from values; ``length`` is that of ``opaque``, whose meaning is not looked at."""
    _check_model(generation, model)
    for name, value in (("ptr", ptr), ("size", size)):
        if not 0 <= value < 1 << 64:
            raise ValueError(f"{name}={value} does not fit 64 bits")
    values = {"ptr": ptr, "size": size, "model": model, "length": len(opaque), "opaque": opaque}
    built: bytes = schema(byteorder).build(values)
    return built


def check_payload(model_name: str, data: bytes, byteorder: str = "<") -> None:
    """Check ``opaque[]`` against its model, "vtd" or "smmuv3"; empty is valid. Else RuleBroken."""
    fields = payload_schema(model_name, byteorder)
    if not data:
        return
    _check_whole("payload.truncated", fields, data)
    payload = fields.parse(data)
    if payload.version != 1:
        raise RuleBroken("payload.version", errno.EOPNOTSUPP, "version", 0, payload.version, 1)
    _PAYLOAD_CHECKS[model_name](payload)
    _check_zero("payload.trailing", "opaque", data, fields.sizeof())


def _check_vtd(payload: Any) -> None:
    if payload.flags & ~VTD_FLAGS:
        raise RuleBroken("vtd.flags", errno.EINVAL, "flags", 4, payload.flags, VTD_FLAGS)
    if payload.pat & ~VTD_PAT:
        raise RuleBroken("vtd.pat", errno.EINVAL, "pat", 8, payload.pat, VTD_PAT)
    if payload.emt > VTD_EMT_MAX:
        raise RuleBroken("vtd.emt", errno.EINVAL, "emt", 12, payload.emt, VTD_EMT_MAX)
    if payload.emt and not payload.flags & VTD_EMTE:
        raise RuleBroken("vtd.emt.emte", errno.EINVAL, "emt", 12, payload.emt, 0)


def _check_smmuv3(payload: Any) -> None:
    if payload.s1fmt > S1FMT_MAX:
        raise RuleBroken("smmuv3.s1fmt", errno.EINVAL, "s1fmt", 4, payload.s1fmt, S1FMT_MAX)
    if payload.s1dss > S1DSS_MAX:
        raise RuleBroken("smmuv3.s1dss", errno.EINVAL, "s1dss", 5, payload.s1dss, S1DSS_MAX)
    _check_zero("smmuv3.padding", "padding", b"\0" * 6 + payload.padding, 6)


def _check_zero(rule: str, field: str, data: bytes, start: int) -> None:
    """Every byte from ``start`` on is 0."""
    for offset in range(start, len(data)):
        if data[offset]:
            raise RuleBroken(rule, errno.EINVAL, field, offset, data[offset], 0)


_PAYLOAD_CHECKS: Mapping[str, Callable[[Any], None]] = {"vtd": _check_vtd, "smmuv3": _check_smmuv3}
