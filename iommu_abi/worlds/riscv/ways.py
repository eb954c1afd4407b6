"""What requests at a RISC-V IOMMU have to reach, and what they cannot.

Sources: RISC-V IOMMU specification 1.0, chapter 3 (the process to translate an IOVA, context checks,
MSI address translation), 4.2 (causes); the privileged specification for Sv32 to Sv57;
``docs/walk_riscv.md`` for what they leave open.
"""

from __future__ import annotations

from iommu_abi.terms import Purpose, Stage
from iommu_abi.worlds.ways import ANY, DEVICE, PASID, S1, S2, Cause, Named, Ways, levels

STAGE_1, STAGE_2, NESTED = "riscv-s1", "riscv-s2", "riscv-nested"
ALL = (STAGE_1, STAGE_2, NESTED)
WITH_S1 = (STAGE_1, NESTED)
WITH_S2 = (STAGE_2, NESTED)

_ENTRY = "NOT_PRESENT RESERVED UNREADABLE"
_PAGE = "DENIED PRIVILEGE ACCESS_FLAG"

NAMED = (
    Named(ALL, DEVICE, levels(0, 2), _ENTRY, "device directory: 257, 258, 259"),
    Named(
        ALL, DEVICE, levels(0), "INVALID", "device-context configuration checks: 259; ddtp.iommu_mode: 256"
    ),
    Named(ALL, DEVICE, levels(0), "ABORTED", "ddtp.iommu_mode off: 256"),
    Named(ALL, DEVICE, levels(0), "BLOCKED", "EN_ATS, PDTV; Bare: 260"),
    Named(ALL, DEVICE, levels(0), "RID_RANGE", "device_id wider than the mode: 260"),
    Named(WITH_S1, DEVICE, levels(0), "PASID_RANGE", "process_id wider than pdtp.MODE: 260"),
    Named(WITH_S1, PASID, levels(0, 2), _ENTRY, "process directory: 265, 266, 267"),
    Named(WITH_S1, PASID, levels(0), "INVALID", "iosatp.MODE: 267"),
    Named(WITH_S1, PASID, levels(0), "BLOCKED", "ENS: 260"),
    Named(
        WITH_S1, S1, levels(0, 4), f"{_ENTRY} {_PAGE}", "first stage, pages at any level: 1, 5, 7, 12, 13, 15"
    ),
    Named(WITH_S1, S1, levels(1, 4), "INPUT_RANGE", "Sv32; Sv39, Sv48, Sv57: not canonical"),
    Named(
        WITH_S2, S2, levels(0, 4), f"{_ENTRY} {_PAGE}", "second stage: 20, 21, 23; at level 0 also 261-263"
    ),
    Named(WITH_S2, S2, levels(1, 4), "INPUT_RANGE", "GPA above 34, 41, 50, 59 bits, SXL: 34: 20, 21, 23"),
    Named(WITH_S2, S2, levels(0), "INVALID", "MSI page table entry with M=1 without MSI_MRIF: 263"),
    Named((NESTED,), S2, levels(0, 4), "UPDATE_DENIED", "A/D of the first stage: 20, 21, 23"),
)

_REQUESTS = "BLOCKED PASID_RANGE RID_RANGE ABORTED"

CAUSES = (
    Cause(
        ALL, tuple(Stage), ANY, "INTERRUPT_RANGE", "interrupts are ordinary writes, or lie in the MSI table"
    ),
    Cause(
        ALL,
        tuple(Stage),
        ANY,
        "OUTPUT_RANGE",
        "an entry beyond PAS is UNREADABLE; a final address is no fault",
    ),
    # Directories.
    Cause(ALL, (DEVICE,), ANY, "DENIED", "directories have no rights"),
    Cause(ALL, (DEVICE,), ANY, "INPUT_RANGE", "a Bare stage has no limit"),
    Cause(ALL, (DEVICE,), levels(1, 2), f"INVALID {_REQUESTS}", "the device context, or no entry, decides"),
    Cause(
        (STAGE_2,), (DEVICE,), ANY, "PASID_RANGE", "a process directory leads to a first stage, or is Bare"
    ),
    Cause(WITH_S1, (PASID,), ANY, "INPUT_RANGE", "a Bare stage has no limit"),
    Cause(WITH_S1, (PASID,), levels(1, 2), "INVALID BLOCKED", "the process context decides"),
    # Stages.
    Cause(WITH_S1, (S1,), levels(0), "INPUT_RANGE", "Sv32, the narrowest, has 2 levels"),
    Cause(WITH_S2, (S2,), levels(0), "INPUT_RANGE", "Sv32x4, the narrowest, has 2 levels"),
    Cause(WITH_S2, (S2,), levels(1, 4), "INVALID", "MSI page tables have one level"),
    Cause(WITH_S1, (S1,), ANY, "INVALID", "decided in the directories"),
    Cause((STAGE_2,), (S2,), ANY, "UPDATE_DENIED", "there is no first stage to update"),
)

_DEVICES = "100 101 102 103 104"
_PROCESSES = "109 10a 10b"
_FIRST = "1 5 7 c d f"
_SECOND = "1 5 7 14 15 17 105 106 107"

WAYS = Ways(
    levels={
        STAGE_1: {DEVICE: range(3), PASID: range(3), S1: range(5)},
        STAGE_2: {DEVICE: range(3), S2: range(5)},
        NESTED: {DEVICE: range(3), PASID: range(3), S1: range(5), S2: range(5)},
    },
    named=NAMED,
    causes=CAUSES,
    codes={
        STAGE_1: f"{_DEVICES} {_PROCESSES} {_FIRST}",
        STAGE_2: f"{_DEVICES} {_SECOND}",
        NESTED: f"{_DEVICES} {_PROCESSES} c d f {_SECOND}",
    },
    silent={
        "4 6": "misaligned atomics and loads: a walk knows no sizes of accesses",
        "108 10f": "the store into a memory-resident interrupt file, after the walk",
        "10c 10d 10e 112": "data corruption",
        "110 111": "internal errors, and the IOMMU's own interrupts",
    },
    purposes={NESTED: (Purpose.DATA, Purpose.S1_ENTRY, Purpose.PASID_ENTRY)},
    purpose_reasons=f"{_ENTRY} {_PAGE} INPUT_RANGE",
)
