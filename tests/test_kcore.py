"""/proc/kcore: memory that is fetched when it is touched, through the same routes as a dump.

fs/proc/kcore.c and Documentation/filesystems/proc.rst: an ELF core as large as the address space, with a
PT_LOAD for each range of memory, and others without a physical address (p_paddr -1) or within the first.
"""

from __future__ import annotations

import gc
import json
import os
import struct
import threading

import pytest
from cli_support import DATA, run, sentence

from iommu_abi import images
from iommu_abi.errors import ImageError
from iommu_abi.images import demand
from iommu_abi.images.demand import DemandedPages
from iommu_abi.memory import Memory
from iommu_abi.terms import Access, Request
from iommu_abi.walk import Unit

DUMP = DATA / "acquire/vtd-legacy-k6.12-kaslr-d31.lime.xz"
NOWHERE = (1 << 64) - 1
CAPTURE = DATA / "captures/amd-xtsup-on-k7.2-q11"
REGISTERS = ("DEVTAB_BASE", "CONTROL", "EXT_FEATURES", "EXT_FEATURES2")
ACCESS = {"read": Access.READ, "write": Access.WRITE}
FAR = 1 << 40  # where memory begins in the file, which has nothing before it


def _there() -> bool:
    try:
        os.close(demand._opened())
    except ImageError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _there(), reason="userfaultfd(2) is not to be had here")


def header(*loads: tuple[int, int, int, int]) -> bytes:
    """(virtual address, physical address, size, offset) of each PT_LOAD."""
    made = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56, len(loads), 0, 0, 0
    )
    for virtual, physical, size, offset in loads:
        made += struct.pack("<IIQQQQQQ", 1, 7, offset, virtual, physical, size, size, 4096)
    return made


def write(path, memory: Memory) -> None:
    """Memory as /proc/kcore has it."""
    loads, offset = [(0xFFFFC90000000000, NOWHERE, 0x1FFFFFFFFFFF, 0x7FFFFF602000)], FAR  # vmalloc
    with path.open("wb") as file:
        for region in memory:
            file.seek(offset)
            file.write(memory.read(region.first, region.size) or b"")
            loads.append((0xFFFF888000000000 + region.first, region.first, region.size, offset))
            offset += region.size
        first = next(iter(memory)).first
        loads.append((0xFFFFFFFF80000000, first, 0x1000, FAR))  # the kernel's image, within the first
        file.seek(0)
        file.write(header(*loads))


@pytest.fixture
def live(tmp_path, monkeypatch):
    """The small dump as a running machine would have it."""
    path = tmp_path / "kcore"
    write(path, Memory.open(DUMP))
    monkeypatch.setattr(images, "KCORE", path)
    return path


@pytest.mark.parametrize("words", [("config",), ("mappings", "--csv"), ("audit", "--json")])
def test_a_running_machine_is_read_as_its_dump_is(capsys, live, words):
    command, *options = words

    ours, dumps = (run(capsys, command, path, *options) for path in (live, DUMP))

    assert (ours.status, ours.out) == (dumps.status, dumps.out)


def test_the_walk_in_c_asks_for_the_pages_that_it_lacks(live):
    dumped = Memory.open(CAPTURE / "sparse.elf.xz")
    write(live, dumped)
    memory = Memory.open(live)
    pages = next(iter(memory)).origin
    meta = json.loads((CAPTURE / "meta.json").read_text())
    unit = Unit(meta["kind"], {k: int(v, 16) for k, v in meta["registers"].items() if k in REGISTERS})
    line = json.loads((CAPTURE / "oracle.jsonl").read_text().splitlines()[0])
    request = Request(line["sid"], int(line["iova"], 16), access=ACCESS[line["access"]])

    answer = unit.translate(memory, request)

    assert answer.hpa == int(line["pa"], 16)
    # the device table and at most six levels (AMD IOMMU specification 2.2)
    assert 1 < len(pages._fetcher.present) <= 7


def test_a_page_stays_as_it_was_when_it_was_touched():
    words = iter(range(1, 100))
    pages = DemandedPages.of(8192, lambda offset, length: bytes([next(words)]) * length)
    memory = Memory()
    memory.map(0x10000, pages)

    assert [memory.read(0x10000, 1), memory.read(0x11000, 1), memory.read(0x10008, 1)] == [
        b"\1",
        b"\2",
        b"\1",
    ]


def test_what_cannot_be_read_is_zero():
    def broken(offset: int, length: int) -> bytes:
        raise OSError(5, "Input/output error")

    memory = Memory()
    memory.map(0, DemandedPages.of(4096, broken))

    assert memory.read(0, 16) == bytes(16)
    assert list(memory.chunks(4096)) == [(0, bytes(4096))]


def test_memory_that_is_let_go_ends_its_thread():
    gc.collect()
    before = threading.active_count()
    pages = DemandedPages.of(1 << 30, lambda offset, length: b"\1" * length)
    memory = Memory()
    memory.map(0, pages)
    assert memory.read((1 << 30) - 1, 1) == b"\1"
    assert threading.active_count() == before + 1

    del memory, pages
    gc.collect()

    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header((0xFFFFC90000000000, NOWHERE, 0x1000, 0x1000)), "no memory with a physical address in it"),
        (header((0xFFFF888000000000, 0, 0x1000, 0x1000))[:80], "1 program headers at 0x40 do not lie"),
        (b"\x7fELF\7", "damaged ELF header"),
    ],
)  # fmt: skip
def test_a_kcore_that_is_none_is_one_sentence(capsys, tmp_path, monkeypatch, content, said):
    path = tmp_path / "kcore"
    path.write_bytes(content)
    monkeypatch.setattr(images, "KCORE", path)

    done = run(capsys, "config", path)

    assert (done.status, said in sentence(done)) == (2, True)


def test_without_userfaultfd_it_is_one_sentence(live, monkeypatch):
    monkeypatch.setattr(demand, "_CALLS", {})

    with pytest.raises(
        ImageError, match="memory cannot be fetched page by page here: userfaultfd: not on this"
    ):
        Memory.open(live)
