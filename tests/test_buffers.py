"""What Python hands to C: as many bytes as there are, whatever an object says of itself.

Nothing here may read or write a byte beyond a buffer; the guard bytes around the buffers would show it.
PEP 3118 says what a buffer's length is: the product of its shape and its itemsize.
"""

from __future__ import annotations

import array
import ctypes
import errno
import pickle
import re
import struct
from pathlib import Path

import pytest

from iommu_abi import AbiError, Device, Domain, IommuOps, Memory, UsageError
from iommu_abi.iommu import check_bind
from iommu_abi.uapi import iommufd_7_2, v1_2017
from iommu_abi.uapi.copy_struct import copy_struct_from_user
from iommu_abi.uapi.payload import validate

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {"model": 0, "ptr_align": 4096, "ptr_last": 1 << 50, "size_min": 1, "size_host": 1 << 40}
HEAD = 24  # __u64 ptr, __u64 size, __u32 model, __u32 length: the patch's struct


class Liar(bytearray):
    """A buffer of few bytes that says it has many."""

    def __len__(self):
        return 1 << 30


def blob(length, opaque=b"", model=0):
    return struct.pack("=QQII", 0x1000, 4096, model, length) + opaque


class Seen(IommuOps):
    """Keeps what its hook is given."""

    def __init__(self):
        self.opaque = None

    def bind_pasid_table(self, domain, dev, info):
        self.opaque = bytes(info.opaque)


# ---------------------------------------------------------------- structs with a tail


@pytest.mark.parametrize("length", [1, 16, 200, 0x7FFFFFFF, 0xFFFFFFE7, 0xFFFFFFFF])
@pytest.mark.parametrize("there", [0, 15])
@pytest.mark.parametrize("model", [0, 1, 77])
def test_a_tail_that_is_not_there_is_refused_before_anybody_reads_it(length, there, model):
    data = blob(length, bytes(there), model)
    if length <= there:
        pytest.skip("it is there")
    ops = Seen()

    for refuse in (lambda: Domain(ops).bind_pasid_table(Device(3), data), lambda: check_bind(data, **LIMITS)):
        with pytest.raises(AbiError) as raised:
            refuse()
        assert raised.value.rule.name == "pasid_table_info.length"
        assert (raised.value.got, raised.value.want, raised.value.errno) == (length, there, errno.EINVAL)
    assert ops.opaque is None


@pytest.mark.parametrize("size", [0, 1, 8, HEAD - 1])
def test_a_head_that_is_not_there_is_refused(size):
    for refuse in (
        lambda: Domain(Seen()).bind_pasid_table(Device(3), bytes(size)),
        lambda: check_bind(bytes(size), **LIMITS),
    ):
        with pytest.raises(AbiError) as raised:
            refuse()
        assert (raised.value.rule.name, raised.value.got) == ("pasid_table_info.truncated", size)


def test_an_object_whose_length_was_raised_afterwards_is_refused():
    info = v1_2017.pasid_table_info(ptr=0x1000, size=4096, model=0, opaque=bytes(16))
    info.length = 17

    with pytest.raises(AbiError, match=r"pasid_table_info\.length"):
        Domain(Seen()).bind_pasid_table(Device(3), info)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda data: array.array("Q", data)])
def test_a_hook_gets_exactly_the_tail_from_any_kind_of_buffer(wrap):
    ops = Seen()

    Domain(ops).bind_pasid_table(Device(3), wrap(blob(16, bytes(range(16)))))

    assert ops.opaque == bytes(range(16))


@pytest.mark.parametrize("info", [HEAD, 1 << 40, None, "x" * HEAD, [0] * HEAD, memoryview(bytes(48))[::2]])
def test_what_is_no_buffer_is_no_request(info):
    for refuse in (
        lambda: Domain(Seen()).bind_pasid_table(Device(3), info),
        lambda: check_bind(info, **LIMITS),
    ):
        with pytest.raises(UsageError, match=r"pasid_table_info: got a .+ expected a contiguous buffer"):
            refuse()


@pytest.mark.parametrize("ops", [0, None, "x", 1.5, True])
def test_what_points_to_no_hooks_is_refused(ops):
    with pytest.raises(UsageError, match="ops: got"):
        Domain(ops)


def test_pointers_are_made_of_buffers_in_one_place():
    """_core_buffers.hold() and rows(), and _seed.request(), which checks the tail."""
    users = {
        str(path.relative_to(ROOT / "iommu_abi"))
        for path in (ROOT / "iommu_abi").rglob("*.py")
        if re.search(r"\bffi\.from_buffer\(", path.read_text())
    }

    assert users <= {"_core_buffers.py", "memory.py", "uapi/_seed.py"}  # memory.py: its own array of rows


# ---------------------------------------------------------------- memory


def dying(sizes):
    """Buffers each of which is gone before the next one is made: ids and addresses are used again."""
    for i, size in enumerate(sizes):
        yield i << 40, pickle.PickleBuffer(bytearray([i + 1]) * size)


@pytest.mark.parametrize("writable", [False, True])
def test_buffers_that_only_the_memory_holds_stay_what_they_were(writable):
    sizes = [16, 16, 1 << 20, 16, 1 << 16]
    memory = Memory()

    memory.map_many(dying(sizes), writable=writable)

    assert [region.size for region in memory] == sizes
    for i, size in enumerate(sizes):
        assert memory.read(i << 40, size) == bytes([i + 1]) * size
        assert memory.read(i << 40, size + 1) is None
        if writable:
            memory.write(i << 40, bytes([100 + i]) * size)
    if writable:
        assert [memory.read(i << 40, sizes[i]) for i in range(5)] == [
            bytes([100 + i]) * sizes[i] for i in range(5)
        ]


@pytest.mark.parametrize(
    ("buffer", "size"),
    [
        (array.array("I", range(6)), 24),
        (memoryview(array.array("Q", range(6))).cast("B").cast("Q", (2, 3)), 48),
        (ctypes.c_uint64(5), 8),
        (memoryview(ctypes.c_uint64(5)), 8),  # of no dimension: it has no len()
        ((ctypes.c_uint16 * 5)(), 10),
        (Liar(32), 32),
    ],
)
def test_a_region_has_the_bytes_of_its_buffer(buffer, size):
    memory = Memory()

    memory.map(0, buffer, writable=True)
    memory.write(0, bytes([7]) * size)

    assert [region.size for region in memory] == [size]
    assert memory.read(0, size) == bytes([7]) * size
    assert memory.read(0, size + 1) is None
    with pytest.raises(UsageError, match=f"holds {size + 1} bytes"):
        memory.write(0, bytes(size + 1))


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (array.array("I", range(4)), 16),
        (memoryview(bytearray(range(32))).cast("Q", (2, 2)), 32),
        (ctypes.c_uint64(5), 8),
        (Liar(8), 8),
    ],
)
def test_all_bytes_of_what_is_written_arrive_and_no_others(data, size):
    behind = bytearray([0xEE]) * 64
    memory = Memory()
    memory.map(0, behind, writable=True)

    memory.write(8, data)

    assert behind == b"\xee" * 8 + bytes(memoryview(data)) + b"\xee" * (56 - size)
    with pytest.raises(UsageError, match=f"no writable region holds {size} bytes"):
        memory.write(64 - size + 1, data)


@pytest.mark.parametrize("buffer", [memoryview(bytearray(64))[::2], 64, "x" * 64, None, [0] * 64])
def test_what_is_no_buffer_is_no_memory(buffer):
    memory = Memory()
    memory.map(0, bytearray(128), writable=True)

    with pytest.raises(UsageError, match="expected a contiguous buffer"):
        memory.map(1 << 20, buffer)
    with pytest.raises(UsageError, match="expected a contiguous buffer"):
        memory.write(0, buffer)
    assert len(memory) == 1


def test_a_buffer_that_may_not_be_written_is_no_writable_memory():
    for buffer in (bytes(8), memoryview(bytes(8))):
        with pytest.raises(UsageError, match="expected a contiguous writable buffer"):
            Memory().map(0, buffer, writable=True)


@pytest.mark.parametrize(
    ("address", "length"), [(-1, 8), (0, -1), (0, 1 << 64), ((1 << 64) - 4, 8), (1 << 64, 1)]
)
def test_reading_what_no_address_has_is_none(address, length):
    memory = Memory()
    memory.map((1 << 64) - 8, bytes(8))

    assert memory.read(address, length) is None


# ---------------------------------------------------------------- blobs


def test_the_kernels_copy_has_all_bytes_of_a_row_of_words():
    assert copy_struct_from_user(array.array("I", [1, 2]), 12) == struct.pack("=III", 1, 2, 0)
    with pytest.raises(AbiError):
        copy_struct_from_user(array.array("I", [1, 2]), 4)
    assert copy_struct_from_user(Liar(8), 8) == bytes(8)


def test_a_payload_has_all_bytes_of_a_row_of_words():
    validate("vtd", array.array("I", [1, 0, 0, 0]))
    validate("vtd", array.array("I", [1, 0, 0, 0, 0]))
    with pytest.raises(AbiError):
        validate("vtd", array.array("I", [1, 0, 0, 0, 9]))


@pytest.mark.parametrize("strict", [False, True])
def test_blobs_are_read_from_any_kind_of_buffer(strict):
    data = blob(16, bytes(range(16)))

    for wrapped in (
        array.array("Q", data),
        memoryview(array.array("I", data)),
        (ctypes.c_uint16 * 20).from_buffer_copy(data),
    ):
        assert bytes(v1_2017.pasid_table_info.unpack(wrapped, strict=strict)) == data
    with pytest.raises(UsageError, match="expected a contiguous buffer"):
        v1_2017.pasid_table_info.unpack(memoryview(data * 2)[::2], strict=strict)
    with pytest.raises(UsageError, match="expected a contiguous buffer"):
        iommufd_7_2.iommu_destroy.unpack(8, strict=strict)


def test_a_tail_is_the_bytes_of_its_buffer_and_no_number():
    made = v1_2017.pasid_table_info(opaque=memoryview(array.array("I", range(4))))

    assert (made.length, bytes(made.opaque)) == (16, struct.pack("=4I", *range(4)))
    with pytest.raises(UsageError, match="expected bytes"):
        v1_2017.pasid_table_info(opaque=1 << 40)


def test_arrays_to_use_again_are_filled_as_far_as_they_go():
    many = v1_2017.pasid_table_info.unpack_many(blob(0) * 4)
    again = v1_2017.pasid_table_info.unpack_many(blob(0) * 3, into=many)
    assert len(again) == 3

    odd = type(many)(memoryview(bytearray(HEAD * 4 + 1))[1:], many.offsets)
    with pytest.raises(UsageError, match=r"into\.heads: it begins at .*, expected a multiple of 8"):
        v1_2017.pasid_table_info.unpack_many(blob(0) * 3, into=odd)
