"""decode on bytes: hex, dumps, C arrays and raw bytes, and the data that pointers lead to.

The texts in FORMS were typed as the tools' manuals show them; where xxd, hexdump and od are installed, what
they print is read as well.
"""

from __future__ import annotations

import shutil
import struct
import subprocess

import pytest
from cli_support import process, run, sentence
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi.decode import carray, forms, hexdump
from iommu_abi.decode.pieces import Piece, TextError

DATA = struct.pack("<4I", 16, 1, 5, 0)  # an iommu_hwpt_set_dirty_tracking
VALUES = {"size": "0x10", "flags": "0x1", "hwpt_id": "0x5", "__reserved": "0x0"}
AS = ("--struct", "iommu_hwpt_set_dirty_tracking", "--abi", "x86_64", "--json")

FORMS = {
    "plain": ("hex", DATA.hex()),
    "words of hex": ("hex", DATA.hex(" ", 4) + "\n"),
    "0x": ("hex", " ".join(f"0x{byte:02x}" for byte in DATA)),
    "commas": ("hex", ", ".join(f"0x{byte:02x}" for byte in DATA)),
    "escapes": ("hex", "".join(f"\\x{byte:02x}" for byte in DATA)),
    "quoted escapes": ("hex", '"' + "".join(f"\\x{byte:02x}" for byte in DATA) + '"'),
    "xxd": ("hex", "00000000: 1000 0000 0100 0000 0500 0000 0000 0000  ................\n"),
    "xxd -g1": ("hex", "00000000: 10 00 00 00 01 00 00 00 05 00 00 00 00 00 00 00  ................\n"),
    "xxd -p": ("hex", "10000000010000000500000000000000\n"),
    "xxd -i": (
        "array",
        f"unsigned char blob[] = {{\n  {', '.join(map(hex, DATA))}\n}};\nunsigned int blob_len = 16;\n",
    ),
    "hexdump -C": (
        "hex",
        "00000000  10 00 00 00 01 00 00 00  05 00 00 00 00 00 00 00  |................|\n00000010\n",
    ),
    "od -A x -t x1": ("hex", "000000 10 00 00 00 01 00 00 00 05 00 00 00 00 00 00 00\n000010\n"),
    "od -t x1": ("hex", "0000000 10 00 00 00 01 00 00 00 05 00 00 00 00 00 00 00\n0000020\n"),
    "od -A d -t x1z": (
        "hex",
        "0000000 10 00 00 00 01 00 00 00 05 00 00 00 00 00 00 00  >................<\n0000016\n",
    ),
    "gdb x/16xb": (
        "hex",
        "".join(
            f"{0x7FFC10 + at:#x}:\t" + "\t".join(f"0x{byte:02x}" for byte in DATA[at : at + 8]) + "\n"
            for at in (0, 8)
        ),
    ),
    "braces": ("array", "{16, 0, 0, 0, 01, 0, 0, 0, 5u, 0, 0, 0, 0, 0, 0, 0,}"),
    "words of C": ("array", "static const __u32 x[4] = { 0x10 /* size */, 1, // flags\n 5, 0 };"),
    "uint64_t": ("array", "uint64_t x[] = { 0x100000010, 5 };"),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_text_gives_the_same_bytes(capsys, monkeypatch, name):
    form, text = FORMS[name]

    done = run(capsys, "decode", *AS, stdin=text.encode(), monkeypatch=monkeypatch)

    assert done.status == 0, done.err
    assert done.json["taken_as"] == form
    assert {field["name"]: field["value"] for field in done.json["fields"]} == VALUES


def test_raw_bytes_and_what_is_said_about_them(capsys, monkeypatch):
    for words in ((), ("--as", "raw")):
        done = run(capsys, "decode", *AS, *words, stdin=DATA, monkeypatch=monkeypatch)
        assert (done.json["taken_as"], done.json["size"]) == ("raw", 16)
    text = run(capsys, "decode", *AS, "--as", "raw", stdin=b"00000000", monkeypatch=monkeypatch)
    assert text.json["fields"][0]["value"] == "0x30303030"


@pytest.mark.parametrize(
    "tool", ["xxd", "hexdump -C", "od -t x1", "od -A d -t x1z", "xxd -i", "xxd -p", "od -A x -t x1"]
)
@pytest.mark.parametrize("size", [1, 16, 40, 200, 4096])
def test_what_the_tools_here_print_is_read(tmp_path, tool, size):
    program, *options = tool.split()
    if not shutil.which(program):
        pytest.skip(f"no {program} here")
    data = bytes(range(1, 33)) * 7 if size == 200 else bytes(size)  # equal rows become *
    path = tmp_path / "blob"
    path.write_bytes(data[:size])
    text = subprocess.run([program, *options, path], capture_output=True, text=True, check=True).stdout

    if forms.detect(text.encode(), wanted=True) == "array":
        assert carray.read(text, "little").data == data[:size]
    else:
        assert hexdump.read(text) == [Piece(data[:size])]


def test_elements_of_c_have_the_byte_order_of_the_abi():
    assert carray.read("__u32 x[] = {1}", "big").data == b"\0\0\0\1"
    assert carray.read("u16 x[] = {0x102}", "little").data == b"\2\1"
    assert carray.read("{010, 0x7f}", "big").data == b"\x08\x7f"
    assert carray.read("char x[] = {}", "big").data == b""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "00000000: 1000\n00000010: 0000",
            "line 2: offset 00000010, but 0x2 bytes come before it (taken",
        ),
        ("0000000 0010 0000 0001 0000", "line 1: words, whose byte order depends on the machine"),
        ("00 0", "line 1: '0' has an odd number of digits"),
        ("00000000: 1000\nand then", "line 2: 'and then' is no row of a dump"),
        ("*\n00000000  00 |.|", "line 1: '*' is no row of a dump"),
        (
            "00000000  00 |.|\n*\n00000000",
            "line 3: the offset is none that the repeated row before it leads to",
        ),
        ("\\x10 \\y", "line 1: '\\\\y' is not of the form"),
        ("{256}", "element 0: got 256, expected 0 to 0xff"),
        ("{1, two}", "element 1: got 'two', expected a number"),
        ("u16 x[] = {0x10000}", "element 0: got 0x10000, expected 0 to 0xffff"),
        ("nothing", "no array of the form {0x10, 0x00, ...} (taken as array)"),
    ],
)
def test_damaged_text_is_one_sentence_with_its_place(capsys, monkeypatch, text, says):
    form = "array" if "{" in text or "nothing" in text else "hex"

    done = run(capsys, "decode", *AS, "--as", form, stdin=text.encode(), monkeypatch=monkeypatch)

    assert done.status == 2
    assert says in sentence(done)
    assert sentence(done).startswith("standard input: ")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ((), 2, "decode: bytes need --struct or --ioctl, which say what they are"),
        (("--struct", "iommu_nothing"), 2, "unknown struct 'iommu_nothing'"),
        (("--ioctl", "IOMMU_NOTHING"), 2, "no ioctl 'IOMMU_NOTHING', did you mean IOMMU_OPTION"),
        (("--ioctl", "IOMMU_HWPT_ALLOC@iommufd_6_3"), 2, "no ioctl 'IOMMU_HWPT_ALLOC', did you mean"),
        (("--ioctl", "0x3b71"), 2, "0x3b71 is VFIO_DEVICE_PCI_HOT_RESET or VFIO_IOMMU_MAP_DMA: say which"),
        (("--ioctl", "0x1234"), 2, "--ioctl: no command is 0x1234"),
        (("--ioctl", "VFIO_DEVICE_RESET"), 2, "VFIO_DEVICE_RESET takes no struct"),
        (("--struct", "iommu_destroy", "--ioctl", "IOMMU_DESTROY"), 2, "not allowed with argument"),
        (("--struct", "iommu_destroy", "--abi", "vax"), 2, "unknown ABI 'vax'"),
        (("--ioctl", "IOMMU_DESTROY", "--kernel", "9"), 2, "no kernel '9' is known here"),
        (("--struct", "iommu_destroy", "--blob", "12"), 2, "--blob: got '12', expected ADDRESS=FILE"),
        (("--struct", "iommu_destroy", "--blob", "x=/dev/null"), 2, "--blob: got 'x', expected a number"),
        (("--struct", "iommu_destroy", "--blob", "1=/nowhere"), 2, "/nowhere: No such file"),
    ],
)  # fmt: skip
def test_misuse_is_one_sentence(capsys, monkeypatch, words, status, says):
    done = run(capsys, "decode", *words, stdin=DATA.hex().encode(), monkeypatch=monkeypatch)

    assert (done.status, says in sentence(done)) == (status, True), done.err


@pytest.mark.parametrize(
    ("name", "struct_", "generation"),
    [
        ("IOMMU_HWPT_SET_DIRTY_TRACKING", "iommu_hwpt_set_dirty_tracking", "iommufd_7_2"),
        ("0x3b8b", "iommu_hwpt_set_dirty_tracking", "iommufd_7_2"),
        ("VFIO_IOMMU_MAP_DMA", "vfio_iommu_type1_dma_map", "vfio_7_2"),
        ("VFIO_IOMMU_SET_PASID_TABLE", "vfio_iommu_type1_set_pasid_table", "vfio_ptc_v12"),
        ("VFIO_IOMMU_BIND", "vfio_iommu_type1_bind", "vfio_sva_v1"),
        ("IOMMU_IOAS_ALLOC@iommufd_6_3", "iommu_ioas_alloc", "iommufd_6_3"),
    ],
)
def test_the_command_says_which_struct(capsys, monkeypatch, name, struct_, generation):
    done = run(capsys, "decode", "--ioctl", name, "--json", stdin=DATA, monkeypatch=monkeypatch)

    assert (done.json["struct"], done.json["generation"]) == (struct_, generation)


def test_nothing_is_a_finding_that_says_so(capsys, monkeypatch):
    done = run(capsys, "decode", *AS[:-1], stdin=b"", monkeypatch=monkeypatch)

    assert done.status == 1
    assert "got 0, expected 4 bytes in memory (EFAULT)" in done.out


# ---------------------------------------------------------------- pointers


def alloc(data_type, length=24, uptr=0x2000):
    return struct.pack("<8IQ2I", 48, 0, 1, 2, 0, 0, data_type, length, uptr, 0, 0)


S1 = struct.pack("<QQII", 1, 0x5000, 48, 0)
STE = struct.pack("<2Q", 0xB, 0)


def behind(capsys, tmp_path, data, blobs, *words):
    files = []
    for i, (address, blob) in enumerate(blobs):
        path = tmp_path / f"blob{i}"
        path.write_bytes(blob)
        files += ["--blob", f"{address:#x}={path}"]
    path = tmp_path / "data"
    path.write_bytes(data)
    return run(capsys, "decode", path, "--as", "raw", "--abi", "x86_64", *files, "--json", *words)


def test_the_discriminator_says_what_a_pointer_leads_to(capsys, tmp_path):
    for data_type, blob, name, field, value in (
        (1, S1, "iommu_hwpt_vtd_s1", "pgtbl_addr", "0x5000"),
        (2, STE, "iommu_hwpt_arm_smmuv3", "ste[0]", "0xb"),
        (3, bytes(range(32)), "iommu_hwpt_amd_guest", "dte[0]", "0x706050403020100"),
    ):
        data = alloc(data_type, len(blob))
        done = behind(capsys, tmp_path, data, [(0x2000, blob)], "--ioctl", "IOMMU_HWPT_ALLOC")
        [found] = done.json["behind"]
        assert (done.status, found["struct"], found["address"]) == (0, name, "0x2000")
        assert {f["name"]: f["value"] for f in found["structs"][0]["fields"]}[field] == value


def test_a_blob_may_begin_before_the_address(capsys, tmp_path):
    done = behind(capsys, tmp_path, alloc(1), [(0x1FF0, bytes(16) + S1)], "--ioctl", "IOMMU_HWPT_ALLOC")

    assert done.json["behind"][0]["structs"][0]["fields"][1]["value"] == "0x5000"


def test_what_is_not_there_not_known_or_of_another_length_is_said(capsys, tmp_path):
    words = ("--ioctl", "IOMMU_HWPT_ALLOC")

    absent = behind(capsys, tmp_path, alloc(1), [], *words)
    unknown = behind(capsys, tmp_path, alloc(77), [(0x2000, S1)], *words)
    short = behind(capsys, tmp_path, alloc(1, length=20), [(0x2000, S1)], *words)
    none = behind(capsys, tmp_path, alloc(0, 0, 0), [], *words)

    assert absent.json["behind"][0]["note"] == "no bytes were noted for it"
    assert unknown.json["behind"][0]["note"] == "data_type 77 is not known: what is there is not decoded"
    [broken] = short.json["behind"][0]["structs"][0]["broken"]
    assert broken.startswith("iommu_hwpt_vtd_s1: got 20 (0x14) bytes, expected at least 24")
    assert (absent.status, unknown.status, short.status, none.status) == (0, 0, 1, 0)
    assert none.json["behind"] == []


def test_arrays_are_as_long_as_their_counters_say(capsys, tmp_path):
    entries = b"".join(struct.pack("<QQIIQ", i << 12, 1, 0, 0, 0) for i in range(3))
    data = struct.pack("<IIQIIII", 32, 4, 0x3000, 0, 32, 3, 0)

    done = behind(capsys, tmp_path, data, [(0x3000, entries)], "--ioctl", "IOMMU_HWPT_INVALIDATE")
    [found] = done.json["behind"]
    assert [f["fields"][0]["value"] for f in found["structs"]] == ["0x0", "0x1000", "0x2000"]
    data = struct.pack("<IIQIIII", 32, 4, 0x3000, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    done = behind(capsys, tmp_path, data, [(0x3000, entries)], "--ioctl", "IOMMU_HWPT_INVALIDATE")
    assert done.json["behind"][0]["note"] == "4294967294 more are left out"


def get_dirty(iova, length, page_size, order="<"):
    """<linux/iommufd.h>: size, hwpt_id, flags, __reserved, iova, length, page_size, data."""
    return struct.pack(f"{order}4I4Q", 48, 3, 0, 0, iova, length, page_size, 0x5000)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([0, 0], "0 of 128 pages are dirty"),
        ([0b1110, 0], "3 of 128 pages are dirty: 0x101000..0x103fff"),
        ([1 << 63, 1], "2 of 128 pages are dirty: 0x13f000..0x140fff"),
        ([1], "1 of the first 64 pages are dirty: 0x100000..0x100fff"),
        (
            [0x5555_5555_5555_5555, 0],
            "32 of 128 pages are dirty: "
            + ", ".join(f"{0x100000 + i * 0x2000:#x}..{0x100FFF + i * 0x2000:#x}" for i in range(8))
            + " and 24 ranges more",
        ),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_bit_map_of_dirty_pages_is_told_in_iovas(capsys, tmp_path, words, says, order):
    bits = struct.pack(f"{order}{len(words)}Q", *words)
    abi = ("--abi", "x86_64" if order == "<" else "s390x")
    data = get_dirty(0x100000, 128 * 4096, 4096, order)

    done = behind(capsys, tmp_path, data, [(0x5000, bits)], "--ioctl", "IOMMU_HWPT_GET_DIRTY_BITMAP", *abi)

    assert [(each["field"], each["note"]) for each in done.json["behind"]] == [("data", says)]


def test_a_bit_map_of_pages_without_a_size_is_left_alone(capsys, tmp_path):
    data = get_dirty(0, 1 << 63, 0)

    done = behind(capsys, tmp_path, data, [(0x5000, bytes(8))], "--ioctl", "IOMMU_HWPT_GET_DIRTY_BITMAP")

    assert done.json["behind"][0]["note"] == "page_size is 0"


def test_a_token_of_vfio_is_told_as_a_uuid(capsys, tmp_path):
    # RFC 9562, A.1; <linux/vfio.h>: argsz, flags, iommufd, out_devid, token_uuid_ptr.
    data = struct.pack("<IIiIQ", 24, 1, 5, 0, 0x7000)
    token = bytes.fromhex("c232ab00941411ec b3c89f6bdeced846")

    done = behind(capsys, tmp_path, data, [(0x7000, token)], "--ioctl", "VFIO_DEVICE_BIND_IOMMUFD")
    absent = behind(capsys, tmp_path, data, [], "--ioctl", "VFIO_DEVICE_BIND_IOMMUFD")

    assert done.json["behind"][0]["note"] == "token c232ab00-9414-11ec-b3c8-9f6bdeced846"
    assert absent.json["behind"][0]["note"] == "no bytes were noted for it"


def type1_info(*capabilities, first=24):
    """<linux/vfio.h> of 7.2: argsz, flags, iova_pgsizes, cap_offset, pad; then (id, next, bytes) each."""
    chain = b"".join(struct.pack("<HHI", number, 1, next_) + data for number, next_, data in capabilities)
    return struct.pack("<IIQII", 24 + len(chain), 3, 0x40201000, first, 0) + chain


RANGES = struct.pack("<II4Q", 2, 0, 0, 0xFEDFFFFF, 0xFEF00000, 0xFFFFFFFFFFFF)
MIGRATION = struct.pack("<I4xQQ", 0, 0x1000, 0x10000000)


def test_capabilities_of_vfio_are_followed_from_offset_to_offset(capsys, tmp_path):
    avail = struct.pack("<I", 65535)
    data = type1_info((1, 84, RANGES), (3, 0, avail), (2, 72, MIGRATION), (99, 0, b""), first=24)

    done = behind(capsys, tmp_path, data, [], "--ioctl", "VFIO_IOMMU_GET_INFO")
    found = [(each["address"], each["struct"]) for each in done.json["behind"]]
    values = [{f["name"]: f["value"] for f in each["structs"][0]["fields"]} for each in done.json["behind"]]

    assert found == [
        ("0x18", "vfio_iommu_type1_info_cap_iova_range"),
        ("0x54", "vfio_iommu_type1_info_cap_migration"),
        ("0x48", "vfio_iommu_type1_info_dma_avail"),
    ]
    last = (values[0]["iova_ranges[1].start"], values[0]["iova_ranges[1].end"])
    assert last == ("0xfef00000", "0xffffffffffff")
    assert "iova_ranges[2].start" not in values[0]
    assert (values[1]["pgsize_bitmap"], values[2]["avail"]) == ("0x1000", "0xffff")
    assert (done.status, done.json["size"]) == (0, 24)


def test_a_capability_without_a_description_shows_its_header(capsys, tmp_path):
    data = type1_info((99, 0, bytes(12)))

    done = behind(capsys, tmp_path, data, [], "--ioctl", "VFIO_IOMMU_GET_INFO")

    [found] = done.json["behind"]
    assert (found["struct"], found["note"]) == (
        "vfio_info_cap_header",
        "id 99 is not described here: 12 bytes follow",
    )


@pytest.mark.parametrize(
    ("data", "at", "note"),
    [
        (type1_info((3, 24, struct.pack("<I", 1))), "0x18", "the chain comes back to it"),
        (type1_info((3, 0xFFFFFFFF, struct.pack("<I", 1))), "0xffffffff", "no capability can be there"),
        (type1_info(first=8), "0x8", "no capability can be there"),
        (type1_info(first=24), "0x18", "no capability can be there"),
    ],
)
def test_a_chain_that_leads_nowhere_or_back_ends_with_a_sentence(capsys, tmp_path, data, at, note):
    done = behind(capsys, tmp_path, data, [], "--ioctl", "VFIO_IOMMU_GET_INFO")

    last = done.json["behind"][-1]
    assert (last["address"], last["struct"], last["note"]) == (at, None, note)


def test_text_with_addresses_has_the_struct_first(capsys, monkeypatch):
    text = f"0x1000: {alloc(1).hex()}\n0x2000: {S1.hex(' ')}\n"

    done = run(
        capsys, "decode", "--ioctl", "IOMMU_HWPT_ALLOC", "--abi", "x86_64",
        stdin=text.encode(), monkeypatch=monkeypatch,
    )  # fmt: skip

    assert done.status == 0
    assert done.out.splitlines()[0] == "struct iommu_hwpt_alloc@iommufd_7_2, 48 bytes at 0x1000, x86_64"
    assert "data_uptr -> 0x2000: iommu_hwpt_vtd_s1" in done.out
    assert "  0008: 00 50 00 00 00 00 00 00  # pgtbl_addr = 0x5000" in done.out.splitlines()


# ---------------------------------------------------------------- robustness


@given(st.binary(max_size=200))
def test_random_bytes_are_of_some_form(data):
    assert forms.detect(data, wanted=True) in forms.FORMS
    assert forms.detect(data) in forms.FORMS


@given(st.text('0123456789abcdefx:*|{}\\", \n\t', max_size=120))
def test_no_text_breaks_the_readers(text):
    for read in (hexdump.read, lambda t: carray.read(t, "little")):
        try:
            read(text)
        except TextError as error:
            assert str(error)  # noqa: PT017


@given(st.binary(min_size=1, max_size=100), st.integers(0, 1 << 40))
def test_rows_with_addresses_are_joined(data, address):
    rows = [f"{address + at:#x}: {data[at : at + 7].hex(' ')}" for at in range(0, len(data), 7)]

    assert hexdump.read("\n".join(rows)) == [Piece(data, address)]


def test_the_command_says_no_more_than_a_sentence_to_a_stranger():
    for stdin, words, status in (
        (b"", (), 2),
        (b"hello\n", (), 2),
        (b"\0\1\2", (), 2),
        (bytes(range(256)), ("--ioctl", "IOMMU_DESTROY"), 1),
    ):
        done = process("decode", *words, stdin=stdin, COLUMNS="80")
        assert done.returncode == status
        assert b"Traceback" not in done.stderr
        assert done.stderr.count(b"\n") == (status == 2)
