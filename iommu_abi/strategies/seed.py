"""``pasid_table_info`` and its payloads: rows by docs/rules.md, sizes by hand.

The rules of the seed are kept twice already, in C and in the plain ledger; these rows are their kinds
and numbers once more, so that blobs are made from neither of the checks.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from hypothesis import strategies as st

from iommu_abi.rules.predicates import all_of, at_most, is_, known_flags, unless, where, zero
from iommu_abi.rules.row import Check, Rows
from iommu_abi.schemas import uapi
from iommu_abi.schemas.uapi.fields import flags, reserved, struct, u8, u32
from iommu_abi.schemas.uapi.generation import generation
from iommu_abi.strategies import draft
from iommu_abi.strategies.plan import plans
from iommu_abi.strategies.target import Specimen

STRUCT = "pasid_table_info"
SOURCE = "docs/rules.md"
HEAD = 24
MOST = 40  # bytes beyond a payload, or the blob, at most
#: Generation -> model -> its payload.
MODELS: Mapping[str, Mapping[int, str]] = {
    "v1_2017": {0: "vtd", 1: "smmuv3"},
    "rfc2017": {1: "vtd", 2: "smmuv3"},
}

_VTD_FLAGS = flags("vtd_flags", "WPE", "NXE", "SMEP", "PGE", "EAFE", "ERE", "SLEE", "CD", "EMTE")
_PAT = uapi.Values("vtd_pat", {"TYPES": 0x7777_7777}, flags=True)
_PAYLOADS = generation(
    "payloads",
    "docs/rules.md",
    [
        struct(
            "vtd", u32("version"), u32("flags", values="vtd_flags"), u32("pat", values="vtd_pat"), u32("emt")
        ),
        struct("smmuv3", u32("version"), u8("s1fmt"), u8("s1dss"), reserved("padding", 2)),
    ],
    [_VTD_FLAGS, _PAT],
)
_payload, _vtd, _smmuv3 = (Rows(name, SOURCE) for name in ("payload", "vtd", "smmuv3"))
_VERSION = _payload("version", errno.EOPNOTSUPP, is_(1), "1")
_CHECKS: Mapping[str, tuple[Check, ...]] = {
    "vtd": (
        _VERSION,
        _vtd("flags", errno.EINVAL, known_flags, "no bits but 0x1ff"),
        _vtd("pat", errno.EINVAL, known_flags, "no bits but 0x77777777"),
        _vtd("emt", errno.EINVAL, at_most(7), "at most 7"),
        _vtd("emt", errno.EINVAL, zero, "0", name="emte", when=unless(where("flags", all_of(1 << 8)))),
    ),
    "smmuv3": (
        _VERSION,
        _smmuv3("s1fmt", errno.EINVAL, at_most(2), "at most 2"),
        _smmuv3("s1dss", errno.EINVAL, at_most(2), "at most 2"),
        _smmuv3("padding", errno.EINVAL, zero, "0"),
    ),
}
_SIZES = {
    "pasid_table_info.truncated": errno.EINVAL,
    "pasid_table_info.model": errno.EINVAL,
    "pasid_table_info.length": errno.EINVAL,
    "pasid_table_info.trailing": errno.E2BIG,
    "payload.truncated": errno.EINVAL,
    "payload.trailing": errno.EINVAL,
}
RULES: Mapping[str, int] = {
    **_SIZES,
    **{row.rule.name: row.rule.errno for rows in _CHECKS.values() for row in rows},
}


@dataclass(frozen=True, slots=True)
class _Blob:
    """A blob in its parts."""

    numbers: Mapping[str, int]
    opaque: bytes

    def bytes(self, target: Specimen, **changed: int) -> bytes:
        """The bytes, with the length of the payload unless another is given."""
        numbers = {**self.numbers, "length": len(self.opaque), **changed}
        return draft.write(target, numbers) + self.opaque


@cache
def _target(payload: str, abi: uapi.Abi) -> Specimen:
    return Specimen(_PAYLOADS.structs[payload], _PAYLOADS, abi, None, _CHECKS[payload])


def _bytes_of(draw: st.DrawFn, payload: Specimen, check: Check | None = None) -> bytes:
    found = plans(payload, check)
    plan = found[draw(st.integers(0, len(found) - 1))]
    return draft.write(payload, draft.values(draw, payload, plan, check))


def _head(draw: st.DrawFn, target: Specimen, model: int) -> dict[str, int]:
    u64 = st.integers(0, (1 << 64) - 1)
    return {"ptr": draw(u64), "size": draw(u64), "model": model}


def _valid(draw: st.DrawFn, target: Specimen, payload: str, model: int, check: Check | None = None) -> _Blob:
    opaque = _bytes_of(draw, _target(payload, target.abi), check)
    return _Blob(_head(draw, target, model), opaque + bytes(draw(st.integers(0, MOST) | st.just(0))))


@st.composite
def valid(draw: st.DrawFn, target: Specimen) -> bytes:
    """A blob that breaks no rule, its payload whole or empty."""
    model, payload = draw(st.sampled_from(sorted(MODELS[target.generation.name].items())))
    blob = _valid(draw, target, payload, model)
    return draw(st.sampled_from((blob, _Blob(blob.numbers, b"")))).bytes(target)


@st.composite
def breaking(draw: st.DrawFn, target: Specimen, rule: str) -> bytes:
    """A blob that breaks one rule, of the envelope or of the payload."""
    models = MODELS[target.generation.name]
    owners = [
        (model, name, check)
        for model, name in sorted(models.items())
        for check in _CHECKS[name]
        if check.rule.name == rule
    ]
    if owners:
        model, payload, check = owners[draw(st.integers(0, len(owners) - 1))]
        return _valid(draw, target, payload, model, check).bytes(target)
    model, payload = draw(st.sampled_from(sorted(models.items())))
    return _wrong_size(draw, target, rule, _valid(draw, target, payload, model), payload)


def _wrong_size(draw: st.DrawFn, target: Specimen, rule: str, blob: _Blob, payload: str) -> bytes:
    size = _target(payload, target.abi).size
    if rule == "pasid_table_info.truncated":
        return blob.bytes(target)[: draw(st.integers(0, HEAD - 1))]
    if rule == "pasid_table_info.model":
        known = MODELS[target.generation.name]
        u32_ = st.integers(0, (1 << 32) - 1)
        return blob.bytes(target, model=draw(u32_.filter(lambda model: model not in known)))
    if rule == "pasid_table_info.length":
        return blob.bytes(target, length=draw(st.integers(len(blob.opaque) + 1, (1 << 32) - 1)))
    if rule == "pasid_table_info.trailing":
        return blob.bytes(target) + draw(st.binary(min_size=1, max_size=MOST))
    if rule == "payload.truncated":
        return _Blob(blob.numbers, blob.opaque[: draw(st.integers(1, size - 1))]).bytes(target)
    surplus = bytearray(draw(st.integers(1, MOST)))
    surplus[draw(st.integers(0, len(surplus) - 1))] = draw(st.integers(1, 255))
    return _Blob(blob.numbers, blob.opaque[:size] + surplus).bytes(target)
