"""Pages that devices reach through different page tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iommu_abi.audit import kinds
from iommu_abi.audit.findings import Clue, Finding, Spot, Spots
from iommu_abi.audit.pages import Pages
from iommu_abi.audit.survey import Domain, Survey
from iommu_abi.mappings import mappings
from iommu_abi.terms import Access

SHOWN = 4  # domains of a finding that are explained; all are listed


def shared(survey: Survey) -> Iterator[Finding]:
    """One for each set of domains that have pages in common and belong to more than one device."""
    domains = list(survey.domains.values())
    for members, pages in _common([domain.pages for domain in domains]).items():
        those = [domains[i] for i in sorted(members)]
        if len({who.rid for domain in those for who in domain.who}) > 1:
            yield _finding(survey, those, pages)


def _common(sets: Sequence[Pages]) -> dict[frozenset[int], Pages]:
    """Which sets have which pages in common: for pages in more than one, by the set of their sets."""
    holders: dict[int, list[int]] = {}
    for i, pages in enumerate(sets):
        for block in pages.blocks:
            holders.setdefault(block, []).append(i)
    found: dict[frozenset[int], Pages] = {}
    for block, numbers in holders.items():
        if len(numbers) > 1:
            for members, bits in _split({i: sets[i].blocks[block] for i in numbers}).items():
                found.setdefault(members, Pages()).add_block(block, bits)
    return found


def _split(bits_of: dict[int, int]) -> dict[frozenset[int], int]:
    """The pages of a block that more than one set has, by those sets."""
    parts: dict[frozenset[int], int] = {}
    for i, bits in bits_of.items():
        rest = bits
        for members, theirs in list(parts.items()):
            both = theirs & bits
            if both:
                parts[members] = theirs & ~both
                parts[members | {i}] = parts.get(members | {i}, 0) | both
                rest &= ~both
        parts[frozenset({i})] = rest
    return {members: bits for members, bits in parts.items() if bits and len(members) > 1}


def _finding(survey: Survey, domains: Sequence[Domain], pages: Pages) -> Finding:
    spots = Spots(*(Spot(hpa=first, size=size) for first, size in pages.runs()))
    clues = tuple(_clue(survey, domain, pages) for domain in domains[:SHOWN])
    who = tuple(who for domain in domains for who in domain.who)
    return Finding(kinds.SHARED, who, "", spots, clues)


def _clue(survey: Survey, domain: Domain, pages: Pages) -> Clue:
    """The first way by which a domain reaches one of the pages."""
    who = domain.who[0]
    for m in mappings(survey.unit, survey.memory, who.rid, who.pasid):
        for page in pages.within(m.hpa, m.hpa_last):
            iova = m.first + max(0, (page << 12) - m.hpa)
            access = Access.WRITE if m.access & Access.WRITE else Access.READ
            return Clue(f"with rights {m.access}", who.request(iova, access))
    raise AssertionError("the domain reaches these pages")
