"""Conformance cases: what a named source says that hardware or a kernel does, and what we do.

A case has ``format``, ``config``, ``memory`` (64-bit words by host-physical address, all else is
zero), ``input`` and ``expect``. A format is a row of :data:`FORMATS`: how its configuration becomes
registers and its input a request, or whatever else it takes to ask. Every case that is a walk is put to
both ledgers. Nothing here looks at a case's id or title.

Adding a format: write a function from :class:`Case` to :class:`Outcome`, for a walk from the parts of
:class:`WalkFormat`, and add its row to ``FORMATS``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from iommu_abi.drivers import Driver
from iommu_abi.drivers.smmuv3 import Smmuv3Driver
from iommu_abi.drivers.vtd import VtdDriver
from iommu_abi.errors import Error, errno_name
from iommu_abi.inputs import InputError, Record, is_number, parse_json, to_number
from iommu_abi.iommu import Device, Domain
from iommu_abi.ledgers import Difference, ask
from iommu_abi.memory import Memory
from iommu_abi.schemas.vtd_entries import EXTENDED_CONTEXT_ENTRY
from iommu_abi.terms import Access, At, Reason, Request, Target, Translation
from iommu_abi.walk import Unit

PAGE = 4096
ZERO_PAGE = bytes(PAGE)

#: Keys of ``expect`` that must match for a case to pass, and those that are reported beside.
MUST = (
    "result", "hpa", "code", "status", "errno", "physical_config", "PTS", "S1CDMax", "entries",
    "iotval2", "s2", "cls", "event", "recorded",
)  # fmt: skip
SHOULD = ("r", "w", "pages")

#: Keys that may hold the value instead.
ALTERNATIVES = {"code": "code_alt", "iotval2": "iotval2_alt"}

#: Keys for which null says that the number is not known: anything passes.
NULL_IS_ANY = ("code",)

ACCESS = {"read": Access.READ, "write": Access.WRITE, "exec": Access.EXEC}
AT = {
    "untranslated": At.UNTRANSLATED,
    "translation_request": At.TRANSLATION,
    "translated_request": At.TRANSLATED,
    "translated": At.TRANSLATED,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One case as it stands in the file, and where that is."""

    where: str
    id: str
    format: str
    config: Record
    input: Record
    words: tuple[tuple[int, int], ...]
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What we say, by the keys of ``expect``; where the ledgers differ."""

    got: Mapping[str, Any]
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case. ``notes`` are *should* keys that differ: (key, expected, got)."""

    case: Case
    passed: bool
    expected: Mapping[str, Any]
    got: Mapping[str, Any]
    notes: tuple[tuple[str, Any, Any], ...] = ()
    differences: tuple[Difference, ...] = ()
    supported: bool = True


# ---------------------------------------------------------------- reading


def _word(data: object, where: str) -> tuple[int, int]:
    record = Record(data, where)
    return record.number("hpa"), record.number("qword")


def _case(data: object, where: str) -> Case:
    record = Record(data, where)
    words = record.items("memory") if "memory" in record else []
    return Case(
        where,
        record.text("id"),
        record.text("format"),
        record.record("config"),
        record.record("input"),
        tuple(_word(each, f"{where}: memory") for each in words),
        record.record("expect").data,
    )


def read_cases(text: str, where: str) -> list[Case]:
    """The cases of a file: ``{"cases": [...]}`` or the list alone."""
    data = parse_json(text, where)
    rows = data if isinstance(data, list) else Record(data, where).items("cases")
    if not rows:
        raise InputError(f"{where}: no cases")
    return [_case(row, f"{where}: case {i}") for i, row in enumerate(rows, 1)]


# ---------------------------------------------------------------- memory


@dataclass(slots=True)
class SparseMemory:
    """Words at their addresses and zeros everywhere else, as either ledger wants it.

    There is no room for zeros at all addresses: pages of them appear when the walk asks for one.
    """

    pages: dict[int, bytearray] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)

    @classmethod
    def of(cls, words: tuple[tuple[int, int], ...]) -> SparseMemory:
        """Memory that holds these 64-bit words."""
        made = cls()
        for address, word in words:
            for i, byte in enumerate(word.to_bytes(8, "little")):
                number, offset = divmod(address + i & (1 << 64) - 1, PAGE)
                made.pages.setdefault(number, bytearray(PAGE))[offset] = byte
        made.memory.map_many(((number * PAGE, page) for number, page in made.pages.items()), writable=True)
        return made

    def read(self, address: int, length: int) -> bytes:
        """Bytes, zeros where nothing was put."""
        last = (address + length - 1) // PAGE
        whole = b"".join(self.pages.get(n, ZERO_PAGE) for n in range(address // PAGE, last + 1))
        return whole[address % PAGE :][:length]

    def add_zeros(self, address: int) -> bool:
        """Make the page of an address exist; False if it does already."""
        first = address // PAGE * PAGE
        if self.memory.find(first, 1) is not None:
            return False
        self.memory.map(first, ZERO_PAGE)
        return True


# ---------------------------------------------------------------- configuration -> registers


@dataclass(frozen=True, slots=True)
class Bits:
    """A number of ``config`` and the bits of a register that hold it, less ``minus``.

    ``absent`` is assumed when the key is not there; None: it must be.
    """

    key: str
    register: str
    high: int
    low: int
    absent: int | None = None
    minus: int = 0

    def value(self, config: Record) -> int:
        """The number in its place."""
        number = config.number(self.key, self.absent) - self.minus
        if not 0 <= number < 1 << self.high - self.low + 1:
            raise InputError(
                f"{config.where}: {self.key}: does not fit {self.register} {self.high}:{self.low}"
            )
        return number << self.low


def _registers(config: Record, start: Mapping[str, int], rows: tuple[Bits, ...]) -> dict[str, int]:
    made = dict(start)
    for row in rows:
        made[row.register] = made.get(row.register, 0) | row.value(config)
    return made


_VTD = (
    Bits("haw", "HAW", 6, 0, absent=52),
    Bits("mgaw", "CAP", 21, 16, minus=1),
    Bits("sllps", "CAP", 37, 34, absent=3),
    Bits("FL1GP", "CAP", 56, 56, absent=1),
    Bits("FL5LP", "CAP", 60, 60, absent=0),
    Bits("DT", "ECAP", 2, 2, absent=1),
    Bits("PT", "ECAP", 6, 6, absent=1),
    Bits("SC", "ECAP", 7, 7, absent=1),
    Bits("ecs", "ECAP", 24, 24, absent=0),
    Bits("NEST", "ECAP", 26, 26, absent=1),
    Bits("ERS", "ECAP", 30, 30, absent=1),
    Bits("SRS", "ECAP", 31, 31, absent=1),
    Bits("RPS", "ECAP", 49, 49, absent=0),
)
#: TES; PSS 19, PASID, SMTS, SLTS, FLTS
_VTD_ASSUMED = {"GSTS": 1 << 31, "ECAP": 19 << 35 | 1 << 40 | 1 << 43 | 1 << 46 | 1 << 47}
_TTM_WORDS = {"ECS (RTT=1)": 2}
_SAGAW = Bits("sagaw", "CAP", 12, 8)


def _vtd_registers(config: Record) -> dict[str, int]:
    made = _registers(config, _VTD_ASSUMED, _VTD)
    if "sagaw" in config:
        made["CAP"] |= _SAGAW.value(config)
    else:  # every width of 3 to 5 levels that MGAW has room for
        mgaw = config.number("mgaw")
        made["CAP"] |= sum(1 << 8 + aw for aw in (1, 2, 3) if 30 + 9 * aw <= mgaw)
    ttm = config.data.get("ttm")
    mode = _TTM_WORDS[ttm] if isinstance(ttm, str) and ttm in _TTM_WORDS else config.number("ttm", last=3)
    made["RTADDR"] = config.number("root") & ~0xFFF | mode << 10
    return made


_AMD = (Bits("hats", "EXT_FEATURES", 11, 10, minus=4),)
#: IommuEn, GTEn, GCR3TRPMode; NXSup, GTSup, GLXSup 2, PASmax 19, GIoSup; GCR3TRPMode
_AMD_ASSUMED = {
    "CONTROL": 1 | 1 << 16 | 1 << 58,
    "EXT_FEATURES": 1 << 3 | 1 << 4 | 2 << 14 | 19 << 32 | 1 << 48,
    "EXT_FEATURES2": 1 << 3,
}
_ALL_DEVICES = 0x1FF  # DEVTAB_BASE.Size: 2 MiB, 65536 entries


def _amd_registers(config: Record) -> dict[str, int]:
    made = _registers(config, _AMD_ASSUMED, _AMD)
    made["DEVTAB_BASE"] = config.number("devtab") & ~0xFFF | _ALL_DEVICES
    return made


# ---------------------------------------------------------------- input -> request


def _vtd_request(asked: Record) -> Request:
    return Request(
        rid=asked.number("bus", last=255) << 8 | asked.number("devfn", last=255),
        iova=asked.number("iova"),
        pasid=asked.number_or_none("pasid", last=(1 << 20) - 1),
        access=asked.choice("access", ACCESS),
        priv=bool(asked.number("priv", 0, last=1)),
        at=asked.choice("at", AT, "untranslated"),
    )


def _amd_request(asked: Record) -> Request:
    return Request(
        rid=asked.number("devid", last=0xFFFF),
        iova=asked.number("iova"),
        pasid=asked.number_or_none("pasid", last=(1 << 20) - 1),
        access=asked.choice("access", ACCESS),
    )


# ---------------------------------------------------------------- walks


@dataclass(frozen=True, slots=True)
class WalkFormat:
    """A format whose cases are translations."""

    kind: str
    registers: Callable[[Record], Mapping[str, int]]
    request: Callable[[Record], Request]

    def __call__(self, case: Case) -> Outcome:
        """Translate with both ledgers."""
        unit = Unit(self.kind, self.registers(case.config))
        request = self.request(case.input)
        sparse = SparseMemory.of(case.words)
        while _asks_for_zeros(unit.translate(sparse.memory, request), sparse):
            pass  # ends: each time a page is added, and a walk reads a bounded number of entries
        answers = ask(unit, sparse.memory, request, read=sparse.read)
        return Outcome(_walk_words(answers.fast), answers.differences)


def _asks_for_zeros(answer: Translation, sparse: SparseMemory) -> bool:
    fault = answer.fault
    if fault is None or fault.reason is not Reason.UNREADABLE or fault.entry_hpa is None:
        return False
    return sparse.add_zeros(fault.entry_hpa)


def _walk_words(answer: Translation) -> dict[str, Any]:
    """An answer by the keys of ``expect``."""
    if answer.fault is not None:
        return {"result": "fault", "code": answer.fault.native, "recorded": answer.fault.recorded}
    if answer.target is Target.INTERRUPT:
        return {"result": "interrupt"}
    rights = {key: int(bit in answer.access) for key, bit in (("r", Access.READ), ("w", Access.WRITE))}
    return {"result": "ok", "hpa": answer.hpa, **rights}


# ---------------------------------------------------------------- bind_pasid_table of June 2017

#: Where the host of a bind case has its tables, and the requester that is bound.
_ROOT, _CONTEXTS, _SECOND_STAGE, _RID = 0x1000, 0x2000, 0x10000, 0x10


#: A driver, and what it left in the context entry.
Host = tuple[Driver, Callable[[], dict[str, Any]]]


def _log2(config: Record, unit: int) -> int:
    """log2 of how many ``unit`` bytes the host's table holds."""
    size = config.number("host_table_bytes")
    if size < unit or size & size - 1:
        raise InputError(f"{config.where}: host_table_bytes: got {size}, expected a power of two from {unit}")
    return (size // unit).bit_length() - 1


def _vtd_host(config: Record) -> Host:
    """An ECS unit with a second stage, and what bind leaves in the context entry."""
    context = _CONTEXTS + 32 * _RID
    words = ((_ROOT, _CONTEXTS | 1), (context, _SECOND_STAGE | 1), (context + 8, 1 << 8 | 2))
    pss = _log2(config, 8) - 1
    registers = {
        "RTADDR": _ROOT | 2 << 10,
        "CAP": 47 << 16 | 1 << 10 | 3 << 34,  # MGAW 48, SAGAW 4 levels, SLLPS
        "ECAP": 1 << 24 | 1 << 26 | max(pss, 0) << 35 | 1 << 40,  # ECS, NEST, PSS, PASID
    }
    driver = VtdDriver(SparseMemory.of(words).memory, registers)

    def bound() -> dict[str, Any]:
        data = driver.memory.read(context, 32)
        pts = EXTENDED_CONTEXT_ENTRY.parse(data).PTS if data else None
        return {"PTS": pts, "entries": None if pts is None else 1 << pts + 5}

    return driver, bound


def _smmuv3_host(config: Record) -> Host:
    """A unit with a linear stream table and a stage-2 STE, and what bind leaves in the STE."""
    ste = _ROOT + 64 * _RID
    words = ((ste, 6 << 1 | 1), (ste + 24, _SECOND_STAGE))
    registers = {
        "STRTAB_BASE": _ROOT,
        "STRTAB_BASE_CFG": 8,  # linear, 256 entries
        "IDR0": 1 | 1 << 1 | 2 << 2 | 1 << 19,  # S2P, S1P, AArch64, CD2L
        "IDR1": _log2(config, 64) << 6 | 16,  # SSIDSIZE, SIDSIZE
        "IDR5": 5,  # OAS 48 bits
    }
    driver = Smmuv3Driver(SparseMemory.of(words).memory, registers)

    def bound() -> dict[str, Any]:
        word = driver.memory.read64(ste)
        cdmax = None if word is None else word >> 59
        return {"S1CDMax": cdmax, "entries": None if cdmax is None else 1 << cdmax}

    return driver, bound


_HOSTS: Mapping[int, Callable[[Record], Host]] = {0: _vtd_host, 1: _smmuv3_host}


def _bind(case: Case) -> Outcome:
    """Bind to the driver that the model names; one that nobody knows is for the first to refuse."""
    model = case.config.number("model", last=(1 << 32) - 1)
    host: Callable[[Record], Host] = _HOSTS.get(model, _vtd_host)
    driver, bound = host(case.config)
    # ptr, size, model, length of v1_2017
    info = struct.pack("=QQII", case.input.number("ptr"), case.input.number("size"), model, 0)
    try:
        Domain(driver).bind_pasid_table(Device(_RID), info)
    except OSError as error:
        return Outcome({"result": "reject", "errno": errno_name(error.errno or 0), "why": str(error)})
    return Outcome({"result": "ok", **bound()})


# ---------------------------------------------------------------- formats and verdicts

_VTD_FORMAT = WalkFormat("vtd", _vtd_registers, _vtd_request)
_AMD_FORMAT = WalkFormat("amdvi", _amd_registers, _amd_request)

FORMATS: Mapping[str, Callable[[Case], Outcome]] = {
    "vtd_legacy": _VTD_FORMAT,
    "vtd_ecs": _VTD_FORMAT,
    "vtd_scalable": _VTD_FORMAT,
    "amd_v1": _AMD_FORMAT,
    "amd_v2": _AMD_FORMAT,
    "bind_pasid_table_2017": _bind,
}


def _plain(value: Any) -> Any:
    """Numbers may be written as strings."""
    return to_number(value, "expect") if isinstance(value, str) and is_number(value) else value


def _matches(key: str, expect: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    if expect[key] is None and key in NULL_IS_ANY:
        return got.get("result") != "ok"
    allowed = [_plain(expect[key])]
    if ALTERNATIVES.get(key) in expect:
        allowed.append(_plain(expect[ALTERNATIVES[key]]))
    return key in got and got[key] in allowed


def judge(case: Case, outcome: Outcome) -> Verdict:
    """Compare every key that must match, and note those that should."""
    expect, got = case.expect, outcome.got
    if "result" not in expect:
        raise InputError(f"{case.where}: expect: no 'result'")
    must = [key for key in MUST if key in expect]
    notes = [
        (key, expect[key], got.get(key)) for key in SHOULD if key in expect and not _matches(key, expect, got)
    ]
    return Verdict(
        case,
        all(_matches(key, expect, got) for key in must),
        {key: expect[key] for key in (*must, *ALTERNATIVES.values()) if key in expect},
        got,
        tuple(notes),
        outcome.differences,
    )


def run(case: Case) -> Verdict:
    """Ask and judge. A configuration that makes no sense fails its case; it stops nothing."""
    if case.format not in FORMATS:
        return Verdict(case, False, {}, {}, supported=False)
    try:
        outcome = FORMATS[case.format](case)
    except Error as error:
        outcome = Outcome({"error": str(error)})
    return judge(case, outcome)


def run_all(cases: list[Case]) -> Iterator[Verdict]:
    """One verdict after the other."""
    return map(run, cases)
