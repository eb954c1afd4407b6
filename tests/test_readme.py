"""The README's output is what its commands print. `python tests/test_readme.py` writes it anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


def commands(block: str) -> list[str]:
    return re.findall(r"^\$ (.*)$", block, re.M)


def printed(command: str) -> str:
    """What a person sees at 80 columns, without colour; both streams."""
    program, *rest = command.split()
    start = {"iommu-abi": [sys.executable, "-m", "iommu_abi"], "python": [sys.executable]}[program]
    env = os.environ | {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        [*start, *rest], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def fresh(block: str) -> str:
    return "".join(f"$ {command}\n{printed(command)}" for command in commands(block))


@pytest.mark.parametrize("block", BLOCK.findall(README.read_text()), ids=lambda b: b.split("\n")[0][2:40])
def test_the_readme_shows_what_its_commands_print(block):
    assert block == fresh(block), "run: python tests/test_readme.py"


def test_the_demo_is_one_file_of_at_most_80_lines_on_the_public_api():
    text = (ROOT / "demo.py").read_text()

    assert len(text.splitlines()) <= 80
    assert not re.search(r"\b_\w+|_core", text.replace("__future__", ""))


if __name__ == "__main__":
    README.write_text(BLOCK.sub(lambda m: f"```console\n{fresh(m[1])}```", README.read_text()))
