"""Two models compared on every ABI as compiled for it, because a header says more than one thing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from iommu_abi.compat.model import Model
from iommu_abi.compat.verdict import Compared, Finding
from iommu_abi.errors import UsageError
from iommu_abi.uapi.layout import ABIS, Abi

Both = tuple[Model, Model]


@dataclass(frozen=True)
class Compiled:
    """Both models on each ABI that they could be compiled for, and why not on the others."""

    on: Mapping[str, Both]
    notes: tuple[str, ...]


def depends(old: Model, new: Model, sides: Sequence[Abi]) -> str:
    """Which of the two is not the same on all machines, and where it says so; empty if that is nothing.

    ``sides`` are the only ABIs that are asked about: nothing, where the models are for these.
    """
    found = [m for m, abi in zip((old, new), sides or (None, None)) if m.depends and m.abi != abi]
    return next((f"{model.label}: {model.depends}" for model in found), "")


def can_compile(old: Model, new: Model) -> bool:
    """Whether what depends on the machine can be compiled for others."""
    return all(model.compile_for for model in (old, new) if model.depends)


def abis(old: Model, new: Model, abi: Abi | None) -> Sequence[Abi]:
    """Those to compare on: an object file is there for one."""
    if abi:
        return [abi]
    return next(([m.abi] for m in (old, new) if m.abi and not m.complete), list(ABIS.values()))


def compiled(old: Model, new: Model, abis: Sequence[Abi]) -> Compiled:
    """Headers compiled for each ABI; what has no header stays what it is."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        made = list(pool.map(lambda abi: (_on(old, abi), _on(new, abi)), abis))
    on: dict[str, Both] = {}
    refused: dict[str, list[str]] = {}
    for abi, (a, b) in zip(abis, made):
        if isinstance(a, Model) and isinstance(b, Model):
            on[abi.name] = a, b
        else:
            refused.setdefault(next(each for each in (a, b) if isinstance(each, str)), []).append(abi.name)
    return Compiled(on, tuple(f"not compared on {' '.join(names)}: {why}" for why, names in refused.items()))


def _on(model: Model, abi: Abi) -> Model | str:
    """A model on an ABI, or why there is none."""
    if abi == model.abi or not model.compile_for:
        return model
    try:
        return model.compile_for(abi)
    except UsageError as error:
        return str(error)


# ---------------------------------------------------------------- one report of many


@dataclass
class _Seen:
    finding: Finding
    abis: list[str] = field(default_factory=list)


def merged(subjects: Mapping[str, Sequence[Compared]], usual: str) -> list[Compared]:
    """Subjects by ABI -> one list: that of the usual ABI, with what is so on others only, and where."""
    order: dict[tuple[str, str], dict[str, Compared]] = {}
    for abi in (usual, *(name for name in subjects if name != usual)):
        for subject in subjects[abi]:
            order.setdefault((subject.kind, subject.name), {})[abi] = subject
    return [_subject(found, usual, list(subjects)) for found in order.values()]


def _subject(found: Mapping[str, Compared], usual: str, all_abis: Sequence[str]) -> Compared:
    shown = found.get(usual) or next(iter(found.values()))
    here = {_key(f) for f in shown.findings}
    seen: dict[object, _Seen] = {}
    for abi, subject in found.items():
        for f in subject.findings:
            if _key(f) in here:
                seen.setdefault(_key(f), _Seen(f)).abis.append(abi)
            elif f.old_program or f.new_program:
                seen.setdefault((_key(f), f.reason), _Seen(f)).abis.append(abi)
    return replace(shown, findings=tuple(_placed(each, all_abis) for each in seen.values()))


def _key(f: Finding) -> tuple[object, ...]:
    return f.field, f.change, f.old_program, f.new_program


def _placed(seen: _Seen, all_abis: Sequence[str]) -> Finding:
    where = _where(seen.abis, all_abis)
    return replace(seen.finding, reason=seen.finding.reason + where)


def _where(abis: Sequence[str], all_abis: Sequence[str]) -> str:
    others = [name for name in all_abis if name not in abis]
    if not others:
        return ""
    if len(abis) <= len(others):
        return f", on {' '.join(name for name in all_abis if name in abis)}"
    return f", on all but {' '.join(others)}"
