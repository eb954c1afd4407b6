"""decode on strace logs, and on those with payloads.

tests/data/strace has what strace 6.1 recorded of tests/c/ioctls.c on a machine without an IOMMU, so that
each ioctl on /dev/null fails with ENOTTY; and what docs/ioctl_log.c printed of the same program.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cli_support import DATA, run, sentence
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi.decode import strace
from iommu_abi.decode.pieces import TextError

ROOT = Path(__file__).parent.parent
PLAIN, TIMED, PAYLOADS = (
    DATA / "strace" / name for name in ("strace-6.1.log", "strace-6.1-f-tt-T-y.log", "ioctl_log.log")
)
CC = shutil.which("cc")

#: What tests/c/ioctls.c does: numbers in the low byte and the struct that it gives.
DOES = [
    (0x81, "IOMMU_IOAS_ALLOC", "iommu_ioas_alloc"),
    (0x82, "IOMMU_IOAS_ALLOW_IOVAS", "iommu_ioas_allow_iovas"),
    (0x85, "IOMMU_IOAS_MAP", "iommu_ioas_map"),
    (0x89, "IOMMU_HWPT_ALLOC", "iommu_hwpt_alloc"),
    (0x8D, "IOMMU_HWPT_INVALIDATE", "iommu_hwpt_invalidate"),
    (0xFF, None, None),
    (100, "VFIO_GET_API_VERSION", None),
    (101, "VFIO_CHECK_EXTENSION", None),
    (113, "VFIO_IOMMU_MAP_DMA", "vfio_iommu_type1_dma_map"),
    (108, "VFIO_DEVICE_GET_REGION_INFO", "vfio_region_info"),
    (118, "VFIO_DEVICE_BIND_IOMMUFD", "vfio_device_bind_iommufd"),
]


def calls_of(done):
    """(number, commands, structs) of each call."""
    return [
        (int(c["number"], 16), [k["name"] for k in c["commands"]], [k["struct"] for k in c["commands"]])
        for c in done.json["calls"]
    ]


@pytest.mark.parametrize("log", [PLAIN, TIMED, PAYLOADS], ids=lambda path: path.name)
def test_a_recorded_log_names_each_command_and_its_struct(capsys, log):
    done = run(capsys, "decode", log, "--json")

    assert done.status == 0
    assert done.json["unread"] == []
    assert [c["errno"] for c in done.json["calls"]] == ["ENOTTY"] * len(DOES)
    for (number, names, structs), (nr, name, struct) in zip(calls_of(done), DOES):
        assert number == 0x3B00 | nr
        assert (name in names, struct in structs) == (name is not None, bool(names))


def test_a_number_is_named_even_where_strace_knew_another_name_only(capsys):
    bind = run(capsys, "decode", PLAIN, "--json").json["calls"][-1]

    assert bind["strace"] == ["VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY"]  # 6.1 is older than the other
    assert [c["name"] for c in bind["commands"]] == ["VFIO_DEVICE_BIND_IOMMUFD"]
    assert "strace calls it VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY" in run(capsys, "decode", PLAIN).out
    assert "VFIO_IOMMU_SET_PASID_TABLE@vfio_ptc_v12" in bind["proposed"]


def test_pids_and_files_are_read(capsys):
    for call in run(capsys, "decode", TIMED, "--json").json["calls"]:
        assert (call["fd"], call["file"], call["pid"]) == (3, "/dev/null", 6565)


# ---------------------------------------------------------------- forms of lines

ALLOC = "IOMMU_IOAS_ALLOC"


@pytest.mark.parametrize(
    "line",
    [
        "ioctl(3, IOMMU_IOAS_ALLOC, 0x7ffd06463324) = 0",  # strace 7.2
        "ioctl(3, _IOC(_IOC_NONE, 0x3b, 0x81, 0), 0x7ffd06463324) = 0",  # strace 6.1
        "ioctl(3, 0x3b81, 0x7ffd06463324)        = 0",  # -X raw
        "ioctl(3, 0x3b81 /* IOMMU_IOAS_ALLOC */, 0x7ffd06463324) = 0",  # -X verbose
        "[pid  4321] ioctl(3</dev/iommu>, IOMMU_IOAS_ALLOC, 0x7ffd06463324) = 0",  # -f -y
        "4321  ioctl(3</dev/iommu<char 10:124>>, IOMMU_IOAS_ALLOC, 0x7ffd06463324) = 0",  # -f -o, -yy
        "11:25:20 ioctl(3, IOMMU_IOAS_ALLOC, 0x7ffd06463324) = 0",  # -t
        "1795706720.152028 ioctl(3, IOMMU_IOAS_ALLOC, 0x7ffd06463324) = 0 <0.000008>",  # -ttt -T
        "     0.000045 ioctl(3, IOMMU_IOAS_ALLOC, 0x7ffd06463324) = 0",  # -r
        "[pid 4321] 11:25:20.152028 ioctl(3, IOMMU_IOAS_ALLOC, 0x7ffd06463324) = 0 (INJECTED)",
    ],
)
def test_each_form_of_a_line_is_the_same_call(line):
    [call] = strace.read(line).calls

    assert (call.fd, call.nr, call.arg, call.result, call.errno) == (3, 0x81, 0x7FFD06463324, 0, "")
    assert call.pid in (None, 4321)
    assert ("4321" in line) == (call.pid == 4321)
    assert call.file in ("", "/dev/iommu", "/dev/iommu<char 10:124>")


@pytest.mark.parametrize(
    ("line", "pid", "process", "result", "errno"),
    [  # strace's syscall.c: a raw call has hexadecimal arguments and "= -1 (errno 25)" or "= 0x0"
        ("8392<p64> ioctl(0x3, 0x3b81, 0x7ffc) = -1 (errno 25)", 8392, "p64", -1, "ENOTTY"),
        ("[pid  12<CPU 0/KVM>] ioctl(0x3, 0x3b81, 0x7ffc) = 0x0", 12, "CPU 0/KVM", 0, ""),
        ("12<a> 11:25:20.1 ioctl(3, IOMMU_IOAS_ALLOC, 0x7ffc) = ? ERESTARTSYS", 12, "a", None, "ERESTARTSYS"),
        ("ioctl(3</tmp/a b>, 0x3b81, 0x7ffc) = -1 EINVAL (Invalid argument) <0.1>", None, "", -1, "EINVAL"),
    ],
)  # fmt: skip
def test_raw_calls_and_names_of_processes(line, pid, process, result, errno):
    [call] = strace.read(line).calls

    assert (call.fd, call.nr, call.arg) == (3, 0x81, 0x7FFC)
    assert (call.pid, call.process, call.result, call.errno) == (pid, process, result, errno)


def test_a_raw_descriptor_is_signed():
    [call] = strace.read("ioctl(0xffffffff, 0x3b81, 0x0) = -1 (errno 9)").calls

    assert (call.fd, call.errno) == (-1, "EBADF")


def test_numbers_are_those_of_the_abi():
    [call] = strace.read("ioctl(3, 0x20003b81, 0x7ffc) = 0", "powerpc64").calls

    assert (call.nr, call.odd) == (0x81, None)
    [odd] = strace.read("ioctl(3, _IOC(_IOC_READ|_IOC_WRITE, 0x3b, 0x81, 0xc), 0x7ffc) = -1 ENOTTY (x)").calls
    assert (odd.nr, odd.odd.size, int(odd.odd.direction)) == (0x81, 12, 3)


def test_unfinished_and_resumed_lines_are_one_call_each():
    log = strace.read(
        "[pid 7] ioctl(3, IOMMU_IOAS_MAP, 0x7000 <unfinished ...>\n"
        "[pid 8] ioctl(4, IOMMU_DESTROY, 0x8000 <unfinished ...>\n"
        "[pid 7] <... ioctl resumed>) = -1 EINVAL (Invalid argument)\n"
        "[pid 8] <... ioctl resumed>)            = 0\n"
        "[pid 9] ioctl(5, VFIO_DEVICE_RESET <unfinished ...>\n"
        "[pid 9] +++ killed by SIGKILL +++\n"
    )

    assert [(c.pid, c.lines, c.fd, c.nr, c.arg, c.result, c.errno) for c in log.calls] == [
        (7, (0, 2), 3, 0x85, 0x7000, -1, "EINVAL"),
        (8, (1, 3), 4, 0x80, 0x8000, 0, ""),
        (9, (4,), 5, 111, None, None, ""),
    ]


def test_threads_that_interleave_keep_their_calls():
    """What -f -Y wrote of two threads; each resumed line belongs to its own thread's beginning."""
    log = strace.read(
        "8392<p64> ioctl(3, _IOC(_IOC_NONE, 0x3b, 0x81, 0) <unfinished ...>\n"
        "8394<p64> ioctl(3, _IOC(_IOC_NONE, 0x3b, 0x89, 0) <unfinished ...>\n"
        "8392<p64> <... ioctl resumed>, 0x7f8712c07ebc) = -1 ENOTTY (Inappropriate ioctl for device)\n"
        "8394<p64> <... ioctl resumed>, 0x7ffeb52c6abc) = -1 EINVAL (Invalid argument)\n"
    )

    assert [(c.lines, c.nr, c.errno) for c in log.calls] == [
        ((0, 2), 0x81, "ENOTTY"),
        ((1, 3), 0x89, "EINVAL"),
    ]
    assert log.unread == ()


def test_a_process_gets_its_number_only_when_there_is_a_second_one():
    log = strace.read(
        "ioctl(3, IOMMU_DESTROY, 0x10 <unfinished ...>\n"
        "strace: Process 9 attached\n"
        "[pid 9] ioctl(4, IOMMU_IOAS_ALLOC, 0x20) = 0\n"
        "[pid 8] <... ioctl resumed>) = -1 EBUSY (Device or resource busy)\n"
    )

    assert [(c.fd, c.nr, c.errno) for c in log.calls] == [(4, 0x81, ""), (3, 0x80, "EBUSY")]


def test_a_call_whose_end_is_missing_is_not_lost():
    log = strace.read(
        "[pid 7] ioctl(3, IOMMU_IOAS_MAP, 0x7000 <unfinished ...>\n"
        "[pid 7] ioctl(3, IOMMU_DESTROY, 0x8000 <unfinished ...>\n"
        "[pid 7] ioctl(3, IOMMU_IOAS_ALLOC, 0x9000) = 0\n"
    )

    assert [(c.nr, c.result) for c in log.calls] == [(0x85, None), (0x80, None), (0x81, 0)]


TOKENS = (
    "ioctl(", "<... ioctl resumed>", "<unfinished ...>", ") = ", ") ", "[pid ", "1", "<", "> ", "ioctl(3<",
    "ioctl(3<a>, ", "ioctl(3, _IOC(", "ioctl(3, IOMMU_X or ", "ioctl(3, 1 /* ", "ioctl(3, A) = ", ", ", "0x",
    "_IOC(_IOC_NONE", "|", "E", "\n", " ", "\t", "ioctl(3, IOMMU_IOAS_MAP <unfinished ...>\n", "(errno ",
)  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("before", ["", "ioctl(3, 0x3b81, 0x1"])
def test_one_repeated_token_costs_time_that_is_linear(token, before):
    """A megabyte ends within 2 seconds; a quarter of it is tried, and may take that much alone."""
    text = before + token * ((1 << 18) // len(token))
    start = time.process_time()
    strace.read(text)

    assert time.process_time() - start < 2


def test_other_ioctls_are_other_lines_and_unknown_names_are_reported(capsys, monkeypatch):
    text = (
        "ioctl(1, TCGETS, {c_iflag=ICRNL|IXON, ...}) = 0\n"
        "ioctl(9, KVM_RUN, 0)                    = 0\n"
        "ioctl(3, IOMMU_NEW_THING, 0x7ffc)       = 0\n"
        "ioctl(3, IOMMU_DESTROY, 0x7ffc)         = 0\n"
    )

    done = run(capsys, "decode", stdin=text.encode(), monkeypatch=monkeypatch)

    assert done.status == 1
    assert "line 3: an ioctl of no known form" in done.out
    assert "1 call, 2 other lines" in done.out
    done = run(capsys, "decode", stdin=text[:48].encode(), monkeypatch=monkeypatch)
    assert (done.status, sentence(done)) == (
        2, "standard input: no ioctl of iommufd or VFIO among 1 lines"
    )  # fmt: skip


def test_the_file_says_which_command_of_a_number(capsys, monkeypatch):
    line = "ioctl({}, VFIO_DEVICE_PCI_HOT_RESET or VFIO_IOMMU_MAP_DMA, 0x7ffc) = 0\n"
    text = line.format("5</dev/vfio/vfio>") + line.format("6</dev/vfio/devices/vfio0>") + line.format("7")

    calls = calls_of(run(capsys, "decode", "--json", stdin=text.encode(), monkeypatch=monkeypatch))

    assert [names for _, names, _ in calls] == [
        ["VFIO_IOMMU_MAP_DMA"],
        ["VFIO_DEVICE_PCI_HOT_RESET"],
        ["VFIO_DEVICE_PCI_HOT_RESET", "VFIO_IOMMU_MAP_DMA"],
    ]


def test_the_same_call_again_is_shown_once(capsys, monkeypatch):
    text = "ioctl(3, IOMMU_IOAS_MAP, 0x7ffc) = -1 EINVAL (Invalid argument)\n" * 30

    done = run(capsys, "decode", stdin=text.encode(), monkeypatch=monkeypatch)

    assert "lines 1, 2, 3, 4, 5, 6, 7, 8 and 22 more: IOMMU_IOAS_MAP (0x3b85) on 3 = EINVAL" in done.out
    assert "30 calls, 0 other lines" in done.out


# ---------------------------------------------------------------- what an errno can mean


@pytest.mark.parametrize(
    ("name", "errno", "kernel", "expected"),
    [  # drivers/iommu/iommufd of Linux 7.2: main.c, then ioas.c, hw_pagetable.c and device.c
        ("IOMMU_IOAS_MAP", "EOPNOTSUPP", "7.2", ["flags", "__reserved"]),
        ("IOMMU_IOAS_MAP", "EOVERFLOW", "7.2", ["iova", "length", "user_va", "length", "iova"]),
        (
            "IOMMU_IOAS_MAP",
            "EINVAL",
            "7.2",
            ["size", "flags", "length", "length", "length", "iova", "iova", "iova"],
        ),
        ("IOMMU_IOAS_ALLOC", "E2BIG", "7.2", [""]),
        ("IOMMU_IOAS_ALLOC", "ENOTTY", "7.2", [""]),
        ("IOMMU_DESTROY", "EBUSY", "6.3", ["id"]),
        ("VFIO_DEVICE_ATTACH_IOMMUFD_PT", "EFAULT", "6.12", [""]),
    ],
)
def test_the_reasons_of_an_errno_are_the_kernels_checks_in_their_order(
    capsys, monkeypatch, name, errno, kernel, expected
):
    line = f"ioctl(3, {name}, 0x7ffc) = -1 {errno} (Some words)\n"

    done = run(capsys, "decode", "--kernel", kernel, "--json", stdin=line.encode(), monkeypatch=monkeypatch)

    assert [reason["field"] for reason in done.json["calls"][0]["reasons"]] == expected


def test_the_kernel_decides_which_struct_it_is(capsys, monkeypatch):
    line = b"ioctl(3, IOMMU_VIOMMU_ALLOC, 0x7ffc) = 0\n"
    sizes = {}
    for kernel in ("6.13", "6.19"):
        done = run(capsys, "decode", "--kernel", kernel, "--json", stdin=line, monkeypatch=monkeypatch)
        sizes[kernel] = done.json["calls"][0]["commands"][0]["size"]

    assert sizes == {"6.13": 24, "6.19": 40}  # layouts.json
    done = run(capsys, "decode", "--kernel", "6.4", stdin=line, monkeypatch=monkeypatch)
    assert (done.status, "no kernel '6.4' is known here, expected one of: 4.19" in sentence(done)) == (
        2,
        True,
    )


# ---------------------------------------------------------------- payloads


def payloads(done):
    return {c["payload"]["struct"]: c["payload"] for c in done.json["calls"] if c["payload"]}


def values(blob):
    return {field["name"]: field["value"] for field in blob["fields"]}


def check_what_the_program_gave(done):
    """Against the numbers in tests/c/ioctls.c."""
    found = payloads(done)
    assert set(found) == {struct for _, _, struct in DOES if struct}
    hwpt = found["iommu_hwpt_alloc"]
    assert (values(hwpt)["dev_id"], values(hwpt)["pt_id"]) == ("0x2", "0x3")
    [behind] = hwpt["behind"]
    assert (behind["field"], behind["struct"]) == ("data_uptr", "iommu_hwpt_vtd_s1")
    assert values(behind["structs"][0]) == {
        "flags": "0x1", "pgtbl_addr": "0x12345000", "addr_width": "0x30", "__reserved": "0x0",
    }  # fmt: skip
    [behind] = found["iommu_hwpt_invalidate"]["behind"]
    assert [(values(e)["addr"], values(e)["npages"]) for e in behind["structs"]] == [
        ("0x1000", "0x1"), ("0x4000", "0x4"),
    ]  # fmt: skip
    [behind] = found["iommu_ioas_allow_iovas"]["behind"]
    assert [values(e)["last"] for e in behind["structs"]] == ["0xfedfffff", "0xffffffff"]
    assert values(found["vfio_region_info"])["index"] == "0x7"
    bind = found["vfio_device_bind_iommufd"]
    assert (bind["size"], values(bind)["iommufd"], bind["broken"]) == (16, "0x5", [])


def test_payloads_of_a_log_are_decoded_and_pointers_followed(capsys):
    check_what_the_program_gave(run(capsys, "decode", PAYLOADS, "--json"))
    shown = run(capsys, "decode", PAYLOADS).out
    assert re.search(r"data_uptr -> 0x[0-9a-f]+: iommu_hwpt_vtd_s1\n    0000: 01 .*# flags = 1 SRE", shown)
    assert "11 calls, 0 other lines" in shown


@pytest.mark.skipif(CC is None, reason="no C compiler here")
def test_the_logger_of_the_documentation_is_built_and_its_log_is_decoded(capsys, tmp_path):
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(
        [CC, *flags, f"-I{ROOT}/cdefs", ROOT / "tests/c/ioctls.c", "-o", tmp_path / "ioctls"], check=True
    )
    library = tmp_path / "ioctl_log.so"
    subprocess.run([CC, *flags, "-shared", "-fPIC", ROOT / "docs/ioctl_log.c", "-o", library], check=True)
    log = tmp_path / "log"
    with log.open("wb") as file:
        subprocess.run(
            [tmp_path / "ioctls", "/dev/null"], env={"LD_PRELOAD": str(library)}, stderr=file, check=True
        )

    check_what_the_program_gave(run(capsys, "decode", log, "--json"))


DESTROY = "08 00 00 00 07 00 00 00"


@pytest.mark.parametrize(
    "below",
    [
        f"0x7ffc10: {DESTROY}\n",
        f"@0x7ffc10: {DESTROY.replace(' ', '')}\n",
        "0x7ffc10:\t0x08\t0x00\t0x00\t0x00\n0x7ffc14:\t0x07\t0x00\t0x00\t0x00\n",  # gdb's x/8xb
        "0x7ffc10 <arg>:\t0x08\t0x00\t0x00\t0x00\t0x07\t0x00\t0x00\t0x00\n",  # gdb, of a symbol
        "00000000: 0800 0000 0700 0000                      ........\n",  # xxd
        "00000000  08 00 00 00 07 00 00 00                           |........|\n00000008\n",  # hexdump -C
        " | 00000  08 00 00 00 07 00 00 00                           ........         |\n",  # strace -e read
    ],
)
def test_a_dump_below_a_line_is_the_struct_of_its_call(capsys, monkeypatch, below):
    text = f"ioctl(3, IOMMU_DESTROY, 0x7ffc10) = -1 ENOENT (No such file or directory)\n{below}exit\n"

    done = run(capsys, "decode", "--json", stdin=text.encode(), monkeypatch=monkeypatch)

    assert done.status == 0
    [call] = done.json["calls"]
    assert values(call["payload"]) == {"size": "0x8", "id": "0x7"}
    assert done.json["skipped"] == 1


def test_each_call_has_the_bytes_below_it_and_files_are_for_all(capsys, tmp_path, monkeypatch):
    blob = tmp_path / "blob"
    blob.write_bytes(bytes.fromhex(DESTROY))
    line = "ioctl(3, IOMMU_DESTROY, {:#x}) = 0\n"
    text = line.format(0x1000) + "0x1000: 08000000 01000000\n" + line.format(0x1000) + line.format(0x2000)

    done = run(
        capsys, "decode", "--json", "--blob", f"0x2000={blob}", stdin=text.encode(), monkeypatch=monkeypatch
    )

    found = [call["payload"] and values(call["payload"])["id"] for call in done.json["calls"]]
    assert found == ["0x1", None, "0x7"]


def test_bytes_that_explain_the_errno_say_so_and_broken_ones_are_a_finding(capsys, monkeypatch):
    text = (
        "ioctl(3, IOMMU_IOAS_MAP, 0x7ffc10) = -1 EOPNOTSUPP (Operation not supported)\n"
        "0x7ffc10: 28000000 06000000 01000000 01000000\n"
        "0x7ffc20: 0010000000000000 0010000000000000 0000000000000000\n"
    )

    done = run(capsys, "decode", "--abi", "x86_64", stdin=text.encode(), monkeypatch=monkeypatch)

    assert done.status == 1
    assert "the bytes explain it: iommu_ioas_map.__reserved at offset 12: got 1, expected 0" in done.out
    assert "__reserved = 1 RESERVED, must be 0" in done.out


def test_a_damaged_dump_below_a_line_is_one_sentence_with_its_line(capsys, monkeypatch):
    text = "ioctl(3, IOMMU_DESTROY, 0x7ffc10) = 0\n00000000: 0800\n00000010: 0800\n"

    done = run(capsys, "decode", stdin=text.encode(), monkeypatch=monkeypatch)

    assert done.status == 2
    assert sentence(done) == "standard input: line 3: offset 00000010, but 0x2 bytes come before it"


PARTS = (
    "ioctl(", "3", "</dev/iommu>", ", ", "IOMMU_IOAS_MAP", "0x3b81", "_IOC(_IOC_NONE, 0x3b, 0x81, 0)",
    "0x7ffc", ")", " = ", "0", "-1 EINVAL (x)", " <unfinished ...>", "<... ioctl resumed>", "[pid 3] ", "\n",
    "0x7ffc: 00 01", "00000000: 0001", "*", " | 00000  00", "é", "9999999999999999999999",
)  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
def test_no_text_breaks_the_reader(text):
    try:
        log = strace.read(text)
    except TextError:  # of a dump
        return
    assert all(0 <= call.nr <= 0xFF for call in log.calls)
    assert log.noted + len(log.unread) <= log.lines


# ---------------------------------------------------------------- VFIO's errno, from Linux's source


@pytest.mark.parametrize(
    ("line", "said"),
    [  # drivers/vfio/container.c, group.c, vfio_iommu_type1.c of Linux 7.2
        ("ioctl(5</dev/vfio/vfio>, VFIO_IOMMU_MAP_DMA, 0x7ffc10) = -1 EINVAL (Invalid argument)",
         ["no IOMMU type was set", "argsz: expected at least 32", "flags: expected READ", "size: it is 0",
          "multiples of the smallest page", "wraps around", "outside the IOVA ranges"]),
        ("ioctl(12, VFIO_IOMMU_MAP_DMA, 0x7ffe10203040) = -1 EINVAL (Invalid argument)", ["size: it is 0"]),
        ("ioctl(12, VFIO_IOMMU_MAP_DMA, 0x7ffe10203040) = -1 ENOMEM (x)", ["RLIMIT_MEMLOCK"]),
        ("ioctl(12, VFIO_IOMMU_MAP_DMA, 0x7ffe102030) = -1 EEXIST (x)", ["part of the range is mapped"]),
        ("ioctl(12, VFIO_SET_IOMMU, 0x1) = -1 EPERM (Operation not permitted)",
         ["the argument 0x1 is VFIO_TYPE1_IOMMU", "allow_unsafe_interrupts", "RMRR"]),
        ("ioctl(12, VFIO_SET_IOMMU, 0x3) = -1 ENODEV (No such device)",
         ["the argument 0x3 is VFIO_TYPE1v2_IOMMU", "modprobe vfio_iommu_type1"]),
        ("ioctl(13, VFIO_GROUP_SET_CONTAINER, 0x7ffe10203044) = -1 EINVAL (Invalid argument)",
         ["the group has a container already", "not /dev/vfio/vfio"]),
        ("ioctl(13, VFIO_GROUP_SET_CONTAINER, 0x7ffe102030) = -1 EBUSY", ["bind all of them to"]),
        ("ioctl(13, VFIO_GROUP_GET_DEVICE_FD, 0x55d0) = -1 EINVAL (x)", ["the group is not viable"]),
        ("ioctl(5, _IOC(_IOC_NONE, 0x3b, 0xa0, 0), 0x7ffe1020) = 0", ["IOMMU_TEST_CMD", "own test of"]),
        ("ioctl(9, VFIO_DEVICE_PCI_HOT_RESET or VFIO_IOMMU_MAP_DMA, 0x7ffc) = -1 EINVAL (x)",
         ["EINVAL if VFIO_IOMMU_MAP_DMA: size: it is 0"]),
    ],
)  # fmt: skip
def test_what_an_errno_of_vfio_can_mean(capsys, monkeypatch, line, said):
    done = run(capsys, "decode", stdin=f"{line}\n".encode(), monkeypatch=monkeypatch)

    assert done.status == 0
    assert [each for each in said if each not in done.out] == []
