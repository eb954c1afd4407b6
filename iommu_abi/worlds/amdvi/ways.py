"""What requests at AMD-Vi have to reach, and what they cannot.

Sources: AMD IOMMU specification (48882), 2.2 and 2.5; ``docs/walk.md`` for what it leaves open.
"""

from __future__ import annotations

from iommu_abi.terms import Purpose, Stage
from iommu_abi.worlds.ways import ANY, DEVICE, PASID, S1, S2, Cause, Named, Ways, levels

V1, V2, NESTED = "amdvi-v1", "amdvi-v2", "amdvi-nested"
ALL = (V1, V2, NESTED)
GUEST = (V2, NESTED)
HOST = (V1, NESTED)

_ENTRY = "NOT_PRESENT RESERVED UNREADABLE"

NAMED = (
    Named(ALL, DEVICE, levels(0), "RESERVED UNREADABLE", "device table entry: 2.2.2; events 1, 3"),
    Named(ALL, DEVICE, levels(0), "RID_RANGE", "beyond DEVTAB_BASE.Size"),
    Named(ALL, DEVICE, levels(0), "ABORTED", "TV=0"),
    Named(ALL, DEVICE, levels(0), "DENIED", "DTE.IR, IW"),
    Named(ALL, DEVICE, levels(0), "BLOCKED", "ATS without DTE.I; PASID without GV: event 8"),
    Named(ALL, DEVICE, levels(0), "INVALID", "Mode, HATS; GTEn, GLX, GuestPagingMode"),
    Named(ALL, DEVICE, levels(0), "INTERRUPT_RANGE", "what is no interrupt message, to 0xFEEx_xxxx"),
    Named(GUEST, DEVICE, levels(0), "PASID_RANGE", "2^(9 (GLX + 1)), PASmax"),
    Named(GUEST, PASID, levels(0, 2), _ENTRY, "GCR3 table, GLX 0 to 2: 2.2.6"),
    Named(GUEST, S1, levels(0, 4), _ENTRY, "v2 tables: 2.2.6"),
    Named(GUEST, S1, levels(0, 2), "PRIVILEGE", "U/S, judged at the leaf"),
    Named(GUEST, S1, levels(0, 2), "DENIED", "R/W, NX, judged at the leaf"),
    Named(GUEST, S1, levels(3, 4), "INPUT_RANGE", "not canonical, PASID 0 too wide; 4 and 5 levels"),
    Named(HOST, S2, levels(0, 5), _ENTRY, "v1 tables, Mode 1 to 6: 2.2.3"),
    Named(HOST, S2, levels(0, 4), "DENIED", "IR, IW, judged at the leaf"),
    Named(HOST, S2, levels(0, 1), "INPUT_RANGE", "beyond Mode 1, 2"),
    Named(HOST, S2, levels(2, 4), "INPUT_RANGE", "beyond Mode 3 to 5; skipped bits"),
    Named(HOST, S2, levels(5), "INPUT_RANGE", "skipped bits"),
    Named((NESTED,), S2, levels(0, 4), "UPDATE_DENIED", "A/D of v2 tables behind v1"),
)

CAUSES = (
    Cause(ALL, tuple(Stage), ANY, "OUTPUT_RANGE", "too high an address is RESERVED"),
    Cause(ALL, (S1, S2), ANY, "ACCESS_FLAG", "this hardware sets A/D itself: pt_stage.ad is AD_SET"),
    # Device and GCR3 tables.
    Cause(ALL, (DEVICE,), ANY, "NOT_PRESENT", "a DTE with V=0 lets pass"),
    Cause(ALL, (DEVICE,), ANY, "INPUT_RANGE", "Mode 0 has no limit"),
    Cause((V1,), (DEVICE,), ANY, "PASID_RANGE", "v1 serves no PASID: those are BLOCKED"),
    Cause(GUEST, (PASID,), ANY, "INTERRUPT_RANGE", "nothing translated: stage DEVICE"),
    Cause(GUEST, (PASID,), ANY, "INVALID BLOCKED INPUT_RANGE", "a GCR3 entry has only V and an address"),
    # Stages.
    Cause(ALL, (S1, S2), ANY, "INVALID", "decided in device or PASID tables"),
    Cause(GUEST, (S1,), levels(3, 4), "DENIED PRIVILEGE", "no pages at this level; rights count at the leaf"),
    Cause(GUEST, (S1,), levels(0, 2), "INPUT_RANGE", "4 or 5 levels: the top is 3 or 4"),
    Cause(ALL, (S1, S2), ANY, "INTERRUPT_RANGE", "the sources name the input only"),
    Cause(HOST, (S2,), ANY, "PRIVILEGE", "stage 2 has no user and supervisor"),
    Cause((V1,), (S2,), ANY, "UPDATE_DENIED", "there is no stage 1 to update"),
    Cause(HOST, (S2,), levels(5), "DENIED UPDATE_DENIED", "no page in the table of AMD level 6"),
)

WAYS = Ways(
    levels={
        V1: {DEVICE: range(1), S2: range(6)},
        V2: {DEVICE: range(1), PASID: range(3), S1: range(5)},
        NESTED: {DEVICE: range(1), PASID: range(3), S1: range(5), S2: range(6)},
    },
    named=NAMED,
    causes=CAUSES,
    codes=dict.fromkeys(ALL, "1 2 3 4 8"),
    silent={
        "5 6 7": "the command buffer",
        "9": "page requests",
        "a": "performance counters",
        "d e": "the RMP table of SEV-SNP",
    },
    purposes={NESTED: (Purpose.DATA, Purpose.S1_ENTRY, Purpose.PASID_ENTRY)},
    purpose_reasons=f"{_ENTRY} DENIED INPUT_RANGE",
)
