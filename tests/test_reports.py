"""Each small input of tests/data/reports/, made from what strangers reported, as a stranger would use it.

Texts that are pasted into decode are in tests/data/decode/ and held by test_decode_reports.py. The classes
behind the inputs are held elsewhere:

    compat/   test_compat_reports.py, test_compat_conditionals.py
    errno/    test_rules.py, test_rules_oracle.py (a real kernel's answers), test_strace.py
    images/   test_image_formats.py
    tails     test_buffers.py (what Python hands to C); loop12k: test_budget.py
    syzlang   test_gen_syzlang.py

Expected: sizes are those of gcc, errnos those of drivers/iommu/iommufd in Linux 7.2, verdicts
follow from the kernel's rules that test_compat_reports.py names, formats from the first bytes of each file.
"""

from __future__ import annotations

import lzma
import pickle
import struct
import time

import pytest
from cli_support import DATA, run, sentence

from iommu_abi import AbiError, Memory
from iommu_abi.iommu import Device, Domain, IommuOps, check_bind

REPORTS = DATA / "reports"


# ---------------------------------------------------------------- compat


@pytest.fixture
def compat(capsys):
    def call(*words):
        paths = (REPORTS / "compat" / word if "." in word or "/" in word else word for word in words)
        return run(capsys, "compat", *paths)

    return call


def test_each_side_has_the_headers_of_its_own_tree(compat):
    done = compat("-I", "t1/inc", "-I", "t2/inc", "t1/api/s.h", "t2/api/s.h")

    assert done.status == 1
    assert "s: size: 4 -> 8 bytes" in done.out


def test_a_break_on_two_other_abis_is_found_and_named(compat):
    done = compat("a64.old.h", "a64.new.h")

    assert done.status == 1
    assert "s: size: 12 -> 16 bytes: nothing that is known tells the struct's size, on i386 m68k" in done.out


def test_the_same_break_on_the_abi_that_has_it(compat):
    done = compat("--abi", "i386", "a64.old.h", "a64.new.h")

    assert done.status == 1
    assert "s: size: 12 -> 16 bytes" in done.out
    assert compat("--abi", "x86_64", "a64.old.h", "a64.new.h").status == 0


def test_an_alignment_inside_a_union_counts_on_i386(compat):
    done = compat("--abi", "i386", "--all", "--json", "nested_aligned.h", "nested_aligned.h")

    assert done.status == 0
    assert {s["name"]: s["is"] for s in done.json["subjects"]} == {"outer": 8, "o2": 16}  # gcc -m32


@pytest.mark.parametrize(
    ("name", "status", "old_on_new", "new_on_old", "said"),
    [
        ("spare", 0, "COMPATIBLE_IF_ZERO", "COMPATIBLE_IF_ZERO", "takes reserved bytes (spare0)"),
        ("size2", 0, "COMPATIBLE", "COMPATIBLE_IF_ZERO", "the kernel is told it"),
        ("flexfz", 0, "COMPATIBLE", "COMPATIBLE", "the size of the struct is what it was"),
        ("newabi", 0, "COMPATIBLE", "COMPATIBLE", "the struct is new"),
        ("macro", 0, "COMPATIBLE", "COMPATIBLE", "CMD is still defined, but cannot be evaluated"),
        ("rename", 1, "BREAKING", "COMPATIBLE", "BPF_F_IPV6: withdrawn"),
    ],
)
def test_two_states_of_a_header(compat, name, status, old_on_new, new_on_old, said):
    done = compat(f"{name}.old.h", f"{name}.new.h")

    assert done.status == status
    assert f"(old on new): {old_on_new}\n" in done.out
    assert f"(new on old): {new_on_old}\n" in done.out
    assert said in done.out
    assert "renamed" not in done.out


def test_300_macros_that_are_no_numbers_take_seconds_and_are_counted(compat):
    start = time.monotonic()
    done = compat("slow_macros.h", "slow_macros.h")

    assert done.status == 0
    assert "300 macros are no integers to the compiler and not evaluated: X_1, X_2, X_3, ..." in done.out
    assert time.monotonic() - start < 60  # it was 8 to 36 s on an idle machine, and is one


# ---------------------------------------------------------------- errno and calls that failed


@pytest.mark.parametrize(
    ("name", "command", "errno", "field"),
    [
        ("map_len0", "IOMMU_IOAS_MAP", "EINVAL", "iommu_ioas_map.length at offset 24: got 0,"),
        ("map_va_overflow", "IOMMU_IOAS_MAP", "EOVERFLOW", "iommu_ioas_map.user_va at offset 16"),
        ("unmap_len0", "IOMMU_IOAS_UNMAP", "EINVAL", "iommu_ioas_unmap.length at offset 16: got 0,"),
        ("copy_len0", "IOMMU_IOAS_COPY", "EINVAL", "iommu_ioas_copy.length at offset 16: got 0,"),
        ("destroy_id0", "IOMMU_DESTROY", "ENOENT", "iommu_destroy.id at offset 4: got 0,"),
    ],
)
def test_bytes_that_linux_refuses_whatever_its_state_is(capsys, name, command, errno, field):
    done = run(capsys, "errno", command, REPORTS / f"errno/{name}.bin")

    assert done.status == 1
    assert done.out.startswith(f"{errno}: Linux 7.3 refuses")
    assert field in done.out


def test_calls_of_two_threads_have_each_their_own_errno(capsys):
    done = run(capsys, "decode", REPORTS / "errno/strace_Y_unfinished.log", "--json")

    assert done.status == 0
    assert [(c["commands"][0]["name"], c["pid"], c["errno"]) for c in done.json["calls"]] == [
        ("IOMMU_IOAS_ALLOC", 8392, "ENOTTY"),
        ("IOMMU_HWPT_ALLOC", 8394, "EINVAL"),
    ]


def test_a_map_that_vfio_refused_has_all_the_reasons(capsys):
    done = run(capsys, "decode", REPORTS / "errno/strace_map_dma_einval.log")

    assert done.status == 0
    for reason in ("no IOMMU type was set", "argsz", "flags", "size: it is 0", "multiples", "wraps around"):
        assert reason in done.out


# ---------------------------------------------------------------- files that are no plain memory


IMAGES = {
    "avml": "an AVML compressed image",
    "gcore_one_segment": "cores of processes (gcore)",
    "migration": "a QEMU migration stream",
    "qcow2": "a qcow2 image: a disk, not memory",
    "vmss": "a VMware suspended state or snapshot",
    "zst": "a Zstandard file",
}


@pytest.fixture
def image(tmp_path):
    def unpack(name):
        path = tmp_path / name.rpartition("/")[2]
        path.write_bytes(lzma.decompress((REPORTS / f"{name}.xz").read_bytes()))
        return path

    return unpack


WALK = ("--iommu", "vtd", "--reg", "RTADDR=0x0")
REQUEST = ("--rid", "00:03.0", "--iova", "0x1000")


@pytest.mark.parametrize("name", IMAGES)
def test_no_file_is_taken_for_memory_in_silence(capsys, image, name):
    path = image(f"images/{name}.img")
    for words in (("translate", path, *WALK, *REQUEST), ("mappings", path, *WALK), ("audit", path, *WALK)):
        done = run(capsys, *words)

        assert done.status == 2
        assert IMAGES[name] in sentence(done)
    assert run(capsys, "translate", path, "--format", "raw", *WALK, *REQUEST).status in (0, 1)


# ---------------------------------------------------------------- hostile ones


class _Ops(IommuOps):
    def bind_pasid_table(self, domain, dev, info):
        raise AssertionError("a hook was given what nobody checked")


def _check(blob):
    check_bind(blob, model=0, ptr_align=4096, ptr_last=1 << 50, size_min=1, size_host=1 << 40)


@pytest.mark.parametrize("ask", [lambda blob: Domain(_Ops()).bind_pasid_table(Device(3), blob), _check])
@pytest.mark.parametrize(
    ("blob", "field"),
    [
        (struct.pack("=QQII", 0x1000, 4096, 0, 200), "length"),
        (struct.pack("=QQII", 0x1000, 4096, 0, 0xFFFFFFFF), "length"),
        (struct.pack("=QQII", 0x1000, 4096, 0, 0x7FFFFFFF) + struct.pack("=IIII", 1, 0, 0, 0), "length"),
        (b"x", "24 bytes"),
    ],
)
def test_a_blob_is_as_long_as_it_is_and_not_as_it_says(ask, blob, field):
    with pytest.raises(AbiError, match=field):
        ask(blob)


@pytest.mark.parametrize("writable", [False, True])
def test_buffers_whose_ids_are_used_again_stay_apart(writable):
    sizes = (16, 16, 1 << 20)
    memory = Memory()
    memory.map_many(
        ((i << 40, pickle.PickleBuffer(bytearray([i + 1]) * n)) for i, n in enumerate(sizes)),
        writable=writable,
    )

    if writable:
        memory.write(2 << 40, b"\3" * (1 << 20))
    assert [memory.read(i << 40, n) for i, n in enumerate(sizes)] == [
        bytes([i + 1]) * n for i, n in enumerate(sizes)
    ]


def test_a_dump_line_of_76_bytes_ends_at_once(capsys):
    start = time.monotonic()
    done = run(capsys, "decode", DATA / "decode/hang.txt")

    assert done.status == 2
    assert sentence(done)
    assert time.monotonic() - start < 20  # it was exponential


@pytest.mark.parametrize("command", ["mappings", "audit"])
def test_tables_that_point_at_themselves_have_an_end(capsys, image, command):
    done = run(capsys, command, image("loop12k.bin"), *WALK, "--max-ranges", "1000")

    assert done.status == 1
    assert "stopped after 1000 ranges; " in done.out + done.err


# ---------------------------------------------------------------- syzlang


@pytest.mark.parametrize("generation", ["iommufd_6_12", "iommufd_6_13", "vfio_6_12"])
def test_a_call_that_syzkaller_has_gets_a_name_of_its_own(capsys, generation):
    done = run(capsys, "gen", "syzlang", generation)

    assert done.status == 0
    assert "ioctl$IOMMU_GET_HW_INFO(" not in done.out  # sys/linux/dev_iommu.txt has it
