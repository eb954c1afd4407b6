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


def hostile_texts(data: bytes) -> None:
    """Exceptions that cannot be written as they are."""
    if not data:
        raise KeyError("\udc80\0\x1b[2J" * 9)
    if len(data) == 1:
        raise LookupError("\0")
    if len(data) == 24:
        raise OSError(5, "\udcff\x1b]0;owned\7", "\udcff")


def floods(data: bytes) -> None:
    """One input is a flood, however slow the machine is; and there are few of them in a second."""
    os.write(1, b"all work and no play\n" * 1_000_000)
    time.sleep(0.3)


_CALLS = [0]


def wanders(data: bytes) -> str:
    """It changes the process that it runs in, and then is wrong."""
    os.chdir("/")
    os.fork()
    _CALLS[0] += 1
    if _CALLS[0] == 30:
        raise ValueError("found")
    return f"{_CALLS[0]} " + "of a book" * 100_000


def one_rare(data: bytes) -> None:
    """Wrong with the first input that is long enough, and from then on with no other."""
    first = os.path.join(os.getcwd(), "first")
    if len(data) > 30 and not os.path.exists(first):
        with open(first, "wb") as file:
            file.write(data)
    if os.path.exists(first):
        with open(first, "rb") as file:
            if file.read() == data:
                raise ValueError("the first one")
