"""The rows of VFIO against the kernel's selftests and sources, 4.19 to 7.2.

Expected: tests/data/vfio_calls.txt, whose head says what was read, and whose rows say where.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from iommu_abi import rules
from iommu_abi.errors import errno_name
from iommu_abi.rules import vfio_argument
from iommu_abi.schemas import uapi

X86 = uapi.abi("x86_64")
LINES = (Path(__file__).parent / "data/vfio_calls.txt").read_text().splitlines()
ROWS = [line for line in LINES if not line.startswith("#")]


def kernels(span: str) -> list[str]:
    """The kernels with a table of their own from the first to the last that has an answer."""
    first, _, last = span.partition("-")
    known = list(rules.KERNELS)
    return known[known.index(first or known[0]) : known.index(last or known[-1]) + 1]


CALLS = [
    pytest.param(kernel, *words, id=f"{i}-{kernel}-{words[0]}-{words[1]}")
    for i, line in enumerate(LINES, 1)
    if line in ROWS
    for span, *words in [line.partition(" # ")[0].split()]
    for kernel in kernels(span)
]


def memory(words: str) -> bytes:
    return struct.pack(f"<{words.count('.') + 1}I", *(int(word, 16) for word in words.split(".")))


def by_bytes(found: rules.Answer) -> str:
    return errno_name(found.error.rule.errno) if found.error else "0"


@pytest.mark.parametrize(("kernel", "command", "number", "words"), CALLS)
def test_what_a_kernel_answers_is_foreseen(kernel: str, command: str, number: str, words: str) -> None:
    subject = rules.command(command, kernel)
    if subject is None:
        assert number == "ENOTTY"
        return
    found = rules.answer(subject, memory(words), X86)

    if number.endswith("?"):
        assert (by_bytes(found), number[:-1] in {errno_name(each.errno) for each in found.before}) == (
            "0",
            True,
        )
    else:
        assert by_bytes(found) == number, found.error


def test_every_row_of_the_table_has_its_source_and_every_command_is_in_it() -> None:
    commands = {
        ioctl.name
        for generation in uapi.VFIO
        for ioctl in generation.ioctls.values()
        if ioctl.struct and rules.any_struct(f"{ioctl.struct}@{generation.name}").rows
    } | set(vfio_argument.COMMANDS)

    assert [line for line in ROWS if not line.partition(" # ")[2]] == []
    # a file of saved state, which no selftest and no function of VFIO itself makes
    assert commands - {line.split()[1] for line in ROWS} == {"VFIO_MIG_GET_PRECOPY_INFO"}


def test_most_rules_of_bytes_are_met_by_the_table() -> None:
    met = set()
    for kernel, command, _, words in (call.values for call in CALLS):
        subject = rules.command(str(command), str(kernel))
        error = rules.answer(subject, memory(str(words)), X86).error if subject else None
        met |= {error.rule.name} if error else set()

    assert len(met) > 70
