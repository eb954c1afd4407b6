"""What the module of a vendor offers to the plain ledger."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from iommu_abi.schemas.context import Unit
from iommu_abi.schemas.entries import Layout
from iommu_abi.terms import Ref
from iommu_abi.vendors import KINDS

#: A reference and all bytes of its entry.
Step = tuple[Ref, bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """What a vendor's module offers.

    ``describe(registers, before, ref, data)`` names the type of an entry and its layout;
    ``before`` are the references that came earlier, whose contents may decide it.
    """

    unit: Callable[[Mapping[str, int]], Unit]
    describe: Callable[[Mapping[str, int], Sequence[Step], Ref, bytes], tuple[str, Layout]]


def format_of(kind: str) -> Format:
    """Return what a kind of IOMMU offers; ValueError if there is none of that name."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind of IOMMU {kind!r}")
    found: Format = importlib.import_module(f"{__package__}.{kind}").FORMAT
    return found
