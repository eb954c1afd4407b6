"""The last byte of what a stage takes is translated, the next one is not: every format, both ledgers.

Widths: Intel VT-d 3.6 (canonical addresses), 3.7 and CAP.MGAW; AMD 48882 2.2.3 (levels of host tables) and
2.2.6; Arm IHI 0070 5.4 (TxSZ); RISC-V privileged specification, Sv32 to Sv57 and their x4 variants.
"""

from __future__ import annotations

import pytest
from ledgers import ask_both

from iommu_abi.schemas import build
from iommu_abi.schemas.amdvi_entries import EXT_FEATURES
from iommu_abi.schemas.smmuv3_entries import IDR5
from iommu_abi.schemas.vtd_entries import CAP
from iommu_abi.terms import Reason, Request, Stage

RID, PASID = 0x10, 5
TOP = (1 << 64) - 1
CANONICAL_48 = [((1 << 47) - 1, True), (1 << 47, False), (TOP - (1 << 47), False), (TOP, True)]
CANONICAL_57 = [((1 << 56) - 1, True), (1 << 56, False), (TOP - (1 << 56), False), (TOP, True)]


def flat(lg2: int) -> list[tuple[int, bool]]:
    """Tables that take addresses below 2^lg2."""
    return [((1 << lg2) - 1, True), (1 << lg2, False)]


def vtd_first(host: build.Memory, levels: int) -> tuple[build.Tables, dict[str, int]]:
    first, unit = build.VtdFirstStage(host, levels), build.VtdScalable(host)
    unit.pasid(RID, PASID, first)
    return first, unit.registers | {"CAP": CAP.value(MGAW=47, SAGAW=0b00100, FL5LP=1)}


def vtd_second(host: build.Memory, levels: int) -> tuple[build.Tables, dict[str, int]]:
    second, unit = build.VtdSecondStage(host, levels), build.VtdScalable(host)
    unit.pasid(RID, PASID, None, second)
    return second, unit.registers | {"CAP": CAP.value(MGAW=47, SAGAW=0b00110)}


def amd_host(host: build.Memory, levels: int) -> tuple[build.Tables, dict[str, int]]:
    tables, unit = build.AmdV1(host, levels), build.AmdUnit(host)
    unit.device(RID, tables, None)
    return tables, unit.registers


def amd_guest(host: build.Memory, levels: int) -> tuple[build.Tables, dict[str, int]]:
    tables, unit, gcr3 = build.AmdV2(host, levels), build.AmdUnit(host), build.Gcr3Table(host, 0)
    gcr3.set(PASID, tables)
    unit.device(RID, None, gcr3, GuestPagingMode=levels - 4)
    features = EXT_FEATURES.value(GTSup=1, GATS=1, GLXSup=2, PASmax=19, HATS=2, NXSup=1)
    return tables, unit.registers | {"EXT_FEATURES": features}


def smmu_first(host: build.Memory, bits: int) -> tuple[build.Tables, dict[str, int]]:
    first, unit, cds = build.SmmuStage1(host, tsz=64 - bits), build.SmmuUnit(host), build.CdTable(host)
    cds.set(0, first)
    unit.device(RID, cds)
    return first, unit.registers


def smmu_second(host: build.Memory, bits: int) -> tuple[build.Tables, dict[str, int]]:
    second, unit = build.SmmuStage2(host, tsz=64 - bits), build.SmmuUnit(host)
    unit.device(RID, None, second)
    return second, unit.registers


def riscv_first(host: build.Memory, bits: int) -> tuple[build.Tables, dict[str, int]]:
    unit = build.RiscvUnit(host, **({"FCTL": 4} if bits == 32 else {}))  # GXL: Sv32
    first = build.RiscvFirstStage(host, f"Sv{bits}")
    unit.device(RID, first)
    return first, unit.registers


def riscv_second(host: build.Memory, bits: int) -> tuple[build.Tables, dict[str, int]]:
    gxl = {"FCTL": 4} if bits == 32 else {}
    unit, second = build.RiscvUnit(host, **gxl), build.RiscvSecondStage(host, f"Sv{bits}")
    unit.device(RID, None, second, SXL=int(bits == 32))
    return second, unit.registers


CASES = {
    "VT-d first stage, 4 levels": ("vtd", vtd_first, 4, PASID, CANONICAL_48),
    "VT-d first stage, 5 levels": ("vtd", vtd_first, 5, PASID, CANONICAL_57),
    "VT-d second stage, 39 bits": ("vtd", vtd_second, 3, PASID, flat(39)),
    "VT-d second stage, 48 bits": ("vtd", vtd_second, 4, PASID, flat(48)),
    "AMD host tables, 3 levels": ("amdvi", amd_host, 3, None, flat(39)),
    "AMD host tables, 5 levels": ("amdvi", amd_host, 5, None, flat(57)),
    "AMD host tables, 6 levels": ("amdvi", amd_host, 6, None, [(TOP, True)]),
    "AMD guest tables, 4 levels": ("amdvi", amd_guest, 4, PASID, CANONICAL_48),
    "AMD guest tables, 5 levels": ("amdvi", amd_guest, 5, PASID, CANONICAL_57),
    "SMMUv3 stage 1, 48 bits": ("smmuv3", smmu_first, 48, None, flat(48)),
    "SMMUv3 stage 1, 39 bits": ("smmuv3", smmu_first, 39, None, flat(39)),
    "SMMUv3 stage 2, 40 bits": ("smmuv3", smmu_second, 40, None, flat(40)),
    "RISC-V Sv32": ("riscv", riscv_first, 32, None, flat(32)),
    "RISC-V Sv39": (
        "riscv",
        riscv_first,
        39,
        None,
        [((1 << 38) - 1, True), (1 << 38, False), (TOP - (1 << 38), False), (TOP, True)],
    ),
    "RISC-V Sv48": ("riscv", riscv_first, 48, None, CANONICAL_48),
    "RISC-V Sv57": ("riscv", riscv_first, 57, None, CANONICAL_57),
    "RISC-V Sv32x4": ("riscv", riscv_second, 32, None, flat(34)),
    "RISC-V Sv39x4": ("riscv", riscv_second, 39, None, flat(41)),
    "RISC-V Sv48x4": ("riscv", riscv_second, 48, None, flat(50)),
    "RISC-V Sv57x4": ("riscv", riscv_second, 57, None, flat(59)),
}


@pytest.mark.parametrize(("kind", "make", "size", "pasid", "edges"), CASES.values(), ids=CASES)
def test_a_stage_takes_its_last_byte_and_not_the_next(kind, make, size, pasid, edges) -> None:
    host = build.Memory()
    tables, registers = make(host, size)
    page = host.page()
    for edge, inside in edges:
        if inside:
            tables.map(edge & -build.PAGE, page)

    for edge, inside in edges:
        answer = ask_both(kind, registers, host, Request(RID, edge, pasid))
        if inside:
            assert answer.fault is None, hex(edge)
            assert answer.hpa == page + 0xFFF
        else:
            assert answer.fault is not None, hex(edge)
            assert answer.fault.reason is Reason.INPUT_RANGE
            assert answer.fault.stage in (Stage.S1, Stage.S2)
            assert answer.fault.entry_hpa is None


# Bits of the register that points to the first table: VT-d RTADDR 63:12 with HAW 52, AMD DEV_TAB_BAR 51:12,
# SMMU_STRTAB_BASE 51:6 with OAS 52, RISC-V ddtp.PPN of 44 bits.
FIRST_TABLES = {
    "VT-d": ("vtd", build.VtdLegacy, 52, {"HAW": 52}),
    "AMD": ("amdvi", build.AmdUnit, 52, {}),
    "SMMUv3": ("smmuv3", build.SmmuUnit, 52, {"IDR5": IDR5.value(OAS=6, GRAN4K=1)}),
    "RISC-V": ("riscv", lambda host: build.RiscvUnit(host, 1), 56, {}),
}


@pytest.mark.parametrize("name", FIRST_TABLES)
def test_every_address_bit_of_the_first_table_counts(name: str) -> None:
    kind, make, width, registers = FIRST_TABLES[name]
    for bit in range(20, width):
        host = build.Memory(1 << bit)
        unit = make(host)
        (unit.context if kind == "vtd" else unit.device)(RID)

        answer = ask_both(kind, unit.registers | registers, host, Request(RID, 0x1000))

        assert answer.refs[0].hpa >> bit == 1
        assert answer.refs[0].raw & 1 == 1
