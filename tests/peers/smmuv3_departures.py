"""Where QEMU's SMMUv3 does not follow the specification."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from iommu_abi.schemas.smmuv3_entries import STE, TG0_LG2, TG1_LG2
from iommu_abi.terms import Access, Purpose, Reason, Ref, Request, Stage, Translation
from peers.compare import Departure, Unfit, View, ask
from peers.ram import MARGIN
from peers.smmuv3 import RECORDED_BY_WALK

F_STE_FETCH, C_BAD_STE, F_WALK_EABT, F_TRANSLATION, F_PERMISSION = 0x03, 0x04, 0x0B, 0x10, 0x13
F_CD_FETCH, F_ADDR_SIZE = 0x09, 0x11
CLASS_TT, CLASS_IN = 1, 2
ENDI, EPD0 = 1 << 15, 1 << 14
HAD = 1 << 1  # of the words that have TTB0 and TTB1
IPS_52 = 6
CONFIG_S1, CONFIG_S2 = 1, 2
ADDRESS = (1 << 48) - (1 << 12)
AF, S2_READ, APTABLE_WRITE = 1 << 10, 1 << 6, 1 << 62
STES = 1 << 16  # bytes of the largest second-level stream table
BITS = (32, 36, 40, 42, 44, 48, 52, 52)  # of IPS and S2PS

# ---------------------------------------------------------------- stream table, STE, CD


def _ref(view: View, stage: Stage, level: int = 0) -> Ref | None:
    return next((ref for ref in view.answer.refs if (ref.stage, ref.level) == (stage, level)), None)


def _ste(view: View) -> Ref | None:
    """A valid STE that the walk came to."""
    ref = _ref(view, Stage.DEVICE)
    return ref if ref and ref.raw & 1 and ref.raw >> 1 & 4 else None


def _fields(view: View, ref: Ref, layout: type | object) -> dict[str, int]:
    data = view.ram.read(ref.hpa, ref.len) or b""
    return {each.name: layout.parse(data)[each.name] for each in layout.fields}


def _set(view: View, ref: Ref, layout: object, **fields: int) -> None:
    """Change fields of an STE or CD."""
    view.write(ref.hpa, layout.build(**_fields(view, ref, layout) | fields))
    view.ask()


def aborts(view: View) -> bool:
    """Leave out what ends the emulator."""
    cd, ste = _ref(view, Stage.PASID), _ste(view)
    if cd and cd.raw & 1 << 31 and cd.raw >> 32 & 7 >= IPS_52:
        raise Unfit
    if ste and ste.raw >> 1 & CONFIG_S2 and not view.load(ste.hpa + 16) >> 51 & 1:
        raise Unfit
    return False


def stream_table(view: View, bounded: bool = False) -> bool:
    """The STE as QEMU finds it, copied to where it should be. ``bounded``: the Span and L2Ptr's low bits."""
    ref, copy = _ref(view, Stage.DEVICE, 1), view.ram.end - MARGIN - STES
    if not ref or not ref.raw & 31:
        return False
    split = view.registers["STRTAB_BASE_CFG"] >> 6 & 31
    span, index = ref.raw & 31, view.request.rid & (1 << split) - 1
    wanted = split + 1 | copy
    if ref.raw == wanted or (bounded and span > split + 1):
        return False
    if index >= 1 << span:
        view.blocks(C_BAD_STE, Stage.DEVICE)
        return True
    pointer = ref.raw & -(1 << 5 + (span if bounded else 0))
    where = pointer + 64 * index & (1 << 64) - 1
    data = view.ram.read(where, 64)
    if data is None and where < view.machine.windows:
        raise Unfit
    if data is None:
        view.blocks(F_STE_FETCH, Stage.DEVICE)
        return True
    if view.ram.tables(copy + 64 * index):
        raise Unfit
    view.write(copy + 64 * index, data)
    view.put(ref.hpa, wanted)
    return True


def substreams(view: View) -> bool:
    ste = _ste(view)
    if not ste or not ste.raw >> 1 & (CONFIG_S1 | CONFIG_S2):
        return False
    if not ste.raw >> 59 and not view.load(ste.hpa + 8) >> 27 & 1:
        return False
    view.blocks(C_BAD_STE, Stage.DEVICE)
    return True


def stage_2_start(view: View) -> bool:
    """Leave out an input that the start level is too early for, and tables beyond the output size."""
    ste, fault = _ste(view), view.fault
    if not ste or not ste.raw >> 1 & CONFIG_S2 or not fault or fault.native != C_BAD_STE:
        return False
    fields = _fields(view, ste, STE)
    lg2 = TG0_LG2.get(fields["S2TG"], 0)
    start = (2 if lg2 == 12 else 3) - fields["S2SL0"]
    early = 64 - fields["S2T0SZ"] <= lg2 + (3 - start) * (lg2 - 3)
    if lg2 and (early or fields["S2TTB"] >> min(BITS[fields["S2PS"]], BITS[view.registers["IDR5"] & 7])):
        raise Unfit
    return False


def eats(view: View) -> bool:
    ste = _ste(view)
    if not ste or not ste.raw >> 1 & (CONFIG_S1 | CONFIG_S2) or not view.load(ste.hpa + 8) >> 28 & 3:
        return False
    _set(view, ste, STE, EATS=0)
    return True


def stage_2_hardware(view: View) -> bool:
    ste = _ste(view)
    if not ste or not ste.raw >> 1 & CONFIG_S2 or not view.load(ste.hpa + 16) >> 55 & 3:
        return False
    _set(view, ste, STE, S2HA=0, S2HD=0)
    return True


def stage_2_size(view: View) -> bool:
    ste = _ste(view)
    if not ste or not ste.raw >> 1 & CONFIG_S2:
        return False
    fields = _fields(view, ste, STE)
    oas = BITS[view.registers["IDR5"] & 7]
    if fields["S2T0SZ"] >= 64 - min(BITS[fields["S2PS"]], oas):
        return False
    view.blocks(C_BAD_STE, Stage.DEVICE)
    return True


# ---------------------------------------------------------------- page tables


def privileged(view: View) -> bool:
    if view.request.priv:
        return False
    view.request = replace(view.request, priv=True)
    view.ask()
    return True


def _is_table(ref: Ref) -> bool:
    return ref.raw & 3 == 3 and ref.level > 0


def table_size(view: View) -> bool:
    """What is beyond the output size is beyond memory."""
    fault = view.fault
    if not fault or fault.reason is not Reason.OUTPUT_RANGE or not view.answer.refs:
        return False
    ref = view.answer.refs[-1]
    if ref.stage not in (Stage.S1, Stage.S2) or not _is_table(ref):
        return False
    ste, cd = _ste(view), _ref(view, Stage.PASID)
    if ref.stage is Stage.S1 and ste and ste.raw >> 1 & CONFIG_S2:
        view.blocks(F_ADDR_SIZE, Stage.S1)
        view.record = _record_below(view, F_ADDR_SIZE) if cd and cd.raw >> 45 & 1 else None
        return True
    view.blocks(F_WALK_EABT)
    return True


def leaf_order(view: View) -> bool:
    """The same entry with an address that fits says whether something comes first."""
    fault = view.fault
    if not fault or fault.reason is not Reason.OUTPUT_RANGE or not view.answer.refs:
        return False
    ref, record = view.answer.refs[-1], view.record
    if ref.stage not in (Stage.S1, Stage.S2) or _is_table(ref):
        return False
    view.put(ref.hpa, ref.raw & ~ADDRESS)
    if view.fault and view.fault.entry_hpa == ref.hpa:
        return True
    view.blocks(fault.native)
    view.record = record
    return True


def table_rights(view: View) -> bool:
    """APTable[1], unless HAD is set."""
    cd, fault = _ref(view, Stage.PASID), view.fault
    if view.request.access is not Access.WRITE or not cd:
        return False
    word = view.load(cd.hpa + (16 if view.request.iova >> 55 & 1 else 8))
    for ref in view.answer.refs:
        if ref.stage is Stage.S1 and _is_table(ref) and ref.raw & APTABLE_WRITE and not word & HAD:
            last = fault and fault.stage is Stage.S1 and fault.native == F_PERMISSION
            if last:
                return False
            _stage_1_fault(view, F_PERMISSION)
            return True
    return False


def _stage_1_fault(view: View, event: int) -> None:
    """Block the request; CD.R says whether that is recorded."""
    cd = _ref(view, Stage.PASID)
    view.blocks(event, Stage.S1)
    if view.record is not None:
        view.record |= {"class": CLASS_IN}
    if cd and not cd.raw >> 45 & 1:
        view.record = None


def context_pointer(view: View) -> bool:
    ste = _ste(view)
    oas = BITS[view.registers["IDR5"] & 7]
    if ste and ste.raw >> 1 & 7 == 7 and ste.raw >> 48 & 255:
        view.put(ste.hpa, ste.raw & ~(255 << 48))
        return True
    if not ste or ste.raw >> 1 & 7 != 5 or not ste.raw >> oas & (1 << 56 - oas) - 1 or ste.raw >> 59:
        return False
    if ste.raw >> oas & (1 << 48 - oas) - 1:
        view.blocks(F_CD_FETCH, Stage.DEVICE)
    else:
        view.put(ste.hpa, ste.raw & ~(255 << 48))
    return True


def context_pointer_wide(view: View) -> bool:
    ste = _ste(view)
    config = ste.raw >> 1 & 7 if ste else 0
    if not ste or config not in (5, 7):
        return False
    high = (1 << 56) - (1 << (52 if config & CONFIG_S2 else BITS[view.registers["IDR5"] & 7]))
    if not ste.raw & high:
        return False
    view.put(ste.hpa, ste.raw & ~high)
    if not view.fault or view.fault.native != C_BAD_STE:
        view.blocks(None if config & CONFIG_S2 else F_CD_FETCH, Stage.DEVICE)
    return True


def endianness(view: View) -> bool:
    cd = _ref(view, Stage.PASID)
    if not cd or cd.raw & (ENDI | EPD0) != ENDI | EPD0:
        return False
    view.put(cd.hpa, cd.raw & ~ENDI)
    return True


def _granule_lg2(view: View, stage: Stage) -> int:
    ste, cd = _ste(view), _ref(view, Stage.PASID)
    if stage is Stage.S2:
        return TG0_LG2.get(view.load(ste.hpa + 16) >> 46 & 3, 12) if ste else 12
    if view.request.iova >> 55 & 1:
        return TG1_LG2.get(cd.raw >> 22 & 3, 12) if cd else 12
    return TG0_LG2.get(cd.raw >> 6 & 3, 12) if cd else 12


def large_blocks(view: View) -> bool:
    """As a table of smaller blocks."""
    fault, ste = view.fault, _ste(view)
    if not fault or fault.reason is not Reason.NOT_PRESENT or fault.stage not in (Stage.S1, Stage.S2):
        return False
    ref = view.answer.refs[-1]
    if ref.raw & 3 != 1 or not ref.level or not ste:
        return False
    if fault.stage is Stage.S1 and ste.raw >> 1 & CONFIG_S2:
        raise Unfit  # the table would have to be in guest memory
    lg2 = _granule_lg2(view, fault.stage)
    if lg2 == 14 and ref.level == 3:
        raise Unfit  # of 128 TiB: wider than any output
    below, size = lg2 + (ref.level - 1) * (lg2 - 3), lg2 + ref.level * (lg2 - 3)
    index = fault.input >> below & (1 << lg2 - 3) - 1
    table = view.ram.end - MARGIN - STES * (2 + ref.level)
    if any(view.ram.tables(table + at) for at in range(0, STES, 1 << 12)):
        raise Unfit
    block = ref.raw & ~((1 << size) - (1 << 12)) | index << below
    view.write(table + 8 * index, block.to_bytes(8, "little"))
    view.put(ref.hpa, table | 3)
    return True


# ---------------------------------------------------------------- stage 2 and nested


def concatenation(view: View) -> bool:
    """The top entry is that of the first table."""
    ste = _ste(view)
    if not ste:
        return False
    mask = (1 << _granule_lg2(view, Stage.S2) - 3) - 1
    before = None
    for ref in view.answer.refs:
        top = ref.stage is Stage.S2 and (before is None or (before.purpose, before.for_level) != _use(ref))
        before = ref if ref.stage is Stage.S2 else None
        root = view.load(ste.hpa + 24) & ADDRESS
        first = root + 8 * ((ref.hpa - root >> 3) & mask)
        if top and ref.hpa != first and view.load(first) != ref.raw:
            view.put(ref.hpa, view.load(first))
            return True
    return False


def _use(ref: Ref) -> tuple[Purpose, int]:
    return ref.purpose, ref.for_level


def _second(view: View, ipa: int) -> Translation:
    """What stage 2 alone makes of a read."""
    ste = _ste(view)
    assert ste
    view.ram.store(ste.hpa, ste.raw & ~0xE | 0xC)
    answer = ask(view.machine, view.registers, Request(view.request.rid, ipa))
    view.ram.store(ste.hpa, ste.raw)
    return answer


def both_roots(view: View) -> bool:
    """TTB0 and TTB1 are translated when the CD is read."""
    ste, cd, fault = _ste(view), _ref(view, Stage.PASID), view.fault
    if not ste or ste.raw >> 1 & 7 != 7 or not cd or (fault and fault.stage is Stage.PASID):
        return False
    for word, disabled, granule in (
        (8, 14, TG0_LG2.get(cd.raw >> 6 & 3)),
        (16, 30, TG1_LG2.get(cd.raw >> 22 & 3)),
    ):
        if cd.raw >> disabled & 1 or not granule:
            continue
        root = view.load(cd.hpa + word) & (1 << 52) - 16
        found = _second(view, root).fault
        if not found or view.machine.expected(view.request, found) == view.record:
            continue
        event = F_TRANSLATION if found.stage is not Stage.S2 else found.native
        if event == F_ADDR_SIZE and (found.raw or 0) & (AF | S2_READ) != AF | S2_READ:
            raise Unfit  # two faults of one leaf
        view.answer = replace(view.answer, refs=())
        view.blocks(event, Stage.S2)
        if view.record is not None:
            view.record |= (
                {"class": CLASS_TT, "ipa": root >> 12, "read": 1} if event in RECORDED_BY_WALK else {}
            )
        if event in RECORDED_BY_WALK and not view.load(ste.hpa + 16) >> 58 & 1:
            view.record = None
        return True
    return False


def table_base(view: View) -> bool:
    """Only the first byte of a stage-1 table is translated; where TTB leads is then aligned."""
    ste, cd = _ste(view), _ref(view, Stage.PASID)
    if not ste or not cd or ste.raw >> 1 & 7 != 7:
        return False
    lg2, fault = _granule_lg2(view, Stage.S1), view.fault
    entries = [ref for ref in view.answer.refs if ref.stage is Stage.S1]
    for ref in entries:
        size = 1 << lg2
        if ref is entries[0]:
            size = _root_size(view, cd, ref.level, lg2)
        base = ref.gpa & -size
        found = _second(view, base)
        if not found.ok:
            continue
        table = found.hpa & -size & (1 << _ips(view, cd)) - 1 if ref is entries[0] else found.hpa
        there = view.ram.read(table + ref.gpa - base, 8)
        if there is None:
            raise Unfit
        if there != view.ram.read(ref.hpa, 8):
            view.put(ref.hpa, int.from_bytes(there, "little"))
            return True
    wanted = fault.input if fault and fault.purpose is Purpose.S1_ENTRY else fault and fault.entry_gpa
    if wanted is not None:
        _table_elsewhere(view, wanted, lg2 if entries else None)
    return False


def _ips(view: View, cd: Ref) -> int:
    return min(BITS[cd.raw >> 32 & 7], BITS[view.registers["IDR5"] & 7])


def _root_size(view: View, cd: Ref, level: int, lg2: int) -> int:
    width = 64 - (cd.raw >> (16 if view.request.iova >> 55 & 1 else 0) & 63)
    return 8 << max(0, width - lg2 - level * (lg2 - 3))


def _table_elsewhere(view: View, entry: int, lg2: int | None) -> None:
    """Leave out an entry that cannot be read in a table whose base can: QEMU reads another."""
    fault = view.fault
    assert fault
    unreadable = fault.stage is Stage.S1 and fault.reason is Reason.UNREADABLE
    if not unreadable and fault.purpose is not Purpose.S1_ENTRY:
        return
    base = entry & (-1 << lg2 if lg2 else -1 << 16)
    found, cd = _second(view, base), _ref(view, Stage.PASID)
    cut = cd and found.ok and not lg2 and found.hpa >> _ips(view, cd)
    if found.ok and (cut or base >> 12 != entry >> 12):
        raise Unfit


def tbi(view: View) -> bool:
    cd = _ref(view, Stage.PASID)
    if not cd or not view.request.iova >> 55 & 1 or cd.raw >> 39 & 1 == cd.raw >> 38 & 1:
        return False
    view.put(cd.hpa, cd.raw ^ 1 << 39)
    return True


def record_of_tables(view: View) -> bool:
    fault, ste, cd = view.fault, _ste(view), _ref(view, Stage.PASID)
    if not fault or fault.stage is not Stage.S2 or fault.native not in RECORDED_BY_WALK or not ste:
        return False
    if fault.detail >> 1 & 3 == CLASS_IN or ste.raw >> 1 & 7 != 7:
        return False
    below = any(ref.stage is Stage.S1 for ref in view.answer.refs)
    if not below:
        if view.record is not None:
            view.record["read"] = 1
        return view.record is not None
    view.record = _record_below(view, fault.native) if cd and cd.raw >> 45 & 1 else None
    return True


def _record_below(view: View, event: int) -> dict[str, int | None]:
    read = int(view.request.access is not Access.WRITE)
    common = {"type": event, "sid": view.request.rid, "addr": view.request.iova, "read": read}
    return common | {"s2": 0, "class": None}


def beyond_oas(view: View) -> bool:
    fault = view.fault
    if (
        view.record is None
        or not fault
        or fault.stage is not Stage.S2
        or fault.reason is not Reason.INPUT_RANGE
    ):
        return False
    if not fault.input >> BITS[view.registers["IDR5"] & 7]:
        return False
    view.record = None
    return True


def stage_1_off(view: View) -> bool:
    fault = view.fault
    if view.record is None or not fault or fault.native != F_ADDR_SIZE:
        return False
    if fault.reason is not Reason.INPUT_RANGE:
        return False
    view.record = None
    return True


ALL: tuple[Departure, ...] = (
    Departure(
        "QEMU aborts", "on CD.IPS above 48 bits and on S2AA64=0: not asked (findings/smmuv3_abort.py)", aborts
    ),
    Departure(
        "stream table: L2Ptr and Span",
        "QEMU adds to L2Ptr 63:5 as it is, takes any Span, whose bound is 2^Span, and says C_BAD_STE beyond",
        stream_table,
        until=(11, 0),
    ),
    Departure(
        "stream table: L2Ptr 63:52, bound",
        "QEMU takes L2Ptr 63:52 for address bits, takes 2^Span for the bound, and says C_BAD_STE beyond; it"
        " aligns L2Ptr, and refuses a Span beyond SPLIT + 1",
        partial(stream_table, bounded=True),
        since=(11, 0),
    ),
    Departure(
        "S1CDMax, S1STALLD",
        "the first counts as 0 where SSIDSIZE is 0, both do not count with stage 1 off; QEMU says C_BAD_STE",
        substreams,
    ),
    Departure(
        "stage 2: start level, S2TTB",
        "QEMU walks from a start level that is too early for S2T0SZ, and from any S2TTB (left out)",
        stage_2_start,
    ),
    Departure("EATS", "with ATS, 2 is illegal but for nested STEs, and 1 with S2S; QEMU does not look", eats),
    Departure("S2HA, S2HD", "are illegal without HTTU; QEMU ignores them", stage_2_hardware),
    Departure("S2T0SZ", "must be 64 - IAS at least; QEMU wants 64 - S2PS", stage_2_size),
    Departure(
        "privilege", "a request without PASID is unprivileged; QEMU ignores AP[1] and APTable[0]", privileged
    ),
    Departure("CD.ENDI", "is illegal for little-endian SMMUs; QEMU does not look with EPD0", endianness),
    Departure(
        "S1ContextPtr",
        "beyond OAS is illegal, or an IPA for stage 2; QEMU ignores 55:48 and reads the CD",
        context_pointer,
        until=(11, 0),
    ),
    Departure(
        "S1ContextPtr 55:6",
        "beyond OAS is illegal, nested an IPA that stage 2 does not take; QEMU says F_CD_FETCH, and nested it"
        " blocks and records nothing for 55:52",
        context_pointer_wide,
        since=(11, 0),
    ),
    Departure("concatenated tables", "QEMU takes the top entry from the first of them", concatenation),
    Departure("nested: both roots", "QEMU translates TTB0 and TTB1 by stage 2 whichever is used", both_roots),
    Departure(
        "nested: base of a table",
        "each entry's address is translated by stage 2; QEMU translates the table's, and aligns what TTB"
        " gives and cuts it to IPS bits",
        table_base,
    ),
    Departure("TBI1", "QEMU looks at TBI0 for both halves", tbi),
    Departure(
        "nested: IPA beyond OAS",
        "F_TRANSLATION of stage 2 for a CD or a table there; QEMU blocks and records nothing",
        beyond_oas,
        last=True,
    ),
    Departure(
        "bypass beyond OAS",
        "F_ADDR_SIZE of stage 1, recorded whatever S2R says, also before stage 2 alone; QEMU records nothing",
        stage_1_off,
        last=True,
    ),
    Departure(
        "nested: record of a table",
        "RnW is the request's, a fault of stage 2 on a stage-1 table has S2 and its IPA; in QEMU RnW is 1 for"
        " CD and TTB, S2 is 0 below and the class changes",
        record_of_tables,
        last=True,
    ),
    Departure(
        "large blocks", "at levels that have none are invalid descriptors; QEMU takes them", large_blocks
    ),
    Departure(
        "APTable",
        "takes rights at the leaf; QEMU denies a write at the table descriptor",
        table_rights,
    ),
    Departure("F_ADDR_SIZE of tables", "pointers to tables are not tested: no memory is there", table_size),
    Departure("order at a leaf", "address size comes before AF and rights; in QEMU after", leaf_order),
)
