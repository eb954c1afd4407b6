"""Memory that the IOMMU itself reads, and that a device reaches: tables, queues."""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.audit import kinds
from iommu_abi.audit.findings import Clue, Finding, Spot, Spots, Who
from iommu_abi.audit.pages import PAGE_LG2, Pages
from iommu_abi.audit.survey import Domain, Survey, TablePage
from iommu_abi.mappings import Mapping
from iommu_abi.terms import Access, Request

PAGE = 1 << PAGE_LG2


def tables_reached(survey: Survey) -> Iterator[Finding]:
    """By domain: the pages of tables and queues that it can write, and those that it can only read."""
    pages = survey.table_pages()
    for domain in survey.domains.values():
        if domain.pages.meets(pages):
            yield from _of_domain(survey, domain, pages)


def _of_domain(survey: Survey, domain: Domain, pages: Pages) -> Iterator[Finding]:
    who = domain.who[0]
    spots: dict[kinds.FindingKind, Spots] = {}
    clues: dict[kinds.FindingKind, tuple[Clue, ...]] = {}
    for m in survey.again(domain):
        for page in pages.within(m.hpa, m.hpa_last):
            table = survey.tables[page]
            kind = _kind(domain, table, m)
            spot = _spot(m, page)
            spots.setdefault(kind, Spots()).add(spot)
            if kind not in clues:
                clues[kind] = (_table_clue(table), Clue("the device's way there", _request(who, spot)))
    for kind, found in spots.items():
        yield Finding(kind, tuple(domain.who), "", found, clues[kind])


def _kind(domain: Domain, table: TablePage, m: Mapping) -> kinds.FindingKind:
    if table.guest in domain.second:
        return kinds.GUEST_TABLE
    return kinds.TABLE_WRITABLE if m.access & Access.WRITE else kinds.TABLE_READABLE


def _spot(m: Mapping, page: int) -> Spot:
    hpa = max(page << PAGE_LG2, m.hpa)
    return Spot(m.first + hpa - m.hpa, hpa, min(PAGE, m.hpa_last - hpa + 1), m.access)


def _request(who: Who, spot: Spot) -> Request:
    assert spot.iova is not None
    assert spot.access is not None
    return who.request(spot.iova, Access.WRITE if spot.access & Access.WRITE else Access.READ)


def _table_clue(table: TablePage) -> Clue:
    if table.who is None or table.ref is None:
        return Clue(table.queue)
    return Clue("the IOMMU reads", table.who.request(table.iova), table.ref.hpa)
