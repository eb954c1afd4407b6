"""Where a stranger's model, or the text behind it, once found both ledgers wrong.

``data/models/riscv.json``: the RISC-V IOMMU reference model of August 2026, seven of 3,000,000 random
requests. ``data/models/amdvi.json``: VirtualBox's AMD model, and what illumos prints of its events. Each case
has the text's section or the source in ``why``; ``want`` is what these say, not what we do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledgers import ask_both

from iommu_abi.schemas import build
from iommu_abi.terms import Access, At, Request, Target, Translation

DATA = Path(__file__).parent / "data" / "models"
RISCV = json.loads((DATA / "riscv.json").read_text())
AMDVI = json.loads((DATA / "amdvi.json").read_text())
LETTERS = {"r": Access.READ, "w": Access.WRITE, "x": Access.EXEC}
NAMES = {"read": Access.READ, "write": Access.WRITE, "exec": Access.EXEC}


class Words:
    """Memory of one range: zero but for some bytes."""

    def __init__(self, first: int, size: int) -> None:
        self.first, self.data = first, bytearray(size)

    def put(self, address: int, data: bytes) -> None:
        self.data[address - self.first : address - self.first + len(data)] = data

    def read(self, address: int, length: int) -> bytes | None:
        at = address - self.first
        return bytes(self.data[at : at + length]) if 0 <= at <= len(self.data) - length else None

    def runs(self) -> list[tuple[int, bytes]]:
        return [(self.first, bytes(self.data))]


def number(text: str | int) -> int:
    return text if isinstance(text, int) else int(text, 16)


def request(asked: Mapping[str, Any]) -> Request:
    return Request(
        rid=number(asked["rid"]),
        iova=number(asked["iova"]),
        pasid=asked["pasid"],
        access=asked["access"] if isinstance(asked["access"], Access) else NAMES[asked["access"]],
        priv=asked["priv"],
        at=At[asked["at"].upper()],
    )


def holds(want: Mapping[str, Any], answer: Translation) -> None:
    """All that is wanted of an answer, and no fault unless one is."""
    fault = answer.fault
    assert (fault is not None) == ("native" in want)
    if fault is not None:
        got = {
            "reason": fault.reason.name, "native": fault.native,
            "recorded": fault.recorded, "detail": hex(fault.detail),
        }  # fmt: skip
        assert {key: got[key] for key in want} == want
        return
    if want.get("hpa"):
        assert answer.hpa == number(want["hpa"])
    if "access" in want:
        assert answer.access == sum((LETTERS[x] for x in want["access"]), Access(0))
    assert answer.target is Target[want.get("target", "MEMORY")]


@pytest.mark.parametrize("case", RISCV, ids=lambda case: f"0{case['n']}")
def test_what_the_riscv_reference_model_found_is_answered_as_the_text_says(case: dict[str, Any]) -> None:
    memory = Words(number(case["first"]), number(case["size"]))
    for at, data in case["bytes"].items():
        memory.put(number(at), bytes.fromhex(data))
    registers = {name: number(value) for name, value in case["registers"].items()}
    want = dict(case["want"])
    refused, other = want.pop("refused", None), want.pop("not_inside", None)
    asked = request(case["request"])

    answer = ask_both("riscv", registers, memory, asked)
    holds(want, answer)
    if case["model"]["detail"] != "0x0":  # where the notice of an MRIF goes: NPPN is the model's, too
        assert answer.hpa == number(case["model"]["hpa"]) or answer.target is Target.MRIF
    if other:
        assert number(other) >> answer.size_lg2 != asked.iova >> answer.size_lg2
    if refused:
        other_access = replace(asked, access=NAMES[refused["access"]])
        holds({"native": refused["native"]}, ask_both("riscv", registers, memory, other_access))


@pytest.mark.parametrize("case", AMDVI, ids=lambda case: f"{case['n']:02}")
def test_what_virtualbox_and_illumos_say_of_amd_is_what_both_ledgers_say(case: dict[str, Any]) -> None:
    first, last = (number(x) for x in case["memory_exists"])
    memory = Words(first, last + 1 - first)
    for at, word in case["memory"]:
        memory.put(number(at), number(word).to_bytes(8, "little"))
    registers = {name: number(value) for name, value in case["registers"].items()}

    answer = ask_both("amdvi", registers, memory, request(case["request"]))

    holds(case["want"], answer)
    model = case["virtualbox"]
    if model:
        assert answer.fault is not None
        assert (answer.fault.native, answer.fault.recorded) == (model["event"], model["recorded"])
        if model["event"] == 2:  # only IO_PAGE_FAULT has its flags in detail
            assert answer.fault.detail == number(model["flags"])


# ---------------------------------------------------------------- the same, at other places


DEVTAB, TABLE = 0x10000, 0x20000
V_TV_RW = 3 | 3 << 61  # V, TV, IR, IW


def amd(q0: int, q1: int = 0, efr: int = 2 << 10, entries: Mapping[int, int] | None = None) -> dict[str, Any]:
    """Registers and memory of one device, 0, as VirtualBox would be given them."""
    memory = Words(0x10000, 0x20000)
    for at, word in {DEVTAB: q0, DEVTAB + 8: q1, **(entries or {})}.items():
        memory.put(at, word.to_bytes(8, "little"))
    registers = {"DEVTAB_BASE": DEVTAB, "CONTROL": 1, "EXT_FEATURES": efr, "EXT_FEATURES2": 0}
    return {"registers": registers, "host": memory}


def ask_amd(world: dict[str, Any], iova: int = 0, **asked: Any) -> Translation:
    return ask_both("amdvi", world["registers"], world["host"], Request(rid=0, iova=iova, **asked))


GTSUP, GIOSUP, EPHSUP = 1 << 4, 1 << 48, 1 << 50


@pytest.mark.parametrize(
    ("word", "bit", "feature"),
    [
        # VirtualBox iommu-amd.h, IOMMU_DTE_QWORD_n_FEAT_*: bits of the entry, feature of EFR
        *((0, bit, EPHSUP) for bit in (52, 53)),
        (0, 54, GIOSUP),
        *((0, bit, GTSUP) for bit in range(55, 61)),
        *((1, bit, GTSUP) for bit in range(16, 32)),
    ],
)
def test_a_bit_of_a_dte_is_reserved_without_its_feature_and_only_then(
    word: int, bit: int, feature: int
) -> None:
    words = [V_TV_RW, 0]
    words[word] |= 1 << bit

    without = ask_amd(amd(*words, efr=2 << 10 | (GTSUP | GIOSUP | EPHSUP) & ~feature))
    present = ask_amd(amd(*words, efr=2 << 10 | 2 << 14 | GTSUP | GIOSUP | EPHSUP))

    assert without.fault is not None
    assert (without.fault.reason.name, without.fault.native) == ("RESERVED", 1)
    assert present.fault is None


def test_bit_106_of_a_dte_is_always_reserved() -> None:
    """VirtualBox iommu-amd.h, IOMMU_DTE_QWORD_1_VALID_MASK."""
    fault = ask_amd(amd(V_TV_RW, 1 << 42, efr=2 << 10 | GTSUP | GIOSUP | EPHSUP)).fault

    assert fault is not None
    assert (fault.reason.name, fault.native) == ("RESERVED", 1)


def test_reserved_bits_of_a_dte_that_is_not_valid_are_ignored() -> None:
    assert ask_amd(amd(1 << 55 | 0x7C)).hpa == 0


@pytest.mark.parametrize(
    ("entry", "flags"),
    [
        # VirtualBox iommuAmdIoPageTableWalk: PR = 0x10, RZ = 0x80 only where a reserved bit is set
        (V_TV_RW & ~2 | 1 << 9 | 0 << 12, 0x10),  # NextLevel 1 at level 1
        (1 | 2 << 9 | 3 << 61, 0x10),  # NextLevel 2 at level 1
        (1 | 7 << 9 | 0xFFFFFFFFFF << 12 | 3 << 61, 0x10),  # no such size
        (1 | 7 << 9 | 0x3FF << 12 | 3 << 61, 0x10),  # a size of the level above
        (1 | 1 << 52 | 3 << 61, 0x90),
        (1 | 2 << 9 | 1 << 60 | 3 << 61, 0x90),  # both: the reserved bits are looked at first
        (3 << 61, 0),  # not present
        (1, 0x50),  # no rights: PE
    ],
)
def test_rz_is_of_reserved_bits_and_pr_of_an_entry_that_is_present(entry: int, flags: int) -> None:
    world = amd(V_TV_RW | 1 << 9 | TABLE, entries={TABLE: entry})

    fault = ask_amd(world).fault

    assert fault is not None
    assert (fault.native, fault.detail, fault.recorded) == (2, flags, True)


@pytest.mark.parametrize("suppress", [0, 1 << 33, 1 << 34, 3 << 33])
def test_of_one_request_only_sa_suppresses_and_page_faults_only(suppress: int) -> None:
    page_fault = ask_amd(amd(V_TV_RW | 1 << 9 | TABLE, suppress)).fault
    unreadable = ask_amd(amd(V_TV_RW | 1 << 9 | 0x7000_0000, suppress)).fault
    illegal = ask_amd(amd(V_TV_RW | 4, suppress)).fault
    device = ask_amd(amd(V_TV_RW, suppress), at=At.TRANSLATION).fault

    assert page_fault is not None
    assert page_fault.native == 2
    assert page_fault.recorded is (not suppress >> 34)
    for fault, code in ((unreadable, 4), (illegal, 1), (device, 8)):
        assert fault is not None
        assert (fault.native, fault.recorded) == (code, True)


@pytest.mark.parametrize(
    ("q0", "q1", "at", "blocked"),
    [
        # illumos amd_iommu_log.c get_illegal_req(): translation with I=0, V=0, or V=1 and TV=0;
        # pre-translated with I=0 or V=0
        (V_TV_RW, 0, At.TRANSLATION, True),
        (V_TV_RW, 1 << 32, At.TRANSLATION, False),
        (0, 1 << 32, At.TRANSLATION, True),
        (1, 1 << 32, At.TRANSLATION, True),
        (V_TV_RW, 0, At.TRANSLATED, True),
        (V_TV_RW, 1 << 32, At.TRANSLATED, False),
        (0, 1 << 32, At.TRANSLATED, True),
        (1, 0, At.TRANSLATED, True),
        (0, 0, At.UNTRANSLATED, False),
    ],
)
def test_ats_of_a_device_without_i_v_or_tv_is_an_invalid_device_request(
    q0: int, q1: int, at: At, blocked: bool
) -> None:
    fault = ask_amd(amd(q0, q1), at=at).fault

    assert (fault is not None) is blocked
    if fault is not None:
        assert (fault.reason.name, fault.native, fault.recorded) == ("BLOCKED", 8, True)


@pytest.mark.parametrize("iova", [0xFEE0_0000, 0xFEEF_FFFC])
@pytest.mark.parametrize("dte", [V_TV_RW | 1 << 9 | TABLE, 0])
def test_what_is_no_message_in_the_interrupt_range_is_an_invalid_device_request(iova: int, dte: int) -> None:
    """The same function: a read, or a translation, in the interrupt range."""
    world = amd(dte, 1 << 32)
    for asked in ({"access": Access.READ}, {"access": Access.WRITE, "at": At.TRANSLATION}):
        fault = ask_amd(world, iova, **asked).fault
        assert fault is not None
        assert (fault.reason.name, fault.native, fault.recorded) == ("INTERRUPT_RANGE", 8, True)
    assert ask_amd(world, iova, access=Access.WRITE).target is Target.INTERRUPT


def test_a_page_fault_of_a_translation_request_makes_no_event() -> None:
    """AMD IOMMU specification, 2.1.3.2, as VirtualBox's iommuAmdIoPageFaultEventRaise cites it."""
    fault = ask_amd(amd(V_TV_RW | 1 << 9 | TABLE, 1 << 32), at=At.TRANSLATION).fault

    assert fault is not None
    assert (fault.native, fault.detail, fault.recorded) == (2, 0x100, False)


@pytest.mark.parametrize("at", [0xFED0_0000, 0xFEF0_0000, 0xC000_0000, 0xFFFF_F000, 0x1_0000_0000])
def test_a_size_never_spans_the_interrupt_range(at: int) -> None:
    """A 512 GiB page is there, and messages are not in it."""
    host = build.Memory()
    tables = build.AmdV1(host, 4)
    tables.map(0, 0, page=1 << 39)
    unit = build.AmdUnit(host)
    unit.device(0, tables)

    answer = ask_both("amdvi", unit.registers, host, Request(rid=0, iova=at, access=Access.WRITE))

    size = answer.size_lg2
    assert answer.hpa == at
    # the largest: twice as much would hold 0xFEE0_0000
    assert at >> size != 0xFEE0_0000 >> size
    assert at >> size + 1 == 0xFEE0_0000 >> size + 1
