"""Model drivers: what a host's IOMMU driver does with a guest's PASID table.

A driver owns a piece of host memory with the IOMMU's tables. Binding checks the whole request
first, then rewrites one context entry there, as the hardware driver does; unbinding puts the former
bytes back. docs/drivers.md has what each of them takes and writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from iommu_abi.errors import UsageError
from iommu_abi.iommu import Device, Domain, IommuOps, broken
from iommu_abi.memory import Memory
from iommu_abi.terms import Request, Translation
from iommu_abi.walk import Unit


def field(word: int, high: int, low: int) -> int:
    """Bits ``high``..``low`` of a word."""
    return word >> low & (1 << (high - low + 1)) - 1


def put(word: int, high: int, low: int, value: int) -> int:
    """The word with bits ``high``..``low`` replaced."""
    mask = (1 << (high - low + 1)) - 1
    return word & ~(mask << low) | (value & mask) << low


@dataclass(frozen=True, slots=True)
class Binding:
    """A bound device: where its context entry lies, and what stood there before, in 64-bit words."""

    at: int
    before: tuple[int, ...]


class Binder:
    """What the drivers share: the order of checks, all before the one change."""

    #: Kind of IOMMU, as the walk has it
    KIND: ClassVar[str]
    #: 64-bit words of a context entry that a binding may change
    WORDS: ClassVar[int]

    def __init__(self, memory: Memory, registers: Mapping[str, int]) -> None:
        """``memory``: host-physical, writable where context entries lie. ``registers``: the vendor's."""
        self.memory = memory
        self.registers = dict(registers)
        self.bindings: dict[int, Binding] = {}

    @cached_property
    def unit(self) -> Unit:
        """The IOMMU itself."""
        return Unit(self.KIND, self.registers)

    def translate(self, request: Request, *, trace: bool = False) -> Translation:
        """Where a DMA goes, through the tables as they are now."""
        return self.unit.translate(self.memory, request, trace=trace)

    def check(self, info: Any) -> None:
        """Refuse what this IOMMU cannot take, whatever the device."""
        raise NotImplementedError

    def capable(self, dev: Device) -> bool:
        """Can this device's requests with PASID be translated by a guest's table?"""
        raise NotImplementedError

    def context_address(self, dev: Device) -> int:
        """Host-physical address of the device's context entry; broken("bind.context") if there is none."""
        raise NotImplementedError

    def bound_context(self, dev: Device, before: tuple[int, ...], info: Any) -> tuple[int, ...]:
        """The context entry with the guest's table in it."""
        raise NotImplementedError

    def bind(self, dev: Device, info: Any) -> None:
        """Check everything, then rewrite the device's context entry."""
        self.check(info)
        if not dev.pasid or not self.capable(dev):
            raise broken("bind.pasid", repr(dev))
        if dev.rid in self.bindings:
            raise broken("bind.busy", repr(dev))
        at = self.context_address(dev)
        before = self.read_words(at, self.WORDS, dev)
        after = self.bound_context(dev, before, info)
        self.write_words(at, self.stores(before, after, bound=True))
        self.bindings[dev.rid] = Binding(at, before)

    def unbind(self, dev: Device) -> None:
        """Put the former context entry back."""
        if dev.rid not in self.bindings:
            raise broken("unbind.unbound", repr(dev))
        binding = self.bindings[dev.rid]
        now = self.read_words(binding.at, self.WORDS, dev)
        self.write_words(binding.at, self.stores(now, binding.before, bound=False))
        del self.bindings[dev.rid]

    def read_words(self, at: int, n: int, dev: Device) -> tuple[int, ...]:
        """64-bit words of the host's tables."""
        data = self.memory.read(at, 8 * n)
        if data is None:
            raise broken("bind.context", repr(dev), got=at)
        return tuple(int.from_bytes(data[i : i + 8], "little") for i in range(0, 8 * n, 8))

    def stores(self, old: tuple[int, ...], new: tuple[int, ...], *, bound: bool) -> Iterable[tuple[int, int]]:
        """Which word to store when, to make ``new`` of ``old``, which hardware may read at any time between.

        What it finds must mean ``old``, ``new`` or that nothing passes. Word 0 has the bit that makes a
        guest's table count: it comes last on the way in, and first on the way out.
        """
        order = range(len(new))
        return [(i, new[i]) for i in (reversed(order) if bound else order)]

    def write_words(self, at: int, stores: Iterable[tuple[int, int]]) -> None:
        """Store words of an entry, in this order."""
        region = self.memory.find(at, 8 * self.WORDS)
        if region is None or not region.writable:
            raise UsageError(f"the context entry at {at:#x} does not lie in writable memory")
        for i, word in stores:
            self.memory.write64(at + 8 * i, word)


class Driver(Binder, IommuOps):
    """A driver behind the seed's ABI: ``info`` is a pasid_table_info."""

    def bind_pasid_table(self, domain: Domain, dev: Device, info: Any) -> None:
        """Check everything, then rewrite the device's context entry."""
        self.bind(dev, info)

    def unbind_pasid_table(self, domain: Domain, dev: Device) -> None:
        """Put the former context entry back."""
        self.unbind(dev)


__all__ = ["Binder", "Binding", "Driver", "field", "put"]
