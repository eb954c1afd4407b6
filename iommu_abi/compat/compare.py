"""Two models -> a report: every struct and every constant of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi.compat import between_abis, constants, structs, versions
from iommu_abi.compat.model import Model
from iommu_abi.compat.verdict import Finding, Report, Subject, Verdict, note
from iommu_abi.errors import UsageError
from iommu_abi.uapi.layout import Abi, host


def compare(old: Model, new: Model, abi: Abi | None = None) -> Report:
    """Judge every struct and constant; on ``abi``, or on those that the models were compiled for."""
    for model in (old, new):
        if abi and not model.complete and abi != model.abi:
            raise UsageError(f"{model.label} is an object file for another ABI than {abi.name}")
    sides = abi or old.abi or new.abi or host(), abi or new.abi or old.abi or host()
    made = _Comparison(old, new, *sides)
    names = " and ".join(dict.fromkeys(side.name for side in sides))
    notes = (*old.notes, *(n for n in new.notes if n not in old.notes))
    return Report(old.label, new.label, names, tuple(made.subjects()), notes)


@dataclass(frozen=True)
class _Comparison:
    old: Model
    new: Model
    old_abi: Abi
    new_abi: Abi

    def subjects(self) -> Iterator[Subject]:
        """Structs, then constants."""
        yield from filter(self._means_something, self._structs())
        made = constants.compare(self.old.constants(), self.new.constants())
        yield from filter(self._means_something, made)

    def _means_something(self, subject: Subject) -> bool:
        """An object has other people's types too, and lacks what it does not use."""
        if subject.now is None:
            return self.old.complete and self.new.complete
        return subject.was is not None or self.old.complete == self.new.complete

    def _structs(self) -> Iterator[Subject]:
        renames = self._renames()
        elements = self.old.elements() | self.new.elements()
        for name in self.old.structs():
            now = renames.get(name, name)
            if now in self.new.structs():
                yield self._both(name, now, elements)
            else:
                yield self._withdrawn(name)
        for name in self.new.structs():
            if name not in self.old.structs() and name not in renames.values():
                yield self._added(name)

    def _renames(self) -> dict[str, str]:
        """gpasid_bind_data became iommu_gpasid_bind_data: words before the old name."""
        found = {}
        for name in self.old.structs().keys() - self.new.structs().keys():
            like = [new for new in self.new.structs() if new.endswith(f"_{name}")]
            if len(like) == 1 and like[0] not in self.old.structs():
                found[name] = like[0]
        return found

    def _both(self, name: str, now: str, elements: set[str]) -> Subject:
        was, is_now = self.old.layout(name, self.old_abi), self.new.layout(now, self.new_abi)
        contract = structs.contract(was, is_now, elements)
        unchanged = versions.unchanged((name, now), self.old.constants(), self.new.constants())
        findings = [] if name == now else [note("", "renamed", f"{name} -> {now}")]
        findings += structs.judge(was, is_now, contract, unchanged)
        findings += between_abis.judge(self.old, self.new, name, now)
        return Subject(is_now.record.kind, now, contract, was.size, is_now.size, tuple(findings))

    def _withdrawn(self, name: str) -> Subject:
        size = self.old.layout(name, self.old_abi).size
        gone = Finding("", "withdrawn", "new kernels do not know it", Verdict.BREAKING, Verdict.COMPATIBLE)
        return Subject(self.old.structs()[name].kind, name, "", size, None, (gone,))

    def _added(self, name: str) -> Subject:
        made = self.new.layout(name, self.new_abi)
        findings = [note("", "added", f"{made.size} bytes"), *(structs.hole(*h) for h in made.holes)]
        findings += between_abis.judge(None, self.new, name, name)
        contract = structs.contract(made, made, self.new.elements())
        return Subject(made.record.kind, name, contract, None, made.size, tuple(findings))
