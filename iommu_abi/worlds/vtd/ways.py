"""What requests at VT-d have to reach, and what they cannot.

Sources: Intel VT-d specification 5.10, chapters 3, 4, 7 and 9; specification 2.x, 3.6 to 3.8 and 9.4,
for extended mode; ``docs/walk.md`` for what they leave open.
"""

from __future__ import annotations

from iommu_abi.terms import Purpose, Stage
from iommu_abi.worlds.ways import ANY, DEVICE, PASID, S1, S2, Cause, Named, Ways, levels

LEGACY, ECS, SCALABLE = "vtd-legacy", "vtd-ecs", "vtd-scalable"
ALL = (LEGACY, ECS, SCALABLE)
WITH_PASID = (ECS, SCALABLE)

_ENTRY = "NOT_PRESENT RESERVED UNREADABLE"

NAMED = (
    Named(ALL, DEVICE, levels(1), _ENTRY, "root entry: VT-d 9.1, 9.2; 7.1 LRT.1-3, SRT.1-3"),
    Named(ALL, DEVICE, levels(0), _ENTRY, "context: VT-d 9.3, 9.4; 7.1 LCT.1-3, SCT.1-3"),
    Named(ALL, DEVICE, levels(0), "INVALID", "LCT.4; ECS as LCT.4; RTADDR.TTM that the unit lacks: RTA.1"),
    Named(ALL, DEVICE, levels(0), "BLOCKED", "LCT.5, SCT.5, SCT.6; RTA.2; 2.x 3.6 for ECS"),
    Named(ALL, DEVICE, levels(0), "ABORTED", "RTADDR.TTM 3: RTA.4"),
    Named(ALL, DEVICE, levels(0), "INTERRUPT_RANGE", "LGN.4, SGN.8 where nothing was translated"),
    Named(ALL, DEVICE, levels(0), "INPUT_RANGE", "LGN.1, SGN.4.1: passed through or translated already"),
    Named(WITH_PASID, DEVICE, levels(0), "PASID_RANGE", "SCT.4.2, SCT.7, SGN.10; 2.x 3.6: PTS"),
    Named((SCALABLE,), PASID, levels(1), _ENTRY, "PASID directory: 9.5; SPD.1-3"),
    Named(WITH_PASID, PASID, levels(0), _ENTRY, "PASID entry: 9.6; SPT.1-3; 2.x 9.5"),
    Named(WITH_PASID, PASID, levels(0), "BLOCKED", "SPT.5, SPT.6; 2.x 3.6: SRE"),
    Named((SCALABLE,), PASID, levels(0), "INVALID", "SPT.4"),
    Named((SCALABLE,), PASID, levels(0), "INPUT_RANGE", "SGN.4 for pass-through"),
    Named(WITH_PASID, S1, levels(0, 4), _ENTRY, "first stage: 9.7; SFL.1-3"),
    Named(WITH_PASID, S1, levels(0, 2), "PRIVILEGE", "U/S, judged at the leaf: SGN.2"),
    Named(WITH_PASID, S1, levels(0, 2), "DENIED", "R/W, XD, SMEP, judged at the leaf: SGN.3, SGN.6"),
    Named(WITH_PASID, S1, levels(3, 4), "INPUT_RANGE", "not canonical, 4 and 5 levels: SGN.1"),
    Named(WITH_PASID, S1, levels(0), "INTERRUPT_RANGE", "output of the first stage alone: SGN.8"),
    Named((SCALABLE,), S1, levels(0, 4), "UPDATE_DENIED", "A/D of the first stage, not snooped: SFS.9"),
    Named(ALL, S2, levels(0, 4), _ENTRY, "second stage, AW 1 to 3: 9.8; LSS.1-2, LGN.2-3, SSS.1-4"),
    Named(ALL, S2, levels(0, 2), "DENIED", "R, W, X, judged at the leaf: LGN.2-3, SGN.3, 6, 7; SFL.6-7"),
    Named(ALL, S2, levels(2, 4), "INPUT_RANGE", "above min(MGAW, AGAW), AW 1 to 3: LGN.1, SGN.5, SFS.5"),
    Named(ALL, S2, levels(0), "INTERRUPT_RANGE", "output of the second stage: LGN.4, SGN.8"),
    Named(WITH_PASID, S2, levels(0, 2), "UPDATE_DENIED", "A/D of the first stage: SFS.8; 2.x 3.8"),
    Named((SCALABLE,), S2, levels(3, 4), "UPDATE_DENIED", "A/D of the second stage, not snooped: SSS.5"),
)

_ABOVE_0 = levels(1, 4)
_LEAF = "no pages at this level; rights count at the leaf"

CAUSES = (
    Cause(ALL, tuple(Stage), ANY, "OUTPUT_RANGE", "too high an address is RESERVED"),
    Cause(ALL, (S1, S2), ANY, "ACCESS_FLAG", "this hardware sets A/D itself: pt_stage.ad is AD_SET"),
    # Device tables.
    Cause(ALL, (DEVICE,), ANY, "RID_RANGE", "a root table has 256 entries for 256 buses"),
    Cause(ALL, (DEVICE,), ANY, "DENIED", "root and context have no rights"),
    Cause(ALL, (DEVICE,), _ABOVE_0, "INVALID BLOCKED ABORTED", "the context, or no entry, decides: level 0"),
    Cause(ALL, (DEVICE,), _ABOVE_0, "PASID_RANGE", "the context decides: level 0"),
    Cause(ALL, (DEVICE,), _ABOVE_0, "INPUT_RANGE INTERRUPT_RANGE", "no entry decides: level 0"),
    Cause((LEGACY,), (DEVICE,), ANY, "PASID_RANGE", "legacy mode blocks every PASID"),
    # PASID tables.
    Cause(ALL, (PASID,), ANY, "INTERRUPT_RANGE", "nothing translated: stage DEVICE"),
    Cause((SCALABLE,), (PASID,), levels(1), "INVALID BLOCKED INPUT_RANGE", "a directory has only P and FPD"),
    Cause((ECS,), (PASID,), ANY, "INVALID", "an entry chooses only FLPM, which is reserved without FL5LP"),
    Cause((ECS,), (PASID,), ANY, "INPUT_RANGE", "a PASID entry always has a first stage"),
    # Stages.
    Cause(ALL, (S1, S2), ANY, "INVALID", "decided in device or PASID tables"),
    Cause(ALL, (S1,), levels(3, 4), "DENIED PRIVILEGE", _LEAF),
    Cause(ALL, (S1,), levels(0, 2), "INPUT_RANGE", "4 or 5 levels: the top is 3 or 4"),
    Cause(ALL, (S1, S2), _ABOVE_0, "INTERRUPT_RANGE", "the final address has no entry: level 0"),
    Cause(ALL, (S2,), ANY, "PRIVILEGE", "stage 2 has no user and supervisor"),
    Cause(ALL, (S2,), levels(3, 4), "DENIED", _LEAF),
    Cause(ALL, (S2,), levels(0, 1), "INPUT_RANGE", "the narrowest second stage, AW 1, has 3 levels"),
    Cause((LEGACY,), (S2,), ANY, "UPDATE_DENIED", "there is no stage 1 to update"),
    Cause((ECS,), (S2,), levels(3, 4), "UPDATE_DENIED", "the page of a table, and no A/D in this stage"),
)

WAYS = Ways(
    levels={
        LEGACY: {DEVICE: range(2), S2: range(5)},
        ECS: {DEVICE: range(2), PASID: range(1), S1: range(5), S2: range(5)},
        SCALABLE: {DEVICE: range(2), PASID: range(2), S1: range(5), S2: range(5)},
    },
    named=NAMED,
    causes=CAUSES,
    codes={
        LEGACY: "0 1 2 3 4 5 6 7 8 9 a b c d e 29 30 31 33",
        ECS: "0 1 2 3 4 5 6 7 8 9 a b c d e 19 1a 29 30 33",
        SCALABLE: "0 29 30 33 34 38 39 3a 40 41 42 43 44 45 46 48 49 50 51 52 58 59 5a 5b 5c 5d 70 71 72 73"
        " 74 75 76 77 78 79 7a 7b 7c 80 81 82 83 84 85 86 87 89 90",
    },
    silent={
        "20 21 22 23 24 25 26 27 28 2a 2b": "interrupt remapping",
        "32 47": "page requests",
        "60 a0 a1 a2 a3 a4 a5": "host permission tables, which are not modelled",
        "7d 91": "A/D flags that could not be set: atomic updates always can",
    },
    purposes={
        ECS: (Purpose.DATA, Purpose.S1_ENTRY, Purpose.PASID_ENTRY),
        SCALABLE: (Purpose.DATA, Purpose.S1_ENTRY),
    },
    purpose_reasons=f"{_ENTRY} DENIED INPUT_RANGE",
)
