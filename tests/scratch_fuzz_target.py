"""Targets with planted bugs, for the tests of `iommu-abi fuzz`."""

from __future__ import annotations

import ctypes
import os
import time

from hypothesis import given
from hypothesis import strategies as st


def two_bugs(data: bytes) -> None:
    if b"CMDQ" in data:
        if data[-1] & 0x80:
            raise ValueError("the planted one")
        if len(data) > 6:
            raise ValueError("the other one")


def fine(data: bytes) -> str:
    return f"{len(data) % 3} left over"


def crashes(data: bytes) -> None:
    if b"XX" in data:
        ctypes.string_at(0)


def hangs(data: bytes) -> None:
    while b"XX" in data:
        time.sleep(1)


def leaves(data: bytes) -> None:
    if b"XX" in data:
        os._exit(7)


@given(st.integers(0, 1000), st.booleans())
def drawn(number: int, flag: bool) -> None:
    assert not (flag and number > 3)
