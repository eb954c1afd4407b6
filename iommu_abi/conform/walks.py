"""Cases that are translations: a format is how its configuration becomes registers, its input a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from iommu_abi.conform.cases import Case, Outcome
from iommu_abi.conform.sparse import SparseMemory
from iommu_abi.inputs import InputError, Record
from iommu_abi.ledgers import ask
from iommu_abi.terms import Access, Fault, Reason, Request, Target, Translation
from iommu_abi.walk import Unit

ACCESS = {"read": Access.READ, "write": Access.WRITE, "exec": Access.EXEC}


@dataclass(frozen=True, slots=True)
class Bits:
    """A number of ``config`` and the bits of a register that hold it, less ``minus``.

    ``absent`` is assumed when the key is not there; None: it must be.
    """

    key: str
    register: str
    high: int
    low: int
    absent: int | None = None
    minus: int = 0
    #: Another name of the key: what the field was called before.
    once: str = ""

    def value(self, config: Record) -> int:
        """The number in its place."""
        key = self.once if self.once in config and self.key not in config else self.key
        number = config.number(key, self.absent) - self.minus
        if not 0 <= number < 1 << self.high - self.low + 1:
            raise InputError(f"{config.where}: {key}: does not fit {self.register} {self.high}:{self.low}")
        return number << self.low


def fill(config: Record, start: Mapping[str, int], rows: tuple[Bits, ...]) -> dict[str, int]:
    """Registers: what is assumed, and the rows over it."""
    made = dict(start)
    for row in rows:
        made[row.register] = made.get(row.register, 0) | row.value(config)
    return made


@dataclass(frozen=True, slots=True)
class WalkFormat:
    """A format whose cases are translations."""

    kind: str
    registers: Callable[[Record], Mapping[str, int]]
    request: Callable[[Record], Request]
    #: Keys of ``expect`` that only this format has, from a fault.
    fault_words: Callable[[Fault], Mapping[str, Any]] = lambda _: {}

    def __call__(self, case: Case) -> Outcome:
        """Translate with both ledgers."""
        unit = Unit(self.kind, self.registers(case.config))
        request = self.request(case.input)
        sparse = SparseMemory.of(case.words)
        while _asks_for_zeros(unit.translate(sparse.memory, request), sparse):
            pass  # ends: each time a page is added, and a walk reads a bounded number of entries
        answers = ask(unit, sparse.memory, request, read=sparse.read)
        return Outcome(self.words(answers.fast), answers.differences)

    def words(self, answer: Translation) -> dict[str, Any]:
        """An answer by the keys of ``expect``."""
        if answer.fault is not None:
            fault = answer.fault
            words = {"result": "fault", "code": fault.native, "recorded": fault.recorded}
            return {**words, **self.fault_words(fault)}
        if answer.target is Target.INTERRUPT:
            return {"result": "interrupt"}
        rights = {key: int(bit in answer.access) for key, bit in (("r", Access.READ), ("w", Access.WRITE))}
        return {"result": "ok", "hpa": answer.hpa, **rights}


def _asks_for_zeros(answer: Translation, sparse: SparseMemory) -> bool:
    fault = answer.fault
    if fault is None or fault.reason is not Reason.UNREADABLE or fault.entry_hpa is None:
        return False
    return sparse.add_zeros(fault.entry_hpa)
