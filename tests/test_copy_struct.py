"""The copy_struct_from_user() rule, as Linux documents it in include/linux/uaccess.h.

- usize == ksize: copied as is
- usize < ksize: the rest is zero-filled
- usize > ksize: bytes beyond ksize must all be 0, else -E2BIG, and nothing is copied
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi.errors import AbiError
from iommu_abi.uapi.copy_struct import copy_struct_from_user


def test_equal_sizes_are_copied_as_they_are() -> None:
    assert copy_struct_from_user(b"abcd", 4) == b"abcd"


def test_a_shorter_struct_is_continued_with_zeros() -> None:
    assert copy_struct_from_user(b"ab", 4) == b"ab\0\0"
    assert copy_struct_from_user(b"", 2) == b"\0\0"


def test_a_longer_struct_may_have_zeros_where_the_kernel_knows_nothing() -> None:
    assert copy_struct_from_user(b"abcd" + bytes(1000), 4) == b"abcd"
    assert copy_struct_from_user(bytes(3), 0) == b""


def test_a_byte_that_the_kernel_does_not_know_is_e2big_at_that_byte() -> None:
    with pytest.raises(AbiError) as caught:
        copy_struct_from_user(b"abcd\0\0\x05\x06", 4, "iommu_destroy")
    error = caught.value
    assert (error.rule.name, error.offset, error.got, error.want) == ("copy_struct.tail", 6, 5, 4)
    assert str(error) == (
        "iommu_destroy at offset 6: got 5, expected 0 beyond the 4 bytes that this kernel knows (E2BIG)"
    )


@given(st.binary(max_size=40), st.integers(0, 40))
def test_what_a_kernel_gets_is_the_beginning_or_nothing(data: bytes, ksize: int) -> None:
    if any(data[ksize:]):
        with pytest.raises(AbiError, match="E2BIG"):
            copy_struct_from_user(data, ksize)
    else:
        assert copy_struct_from_user(data, ksize) == data[:ksize].ljust(ksize, b"\0")


@pytest.mark.parametrize("given", [4, 5, 6])
def test_nothing_beyond_what_the_caller_gives_is_looked_at(given: int) -> None:
    memory = memoryview(b"abcd\0\0"[:given] + b"\x07" * 8)

    assert copy_struct_from_user(memory[:given], 4) == b"abcd"
