"""How the plain ledger cuts a size: against counting every address of small ranges."""

from __future__ import annotations

import random

import pytest

from iommu_abi.schemas.table_walk import apart_lg2, cut_lg2, without
from iommu_abi.terms import Translation

WIDTH = 10


def block(address: int, lg2: int) -> range:
    first = address >> lg2 << lg2
    return range(first, first + (1 << lg2))


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_range_apart_from_an_aligned_window_is_found(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(300):
        window = block(dice.randrange(1 << WIDTH), dice.randrange(WIDTH - 1))
        address = dice.choice([each for each in range(1 << WIDTH) if each not in window])

        found = apart_lg2(address, window.start)

        assert not set(block(address, found)) & set(window)
        assert set(block(address, found + 1)) & set(window)


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_range_within_what_is_taken_is_found(seed: int) -> None:
    """What is taken is one run of addresses, as what a stage takes is."""
    dice = random.Random(seed)
    for _ in range(300):
        first, last = sorted(dice.sample(range(1 << WIDTH), 2))
        address, most = dice.randint(first, last), dice.randrange(WIDTH + 1)

        found = cut_lg2(most, address, range(first, last + 1).__contains__)

        sizes = [lg2 for lg2 in range(most + 1) if set(block(address, lg2)) <= set(range(first, last + 1))]
        assert found == max(sizes)


def test_an_answer_keeps_a_size_that_is_small_enough() -> None:
    page = Translation(hpa=0xFED0_0000, size_lg2=12)

    assert without(page, 0xFED0_0000, 0xFEE0_0000) == page
    assert without(Translation(size_lg2=30), 0xFED0_0000, 0xFEE0_0000).size_lg2 == 21
