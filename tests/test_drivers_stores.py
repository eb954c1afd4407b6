"""Between two stores of bind and unbind a DMA finds the state before, the one after, or is refused.

Hardware reads a context entry whenever it likes, so a driver must bear every state that it leaves between two
stores. Both ledgers are asked in each. Wherever a table could wrongly be looked for (at its address without
some of the pieces, at 0) there is one that lets through what must not pass.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from iommu_abi import Access, At, Device, Domain, Memory, Request
from iommu_abi.drivers.amdvi import AmdviDriver
from iommu_abi.drivers.riscv import RiscvDriver
from iommu_abi.drivers.vtd import VtdDriver
from iommu_abi.ledgers import ask
from iommu_abi.uapi import v1_2017

RID = 0x18
IOVA = 0x7000_0123
#: What a device may ask: without PASID, with some that the guest's table has, with one that it has not.
REQUESTS = [
    Request(RID, IOVA, pasid=pasid, access=access, priv=priv, at=at)
    for pasid in (None, 0, 1, 0xFF)
    for access in (Access.READ, Access.WRITE)
    for priv in (False, True)
    for at in At
]


class Watched(Memory):
    """Memory that calls back before and after every store."""

    between: Callable[[], object] | None = None

    def write64(self, address: int, value: int) -> None:
        super().write64(address, value)
        if self.between:
            self.between()


def answers(driver: Any) -> list[tuple[Any, ...] | None]:
    """What each request gets now; None: nothing."""
    found: list[tuple[Any, ...] | None] = []
    for request in REQUESTS:
        both = ask(driver.unit, driver.memory, request)
        assert both.differences == ()
        fast = both.fast
        found.append(None if fast.fault else (fast.hpa, fast.target, fast.access))
    return found


States = list[list[tuple[Any, ...] | None]]


def states(driver: Any, change: Callable[[], object]) -> States:
    """The answers before a change, after each of its stores, and after it."""
    seen = [answers(driver)]
    driver.memory.between = lambda: seen.append(answers(driver))
    change()
    driver.memory.between = None
    return [*seen, answers(driver)]


def never_anything_else(seen: States) -> None:
    for state in seen:
        for request, was, now, then in zip(REQUESTS, seen[0], state, seen[-1], strict=True):
            assert now in (was, then, None), request


def blocked_then_the_guests_then_blocked(bind: States, unbind: States, *, words: int) -> None:
    """A write with PASID 1 is; and ``words`` of an entry change each way, with nothing else in between."""
    never_anything_else(bind)
    never_anything_else(unbind)
    assert len(bind) >= 2 + words
    assert len(unbind) >= 2 + words
    i = REQUESTS.index(Request(RID, IOVA, pasid=1, access=Access.WRITE))
    assert (bind[0][i], unbind[-1][i]) == (None, None)
    assert bind[-1][i] == unbind[0][i]
    assert bind[-1][i] is not None
    assert bind[-1][i][0] == 0x4000_0123


class Ram:
    """Pages of host memory by address; GPA is HPA, but for what a test maps elsewhere."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}

    def put(self, address: int, *words: int) -> None:
        for i, word in enumerate(words):
            at = address + 8 * i
            struct.pack_into("<Q", self.pages.setdefault(at >> 12, bytearray(4096)), at & 0xFFF, word)

    def memory(self) -> Watched:
        memory = Watched()
        memory.map_many([(page << 12, data) for page, data in self.pages.items()], writable=True)
        return memory


# ---------------------------------------------------------------- AMD-Vi

DEVTAB, HOST_ROOT = 0x10_0000, 0x20_0000
RW = 3 << 61


def host_tables(ram: Ram) -> None:
    """v1, 4 levels: GPA is HPA in the first 512 GiB, by one page of 512 GiB."""
    ram.put(HOST_ROOT, 1 | RW)


def guest_tables(ram: Ram, gcr3: int, root: int, target: int) -> None:
    """GCR3 entries 0 and 1, and 4 levels that map a page of 2 MiB at 0x7000_0000."""
    ram.put(gcr3, root | 1, root | 1)
    ram.put(root, root + 0x1000 | 7)
    ram.put(root + 0x1000 + 8, root + 0x2000 | 7)
    ram.put(root + 0x2000 + 8 * 384, target | 0x87)


# all three pieces of GCR3TRP: bits 51:31, 30:15, 14:12
GCR3 = 0x12_4800_0000 | 0x1_8000 | 0x5000


def amd(q1: int = 0x77 | 1 << 32) -> tuple[AmdviDriver, dict[str, Any]]:
    ram = Ram()
    host_tables(ram)
    guest_tables(ram, GCR3, 0x60_0000, 0x4000_0000)
    for n, part in enumerate([0x5000, 0x1_D000, 0x12_4800_5000, 0x1_8000, 0, 0x12_4801_8000, 0x12_4800_0000]):
        guest_tables(ram, part, 0x70_0000 + 0x1_0000 * n, 0x5000_0000 + 0x20_0000 * n)
    ram.put(DEVTAB + RID * 32, 3 | 4 << 9 | HOST_ROOT | RW, q1, 0, 0)
    registers = {"DEVTAB_BASE": DEVTAB}
    return AmdviDriver(ram.memory(), registers), {"ptr": GCR3, "size": 4096}


@pytest.mark.parametrize("flags", [0, 2])
def test_amd_between_two_stores_of_bind_and_unbind(flags: int) -> None:
    driver, table = amd()
    payload = struct.pack("=II", 1, flags)

    bind = states(driver, lambda: driver.bind_gcr3_table(Device(RID), **table, payload=payload))
    unbind = states(driver, lambda: driver.unbind_gcr3_table(Device(RID)))

    blocked_then_the_guests_then_blocked(bind, unbind, words=3)


# ---------------------------------------------------------------- RISC-V

DDT, SECOND = 0x10_0000, 0x20_0000
PDT = 0x4C00_5000
PTE = 0xC7  # V, R, W, A, D; no U
LEAF = PTE | 0x18  # U and X


def second_stage(ram: Ram) -> None:
    """Sv39x4: GPA is HPA in the first 4 GiB, by pages of 1 GiB."""
    for i in range(4):
        ram.put(SECOND + 8 * i, i << 28 | LEAF)


def processes(ram: Ram, pdt: int, root: int, target: int) -> None:
    """Processes 0 and 1, V and ENS and SUM, and Sv39 with a page of 2 MiB at 0x7000_0000."""
    for process in (0, 1):
        ram.put(pdt + 16 * process, 7, 8 << 60 | root >> 12)
    ram.put(root + 8, root + 0x1000 >> 2 | 1)
    ram.put(root + 0x1000 + 8 * 384, target >> 2 | LEAF)


@pytest.mark.parametrize("tc", [1, 1 | 2, 1 | 2 | 8])
@pytest.mark.parametrize("extended", [0, 1])
@pytest.mark.parametrize("flags", [0, 1])
def test_riscv_between_two_stores_of_bind_and_unbind(tc: int, extended: int, flags: int) -> None:
    ram = Ram()
    second_stage(ram)
    processes(ram, PDT, 0x60_0000, 0x4000_0000)
    processes(ram, 0, 0x70_0000, 0x5000_0000)
    size = 64 if extended else 32
    ram.put(DDT + RID * size, tc, 8 << 60 | SECOND >> 12, 0, 0, 0, 0, 0, 0)
    capabilities = 0x10 | 0xF << 8 | 0xF << 16 | extended << 22 | 7 << 24 | 56 << 32 | 7 << 38
    driver = RiscvDriver(ram.memory(), {"DDTP": 2 | DDT >> 12 << 10, "CAPABILITIES": capabilities})
    payload = struct.pack("=II", 1, flags)

    bind = states(driver, lambda: driver.bind_process_directory(Device(RID), PDT, 4096, payload=payload))
    unbind = states(driver, lambda: driver.unbind_process_directory(Device(RID)))

    blocked_then_the_guests_then_blocked(bind, unbind, words=2)


# ---------------------------------------------------------------- VT-d, extended mode

ROOT_TABLE, CONTEXTS, SLPT = 0x10_0000, 0x10_1000, 0x20_0000
PASID_TABLE = 0x4C00_5000
ECS_ALL = (
    1 << 2 | 1 << 6 | 1 << 24 | 1 << 25 | 1 << 26 | 1 << 29 | 1 << 30 | 1 << 31 | 1 << 34 | 19 << 35 | 1 << 40
)


def second_level(ram: Ram) -> None:
    """4 levels: GPA is HPA in the first 4 GiB, by pages of 1 GiB."""
    ram.put(SLPT, SLPT + 0x1000 | 3)
    for i in range(4):
        ram.put(SLPT + 0x1000 + 8 * i, i << 30 | 0x83)


def first_level(ram: Ram, table: int, root: int, target: int) -> None:
    """PASIDs 0 to 15, SRE, and 4 levels with a page of 2 MiB at 0x7000_0000."""
    ram.put(table, *[root | 1 << 11 | 1] * 16)
    ram.put(root, root + 0x1000 | 0x67)
    ram.put(root + 0x1000 + 8, root + 0x2000 | 0x67)
    ram.put(root + 0x2000 + 8 * 384, target | 0xE7)


@pytest.mark.parametrize("type_", [0, 1, 2])
@pytest.mark.parametrize("ats", [False, True])
@pytest.mark.parametrize("payload", [b"", struct.pack("=IIII", 1, 0x1FF, 0x0606_0606, 6)])
def test_vtd_between_two_stores_of_bind_and_unbind(type_: int, ats: bool, payload: bytes) -> None:
    # revision history of 2.3: software keeps a present entry consistent at each moment while it changes it
    ram = Ram()
    second_level(ram)
    first_level(ram, PASID_TABLE, 0x60_0000, 0x4000_0000)
    first_level(ram, 0, 0x70_0000, 0x5000_0000)  # where PASIDPTR leads without its bits
    ram.put(ROOT_TABLE, CONTEXTS | 1)
    ram.put(CONTEXTS + RID * 32, SLPT | type_ << 2 | 1, 7 << 8 | 2, 0, 0)
    registers = {"RTADDR": ROOT_TABLE | 2 << 10, "CAP": 47 << 16 | 4 << 8 | 3 << 34 | 6, "ECAP": ECS_ALL}
    driver = VtdDriver(ram.memory(), registers)
    domain, device = Domain(driver), Device(RID, ats=ats)
    info = v1_2017.pasid_table_info(ptr=PASID_TABLE, size=4096, opaque=payload)

    bind = states(driver, lambda: domain.bind_pasid_table(device, info))
    unbind = states(driver, lambda: domain.unbind_pasid_table(device))

    blocked_then_the_guests_then_blocked(bind, unbind, words=3)
