"""Where QEMU's RISC-V IOMMU does not follow the specification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile

from iommu_abi.terms import Access, Purpose, Reason, Ref, Stage
from peers.compare import Departure, Unfit, View
from peers.ram import MARGIN

V, R, W, X, U, A, D = (1 << bit for bit in (0, 1, 2, 3, 4, 6, 7))
READ_FAULT, GUEST_READ, GUEST_WRITE = 5, 21, 23
HIGH = 54  # of an entry: what lies above the page number
PBMT_0, PBMT_1, N = 1 << 61, 1 << 62, 1 << 63
SOFTWARE = 3 << 59  # with Svrsw60t59b
RESERVED = SOFTWARE | (1 << 59) - (1 << HIGH)
ALL_ONES = (1 << 64) - 1

# ---------------------------------------------------------------- device and process contexts

#: Reserved bits of the words of a device context, of which QEMU takes no notice.
CONTEXT_RESERVED = {
    0: 0xFFFF_FFFF_00FF_F000,
    2: 0xFFFF_FFFF_0000_0FFF,
    3: 0x0FFF_F000_0000_0000,
    4: 0x0FFF_F000_0000_0000,
    5: 0xFFF0_0000_0000_0000,
    6: 0xFFF0_0000_0000_0000,
    7: ALL_ONES,
}


#: The same of a process context.
PROCESS_RESERVED = {0: 0xFF8}
EN_ATS, EN_PRI, T2GPA, DTF, PDTV, PRPR, DPE, SBE, SXL = (1 << bit for bit in (1, 2, 3, 4, 5, 6, 9, 10, 11))
PD8, PPN, ROOT = 1, (1 << 44) - 1, 1 << 14
NOT_VALID, MISCONFIGURED, PROCESS_LOAD, PROCESS_MISCONFIGURED = 258, 259, 265, 267
GADE, SADE, HARDWARE_SETS = 1 << 7, 1 << 8, 3 << 7
SVRSW60T59B, AMO_HWAD = 1 << 14, 1 << 24


def _context(view: View, stage: Stage = Stage.DEVICE) -> Ref | None:
    """The device or process context that the walk came to."""
    return next((ref for ref in view.answer.refs if (ref.stage, ref.level) == (stage, 0)), None)


def context_reserved(view: View) -> bool:
    return _clear(view, _context(view), CONTEXT_RESERVED)


def context_reserved_late(view: View) -> bool:
    return _clear(view, _context(view), {i: mask for i, mask in CONTEXT_RESERVED.items() if i})


def hardware_sets(view: View) -> bool:
    ref = _context(view)
    if not ref or not ref.raw & HARDWARE_SETS or view.registers["CAPABILITIES"] & AMO_HWAD:
        return False
    view.registers["CAPABILITIES"] |= AMO_HWAD
    view.ask()
    return True


def hardware_sets_late(view: View) -> bool:
    """What :func:`hardware_sets` let pass; the top entry's address comes before SADE."""
    ref, process = _context(view), _context(view, Stage.PASID)
    if not ref or view.machine.registers["CAPABILITIES"] & AMO_HWAD or _in_contexts(view):
        return False
    first, second = _modes(view, ref)
    if ref.raw & PDTV:
        first = view.load(process.hpa + 8) >> 60 if process else 0
    if not (ref.raw & GADE and second):
        if not (ref.raw & SADE and first) or _at_top(view):
            return False
        if _implicit(view, takewhile(lambda entry: entry.stage is not Stage.S1, _entries(view))):
            return True
    _block(view, MISCONFIGURED, Stage.S1)
    return True


def _at_top(view: View) -> bool:
    """Whether the second stage blocks the read of the first stage's top entry."""
    below = any(ref.stage is Stage.S1 for ref in view.answer.refs)
    return bool(view.fault and view.fault.purpose is Purpose.S1_ENTRY and not below)


def _in_contexts(view: View) -> bool:
    """Whether the request does not get further than its contexts."""
    fault = view.fault
    early = fault and (fault.stage in (Stage.DEVICE, Stage.PASID) or fault.purpose is Purpose.PASID_ENTRY)
    return bool(early) and not _found_late(view)


def process_reserved(view: View) -> bool:
    return _clear(view, _context(view, Stage.PASID), PROCESS_RESERVED)


def process_sxl(view: View) -> bool:
    fault, ref, process = view.fault, _context(view), _context(view, Stage.PASID)
    if not fault or not ref or not process or not ref.raw & SXL or fault.native != PROCESS_MISCONFIGURED:
        return False
    if view.load(process.hpa + 8) >> 60 not in (9, 10):
        return False
    _block(view, MISCONFIGURED, Stage.PASID)
    return True


def _block(view: View, cause: int, stage: Stage | None = None) -> None:
    """Block the request; DTF suppresses most records."""
    ref = _context(view)
    view.blocks(cause, stage)
    if ref and ref.raw & DTF and cause not in (NOT_VALID, MISCONFIGURED):
        view.record = None


def _clear(view: View, ref: Ref | None, reserved: dict[int, int]) -> bool:
    for i, mask in reserved.items() if ref else ():
        word = view.load(ref.hpa + 8 * i)
        if word & mask:
            view.put(ref.hpa + 8 * i, word & ~mask)
            return True
    return False


def _modes(view: View, ref: Ref) -> tuple[int, int]:
    """Of fsc and of iohgatp."""
    return view.load(ref.hpa + 24) >> 60, view.load(ref.hpa + 8) >> 60


def _flags_contradict(ref: Ref) -> bool:
    """What QEMU finds out first: EN_PRI, PRPR without ATS; T2GPA, SBE; DPE without PDTV."""
    tc = ref.raw
    ats = bool(tc & T2GPA) or (tc & EN_PRI and not tc & EN_ATS) or (tc & PRPR and not tc & EN_PRI)
    return bool(ats or tc & SBE or (tc & DPE and not tc & PDTV))


def root_alignment(view: View) -> bool:
    """The table as QEMU reads it, copied to where it is aligned."""
    ref, copy = _context(view), view.ram.end - MARGIN - ROOT
    if not ref or not view.fault or (view.fault.native, view.fault.stage) != (MISCONFIGURED, Stage.DEVICE):
        return False
    iohgatp = view.load(ref.hpa + 8)
    root = (iohgatp & PPN) << 12
    if not root % ROOT or iohgatp >> 60 not in (8, 9, 10):
        return False
    data = view.ram.read(root, ROOT)
    if data is None or view.ram.tables(copy):
        raise Unfit
    view.write(copy, data)
    view.put(ref.hpa + 8, iohgatp & ~PPN | copy >> 12)
    return True


def msi_without_second_stage(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if not ref or not fault or fault.native != MISCONFIGURED or view.load(ref.hpa + 32) >> 60 != 1:
        return False
    if _modes(view, ref)[1]:
        return False
    view.put(ref.hpa + 32, 0)
    return True


def unknown_mode(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if (
        not ref
        or _flags_contradict(ref)
        or not fault
        or (fault.native, fault.reason) != (MISCONFIGURED, Reason.INVALID)
    ):
        return False
    first, _ = _modes(view, ref)
    if not ref.raw & PDTV and first > 10:
        _block(view, NOT_VALID)
    elif ref.raw & PDTV and first > 3 and ref.raw & DPE:
        _block(view, PROCESS_MISCONFIGURED)
    elif ref.raw & PDTV and first > 3:
        view.put(ref.hpa + 24, 0)
    else:
        return False
    return True


def process_directory(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if not ref or ref.raw & (PDTV | DPE) != PDTV | DPE or (fault and fault.native == PROCESS_LOAD):
        return False
    first, second = _modes(view, ref)
    early = fault and fault.stage is Stage.DEVICE and not _found_late(view)
    if first != PD8 or not second or early:
        return False
    if view.ram.has((view.load(ref.hpa + 24) & PPN) << 12):
        raise Unfit
    _block(view, PROCESS_LOAD, Stage.PASID)
    return True


def process_directory_faults(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if not ref or ref.raw & (PDTV | DPE) != PDTV | DPE:
        return False
    reads = [each for each in _entries(view) if each.purpose is Purpose.PASID_ENTRY and _is_leaf(each)]
    if any(_edit(view, each, set=U | A) for each in reads):
        return True
    first, second = _modes(view, ref)
    unknown = first == PD8 and second not in (0, 8, 9, 10) and _found_late(view)
    if not unknown and not (fault and fault.stage is Stage.S2 and fault.purpose is Purpose.PASID_ENTRY):
        return False
    _block(view, PROCESS_LOAD, Stage.PASID)
    return True


def _found_late(view: View) -> bool:
    """Whether a mode of a device context has no meaning, which QEMU finds out when it walks."""
    ref = _context(view)
    if not ref or view.fault is None or view.fault.native != MISCONFIGURED or _flags_contradict(ref):
        return False
    if view.fault.stage is Stage.PASID:
        return True
    first, second = _modes(view, ref)
    known = (0, 8) if ref.raw & SXL else (0, 8, 9, 10)
    return (first not in known and not ref.raw & PDTV) or second not in (0, 8, 9, 10)


# ---------------------------------------------------------------- page tables


def _entries(view: View) -> Iterator[Ref]:
    """Valid page table entries that were read."""
    return (ref for ref in view.answer.refs if ref.stage in (Stage.S1, Stage.S2) and ref.raw & V)


def _is_leaf(ref: Ref) -> bool:
    return bool(ref.raw & (R | W | X))


def _edit(view: View, ref: Ref, clear: int = 0, set: int = 0) -> bool:
    """Change bits of an entry, if that changes it."""
    raw = ref.raw & ~clear | set
    if raw == ref.raw:
        return False
    view.put(ref.hpa, raw)
    return True


def table_flags(view: View) -> bool:
    return any(_edit(view, ref, clear=U | A | D) for ref in _entries(view) if not _is_leaf(ref))


def user(view: View) -> bool:
    return any(_edit(view, ref, set=U) for ref in _entries(view) if _is_leaf(ref))


def accessed(view: View) -> bool:
    if view.request.access is not Access.WRITE:
        return False
    return any(_edit(view, ref, set=A) for ref in _entries(view) if _is_leaf(ref) and not _behind(view, ref))


def _first_page(view: View) -> Ref | None:
    """The first stage's leaf that was used."""
    pages = [ref for ref in view.answer.refs if ref.stage is Stage.S1 and ref.raw & V and _is_leaf(ref)]
    return pages[-1] if pages else None


def _behind(view: View, ref: Ref) -> Ref | None:
    """For a second-stage entry that was read for a page of the first stage: that page's entry."""
    data = ref.stage is Stage.S2 and ref.purpose is Purpose.DATA
    return _first_page(view) if data else None


def _flags(view: View, ref: Ref) -> int:
    """A second-stage entry, with A and D if hardware sets them."""
    context = _context(view)
    return ref.raw | (A | D if context and context.raw & GADE else 0)


def implicit(view: View) -> bool:
    return _implicit(view, _entries(view))


def _implicit(view: View, entries: Iterable[Ref]) -> bool:
    """Reads of the first stage's entries, for a write."""
    if view.request.access is not Access.WRITE:
        return False
    for ref in entries:
        table = ref.stage is Stage.S2 and ref.purpose is Purpose.S1_ENTRY
        if table and _is_leaf(ref) and _flags(view, ref) & (W | D) != W | D:
            _block(view, GUEST_WRITE, Stage.S2)
            return True
    return False


def first_stage_rights(view: View) -> bool:
    fault = view.fault
    for ref in _entries(view):
        page = _behind(view, ref)
        if not page or not _is_leaf(ref):
            continue
        raw = _flags(view, ref)
        lacks = (page.raw & W and raw & (W | D) != W | D) or raw & (R | A) != R | A
        cause = GUEST_WRITE if page.raw & W else GUEST_READ
        if lacks and (not fault or fault.native != cause):
            _block(view, cause, Stage.S2)
            return True
    page = _first_page(view)
    if not page or not page.raw & W or not fault or fault.stage is not Stage.S2:
        return False
    if fault.native not in (READ_FAULT, GUEST_READ):
        return False
    _block(view, fault.native + 2, Stage.S2)
    return True


def top_bits(view: View) -> bool:
    return any(_edit(view, ref, clear=3 << 62) for ref in _entries(view))


def high_bits(view: View) -> bool:
    """What they point to is nowhere."""
    for ref in _entries(view):
        if not ref.raw >> HIGH or (not _is_leaf(ref) and not ref.level):
            continue
        nested = ref.stage is Stage.S1 and any(each.stage is Stage.S2 for each in view.answer.refs)
        if not _is_leaf(ref):
            cause, page = _cause(view, GUEST_READ if nested else READ_FAULT), _first_page(view)
            if ref.stage is Stage.S2 and ref.purpose is Purpose.DATA and page:
                cause = READ_FAULT + 2 if page.raw & W else READ_FAULT
            _block(view, cause, ref.stage)
            return True
        view.put(ref.hpa, ref.raw & (1 << HIGH) - 1)
        if nested and (not view.fault or view.fault.stage is Stage.S2):
            _block(view, GUEST_WRITE if ref.raw & W else GUEST_READ, Stage.S2)
        elif view.fault and view.fault.entry_hpa == ref.hpa:
            continue
        elif ref.stage is Stage.S2 and ref.purpose is not Purpose.DATA:
            _block(view, _cause(view, READ_FAULT), Stage.S2)
        elif view.answer.ok:
            view.passes(ref.raw >> 10 << 12)
        return True
    return False


def software_bits(view: View) -> bool:
    if not view.registers["CAPABILITIES"] & SVRSW60T59B:
        return False
    if not any(ref.raw & SOFTWARE for ref in _entries(view)):
        return False
    view.registers["CAPABILITIES"] &= ~SVRSW60T59B
    view.ask()
    return True


def memory_type(view: View) -> bool:
    return any(_edit(view, ref, clear=PBMT_1 if _is_leaf(ref) else PBMT_1 | N) for ref in _entries(view))


def address_bit(view: View) -> bool:
    """What it points to is nowhere."""
    for ref in _entries(view):
        if not ref.raw & PBMT_0 or ref.raw & RESERVED or (not _is_leaf(ref) and not ref.level):
            continue
        if ref.purpose is Purpose.PASID_ENTRY:
            _block(view, PROCESS_LOAD, Stage.PASID)
            return True
        nested = ref.stage is Stage.S1 and any(each.stage is Stage.S2 for each in view.answer.refs)
        if _is_leaf(ref):
            view.put(ref.hpa, ref.raw & ~PBMT_0)
            if view.fault and view.fault.entry_hpa == ref.hpa:
                return True
            if not nested and ref.purpose is Purpose.DATA:
                view.passes(ref.raw >> 10 << 12)
                return True
        _block(view, _cause(view, GUEST_READ if nested else READ_FAULT), ref.stage)
        return True
    return False


def sxl(view: View) -> bool:
    ref = _context(view)
    if not ref or view.registers.get("GXL_WRITABLE") or not ref.raw & SXL:
        return False
    view.registers["GXL_WRITABLE"] = 1
    view.ask()
    return True


def sxl_guest(view: View) -> bool:
    """Leave out what cannot be asked without SXL: tables of a first stage that lie where QEMU reads them."""
    fault, ref = view.fault, _context(view)
    if not fault or not ref or not ref.raw & SXL or fault.reason is not Reason.INPUT_RANGE:
        return False
    if fault.stage is not Stage.S2 or not fault.input >> 34:
        return False
    if fault.purpose is not Purpose.DATA or any(each.stage is Stage.S1 for each in view.answer.refs):
        raise Unfit
    view.put(ref.hpa, ref.raw & ~SXL)
    return True


def sv32_wide(view: View) -> bool:
    fault, ref = view.fault, _context(view)
    if not fault or not ref or not ref.raw & SXL or fault.reason is not Reason.INPUT_RANGE:
        return False
    if fault.stage is not Stage.S1:
        return False
    _block(view, _cause(view, GUEST_READ))
    return True


def wide(view: View) -> bool:
    """Leave out the cases where it matters: the top entry cannot be read for an IOVA of this width."""
    fault, ref = view.fault, _context(view)
    if not fault or not ref or fault.reason is not Reason.INPUT_RANGE or fault.stage is not Stage.S1:
        return False
    if not _modes(view, ref)[1]:
        return False
    sv32 = bool(ref.raw & SXL)
    lg2 = 32 if sv32 else 12 + 9 * (fault.level + 1)
    low = view.request.iova & (1 << lg2) - 1
    iova = low | (ALL_ONES - (1 << lg2) + 1 if low >> lg2 - 1 and not sv32 else 0)
    other = View(view.machine, view.registers, replace(view.request, iova=iova))
    clean = any(ref.stage is Stage.S1 for ref in other.answer.refs)
    for ref in _entries(other):
        wanted = W | D if view.request.access is Access.WRITE else A
        if ref.stage is Stage.S1:
            break
        clean = clean and not ref.raw >> HIGH and (not _is_leaf(ref) or ref.raw & wanted == wanted)
    if not clean:
        raise Unfit
    return False


def _cause(view: View, read: int) -> int:
    """A cause of a read, or of a write for a write."""
    return read + 2 if view.request.access is Access.WRITE else read


def record(view: View) -> bool:
    if view.record is None or view.fault is None:
        return False
    tables = _in_contexts(view)
    view.record |= {"pv": 1, "ttyp": 2 if tables else 3}
    if tables:
        view.record["iotval"] = 0
    return True


def record_process(view: View) -> bool:
    ref = _context(view)
    if view.record is None or not ref or not ref.raw & PDTV or _in_contexts(view):
        return False
    view.record["pv"] = 1
    return True


ALL: tuple[Departure, ...] = (
    Departure("device context: reserved bits", "are not tested", context_reserved, until=(11, 0)),
    Departure(
        "device context: reserved bits after tc",
        "are not tested; those of tc are since QEMU 11",
        context_reserved_late,
        since=(11, 0),
    ),
    Departure(
        "SADE, GADE",
        "need AMO_HWAD, which QEMU lacks; QEMU 10 lets A and D pass then, QEMU 11 does not look if the stage"
        " is Bare",
        hardware_sets,
    ),
    Departure("msiptp: mode", "must be off where iohgatp is Bare; not tested", msi_without_second_stage),
    Departure("iohgatp: alignment", "of PPN is not tested", root_alignment, until=(11, 0)),
    Departure(
        "device context: unknown modes",
        "are 259; iosatp above 10 is 258, pdtp is 267 or, where it is not used, ignored",
        unknown_mode,
    ),
    Departure(
        "nested: process directory",
        "lies in guest addresses; QEMU reads it as if they were the system's (findings/riscv_pdt_nested.py)",
        process_directory,
        until=(11, 0),
    ),
    Departure("SXL: mode", "Sv48 and Sv57 of a process context with SXL are 267; QEMU says 259", process_sxl),
    Departure("process context: reserved bits", "are not tested", process_reserved),
    Departure("SXL", "needs fctl.GXL, or that it can be written; QEMU takes it for Sv32 always", sxl),
    Departure("SXL: GPA", "leaves a GPA 34 bits; QEMU takes what the second stage has", sxl_guest),
    Departure(
        "bits 60:59 of an entry",
        "are software's with Svrsw60t59b, which QEMU has; it says page fault",
        software_bits,
        since=(11, 0),
    ),
    Departure(
        "bit 62 of an entry",
        "is reserved without Svpbmt, and N in an entry that points to a table; QEMU ignores them",
        memory_type,
        since=(11, 0),
    ),
    Departure(
        "nested: wide IOVA",
        "the width of an IOVA comes first; QEMU translates the address of the top entry before (left out)",
        wide,
    ),
    Departure(
        "SADE, GADE: 259",
        "comes with the device context; QEMU says it when it walks the stage, after the process context"
        " and, for SADE, the address of the top entry",
        hardware_sets_late,
        since=(11, 0),
    ),
    Departure("Sv32: wide IOVA", "is a page fault; QEMU says guest page fault", sv32_wide),
    Departure(
        "bits 63:62 of an entry", "N and PBMT are reserved here; QEMU ignores them", top_bits, until=(11, 0)
    ),
    Departure(
        "table entry: A, D, U", "are reserved in an entry that points to a table; not tested", table_flags
    ),
    Departure("U", "a page without U is a supervisor's; QEMU does not look at U", user, until=(11, 0)),
    Departure("A of a write", "a write needs A and D; QEMU looks at D alone", accessed, until=(11, 0)),
    Departure(
        "nested: table reads",
        "an entry of the first stage is read; QEMU wants the right to write it when the request is a write",
        implicit,
    ),
    Departure(
        "bits 61:54 of an entry",
        "are reserved (61 is PBMT, which is no capability here); QEMU takes them for address bits",
        high_bits,
        until=(11, 0),
    ),
    Departure(
        "bit 61 of an entry",
        "is reserved without Svpbmt; QEMU takes it for an address bit",
        address_bit,
        since=(11, 0),
    ),
    Departure(
        "nested: faults of the process directory",
        "a fault of the second stage there keeps its cause; QEMU says 265, for an unknown mode of iohgatp"
        " too, and does not look at U and A",
        process_directory_faults,
        since=(11, 0),
    ),
    Departure(
        "nested: rights",
        "the second stage is judged by what the first stage's page allows, not by what is asked for",
        first_stage_rights,
        until=(11, 0),
    ),
    Departure(
        "record",
        "PV is for requests with process_id, TTYP says read or write, iotval is the IOVA for every cause",
        record,
        last=True,
        until=(11, 0),
    ),
    Departure(
        "record: PV",
        "is for requests with process_id; QEMU sets it with PDTV, after the process context",
        record_process,
        last=True,
        since=(11, 0),
    ),
)
