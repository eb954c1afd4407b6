"""What a fuzzing run has to reach: (format, stage, level, reason), and what nothing can reach.

The universe is every reason of :class:`iommu_abi.terms.Reason` at every level that a stage of a
format can have. Each combination is either in :data:`ROWS`, with the text that names it, or has a
cause in :data:`CAUSES`; a test holds the two together, and a run that reaches a combination with a
cause has found an error of this table.

Sources: Intel VT-d specification 4.x, chapters 3, 7 and 9; specification 2.x, 3.6 to 3.8 and 9.4,
for extended mode; AMD IOMMU specification (48882), 2.2 and 2.5; ``docs/walk.md`` for what they
leave open. Levels count from the leaves, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from iommu_abi.terms import Purpose, Reason, Stage

DEVICE, PASID, S1, S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2


class Row(NamedTuple):
    """One way for a request to fail."""

    format: str
    stage: Stage
    level: int
    reason: Reason

    def __str__(self) -> str:
        return f"{self.format} {self.stage.name} {self.level} {self.reason.name}"


#: Format -> stage -> levels that its tables can have.
LEVELS: dict[str, dict[Stage, range]] = {
    "vtd-legacy": {DEVICE: range(2), S2: range(6)},
    "vtd-ecs": {DEVICE: range(2), PASID: range(1), S1: range(5), S2: range(6)},
    "vtd-scalable": {DEVICE: range(2), PASID: range(2), S1: range(5), S2: range(6)},
    "amdvi-v1": {DEVICE: range(1), S2: range(6)},
    "amdvi-v2": {DEVICE: range(1), PASID: range(3), S1: range(5)},
    "amdvi-nested": {DEVICE: range(1), PASID: range(3), S1: range(5), S2: range(6)},
}

#: Formats in the order in which they are reported.
FORMATS = tuple(LEVELS)
VTD = ("vtd-legacy", "vtd-ecs", "vtd-scalable")
AMD = ("amdvi-v1", "amdvi-v2", "amdvi-nested")
AMD_GUEST = ("amdvi-v2", "amdvi-nested")


@dataclass(frozen=True, slots=True)
class Named:
    """Combinations that a text names: all ``formats`` x ``levels`` x ``reasons``."""

    formats: tuple[str, ...]
    stage: Stage
    levels: range
    reasons: str
    source: str

    def rows(self) -> Iterator[Row]:
        """Each combination."""
        for name in self.formats:
            for level in self.levels:
                for reason in self.reasons.split():
                    yield Row(name, self.stage, level, Reason[reason])


def _levels(first: int, last: int | None = None) -> range:
    return range(first, (first if last is None else last) + 1)


_ENTRY = "NOT_PRESENT RESERVED UNREADABLE"

_VTD = (
    Named(VTD, DEVICE, _levels(1), _ENTRY, "root entry: VT-d 9.1, 9.2; 7.1 LRT.1-3, SRT.1-3"),
    Named(VTD, DEVICE, _levels(0), _ENTRY, "context: VT-d 9.3, 9.4; 7.1 LCT.1-3, SCT.1-3"),
    Named(VTD, DEVICE, _levels(0), "INVALID", "LCT.4; ECS as LCT.4; RTADDR.TTM that the unit lacks: RTA.1"),
    Named(VTD, DEVICE, _levels(0), "BLOCKED", "LCT.5, SCT.5, SCT.6; RTA.2; 2.x 3.6 for ECS"),
    Named(VTD, DEVICE, _levels(0), "ABORTED", "RTADDR.TTM 3"),
    Named(VTD, DEVICE, _levels(0), "INTERRUPT_RANGE", "LGN.4, SGN.8 where nothing was translated"),
    Named(VTD[:1], DEVICE, _levels(0), "INPUT_RANGE", "LGN.1 for a context that passes through"),
    Named(VTD[1:], DEVICE, _levels(0), "PASID_RANGE", "SCT.7, SCT.9; 2.x 3.6: PTS"),
    Named(("vtd-scalable",), PASID, _levels(1), _ENTRY, "PASID directory: 9.5; SPD.1-3"),
    Named(VTD[1:], PASID, _levels(0), _ENTRY, "PASID entry: 9.6; SPT.1-3; 2.x 9.5"),
    Named(VTD[1:], PASID, _levels(0), "BLOCKED", "SPT.5, SPT.6; 2.x 3.6: SRE"),
    Named(("vtd-scalable",), PASID, _levels(0), "INVALID", "SPT.4"),
    Named(("vtd-scalable",), PASID, _levels(0), "INPUT_RANGE", "SGN.4 for pass-through"),
    Named(VTD[1:], S1, _levels(0, 4), _ENTRY, "first stage: 9.7; SFL.1-3"),
    Named(VTD[1:], S1, _levels(0, 2), "PRIVILEGE", "U/S, judged at the leaf: SGN.2"),
    Named(VTD[1:], S1, _levels(0, 2), "DENIED", "R/W, XD, SMEP, judged at the leaf: SGN.3, SGN.6"),
    Named(VTD[1:], S1, _levels(3, 4), "INPUT_RANGE", "not canonical, 4 and 5 levels: SGN.1"),
    Named(VTD[1:], S1, _levels(0), "INTERRUPT_RANGE", "output of the first stage alone: SGN.8"),
    Named(VTD, S2, _levels(0, 5), _ENTRY, "second stage, AW 0 to 4: 9.8; LSL.1-2, LGN.2-3, SSL.1-4"),
    Named(VTD, S2, _levels(0, 2), "DENIED", "R, W, X, judged at the leaf: LGN.2-3, SGN.3, 6, 7; SFL.6-7"),
    Named(VTD, S2, _levels(1, 5), "INPUT_RANGE", "above min(MGAW, AGAW), AW 0 to 4: LGN.1, SGN.5, SFL.5"),
    Named(VTD, S2, _levels(0), "INTERRUPT_RANGE", "output of the second stage: LGN.4, SGN.8"),
    Named(VTD[1:], S2, _levels(0, 2), "UPDATE_DENIED", "A/D of the first stage: SFL.8; 2.x 3.8"),
)

_AMD = (
    Named(AMD, DEVICE, _levels(0), "RESERVED UNREADABLE", "device table entry: 2.2.2; events 1, 3"),
    Named(AMD, DEVICE, _levels(0), "RID_RANGE", "beyond DEVTAB_BASE.Size"),
    Named(AMD, DEVICE, _levels(0), "ABORTED", "TV=0"),
    Named(AMD, DEVICE, _levels(0), "DENIED", "DTE.IR, IW"),
    Named(AMD, DEVICE, _levels(0), "BLOCKED", "ATS without DTE.I; PASID without GV: event 8"),
    Named(AMD, DEVICE, _levels(0), "INVALID", "Mode, HATS; GTEn, GLX, GuestPagingMode"),
    Named(AMD, DEVICE, _levels(0), "INTERRUPT_RANGE", "what is no interrupt message, to 0xFEEx_xxxx"),
    Named(AMD_GUEST, DEVICE, _levels(0), "PASID_RANGE", "2^(9 (GLX + 1)), PASmax"),
    Named(AMD_GUEST, PASID, _levels(0, 2), _ENTRY, "GCR3 table, GLX 0 to 2: 2.2.6"),
    Named(AMD_GUEST, S1, _levels(0, 4), _ENTRY, "v2 tables: 2.2.6"),
    Named(AMD_GUEST, S1, _levels(0, 2), "PRIVILEGE", "U/S, judged at the leaf"),
    Named(AMD_GUEST, S1, _levels(0, 2), "DENIED", "R/W, NX, judged at the leaf"),
    Named(AMD_GUEST, S1, _levels(3, 4), "INPUT_RANGE", "not canonical, PASID 0 too wide; 4 and 5 levels"),
    Named(("amdvi-v1", "amdvi-nested"), S2, _levels(0, 5), _ENTRY, "v1 tables, Mode 1 to 6: 2.2.3"),
    Named(("amdvi-v1", "amdvi-nested"), S2, _levels(0, 4), "DENIED", "IR, IW, judged at the leaf"),
    Named(("amdvi-v1", "amdvi-nested"), S2, _levels(0, 1), "INPUT_RANGE", "beyond Mode 1, 2"),
    Named(("amdvi-v1", "amdvi-nested"), S2, _levels(2, 4), "INPUT_RANGE", "beyond Mode 3 to 5; skipped bits"),
    Named(("amdvi-v1", "amdvi-nested"), S2, _levels(5), "INPUT_RANGE", "skipped bits"),
    Named(("amdvi-nested",), S2, _levels(0, 4), "UPDATE_DENIED", "A/D of v2 tables behind v1"),
)

NAMED = (*_VTD, *_AMD)

#: Every combination that has to be reached, in the order of the texts.
ROWS: tuple[Row, ...] = tuple(row for named in NAMED for row in named.rows())


class Use(NamedTuple):
    """A failure of stage 2 by what it was walked for, at any level: the codes differ by that."""

    format: str
    purpose: Purpose
    reason: Reason

    def __str__(self) -> str:
        return f"{self.format} S2 for {self.purpose.name} {self.reason.name}"

    def rows(self) -> list[Row]:
        """The same by level."""
        levels = LEVELS[self.format][S2]
        return [row for row in (Row(self.format, S2, at, self.reason) for at in levels) if row in ROWS]


#: UPDATE_DENIED has a purpose of its own, and is among the rows.
USES: tuple[Use, ...] = tuple(
    Use(name, purpose, Reason[reason])
    for name, purposes in {
        "vtd-ecs": (Purpose.DATA, Purpose.S1_ENTRY, Purpose.PASID_ENTRY),
        "vtd-scalable": (Purpose.DATA, Purpose.S1_ENTRY),
        "amdvi-nested": (Purpose.DATA, Purpose.S1_ENTRY, Purpose.PASID_ENTRY),
    }.items()
    for purpose in purposes
    for reason in f"{_ENTRY} DENIED INPUT_RANGE".split()
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why no request can end so. The first of :data:`CAUSES` that fits counts."""

    formats: tuple[str, ...]
    stages: tuple[Stage, ...]
    levels: range
    reasons: str
    text: str

    def fits(self, row: Row) -> bool:
        """Whether this is why ``row`` is out of reach."""
        return (
            row.format in self.formats
            and row.stage in self.stages
            and row.level in self.levels
            and row.reason.name in self.reasons.split()
        )


_ANY = _levels(0, 5)
_ABOVE_0 = _levels(1, 5)
_REQUESTS = "BLOCKED PASID_RANGE RID_RANGE ABORTED INVALID"

_LEAF = "no pages at this level; rights count at the leaf"
_ECS, _SCALABLE, _V1 = ("vtd-ecs",), ("vtd-scalable",), ("amdvi-v1",)

CAUSES = (
    Cause(FORMATS, tuple(Stage), _ANY, "OUTPUT_RANGE", "too high an address is RESERVED in these formats"),
    Cause(FORMATS, tuple(Stage), _ANY, "ACCESS_FLAG", "this hardware sets A/D itself: pt_stage.ad is AD_SET"),
    # Device tables.
    Cause(VTD, (DEVICE,), _ANY, "RID_RANGE", "a root table has 256 entries for 256 buses"),
    Cause(AMD, (DEVICE,), _ANY, "NOT_PRESENT", "a DTE with V=0 lets pass"),
    Cause(VTD, (DEVICE,), _ANY, "DENIED", "root and context have no rights"),
    Cause(FORMATS, (DEVICE,), _ANY, "PRIVILEGE", "device tables know no privilege"),
    Cause(FORMATS, (DEVICE, PASID), _ANY, "UPDATE_DENIED", "hardware sets no flag in these tables"),
    Cause(VTD, (DEVICE,), _ABOVE_0, "INVALID BLOCKED ABORTED", "the context, or no entry, decides: level 0"),
    Cause(VTD, (DEVICE,), _ABOVE_0, "PASID_RANGE", "the context decides: level 0"),
    Cause(VTD, (DEVICE,), _ABOVE_0, "INPUT_RANGE INTERRUPT_RANGE", "no entry decides: level 0"),
    Cause(VTD[:1], (DEVICE,), _ANY, "PASID_RANGE", "legacy mode blocks every PASID"),
    Cause(_ECS, (DEVICE,), _ANY, "INPUT_RANGE", "a context that passes through has no limit (ours)"),
    Cause(_SCALABLE, (DEVICE,), _ANY, "INPUT_RANGE", "pass-through is the PASID entry's"),
    Cause(AMD, (DEVICE,), _ANY, "INPUT_RANGE", "Mode 0 has no limit"),
    Cause(_V1, (DEVICE,), _ANY, "PASID_RANGE", "v1 serves no PASID: those are BLOCKED"),
    # PASID tables.
    Cause(FORMATS, (PASID,), _ANY, "DENIED PRIVILEGE", "no such rights: SRE and ERE are BLOCKED"),
    Cause(FORMATS, (PASID,), _ANY, "PASID_RANGE RID_RANGE ABORTED", "decided before the PASID table"),
    Cause(FORMATS, (PASID,), _ANY, "INTERRUPT_RANGE", "nothing translated: stage DEVICE"),
    Cause(_SCALABLE, (PASID,), _levels(1), "INVALID BLOCKED INPUT_RANGE", "a directory has only P and FPD"),
    Cause(_ECS, (PASID,), _ANY, "INVALID", "an entry chooses only FLPM, which is reserved without FL5LP"),
    Cause(_ECS, (PASID,), _ANY, "INPUT_RANGE", "a PASID entry always has a first stage"),
    Cause(AMD_GUEST, (PASID,), _ANY, "INVALID BLOCKED INPUT_RANGE", "a GCR3 entry has only V and an address"),
    # Stages.
    Cause(FORMATS, (S1, S2), _ANY, _REQUESTS, "decided in the device or PASID tables"),
    Cause(FORMATS, (S1,), _ANY, "UPDATE_DENIED", "stage 2 denies the update and is named"),
    Cause(FORMATS, (S1,), _levels(3, 4), "DENIED PRIVILEGE", _LEAF),
    Cause(FORMATS, (S1,), _levels(0, 2), "INPUT_RANGE", "4 or 5 levels: the top is 3 or 4"),
    Cause(VTD, (S1, S2), _ABOVE_0, "INTERRUPT_RANGE", "the final address has no entry: level 0"),
    Cause(AMD, (S1, S2), _ANY, "INTERRUPT_RANGE", "the sources name the input only"),
    Cause(FORMATS, (S2,), _ANY, "PRIVILEGE", "stage 2 has no user and supervisor"),
    Cause(VTD, (S2,), _levels(3, 5), "DENIED UPDATE_DENIED", _LEAF),
    Cause(VTD, (S2,), _levels(0), "INPUT_RANGE", "the narrowest second stage, AW 0, has 2 levels"),
    Cause(VTD[:1] + _V1, (S2,), _ANY, "UPDATE_DENIED", "there is no stage 1 to update"),
    Cause(AMD, (S2,), _levels(5), "DENIED UPDATE_DENIED", "no page in the table of AMD level 6"),
)


# ---------------------------------------------------------------- the vendors' codes

#: Format -> codes that the texts name for it and a walk reports; 0 where there is a fault without code.
CODES: dict[str, str] = {
    "vtd-legacy": "0 1 2 3 4 5 6 7 8 9 a b c d e 31",
    "vtd-ecs": "0 1 2 3 4 5 6 7 8 9 a b c d e 30",
    "vtd-scalable": "0 30 38 39 3a 40 41 42 44 45 46 48 50 51 52 58 59 5a 5b 5c 5d 70 71 72 73 74 75 76 77"
    " 78 79 7a 7b 80 81 82 83 84 85 86 87",
    "amdvi-v1": "0 1 2 3 4 8",
    "amdvi-v2": "0 1 2 3 4 8",
    "amdvi-nested": "0 1 2 3 4 8",
}

#: Vendor -> codes that the texts name and no walk reports -> the cause.
NO_CODES: dict[str, dict[str, str]] = {
    "vtd": {
        "20 21 22 23 24 25 26 27 28 29": "interrupt remapping",
        "32 33": "RTADDR programming of which no source says when",
        "43": "scalable context (SCT.4): no source says when",
        "47": "page requests",
        "7c 7d": "A/D flags of the second stage without snooping: snooping is not modelled",
        "90 91": "A/D flags that could not be set: atomic updates always can",
    },
    "amdvi": {
        "5 6 7": "the command buffer",
        "9": "page requests",
        "a": "performance counters",
        "d e": "the RMP table of SEV-SNP",
    },
}


def codes() -> list[tuple[str, int]]:
    """Every format and code that has to be reported."""
    return [(name, int(code, 16)) for name, text in CODES.items() for code in text.split()]


def universe() -> Iterator[Row]:
    """Every reason but OK at every level of every stage of every format."""
    for name, stages in LEVELS.items():
        for stage, levels in stages.items():
            for level in levels:
                for reason in Reason:
                    if reason is not Reason.OK:
                        yield Row(name, stage, level, reason)


def cause(row: Row) -> str | None:
    """Why a combination cannot be reached; None if nothing says so."""
    return next((each.text for each in CAUSES if each.fits(row)), None)


def source(row: Row) -> str:
    """The text that names a combination of :data:`ROWS`."""
    return next(each.source for each in NAMED if row in each.rows())


def unreached() -> Iterator[tuple[Row, str]]:
    """Every combination that is not in :data:`ROWS`, with the cause."""
    known = frozenset(ROWS)
    for row in universe():
        if row not in known:
            yield row, cause(row) or ""


def rows_of(name: str, rows: Iterable[Row] = ROWS) -> list[Row]:
    """The rows of one format."""
    return [row for row in rows if row.format == name]
