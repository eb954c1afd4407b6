"""pack, unpack and decode of every struct of every generation.

Expected values come from construct's schemas, which test_uapi_schemas.py holds against what compilers
made of the headers (layouts.json), or from bytes written down here.
"""

from __future__ import annotations

import random
import struct as packed
from functools import cache

import pytest
from cli_support import run, sentence
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi import structs
from iommu_abi.errors import AbiError
from iommu_abi.ledgers import Disagreement
from iommu_abi.schemas import uapi
from iommu_abi.schemas.uapi.blobs import parse
from iommu_abi.structs import apart
from iommu_abi.structs.pack import pack
from iommu_abi.structs.slots import slots
from iommu_abi.structs.unpack import examine, unpack
from iommu_abi.uapi.layout import ABIS, host

EVERY = [(gen.name, name) for gen in uapi.GENERATIONS.values() for name in gen.structs]
TAIL = 3  # elements of an array at the end


def some_abis(number):
    """The machine's own, and two of the others so that all have their turn."""
    names = sorted(ABIS)
    return [host().name, names[2 * number % len(names)], names[(2 * number + 1) % len(names)]]


CASES = [
    pytest.param(gen, name, abi, id=f"{name}@{gen}-{abi}")
    for number, (gen, name) in enumerate(EVERY)
    for abi in dict.fromkeys(some_abis(number))
]


def example(gen, name, abi_name):
    """A blob with random numbers in all fields that may have some, the size and length right."""
    struct, abi = uapi.get(name, gen), uapi.abi(abi_name)
    numbers = random.Random(f"{gen} {name} {abi_name}")
    size = uapi.layout(struct, abi).size
    tail = TAIL * uapi.element_size(struct.tail, abi) if struct.tail else 0
    data = bytearray(size + tail)
    order = "little" if abi.order == "<" else "big"
    fillers = []
    for leaf in uapi.leaves(struct, abi):
        if leaf.field.reserved:
            fillers.append(leaf)
            continue
        if isinstance(leaf.field.type, uapi.Integer) and leaf.field.type.kind == "bit":
            data[leaf.offset] = 1 if order == "little" else 0x80
        elif leaf.path in ("size", "argsz") and leaf.offset == 0:
            data[:4] = (size + tail).to_bytes(4, order)
        elif struct.tail and leaf.path == struct.tail.length:
            data[leaf.offset : leaf.offset + leaf.size] = tail.to_bytes(leaf.size, order)
        elif not any(data[leaf.offset : leaf.offset + leaf.size]):
            data[leaf.offset : leaf.offset + leaf.size] = numbers.randbytes(leaf.size)
    data[size:] = numbers.randbytes(tail)
    return bytes(data)


def value_at(parsed, path):
    for step in path.replace("]", "").replace("[", ".").split("."):
        parsed = parsed[int(step) if step.isdigit() else step]
    return parsed


@cache
def plain_values(gen, name, abi):
    return parse(uapi.get(name, gen), example(gen, name, abi), uapi.abi(abi))


def shown(value):
    return f"{value:#x}" if isinstance(value, int) else bytes(value).hex()


@pytest.mark.parametrize(("gen", "name", "abi"), CASES)
def test_decode_reads_from_hex_what_construct_reads(capsys, tmp_path, gen, name, abi):
    path = tmp_path / "hex"
    data = example(gen, name, abi)
    path.write_text(data.hex(" ", 4))

    done = run(capsys, "decode", path, "--struct", f"{name}@{gen}", "--abi", abi, "--json")

    if name != "pasid_table_info":  # whose random model breaks a rule
        assert (done.status, done.json["broken"]) == (0, [])
    assert (done.json["taken_as"], done.json["size"], done.json["abi"]) == ("hex", len(data), abi)
    parsed = plain_values(gen, name, abi)
    found = {field["name"]: field["value"] for field in done.json["fields"]}
    assert found == {field: shown(value_at(parsed, field)) for field in found}
    leaves = {leaf.path for leaf in uapi.leaves(uapi.get(name, gen), uapi.abi(abi))}
    assert {field.partition("[")[0] for field in found} == leaves


@pytest.mark.parametrize(
    ("gen", "name", "abi"),
    [case for case in CASES if case.values[1] != "pasid_table_info"],  # test_cli.py: no random model there
)
def test_what_was_taken_apart_is_packed_again_from_its_words(gen, name, abi):
    kind = structs.kind(f"{name}@{gen}", ABIS[abi])
    data = example(gen, name, abi)
    tail = kind.layout.record.flexible
    words, last = {}, b""
    for field in unpack(kind, data).fields:
        if tail and field.name == tail.name:
            last = field.value
        else:
            words[field.name] = field.value.hex() if isinstance(field.value, bytes) else str(field.value)

    assert pack(kind, words, last) == data


@given(st.sampled_from(EVERY), st.sampled_from(sorted(ABIS)), st.binary(max_size=120))
def test_any_bytes_are_taken_apart_and_the_ledgers_agree(which, abi, data):
    kind = structs.StructKind(which[1], which[0], ABIS[abi])

    found = examine(kind, data)

    assert [field.name for field in found.fields][: len(list(slots(kind)))]
    if found.broken:
        with pytest.raises(AbiError) as caught:
            unpack(kind, data)
        assert str(caught.value) == str(found.broken[0])
    else:
        assert unpack(kind, data).fields == found.fields


# ---------------------------------------------------------------- words


def hexed(capsys, *words):
    done = run(capsys, "pack", *words, "--json")
    assert done.status == 0, done.err
    return done.json["hex"]


def test_size_and_argsz_are_filled_in(capsys):
    assert hexed(capsys, "iommu_destroy", "id=7") == packed.pack("=II", 8, 7).hex()
    assert hexed(capsys, "iommu_page_response@linux_5_10")[:8] == packed.pack("=I", 24).hex()
    assert hexed(capsys, "vfio_irq_set", "--opaque", "0102")[:8] == packed.pack("=I", 22).hex()
    assert (
        hexed(capsys, "tlb_invalidate_info@v1_2017", "--opaque", "010203")[8:16] == packed.pack("=I", 3).hex()
    )


def test_flags_go_by_name_in_full_or_short_and_together(capsys):
    expected = packed.pack("=III", 0x30, 5, 0).hex()

    for text in (
        "0x5",
        "IOMMU_HWPT_ALLOC_NEST_PARENT|IOMMU_HWPT_FAULT_ID_VALID",
        "NEST_PARENT|FAULT_ID_VALID",
        "1|4",
    ):
        assert hexed(capsys, "iommu_hwpt_alloc", f"flags={text}").startswith(expected)


def test_inner_fields_elements_and_arrays_of_bytes(capsys):
    bound = hexed(
        capsys, "iommu_gpasid_bind_data@linux_5_10", "vendor.vtd.flags=SRE|EMTE", "vendor.vtd.emt=6"
    )
    entry = hexed(capsys, "iommu_hwpt_amd_guest", "dte[3]=0xff", "dte[0]=1")
    ranges = hexed(capsys, "vfio_iommu_type1_info_cap_iova_range", "iova_ranges[1].end=0xffff")

    assert bytes.fromhex(bound)[56:] == packed.pack("=QII", 0x11, 0, 6)
    assert bytes.fromhex(entry) == packed.pack("=4Q", 1, 0, 0, 0xFF)
    assert bytes.fromhex(ranges)[16:] == packed.pack("=4Q", 0, 0, 0, 0xFFFF)


def test_big_endian_and_the_alignment_of_i386(capsys):
    assert hexed(capsys, "iommu_ioas_map_file", "fd=-2", "--abi", "s390x")[24:32] == "fffffffe"
    assert hexed(capsys, "page_response_msg@v5_2018", "pasid_present=1", "--abi", "s390x")[32:34] == "80"
    # u64, u64, pointer: 20 bytes on i386, 24 on x86_64 (layouts.json)
    assert len(hexed(capsys, "vfio_bitmap", "data=1", "--abi", "i386")) == 40
    assert len(hexed(capsys, "vfio_bitmap", "data=1", "--abi", "x86_64")) == 48


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["iommu_destroy", "ids=1"], 2, "iommu_destroy has no field 'ids', did you mean id?"),
        (["iommu_hwpt_amd_guest", "dte[4]=1"], 2, "has no field 'dte[4]', did you mean dte[i]?"),
        (
            ["iommu_destroy", "id=0x100000000"],
            2,
            "iommu_destroy.id: got 4294967296, expected 0 to 0xffffffff",
        ),
        (
            ["iommu_ioas_map_file", "fd=0x80000000"],
            2,
            "fd: got 2147483648, expected -2147483648 to 0x7fffffff",
        ),
        (["iommu_option", "op=GET"], 2, "op: got 'GET', did you mean IOMMU_OPTION_OP_GET?"),
        (["iommu_hwpt_alloc", "flags=PARENT|NO"], 2, "alloc.flags: got 'NO', expected one of: IOMMU_"),
        (["iommu_destroy", "size=4"], 1, "size at offset 0: got 4, expected at least 8 (EINVAL)"),
        (["iommu_destroy", "size=12"], 1, "expected at most the 8 bytes in memory (EFAULT)"),
        (["iommu_hwpt_alloc", "__reserved=1"], 1, "__reserved at offset 20: got 1, expected 0 (EOPNOTSUPP)"),
        (
            ["tlb_invalidate_info@v1_2017", "length=5"],
            1,
            "length at offset 4: got 5, expected at most the 0 bytes that follow (EINVAL)",
        ),
        (
            ["tlb_invalidate_info@v1_2017", "length=1", "--opaque", "0102"],
            1,
            "tlb_invalidate_info: got 10 (0xa) bytes, expected 9 bytes in all (E2BIG)",
        ),
        (["iommu_destroy", "--opaque", "00"], 2, "iommu_destroy ends with no array of bytes"),
        (["vfio_irq_set", "data=00"], 2, "vfio_irq_set.data is given with --opaque"),
        (["iommu_fault@linux_5_10", "padding2=0011"], 2, "padding2: got 2 bytes, expected 56"),
        (
            ["iommu_hw_info@iommufd_7_2", "in_data_type=1", "out_data_type=2"],
            2,
            "in_data_type differs from other members",
        ),
        (["iommu_hw_info", "dev_id=1"], 2, "iommu_hw_info differs between iommufd_6_12 iommufd_6_13"),
        (
            ["vfio_iommu_type1_info_cap_iova_range", "iova_ranges[99999999].end=1"],
            2,
            "got element 99999999, expected 0 to",
        ),
    ],
)
def test_pack_says_what_is_wrong(capsys, words, status, says):
    done = run(capsys, "pack", *words)

    assert done.status == status
    assert says in sentence(done)
    assert done.out == ""


# ---------------------------------------------------------------- lengths by contract


def unpacked(capsys, tmp_path, name, data, *words):
    path = tmp_path / "blob"
    path.write_bytes(data)
    return run(capsys, "unpack", name, path, "--in", "raw", *words)


def test_an_older_program_gives_less_and_a_newer_one_zeros(capsys, tmp_path):
    name = "iommu_viommu_alloc@iommufd_7_2"  # 24 bytes in 6.13, 40 in 7.2
    old = packed.pack("<6I", 24, 0, 1, 2, 3, 0)
    new = packed.pack("<6I", 48, 0, 1, 2, 3, 0) + bytes(24)

    done = unpacked(capsys, tmp_path, name, old, "--json", "--abi", "x86_64")
    assert done.status == 0
    assert [field["name"] for field in done.json["fields"] if field.get("missing")] == [
        "data_len", "__reserved", "data_uptr",
    ]  # fmt: skip
    assert unpacked(capsys, tmp_path, name, new, "--abi", "x86_64").status == 0
    done = unpacked(capsys, tmp_path, name, new[:-1] + b"\1", "--abi", "x86_64")
    assert done.status == 1
    assert sentence(done).startswith("iommu_viommu_alloc at offset 47: got 1, expected 0")
    assert "E2BIG" in done.err
    done = unpacked(capsys, tmp_path, name, packed.pack("<5I", 20, 0, 1, 2, 3), "--abi", "x86_64")
    assert sentence(done).startswith(
        "iommu_viommu_alloc.size at offset 0: got 20 (0x14), expected at least 24 (EINVAL)"
    )


def test_argsz_covers_what_a_kernel_ignores_and_not_more(capsys, tmp_path):
    name = "vfio_device_detach_iommufd_pt@vfio_7_2"  # at least argsz and flags

    for length, argsz, status in (
        (8, 8, 0),
        (12, 12, 0),
        (16, 16, 0),
        (8, 12, 1),
        (16, 12, 1),
        (8, 4, 1),
        (4, 4, 1),
    ):
        data = packed.pack("=I", argsz).ljust(length, b"\0")
        assert unpacked(capsys, tmp_path, name, data).status == status, (length, argsz)


def test_what_has_no_size_is_as_long_as_it_is(capsys, tmp_path):
    name = "iommu_hwpt_vtd_s1@iommufd_7_2"

    assert unpacked(capsys, tmp_path, name, bytes(24)).status == 0
    short = sentence(unpacked(capsys, tmp_path, name, bytes(23)))
    assert "expected at least 24 bytes; __reserved at offset 20 is not all there (EINVAL)" in short
    assert "got 25 (0x19) bytes, expected 24 bytes in all (E2BIG)" in sentence(
        unpacked(capsys, tmp_path, name, bytes(25))
    )


def test_lenient_shows_what_is_broken(capsys, tmp_path):
    data = packed.pack("<4I", 16, 0, 5, 1)  # __reserved is 1
    name = "iommu_hwpt_set_dirty_tracking@iommufd_7_2"

    assert unpacked(capsys, tmp_path, name, data, "--abi", "x86_64").status == 1
    done = unpacked(capsys, tmp_path, name, data, "--lenient", "--abi", "x86_64")
    assert done.status == 0
    assert "RESERVED, must be 0" in done.out
    assert "let pass: iommu_hwpt_set_dirty_tracking.__reserved at offset 12: got 1" in done.out
    done = unpacked(capsys, tmp_path, name, b"\1", "--lenient", "--abi", "x86_64")
    assert (done.status, "the bytes end before size" in done.out) == (0, True)


def test_the_other_byte_order_is_recognised(capsys, tmp_path):
    done = unpacked(capsys, tmp_path, "iommu_destroy", packed.pack(">II", 8, 1), "--abi", "x86_64")

    assert "valid in the other byte order, see --abi" in sentence(done)


def test_the_discriminator_chooses_the_member_that_is_shown(capsys, tmp_path):
    name = "iommu_fault@linux_5_10"
    request = packed.pack("<6IQ2Q", 2, 0, 1, 5, 9, 1, 0x1000, 7, 8).ljust(64, b"\0")

    done = unpacked(capsys, tmp_path, name, request, "--abi", "x86_64")
    found = unpacked(capsys, tmp_path, name, request, "--abi", "x86_64", "--json").json["fields"]

    assert "prm.pasid" in done.out
    assert "event.reason" not in done.out
    assert {f["name"].partition(".")[0] for f in found if f.get("other_member")} == {"event", "padding2"}


@pytest.mark.parametrize("reader", ["_parsed", "_object"])
def test_ledgers_that_disagree_are_status_3(capsys, tmp_path, monkeypatch, reader):
    right = getattr(apart, reader)
    monkeypatch.setattr(apart, reader, lambda of, _: right(of, bytes([8, 0, 0, 0, 9, 9, 9, 9])))

    done = unpacked(capsys, tmp_path, "iommu_destroy@iommufd_7_2", packed.pack("=II", 8, 1))

    assert done.status == 3
    assert "DISAGREEMENT" in sentence(done)
    with pytest.raises(Disagreement, match="id by the"):
        examine(structs.kind("iommu_destroy"), packed.pack("=II", 8, 1))


def test_a_dump_on_a_terminal_has_a_line_for_each_field_and_is_read_again(capsys, tmp_path):
    words = ("iommu_fault@linux_5_10", "type=IOMMU_FAULT_PAGE_REQ", "prm.perm=READ|EXEC", "--abi", "x86_64")
    path = tmp_path / "dump"

    text = run(capsys, "pack", *words, "--out", "hex").out
    path.write_text(text)

    assert text.splitlines()[0] == "0000: 02 00 00 00              # type = 2 IOMMU_FAULT_PAGE_REQ"
    assert "0014: 05 00 00 00              # prm.perm = 5 READ|EXEC" in text.splitlines()
    assert text.splitlines()[-2] == "0030: 00 00 00 00 00 00 00 00  # belongs to no field"
    again = run(capsys, "unpack", words[0], path, "--abi", "x86_64", "--json").json
    assert again["size"] == 64
    assert [f["meaning"] for f in again["fields"] if f["name"] == "prm.perm"] == ["READ|EXEC"]
