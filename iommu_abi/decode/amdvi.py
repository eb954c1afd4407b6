"""AMD-Vi event lines of Linux's driver (drivers/iommu/amd/iommu.c, 2.6.2x to 7.2).

Codes and flags: AMD I/O Virtualization Technology specification, 2.5 Event Logging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import UNSAID, Meaning, Note, Report, device, number
from iommu_abi.terms import Access, Stage

KIND, SOURCE = "amdvi", "AMD IOMMU specification 2.5"

CODES = {
    "ILLEGAL_DEV_TABLE_ENTRY": (1, "the device table entry asks for what is illegal", Stage.DEVICE),
    "IO_PAGE_FAULT": (2, "no translation, or no permission, for this address", None),
    "DEV_TAB_HARDWARE_ERROR": (3, "the device table entry could not be read", Stage.DEVICE),
    "PAGE_TAB_HARDWARE_ERROR": (4, "a page table entry could not be read", None),
    "ILLEGAL_COMMAND_ERROR": (5, "the command at this address is illegal", None),
    "COMMAND_HARDWARE_ERROR": (6, "the command at this address could not be read", None),
    "IOTLB_INV_TIMEOUT": (7, "the device did not answer an IOTLB invalidation", None),
    "INVALID_DEVICE_REQUEST": (
        8,
        "a kind of request, or an address range, that this device may not use",
        None,
    ),
    "INVALID_PPR_REQUEST": (9, "a page request that this device may not make", None),
    "EVENT_COUNTER_ZERO": (0xA, "an event counter reached zero", None),
    "RMP_PAGE_FAULT": (0xD, "the reverse map table does not allow this access", None),
    "RMP_HW_ERROR": (0xE, "the reverse map table could not be read", None),
}
#: Bits of flags from bit 0: those of event bits 59:48.
FLAGS = (
    "GN: the domain is a PASID",
    "NX: execute",
    "US: user",
    "I: interrupt request",
    "PR: the entry is present",
    "RW: write",
    "PE: permission",
    "RZ: reserved bits",
    "TR: translation request",
)
GN, NX, US, INTERRUPT, PR, RW, PE, RZ, TR = range(9)
#: Which of the flags an event has; the others are not named for it.
HAS = {
    "ILLEGAL_DEV_TABLE_ENTRY": (INTERRUPT, RW, RZ, TR),
    "DEV_TAB_HARDWARE_ERROR": (INTERRUPT, RW, TR),
    "PAGE_TAB_HARDWARE_ERROR": (GN, NX, US, INTERRUPT, RW, TR),
    "INVALID_DEVICE_REQUEST": (GN, US, TR),
}
#: Event -> its first bit of Type, and what its values mean.
_HARDWARE = {1: "master abort", 2: "target abort", 3: "data error"}
TYPES = {
    "DEV_TAB_HARDWARE_ERROR": (9, _HARDWARE),
    "PAGE_TAB_HARDWARE_ERROR": (9, _HARDWARE),
    "COMMAND_HARDWARE_ERROR": (9, _HARDWARE),
    "INVALID_DEVICE_REQUEST": (
        9,
        {
            0: "a read or non-posted write in the interrupt address range",
            1: "a pre-translated request of a device whose DTE has I=0 or V=0",
            2: "a port I/O request of a device whose DTE has IoCtl=00b",
            3: "a posted write to an invalid address in the system management range",
            4: "a read or non-posted write in the system management range",
            5: "a posted write to the Interrupt/EOI range from a device whose DTE has IntCtl=00b",
            6: "a posted write to a reserved interrupt address range",
            7: "a request to the system management range that SysMgt of the DTE does not allow",
        },
    ),
}
#: Of INVALID_DEVICE_REQUEST for an ATS translation request.
_TRANSLATION_TYPES = {
    0: "a translation request of a device whose DTE has I=0 or V=0, or V=1 and TV=0",
    1: "a translation request for a special address range, which the DTE does not allow",
}
#: Whose flags and address describe a DMA that can be walked again, and what the address is otherwise.
DMA = ("ILLEGAL_DEV_TABLE_ENTRY", "IO_PAGE_FAULT")
PHYSICAL = {
    "DEV_TAB_HARDWARE_ERROR": "the physical address of a device table entry",
    "PAGE_TAB_HARDWARE_ERROR": "the physical address of a page table entry",
    "ILLEGAL_COMMAND_ERROR": "the physical address of a command",
    "COMMAND_HARDWARE_ERROR": "the physical address of a command",
    "IOTLB_INV_TIMEOUT": "the physical address of a command",
}
_LOOK = {
    "ILLEGAL_DEV_TABLE_ENTRY": "the device table entry of this device, which newer kernels print below"
    " (DTE[0..3])",
    "IO_PAGE_FAULT": "what mapped and unmapped this address: trace iommu:map and iommu:unmap; IVMD"
    " regions of the firmware",
    "ILLEGAL_COMMAND_ERROR": "the command that the kernel prints below (CMD[0..3]); the command buffer"
    " after a resume",
    "IOTLB_INV_TIMEOUT": "ATS of this device: its power state, a reset, a quirk that switches ATS off",
    "INVALID_DEVICE_REQUEST": "interrupt remapping and the firmware's IVHD settings of this device;"
    " often harmless at boot",
    "INVALID_PPR_REQUEST": "PRI of this device: was its page request queue switched off while it had"
    " requests?",
    "EVENT_COUNTER_ZERO": "whose performance counter it is",
    "RMP_PAGE_FAULT": "who owns this page (SNP), and who gave it to the device",
}
#: The same where the kernel printed what is to be looked at, and it is taken apart above.
_LOOK_TAKEN_APART = {
    ("ILLEGAL_DEV_TABLE_ENTRY", "DTE"): "the fields of the entry above, and who set them: the driver of the"
    " IOMMU, or a kernel before this one (kexec, kdump)",
    ("ILLEGAL_COMMAND_ERROR", "command"): "the command above; the command buffer after a resume",
}
_LOOK_INTERRUPT = (
    "interrupt remapping of this device: what set up its MSI (lspci -vv), and whether it sends interrupts"
    " after its driver or its former owner is gone"
)
_LOOK_TRANSLATION = (
    "ATS of this device: it asks for translations that nothing mapped; what mapped and unmapped this"
    " address (trace iommu:map and iommu:unmap)"
)
_LOOK_HARDWARE = (
    "machine checks and PCIe errors at the same time: the memory of IOMMU tables could not be accessed"
)

_EVENT = regex(
    rf"(?P<name>{'|'.join(CODES)})(?P<rest>(?:,? \w{{1,16}}=[^\s\],…]{{1,40}}){{1,8}})"
    # what is left out in writing, and journald's mark of a line that the terminal had no room for
    r"(?:(?P<cut>,?\s{0,4}(?:…|\.{2,4})\s{0,4}\]?|(?<=>)\s{0,4}$)|\s{0,4}\])"
)
_OWNER_TEXT = r"(?P<device>(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]):"
_OWNER = regex(_OWNER_TEXT + r" AMD-Vi:\s{1,4}Event")
_OWNER_ABOVE = regex(_OWNER_TEXT + r"\s{0,8}$")
_FIELD = regex(r"(\w{1,16})=([^\s\],]{1,40})")
DRIVER = "AMD-Vi"
MARKS = ("AMD-Vi:", "AMD IOMMU:")
BEGINS = r"AMD(?:-Vi| IOMMU):\s{1,4}[A-Z]"
_LOGGED = r"AMD(?:-Vi| IOMMU):\s{1,4}Event(?:\s{1,4}logged)?"
HINT = regex(
    _LOGGED
    + r"(?:\s{0,4}\[\S|\s{0,4}$)|AMD-Vi: (?:IOMMU \S{1,24}: )?(?:Completion-Wait loop|IOMMU [Ee]vent log)"
)
_WHOLE = regex(_LOGGED + r"\s{1,4}\[\s{0,4}" + _EVENT.pattern)
_HALF = regex(_LOGGED + r"\s{0,4}\[\s{0,4}$")
_UNKNOWN = regex(r"AMD(?:-Vi| IOMMU): Event logged \[\s{0,4}UNKNOWN (?:type=)?(?P<rest>[^\]]{0,160})\]")
_UNKNOWN_WORDS = regex(r"event\[0\]=0x[0-9a-f]{1,8}(?: event\[[123]\]=0x[0-9a-f]{1,8}){3}")
_OTHER = regex(
    r"AMD-Vi: (?:IOMMU \S{1,24}: )?(?:(?P<wait>Completion-Wait loop timed out)"
    r"|(?P<overflow>(?:IOMMU )?(?:[Ee]vent|PPR|GA) [Ll]og (?:[Oo]verflow|restarting).{0,40}))"
)
_DTE = regex(r"AMD-Vi: DTE\[(?P<index>[0-3])\]: (?P<word>[0-9a-f]{16})(?!\w)")
_CONTROL = regex(r"AMD-Vi: Control Reg : (?P<word>0x[0-9a-f]{1,16})")
_COMMAND = regex(r"AMD-Vi: CMD\[(?P<index>[0-3])\]: (?P<word>[0-9a-f]{8})(?!\w)")
_EVENT_BELOW = regex(_LOGGED)
NEAR = 12
_WITHOUT_FLAGS = ("IOTLB_INV_TIMEOUT", "ILLEGAL_COMMAND_ERROR")


def _access(name: str, flags: int) -> Access | None:
    """What the device did; None for an interrupt, a translation request, or a hardware error."""
    if name not in DMA or flags >> INTERRUPT & 1 or flags >> TR & 1:
        return None
    if flags >> RW & 1:
        return Access.WRITE
    return Access.EXEC if flags >> NX & 1 else Access.READ


def _about(name: str, flags: int) -> Iterator[tuple[str, str]]:
    """What an event is about by its flags, the most telling first."""
    if name == "IO_PAGE_FAULT":
        yield from _page_fault(flags)
    if flags >> INTERRUPT & 1 and name != "INVALID_DEVICE_REQUEST":
        yield "about", "an interrupt of the device, not DMA"
    elif flags >> TR & 1:
        yield "about", "an ATS translation request; whether the device wanted to write is not said"
    if name in PHYSICAL:
        yield "address", PHYSICAL[name]
    if name in TYPES:
        shift, values = TYPES[name]
        value = flags >> shift & (7 if name == "INVALID_DEVICE_REQUEST" else 3)
        if flags >> TR & 1 and name == "INVALID_DEVICE_REQUEST":
            values = _TRANSLATION_TYPES
        yield "type", f"{value}: {values.get(value, 'reserved')}"
    has = HAS.get(name, range(9))
    said = [text for i, text in enumerate(FLAGS) if flags >> i & 1 and i in has]
    unnamed = flags & ~sum(1 << i for i in has) & ~(0xE00 if name in TYPES else 0)
    if unnamed:
        said.append(f"{unnamed:#x}, which this event does not name")
    if said:
        yield "flags say", ", ".join(said)


def _page_fault(flags: int) -> Iterator[tuple[str, str]]:
    if not flags >> PR & 1:
        yield "present", "PR=0: nothing is mapped there"
        if not flags >> INTERRUPT & 1 and not flags >> TR & 1:
            yield "reserve", "RW is architected with PR=1 only; read or write is as the record has it"
    elif flags >> RZ & 1:
        yield "present", "PR=1, RZ=1: an entry is there, with reserved bits or an illegal type"
    elif flags >> PE & 1:
        yield "present", "PR=1, PE=1: it is mapped, without permission for this access"


def _owner(lines: Lines, at: int) -> str:
    """The device whose driver the message names in front, here or, wrapped, in the line above."""
    found = _OWNER.search(lines[at])
    if not found and at and lines[at].lstrip().startswith("AMD"):
        found = _OWNER_ABOVE.search(lines[at - 1])
    return found["device"] if found else ""


def _logged(lines: Lines, at: int) -> Found | None:
    """The event at a line; old kernels print its beginning on a line of its own."""
    found = lines.find(at, _WHOLE)
    if found or not _HALF.search(lines[at]):
        return found
    for later in lines.below(at, _EVENT, 2):
        if not HINT.search(lines[later.at[0]]):  # else another event, of one line
            return Found(later.match, (at, *later.at))
    return None


def _dumped(lines: Lines, last: int) -> tuple[tuple[int, ...], tuple[tuple[str, str], ...]]:
    """The entry, register and command that a kernel prints below an event, up to the next event."""
    words: dict[str, dict[int, int]] = {"DTE": {}, "CMD": {}}
    used: list[int] = []
    control: int | None = None
    for at in range(last + 1, min(len(lines), last + 1 + NEAR)):
        if _EVENT_BELOW.search(lines[at]):
            break
        for name, pattern in (("DTE", _DTE), ("CMD", _COMMAND)):
            found = lines.find(at, pattern)
            if found and int(found["index"]) == len(words[name]):
                words[name][len(words[name])] = int(found["word"], 16)
                used += found.at
        register = lines.find(at, _CONTROL)
        if register:
            control = int(register["word"], 16)
            used += register.at
    if not used:
        return (), ()
    from iommu_abi.decode import amdvi_dumps

    dte = tuple(words["DTE"].values())
    extra: list[tuple[str, str]] = []
    if len(dte) == 4:
        extra += amdvi_dumps.entry(dte)
        extra += amdvi_dumps.conflicts(dte, control) if control is not None else []
    if control is not None:
        extra.append(("CONTROL", amdvi_dumps.control(control)))
    if words["CMD"]:
        extra.append(("command", amdvi_dumps.command(tuple(words["CMD"].values()))))
    return tuple(used), tuple(extra)


def _other(lines: Lines, at: int) -> Note | None:
    """Messages that are no events: lost ones, commands that did not end, unknown types."""
    unknown = lines.find(at, _UNKNOWN)
    if unknown:
        return Note(
            KIND,
            "AMD-Vi: an event of a type that Linux does not know",
            unknown.at,
            (unknown["rest"].strip()[:120],),
            "the type is bits 63:60 of the record; a newer kernel may name it",
            SOURCE,
        )
    found = lines.find(at, _OTHER)
    if not found:
        return None
    if found["wait"]:
        return Note(
            KIND,
            "AMD-Vi: a COMPLETION_WAIT command did not end in time",
            found.at,
            ("the IOMMU stopped taking commands, or a device did not answer an invalidation of its TLB",),
            "the first event above this one; ATS of the devices; the IOMMU's command buffer after a resume",
            SOURCE,
        )
    return Note(
        KIND,
        "AMD-Vi: a log overflowed, and events are missing",
        found.at,
        (found["overflow"].strip(),),
        "the events before it: which device floods the log",
        SOURCE,
    )


def event(
    name: str,
    rid: int | None,
    who: str,
    fields: dict[str, str],
    flags: int | None,
    at: tuple[int, ...],
    below: tuple[tuple[str, str], ...] = (),
) -> Report:
    """An event by what its line says; ``flags`` is None if hidden, ``below`` are facts of other lines."""
    code, text, stage = CODES[name]
    address = number(fields["address"]) if "address" in fields else None
    extra = list(_about(name, flags)) if flags is not None else [("flags", UNSAID)]
    if address is None and "address" in fields:
        extra.append(("address", UNSAID))
    extra += [(key, value) for key, value in fields.items() if key not in ("pasid", "address")]
    access = _access(name, flags) if flags is not None and who else None
    guest = bool(flags and flags >> GN & 1)
    pasid = fields.get("pasid", fields.get("domain"))
    return Report(
        KIND,
        code,
        Meaning(name, text, stage),
        SOURCE,
        at,
        rid=rid,
        device=who,
        pasid=number(pasid) if pasid and guest else None,
        address=address,
        access=access,
        priv=not (flags or 0) >> US & 1 if access is not None and guest else None,
        extra=(*extra, *below),
        look=_look(name, dict(below), flags or 0),
        dma=access is not None,
    )


def _look(name: str, below: Mapping[str, str], flags: int) -> str:
    if name == "IO_PAGE_FAULT" and flags >> INTERRUPT & 1:
        return _LOOK_INTERRUPT
    if name == "IO_PAGE_FAULT" and flags >> TR & 1:
        return _LOOK_TRANSLATION
    taken_apart = (look for (event, key), look in _LOOK_TAKEN_APART.items() if event == name and key in below)
    return next(taken_apart, _LOOK.get(name, _LOOK_HARDWARE))


def _fields(text: str) -> dict[str, str]:
    return {found[1]: found[2] for found in _FIELD.finditer(text)}


def recognise(lines: Lines, at: int) -> Report | Note | None:
    """An event at this line, with what the kernel prints below it."""
    found = _logged(lines, at)
    if not found:
        return _other(lines, at)
    name, fields = found["name"], _fields(found["rest"])
    who = fields.pop("device", _owner(lines, at))
    cut = found.match["cut"] is not None
    if cut:
        fields.setdefault("address", "??")
    no_flags = 0 if name in _WITHOUT_FLAGS else None
    flags = number(fields["flags"]) if "flags" in fields else no_flags
    if "pasid" in fields or "domain" in fields:
        number(fields["pasid"] if "pasid" in fields else fields["domain"])
    used, dumped = _dumped(lines, found.at[-1])
    return event(name, device(who) if who else None, who, fields, flags, (*found.at, *used), dumped)
