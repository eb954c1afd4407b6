"""Conformance cases: what a named source says that hardware or a kernel does, and what we do.

A case has ``format``, ``config``, ``memory`` (64-bit words by host-physical address, all else is
zero), ``input`` and ``expect``. A format is a row of :data:`FORMATS`: how its configuration becomes
registers and its input a request, or whatever else it takes to ask. Every case that is a walk is put to
both ledgers. Nothing here looks at a case's id or title.

Adding a format: a module here with a function from :class:`Case` to :class:`Outcome`, for a walk from the
parts of :class:`~iommu_abi.conform.walks.WalkFormat`, and its ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from iommu_abi.conform import bind, guest_entries, virtio
from iommu_abi.conform.cases import Case, Outcome, read_cases
from iommu_abi.conform.verdict import Verdict, judge
from iommu_abi.errors import Error
from iommu_abi.vendors import modules

__all__ = ["FORMATS", "Case", "Outcome", "Verdict", "read_cases", "run", "run_all"]

#: Format -> what asks for a case of it.
FORMATS: Mapping[str, Callable[[Case], Outcome]] = {
    name: form
    for module in (*modules("iommu_abi.conform"), bind, guest_entries, virtio)
    for name, form in module.FORMATS.items()
}


def run(case: Case) -> Verdict:
    """Ask and judge. A configuration that makes no sense fails its case; it stops nothing."""
    if case.format not in FORMATS:
        return Verdict(case, False, {}, {}, supported=False)
    try:
        outcome = FORMATS[case.format](case)
    except Error as error:
        outcome = Outcome({"error": str(error)})
    return judge(case, outcome)


def run_all(cases: list[Case]) -> Iterator[Verdict]:
    """One verdict after the other."""
    return map(run, cases)
