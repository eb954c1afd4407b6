"""The plain ledger's two steps: what a requester has is looked up once, then its requests are admitted.

Orders of checks: VT-d 7.1.3 (Table 30), AMD format notes 2 (VirtualBox), Arm IHI 0070 3.9.1.2 and 7.3.22,
RISC-V IOMMU chapter 3 (the process to translate an IOVA, steps 7 and 14).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import smmuv3_worlds
import test_amdvi
import test_riscv
import test_vtd

from iommu_abi.schemas import plain_walk
from iommu_abi.schemas.amdvi_entries import GCR3_ENTRY
from iommu_abi.schemas.context import Context
from iommu_abi.schemas.riscv_entries import PC
from iommu_abi.schemas.smmuv3_entries import CD
from iommu_abi.schemas.vtd_entries import SCALABLE_PASID_ENTRY
from iommu_abi.terms import Access, At, Request, Stage

TABLES = (Stage.DEVICE, Stage.PASID)
OTHER = 0x1000


@dataclass
class Asked:
    """A world whose reads are noted: the walk is in nested tables, for a PASID."""

    kind: str
    world: Any
    rid: int
    iova: int

    def __post_init__(self) -> None:
        self.reads: list[int] = []
        self.registers = self.world.unit.registers | self.world.registers
        self.pasid = self.world.request["pasid"]

    def read(self, address: int, length: int) -> bytes | None:
        """Memory."""
        self.reads.append(address)
        return self.world.host.read(address, length)

    def request(self, **changes: Any) -> Request:
        """The world's own request but for some changes."""
        return Request(**{"rid": self.rid, "iova": self.iova, "pasid": self.pasid} | changes)

    def look_up(self) -> Context:
        """What the requester has."""
        return plain_walk.look_up(self.kind, self.registers, self.read, self.rid, self.pasid)


def vtd() -> Asked:
    return Asked("vtd", test_vtd.nested(), test_vtd.RID, test_vtd.IOVA)


def amdvi() -> Asked:
    return Asked("amdvi", test_amdvi.nested(), test_amdvi.RID, test_amdvi.IOVA)


def smmuv3() -> Asked:
    return Asked("smmuv3", smmuv3_worlds.nested(), smmuv3_worlds.SID, smmuv3_worlds.IOVA)


def riscv() -> Asked:
    return Asked("riscv", test_riscv.nested(bits=8), test_riscv.DEVICE, test_riscv.IOVA)


WORLDS: dict[str, Callable[[], Asked]] = {"vtd": vtd, "amdvi": amdvi, "smmuv3": smmuv3, "riscv": riscv}


@pytest.mark.parametrize("kind", WORLDS)
def test_the_tables_of_a_requester_are_read_once_for_all_its_requests(kind: str) -> None:
    asked = WORLDS[kind]()
    context = asked.look_up()
    looked_up, asked.reads = set(asked.reads), []
    answers = [
        plain_walk.translate_in(context, asked.request(iova=asked.iova | at, access=access))
        for at in (0, 0x123, 0xFFF)
        for access in (Access.READ, Access.WRITE)
    ]

    tables = {ref.hpa for answer in answers for ref in answer.refs if ref.stage in TABLES}
    assert all(answer.fault is None for answer in answers)
    assert len(tables) >= 2
    assert tables <= looked_up
    assert asked.reads
    assert not tables & set(asked.reads)


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("at", At)
@pytest.mark.parametrize("access", [Access.READ, Access.WRITE, Access.EXEC])
@pytest.mark.parametrize("offset", [0x123, 1 << 40, 1 << 63], ids=hex)
def test_a_request_in_a_context_has_the_answer_of_one_by_itself(
    kind: str, at: At, access: Access, offset: int
) -> None:
    asked = WORLDS[kind]()
    context = asked.look_up()

    for priv in (False, True):
        request = asked.request(iova=asked.iova ^ offset, at=at, access=access, priv=priv)
        alone = plain_walk.translate(kind, asked.registers, asked.read, request)
        assert plain_walk.translate_in(context, request) == alone


def absent_pasid_entry(kind: str, world: Any) -> None:
    """Clear the valid bit of the entry by which a PASID finds its tables."""
    if kind == "vtd":
        world.host.edit(SCALABLE_PASID_ENTRY, world.pasid_entry, P=0)
    elif kind == "amdvi":
        world.gcr3.space.edit(GCR3_ENTRY, world.gcr3_entry, V=0)
    elif kind == "smmuv3":
        world.cds.space.edit(CD, world.cd, V=0)
    else:
        world.processes.space.edit(PC, world.pc, V=0)


#: Vendor -> what refuses the second request, by the device's own entry; and the codes of both.
REFUSED: dict[str, tuple[dict[str, Any], int, int]] = {
    "vtd": ({"at": At.TRANSLATION}, 0x59, 0x44),  # SPT.2, SCT.5: DTE is 0
    "amdvi": ({"at": At.TRANSLATION}, 2, 8),  # IO_PAGE_FAULT, INVALID_DEVICE_REQUEST: I is 0
    "smmuv3": ({"at": At.TRANSLATION}, 0x0A, 0x05),  # C_BAD_CD, F_BAD_ATS_TREQ: EATS is 0
    "riscv": ({"at": At.TRANSLATION}, 266, 260),  # PDT entry not valid, transaction type: EN_ATS is 0
}


@pytest.mark.parametrize("kind", WORLDS)
def test_what_is_wrong_behind_a_check_of_the_request_does_not_matter(kind: str) -> None:
    asked = WORLDS[kind]()
    absent_pasid_entry(kind, asked.world)
    context = asked.look_up()
    changes, of_tables, of_request = REFUSED[kind]

    by_tables = plain_walk.translate_in(context, asked.request()).fault
    refused = plain_walk.translate_in(context, asked.request(**changes))
    assert by_tables
    assert refused.fault
    assert (by_tables.native, by_tables.stage, by_tables.input) == (of_tables, Stage.PASID, asked.iova)
    assert (refused.fault.native, refused.fault.stage) == (of_request, Stage.DEVICE)
    assert {ref.stage for ref in refused.refs} == {Stage.DEVICE}


def test_a_context_is_of_one_requester_and_one_pasid() -> None:
    asked = vtd()
    context = asked.look_up()

    for changes in ({"rid": OTHER}, {"pasid": None}, {"pasid": asked.pasid + 1}):
        with pytest.raises(ValueError, match="the context is of rid 0x10, PASID 5"):
            plain_walk.translate_in(context, asked.request(**changes))


#: Registers with which nothing is looked at: VT-d 3.1, AMD 3.4.2, Arm IHI 0070 3.11, RISC-V ddtp Bare.
OFF: dict[str, dict[str, int]] = {
    "vtd": {"RTADDR": 0x1000, "GSTS": 0},
    "amdvi": {"DEVTAB_BASE": 0x1000, "CONTROL": 0},
    "smmuv3": {"STRTAB_BASE": 0x1000, "STRTAB_BASE_CFG": 8, "CR0": 0},
    "riscv": {"DDTP": 1},
}


@pytest.mark.parametrize("kind", OFF)
def test_a_unit_that_is_off_reads_nothing(kind: str) -> None:
    reads: list[int] = []

    context = plain_walk.look_up(kind, OFF[kind], lambda address, _: reads.append(address), 0x10)
    answer = plain_walk.translate_in(context, Request(0x10, 0x5000))
    assert (answer.fault, answer.hpa, answer.refs, reads) == (None, 0x5000, (), [])
