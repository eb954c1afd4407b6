"""Image formats beside ELF, LiME and raw: read, or refused by name; and each of them damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import struct
import time
import zlib

import pytest
from cli_support import CAPTURES, run, sentence
from test_images import lime
from test_memory import PAGE, elf

from iommu_abi import ImageError, Memory, UsageError
from iommu_abi.images.pieces import without
from iommu_abi.ledgers import ask
from iommu_abi.terms import Reason, Request
from iommu_abi.walk import Unit

cramjam = pytest.importorskip("cramjam")
zstandard = pytest.importorskip("zstandard")

OTHER = bytes(reversed(PAGE))
WHERE = ("--config", CAPTURES / "vtd-scalable-fs-k6.12" / "meta.json", "--rid", "0", "--iova", "0")


@pytest.fixture
def image(tmp_path):
    def write(data, name="image"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def regions(memory):
    return [(r.first, r.size, r.hole) for r in memory]


# ---------------------------------------------------------------- writers, by the formats' own texts


def avml(*ranges):
    """AVML's src/image.rs, version 2: LiME's header, a Snappy stream, its length."""
    out = b""
    for first, data in ranges:
        stream = bytes(cramjam.snappy.compress(data))
        out += struct.pack("<4sIQQ8x", b"AVML", 2, first, first + len(data) - 1)
        out += stream + struct.pack("<Q", len(stream))
    return out


def xen(frames, data, *, p2m=False):
    """Xen's docs/misc/dump-core-format.txt: sections, no program headers."""
    table = b"".join(struct.pack("<QQ", i, f) if p2m else struct.pack("<Q", f) for i, f in enumerate(frames))
    name = b".xen_p2m" if p2m else b".xen_pfn"
    names = b"\0.shstrtab\0.xen_pages\0" + name + b"\0"
    start = 64 + 4 * 64
    bodies = ((3, 1, names), (1, 11, data), (1, 22, table))
    headers, body = bytes(64), b""
    for kind, at, content in bodies:
        place = start + len(body)
        headers += struct.pack("<IIQQQQIIQQ", at, kind, 0, 0, place, len(content), 0, 0, 1, 0)
        body += content
    ident = b"\x7fELF\2\1\1" + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, 4, 1) + headers + body


def tag(name, value, *indices):
    """A number in a .vmss (crash's vmware_vmss.h)."""
    word = len(name) << 8 | len(indices) << 6 | 4
    return (
        struct.pack("<H", word) + name + struct.pack(f"<{len(indices)}I", *indices) + struct.pack("<I", value)
    )


def vmss(memory=b"", areas=()):
    """One group; regions are (address, place, size) in pages."""
    tags = tag(b"regionsCount", len(areas))
    for i, (ppn, at, size) in enumerate(areas):
        tags += tag(b"regionPPN", ppn, i) + tag(b"regionPageNum", at, i) + tag(b"regionSize", size, i)
    if memory:
        tags += struct.pack("<H", 6 << 8 | 63) + b"Memory" + struct.pack("<QQH", len(memory), len(memory), 3)
        tags += bytes(3) + memory
    return (
        struct.pack("<4sII", b"\xd2\xbe\xd2\xbe", 8, 1)
        + struct.pack("<64sQQ", b"memory", 92, 0)
        + tags
        + b"\0\0"
    )


def flattened(data, step=1000):
    """Makedumpfile's IMPLEMENTATION, the flattened format: here the end comes first."""
    out = struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")
    for at in reversed(range(0, len(data), step)):
        piece = data[at : at + step]
        out += struct.pack(">qq", at, len(piece)) + piece
    return out + struct.pack(">qq", -1, -1)


CORE = elf([(1, 0x5000, PAGE, 4096)])
WHOLE = {
    "elf": CORE,
    "hole": elf([(1, 0x5000, PAGE, 0x4000)]),
    "lime": lime((0x5000, PAGE)),
    "avml": avml((0x5000, PAGE)),
    "xen": xen([5], PAGE),
    "vmss": vmss(bytes(0) + PAGE, [(5, 0, 1)]),
    "flattened": flattened(CORE),
    "xz": lzma.compress(CORE),
    "gz": gzip.compress(CORE, mtime=0),
    "bz2": bz2.compress(CORE),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress(CORE),  # as zstd does
    "zlib": zlib.compress(CORE),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("copy", [False, True])
def test_every_format_is_read(image, name, copy):
    memory = Memory.open(image(WHOLE[name]), copy=copy)

    assert memory.read(0x5000, 4096) == PAGE
    assert not memory.left_out(0x5000)


def test_avml_of_several_ranges_and_of_bytes_that_do_not_pack(image):
    noise = random.Random(5).randbytes(200_000)

    memory = Memory.open(image(avml((0x1000, PAGE), (0x100000000, noise))))

    assert regions(memory) == [(0x1000, 4096, False), (0x100000000, 200_000, False)]
    assert memory.read(0x100000000, 200_000) == noise


def test_xen_pages_are_at_their_frames(image):
    memory = Memory.open(image(xen([0x10, 0x11, 0xFFFFFFFFFFFFFFFF, 0x5], PAGE + OTHER + PAGE + OTHER)))

    assert regions(memory) == [(0x5000, 4096, False), (0x10000, 8192, False)]
    assert memory.read(0x11000, 4096) == OTHER


def test_of_a_xen_pv_guest_machine_frames_count(image):
    memory = Memory.open(image(xen([7, 3], PAGE + OTHER, p2m=True)))

    assert memory.read(0x3000, 4096) == OTHER
    assert memory.read(0x7000, 4096) == PAGE


def test_a_vmss_with_its_vmem_beside_it(image):
    image(PAGE + OTHER, "a.vmem")

    memory = Memory.open(image(vmss(areas=[(0, 0, 1), (0x100000, 1, 1)]), "a.vmss"))

    assert regions(memory) == [(0, 4096, False), (0x100000000, 4096, False)]
    assert memory.read(0x100000000, 4096) == OTHER


@pytest.mark.parametrize(("areas", "says"), [((), "b.vmem is not beside it"), ([(0, 0, 2)], "region 0")])
def test_a_vmss_without_all_of_its_memory(image, areas, says):
    data = vmss(PAGE, areas) if areas else vmss()
    with pytest.raises(ImageError, match=says):
        Memory.open(image(data, "b.vmss"))


def test_packed_streams_one_behind_the_other_are_one_file(image):
    for pack in (gzip.compress, bz2.compress, lzma.compress, zstandard.compress, zlib.compress):
        memory = Memory.open(image(pack(CORE[:100]) + pack(CORE[100:])))
        assert memory.read(0x5000, 4096) == PAGE


# ---------------------------------------------------------------- damaged


@pytest.mark.parametrize("name", WHOLE)
def test_each_byte_flipped_is_one_sentence_or_harmless(image, name):
    """No other exception than the package's own: those are exit 2."""
    whole, said = WHOLE[name], []
    for i in [*range(min(len(whole), 130)), *range(130, min(len(whole), 700), 5)]:
        for flip in (0x01, 0xFF):
            data = whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :]
            try:
                Memory.open(image(data), copy=True, max_size=1 << 24)
            except (ImageError, UsageError) as error:
                said.append(str(error))
    assert said
    assert not any("\n" in each for each in said)


@pytest.mark.parametrize("name", ["elf", "hole", "lime", "xen"])
def test_the_command_ends_with_0_1_or_2_whatever_byte_of_a_head_is_flipped(capsys, image, name):
    """Exit 0: translated, 1: a fault, 2: not readable, with one sentence (CONTRIBUTING)."""
    whole, ended = WHOLE[name], set()
    start = time.process_time()
    for i in range(0, min(len(whole), 320), 2):
        data = whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :]
        done = run(capsys, "translate", image(data), *WHERE, "--max-size", str(1 << 24))
        ended.add(done.status)
        assert done.status in (0, 1, 2)
        assert done.status != 2 or sentence(done)
    assert ended >= {1, 2}
    assert time.process_time() - start < 120


@pytest.mark.parametrize("name", WHOLE)
def test_cut_anywhere_is_one_sentence(image, name):
    whole = WHOLE[name]
    for end in range(1, min(len(whole) - 1, 700), 7):
        with pytest.raises(ImageError):
            Memory.open(image(whole[:end] if end > 16 else whole[: -end - 20]), copy=True)


@pytest.mark.parametrize("name", ["gz", "bz2", "zst", "xz", "zlib", "avml"])
def test_a_wrong_bit_in_packed_data_is_exit_2(capsys, image, name):
    data = bytearray(WHOLE[name])
    data[len(data) // 2] ^= 0x10

    done = run(capsys, "translate", image(bytes(data)), *WHERE)

    assert done.status == 2
    assert "image: " in sentence(done)


def test_what_unpacks_to_too_much_stops_there(image):
    for pack in (bz2.compress, zstandard.compress, zlib.compress):
        with pytest.raises(ImageError, match="unpacks to more than 1048576 bytes"):
            Memory.open(image(pack(bytes(1 << 22))), max_size=1 << 20)


def test_holes_of_a_hostile_core_are_bounded(image):
    with pytest.raises(ImageError, match=r"leaves out .* --max-size"):
        Memory.open(image(elf([(1, 0x5000, PAGE, 1 << 60)])))


# ---------------------------------------------------------------- holes


def test_a_hole_read_as_a_table_is_zero_and_as_a_target_not_in_the_dump(capsys, image):
    """A context table of zeros, which makedumpfile -E cuts out, is "not present", 0x2 (VT-d 7.1.3)."""
    root = struct.pack("<QQ", 0x3000 | 1, 0) + bytes(4080)  # bus 0: context table at 0x3000
    unit = Unit("vtd", {"RTADDR": 0x2000})
    memory = Memory.open(image(elf([(1, 0x2000, root, 0x10000)])))

    asked = ask(unit, memory, Request(rid=8, iova=0x1000))

    assert not asked.differences
    assert asked.fast.fault is not None
    assert (asked.fast.fault.reason, asked.fast.fault.native) == (Reason.NOT_PRESENT, 2)
    assert memory.left_out(0x3000)


def test_a_target_in_a_hole_is_told(capsys, image):
    """VT-d legacy, pass-through: the address is the target."""
    root = struct.pack("<QQ", 0x3000 | 1, 0) + bytes(4080)
    context = bytes(128) + struct.pack("<QQ", 1 | 2 << 2, 1 << 8 | 2) + bytes(4096 - 144)
    path = image(elf([(1, 0x2000, root + context, 0x10000)]))
    where = ("--iommu", "vtd", "--reg", "RTADDR=0x2000", "--reg", "ECAP=0x40", "--rid", "00:01.0")

    inside = run(capsys, "translate", path, *where, "--iova", "0x2000")
    hole = run(capsys, "translate", path, *where, "--iova", "0x5000")
    shown = run(capsys, "translate", path, *where, "--iova", "0x5000", "--explain", "--json")

    assert (inside.status, hole.status) == (0, 0), inside
    assert "not in the dump" not in inside.out
    assert "its bytes are not in the dump" in hole.out
    assert shown.json["in_dump"] is False


@pytest.mark.parametrize(
    ("holes", "taken", "left"),
    [
        ([(0, 9)], [], [(0, 9)]),
        ([(0, 9)], [(3, 4)], [(0, 2), (5, 9)]),
        ([(0, 9), (5, 20)], [(0, 1), (19, 30)], [(2, 9), (10, 18)]),
        ([(4, 6)], [(0, 9)], []),
    ],
)
def test_bytes_that_are_there_win_over_holes(holes, taken, left):
    assert list(without(holes, taken)) == left


# ---------------------------------------------------------------- named, not read

NAMED = {
    "windows": (b"PAGEDU64", "a Windows crash dump"),
    "windows 32": (b"PAGEDUMP", "a Windows crash dump"),
    "libvirt": (b"LibvirtQemudSave", "a libvirt save image: .*virsh dump --memory-only"),
    "migration": (b"QEVM\0\0\0\3", "a QEMU migration stream: .*virsh dump --memory-only"),
    "qcow2": (b"QFI\xfb\0\0\0\3", "a qcow2 image: .*qemu-img"),
    "vmdk": (b"KDMV\1\0\0\0", "a VMDK image"),
    "lz4": (b"\x04\x22\x4d\x18", "an LZ4-packed file: unpack it first: lz4 -d"),
    "zip": (b"PK\3\4", "a ZIP archive"),
    "tar": (b"a".ljust(257, b"\0") + b"ustar\0", "a tar archive"),
    "text": (b"[    0.000000] Linux version\n" * 400, "a text file"),
    "utf-16": ("DMAR: DRHD: handling fault\r\n".encode("utf-16") * 200, "a text file"),
    "vmss": (b"\xd2\xbe\xd2\xbe\x08\0\0\0", "a VMware .*vmss2core"),
    "avml": (b"AVML\2\0\0\0" + bytes(24) + b"\xff\x06\0\0sNaPpY", "an AVML .*avml-convert"),
    "zstd": (b"\x28\xb5\x2f\xfd", "a Zstandard file that cannot be unpacked"),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_no_memory_is_named_and_raw_forces_it(capsys, image, name):
    start, says = NAMED[name]
    path = image(start.ljust(8192, b"\0") if name not in ("text", "utf-16") else start)

    with pytest.raises(ImageError, match=says):
        Memory.open(path)
    done = run(capsys, "translate", path, *WHERE)
    assert done.status == 2
    assert Memory.open(path, format="raw").read(0, 16) == path.read_bytes()[:16]


def process_core(count):
    """gcore: p_vaddr says where a process had it, p_paddr is 0 (System V ABI, core files of Linux)."""
    data = bytearray(elf([(1, 0, PAGE, 4096)] * count))
    for i in range(count):
        struct.pack_into("<Q", data, 64 + 56 * i + 16, 0x7F0000000000 + 4096 * i)
    return bytes(data)


@pytest.mark.parametrize("count", [1, 2])
def test_a_core_of_a_process_is_refused(image, count):
    with pytest.raises(ImageError, match=r"every p_paddr is 0: .*gcore"):
        Memory.open(image(process_core(count)))


def test_a_program_is_no_core(image):
    data = bytearray(CORE)
    data[16] = 2  # ET_EXEC

    with pytest.raises(ImageError, match="an ELF program or object"):
        Memory.open(image(bytes(data)))


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ImageError, match="must be a regular file"):
        Memory.open(tmp_path / "pipe")


def test_a_flattened_kdump_goes_to_libkdumpfile(image, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kdumpfile", None)

    with pytest.raises(ImageError, match="a kdump-compressed vmcore needs libkdumpfile"):
        Memory.open(image(flattened(b"KDUMP   " + bytes(5000))))


def test_raw_memory_stays_raw(image):
    for start in (bytes(16), b"\x53\xff\x00\xf0" * 4, b"\x78\x9c\xff\xff", b"\xa5\x5a\xc3\x3c" + bytes(9)):
        assert Memory.open(image(start.ljust(4096, b"\1"))).read(0, 4) == start[:4]
