"""The man pages say what the parsers and the headers say, and formatters have nothing against them."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from c_support import ROOT, run, tool

from iommu_abi.cli import COMMANDS

sys.path.insert(0, str(ROOT / "packaging"))
import man

PAGES = sorted((ROOT / "packaging/man").iterdir())


@pytest.mark.parametrize("name", man.MADE)
def test_a_page_is_what_its_source_makes_now(name):
    assert (man.PAGES / name).read_text() == man.MADE[name](), "run: make man"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_groff_warns_of_nothing(page):
    done = subprocess.run(
        [tool("groff"), "-man", "-Tascii", "-ww", "-z", page], capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_mandoc_finds_nothing_but_that_there_is_no_date(page):
    done = subprocess.run(
        [tool("mandoc"), "-T", "lint", "-W", "warning", page], capture_output=True, text=True
    )

    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def shown(name: str) -> str:
    """The page as a reader sees it, without bold and underlined."""
    text = run(tool("groff"), "-man", "-Tascii", "-P-cbou", "-rLL=100n", man.PAGES / name)
    return re.sub(r"\s+", " ", text)


def test_the_commands_page_has_every_command_with_its_examples():
    text = shown("iommu-abi.1")

    for command in COMMANDS:
        assert f" {command} iommu-abi {command} [-h]" in text
    assert "iommu-abi translate" in text
    assert "EXIT STATUS 0 yes; 1 a finding" in text


def test_the_librarys_page_has_every_function_and_struct_of_the_headers():
    text = shown("iommu_abi.3")
    headers = [ROOT / "cdefs/iommu_abi.h", *(ROOT / "cdefs/iommu_abi").glob("*.h")]
    declared = "".join(path.read_text() for path in headers)
    functions = re.findall(r"^IOMMU_ABI_API [^;(]*?(\w+)\(", declared, re.M)
    structs = re.findall(r"^(struct \w+) {", declared, re.M)

    assert len(functions) > 20
    assert [name for name in functions if f"{name}(" not in text] == []
    assert [name for name in structs if f"{name} {{" not in text] == []


def test_a_line_that_begins_like_a_request_is_text():
    assert man.escape(".so /etc/passwd\n'tis -x \\") == "\\&.so /etc/passwd\n\\&'tis \\-x \\e"
