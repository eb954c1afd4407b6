"""The two ledgers asked the same question, and their answers held against each other.

The fast ledger is the walk in C, the plain one the walk in Python. Where they differ, one of them
has misread the specification: that is a bug of this package, never of the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from iommu_abi.errors import Error

if TYPE_CHECKING:
    from iommu_abi.memory import Memory
    from iommu_abi.terms import Request, Translation
    from iommu_abi.walk import Unit


@dataclass(frozen=True, slots=True)
class Difference:
    """What the ledgers disagree about: "hpa", "fault.native", "refs[3].raw", ..."""

    what: str
    fast: object
    plain: object

    def __str__(self) -> str:
        return f"{self.what}: fast {shown(self.fast)}, plain {shown(self.plain)}"


class Disagreement(Error):
    """The two ledgers disagree about ``subject``."""

    def __init__(self, subject: str, differences: tuple[Difference, ...]) -> None:
        self.subject, self.differences = subject, differences
        first = differences[0]
        more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
        super().__init__(
            f"DISAGREEMENT of the two ledgers (a bug of iommu-abi) about {subject}: {first}{more}"
        )


def shown(value: object) -> str:
    """A value of an answer: numbers in hex, enumerations by name."""
    return f"{value:#x}" if type(value) is int else str(getattr(value, "name", value))


def _compare_values(what: str, fast: Any, plain_: Any) -> list[Difference]:
    """Differences of two dataclass values of one type, field by field."""
    if fast == plain_:
        return []
    if fast is None or plain_ is None or type(fast) is not type(plain_):
        return [Difference(what, fast, plain_)]
    return [
        Difference(f"{what}.{f.name}" if what else f.name, getattr(fast, f.name), getattr(plain_, f.name))
        for f in fields(fast)
        if getattr(fast, f.name) != getattr(plain_, f.name)
    ]


def compare(fast: Translation, plain_: Translation) -> tuple[Difference, ...]:
    """Every field of the answers, their faults and their references; empty if they agree."""
    if fast == plain_:
        return ()
    found = [d for d in _compare_values("", fast, plain_) if d.what not in ("fault", "refs")]
    found += _compare_values("fault", fast.fault, plain_.fault)
    if len(fast.refs) != len(plain_.refs):
        found.append(Difference("number of refs", len(fast.refs), len(plain_.refs)))
    for i, (a, b) in enumerate(zip(fast.refs, plain_.refs)):
        found += _compare_values(f"refs[{i}]", a, b)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the ledgers say to one request. ``plain`` is None if the plain one broke down."""

    fast: Translation
    plain: Translation | None
    differences: tuple[Difference, ...]


def ask(
    unit: Unit,
    memory: Memory,
    request: Request,
    read: Callable[[int, int], bytes | None] | None = None,
    registers: Mapping[str, int] | None = None,
) -> Answers:
    """Translate with both ledgers. ``read`` and ``registers`` are what the plain one is given instead.

    UsageError for a request that makes no sense.
    """
    from iommu_abi.schemas import plain_walk

    fast = unit.translate(memory, request, trace=True)
    known = unit.registers if registers is None else registers
    try:
        slow = plain_walk.translate(unit.kind, known, read or memory.read, request)
    except Exception as error:  # the fast ledger has answered: whatever this is, the plain one is wrong
        broken = Difference("answer", "given", f"{type(error).__name__}: {error}")
        return Answers(fast, None, (broken,))
    return Answers(fast, slow, compare(fast, slow))
