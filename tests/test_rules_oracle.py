"""The rows of iommufd against what a real kernel answered.

Expected: tests/data/iommufd_7_2_13_calls.txt, whose head says where it is from.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from iommu_abi import rules
from iommu_abi.errors import errno_name
from iommu_abi.schemas import uapi

DATA = Path(__file__).parent / "data"
X86 = uapi.abi("x86_64")
CALLS = [
    line.split()
    for line in (DATA / "iommufd_7_2_13_calls.txt").read_text().splitlines()
    if not line.startswith("#")
]


def memory(number: str, words: str) -> bytes:
    """What the caller had in memory."""
    given = [int(word, 16) for word in words.strip(".").split(".")]
    data = struct.pack(f"<{len(given)}I", *given)
    marked = number == "E2BIG" and given[0] == len(data) + 8
    return data + (b"\0\0\0\1" if marked else b"") + bytes(128)


@pytest.mark.parametrize("name", sorted({call[0] for call in CALLS}))
def test_a_real_kernel_s_answers_are_foreseen(name: str) -> None:
    subject = rules.command(name)
    assert subject is not None
    for _, number, words in (call for call in CALLS if call[0] == name):
        found = rules.answer(subject, memory(number, words), X86)
        by_bytes = errno_name(found.error.rule.errno) if found.error else "0"
        by_state = {errno_name(state.errno) for state in found.before}

        assert number in {by_bytes, *by_state}, f"{words}: {found.error}"


def test_most_of_what_bytes_decide_is_in_the_extract() -> None:
    broken = set()
    for name, number, words in CALLS:
        subject = rules.command(name)
        assert subject is not None
        error = rules.answer(subject, memory(number, words), X86).error
        if error and errno_name(error.rule.errno) == number:
            broken.add(error.rule.name)

    assert len(broken) > 70
