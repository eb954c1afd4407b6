"""The words of the walk: requests, answers, faults and references.

Pure data that both ledgers speak; the numbers are those of ``cdefs/iommu_abi/walk.h``, and
a test holds the two together. Addresses are in bytes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from iommu_abi.errors import TranslationFault

#: How a file of memory may be read; here, since commands name them before they need a reader.
IMAGE_FORMATS = ("auto", "elf", "lime", "kdump", "avml", "vmware", "raw")

#: Fields that count or number something, and are read in decimal.
_COUNTS = frozenset({"for_level", "len", "level", "pasid", "pasid_last", "size_lg2"})


def hex_repr(record: object) -> str:
    """``repr()`` of a dataclass or NamedTuple whose numbers above 9 are addresses, IDs and bits: in hex."""
    names: tuple[str, ...] = type(record).__match_args__  # type: ignore[attr-defined]
    shown = (f"{name}={_shown(name, getattr(record, name))}" for name in names)
    return f"{type(record).__name__}({', '.join(shown)})"


def _shown(name: str, value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, enum.Flag):
        parts = [f"{kind}.{part.name}" for part in type(value) if part in value and part.value]
        if parts:
            return "|".join(parts)
    if isinstance(value, enum.Enum) and value.name:
        return f"{kind}.{value.name}"
    in_hex = isinstance(value, int) and value > 9 and name not in _COUNTS  # a bool is 1 at most
    return f"{value:#x}" if in_hex else repr(value)


class Access(enum.IntFlag):
    """What a request wants (exactly one), or what it may do (any)."""

    NONE = 0
    READ = 1
    WRITE = 2
    EXEC = 4

    def __str__(self) -> str:
        value = int(self)  # an operator of enums is slow
        return "".join(c for c, bit in zip("rwx", (1, 2, 4)) if value & bit) or "-"


class At(enum.IntEnum):
    """PCIe address type of a request."""

    UNTRANSLATED = 0
    TRANSLATION = 1
    TRANSLATED = 2


class Stage(enum.IntEnum):
    """Whose table an entry belongs to."""

    DEVICE = 0
    PASID = 1
    S1 = 2
    S2 = 3


class Reason(enum.IntEnum):
    """Why a translation stopped; described in ``walk.h``."""

    OK = 0
    NOT_PRESENT = 1
    RESERVED = 2
    INVALID = 3
    UNREADABLE = 4
    DENIED = 5
    PRIVILEGE = 6
    INPUT_RANGE = 7
    OUTPUT_RANGE = 8
    ACCESS_FLAG = 9
    UPDATE_DENIED = 10
    BLOCKED = 11
    PASID_RANGE = 12
    RID_RANGE = 13
    ABORTED = 14
    INTERRUPT_RANGE = 15

    @property
    def text(self) -> str:
        """The reason in words, as the end of "blocked: ..."."""
        return _REASONS[self]


_REASONS = {
    Reason.OK: "not blocked",
    Reason.NOT_PRESENT: "the entry is not present",
    Reason.RESERVED: "a reserved bit, encoding or alignment in the entry",
    Reason.INVALID: "the context asks for what this IOMMU lacks, or contradicts itself",
    Reason.UNREADABLE: "there is no memory where the entry should be",
    Reason.DENIED: "the rights do not cover this access",
    Reason.PRIVILEGE: "a user's request for a supervisor's page",
    Reason.INPUT_RANGE: "the address is outside what this stage takes",
    Reason.OUTPUT_RANGE: "the entry points beyond the implemented address width",
    Reason.ACCESS_FLAG: "accessed or dirty is clear and hardware does not set it",
    Reason.UPDATE_DENIED: "hardware must set A or D in a table that stage 2 maps read-only",
    Reason.BLOCKED: "this kind of request is switched off for this device",
    Reason.PASID_RANGE: "the PASID is outside its table",
    Reason.RID_RANGE: "the requester is outside the device table",
    Reason.ABORTED: "this IOMMU or device is set to refuse every request",
    Reason.INTERRUPT_RANGE: "the result lies where writes are interrupts, not memory",
}


class Purpose(enum.IntEnum):
    """What stage 2 was walked for."""

    DATA = 0
    S1_ENTRY = 1
    S1_UPDATE = 2
    PASID_ENTRY = 3


class Target(enum.IntEnum):
    """What a request reaches."""

    MEMORY = 0
    INTERRUPT = 1
    MRIF = 2


@dataclass(frozen=True, slots=True)
class Request:
    """One DMA. ``pasid`` is None for a request without PASID; 0 is a PASID.

    ``rid`` is given as a number, or as in ``"00:03.0"``; it is kept as a number.
    """

    rid: int
    iova: int
    pasid: int | None = None
    access: Access = Access.READ
    priv: bool = False
    at: At = At.UNTRANSLATED

    def __repr__(self) -> str:
        return hex_repr(self)

    def __post_init__(self) -> None:
        if isinstance(self.rid, str):
            from iommu_abi import requesters

            object.__setattr__(self, "rid", requesters.parse(self.rid)[1])


@dataclass(frozen=True, slots=True)
class Fault:
    """Why, and at which entry, a translation stopped (struct iommu_abi_fault)."""

    reason: Reason
    stage: Stage
    level: int
    native: int
    input: int
    entry_gpa: int | None = None
    entry_hpa: int | None = None
    raw: int | None = None
    purpose: Purpose = Purpose.DATA
    for_level: int = 0
    recorded: bool = True
    detail: int = 0

    def __repr__(self) -> str:
        return hex_repr(self)

    def __str__(self) -> str:
        tables = {Stage.DEVICE: "device table", Stage.PASID: "PASID table"}
        where = f"{tables.get(self.stage, self.stage.name)} level {self.level}"
        if self.entry_hpa is not None:
            where += f", entry at HPA {self.entry_hpa:#x}"
        if self.raw is not None:
            where += f" = {self.raw:#x}"
        return f"blocked: {self.reason.text} ({where}; code {hex(self.native) if self.native else 'none'})"


@dataclass(frozen=True, slots=True)
class Ref:
    """One table entry that was read (struct iommu_abi_ref)."""

    stage: Stage
    level: int
    gpa: int
    hpa: int
    raw: int
    updated: int
    len: int = 8
    purpose: Purpose = Purpose.DATA
    for_level: int = 0

    def __repr__(self) -> str:
        return hex_repr(self)


@dataclass(frozen=True, slots=True)
class Translation:
    """The answer to a request (struct iommu_abi_translation). ``fault`` is None if it passes."""

    hpa: int = 0
    gpa: int = 0
    size_lg2: int = 0
    access: Access = Access.NONE
    target: Target = Target.MEMORY
    detail: int = 0
    fault: Fault | None = None
    refs: tuple[Ref, ...] = ()

    def __repr__(self) -> str:
        return hex_repr(self)

    @property
    def ok(self) -> bool:
        """True if the request reaches memory."""
        return self.fault is None and self.target is not Target.INTERRUPT

    def raise_for_fault(self) -> Translation:
        """The translation itself, or TranslationFault if the request was blocked."""
        if self.fault is not None:
            raise TranslationFault(self.fault)
        return self

    @property
    def page_size(self) -> int:
        """Bytes of the aligned range around the address for which the answer holds."""
        return 1 << self.size_lg2
