"""Each bit that a walk reads, changed alone, and each entry, cut short: both ledgers say the same.

The tables are those of the vendors' tests. What a changed bit does is not told here: a mask that one ledger
has a bit too short or too long shows as a difference, which World.ask() does not let pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import test_amdvi
import test_riscv
import test_smmuv3
import test_vtd

from iommu_abi.terms import Reason


def wide(world: Callable[..., Any], **sizes: Any) -> Any:
    """A stage of SMMUv3 with 64 KiB pages and addresses of 52 bits."""
    return test_smmuv3.with_registers(world(test_smmuv3.K64, wide=True, **sizes), test_smmuv3.WIDE)


def message() -> Any:
    """A message to an interrupt file in memory."""
    world = test_riscv.with_msi()
    world.msi.mrif(test_riscv.MSI_ADDRESS, 0x12_3456_7800, notice=0x9_8765_4000, data=0x5A3)
    return world


WORLDS: dict[str, Callable[[], Any]] = {
    "VT-d legacy": test_vtd.legacy,
    "VT-d extended, without PASID": lambda: test_vtd.extended(T=1),
    "VT-d extended, nested 4x3": lambda: test_vtd.extended(4, 3),
    "VT-d scalable, first stage": test_vtd.first_only,
    "VT-d scalable, second stage": test_vtd.second_only,
    "VT-d scalable, nested 4x3": lambda: test_vtd.nested(4, 3),
    "AMD v1": test_amdvi.v1,
    "AMD v2, GLX 2": lambda: test_amdvi.v2(glx=2),
    "AMD nested": lambda: test_amdvi.nested(3),
    "SMMUv3 stage 1": test_smmuv3.stage1,
    "SMMUv3 stage 2": test_smmuv3.stage2,
    "SMMUv3 stage 1, 52 bits": lambda: wide(test_smmuv3.stage1, cd={"IPS": 6}),
    "SMMUv3 stage 2, 52 bits": lambda: wide(test_smmuv3.stage2, S2PS=6),
    "SMMUv3 stage 1, 16 KiB": lambda: test_smmuv3.stage1(test_smmuv3.K16),
    "SMMUv3 stage 2, 16 KiB": lambda: test_smmuv3.stage2(test_smmuv3.K16),
    "SMMUv3 nested, two levels of CDs": lambda: test_smmuv3.nested(fmt=1, cdmax=7),
    "SMMUv3 two levels of streams": test_smmuv3.two_level,
    "RISC-V first stage": test_riscv.first_only,
    "RISC-V second stage": test_riscv.second_only,
    "RISC-V first stage, Sv32": lambda: test_riscv.first_only("Sv32"),
    "RISC-V processes, three levels of both": lambda: test_riscv.with_process(20, 3),
    "RISC-V nested, with processes": lambda: test_riscv.nested("Sv39", "Sv39", bits=17),
    "RISC-V MSI": test_riscv.with_msi,
    "RISC-V MSI, MRIF": message,
}
#: What is asked instead of the worlds' own request.
ASKED = {"VT-d extended, without PASID": {"pasid": None, "iova": 0x4000_0123}}


@pytest.mark.parametrize("name", WORLDS)
def test_both_ledgers_read_every_bit_of_a_walk_alike(name: str) -> None:
    world = WORLDS[name]()
    asked = ASKED.get(name, {})
    answer = world.ask(**asked)
    words = {ref.hpa + at for ref in answer.refs for at in range(0, ref.len, 8)}
    ends: Counter[bool] = Counter()
    for address in words:
        before = world.host.load(address)
        for bit in range(64):
            world.host.store(address, before ^ 1 << bit)
            ends[world.ask(**asked).fault is None] += 1
        world.host.store(address, before)

    assert answer.fault is None
    assert ends[True] + ends[False] == 64 * len(words)
    assert min(ends.values()) > 10  # some bits matter, some do not


@dataclass
class Cut:
    """Memory without the bytes from ``first`` to ``end``. They still lie in the buffer, but are nobody's."""

    host: Any
    first: int
    end: int

    def read(self, address: int, length: int) -> bytes | None:
        """What the plain ledger reads."""
        whole = address + length <= self.first or address >= self.end
        return self.host.read(address, length) if whole else None

    def runs(self) -> Iterator[tuple[int, memoryview]]:
        """What C reads."""
        for address, data in self.host.runs():
            view, last = memoryview(data), address + len(data)
            if address < self.first:
                yield address, view[: self.first - address]
            if self.end < last:
                yield max(address, self.end), view[max(0, self.end - address) :]


@pytest.mark.parametrize("name", WORLDS)
def test_an_entry_whose_last_bytes_are_not_there_is_unreadable(name: str) -> None:
    world = WORLDS[name]()
    asked = ASKED.get(name, {})
    host, refs = world.host, world.ask(**asked).refs
    for ref in refs:
        for missing in {1, 7, 8, ref.len - 1}:
            end = ref.hpa + ref.len
            world.host = Cut(host, end - missing, end)
            fault = world.ask(**asked).fault

            assert fault is not None
            assert (fault.reason, fault.entry_hpa, fault.stage) == (Reason.UNREADABLE, ref.hpa, ref.stage)
