"""Where QEMU's VT-d does not follow the specification."""

from __future__ import annotations

from iommu_abi.terms import Access, Reason, Ref, Stage
from peers.compare import Departure, View

WRITE_DENIED, READ_DENIED, CONTEXT_RESERVED, S2_RESERVED = 0x5, 0x6, 0xB, 0xC
ROOT_RESERVED, NOT_CANONICAL, ENTRY_UNREADABLE, TYPE, ROOT_UNREADABLE = 0x3A, 0x80, 0x58, 0x5B, 0x7B
S1_RESERVED, S1_ROOT_UNREADABLE, S1_PRIVILEGE, S1_WRITE_DENIED = 0x72, 0x73, 0x81, 0x85
PASS_THROUGH, FIRST_STAGE = 2, 1  # TT, PGTT


# ---------------------------------------------------------------- legacy contexts


def _context(view: View, stage: Stage = Stage.DEVICE) -> Ref | None:
    """The context entry that the walk came to."""
    return next((ref for ref in view.answer.refs if (ref.stage, ref.level) == (stage, 0)), None)


def _passes_through(view: View) -> Ref | None:
    ref = _context(view)
    return ref if ref and ref.raw & 1 and ref.raw >> 2 & 3 == PASS_THROUGH else None


def pass_through_width(view: View) -> bool:
    ref = _passes_through(view)
    widest = (view.registers["CAP"] >> 8 & 31).bit_length() - 1
    if not ref or view.load(ref.hpa + 8) & 7 == widest:
        return False
    view.put(ref.hpa + 8, view.load(ref.hpa + 8) & ~7 | widest)
    return True


def pass_through_limit(view: View) -> bool:
    fault = view.fault
    if not _passes_through(view) or not fault or fault.reason is not Reason.INPUT_RANGE:
        return False
    view.passes(view.request.iova)
    return True


def pass_through_pointer(view: View) -> bool:
    ref = _passes_through(view)
    above = -1 << view.registers["HAW"]
    if not ref or not ref.raw & above & (1 << 64) - 1:
        return False
    view.blocks(CONTEXT_RESERVED)
    return True


def context_reserved_recorded(view: View) -> bool:
    fault = view.fault
    if not fault or fault.native != CONTEXT_RESERVED or fault.recorded:
        return False
    view.blocks(CONTEXT_RESERVED)
    return True


# ---------------------------------------------------------------- second stage


def rights_first(view: View) -> bool:
    """Rights are judged at each level, before the reserved bits of the entry and what it leads to."""
    write = view.request.access is Access.WRITE
    fault = view.fault
    if not fault or fault.stage is not Stage.S2 or fault.reason is Reason.INPUT_RANGE:
        return False
    if fault.native == ROOT_UNREADABLE:
        return False
    entries = [ref.raw for ref in view.answer.refs if ref.stage is Stage.S2]
    if view.record is None or all(raw & (2 if write else 1) for raw in entries):
        return False
    view.blocks(WRITE_DENIED if write else READ_DENIED)
    return True


RIGHTS_FIRST = Departure(
    "second stage: rights first",
    "the order of rights and reserved bits of one entry is open; QEMU looks at the rights first",
    rights_first,
    last=True,
)
LEGACY = (
    Departure(
        "pass-through: AW",
        "AW of a context with TT=2 must be the widest of SAGAW; QEMU does not look at it",
        pass_through_width,
    ),
    Departure(
        "pass-through: pointer",
        "SLPTPTR is ignored with TT=2; QEMU finds its bits above the address width reserved",
        pass_through_pointer,
    ),
    Departure(
        "pass-through: no limit",
        "an address above min(MGAW, AGAW) passes through",
        pass_through_limit,
    ),
    Departure(
        "context 0xB is recorded",
        "reserved bits of a context are a qualified fault, which FPD suppresses; not in QEMU's list",
        context_reserved_recorded,
        last=True,
    ),
    RIGHTS_FIRST,
)


# ---------------------------------------------------------------- scalable mode

#: Codes of scalable mode -> those of legacy mode, which QEMU reports instead.
ROOT_AND_CONTEXT = {0x38: 0x8, 0x39: 0x1, 0x3A: 0xA, 0x40: 0x9, 0x41: 0x2, 0x42: 0xB}
SECOND_STAGE = {0x78: 0x7, 0x7A: 0xC, 0x7B: 0x3, 0x84: 0x4}
DIRECTORY_RESERVED = 0xFFC
#: Of the words of a PASID entry.
PASID_RESERVED = (0xC00, 0xF87F0000, 0xF00, *[(1 << 64) - 1] * 5)


def legacy_codes(view: View) -> bool:
    code = ROOT_AND_CONTEXT.get(view.fault.native) if view.fault else None
    if code is None or (view.record is None and code != CONTEXT_RESERVED):
        return False
    view.blocks(code)
    return True


def second_stage_codes(view: View) -> bool:
    fault = view.fault
    if not fault or fault.stage is not Stage.S2 or view.record is None:
        return False
    denied = WRITE_DENIED if view.request.access is Access.WRITE else READ_DENIED
    view.blocks(SECOND_STAGE.get(fault.native, denied))
    return True


def _pasid(view: View, level: int) -> Ref | None:
    return next((ref for ref in view.answer.refs if (ref.stage, ref.level) == (Stage.PASID, level)), None)


def directory_reserved(view: View) -> bool:
    ref = _pasid(view, 1)
    if not ref or not ref.raw & 1 or not ref.raw & DIRECTORY_RESERVED:
        return False
    view.put(ref.hpa, ref.raw & ~DIRECTORY_RESERVED)
    return True


def pasid_entry_reserved(view: View) -> bool:
    ref = _pasid(view, 0)
    if not ref:
        return False
    words = [view.load(ref.hpa + 8 * i) for i in range(8)]
    wrong = next((i for i, word in enumerate(words) if word & PASID_RESERVED[i]), None)
    if wrong is None:
        return False
    view.put(ref.hpa + 8 * wrong, words[wrong] & ~PASID_RESERVED[wrong])
    return True


def _flip(view: View, register: str, bit: int) -> bool:
    """Set a bit of a register, if it is clear."""
    if view.registers[register] >> bit & 1:
        return False
    view.registers[register] |= 1 << bit
    view.ask()
    return True


def rid_pasid(view: View) -> bool:
    return _flip(view, "ECAP", 49)


def rid_pasid_reserved(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if not fault or fault.native != 0x42 or not ref or view.registers["ECAP"] >> 49 & 1:
        return False
    high = view.load(ref.hpa + 8)
    if not high & 0xFFFFF:
        return False
    view.put(ref.hpa + 8, high & ~0xFFFFF)
    return True


def snoop(view: View) -> bool:
    return _flip(view, "ECAP", 7)


def pass_through_address(view: View) -> bool:
    if not view.fault or view.fault.native != 0x83:
        return False
    view.passes(view.request.iova)
    return True


def root_halves(view: View) -> bool:
    """The half of the root entry that covers the other devices of the bus."""
    root = view.registers["RTADDR"] & -4096 | view.request.rid >> 8 << 4
    rid, above = view.request.rid, (1 << 64) - (1 << view.registers["HAW"])
    own, other = (view.load(root + 8 * (half ^ rid >> 7 & 1)) for half in (0, 1))
    wrong = (above | 0xFFE) & other
    if not wrong or not own & 1 or (view.fault and view.fault.native == ROOT_RESERVED):
        return False
    view.blocks(ROOT_RESERVED, Stage.DEVICE)
    return True


def pasid_bound(view: View) -> bool:
    ref = _context(view)
    if not view.fault or not ref or view.fault.native != 0x43 or view.fault.reason is not Reason.PASID_RANGE:
        return False
    view.put(ref.hpa, view.load(ref.hpa) | 7 << 9)
    return True


def rid_priv(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if not fault or not ref or fault.native != 0x42 or not view.load(ref.hpa + 8) >> 20 & 1:
        return False
    view.put(ref.hpa + 8, view.load(ref.hpa + 8) & ~(1 << 20))
    return True


#: ECAP: DT, MTS, PRS, SRS, EAFS, PASID, SSADS, SMPWCS.
FEATURES = sum(1 << bit for bit in (2, 25, 29, 31, 34, 40, 45, 48))


def features(view: View) -> bool:
    fault = view.fault
    if not fault or fault.native not in (0x42, 0x5A) or not FEATURES & ~view.registers["ECAP"]:
        return False
    view.registers["ECAP"] |= FEATURES
    view.ask()
    return True


def unused_fields(view: View) -> bool:
    fault, ref = view.fault, _pasid(view, 0)
    if not fault or not ref or fault.native != 0x5A:
        return False
    pgtt, ecap = ref.raw >> 6 & 7, view.registers["ECAP"]
    unused = {}
    if pgtt in (1, 4) or not ecap >> 46 & 1:
        unused[0] = -1 << 12 & (1 << 64) - 1 | 1 << 9
    if pgtt in (2, 4) or not ecap >> 47 & 1:
        unused[16] = -1 << 12 & (1 << 64) - 1 | 0x9C
    found = {word: view.load(ref.hpa + word) & bits for word, bits in unused.items()}
    word = next((word for word, bits in found.items() if bits), None)
    if word is None:
        return False
    view.put(ref.hpa + word, view.load(ref.hpa + word) & ~unused[word])
    return True


def inconsistent(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if not fault or not ref or fault.native != 0x43 or fault.reason is not Reason.INVALID:
        return False
    view.put(ref.hpa, view.load(ref.hpa) & ~(1 << 4 | 1 << 6))
    return True


def unsnooped(view: View) -> bool:
    fault, ref = view.fault, _pasid(view, 0)
    if not fault or not ref or fault.native not in (0x90, 0x7C):
        return False
    view.registers["ECAP"] |= 1 << 48
    view.put(ref.hpa + 8, view.load(ref.hpa + 8) | 1 << 23)
    return True


def _reported(view: View, code: int, stage: Stage) -> None:
    """Block the request; FPD of context, PASID directory or PASID entry suppresses the record."""
    view.blocks(code, stage)
    tables = [_context(view), _pasid(view, 1), _pasid(view, 0)]
    if any(ref and ref.raw & 2 for ref in tables):
        view.record = None


def directory_pointer(view: View) -> bool:
    ref = _pasid(view, 1)
    if not ref or not ref.raw & 1 or not ref.raw >> view.registers["HAW"] or not view.fault:
        return False
    if view.fault.native == ENTRY_UNREADABLE:
        return False
    view.blocks(ENTRY_UNREADABLE)
    return True


def stage_pointer(view: View) -> bool:
    fault, ref = view.fault, _pasid(view, 0)
    if not fault or not ref or fault.native != 0x5A:
        return False
    word, stage, code = (
        (16, Stage.S1, S1_ROOT_UNREADABLE) if ref.raw >> 6 & 7 == 1 else (0, Stage.S2, ROOT_UNREADABLE)
    )
    pointer = view.load(ref.hpa + word)
    if not pointer >> view.registers["HAW"]:
        return False
    view.put(ref.hpa + word, pointer & (1 << view.registers["HAW"]) - 1)
    fault = view.fault
    if not fault or (fault.stage is stage and fault.reason is not Reason.INPUT_RANGE):
        _reported(view, code, stage)
    return True


def type_first(view: View) -> bool:
    fault, ref = view.fault, _pasid(view, 0)
    if not fault or not ref or ref.raw & 1 or fault.native != 0x59:
        return False
    pgtt, ecap = ref.raw >> 6 & 7, view.registers["ECAP"]
    fits = pgtt != 2 or view.registers["CAP"] >> 8 + (ref.raw >> 2 & 7) & (ref.raw >> 2 & 7 < 5)
    if ecap >> {1: 47, 2: 46, 4: 6}.get(pgtt, 63) & 1 and fits:
        return False
    view.blocks(TYPE)
    context = _context(view)
    if context and context.raw & 2:
        view.record = None
    return True


def pasid_fpd(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if not fault or fault.stage is not Stage.PASID or fault.recorded or not ref or ref.raw & 2:
        return False
    view.blocks(fault.native)
    return True


def record_has_pasid(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if view.record is None or not fault or fault.stage not in (Stage.S1, Stage.S2) or not ref:
        return False
    view.record["pasid"] = view.load(ref.hpa + 8) & 0xFFFFF
    return True


def first_stage_width(view: View) -> bool:
    fault, ref = view.fault, _pasid(view, 0)
    if (
        not ref
        or (ref.raw >> 6 & 7) != 1
        or (fault and (fault.stage is not Stage.S1 or fault.native == NOT_CANONICAL))
    ):
        return False
    width = min(30 + 9 * (ref.raw >> 2 & 7), 48)
    if (view.request.iova + (1 << width - 1)) % (1 << 64) < 1 << width:
        return False
    _reported(view, NOT_CANONICAL, Stage.S1)
    return True


def first_stage_nxe(view: View) -> bool:
    ref = _pasid(view, 0)
    if not ref or view.load(ref.hpa + 16) & 1 << 5 or not view.fault or view.fault.native != S1_RESERVED:
        return False
    view.put(ref.hpa + 16, view.load(ref.hpa + 16) | 1 << 5)
    return True


def first_stage_privilege(view: View) -> bool:
    ref = _context(view)
    if not ref or not view.load(ref.hpa + 8) >> 20 & 1:
        return False
    view.put(ref.hpa + 8, view.load(ref.hpa + 8) & ~(1 << 20))
    return True


def first_stage_rights(view: View) -> bool:
    """As of the second stage: per level, here after P."""
    fault = view.fault
    if not fault or fault.stage is not Stage.S1 or view.record is None:
        return False
    if fault.native in (NOT_CANONICAL, S1_ROOT_UNREADABLE):
        return False
    for ref in view.answer.refs:
        if ref.stage is not Stage.S1:
            continue
        if not ref.raw & 1:
            return False
        if not ref.raw & 4 or (view.request.access is Access.WRITE and not ref.raw & 2):
            view.blocks(S1_WRITE_DENIED if ref.raw & 4 else S1_PRIVILEGE)
            return True
    return False


SCALABLE = (
    Departure(
        "fields of features",
        "what a feature is for is reserved in a unit without it; QEMU knows fewer, and ignores these",
        features,
    ),
    Departure(
        "PASID entry: the other stage", "what it is for may be reserved too; QEMU ignores it", unused_fields
    ),
    Departure("RID_PRIV without RPRIVS", "is reserved; QEMU ignores it", rid_priv),
    Departure("PRE without DTE", "contradict each other; QEMU looks at neither", inconsistent),
    Departure("A/D without snooping", "is a fault where a flag is clear; QEMU sets it", unsnooped),
    Departure(
        "RID_PASID without ECAP.RPS",
        "without RPS requests without PASID use PASID 0; QEMU uses RID_PASID all the same",
        rid_pasid,
        until=(11,),
    ),
    Departure(
        "RID_PASID without ECAP.RPS is reserved",
        "QEMU ignores it then, and uses PASID 0",
        rid_pasid_reserved,
        since=(11,),
    ),
    Departure("RID_PASID: bound", "is not tested against PDTS", pasid_bound),
    Departure("SNP without ECAP.SC", "SNP of second-stage pages is reserved then; QEMU ignores it", snoop),
    Departure("root: both halves", "reserved bits of the half that is not used are tested, too", root_halves),
    Departure("pass-through: no limit", "addresses above the host's width pass", pass_through_address),
    Departure("PASID directory: reserved bits", "11:2 are not tested", directory_reserved),
    Departure(
        "PASID directory: pointer",
        "bits above the address width are reserved; QEMU reads there and finds no memory",
        directory_pointer,
    ),
    Departure("PASID entry: type first", "QEMU tests PGTT and AW (0x5B) before P (0x59)", type_first),
    Departure("PASID entry: reserved bits", "are not tested", pasid_entry_reserved),
    Departure(
        "PASID entry: pointer",
        "bits of SLPTPTR above the address width are reserved; QEMU reads there and finds no memory",
        stage_pointer,
    ),
)
RECORDS = (
    Departure(
        "scalable: legacy codes",
        "faults of root and context have codes of their own; QEMU reports those of legacy mode",
        legacy_codes,
        last=True,
    ),
    Departure(
        "scalable: second-stage codes",
        "faults of the second stage have codes of their own; QEMU reports those of legacy mode",
        second_stage_codes,
        last=True,
    ),
    Departure(
        "PASID tables: FPD",
        "FPD of a PASID directory or PASID entry suppresses its faults; QEMU looks at the context's alone",
        pasid_fpd,
        last=True,
    ),
    Departure(
        "record: PASID",
        "PP is for requests with PASID; QEMU sets it, with RID_PASID, from the page tables on",
        record_has_pasid,
        last=True,
        until=(11,),
    ),
)
SECOND = (*SCALABLE, RIGHTS_FIRST, *RECORDS)
FIRST = (
    *SCALABLE,
    Departure("RID_PRIV", "makes requests without PASID privileged; QEMU ignores it", first_stage_privilege),
    Departure(
        "first stage: width",
        "addresses must be canonical for the levels of FLPM; QEMU takes the width from AW",
        first_stage_width,
    ),
    Departure("first stage: NXE", "XD is reserved without NXE; QEMU ignores it", first_stage_nxe),
    Departure(
        "first stage: rights first",
        "the order of rights and reserved bits of one entry is open; QEMU looks at the rights first",
        first_stage_rights,
        last=True,
    ),
    *RECORDS,
)
