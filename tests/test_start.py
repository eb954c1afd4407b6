"""What a command loads before it answers: start-up is mostly imports, and imports creep in.

The bounds are what is loaded today and a little room, counted by ``-X importtime`` of a bare interpreter;
`make bench` has the times.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
CAPTURE = DATA / "captures/amd-xtsup-on-k7.2-q11"
TRANSLATE = (
    "translate", CAPTURE / "sparse.elf.xz", "--config", CAPTURE / "meta.json",
    "--rid", "00:03.0", "--iova", "0x1000", "--access", "write",
)  # fmt: skip

#: Of libraries: slow to load, and each has its place: headers at build time, terminals, ELF sections.
SLOW = ("pycparser", "rich", "elftools", "construct")

#: Command -> most modules beyond a bare interpreter's, and what it may load of SLOW.
COMMANDS = {
    ("--version",): (25, ()),
    ("--help",): (25, ()),
    ("layout", "iommu_hwpt_alloc"): (70, ()),
    ("errno", "IOMMU_IOAS_ALLOC", "-"): (85, ()),
    ("decode", DATA / "dmesg.txt"): (85, ()),
    TRANSLATE: (95, ()),
    ("pack", "iommu_hwpt_alloc", "dev_id=1", "pt_id=2", "--out", "hex"): (145, ("construct",)),
    ("unpack", "iommu_ioas_alloc", "-"): (145, ("construct",)),
}

COUNTED = """
import sys
before = set(sys.modules)
from iommu_abi.cli import main
main(sys.argv[1:])
print(*(set(sys.modules) - before), file=sys.stderr)
"""


def loaded(*words: object) -> set[str]:
    command = [sys.executable, "-c", COUNTED, *map(str, words)]
    done = subprocess.run(command, input=bytes(12), capture_output=True)
    return set(done.stderr.decode().splitlines()[-1].split())


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_command_loads_what_it_needs_and_no_more(words):
    most, slow = COMMANDS[words]

    found = loaded(*words)

    assert {name.partition(".")[0] for name in found}.intersection(SLOW) <= set(slow)
    assert len(found) <= most


def test_a_terminal_is_what_rich_is_for():
    assert not any(name.startswith("rich") for name in loaded("layout"))


def test_a_fault_is_read_without_what_other_messages_need():
    """No schemas of tables, no rules of a kernel, no readers of images."""
    found = {name.split(".")[1] for name in loaded("decode", DATA / "dmesg.txt") if name.count(".")}

    assert not found.intersection({"schemas", "rules", "structs", "images", "_core"})


def test_no_command_loads_another_ones_module():
    found = {name for name in loaded("--help") if name.startswith("iommu_abi.cli.")}

    assert found == {"iommu_abi.cli.output"}
