"""Two models -> a report: every struct and every constant of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from iommu_abi.compat import between_abis, constants, everywhere, structs, versions
from iommu_abi.compat.contracts import Contracts, contracts
from iommu_abi.compat.model import Model
from iommu_abi.compat.verdict import Compared, Finding, Report, Verdict, note
from iommu_abi.errors import UsageError
from iommu_abi.uapi.layout import ABIS, Abi, Layout, host


def compare(
    old: Model, new: Model, abi: Abi | None = None, extensible: Mapping[str, str] | None = None
) -> Report:
    """Judge every struct and constant; on ``abi``, or on those that the models were compiled for.

    Without ``abi`` every other ABI is looked at as well. ``extensible`` says of structs that they may grow:
    which field has their size, or ``arg`` for an argument beside them.
    """
    for model in (old, new):
        if abi and not model.complete and abi != model.abi:
            raise UsageError(f"{model.label} is an object file for another ABI than {abi.name}")
    may_grow = extensible or {}
    sides = abi or old.abi or new.abi or host(), abi or new.abi or old.abi or host()
    names = " and ".join(dict.fromkeys(side.name for side in sides))
    notes = (*old.notes, *(n for n in new.notes if n not in old.notes))
    depends = everywhere.depends(old, new, sides if abi else ())
    if not depends:
        subjects = list(_as_they_are(old, new, sides, abi is None, may_grow).subjects())
    elif everywhere.can_compile(old, new):
        subjects, more = _compiled(old, new, everywhere.abis(old, new, abi), may_grow)
        notes += (f"{depends}: each ABI was compiled", *more)
    else:
        subjects = list(_as_they_are(old, new, sides, abi is None, may_grow).subjects())
        notes += (f"{depends}: seen as {names} has it only; the package ziglang would compile each ABI",)
    return Report(old.label, new.label, names, tuple(subjects), notes)


def _as_they_are(
    old: Model, new: Model, sides: tuple[Abi, Abi], on_all: bool, extensible: Mapping[str, str]
) -> _Comparison:
    """Two models, of which one layout is known or computed for each ABI."""

    def between(names: tuple[str, str], grows: bool, is_new: bool) -> list[Finding]:
        return between_abis.judge(None if is_new else old, new, names, grows)

    return _Comparison(old, new, *sides, on_all, contracts(old, new, extensible), between)


def _compiled(
    old: Model, new: Model, abis: Sequence[Abi], extensible: Mapping[str, str]
) -> tuple[list[Compared], tuple[str, ...]]:
    """On each ABI by what a compiler for it saw; and on which that was not possible."""
    found = everywhere.compiled(old, new, abis)
    if not found.on:
        raise UsageError(found.notes[0])
    own = [abi.name for abi in (old.abi, new.abi) if abi and abi.name in found.on]
    usual = next(iter([*own, *found.on]))

    @cache
    def between(names: tuple[str, str], grows: bool, is_new: bool) -> list[Finding]:
        return between_abis.judge_compiled(found.on, usual, names, grows)

    numbers = bool(old.compile_for and new.compile_for)
    subjects = {
        name: list(
            _Comparison(
                *both, ABIS[name], ABIS[name], False, contracts(*both, extensible), between,
                numbers or name == usual,
            ).subjects()
        )
        for name, both in found.on.items()
    }  # fmt: skip
    return everywhere.merged(subjects, usual), found.notes


@dataclass(frozen=True)
class _Comparison:
    """``between`` judges a struct's differences between ABIs; without ``numbers`` there are no constants."""

    old: Model
    new: Model
    old_abi: Abi
    new_abi: Abi
    on_all: bool
    contracts: Contracts
    between: Callable[[tuple[str, str], bool, bool], list[Finding]]
    numbers: bool = True

    def subjects(self) -> Iterator[Compared]:
        """Structs, then constants."""
        yield from filter(self._means_something, self._structs())
        made = constants.compare(self.old, self.new, self.contracts) if self.numbers else []
        yield from filter(self._means_something, made)

    def _means_something(self, subject: Compared) -> bool:
        """An object has other people's types too, and lacks what it does not use."""
        if subject.now is None:
            return self.old.complete and self.new.complete
        return subject.was is not None or self.old.complete == self.new.complete

    def _structs(self) -> Iterator[Compared]:
        renames = self._renames()
        for name in self.old.structs():
            now = renames.get(name, name)
            if now in self.new.structs():
                yield self._both(name, now)
            elif name in self.new.others.records:
                yield self._both(name, name, note("", "moved", "what the header includes has it now"))
            else:
                yield self._withdrawn(name)
        for name in self.new.structs():
            if name in self.old.structs() or name in renames.values():
                continue
            if name in self.old.others.records and self.new.complete:
                yield self._both(name, name, note("", "moved", "what the old header included had it"))
            else:
                yield self._added(name)

    def _renames(self) -> dict[str, str]:
        """gpasid_bind_data became iommu_gpasid_bind_data: words before the old name."""
        found = {}
        for name in self.old.structs().keys() - self.new.structs().keys():
            like = [new for new in self.new.structs() if new.endswith(f"_{name}")]
            if len(like) == 1 and like[0] not in self.old.structs():
                found[name] = like[0]
        return found

    def _both(self, name: str, now: str, *first: Finding) -> Compared:
        was, is_now = self.old.layout(name, self.old_abi), self.new.layout(now, self.new_abi)
        contract = self.contracts.of(was, is_now)
        unchanged = versions.unchanged((name, now), self.old.constants(), self.new.constants())

        def judge(old: Layout, new: Layout) -> list[Finding]:
            return structs.judge(old, new, contract, unchanged)

        findings = [*first]
        findings += [] if name == now else [note("", "renamed", f"{name} -> {now}")]
        findings += judge(was, is_now)
        if self.on_all and not contract.is_of_one_abi:
            findings += between_abis.elsewhere(self.old, self.new, (name, now), is_now, judge)
        if not contract.is_of_one_abi:
            findings += self.between((name, now), bool(contract.surplus), False)
        return Compared(is_now.record.kind, now, contract.name, was.size, is_now.size, tuple(findings))

    def _withdrawn(self, name: str) -> Compared:
        size = self.old.layout(name, self.old_abi).size
        machine = self.new.of_machines.get(name)
        if machine:
            gone = note("", "moved", f"asm/ of {machine} has it now")
        else:
            gone = Finding(
                "", "withdrawn", "new kernels do not know it", Verdict.BREAKING, Verdict.COMPATIBLE
            )
        return Compared(self.old.structs()[name].kind, name, "", size, None, (gone,))

    def _added(self, name: str) -> Compared:
        made = self.new.layout(name, self.new_abi)
        findings = [note("", "added", f"{made.size} bytes"), *(structs.hole(*h) for h in made.holes)]
        contract = self.contracts.of(made, made)
        if not contract.is_of_one_abi:
            findings += self.between((name, name), bool(contract.surplus), True)
        return Compared(made.record.kind, name, contract.name, None, made.size, tuple(findings))
