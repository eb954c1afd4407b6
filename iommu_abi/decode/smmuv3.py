"""arm-smmu-v3 events: the four words that all kernels print, and the lines that Linux 6.15 adds.

(drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c.) Records and codes: Arm SMMUv3 specification (IHI 0070) 7.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import UNSAID, Meaning, Note, Report, meaning, number
from iommu_abi.terms import Access, Stage

KIND, SOURCE = "smmuv3", "Arm SMMUv3 specification 7.3"

MEANINGS = {
    0x01: Meaning("F_UUT", "an upstream transaction of an unsupported kind"),
    0x02: Meaning("C_BAD_STREAMID", "the StreamID is beyond the stream table", Stage.DEVICE),
    0x03: Meaning("F_STE_FETCH", "the stream table entry could not be read", Stage.DEVICE),
    0x04: Meaning("C_BAD_STE", "the stream table entry is invalid or illegal", Stage.DEVICE),
    0x05: Meaning("F_BAD_ATS_TREQ", "an ATS request, and ATS is off for this stream", Stage.DEVICE),
    0x06: Meaning("F_STREAM_DISABLED", "a request without SubstreamID, which S1DSS refuses", Stage.DEVICE),
    0x07: Meaning("F_TRANSL_FORBIDDEN", "a translated request, which the stream may not make", Stage.DEVICE),
    0x08: Meaning("C_BAD_SUBSTREAMID", "the SubstreamID is beyond the CD table", Stage.PASID),
    0x09: Meaning("F_CD_FETCH", "the context descriptor could not be read", Stage.PASID),
    0x0A: Meaning("C_BAD_CD", "the context descriptor is invalid or illegal", Stage.PASID),
    0x0B: Meaning("F_WALK_EABT", "a translation table entry could not be read"),
    0x10: Meaning("F_TRANSLATION", "an invalid descriptor, or an address that the stage does not take"),
    0x11: Meaning("F_ADDR_SIZE", "an address beyond the output size"),
    0x12: Meaning("F_ACCESS", "the access flag is clear, and hardware does not set it"),
    0x13: Meaning("F_PERMISSION", "the permissions do not cover this access"),
    0x20: Meaning("F_TLB_CONFLICT", "a conflict in the TLB"),
    0x21: Meaning("F_CFG_CONFLICT", "a conflict in the configuration cache"),
    0x24: Meaning("E_PAGE_REQUEST", "a hint that pages will be wanted"),
    0x25: Meaning("F_VMS_FETCH", "the VMS could not be read"),
}
CLASSES = ("CD fetch", "stage-1 table walk", "the input address", "reserved")
#: Whose record holds an input address and what kind of access it was.
WITH_ADDRESS = (0x01, 0x05, 0x07, 0x0B, 0x10, 0x11, 0x12, 0x13)
TRANSLATION = range(0x0B, 0x14)  # those that say stage and class

#: Bit of GERROR -> name and meaning (6.3.19).
GERRORS = {
    0: "CMDQ_ERR: a command could not be executed",
    2: "EVENTQ_ABT_ERR: an event could not be written, and is lost",
    3: "PRIQ_ABT_ERR: a page request could not be written, and is lost",
    4: "MSI_CMDQ_ABT_ERR: the MSI of a CMD_SYNC could not be written",
    5: "MSI_EVENTQ_ABT_ERR: the MSI of the event queue could not be written",
    6: "MSI_PRIQ_ABT_ERR: the MSI of the page request queue could not be written",
    7: "MSI_GERROR_ABT_ERR: the MSI of this error could not be written",
    8: "SFM_ERR: the SMMU is in service failure mode",
}
#: CONS.ERR (bits 30:24) -> name and meaning (4.8).
CERRORS = {
    0: "CERROR_NONE: no error",
    1: "CERROR_ILL: the command is illegal",
    2: "CERROR_ABT: the command could not be read",
    3: "CERROR_ATC_INV_SYNC: a device did not answer an ATC_INV in time",
}
#: What Linux prints of them.
CERROR_WORDS = {
    0: "No error",
    1: "Illegal command",
    2: "Abort on command fetch",
    3: "ATC invalidate timeout",
}
COMMANDS = {
    0x01: "PREFETCH_CONFIG", 0x02: "PREFETCH_ADDR", 0x03: "CFGI_STE", 0x04: "CFGI_ALL or CFGI_STE_RANGE",
    0x05: "CFGI_CD", 0x06: "CFGI_CD_ALL", 0x10: "TLBI_NH_ALL", 0x11: "TLBI_NH_ASID", 0x12: "TLBI_NH_VA",
    0x13: "TLBI_NH_VAA", 0x18: "TLBI_EL3_ALL", 0x1A: "TLBI_EL3_VA", 0x20: "TLBI_EL2_ALL",
    0x21: "TLBI_EL2_ASID", 0x22: "TLBI_EL2_VA", 0x23: "TLBI_EL2_VAA", 0x28: "TLBI_S12_VMALL",
    0x2A: "TLBI_S2_IPA", 0x30: "TLBI_NSNH_ALL", 0x40: "ATC_INV", 0x41: "PRI_RESP", 0x44: "RESUME",
    0x45: "STALL_TERM", 0x46: "SYNC",
}  # fmt: skip

#: Reports leave out the instance, or all of the name; of "smmuv3: /smmu@2b400000:" the node is it.
_UNIT = r"(?:arm-smmu-v3|[sS][mM][mM][uU]v3:?)(?: (?P<unit>\S{1,64}))?:\s{1,16}"
_ANYBODY = r"(?:(?P<unit>\S{1,64}):\s{1,16})?"
_HEAD = regex(_UNIT + r"event (?P<code>0x[0-9a-f]{1,2}) received:")
#: Mail programs have put a blank into the middle of such a number.
_WORD = regex(_UNIT + r"0x(?P<high>[0-9a-f]{8}) ?(?P<low>[0-9a-f]{8})(?!\w)")
_NAMED = regex(
    _UNIT + r"event: (?P<name>\w{1,32}) client: (?P<client>.{1,64}?) sid: (?P<sid>[^\s\x22,\]}<]{1,40}) ssid:"
    r" (?P<ssid>[^\s]{1,40})"
    r"(?: iova: (?P<iova>[^\s\x22,\]}<]{1,40}) ipa: (?P<ipa>[^\s\x22,\]}<]{1,40})|(?= {0,4}$))"
)
_DETAIL = regex(
    _UNIT + r"(?P<priv>priv|unpriv) (?P<what>inst|data) (?P<rw>read|write) (?P<stage>s1|s2)"
    r' "(?P<class>[^"]{0,80})"'
)
_EVENT = regex(_UNIT + r"event[ :]")
_OTHER = regex(
    _ANYBODY + r"(?:unexpected global error reported \((?P<gerror>0x[0-9a-f]{1,8})\)"
    r"|CMDQ error \(cons (?P<cons>0x[0-9a-f]{1,8})\)(?:: (?P<words>[\w ]{1,40}))?"
    r"|CMD_SYNC timeout at (?P<sync>0x[0-9a-f]{1,8})(?: \[hwprod (?P<prod>0x[0-9a-f]{1,8}), hwcons"
    r" (?P<hwcons>0x[0-9a-f]{1,8})\])?"
    r"|(?P<queue>EVTQ|PRIQ) overflow detected"
    r"|(?P<write>EVTQ|PRIQ) write aborted"
    r"|(?P<timeout>CMDQ timeout)"
    r"|(?P<failure>device has entered Service Failure Mode))"
)
_SKIPPED = regex(_UNIT + r"skipping command in error state")
DRIVER = r"arm-smmu(?:-v3)?"
MARKS = (
    "arm-smmu-v3",
    "smmuv3",
    "SMMUv3",
    "global error reported (",
    "CMDQ error (cons",
    "CMD_SYNC timeout at",
    "Q overflow detected",
    "Q write aborted",
)
BEGINS = r"(?:arm-smmu-v3|[sS][mM][mM][uU]v3:?)(?: \S{1,64})?:\s"
HINT = regex(_UNIT + r"(?:event(?: 0x|: |$)|0x[0-9a-f]{16}\s{0,4}$|(?:un)?priv (?:inst|data))")
NEAR = 12  # lines of one event, with others between
_NO_OWNER = "(unassigned sid)"
_LOOK = {
    Stage.DEVICE: "the stream table entry: does the firmware (IORT, iommus or msi-map of the DT) give"
    " the device this StreamID?",
    Stage.PASID: "the context descriptor of this SubstreamID: was it attached, or torn down while the"
    " device used it?",
}
_LOOK_PAGES = (
    "what mapped and unmapped this address: trace iommu:map and iommu:unmap, then the driver of the device"
)


def _device(sid: int) -> str:
    return f"StreamID {sid:#x}"


def _look(code: int, client: str) -> str:
    if client == _NO_OWNER:
        return (
            "no device of Linux owns this StreamID: IORT of the firmware, or iommus and iommu-map of the DT"
        )
    stage = MEANINGS[code].stage if code in MEANINGS else None
    return _LOOK.get(stage, _LOOK_PAGES) if stage is not None else _LOOK_PAGES


def _record(words: Sequence[int], lines: tuple[int, ...], client: str) -> Report:
    code, sid, flags = words[0] & 0xFF, words[0] >> 32, words[1]
    ssid = words[0] >> 12 & 0xFFFFF if words[0] >> 11 & 1 else None
    known = meaning(MEANINGS, code)
    access, priv, address = None, None, None
    extra = [("client", client)] if client else []
    if code in WITH_ADDRESS:
        read = Access.EXEC if flags >> 34 & 1 else Access.READ
        access, priv, address = read if flags >> 35 & 1 else Access.WRITE, bool(flags >> 33 & 1), words[2]
    if code in TRANSLATION:
        stage2 = flags >> 39 & 1
        known = Meaning(known.name, known.text, Stage.S2 if stage2 else Stage.S1)
        extra.append(("class", CLASSES[flags >> 40 & 3]))
        if stage2:
            extra.append(("IPA", f"{words[3] & 0xFFFFFFFFFF000:#x}"))
        if flags >> 31 & 1:
            extra.append(("stalled", f"STAG {flags & 0xFFFF:#x}"))
    return Report(
        KIND, code, known, SOURCE, lines, sid, _device(sid), ssid, address, access, priv, tuple(extra),
        _look(code, client),
    )  # fmt: skip


def _named(found: Found, detail: Found | None) -> Report | None:
    code = next((code for code, m in MEANINGS.items() if m.name == found["name"]), None)
    if code is None:
        return None
    known, client = MEANINGS[code], found["client"]
    lines = found.at
    access, priv, extra = None, None, [("client", client)]
    if detail and code in TRANSLATION:
        read = Access.EXEC if detail["what"] == "inst" else Access.READ
        access = read if detail["rw"] == "read" else Access.WRITE
        priv, lines = detail["priv"] == "priv", (*found.at, *detail.at)
        known = Meaning(known.name, known.text, Stage.S2 if detail["stage"] == "s2" else Stage.S1)
        extra.append(("class", detail["class"]))
        if detail["stage"] == "s2" and found["ipa"]:
            extra.append(("IPA", found["ipa"]))
    sid, ssid = number(found["sid"]), number(found["ssid"])
    address = number(found["iova"]) if found["iova"] else None
    if found["iova"] and address is None:
        extra.append(("address", UNSAID))
    device = _device(sid) if sid is not None else f"StreamID {found['sid']}"
    return Report(
        KIND, code, known, SOURCE, lines, sid, device, ssid or None, address, access, priv, tuple(extra),
        _look(code, client),
    )  # fmt: skip


def _below(
    lines: Lines, last: int, unit: str | None, pattern: re.Pattern[str], stop: re.Pattern[str]
) -> Iterator[Found]:
    """Matches of the same unit below a line, up to the unit's next event."""
    for place in range(last + 1, min(len(lines), last + 1 + NEAR)):
        event = stop.search(lines[place])
        if event and event["unit"] == unit:
            return
        found = lines.find(place, pattern)
        if found and found["unit"] == unit:
            yield found


def _event(lines: Lines, at: int, head: Found) -> Report | None:
    """The words of an event, with the decoded lines that repeat them."""
    unit = head["unit"]
    words = list(islice(_below(lines, head.at[-1], unit, _WORD, _EVENT), 4))
    if len(words) < 4:
        return None
    used = [place for each in (head, *words) for place in each.at]
    values = [int(each["high"] + each["low"], 16) for each in words]
    named = next(_below(lines, used[-1], unit, _NAMED, _HEAD), None)
    client = ""
    if named and number(named["sid"]) == values[0] >> 32:
        client = named["client"]
        used += named.at
        detail = next(_below(lines, used[-1], unit, _DETAIL, _EVENT), None)
        used += detail.at if detail else ()
    return _record(values, tuple(used), client)


def _command(lines: Lines, last: int, unit: str | None) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The command that Linux skips, which it prints below the error."""
    skipped = next(_below(lines, last, unit, _SKIPPED, _EVENT), None)
    words = list(islice(_below(lines, skipped.at[-1], unit, _WORD, _EVENT), 2)) if skipped else []
    if skipped is None or len(words) < 2:
        return (), ()
    shown = [f"0x{each['high']}{each['low']}" for each in words]
    first = int(shown[0], 16)
    used = (*skipped.at, *(place for each in words for place in each.at))
    name = COMMANDS.get(first & 0xFF, "which is none")
    return used, (f"the command: opcode {first & 0xFF:#x}, {name}: {' '.join(shown)}",)


def _note(title: str, lines: tuple[int, ...], facts: tuple[str, ...], look: str) -> Note:
    return Note(KIND, f"SMMUv3: {title}", lines, facts, look, "Arm SMMUv3 specification 6.3.19, 4.8, 7.4")


def _other(lines: Lines, at: int) -> Note | None:
    """Errors of the SMMU itself, and of its queues."""
    found = lines.find(at, _OTHER)
    if not found:
        return None
    whose = found["unit"] if found["unit"] != "arm-smmu-v3" else None  # else the driver's name alone
    unit = (f"unit {whose}",) if whose else ()
    commands = "the command queue: the commands before it, ATS of the devices, the SMMU's clock and power"
    if found["gerror"]:
        value = int(found["gerror"], 16)
        bits = tuple(
            GERRORS.get(bit, f"bit {bit}, which has no name") for bit in range(32) if value >> bit & 1
        )
        return _note(
            f"global error, GERROR {value:#x}",
            found.at,
            (*unit, *bits),
            "the lines around it, which say more",
        )
    if found["cons"]:
        cons = int(found["cons"], 16)
        error = CERRORS.get(cons >> 24 & 0x7F, f"CONS.ERR {cons >> 24 & 0x7F:#x}, which has no name")
        used, facts = _command(lines, found.at[-1], whose)
        words = (found["words"] or "").strip()
        if words and not CERROR_WORDS.get(cons >> 24 & 0x7F, words).startswith(words):
            facts = (f"the words of the line are those of another error: {words}", *facts)
        ats = cons >> 24 & 0x7F == 3
        look = (
            "ATS of the device: its power state, a reset, a quirk that switches ATS off" if ats else commands
        )
        where = f"CONS {cons & 0xFFFFFF:#x} (index and wrap bit)"
        return _note(f"command queue error, {error}", (*found.at, *used), (*unit, where, *facts), look)
    if found["sync"]:
        queue = (f"PROD {found['prod']}, CONS {found['hwcons']}",) if found["prod"] else ()
        return _note(
            f"a CMD_SYNC did not end in time, at {found['sync']}", found.at, (*unit, *queue), commands
        )
    if found["queue"]:
        what = "events" if found["queue"] == "EVTQ" else "page requests"
        look = "the faults before it: which device floods the queue"
        return _note(f"{found['queue']} overflow: {what} are missing", found.at, unit, look)
    if found["write"]:
        what = "events" if found["write"] == "EVTQ" else "page requests"
        return _note(
            f"{found['write']} write aborted: {what} may have been lost", found.at, unit, "the queue's memory"
        )
    if found["timeout"]:
        return _note("the command queue is full, and stays so", found.at, unit, commands)
    return _note(
        "service failure mode: the SMMU does nothing any more", found.at, unit, "a reset of the machine"
    )


def recognise(lines: Lines, at: int) -> Report | Note | None:
    """The words of an event, with the decoded lines that repeat them; decoded lines alone; or an error."""
    head = lines.find(at, _HEAD)
    if head:
        return _event(lines, at, head)
    named = lines.find(at, _NAMED)
    if named:
        return _named(named, next(_below(lines, named.at[-1], named["unit"], _DETAIL, _EVENT), None))
    return _other(lines, at)
