"""ctypes types of the user API: the seed's struct as an object."""

from __future__ import annotations

import copy
import ctypes
import pickle
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iommu_abi import AbiError, UsageError
from iommu_abi.uapi import rfc2017, v1_2017

u64 = st.integers(0, 2**64 - 1)
info_type = v1_2017.pasid_table_info


def blob(ptr=0x20000, size=4096, model=0, opaque=b"", length=None):
    length = len(opaque) if length is None else length
    return struct.pack("=QQII", ptr, size, model, length) + opaque


@given(u64, u64, st.sampled_from([0, 1]), st.binary(max_size=64))
def test_what_struct_packs_unpacks_to_the_same_values_and_back(ptr, size, model, opaque):
    data = blob(ptr, size, model, opaque)

    info = info_type.unpack(data)

    assert (info.ptr, info.size, info.model, info.length, bytes(info.opaque)) == (
        ptr, size, model, len(opaque), opaque
    )  # fmt: skip
    assert info.pack() == bytes(info) == data
    assert info_type(ptr=ptr, size=size, model=model, opaque=opaque) == info


@pytest.mark.parametrize("n", [0, 1, 5, 8, 16, 4096])
def test_a_sized_struct_has_exactly_the_bytes_of_header_and_tail(n):
    assert ctypes.sizeof(info_type.sized(n)) == 24 + n


@pytest.mark.parametrize(
    ("data", "rule", "field", "offset", "got", "want", "errno"),
    [
        (b"", "pasid_table_info.truncated", "ptr", 0, 0, 24, 22),
        (blob()[:7], "pasid_table_info.truncated", "ptr", 0, 7, 24, 22),
        (blob()[:8], "pasid_table_info.truncated", "size", 8, 8, 24, 22),
        (blob()[:19], "pasid_table_info.truncated", "model", 16, 19, 24, 22),
        (blob()[:23], "pasid_table_info.truncated", "length", 20, 23, 24, 22),
        (blob(model=2), "pasid_table_info.model", "model", 16, 2, 0, 22),
        (blob(model=0xFFFFFFFF), "pasid_table_info.model", "model", 16, 0xFFFFFFFF, 0, 22),
        (blob(length=1), "pasid_table_info.length", "length", 20, 1, 0, 22),
        (blob(opaque=b"12345678", length=9), "pasid_table_info.length", "length", 20, 9, 8, 22),
        (blob(length=0xFFFFFFFF), "pasid_table_info.length", "length", 20, 0xFFFFFFFF, 0, 22),
        (blob() + b"\0", "pasid_table_info.trailing", "opaque", 24, 25, 24, 7),
        (blob(opaque=b"12345678", length=7), "pasid_table_info.trailing", "opaque", 31, 32, 31, 7),
    ],
)
def test_a_broken_envelope_names_rule_field_offset_values_and_errno(
    data, rule, field, offset, got, want, errno
):
    with pytest.raises(AbiError) as caught:
        info_type.unpack(data)

    e = caught.value
    assert (e.rule.name, e.field, e.offset, e.got, e.want, e.errno) == (rule, field, offset, got, want, errno)
    assert isinstance(e, OSError)


def test_the_sentence_says_what_where_got_and_expected():
    with pytest.raises(AbiError) as caught:
        info_type.unpack(blob(length=5))

    assert str(caught.value) == (
        "pasid_table_info.length at offset 20: got 5, expected the 0 bytes that follow the header (EINVAL)"
    )


def test_the_rfcs_models_are_other_numbers():
    # lineage A2: renumbered, so that the RFC's "Intel" is v1's "Arm"
    assert rfc2017.pasid_table_info.unpack(blob(model=2)).model == rfc2017.ARM_SMMU
    for gen, model in ((rfc2017, 0), (rfc2017, 3), (v1_2017, 2)):
        with pytest.raises(AbiError, match="model"):
            gen.pasid_table_info.unpack(blob(model=model))


def test_lenient_keeps_an_unknown_model_and_drops_trailing_bytes():
    info = info_type.unpack(blob(model=77, opaque=b"ab") + b"rest", strict=False)

    assert (info.model, bytes(info.opaque), len(bytes(info))) == (77, b"ab", 26)


@pytest.mark.parametrize("data", [b"", blob()[:23], blob(length=1), blob(model=9, length=1)])
def test_lenient_still_refuses_missing_bytes(data):
    with pytest.raises(AbiError):
        info_type.unpack(data, strict=False)


def test_a_view_is_the_buffer_and_not_a_copy():
    buffer = bytearray(blob(opaque=b"abc"))

    view = info_type.view(buffer)
    view.ptr = 0x7000

    assert buffer[:8] == (0x7000).to_bytes(8, "little" if struct.pack("=H", 1)[0] else "big")


def test_a_view_never_reads_past_the_buffer():
    with pytest.raises(AbiError):
        info_type.view(bytearray(blob(length=64)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("ptr", -1), ("ptr", 1 << 64), ("model", 1 << 32), ("length", 1.5), ("size", "4096"), ("size", None)],
)
def test_a_value_that_does_not_fit_is_refused_on_assignment(name, value):
    info = info_type()

    with pytest.raises(UsageError, match=f"pasid_table_info.{name}"):
        setattr(info, name, value)
    assert bytes(info) == bytes(24)


def test_a_misspelt_field_is_an_error():
    info = info_type()

    with pytest.raises(AttributeError, match="no field 'pttr'"):
        info.pttr = 3
    with pytest.raises(AttributeError, match="no field 'opaq'"):
        info_type(opaq=b"")


def test_an_array_element_that_does_not_fit_is_refused():
    # ctypes itself stores 300 in a c_uint8 array element as 44
    info = info_type(opaque=b"abc")

    with pytest.raises(UsageError, match="300"):
        info.opaque[0] = 300
    info.opaque[0] = 255
    assert bytes(info.opaque) == b"\xffbc"


def test_an_array_is_assigned_as_a_whole_or_not_at_all():
    info = info_type(opaque=b"abc")

    info.opaque = b"xyz"

    assert bytes(info.opaque) == b"xyz"
    with pytest.raises(UsageError, match="expected 3 values"):
        info.opaque = b"toolong"
    assert bytes(info.opaque) == b"xyz"


def test_equality_is_by_value_and_copies_are_independent():
    info = info_type(ptr=1, opaque=b"abc")
    twin = copy.copy(info)

    assert twin == info == copy.deepcopy(info) == pickle.loads(pickle.dumps(info))
    twin.ptr = 2
    assert twin != info
    assert info.ptr == 1
    assert info != info_type(ptr=1, opaque=b"ab")


def test_what_can_change_has_no_hash():
    with pytest.raises(TypeError, match="no hash"):
        hash(info_type())


def test_the_kernel_would_be_given_the_exact_bytes():
    # fcntl.ioctl and memoryview take the object through the buffer protocol
    info = info_type(ptr=0x1000, size=256, opaque=b"\1\2\3")

    assert memoryview(info).nbytes == 27
    assert memoryview(info).tobytes() == blob(0x1000, 256, 0, b"\1\2\3")


def test_an_explicit_length_is_kept_so_that_broken_blobs_can_be_made():
    assert info_type(length=9).length == 9


# ---------------------------------------------------------------- the short cut for bytes, and many blobs


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3), st.binary(max_size=40)), max_size=6))
def test_many_blobs_are_what_each_is_alone(rows):
    blobs = [struct.pack("=QQII", ptr, 4096, model & 1, len(opaque)) + opaque for ptr, model, opaque in rows]

    many = v1_2017.pasid_table_info.unpack_many(b"".join(blobs))

    assert len(many) == len(blobs)
    for blob, head, offset in zip(blobs, many.heads, many.offsets, strict=True):
        alone = v1_2017.pasid_table_info.unpack(blob)
        assert (head.ptr, head.size, head.model, head.length) == (
            alone.ptr,
            alone.size,
            alone.model,
            alone.length,
        )
        assert b"".join(blobs)[offset : offset + head.length] == bytes(alone.opaque)


def test_a_bad_blob_among_many_is_named_by_its_number_and_place():
    good = struct.pack("=QQII", 0, 4096, 1, 0)

    with pytest.raises(AbiError, match=r"pasid_table_info\[2\].model at offset 64: got 9"):
        v1_2017.pasid_table_info.unpack_many(good + good + struct.pack("=QQII", 0, 4096, 9, 0))


def test_arrays_are_used_again():
    blob = struct.pack("=QQII", 5, 4096, 1, 0)
    arrays = v1_2017.pasid_table_info.unpack_many(blob * 4)

    again = v1_2017.pasid_table_info.unpack_many(blob * 2, into=arrays)

    assert [head.ptr for head in again.heads] == [5, 5]
    with pytest.raises(AbiError, match="ENOSPC"):
        v1_2017.pasid_table_info.unpack_many(blob * 5, into=arrays)


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_and_every_call_is_checked_alike(form):
    good = struct.pack("=QQII", 5, 4096, 1, 2) + b"ab"
    bad = struct.pack("=QQII", 5, 4096, 7, 2) + b"ab"

    for _ in range(2):  # the second call takes the short cut
        assert v1_2017.pasid_table_info.unpack(form(good)).ptr == 5
        with pytest.raises(AbiError, match="model"):
            v1_2017.pasid_table_info.unpack(form(bad))
        assert v1_2017.pasid_table_info.unpack(form(bad), strict=False).model == 7
