"""Neighbours in an enumeration that are told as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from iommu_abi.mappings.budget import OutOfSteps

T = TypeVar("T")


def joined(found: Iterator[T], longer: Callable[[T, T], T | None]) -> Iterator[T]:
    """Runs as long as ``longer(run, next)`` makes one of two; the last one also where the budget ends."""
    run: T | None = None
    try:
        for each in found:
            made = None if run is None else longer(run, each)
            if run is not None and made is None:
                yield run
            run = each if made is None else made
    except OutOfSteps:  # as far as it was looked at
        if run is not None:
            yield run
        raise
    if run is not None:
        yield run
