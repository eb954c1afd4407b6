"""Mappings through which a device may write and execute the same page."""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.audit import kinds
from iommu_abi.audit.findings import Clue, Finding
from iommu_abi.audit.survey import Survey
from iommu_abi.terms import Access


def executable(survey: Survey) -> Iterator[Finding]:
    """One finding for each domain; milder without PASID, as such requests cannot signal execution."""
    for domain in survey.domains.values():
        if not domain.executable.count:
            continue
        for kind, who in (
            (kinds.EXECUTABLE_PASID, tuple(w for w in domain.who if w.pasid is not None)),
            (kinds.EXECUTABLE, tuple(w for w in domain.who if w.pasid is None)),
        ):
            if who:
                request = who[0].request(domain.executable.kept[0].iova or 0, Access.WRITE)
                yield Finding(kind, who, "", domain.executable, (Clue("the first page", request),))
