"""The command line: what it prints, its exit status, and its errors.

Facts: the layout of struct pasid_table_info (patch 1/9 of June 2017: 24 bytes on every ABI), the
conventions of exit status and output in the help text, translations that a live guest recorded.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_support import CAPTURES, CASES, process, run, sentence
from hypothesis import example, given
from hypothesis import strategies as st

import iommu_abi
from iommu_abi import cli, hextext, ledgers, structs
from iommu_abi.cli import hexdump
from iommu_abi.schemas import pasid_table_info as schema
from iommu_abi.structs.pack import pack
from iommu_abi.structs.unpack import broken, unpack
from iommu_abi.uapi.layout import ABIS, abi, host

PACK = ("pack", "pasid_table_info", "ptr=0x20000", "size=4096", "model=IOMMU_MODEL_ARM_SMMU")
BLOB = struct.pack("=QQII", 0x20000, 4096, 1, 0)
PASIDS = CAPTURES / "vtd-scalable-fs-pasid-k7.2"
TRANSLATE = ("translate", PASIDS / "sparse.elf.xz", "--config", PASIDS / "meta.json")
ON_IMAGE = (str(PASIDS / "sparse.elf.xz"), "--config", str(PASIDS / "meta.json"))
FAULT_LINE = b"DMAR: [DMA Read NO_PASID] Request device [00:03.0] fault addr 0xfffff000 [fault reason 0x06]\n"
#: What prints to standard output, in all the ways that a command has: text, tables, JSON, raw bytes.
PRINTING = [
    PACK,
    (*PACK, "--json"),
    (*PACK, "--out", "hex"),
    ("layout", "pasid_table_info"),
    ("errno", "IOMMU_IOAS_MAP", "--rules"),
    ("decode",),
    ("decode", "--json"),
    ("translate", *ON_IMAGE, "--rid", "00:03.0", "--iova", "0"),
    ("mappings", *ON_IMAGE),
    ("mappings", *ON_IMAGE, "--csv"),
    ("mappings", *ON_IMAGE, "--map"),
    ("audit", *ON_IMAGE),
    ("replay", str(PASIDS)),
    ("conform", str(CASES)),
    ("gen", "syzlang", "iommufd_7_2"),
    ("config", "--cflags"),
    ("--help",),
    ("pack", "--help"),
    ("--version",),
]


@pytest.fixture
def blob_file(tmp_path):
    path = tmp_path / "info.bin"
    path.write_bytes(BLOB)
    return path


# ---------------------------------------------------------------- the frame


def test_version_and_help_are_quick_and_succeed():
    begin = time.monotonic()
    for words in (["--version"], ["--help"], *([name, "--help"] for name in cli.COMMANDS)):
        done = process(*words)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"rich" not in done.stdout
    assert time.monotonic() - begin < 2 * (2 + len(cli.COMMANDS))


def test_help_needs_neither_rich_nor_construct():
    code = (
        "import sys\nfrom iommu_abi.cli import main\nmain(['--help'])\n"
        "sys.exit(' '.join(m for m in ('rich', 'construct', 'iommu_abi.schemas') if m in sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stderr.strip() == ""


def test_version_is_the_packages(capsys):
    assert run(capsys, "--version").out == f"iommu-abi {iommu_abi.__version__}\n"


def test_every_help_fits_80_columns(capsys):
    for words in (["--help"], *([name, "--help"] for name in cli.COMMANDS)):
        assert [line for line in run(capsys, *words).out.splitlines() if len(line) > 80] == []


def test_help_of_a_command_has_two_names(capsys):
    assert run(capsys, "help", "pack").out == run(capsys, "pack", "--help").out
    assert run(capsys, "help").out == run(capsys, "--help").out


def test_a_command_that_is_not_known_is_told_with_the_nearest(capsys):
    done = run(capsys, "tranlsate")

    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "iommu-abi: unknown command 'tranlsate', did you mean translate? (iommu-abi --help lists all)\n"
    )


def test_a_piped_table_has_no_blanks_at_ends_and_folds_nothing(capsys):
    lines = run(capsys, "layout").out.splitlines()

    assert [line for line in lines if line != line.rstrip()] == []
    assert any(len(line) > 200 for line in lines)  # a generation with all its structs, in one


def test_every_help_has_an_example(capsys):
    for name in cli.COMMANDS:
        assert f"  {'cc $(' if name == 'config' else ''}iommu-abi {name} " in run(capsys, name, "--help").out


def test_the_script_is_the_module(blob_file):
    script = Path(sys.executable).parent / "iommu-abi"
    if not script.exists():
        pytest.skip("the package is not installed here")
    words = ["unpack", "pasid_table_info", str(blob_file), "--json"]

    done = subprocess.run([script, *words], capture_output=True)

    assert done.stdout == process(*words).stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "COMMAND"),
        (["fly"], "'fly'"),
        (["pack"], "pack: the following arguments are required: STRUCT"),
        (["unpack", "pasid_table_info", "a", "b"], "unpack: unrecognized arguments: b"),
        (["config", "--cflags", "x"], "--cflags is about the C library, and an IMAGE is given too"),
        (["config", "-o", "x"], "-o needs an IMAGE"),
        (["translate", "x", "--iommu", "vtd", "--iova", "1"], "--rid"),
        (["replay"], "CAPTURE_DIR"),
        (["conform"], "CASES.json"),
        (["config"], "say what to print: --cflags"),
        (["unpack", "pasid_table_info", "--in", "oct"], "invalid choice: 'oct'"),
        (["unpack", "pasid_table_info", "--len"], "unrecognized arguments: --len"),
    ],
)
def test_misuse_is_one_sentence_and_status_2(capsys, words, says):
    done = run(capsys, *words)

    assert done.status == 2
    assert says in sentence(done)
    as_json = run(capsys, *words, "--json")
    assert as_json.status == 2
    assert says in as_json.json["error"]


def test_options_may_stand_between_the_other_words(capsys, blob_file):
    packed = run(capsys, "pack", "--json", "pasid_table_info", "size=4096", "--abi", "s390x", "ptr=1")
    unpacked = run(capsys, "unpack", "pasid_table_info", "--in", "raw", blob_file, "--json")

    assert packed.json["hex"] == struct.pack(">QQII", 1, 4096, 0, 0).hex()
    assert unpacked.json["size"] == 24


def test_an_unexpected_exception_is_a_sentence_too(capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("oops")

    monkeypatch.setattr(structs, "kind", broken)

    done = run(capsys, *PACK, "--json")

    assert done.status == 3
    assert "a bug of iommu-abi: RuntimeError: oops" in sentence(done)
    assert "oops" in done.json["error"]
    monkeypatch.setenv("IOMMU_ABI_DEBUG", "1")
    with pytest.raises(RuntimeError):
        run(capsys, *PACK)


def test_an_interrupt_is_status_130(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(structs, "kind", interrupted)

    assert run(capsys, *PACK).status == 130


@pytest.mark.parametrize("words", [PACK, (*PACK, "--json"), (*PACK, "--out", "hex"), ("config", "--cflags")])
def test_a_closed_pipe_ends_without_a_word(words):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "iommu_abi", *words]

    for unbuffered in ("", "1"):
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=environment)
        assert (done.returncode, done.stderr) == (141, b"")
    os.close(write)


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_full_disk_is_named_once(words):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    command = [sys.executable, "-m", "iommu_abi", *words]
    # whether Python buffers what it prints decides where the error surfaces
    for unbuffered in ("", "1") if words in (PACK, ("--help",)) else ("",):
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                command, input=FAULT_LINE, stdout=full, stderr=subprocess.PIPE, env=environment, timeout=60
            )

        assert done.returncode == 2
        assert done.stderr == b"iommu-abi: standard output: No space left on device\n"


def test_closed_streams_are_no_accident(blob_file):
    program = f"{sys.executable} -m iommu_abi"

    def status(command):
        return subprocess.run(["sh", "-c", command], capture_output=True).returncode

    assert status(f"{program} unpack pasid_table_info {blob_file} >&-") == 0
    assert status(f"{program} unpack pasid_table_info <&-") == 2
    assert status(f"{program} pack pasid_table_info model=9 2>&-") == 1


def on_a_terminal(*words: object, **environment: str) -> bytes:
    """What a command prints when standard output and error are a terminal."""
    master, slave = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    child = subprocess.Popen(
        [sys.executable, "-m", "iommu_abi", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env=clean | {"TERM": "xterm-256color", "COLUMNS": "80"} | environment,
    )
    os.close(slave)
    found = b""
    with contextlib.suppress(OSError):  # EIO is what Linux says when the other side is closed
        while part := os.read(master, 65536):
            found += part
    child.wait(30)
    os.close(master)
    return found


def test_a_terminal_gets_colours_unless_no_color_is_set(blob_file):
    words = (*TRANSLATE, "--rid", "00:03.0", "--iova", "0xffffc000")

    assert b"\x1b[32m00:03.0 read 0xffffc000 -> HPA 0x5b06000 (4 KiB, rw)\x1b[0m" in on_a_terminal(*words)
    plain = on_a_terminal(*words, NO_COLOR="1")
    assert b"-> HPA 0x5b06000 (4 KiB, rw)" in plain
    assert b"\x1b[3" not in plain
    assert b"\x1b" not in process(*words).stdout


def test_a_terminal_gets_progress_on_stderr_and_a_pipe_does_not():
    words = ("replay", CAPTURES / "vtd-legacy-k6.12")

    assert b"%" in on_a_terminal(*words)
    assert process(*words).stderr == b""


# ---------------------------------------------------------------- pack


def test_pack_writes_raw_bytes_to_a_pipe():
    done = process(*PACK)

    assert (done.returncode, done.stdout, done.stderr) == (0, BLOB, b"")


def test_pack_writes_annotated_hex_to_a_terminal():
    shown = on_a_terminal(*PACK, NO_COLOR="1").decode().replace("\r\n", "\n")

    assert shown.splitlines() == [
        "0000: 00 00 02 00 00 00 00 00  # ptr = 0x20000",
        "0008: 00 10 00 00 00 00 00 00  # size = 0x1000",
        "0010: 01 00 00 00              # model = 1 IOMMU_MODEL_ARM_SMMU",
        "0014: 00 00 00 00              # length = 0",
    ]


def test_pack_fills_length_and_takes_opaque_as_hex_and_as_a_file(capsys, tmp_path, monkeypatch):
    path = tmp_path / "opaque"
    path.write_bytes(b"\x01\x02\x03\x04\x05")
    expected = (struct.pack("=QQII", 0x20000, 4096, 1, 5) + b"\1\2\3\4\5").hex()

    for opaque in ("0102030405", "0x0102030405", "01 02,03 04 05", f"@{path}"):
        assert run(capsys, *PACK, "--opaque", opaque, "--json").json["hex"] == expected
    from_stdin = run(capsys, *PACK, "--opaque", "@-", "--json", stdin=b"\1\2\3\4\5", monkeypatch=monkeypatch)
    assert from_stdin.json["hex"] == expected


@pytest.mark.parametrize("name", sorted(ABIS))
def test_pack_uses_the_byte_order_of_the_abi(capsys, name):
    done = run(capsys, "pack", "pasid_table_info@rfc2017", "model=ARM_SMMU", "ptr=1", "--abi", name, "--json")

    assert done.json["hex"] == struct.pack(abi(name).order + "QQII", 1, 0, 2, 0).hex()
    assert done.json["abi"] == name


def test_pack_replaces_a_file_at_once_and_keeps_its_mode(tmp_path, capsys):
    path, link = tmp_path / "info.bin", tmp_path / "link"
    path.write_bytes(b"before")
    path.chmod(0o640)
    link.symlink_to(path)

    assert run(capsys, *PACK, "-o", link).status == 0

    assert path.read_bytes() == BLOB
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["info.bin", "link"]


def test_pack_gives_a_new_file_the_mode_of_the_umask(tmp_path, capsys):
    before = os.umask(0o027)
    try:
        run(capsys, *PACK, "-o", tmp_path / "new")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_pack_writes_into_devices(capsys):
    assert run(capsys, *PACK, "-o", "/dev/null").status == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path, capsys, monkeypatch):
    for target, says in (
        (tmp_path, "Is a directory"),
        (tmp_path / "no" / "x", "No such file"),
        (f"{tmp_path}/x/", "Is a directory"),
    ):
        done = run(capsys, *PACK, "-o", target)
        assert done.status == 2
        assert str(target) in sentence(done)
        assert says in done.err

    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", no_room)
    assert str(tmp_path / "y") in sentence(run(capsys, *PACK, "-o", tmp_path / "y"))
    assert list(tmp_path.iterdir()) == []


def test_a_blob_that_breaks_a_rule_is_status_1_and_is_not_written(tmp_path, capsys):
    for words, rule in (
        (["model=7"], "pasid_table_info.model"),
        (["length=5"], "pasid_table_info.length"),
        (["length=1", "--opaque", "0102"], "pasid_table_info.trailing"),
    ):
        done = run(capsys, "pack", "pasid_table_info", *words, "-o", tmp_path / "x", "--json")
        assert done.status == 1
        assert done.json["rule"] == rule
        assert done.json["errno"] in ("EINVAL", "E2BIG")
        assert not (tmp_path / "x").exists()
    error = sentence(run(capsys, "pack", "pasid_table_info", "model=7"))
    assert error.startswith("pasid_table_info.model at offset 16: got 7, expected ")
    assert "(EINVAL)" in error
    assert "IOMMU_MODEL_INTEL_VTD=0" in error


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pasid_table"], "unknown struct 'pasid_table', did you mean pasid_table_info or "),
        (["pasid_table_info@v9"], "unknown generation 'v9', did you mean vfio_ptc_v9?"),
        (["pasid_table_info", "pttr=1"], "no field 'pttr', did you mean ptr?"),
        (["pasid_table_info", "ptr"], "got 'ptr', expected NAME=VALUE"),
        (["pasid_table_info", "ptr="], "got 'ptr=', expected NAME=VALUE"),
        (["pasid_table_info", "ptr=1", "ptr=2"], "ptr is given twice"),
        (["pasid_table_info", "ptr=ffff"], "ptr: got 'ffff', expected a number: 0x.. or decimal"),
        (["pasid_table_info", "ptr=-1"], "ptr: got -1, expected 0 to 0xffffffffffffffff"),
        (["pasid_table_info", "ptr=0x"], "ptr: got '0x'"),
        (["pasid_table_info", "ptr=1_0"], "ptr: got '1_0'"),
        (["pasid_table_info", f"ptr={1 << 64}"], "expected 0 to 0xffffffffffffffff"),
        (["pasid_table_info", "size=" + "9" * 5000], "size: got"),
        (["pasid_table_info", f"model={1 << 32}"], "model: got 4294967296, expected 0 to 0xffffffff"),
        (["pasid_table_info", "model=ARM_SMMU"], "did you mean IOMMU_MODEL_ARM_SMMU?"),
        (["pasid_table_info", "opaque=00"], "opaque is given with --opaque"),
        (["pasid_table_info", "--opaque", "0x1"], "--opaque: '0x1' has an odd number of digits"),
        (["pasid_table_info", "--opaque", "xy"], "--opaque: 'xy' is not hex"),
        (["pasid_table_info", "--opaque", "@/nowhere"], "/nowhere: No such file or directory"),
        (
            ["pasid_table_info", "--abi", "vax"],
            "unknown ABI 'vax' (iommu-abi layout STRUCT --abi all shows all)",
        ),
    ],
)
def test_pack_says_what_is_wrong_with_its_words(capsys, words, says):
    done = run(capsys, "pack", *words)

    assert done.status == 2
    assert done.out == ""
    assert says in sentence(done)


# ---------------------------------------------------------------- unpack


def test_unpack_shows_offsets_values_and_meanings(capsys, blob_file):
    done = run(capsys, "unpack", "pasid_table_info", blob_file)
    found = run(capsys, "unpack", "pasid_table_info", blob_file, "--json").json

    assert done.status == 0
    for word in ("pasid_table_info@v1_2017", "24 bytes", "0x20000", "IOMMU_MODEL_ARM_SMMU", "offset"):
        assert word in done.out
    assert [(f["name"], f["offset"], f["size"], f["value"]) for f in found["fields"]] == [
        ("ptr", 0, 8, "0x20000"),
        ("size", 8, 8, "0x1000"),
        ("model", 16, 4, "0x1"),
        ("length", 20, 4, "0x0"),
        ("opaque", 24, 0, ""),
    ]
    assert found["fields"][2]["meaning"] == "IOMMU_MODEL_ARM_SMMU"
    assert found["holes"] == []


def test_the_same_number_is_another_model_in_another_generation(capsys, blob_file):
    found = run(capsys, "unpack", "pasid_table_info@rfc2017", blob_file, "--json").json

    assert found["fields"][2]["meaning"] == "INTEL_IOMMU"


@pytest.mark.parametrize("form", ["auto", "hex"])
@pytest.mark.parametrize(
    "text",
    [
        BLOB.hex(),
        BLOB.hex(" "),
        BLOB.hex("\n", 8) + "\n",
        "0x" + BLOB.hex(),
        ", ".join(f"{byte:#x}" for byte in BLOB),
        ", ".join(f"0x{byte:02X}" for byte in BLOB),
        "0000: " + BLOB[:16].hex(" ", 2) + "\n0010: " + BLOB[16:].hex(" ", 2) + "  # the rest\r\n",
    ],
)
def test_hex_text_in_its_common_forms(capsys, monkeypatch, text, form):
    done = run(
        capsys, "unpack", "pasid_table_info", "-", "--in", form, "--json",
        stdin=text.encode(), monkeypatch=monkeypatch,
    )  # fmt: skip

    assert done.status == 0
    assert done.json["taken_as"].startswith("hex text")
    assert done.json["fields"][0]["value"] == "0x20000"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0", "line 1: '0' has an odd number of digits"),
        ("00 1", "line 1: '1' has an odd number of digits"),
        ("00\n0x00020000 0x0", "line 2: '0x00020000' is a number of more than one byte"),
        ("0010: 00", "line 1: offset 0x10, but 0x0 bytes come before it"),
        ("00:01:02", "line 1: '00:01' is no offset"),
        ("0x", "line 1: '0x' is not hex"),
    ],
)
def test_wrong_hex_is_status_2_with_its_line(capsys, monkeypatch, text, says):
    for form in ("auto", "hex"):
        done = run(
            capsys, "unpack", "pasid_table_info", "--in", form, stdin=text.encode(), monkeypatch=monkeypatch
        )
        assert done.status == 2
        assert f"standard input: {says}" in sentence(done)


def test_auto_says_what_it_took_the_input_for(capsys, monkeypatch):
    raw = run(capsys, "unpack", "pasid_table_info", stdin=b"hello", monkeypatch=monkeypatch)
    text = run(capsys, "unpack", "pasid_table_info", stdin=b"00 01", monkeypatch=monkeypatch)

    assert (raw.status, text.status) == (1, 1)
    assert "taken as raw bytes, for it is not hex text" in sentence(raw)
    assert "got 5" in raw.err
    assert "taken as hex text" in sentence(text)
    assert "got 2" in text.err


def test_auto_never_guesses_where_both_readings_are_valid(capsys, monkeypatch):
    monkeypatch.setattr("iommu_abi.structs.unpack.broken", lambda kind, data: None)

    done = run(
        capsys, "unpack", "pasid_table_info", stdin=BLOB.hex().encode() + b"\n", monkeypatch=monkeypatch
    )

    assert done.status == 2
    assert "a valid blob both as hex text and as raw bytes: say which with --in" in sentence(done)


def test_auto_takes_hex_characters_as_raw_when_only_that_is_valid():
    letters = b"aaaa"

    assert hextext.hex_or_raw(letters, "auto", lambda data: data == letters) == (
        letters,
        "raw bytes, for it is not valid as hex text",
    )
    assert hextext.hex_or_raw(b"aaa", "raw", lambda data: False)[0] == b"aaa"


@given(st.binary(max_size=80), st.sampled_from(["", " ", "\n"]), st.integers(1, 9))
def test_hex_text_gives_the_bytes_that_it_was_made_of(data, separator, group):
    text = data.hex(separator, group) if separator else data.hex()

    assert hextext.parse_hex(text) == data
    assert hextext.is_hex_text(text.encode())


@given(
    st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.sampled_from([0, 1]), st.binary(max_size=40),
    st.sampled_from(sorted(ABIS)),
)  # fmt: skip
@example(ord("#"), 0, 0, b"\x80", "x86_64")  # may be a comment, and is no ASCII
def test_a_valid_blob_is_read_the_same_raw_and_from_its_dump(ptr, size, model, opaque, name):
    kind = structs.kind("pasid_table_info", abi(name))
    data = pack(kind, {"ptr": str(ptr), "size": str(size), "model": str(model)}, opaque)
    found = unpack(kind, data)
    dumped = "\n".join(hexdump.lines(found.fields, data))

    def valid(data: bytes) -> bool:
        return broken(kind, data) is None

    assert hextext.hex_or_raw(data, "auto", valid)[0] == data
    assert hextext.hex_or_raw(dumped.encode(), "auto", valid)[0] == data
    values = {f.name: f.value for f in found.fields}
    assert values == {"ptr": ptr, "size": size, "model": model, "length": len(opaque), "opaque": opaque}


@pytest.mark.parametrize(
    ("data", "rule", "status"),
    [
        (b"", "pasid_table_info.truncated", 1),
        (b"\n \n", "pasid_table_info.truncated", 1),
        (BLOB[:23], "pasid_table_info.truncated", 1),
        (BLOB + b"x", "pasid_table_info.trailing", 1),
        (BLOB[:20] + b"\xff" * 4, "pasid_table_info.length", 1),
        (b"\xa5" * 64, "pasid_table_info.model", 1),
    ],
)
def test_a_bad_blob_is_a_finding(capsys, tmp_path, data, rule, status):
    path = tmp_path / "blob"
    path.write_bytes(data)

    done = run(capsys, "unpack", "pasid_table_info", path, "--json")

    assert done.status == status
    assert done.json["rule"] == rule
    assert {"field", "offset", "got", "expected", "errno", "error"} <= done.json.keys()
    assert str(path) in sentence(done)
    if not data:
        assert f"{path} is empty" in done.err


@given(st.binary(max_size=64), st.sampled_from(["v1_2017", "rfc2017"]), st.sampled_from(["x86_64", "s390x"]))
def test_random_bytes_are_a_blob_or_a_finding_and_the_ledgers_agree(data, gen, name):
    kind = structs.kind(f"pasid_table_info@{gen}", abi(name))

    for lenient in (False, True):
        with contextlib.suppress(iommu_abi.AbiError):
            assert len(unpack(kind, data, lenient=lenient, payload=True).data) >= 24


def test_a_blob_of_the_other_byte_order_is_recognised(capsys, tmp_path):
    path = tmp_path / "blob"
    other = ">" if host().order == "<" else "<"
    path.write_bytes(struct.pack(other + "QQII", 0x20000, 4096, 1, 0))

    assert "valid in the other byte order, see --abi" in sentence(
        run(capsys, "unpack", "pasid_table_info", path)
    )


def test_lenient_lets_pass_what_a_newer_kernel_might_and_says_so(capsys, tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(struct.pack("=QQII", 0x20000, 4096, 7, 0) + b"more")

    assert run(capsys, "unpack", "pasid_table_info", path).status == 1
    done = run(capsys, "unpack", "pasid_table_info", path, "--lenient", "--payload", "--json")
    assert done.status == 0
    assert [note.partition(":")[0] for note in done.json["notes"][:2]] == ["let pass", "let pass"]
    assert "not looked at" in done.json["notes"][2]
    assert "let pass" in run(capsys, "unpack", "pasid_table_info", path, "--lenient").out
    path.write_bytes(struct.pack("=QQII", 0x20000, 4096, 7, 5) + b"less")
    assert (
        run(capsys, "unpack", "pasid_table_info", path, "--lenient", "--json").json["rule"].endswith("length")
    )


@pytest.mark.parametrize("name", ["x86_64", "s390x"])
def test_the_payload_is_decoded_in_the_byte_order_of_the_abi(capsys, tmp_path, name):
    order, path = abi(name).order, tmp_path / "blob"
    opaque = struct.pack(order + "IIII", 1, 0x105, 0x76543210, 6)
    path.write_bytes(struct.pack(order + "QQII", 0x20000, 4096, 0, len(opaque)) + opaque)

    words = ("unpack", "pasid_table_info", path, "--abi", name, "--payload")
    done = run(capsys, *words, "--json")

    assert [(f["name"], f["offset"], f["value"]) for f in done.json["payload"]] == [
        ("version", 24, "0x1"), ("flags", 28, "0x105"), ("pat", 32, "0x76543210"), ("emt", 36, "0x6"),
    ]  # fmt: skip
    assert done.json["payload"][1]["meaning"] == "WPE SMEP EMTE"
    assert "opaque.flags" in run(capsys, *words).out


def test_the_arm_payload_names_its_numbers(capsys, tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(BLOB[:20] + struct.pack("=I", 8) + struct.pack("=IBBH", 1, 2, 1, 0))

    found = run(capsys, "unpack", "pasid_table_info", path, "--payload", "--json").json["payload"]

    assert [f["meaning"] for f in found] == ["", "64K_L2", "BYPASS", ""]


def test_an_empty_payload_is_all_defaults(capsys, blob_file):
    words = ("unpack", "pasid_table_info", blob_file, "--payload")

    assert run(capsys, *words, "--json").json["payload"] == []
    assert "the payload is empty: every field 0" in run(capsys, *words).out


def test_a_bad_payload_is_a_finding_with_its_offset_in_the_blob_only_when_asked_for(capsys, tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(struct.pack("=QQII", 0x20000, 4096, 0, 16) + struct.pack("=IIII", 1, 0x200, 0, 0))

    assert run(capsys, "unpack", "pasid_table_info", path).status == 0
    done = run(capsys, "unpack", "pasid_table_info", path, "--payload", "--json")
    assert done.status == 1
    assert (done.json["rule"], done.json["field"], done.json["offset"]) == ("vtd.flags", "opaque.flags", 28)
    assert "pasid_table_info.opaque.flags at offset 28: got 512 (0x200)" in done.err
    path.write_bytes(struct.pack("=QQII", 0x20000, 4096, 0, 4) + struct.pack("=I", 2))
    done = run(capsys, "unpack", "pasid_table_info", path, "--payload", "--json")
    assert done.json["rule"] == "payload.truncated"


def test_ledgers_that_disagree_about_a_blob_are_status_3(capsys, blob_file, monkeypatch):
    def parse(*_, **__):
        raise schema.RuleBroken("pasid_table_info.model", 22, "model", 16, 1)

    monkeypatch.setattr(schema, "parse", parse)

    done = run(capsys, "unpack", "pasid_table_info", blob_file, "--json")

    assert done.status == 3
    assert "DISAGREEMENT" in sentence(done)
    assert done.json["disagreement"][0] == {
        "what": "rule", "fast": "none is broken", "plain": "pasid_table_info.model",
    }  # fmt: skip


def test_ledgers_that_disagree_about_bytes_or_values_are_status_3(capsys, blob_file, monkeypatch):
    monkeypatch.setattr("iommu_abi.structs.pack.build", lambda *_: b"other")
    assert run(capsys, *PACK).status == 3
    parsed = {"ptr": 0x20000, "size": 4096, "model": 1, "length": 0, "opaque": b"other"}
    monkeypatch.setattr("iommu_abi.structs.apart._parsed", lambda *_: parsed)
    assert run(capsys, "unpack", "pasid_table_info", blob_file).status == 3


@pytest.mark.parametrize("command", [["unpack", "pasid_table_info"], ["conform"], ["replay"]])
def test_files_that_are_not_there_or_no_files_are_named(capsys, tmp_path, command):
    for path in (tmp_path / "missing", tmp_path):
        done = run(capsys, *command, path, "--json")
        assert done.status == 2
        assert str(path) in sentence(done)
        assert str(path) in done.json["error"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(capsys, blob_file):
    blob_file.chmod(0)

    assert "Permission denied" in sentence(run(capsys, "unpack", "pasid_table_info", blob_file))


def test_a_file_that_cannot_be_read_to_the_end_is_named(capsys):
    if not Path("/proc/self/mem").exists():
        pytest.skip("no /proc here")

    done = run(capsys, "unpack", "pasid_table_info", "/proc/self/mem")

    assert done.status == 2
    assert sentence(done) == "/proc/self/mem: Input/output error"


def test_input_without_end_is_refused(capsys, monkeypatch):
    monkeypatch.setattr("iommu_abi.cli.words.MOST_BYTES", 1 << 16)

    assert "more than 65536 bytes" in sentence(run(capsys, "unpack", "pasid_table_info", "/dev/zero"))


# ---------------------------------------------------------------- translate


def test_translate_answers_in_one_line(capsys):
    done = run(capsys, *TRANSLATE, "--rid", "00:07.0", "--pasid", "5", "--iova", "0x1000")

    assert done.status == 0
    assert done.out == "00:07.0 PASID 5 read 0x1000 -> HPA 0x6ee1000 (4 KiB, rw)\n"


def test_translate_in_json(capsys):
    found = run(capsys, *TRANSLATE, "--rid", "0000:00:03.0", "--iova", 0xFFFFC000, "--json").json

    assert found["ok"] is True
    assert (found["hpa"], found["page_size"], found["access"]) == ("0x5b06000", 4096, "rw")
    assert found["request"]["rid"] == "0x18"


def test_a_fault_is_status_1_with_the_vendors_code(capsys):
    words = (*TRANSLATE, "--rid", "0x38", "--pasid", "2", "--iova", "0x1000", "--access", "write")
    done, found = run(capsys, *words), run(capsys, *words, "--json")

    assert (done.status, found.status) == (1, 1)
    assert done.out.startswith(
        "00:07.0 PASID 2 write 0x1000 blocked: not present: PASID table level 0, entry at"
    )
    assert "VT-d fault reason 0x59" in done.out
    assert {k: found.json[k] for k in ("ok", "reason", "native", "stage", "level", "raw")} == {
        "ok": False, "reason": "not_present", "native": "0x59", "stage": "pasid", "level": 0, "raw": "0x0",
    }  # fmt: skip


def test_a_fault_without_a_vendors_code_has_null(capsys, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))

    found = run(
        capsys, "translate", image, "--iommu", "vtd", "--reg", "RTADDR=0", "--reg", "GSTS=0", "--rid", "1",
        "--iova", "0", "--at", "translation", "--json",
    )  # fmt: skip

    assert found.status == 1
    assert (
        found.json["reason"] == "blocked"
    )  # VT-d 4.2.1: an Unsupported Request, of which nothing is recorded
    assert found.json["native"] is None
    assert found.json["recorded"] is False


def test_an_interrupt_is_neither_ok_nor_a_fault(capsys):
    words = (*TRANSLATE, "--rid", "00:03.0", "--iova", "0xfee00000", "--access", "write")
    done, found = run(capsys, *words), run(capsys, *words, "--json")

    assert (done.status, found.status) == (1, 1)
    assert "interrupt" in done.out
    assert (found.json["ok"], found.json["target"]) == (False, "interrupt")
    assert "reason" not in found.json


def test_amd_faults_name_their_event_flags(capsys):
    capture = CAPTURES / "amd-xtsup-on-k7.2-q11"
    words = ("translate", capture / "sparse.elf.xz", "--config", capture / "meta.json")
    done = run(capsys, *words, "--rid", "00:03.0", "--iova", "0x1000", "--access", "write")

    assert done.status == 1
    assert "AMD-Vi event 0x2 with RW" in done.out


def test_smmuv3_faults_name_their_stage_2_and_class(capsys):
    capture = CAPTURES / "smmuv3-s1-k7.2"
    words = ("translate", capture / "sparse.elf.xz", "--config", capture / "meta.json")
    done = run(capsys, *words, "--rid", "00:03.0", "--iova", "0x1000", "--access", "write")

    assert done.status == 1
    assert "SMMUv3 event 0x10 with CLASS=IN" in done.out


def test_registers_by_hand_and_over_a_config(capsys):
    by_hand = [word for name, value in json.loads((PASIDS / "meta.json").read_text())["registers"].items()
               if name != "base" for word in ("--reg", f"{name}={value}")]  # fmt: skip
    request = ("--rid", "00:03.0", "--iova", "0xffffc000")

    done = run(capsys, "translate", PASIDS / "sparse.elf.xz", "--iommu", "vtd", *by_hand, *request)
    off = run(capsys, *TRANSLATE, *request, "--reg", "GSTS=0")

    assert "HPA 0x5b06000" in done.out
    assert "HPA 0xffffc000" in off.out


def test_kinds_go_by_the_names_of_captures_too(capsys, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))

    for kind in ("amd", "amdvi"):
        done = run(
            capsys, "translate", image, "--iommu", kind, "--reg", "DEVTAB_BASE=0", "--rid", "1", "--iova", "7"
        )
        assert "HPA 0x7" in done.out  # V=0 passes untranslated


def test_a_config_from_standard_input(capsys, monkeypatch):
    words = (
        "translate",
        PASIDS / "sparse.elf.xz",
        "--config",
        "-",
        "--rid",
        "00:03.0",
        "--iova",
        "0xffffc000",
    )

    done = run(capsys, *words, stdin=(PASIDS / "meta.json").read_bytes(), monkeypatch=monkeypatch)

    assert done.status == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--rid", "00:20.0"], "--rid: got '00:20.0', expected [SSSS:]BB:DD.F"),
        (["--rid", "00:03.8"], "--rid: got '00:03.8'"),
        (["--rid", "3.0"], "--rid: got '3.0', expected [SSSS:]BB:DD.F"),
        (["--rid", "0x100000000"], "--rid"),
        (["--pasid", "0x100000"], "--pasid: got 0x100000, expected 0 to 0xfffff"),
        (["--pasid", "x"], "--pasid: got 'x'"),
        (["--iova", "ffff0000"], "--iova: got 'ffff0000', expected a number: 0x.. or decimal"),
        (["--iova", "0x1" + "0" * 16], "--iova"),
        (["--reg", "RTADR=1"], "unknown register RTADR of vtd, did you mean RTADDR?"),
        (["--reg", "RTADDR"], "--reg: got 'RTADDR', expected NAME=VALUE"),
        (["--reg", "HAW=1", "--reg", "HAW=2"], "HAW is given twice"),
        (
            ["--reg", "HAW=99"],
            "vtd.HAW: got 99 (0x63), expected a host address width of 12 to 52 bits (EINVAL)",
        ),
        (["--base", "x"], "--base"),
        (["--max-size", "1"], "--max-size"),
        (["--format", "raw", "--base", "0xffffffffffffffff"], "do not fit in 64 bits"),
    ],
)
def test_translate_says_what_is_wrong_with_its_words(capsys, words, says):
    defaults = {"--rid": "1", "--iova": "0"}
    given_words = [w for k, v in defaults.items() if k not in words for w in (k, v)]

    done = run(capsys, *TRANSLATE, *given_words, *words)

    assert done.status == 2
    assert says in sentence(done)


def test_kinds_and_registers_that_are_missing(capsys, tmp_path):
    request = ("--rid", "1", "--iova", "0")

    no_kind = run(capsys, "translate", tmp_path, "--iommu", "vax", *request)
    no_register = run(capsys, "translate", tmp_path, "--iommu", "vtd", *request)

    assert "unknown kind 'vax', expected one of: vtd " in sentence(no_kind)
    assert "--reg: vtd needs RTADDR" in sentence(no_register)
    assert (no_kind.status, no_register.status) == (2, 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\x7fELF", "damaged ELF header"),
        (b"\xfd7zXZ\0broken", "cannot be unpacked"),
        (b"\x1f\x8bbroken", "cannot be unpacked"),
    ],
)
def test_images_that_are_no_images(capsys, tmp_path, content, says):
    image = tmp_path / "image"
    image.write_bytes(content)

    done = run(
        capsys,
        "translate",
        image,
        "--iommu",
        "vtd",
        "--reg",
        "RTADDR=0",
        "--rid",
        "1",
        "--iova",
        "0",
        "--json",
    )

    assert done.status == 2
    assert str(image) in sentence(done)
    assert says in done.json["error"]


def test_a_truncated_image_is_named(capsys, tmp_path):
    image = tmp_path / "short.elf"
    import lzma

    image.write_bytes(lzma.decompress((PASIDS / "sparse.elf.xz").read_bytes())[:-4096])

    done = run(capsys, "translate", image, "--config", PASIDS / "meta.json", "--rid", "1", "--iova", "0")

    assert done.status == 2
    assert "truncated" in sentence(done)


def test_images_that_overlap_that_are_missing_or_standard_input(capsys, tmp_path):
    image, rest = PASIDS / "sparse.elf.xz", ("--config", PASIDS / "meta.json", "--rid", "1", "--iova", "0")

    assert "overlaps" in sentence(run(capsys, "translate", image, image, *rest))
    assert "No such file" in sentence(run(capsys, "translate", tmp_path / "x", *rest))
    assert "Is a directory" in sentence(run(capsys, "translate", tmp_path, *rest))
    assert "standard input" in sentence(run(capsys, "translate", "-", "--config", "-", *rest[2:]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty, expected JSON"),
        ("{", "not JSON"),
        ("[" * 100000, "not usable as JSON"),
        ("[]", "got a list, expected an object"),
        ("{}", "no 'kind'"),
        ('{"kind": 3}', "kind: got 3, expected a string"),
        ('{"kind": "smmuv9", "registers": {}}', "kind 'smmuv9' is not known, expected one of: vtd "),
        ('{"kind": "vtd"}', "no 'registers'"),
        ('{"kind": "vtd", "registers": []}', "registers: got a list, expected an object"),
        ('{"kind": "vtd", "registers": {"RTADDR": "zz"}}', "RTADDR: got 'zz', expected a number"),
        ('{"kind": "vtd", "registers": {"RTADDR": -1}}', "RTADDR: got -1"),
        ('{"kind": "vtd", "registers": {"RTADDR": true}}', "RTADDR: got True"),
        ('{"kind": "vtd", "registers": {"ECPA": "0x1"}}', "unknown register ECPA of vtd"),
        ('{"kind": "vtd", "registers": {}, "ram": [1]}', "ram: got 1, expected [first, size]"),
        ('{"kind": "vtd", "registers": {}}', "meta.json: vtd needs RTADDR"),
    ],
)
def test_configs_that_are_no_configs(capsys, tmp_path, text, says):
    path = tmp_path / "meta.json"
    path.write_text(text)

    done = run(
        capsys, "translate", PASIDS / "sparse.elf.xz", "--config", path, "--rid", "1", "--iova", "0", "--json"
    )

    assert done.status == 2
    assert says in sentence(done)
    assert says in done.json["error"]


def test_a_config_that_is_not_text(capsys, tmp_path):
    path = tmp_path / "meta.json"
    path.write_bytes(b"\xff\xfe")

    done = run(capsys, "translate", "x", "--config", path, "--rid", "1", "--iova", "0")

    assert f"{path}: not text: byte 0 is 0xff" in sentence(done)


# ---------------------------------------------------------------- config


def test_config_in_json(capsys):
    include, lib = iommu_abi.get_include(), iommu_abi.get_library_dir()

    found = run(capsys, "config", "--cflags", "--libs", "--includedir", "--libdir", "--json").json

    assert found == {
        "cflags": [f"-I{include}", "-DCONFIG_IOMMU_API"],
        "libs": [f"-L{lib}", f"-Wl,-rpath,{lib}", "-liommu_abi"],
        "includedir": include,
        "libdir": lib,
    }


def test_static_says_how_to_link_and_nothing_else(capsys):
    assert (
        run(capsys, "config", "--libs", "--static").out == f"{iommu_abi.get_library_dir()}/libiommu_abi.a\n"
    )
    assert "give --libs too" in sentence(run(capsys, "config", "--cflags", "--static"))


# ---------------------------------------------------------------- JSON


def test_every_command_speaks_json(capsys, blob_file):
    for words in (
        PACK,
        ("unpack", "pasid_table_info", blob_file),
        (*TRANSLATE, "--rid", "1", "--iova", "0"),
        (*TRANSLATE, "--rid", "00:03.0", "--iova", "0xffffc000", "--explain"),
        ("conform", CASES, "--format", "vtd_ecs"),
        ("replay", CAPTURES / "vtd-legacy-k6.12"),
        ("config", "--cflags"),
    ):
        done = run(capsys, *words, "--json")
        assert isinstance(done.json, dict)
        assert done.err == ""
        assert "\x1b" not in done.out


def test_numbers_are_shown_in_hex_and_enumerations_by_name():
    assert ledgers.shown(255) == "0xff"
    assert ledgers.shown(iommu_abi.Stage.S2) == "S2"
    assert ledgers.shown(None) == "None"
