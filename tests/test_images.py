"""Memory as people have it: LiME, kdump-compressed vmcores, several files, very large sparse ones."""

from __future__ import annotations

import importlib.util
import json
import lzma
import mmap
import os
import signal
import struct
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from cli_support import CAPTURES, DATA, run, sentence

from iommu_abi import ImageError, Memory, UsageError
from iommu_abi.images import Source, apart

PAGE = bytes(range(256)) * 16
CAPTURE = CAPTURES / "vtd-scalable-fs-k6.12"
KDUMP = DATA / "images" / "vtd-scalable-fs-k6.12.kdump.xz"


def lime(*ranges, magic=0x4C694D45, version=1):
    """A LiME dump (LiME's doc/README.md, memory range header version 1)."""
    return b"".join(
        struct.pack("<IIQQ8x", magic, version, first, first + len(data) - 1) + data for first, data in ranges
    )


def regions(memory):
    return [(r.first, r.size) for r in memory]


# ---------------------------------------------------------------- LiME


def test_each_lime_range_is_memory_at_its_address(tmp_path):
    path = tmp_path / "a.lime"
    path.write_bytes(lime((0x1000, PAGE), (0x100000000, PAGE[:100])))

    memory = Memory.open(path)

    assert regions(memory) == [(0x1000, 4096), (0x100000000, 100)]
    assert memory.read(0x100000000, 100) == PAGE[:100]
    assert memory.read(0x2000, 1) is None


def test_a_packed_lime_dump_and_one_read_instead_of_mapped(tmp_path):
    path = tmp_path / "a.lime.xz"
    path.write_bytes(lzma.compress(lime((0x1000, PAGE))))

    assert Memory.open(path, copy=True).read(0x1000, 4096) == PAGE


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (lime((0x1000, PAGE))[:31], "LiME header 0 at 0x0: truncated: got 31 bytes, expected 32"),
        (
            lime((0x1000, PAGE)) + lime((0x50, PAGE[:256]))[:-1],
            "LiME header 1 at 0x1020: truncated: the bytes of 0x50..0x14f end at 0x1140, the file at 0x113f",
        ),
        (
            lime((0x1000, PAGE)) + lime((0x5000, PAGE), version=2),
            "LiME header 1 at 0x1020: got version 2, expected 1",
        ),
        (
            lime((0x1000, PAGE)) + lime((0x5000, PAGE), magic=0x1234),
            "LiME header 1 at 0x1020: got magic 0x1234, expected 0x4c694d45",
        ),
        (
            lime((0x9000, PAGE), (0x1000, PAGE), (0x1FFF, PAGE)),
            "LiME header 2 at 0x2040: 0x1fff..0x2ffe overlaps 0x1000..0x1fff of header 1 at 0x1020",
        ),
        (
            struct.pack("<IIQQ8x", 0x4C694D45, 1, 0x2000, 0x1000),
            "LiME header 0 at 0x0: the range 0x2000..0x1000 ends before it begins",
        ),
    ],
)
def test_a_damaged_lime_dump_is_refused_with_the_number_and_offset_of_the_header(tmp_path, data, says):
    path = tmp_path / "bad.lime"
    path.write_bytes(data)

    with pytest.raises(ImageError) as error:
        Memory.open(path)
    assert str(error.value) == f"{path}: {says}"


def test_a_lime_dump_of_100000_ranges_opens_in_linear_time(tmp_path):
    path = tmp_path / "many.lime"
    path.write_bytes(lime(*((i << 13, PAGE[:16]) for i in range(100_000))))

    started = time.process_time()
    memory = Memory.open(path)

    assert time.process_time() - started < 30  # 0.5 s; under sanitizers more; quadratic, far more
    assert len(memory) == 100_000
    assert memory.read(99_999 << 13, 16) == PAGE[:16]


# ---------------------------------------------------------------- kdump-compressed


class FakeBitmap:
    """Bits as libkdumpfile's bitmaps give them: an exception past the last one."""

    def __init__(self, frames, failure):
        self.frames, self.failure = frames, failure

    def find_set(self, at):
        found = [f for f in sorted(self.frames) if f >= at]
        if not found:
            raise self.failure("no such bit")
        return found[0]

    def find_clear(self, at):
        while at in self.frames:
            at += 1
        return at


class Failure(Exception):
    pass


class FakeDump:
    """What both bindings have in common."""

    frames = (1, 2, 5)

    def __init__(self, path=None):
        self.attr = {"arch": {"page_size": 4096}, "file": {"pagemap": FakeBitmap(self.frames, Failure)}}

    def open_fd(self, fd):
        assert isinstance(fd, int)

    def read(self, space, address, size):
        assert space == 7
        return bytearray(b"".join(bytes([f]) * 4096 for f in self.frames)[: size if address else 0])


def debian(monkeypatch):
    """The names of python3-libkdumpfile 0.5.1."""
    exceptions = type(sys)("exceptions")
    exceptions.KDumpBaseException = Failure
    return {"kdumpfile": FakeDump, "KDUMP_MACHPHYSADDR": 7, "exceptions": exceptions}


def pypi(monkeypatch):
    """The names of pykdumpfile 0.5.5."""
    return {"Context": FakeDump, "MACHPHYSADDR": 7, "KdumpfileError": Failure}


@pytest.fixture(params=[debian, pypi])
def binding(request, monkeypatch):
    """Either binding, as a fake."""
    module = type(sys)("kdumpfile")
    for name, value in request.param(monkeypatch).items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "kdumpfile", module)
    return module


@pytest.fixture
def kdump(tmp_path):
    path = tmp_path / "vmcore"
    path.write_bytes(b"KDUMP   " + bytes(100))
    return path


@pytest.mark.parametrize("copy", [False, True])
def test_the_pages_of_a_kdump_are_memory_and_those_left_out_do_not_exist(binding, kdump, copy):
    memory = Memory.open(kdump, copy=copy)

    assert regions(memory) == [(0x1000, 0x2000), (0x5000, 0x1000)]
    assert memory.read(0x1000, 1) == b"\1"
    assert memory.read(0x3000, 1) is None


def test_a_kdump_is_unpacked_up_to_the_limit(binding, kdump):
    with pytest.raises(ImageError, match="unpacks to more than 8192 bytes"):
        Memory.open(kdump, max_size=0x2000)


def test_what_libkdumpfile_says_is_passed_on(binding, kdump, monkeypatch):
    def refuse(*_):
        raise Failure("Cannot get page I/O: missing page data")

    monkeypatch.setattr(FakeDump, "read", refuse)
    with pytest.raises(ImageError, match=r"vmcore: libkdumpfile cannot read it: Cannot get page I/O"):
        Memory.open(kdump)


def test_a_kdump_whose_page_size_is_damaged_never_meets_libkdumpfile(binding, tmp_path):
    """It dies of it (0.5.1): the byte at 0x1ac of a real dump, flipped."""
    data = bytearray(lzma.decompress(KDUMP.read_bytes()))
    data[0x1AC] ^= 0xFF
    path = tmp_path / "vmcore"
    path.write_bytes(data)

    with pytest.raises(ImageError, match="damaged header: no page size"):
        Memory.open(path)


def test_a_kdump_without_pages_is_refused(binding, kdump, monkeypatch):
    monkeypatch.setattr(FakeDump, "frames", ())
    with pytest.raises(ImageError, match="without pages in it"):
        Memory.open(kdump)


def test_without_the_binding_the_error_says_what_to_install(kdump, monkeypatch):
    monkeypatch.setitem(sys.modules, "kdumpfile", None)  # its import fails

    with pytest.raises(ImageError, match=r"apt install python3-libkdumpfile .* 'iommu-abi\[kdump\]'"):
        Memory.open(kdump)


def binding_directory(tmp_path) -> Path | None:
    """A directory with Debian's binding alone, if it is installed for this version of Python."""
    packages = Path("/usr/lib/python3/dist-packages")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    names = ["kdumpfile", "addrxlat", f"_kdumpfile{suffix}", f"_addrxlat{suffix}"]
    if not all((packages / name).exists() for name in names):
        return None
    for name in names:
        (tmp_path / name).symlink_to(packages / name)
    return tmp_path


def test_the_tables_in_a_kdump_that_makedumpfile_wrote_match_the_capture(tmp_path):
    """The vmcore of this guest, all but the IOMMU's pages zeroed, through makedumpfile 1.7.2 -c -d 1."""
    path = [p for p in sys.path if "asan" in p]
    if importlib.util.find_spec("kdumpfile") is None:
        found = binding_directory(tmp_path)
        if found is None:
            pytest.skip("no libkdumpfile here for this Python: apt install python3-libkdumpfile")
        path.append(str(found))

    done = subprocess.run(
        [sys.executable, "-m", "iommu_abi", "replay", CAPTURE, "--image", KDUMP, "--json"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": ":".join(path)},
    )

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["mismatched"] == []
    assert answer["matched"] == answer["total"] == 1577  # lines of the capture's oracle


def with_binding(tmp_path: Path) -> dict[str, str]:
    """The environment in which there is a binding of libkdumpfile."""
    path = [p for p in sys.path if "asan" in p]
    if importlib.util.find_spec("kdumpfile") is None:
        found = binding_directory(tmp_path)
        if found is None:
            pytest.skip("no libkdumpfile here for this Python: apt install python3-libkdumpfile")
        path.append(str(found))
    return {**os.environ, "PYTHONPATH": ":".join(path)}


def test_each_byte_of_a_kdumps_head_flipped_is_one_sentence_or_harmless(tmp_path):
    """Libkdumpfile 0.5.1 dies of some; whole, each page has its number (kdump_flips.py writes them)."""
    script = Path(__file__).with_name("kdump_flips.py")

    done = subprocess.run([sys.executable, script], capture_output=True, env=with_binding(tmp_path))

    assert (done.returncode, done.stderr) == (0, b"")
    told = json.loads(done.stdout)
    assert told["whole"] == [[number, number + 1] for number in range(8)]
    assert told["refused"] > 20
    assert "lines" not in told
    assert told["longest"] < 5


HOSTILE = {
    "it dies": (
        lambda *_: os.kill(os.getpid(), signal.SIGSEGV),
        "dies of it: Segmentation fault",
    ),
    "real-time": (lambda *_: os.kill(os.getpid(), 40), "libkdumpfile dies of it: Real-time signal"),
    "it leaves": (lambda *_: os._exit(3), "libkdumpfile ends with 3"),
    "no end": (lambda *_: time.sleep(600), "libkdumpfile does not end: nothing for 2 s"),
    "memory": (lambda *_: bytearray(1 << 40), "libkdumpfile cannot read it: MemoryError"),
    "interrupts": (lambda *_: sys.exit("now"), "libkdumpfile ends with 1"),
    "recursion": (lambda *_: json.loads("[" * 100_000), "libkdumpfile cannot read it: maximum recursion"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_kdump_of_which_libkdumpfile_dies_is_a_sentence(binding, kdump, monkeypatch, capfd, name):
    monkeypatch.setattr(FakeDump, "read", HOSTILE[name][0])
    monkeypatch.setattr(apart, "PATIENCE", 2.0)

    with pytest.raises(ImageError, match=f"vmcore: .*{HOSTILE[name][1]}"):
        Memory.open(kdump)

    assert capfd.readouterr() == ("", "")


def test_a_bitmap_of_a_kdump_that_never_moves_on_is_a_sentence(binding, kdump, monkeypatch):
    monkeypatch.setattr(FakeBitmap, "find_clear", lambda self, at: at)

    with pytest.raises(ImageError, match="a bitmap of pages without an end"):
        Memory.open(kdump)


# ---------------------------------------------------------------- several files, and parts of files

WHERE = ("--config", CAPTURE / "meta.json", "--rid", "00:07.0", "--iova", "0x20000000")


def raw_files(tmp_path):
    """The capture's memory as two raw files and one that holds both, with their places."""
    memory = Memory.open(CAPTURE / "sparse.elf.xz")
    size = max(r.last for r in memory) + 1
    data = bytearray(size)
    for r in memory:
        data[r.first : r.last + 1] = memory.read(r.first, r.size)
    low, high, both = tmp_path / "low.bin", tmp_path / "high.bin", tmp_path / "both.bin"
    half = 0x4000000
    low.write_bytes(data[:half])
    high.write_bytes(data[half:])
    both.write_bytes(data[half:] + data[:half])
    return low, high, both, half, size - half


def test_raw_files_at_their_bases_are_one_address_space(capsys, tmp_path):
    low, high, both, half, rest = raw_files(tmp_path)
    whole = run(capsys, "translate", CAPTURE / "sparse.elf.xz", *WHERE)
    assert whole.status == 0

    two = run(capsys, "translate", f"{low}@0", f"{high}@{half:#x}", *WHERE)
    parts = run(capsys, "translate", f"{both}@{half:#x}:0+{rest}", f"{both}@0:{rest:#x}", *WHERE)

    assert two == whole
    assert parts == whole


def test_a_capture_is_replayed_with_the_memory_of_several_files(capsys, tmp_path):
    low, high, _, half, _ = raw_files(tmp_path)

    done = run(capsys, "replay", CAPTURE, "--image", f"{low}@0", "--image", f"{high}@{half}", "--json")

    assert done.status == 0
    assert done.json["matched"] == 1577  # lines of the capture's oracle


def test_files_that_overlap_are_named_both(capsys, tmp_path):
    a, b = tmp_path / "a.bin", tmp_path / "b.bin"
    a.write_bytes(PAGE)
    b.write_bytes(PAGE)

    done = run(capsys, "translate", f"{a}@0x1000", f"{b}@0x1800", *WHERE)

    assert done.status == 2
    assert sentence(done) == f"{b}: 0x1800..0x27ff overlaps 0x1000..0x1fff of {a}"


def test_a_base_is_refused_for_a_file_that_says_where_its_memory_was(capsys, tmp_path):
    dump = tmp_path / "a.lime"
    dump.write_bytes(lime((0x1000, PAGE)))

    done = run(capsys, "translate", f"{dump}@0x1000", *WHERE)

    assert done.status == 2
    assert "this lime file says itself where its memory was" in sentence(done)


@pytest.mark.parametrize("part", ["0x1001", "0x1000", "0+0x1001", "0xfff+2", "0+0"])
def test_a_part_that_is_not_in_the_file_is_refused(capsys, tmp_path, part):
    a = tmp_path / "a.bin"
    a.write_bytes(PAGE)

    done = run(capsys, "translate", f"{a}@0:{part}", *WHERE)

    assert done.status == 2
    assert "it ends at 0x1000" in sentence(done)


def test_a_file_whose_name_looks_like_a_place_is_that_file(capsys, tmp_path):
    odd = tmp_path / "ram@0x1000"
    odd.write_bytes(PAGE)

    done = run(capsys, "translate", odd, f"{odd}@0x1000", *WHERE)

    assert done.status == 1  # both were opened, at 0 and at 0x1000: no root table in either


def test_sources_in_python():
    with pytest.raises(UsageError, match="unknown image format"):
        Memory.open(Source(KDUMP), format="vmdk")


# ---------------------------------------------------------------- live buffers


def buffers():
    shared = mmap.mmap(-1, 4096)
    shared[:] = PAGE
    yield bytes(PAGE)
    yield bytearray(PAGE)
    yield memoryview(PAGE)
    yield shared


@pytest.mark.parametrize("buffer", list(buffers()), ids=lambda b: type(b).__name__)
def test_a_buffer_is_memory_without_a_copy(buffer):
    memory = Memory()
    memory.map(0x7000, buffer)

    assert memory.read(0x7010, 16) == PAGE[16:32]


def test_what_is_written_to_a_live_buffer_is_seen_at_once():
    memory, live = Memory(), bytearray(PAGE)
    memory.map(0, live)

    live[0:8] = (0x1234).to_bytes(8, "little")

    assert memory.read64(0) == 0x1234
    with pytest.raises(BufferError):
        live.append(0)  # a mapped buffer cannot be resized


def test_an_array_of_words_is_its_bytes():
    from array import array

    memory = Memory()
    memory.map(0, array("Q", [1, 2, 3]))

    assert memory.read(0, 25) is None
    assert memory.read64(16) == 3


# ---------------------------------------------------------------- very large

SPARSE = """
import resource, sys, time
from iommu_abi import Memory
from iommu_abi.unit_meta import make_unit, read_meta
from iommu_abi.terms import Request
from pathlib import Path

def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

meta = read_meta(Path(sys.argv[2]).read_text(), "meta.json")
unit = make_unit(meta.kind, meta.registers, "meta.json")
before, started = pages(), time.perf_counter()
memory = Memory.open(sys.argv[1])
answer = unit.translate(memory, Request(rid=0x38, iova=0x20000000))
seconds = time.perf_counter() - started
size = sum(r.size for r in memory)
print(f"{answer.hpa:#x} {(pages() - before) * resource.getpagesize()} {seconds} {size}")
"""


def test_a_sparse_raw_image_of_64_gib_opens_at_once_and_costs_the_pages_touched(tmp_path):
    path = tmp_path / "ram.bin"
    memory = Memory.open(CAPTURE / "sparse.elf.xz")
    with path.open("wb") as file:
        file.truncate(64 << 30)
        for r in memory:
            file.seek(r.first)
            file.write(memory.read(r.first, r.size))
    assert path.stat().st_blocks * 512 < 64 << 20  # the file system keeps holes

    done = subprocess.run(
        [sys.executable, "-c", SPARSE, path, CAPTURE / "meta.json"],
        capture_output=True,
        text=True,
        check=True,
    )
    hpa, grown, seconds, size = done.stdout.split()

    # where the guest's own mapping of this IOVA led, by the capture's oracle
    lines = map(json.loads, (CAPTURE / "oracle.jsonl").read_text().splitlines())
    expected = next(
        n["pa"] for n in lines if n["sid"] == 0x38 and n["iova"] == "0x20000000" and n["access"] == "read"
    )
    assert hpa == expected
    assert int(size) == 64 << 30
    assert int(grown) < 4 << 20
    assert float(seconds) < 20  # 0.1 s; reading 64 GiB of zeros takes longer
