"""The log of a kernel in an image: VMCOREINFO, the kernel's tables, the printk ring.

Facts: Documentation/admin-guide/kdump/vmcoreinfo.rst and kernel/printk/printk_ringbuffer.h of Linux (states
in the top two bits of a descriptor, 1 committed, 2 finalized, 3 reusable; a data block is an ID and the text;
bit 0 of a position: no data). Tried by hand on whole dumps too: Linux 6.1, 6.12, 7.2; x86-64, arm64, RISC-V.
"""

from __future__ import annotations

import contextlib
import struct
import time

import pytest
from cli_support import run, sentence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iommu_abi.acquire import printk, vmcoreinfo
from iommu_abi.acquire.addresses import Space
from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory

IMAGE = 0xFFFFFFFF80000000  # where x86-64 maps its kernel
BASE = 0x100000  # of the kernel in physical memory: KASLR moved it there
DIRECT = 0xFFFF888000000000  # where the kernel maps all memory, if it is not random
PRB, RING, DESCS, INFOS, NOTE, PGD, TABLES, DATA = (0x1000 * i for i in range(8))
SIZE = 0x10000
COUNT_BITS, SIZE_BITS = 3, 8
ID = (1 << 62) - 1

OFFSETS = """\
SIZE(atomic_long_t)=8
OFFSET(printk_ringbuffer.desc_ring)=0
OFFSET(printk_ringbuffer.text_data_ring)=48
OFFSET(prb_desc_ring.count_bits)=0
OFFSET(prb_desc_ring.descs)=8
OFFSET(prb_desc_ring.infos)=16
OFFSET(prb_desc_ring.head_id)=24
OFFSET(prb_desc_ring.tail_id)=32
SIZE(prb_desc)=24
OFFSET(prb_desc.state_var)=0
OFFSET(prb_desc.text_blk_lpos)=8
OFFSET(prb_data_blk_lpos.begin)=0
OFFSET(prb_data_blk_lpos.next)=8
SIZE(printk_info)=88
OFFSET(printk_info.ts_nsec)=8
OFFSET(printk_info.text_len)=16
OFFSET(prb_data_ring.size_bits)=0
OFFSET(prb_data_ring.data)=8
"""


def note(*more: str, symbols: bool = True) -> bytes:
    lines = ["OSRELEASE=6.6.0-test", "PAGESIZE=4096", f"SYMBOL(init_uts_ns)={IMAGE:x}"]
    if symbols:
        lines += [f"SYMBOL(prb)={IMAGE + PRB:x}", f"SYMBOL(swapper_pg_dir)={IMAGE + PGD:x}"]
        lines += [f"SYMBOL(_stext)={IMAGE:x}", f"NUMBER(phys_base)={BASE}"]
    return "\n".join([*lines, *more, OFFSETS]).encode()


class Kernel:
    """A small x86-64 kernel: its image is not in the tables, all its memory is, at DIRECT."""

    def __init__(self, first: int = 0) -> None:
        self.memory = bytearray(SIZE)
        self.head = first - 1
        self.tail = first
        self.place = 0
        self.word(PRB, IMAGE + RING)
        self.word(RING, COUNT_BITS, IMAGE + DESCS, IMAGE + INFOS)
        self.word(RING + 48, SIZE_BITS, DIRECT + BASE + DATA)
        self.memory[NOTE : NOTE + 4096] = note().ljust(4096, b"\0")
        # Intel SDM 4.5: a table of each level, then a page of 2 MiB
        self.word(PGD + 8 * (DIRECT >> 39 & 511), BASE + TABLES | 1)
        self.word(TABLES + 8 * (DIRECT >> 30 & 511), BASE + 0x8000 | 1)
        self.word(0x8000, 0x81)

    def word(self, at: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.memory, at, *(w & (1 << 64) - 1 for w in words))

    def record(self, text: bytes, nanoseconds: int = 0, state: int = 2) -> None:
        """Write a record as printk does; one that would cross the end begins at the start."""
        self.head += 1
        size = 8 + -(-len(text) // 8) * 8
        begin, end = self.place, self.place + size
        if begin >> SIZE_BITS != end >> SIZE_BITS:
            end = (end >> SIZE_BITS << SIZE_BITS) + size
        at = (end - size if end - size > begin else begin) % (1 << SIZE_BITS)
        self.word(DATA + at, self.head)
        self.memory[DATA + at + 8 : DATA + at + 8 + len(text)] = text
        slot = self.head % (1 << COUNT_BITS)
        self.word(DESCS + 24 * slot, state << 62 | self.head, begin, end)
        struct.pack_into("<QQH", self.memory, INFOS + 88 * slot, self.head, nanoseconds, len(text))
        self.place = end
        self.tail = max(self.tail, self.head - (1 << COUNT_BITS) + 1)

    def mapped(self) -> Memory:
        self.word(RING + 24, self.head, self.tail)
        memory = Memory()
        memory.map(BASE, bytes(self.memory))
        return memory


def test_records_are_lines_with_their_times():
    kernel = Kernel()
    kernel.record(b"Linux version 6.6.0", 0)
    kernel.record(b"two\nlines", 12_345_678_900)

    log = printk.read(kernel.mapped())

    assert log.lines == (
        "[    0.000000] Linux version 6.6.0",
        "[   12.345678] two",
        "[   12.345678] lines",
    )
    assert (log.release, log.lost) == ("6.6.0-test", 0)


def test_the_ring_goes_round_and_its_numbers_too():
    kernel = Kernel(first=ID - 5)  # the ID's 62 bits end after 5 more
    for i in range(30):
        if kernel.head == ID:
            kernel.head = -1
        kernel.record(f"record {i:2}: {'x' * (i % 7)}".encode(), i * 1_000_000_000)
    kernel.tail = kernel.head - 5  # of 256 bytes, the last six are whole for certain

    lines = printk.read(kernel.mapped()).lines

    assert [line[15:24] for line in lines] == [f"record {i}" for i in range(24, 30)]


@pytest.mark.parametrize(("state", "lost"), [(0, 1), (1, 0), (2, 0), (3, 0)])
def test_a_record_that_is_being_written_is_counted_and_one_that_is_gone_is_not(state, lost):
    kernel = Kernel()
    kernel.record(b"first")
    kernel.record(b"second", state=state)

    log = printk.read(kernel.mapped())

    assert (len(log.lines), log.lost) == (2 if state in (1, 2) else 1, lost)


def test_a_block_of_another_record_is_no_text():
    kernel = Kernel()
    kernel.record(b"right")
    kernel.record(b"wrong")
    kernel.word(DATA + 16, 77)

    assert (printk.read(kernel.mapped()).lines, printk.read(kernel.mapped()).lost) == (
        ("[    0.000000] right",),
        1,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no VMCOREINFO of a Linux kernel in it, which would lead to the log"),
        (b"OSRELEASE=%s\nPAGESIZE=%ld\n", "no VMCOREINFO"),
        (
            note("SYMBOL(log_buf)=ffffffff81000000", symbols=False),
            "of the form before 5.10, which is not read",
        ),
        (note(symbols=False), "its note has no SYMBOL(prb)"),
        (note().replace(b"NUMBER(phys_base)", b"NUMBER(other)"), "those of x86-64, arm64, RISC-V are"),
        (note().replace(b"(atomic_long_t)=8", b"(atomic_long_t)=4"), "a kernel of 32 bits"),
        (note().replace(b"(printk_info)=88", b"(printk_info)=-1"), "got '-1' for SIZE(printk_info)"),
        (note().replace(b"prb)=ffffffff8", b"prb)=ffffffff4"), "0xffffffff40000000 is not in the image"),
    ],
)
def test_what_leads_to_no_log_is_one_sentence(text, said):
    kernel = Kernel()
    kernel.record(b"text")
    kernel.memory[NOTE : NOTE + 4096] = text.ljust(4096, b"\0")

    with pytest.raises(ImageError) as caught:
        printk.read(kernel.mapped())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_note_of_a_kernel_before_is_passed_over():
    kernel = Kernel()
    kernel.record(b"text")
    old = note().replace(b"6.6.0-test", b"6.5.0-old").replace(b"prb)=ffffffff8", b"prb)=ffffffff4")
    memory = kernel.mapped()
    memory.map(0x1000, old.ljust(4096, b"\0"))

    assert [each.release for each in vmcoreinfo.find(memory)] == ["6.5.0-old", "6.6.0-test"]
    assert printk.read(memory).release == "6.6.0-test"


ARM64 = [f"NUMBER(kimage_voffset)=0x{0xFFFF800008000000 - 0x40000000:x}", "NUMBER(VA_BITS)=48"]
RISCV = [f"NUMBER(va_kernel_pa_offset)=0x{IMAGE - 0x40000000:x}"]


@pytest.mark.parametrize(
    ("lines", "entries", "virtual", "physical"),
    [
        # Arm ARM D8.3: 4 levels of 4 KiB; a block of level 2 is 2 MiB (bits 1:0 = 01), tables and pages 11
        (["PAGESIZE=4096", *ARM64, "NUMBER(TCR_EL1_T1SZ)=0x10"],
         {256: 0x40001003, 0x1000 // 8: 0x40002003, 0x2000 // 8: 0x50000705}, 0xFFFF800000012345, 0x50012345),
        (["PAGESIZE=4096", *ARM64, "NUMBER(TCR_EL1_T1SZ)=0x10"],
         {256: 0x40001003, 0x1000 // 8: 0x40002003, 0x2000 // 8: 0x40003003, 0x3000 // 8: 0x50000701},
         0xFFFF800000000345, None),  # bits 1:0 = 01 at the last level are reserved
        # 16 KiB and 48 bits: a first level of one bit, then 11 each
        (["PAGESIZE=16384", *ARM64, "NUMBER(TCR_EL1_T1SZ)=0x10"],
         {1: 0x40004003, 0x4000 // 8: 0x40008003, 0x8000 // 8: 0x4000C003, 0xC000 // 8: 0x50004703},
         0xFFFF800000000345, 0x50004345),
        # FEAT_LPA2: 52 bits in 5 levels; bits 9:8 of a descriptor are 51:50 of the address
        (["PAGESIZE=4096", *ARM64, "NUMBER(TCR_EL1_T1SZ)=0xc"],
         {15: 0x40001003, 0x1000 // 8 + 256: 0x40002003, 0x2000 // 8: 0x40003003, 0x3000 // 8: 0x50000301},
         0xFFFF800000012345, 0xC000050012345),
        # RISC-V 12.4: V = bit 0, a leaf has R, W or X (3:1), the frame is 53:10
        ([*RISCV, "NUMBER(satp)=0x8000000000082507"],
         {448: 0x40001000 >> 2 | 1, 0x1000 // 8: 0x50000000 >> 2 | 0xEF}, 0xFFFFFFF000012345, 0x50012345),
        ([*RISCV, "NUMBER(VA_BITS)=39"],
         {448: 0x10000401, 0x1000 // 8: 0x10000801, 0x2000 // 8 + 2: 0x140000EF},
         0xFFFFFFF000002345, 0x50000345),
    ],
)  # fmt: skip
def test_addresses_are_those_of_the_kernels_tables(lines, entries, virtual, physical):
    root = 0xFFFF800008000000 if "kimage" in lines[1] else IMAGE
    info = vmcoreinfo.parse(
        "\n".join(["OSRELEASE=1", f"SYMBOL(swapper_pg_dir)={root:x}", *lines, ""]).encode()
    )
    table = bytearray(0x10000)
    for index, entry in entries.items():
        struct.pack_into("<Q", table, 8 * index, entry)
    memory = Memory()
    memory.map(0x40000000, bytes(table))

    assert info is not None
    assert Space(memory, info).physical(virtual) == physical


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, DATA + 255), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_hostile_ring_ends_and_is_an_image_error_at_most(changes):
    kernel = Kernel()
    for i in range(9):
        kernel.record(f"record {i}".encode())
    memory = kernel.mapped()
    data = bytearray(memory.read(BASE, SIZE))
    for at, byte in changes:
        data[at] = byte
    changed = Memory()
    changed.map(BASE, bytes(data))
    start = time.process_time()
    with contextlib.suppress(ImageError):
        assert len(printk.read(changed).text) <= printk.MOST_BYTES
    assert time.process_time() - start < 60  # 2^20 records at most


def lime(data: bytes) -> bytes:
    """doc/README.md of LiME: magic, version, first and last address."""
    return struct.pack("<IIQQ8x", 0x4C694D45, 1, BASE, BASE + len(data) - 1) + data


def test_decode_reads_the_log_inside_an_image(capsys, tmp_path):
    kernel = Kernel()
    kernel.record(b"DMAR: [DMA Read NO_PASID] Request device [00:02.0] fault addr 0x9c000000"
                  b" [fault reason 0x06] PTE Read access is not set", 3_000_000_000)  # fmt: skip
    kernel.mapped()
    image = tmp_path / "dump.lime"
    image.write_bytes(lime(bytes(kernel.memory)))

    done = run(capsys, "decode", image, "--json")

    assert [(f["kind"], f["code"], f["address"]) for f in done.json["faults"]] == [
        ("vtd", "0x6", "0x9c000000")
    ]
    assert "the log of Linux 6.6.0-test in it, 1 lines" in run(capsys, "decode", image).out


def test_an_image_without_a_log_is_one_sentence(capsys, tmp_path):
    image = tmp_path / "dump.lime"
    image.write_bytes(lime(bytes(4096)))

    done = run(capsys, "decode", image)

    assert (done.status, "no VMCOREINFO of a Linux kernel in it" in sentence(done)) == (2, True)


def test_a_log_without_faults_is_no_misuse_of_a_walk(capsys, tmp_path):
    kernel = Kernel()
    kernel.record(b"DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 19e2ff0505e")
    kernel.mapped()
    image = tmp_path / "dump.lime"
    image.write_bytes(lime(bytes(kernel.memory)))

    done = run(capsys, "decode", image, "--iommu", "vtd", "--reg", "RTADDR=0x0")

    assert (done.status, "VT-d dmar0 begins" in done.out) == (0, True)
