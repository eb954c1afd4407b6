"""Pages that devices reach through different page tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iommu_abi.audit import kinds
from iommu_abi.audit.findings import Clue, Finding, Spot, Spots
from iommu_abi.audit.pages import Pages
from iommu_abi.audit.survey import Domain, Survey
from iommu_abi.terms import Access

SHOWN = 4  # domains of a finding that are explained; all are listed


def shared(survey: Survey) -> Iterator[Finding]:
    """One finding for each group of domains that belong to several devices and share pages."""
    domains = list(survey.domains.values())
    for members, pages in _common([domain.pages for domain in domains]).items():
        those = [domains[i] for i in sorted(members)]
        if len({who.rid for domain in those for who in domain.who}) > 1:
            yield from _findings(survey, those, pages)


def _common(sets: Sequence[Pages]) -> dict[frozenset[int], Pages]:
    """Map each group of sets, by their numbers, to the pages that exactly these sets share."""
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
    """Map each group of sets to the pages of one block that exactly these sets have."""
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


def _findings(survey: Survey, domains: Sequence[Domain], pages: Pages) -> Iterator[Finding]:
    """What they share in memory, and what outside of it."""
    regions = list(survey.memory)
    first, last = (regions[0].first, regions[-1].last) if regions else (0, -1)
    inside, outside = Spots(), Spots()
    for hpa, size in pages.runs():
        (inside if first <= hpa <= last else outside).add(Spot(hpa=hpa, size=size))
    who = tuple(who for domain in domains for who in domain.who)
    for kind, spots in ((kinds.SHARED, inside), (kinds.SHARED_DEVICE, outside)):
        if spots.count:
            clues = tuple(_clue(survey, domain, spots.kept[0]) for domain in domains[:SHOWN])
            yield Finding(kind, who, "", spots, clues)


def _clue(survey: Survey, domain: Domain, spot: Spot) -> Clue:
    """How a domain reaches the first of the pages."""
    who, hpa = domain.who[0], spot.hpa or 0
    for m in survey.again(domain):
        if m.hpa <= hpa <= m.hpa_last:
            access = Access.WRITE if m.access & Access.WRITE else Access.READ
            return Clue(f"with rights {m.access}", who.request(m.first + hpa - m.hpa, access))
    return Clue("where was not looked for again: that was done too often")
