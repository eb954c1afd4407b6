"""Which keys of ``expect`` must match, and what became of a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iommu_abi.conform.cases import Case, Outcome
from iommu_abi.inputs import InputError, is_number, to_number
from iommu_abi.ledgers import Difference

#: Keys of ``expect`` that must match for a case to pass, and those that are reported beside.
MUST = (
    "result", "hpa", "code", "status", "errno", "physical_config", "PTS", "S1CDMax", "entries",
    "iotval2", "s2", "cls", "event", "recorded",
)  # fmt: skip
SHOULD = ("r", "w", "pages")

#: Keys that may hold the value instead.
ALTERNATIVES = {"code": "code_alt", "iotval2": "iotval2_alt"}

#: Keys for which null says that the number is not known: anything passes.
NULL_IS_ANY = ("code",)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case. ``notes`` are *should* keys that differ: (key, expected, got)."""

    case: Case
    passed: bool
    expected: Mapping[str, Any]
    got: Mapping[str, Any]
    notes: tuple[tuple[str, Any, Any], ...] = ()
    differences: tuple[Difference, ...] = ()
    supported: bool = True


def _plain(value: Any) -> Any:
    """Numbers may be written as strings."""
    return to_number(value, "expect") if isinstance(value, str) and is_number(value) else value


def _matches(key: str, expect: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    if expect[key] is None and key in NULL_IS_ANY:
        return got.get("result") != "ok"
    allowed = [_plain(expect[key])]
    if ALTERNATIVES.get(key) in expect:
        allowed.append(_plain(expect[ALTERNATIVES[key]]))
    return key in got and got[key] in allowed


def judge(case: Case, outcome: Outcome) -> Verdict:
    """Compare every key that must match, and note those that should."""
    expect, got = case.expect, outcome.got
    if "result" not in expect:
        raise InputError(f"{case.where}: expect: no 'result'")
    must = [key for key in MUST if key in expect]
    notes = [
        (key, expect[key], got.get(key)) for key in SHOULD if key in expect and not _matches(key, expect, got)
    ]
    return Verdict(
        case,
        all(_matches(key, expect, got) for key in must),
        {key: expect[key] for key in (*must, *ALTERNATIVES.values()) if key in expect},
        got,
        tuple(notes),
        outcome.differences,
    )
