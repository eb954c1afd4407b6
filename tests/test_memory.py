"""Memory images: regions over buffers, ELF cores, raw and packed files."""

from __future__ import annotations

import gzip
import lzma
import random
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi import ImageError, Memory, UsageError

PAGE = bytes(range(256)) * 16


def elf(segments, *, elfclass=64, order="<", phnum=None, tail=b""):
    """An ELF core (System V ABI, chapter 5): segments are (p_type, p_paddr, bytes, p_memsz)."""
    wide = elfclass == 64
    ehsize, phentsize, shentsize = (64, 56, 64) if wide else (52, 32, 40)
    n = len(segments)
    many = n >= 0xFFFF if phnum is None else False
    phoff = ehsize + (shentsize if many else 0)
    data_at = phoff + n * phentsize
    headers, data = bytearray(), bytearray()
    for p_type, paddr, content, memsz in segments:
        at = data_at + len(data)
        if wide:
            headers += struct.pack(order + "IIQQQQQQ", p_type, 6, at, 0, paddr, len(content), memsz, 0)
        else:
            headers += struct.pack(order + "IIIIIIII", p_type, at, 0, paddr, len(content), memsz, 6, 0)
        data += content
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    counts = (
        0xFFFF if many else (n if phnum is None else phnum),
        shentsize if many else 0,
        1 if many else 0,
        0,
    )
    half = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    header = ident + struct.pack(
        order + half,
        4,
        62,
        1,
        0,
        phoff,
        ehsize if many else 0,
        0,
        ehsize,
        phentsize,
        *counts[:1],
        *counts[1:],
    )
    section = b""
    if many:  # PN_XNUM: the real count is sh_info of section 0
        fields = (0, 0, 0, 0, 0, 0, 0, n, 0, 0)
        section = struct.pack(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"), *fields)
    return header + section + headers + data + tail


@pytest.fixture
def image(tmp_path):
    def write(data, name="image"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def test_an_address_in_no_region_does_not_exist():
    memory = Memory()
    memory.map(0x1000, PAGE)

    assert memory.read(0x1000, 4096) == PAGE
    assert memory.read(0x1FFF, 1) == PAGE[-1:]
    for addr, length in (
        (0xFFF, 1),
        (0x2000, 1),
        (0x1FFF, 2),
        (0x1000, 4097),
        (0x1000, 0),
        (-1, 1),
        (1 << 64, 1),
    ):
        assert memory.read(addr, length) is None


def test_a_mapped_buffer_is_not_copied():
    ram = bytearray(16)
    memory = Memory()
    memory.map(0, ram)

    ram[3] = 7

    assert memory.read(3, 1) == b"\7"


def test_a_mapped_buffer_cannot_be_resized():
    ram = bytearray(16)
    memory = Memory()
    memory.map(0, ram)

    with pytest.raises(BufferError):
        ram.append(1)
    memory.unmap(0)


def test_only_writable_regions_are_written():
    ram = bytearray(16)
    memory = Memory()
    memory.map(0x100, ram, writable=True)
    memory.map(0x200, bytes(16))

    memory.write64(0x108, 0x1122334455667788)

    assert ram[8:] == bytes.fromhex("8877665544332211")  # hardware tables are little-endian
    for addr in (0x200, 0x300, 0x10C):
        with pytest.raises(UsageError, match=f"{addr:#x}: no writable region"):
            memory.write64(addr, 1)


def test_a_read_only_buffer_cannot_be_mapped_writable():
    with pytest.raises((BufferError, ValueError)):
        Memory().map(0, b"abc", writable=True)


def test_overlapping_regions_are_refused_by_name_and_nothing_changes():
    memory = Memory()
    memory.map(0x1000, PAGE, source="first")

    with pytest.raises(ImageError, match=r"second: 0x1800..0x27ff overlaps 0x1000..0x1fff of first"):
        memory.map(0x1800, PAGE, source="second")
    assert len(memory) == 1


def test_the_last_byte_of_64_bits_can_be_mapped_and_nothing_beyond():
    memory = Memory()
    memory.map((1 << 64) - 4096, PAGE)

    assert memory.read((1 << 64) - 1, 1) == PAGE[-1:]
    assert memory.read((1 << 64) - 1, 2) is None
    with pytest.raises(UsageError, match="do not fit in 64 bits"):
        memory.map((1 << 64) - 4095, PAGE)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=12),
    st.integers(0, 60),
    st.integers(1, 8),
)
def test_reads_agree_with_a_dictionary_of_bytes(regions, addr, length):
    memory, oracle = Memory(), {}
    for i, (first, size) in enumerate(regions):
        if any(a in oracle for a in range(first, first + size)):
            continue
        data = bytes([i + 1] * size)
        memory.map(first, data)
        oracle.update({first + k: (i, data[k]) for k in range(size)})

    wanted = [oracle.get(a) for a in range(addr, addr + length)]
    whole = all(wanted) and len({w[0] for w in wanted}) == 1

    assert memory.read(addr, length) == (bytes(w[1] for w in wanted) if whole else None)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("elfclass", [32, 64])
def test_an_elf_cores_segments_lie_at_their_physical_addresses(image, elfclass, order):
    path = image(
        elf(
            [(4, 0, b"note", 4), (1, 0x5000, PAGE, 8192), (1, 0x9000, b"xyz", 3)],
            elfclass=elfclass,
            order=order,
        )
    )

    memory = Memory.open(path)

    assert memory.read(0x5000, 4096) == PAGE
    assert memory.read(0x9001, 2) == b"yz"
    assert memory.read(0x6000, 4096) == bytes(4096)  # beyond p_filesz: a hole, zero for a table
    assert [memory.left_out(at) for at in (0x5FFF, 0x6000, 0x6FFF, 0x7000)] == [False, True, True, False]
    assert memory.read(0x7000, 1) is None


def test_a_raw_file_is_one_region_at_its_base(image):
    memory = Memory.open(image(PAGE), format="raw", base=0x40000000)

    assert [(r.first, r.size) for r in memory] == [(0x40000000, 4096)]
    assert memory.read(0x40000004, 2) == PAGE[4:6]


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress])
def test_a_packed_file_is_unpacked(image, pack):
    memory = Memory.open(image(pack(elf([(1, 0x5000, PAGE, 4096)]))))

    assert memory.read(0x5000, 4096) == PAGE


def test_unpacking_stops_at_the_limit(image):
    path = image(lzma.compress(bytes(1 << 22)))

    with pytest.raises(ImageError, match="unpacks to more than 1048576 bytes"):
        Memory.open(path, format="raw", max_size=1 << 20)


def test_zeros_in_a_packed_file_take_no_room(image):
    start = time.process_time()
    memory = Memory.open(image(lzma.compress(PAGE + bytes(64 << 20) + PAGE, preset=0)), format="raw")

    assert memory.read(4096 + (64 << 20), 4096) == PAGE
    assert time.process_time() - start < 20


def test_copy_reads_instead_of_mapping(image):
    path = image(PAGE)
    memory = Memory.open(path, format="raw", copy=True)

    path.write_bytes(b"")

    assert memory.read(0, 4096) == PAGE


def test_several_files_are_one_address_space(image):
    a, b = image(elf([(1, 0x1000, PAGE, 4096)]), "a"), image(elf([(1, 0x3000, PAGE, 4096)]), "b")

    assert [r.first for r in Memory.open(a, b)] == [0x1000, 0x3000]
    with pytest.raises(ImageError, match="overlaps"):
        Memory.open(a, a)


def test_a_hundred_thousand_segments_open_in_linear_time(image):
    path = image(elf([(1, i * 0x2000 + 0x1000, b"%8d" % i, 8) for i in range(100_000)]))

    start = time.process_time()
    memory = Memory.open(path)
    seconds = time.process_time() - start

    assert len(memory) == 100_000
    assert memory.read(99_999 * 0x2000 + 0x1000, 8) == b"   99999"
    assert seconds < 30  # about 1 on an idle machine, 3 under sanitizers; 10^10 comparisons would be far more


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty file"),
        (b"\x7fELF", "damaged ELF header"),
        (b"\x7fELF" + bytes(100), "damaged ELF header"),
        (elf([]), "without memory in it"),
        (elf([(1, 0, PAGE, 4096), (1, 0, PAGE, 4096)]), "every p_paddr is 0"),
        (elf([(1, 0x1000, PAGE, 4096), (1, 0x1800, PAGE, 4096)]), "overlaps"),
        (elf([(1, 0x1000, PAGE, 4096)])[:-1], "truncated: the segment for 0x1000"),
        (elf([(1, 0x1000, PAGE, 4096)], phnum=60000), "do not lie in the file"),
        (lzma.compress(PAGE)[:-20], "cannot be unpacked"),
        (gzip.compress(PAGE)[:-9], "cannot be unpacked"),
        (b"\xfd7zXZ\0" + bytes(50), "cannot be unpacked"),
        (b"\x1f\x8b" + bytes(50), "cannot be unpacked"),
    ],
)
def test_a_bad_image_gets_one_sentence(image, data, sentence):
    with pytest.raises(ImageError, match=sentence) as caught:
        Memory.open(image(data))
    assert "image" in str(caught.value)


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ImageError, match=reason):
            Memory.open(path)


def test_random_damage_to_an_elf_file_is_an_image_error_or_harmless(image):
    whole = elf([(1, 0x5000, PAGE, 4096), (1, 0x9000, PAGE, 4096)])
    rng = random.Random(1)
    for _ in range(400):
        damaged = bytearray(whole[: rng.randrange(1, len(whole) + 1)])
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(min(len(damaged), 200))] = rng.randrange(256)
        try:
            memory = Memory.open(image(bytes(damaged)), copy=True)
        except ImageError:
            continue
        assert all(r.size > 0 for r in memory)


def test_readers_are_safe_while_regions_come_and_go():
    memory = Memory()
    memory.map(0, PAGE)
    stop = threading.Event()
    wrong = []

    def read():
        while not stop.is_set():
            if memory.read(0, 4096) != PAGE:
                wrong.append(1)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for _ in range(300):
        memory.map(0x10000, bytearray(4096))
        memory.unmap(0x10000)
    stop.set()
    for thread in readers:
        thread.join()

    assert wrong == []
