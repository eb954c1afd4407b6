"""A requester's context: the answers of single requests, tables read once, what makes it stale."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import pytest
from c_support import CORE, ROOT, STRICT, run, tool

from iommu_abi import AbiError, Access, At, Memory, Request, UsageError
from iommu_abi.walk import Context, Unit
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.plans import WalkPlan, build_case

PAGE = 0x1000


def little(*words: int) -> bytes:
    return b"".join(word.to_bytes(8, "little") for word in words)


def memory_of(*pieces: tuple[int, bytes]) -> Memory:
    memory = Memory()
    for first, data in pieces:
        memory.map(first, bytearray(data.ljust(PAGE, b"\0")), writable=True)
    return memory


def cases(name: str) -> Iterator[tuple[Unit, Memory, Request]]:
    """Valid requests of a format's worlds, and such with changed tables, registers or IDs."""
    for attempt in range(96):
        case, _ = build_case(11, WalkPlan(name), attempt)
        with contextlib.suppress(AbiError):  # registers that no unit has
            yield Unit(case.world.kind, case.registers), case.image.memory, case.request
        case.image.restore()


def variants(asked: Request) -> Iterator[Request]:
    for access in (Access.READ, Access.WRITE, Access.EXEC):
        for at in At:
            for priv in (False, True):
                yield dataclasses.replace(asked, access=access, at=at, priv=priv)


@pytest.mark.parametrize("name", FORMATS)
def test_a_context_answers_as_single_requests_do_and_reads_what_lies_behind_it(name: str) -> None:
    passed = blocked = 0
    for unit, memory, asked in cases(name):
        try:
            context = unit.context(memory, asked.rid, asked.pasid)
        except UsageError:  # an ID that there is not
            with pytest.raises(UsageError):
                unit.translate(memory, asked)
            continue
        for q in variants(asked):
            whole = unit.translate(memory, q, trace=True)
            answer = context.translate(q.iova, q.access, at=q.at, priv=q.priv, trace=True)

            assert dataclasses.replace(whole, refs=()) == dataclasses.replace(answer, refs=()), q
            # first what the context has read, as far as the request got
            before = len(whole.refs) - len(answer.refs)
            assert whole.refs == context.refs[:before] + answer.refs
            passed, blocked = passed + (not answer.fault), blocked + bool(answer.fault)
    assert passed > 50
    assert blocked > 50


def vtd() -> Context:
    """Legacy mode. VT-d 5.10, 9.1 and 9.3: DID is bits 87:72 of a context entry, AW bits 66:64."""
    context = little(*[0] * 0x20, 0x3000 | 1, 0x42 << 8 | 1)
    memory = memory_of((0x1000, little(0x2000 | 1)), (0x2000, context), (0x3000, b""))
    registers = {"RTADDR": 0x1000, "CAP": 38 << 16 | 2 << 8 | 6}  # MGAW 39 bits, SAGAW 39 bits, ND 6
    return Unit("vtd", registers).context(memory, 0x10)


def amdvi() -> Context:
    """AMD IOMMU, 2.2.2: DomainID is bits 79:64 of a DTE, Mode 11:9, IR and IW 62:61, V and TV 1:0."""
    memory = memory_of((0x1000, little(*[0] * 8, 0x3000 | 3 << 61 | 3 << 9 | 3, 0x43, 0, 0)), (0x3000, b""))
    return Unit("amdvi", {"DEVTAB_BASE": 0x1000}).context(memory, 2)


def riscv() -> Context:
    """RISC-V IOMMU, device context: iohgatp has GSCID in bits 59:44, ta has PSCID in bits 31:12."""
    sv39x4 = 8 << 60 | 0x44 << 44 | 0x4
    context = little(1, sv39x4, 0x1234 << 12, 8 << 60 | 0x3)
    memory = memory_of((0x1000, little(*[0] * 16) + context), (0x3000, b""), (0x4000, b"\0" * 4 * PAGE))
    return Unit("riscv", {"DDTP": 0x1 << 10 | 2}).context(memory, 2)


def smmuv3() -> Context:
    """Arm IHI 0070, 5.2 and 5.4: S2VMID is bits 143:128 of an STE, ASID bits 63:48 of a CD."""
    ste = little(0x2000 | 5 << 1 | 1, 0, 0x45, 0, 0, 0, 0, 0)
    cd = 0x1122 << 48 | 1 << 46 | 1 << 41 | 5 << 32 | 1 << 31 | 1 << 30 | 25
    memory = memory_of((0x1000, bytes(0x80) + ste), (0x2000, little(cd, 0x3000)), (0x3000, b""))
    return Unit("smmuv3", {"STRTAB_BASE": 0x1000, "STRTAB_BASE_CFG": 6}).context(memory, 2)


@pytest.mark.parametrize(
    ("context", "domain", "process", "entries"),
    [(vtd, 0x42, 0, 2), (amdvi, 0x43, 0, 1), (riscv, 0x44, 0x1234, 1), (smmuv3, 0x45, 0x1122, 2)],
)
def test_a_context_has_the_tags_of_its_translations(context, domain, process, entries) -> None:
    found = context()

    assert (found.domain, found.process, len(found.refs)) == (domain, process, entries)


def test_a_context_goes_on_as_the_device_table_was_and_sees_page_tables_as_they_are() -> None:
    found = vtd()
    memory, page_table = found.memory, 0x3000
    memory.write(page_table, little(0x4000 | 3))
    memory.map(0x4000, bytearray(little(0x5000 | 3).ljust(PAGE, b"\0")), writable=True)
    memory.map(0x5000, bytearray(little(0x7000 | 3).ljust(PAGE, b"\0")), writable=True)

    assert found.translate(0x123).hpa == 0x7123

    memory.write(0x2000 + 0x10 * 16, little(0))  # the context entry is gone
    memory.write(0x5000, little(0x8000 | 3))

    assert found.translate(0x123).hpa == 0x8123
    assert found.unit.translate(memory, Request(0x10, 0x123)).fault.native == 0x02
    assert found.unit.context(memory, 0x10).translate(0x123).fault.native == 0x02


def test_a_context_of_no_such_requester_is_refused_in_one_sentence() -> None:
    unit, memory = vtd().unit, Memory()

    with pytest.raises(
        UsageError, match=r"^a requester that makes no sense to vtd: Context\('vtd', rid=0x10000\)$"
    ):
        unit.context(memory, 0x10000)
    with pytest.raises(UsageError, match=r"rid=0x10, pasid=0x100000\)$"):
        unit.context(memory, 0x10, 1 << 20)
    with pytest.raises(UsageError, match="out of range"):
        unit.context(memory, -1)
    with pytest.raises(UsageError, match=r"^a request that makes no sense to vtd: "):
        vtd().translate(0x123, Access.READ | Access.WRITE)


def test_a_requester_may_be_written_as_lspci_does() -> None:
    found = vtd()

    assert found.unit.context(found.memory, "00:02.0").rid == 0x10


def test_an_enumeration_reads_the_context_table_once_and_a_handle_never(tmp_path) -> None:
    flags = ['-DIOMMU_ABI_VERSION="0"', "-DCONFIG_IOMMU_API", f"-I{ROOT}/cdefs"]
    counted = "-Wl,--wrap=pt_bytes_far"

    run(tool("cc"), *STRICT, *flags, counted, ROOT / "tests/c/context.c", *CORE, "-o", tmp_path / "context")

    assert run(tmp_path / "context") == (
        "mappings 256, context table found 1 times, leaf table more than 500 times: 1\n"
        "look-up: 2 references\n"
        "by handle: 0x100e123, 3 references, context table found 0 times\n"
        "another rid: 1, with PASID: 1, a rid of 17 bits: -22, a PASID of 21 bits: -22, "
        "an unknown flag: -22\n"
    )
