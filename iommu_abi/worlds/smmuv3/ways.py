"""What requests at SMMUv3 have to reach, and what they cannot.

Sources: Arm IHI 0070, 3.4, 3.13, 5.2 to 5.4, 7.3; ``docs/walk_smmuv3.md`` for what it leaves open.
Streams that bypass count as the format of their world.
"""

from __future__ import annotations

from iommu_abi.terms import Purpose, Stage
from iommu_abi.worlds.ways import ANY, DEVICE, PASID, S1, S2, Cause, Named, Ways, levels

STAGE_1, STAGE_2, NESTED = "smmuv3-s1", "smmuv3-s2", "smmuv3-nested"
ALL = (STAGE_1, STAGE_2, NESTED)
WITH_S1 = (STAGE_1, NESTED)
WITH_S2 = (STAGE_2, NESTED)

_ENTRY = "NOT_PRESENT UNREADABLE OUTPUT_RANGE"

NAMED = (
    Named(ALL, DEVICE, levels(1), "UNREADABLE", "L1STD: F_STE_FETCH"),
    Named(ALL, DEVICE, levels(1), "NOT_PRESENT RESERVED RID_RANGE", "L1STD.Span: C_BAD_STREAMID"),
    Named(ALL, DEVICE, levels(0), "UNREADABLE NOT_PRESENT INVALID", "STE: 5.2; F_STE_FETCH, C_BAD_STE"),
    Named(ALL, DEVICE, levels(0), "ABORTED", "STE.Config 0xx; GBPA.ABORT"),
    Named(ALL, DEVICE, levels(0), "RID_RANGE", "STRTAB_BASE_CFG.LOG2SIZE: C_BAD_STREAMID"),
    Named(ALL, DEVICE, levels(0), "BLOCKED", "F_BAD_ATS_TREQ, F_TRANSL_FORBIDDEN; SubstreamID table of 5.2"),
    Named(WITH_S1, DEVICE, levels(0), "PASID_RANGE", "S1CDMax: C_BAD_SUBSTREAMID"),
    Named(WITH_S1, PASID, levels(1), "UNREADABLE NOT_PRESENT", "L1CD: F_CD_FETCH, C_BAD_SUBSTREAMID"),
    Named((STAGE_1,), PASID, levels(1), "OUTPUT_RANGE", "L1CD.L2Ptr: C_BAD_SUBSTREAMID"),
    Named(WITH_S1, PASID, levels(0), "UNREADABLE NOT_PRESENT INVALID", "CD: 5.4; F_CD_FETCH, C_BAD_CD"),
    Named(WITH_S1, S1, levels(0, 4), _ENTRY, "F_TRANSLATION, F_WALK_EABT, F_ADDR_SIZE"),
    Named(WITH_S1, S1, levels(0, 3), "ACCESS_FLAG DENIED", "leaf: F_ACCESS, F_PERMISSION"),
    Named(WITH_S1, S1, levels(0, 3), "PRIVILEGE", "AP[1]; at level 0 also E0PDx"),
    Named(WITH_S1, S1, levels(0, 4), "INPUT_RANGE", "TxSZ: F_TRANSLATION; level 0 also EPDx, and IAS"),
    Named((STAGE_2,), S1, levels(0), "INPUT_RANGE", "stage 1 is off, IAS: F_ADDR_SIZE"),
    Named(WITH_S2, S2, levels(0, 4), _ENTRY, "F_TRANSLATION, F_WALK_EABT, F_ADDR_SIZE"),
    Named(WITH_S2, S2, levels(0, 3), "ACCESS_FLAG DENIED", "leaf: F_ACCESS, F_PERMISSION"),
    Named(WITH_S2, S2, levels(0, 4), "INPUT_RANGE", "S2T0SZ: F_TRANSLATION"),
    Named((NESTED,), S2, levels(0, 3), "UPDATE_DENIED", "AF and dirty state of stage 1: 7.3.16"),
)

_LEAF = "no blocks at this level; rights and AF count at the leaf"
_OTHERS = "NOT_PRESENT RESERVED UNREADABLE DENIED PRIVILEGE OUTPUT_RANGE ACCESS_FLAG UPDATE_DENIED INVALID"

CAUSES = (
    Cause(ALL, tuple(Stage), ANY, "INTERRUPT_RANGE", "interrupts are ordinary writes here"),
    # Stream table.
    Cause(ALL, (DEVICE,), ANY, "DENIED", "stream tables have no rights"),
    Cause(ALL, (DEVICE,), ANY, "INPUT_RANGE", "with stage 1 off it is stage 1 that has a limit, IAS"),
    Cause(
        ALL,
        (DEVICE,),
        ANY,
        "OUTPUT_RANGE",
        "pointers: of an STE INVALID, of an L1STD UNREADABLE",
    ),
    Cause(ALL, (DEVICE,), levels(0), "RESERVED", "what an STE may not hold makes it ILLEGAL: INVALID"),
    Cause(ALL, (DEVICE,), levels(1), "INVALID BLOCKED PASID_RANGE ABORTED", "the STE, or no entry, decides"),
    Cause((STAGE_2,), (DEVICE,), ANY, "PASID_RANGE", "without stage 1 every SubstreamID is BLOCKED"),
    # CD tables.
    Cause(WITH_S1, (PASID,), ANY, "RESERVED", "what a CD may not hold makes it ILLEGAL: INVALID"),
    Cause(WITH_S1, (PASID,), ANY, "BLOCKED INPUT_RANGE", "decided by the STE, or by stage 1"),
    Cause(WITH_S1, (PASID,), levels(1), "INVALID", "an L1CD has only V and a pointer"),
    Cause((NESTED,), (PASID,), levels(1), "OUTPUT_RANGE", "L2Ptr is an IPA: stage 2 judges it"),
    Cause(WITH_S1, (PASID,), levels(0), "OUTPUT_RANGE", "a TTB out of range makes the CD ILLEGAL: INVALID"),
    # Stages.
    Cause((STAGE_2,), (S1,), ANY, _OTHERS, "stage 1 is off"),
    Cause(ALL, (S1, S2), ANY, "INVALID", "the STE and the CD decide"),
    Cause(ALL, (S1, S2), ANY, "RESERVED", "descriptors that mean nothing are NOT_PRESENT"),
    Cause(WITH_S1, (S1,), levels(4), "DENIED PRIVILEGE ACCESS_FLAG", _LEAF),
    Cause(WITH_S2, (S2,), ANY, "PRIVILEGE", "stage 2 knows privilege for execution alone, which is DENIED"),
    Cause(WITH_S2, (S2,), levels(4), "DENIED ACCESS_FLAG UPDATE_DENIED", _LEAF),
    Cause((STAGE_2,), (S2,), ANY, "UPDATE_DENIED", "there is no stage 1 to update"),
)

WAYS = Ways(
    levels={
        STAGE_1: {DEVICE: range(2), PASID: range(2), S1: range(5)},
        STAGE_2: {DEVICE: range(2), S1: range(1), S2: range(5)},
        NESTED: {DEVICE: range(2), PASID: range(2), S1: range(5), S2: range(5)},
    },
    named=NAMED,
    causes=CAUSES,
    codes={
        STAGE_1: "0 2 3 4 5 6 7 8 9 a b 10 11 12 13",
        STAGE_2: "0 2 3 4 5 7 8 b 10 11 12 13",
        NESTED: "0 2 3 4 5 6 7 8 9 a b 10 11 12 13",
    },
    silent={
        "1": "unsupported upstream transactions",
        "20 21": "TLB and configuration caches, which a walk does not have",
        "24": "page requests",
        "25": "the VMS of MPAM",
    },
    purposes={NESTED: (Purpose.DATA, Purpose.S1_ENTRY, Purpose.PASID_ENTRY)},
    purpose_reasons=f"{_ENTRY} ACCESS_FLAG DENIED INPUT_RANGE",
)
