"""Both ledgers asked the same: each fact of a format is tested on the C walk and on the plain one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from iommu_abi.ledgers import compare
from iommu_abi.memory import Memory
from iommu_abi.schemas import build, plain
from iommu_abi.terms import Request, Translation
from iommu_abi.walk import Unit


def image(host: build.Memory) -> Memory:
    """The builder's pages as an image that C can read."""
    memory = Memory()
    memory.map_many(host.runs())
    return memory


def ask_both(kind: str, registers: Mapping[str, int], host: build.Memory, request: Request) -> Translation:
    """The answer of both ledgers; AssertionError where they differ, or where a trace changes C's answer."""
    memory, unit = image(host), Unit(kind, registers)
    fast = unit.translate(memory, request, trace=True)
    slow = plain.translate(kind, registers, host.read, request)

    assert compare(fast, slow) == ()
    assert unit.translate(memory, request) == replace(fast, refs=())
    return fast
