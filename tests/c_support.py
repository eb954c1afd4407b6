"""What the tests of the C library share: tools that may be missing, programs that must succeed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "tests/c/example.c"
CORE = sorted((ROOT / "iommu_abi/core").glob("*.c"))
STRICT = ["-Wall", "-Wextra", "-Werror"]
#: What the example says.
SAID = """\
bound: 0x40005000
refused: model at offset 16: got 1 (0x1), expected 0, the driver's model
IOVA 0x5123 -> HPA 0x102123
IOVA 0x6123 blocked: level 0, entry at 0x101030, event 0x2
"""


def tool(name: str) -> str:
    """Where a program is; the test is left out, by that name, where it is not installed."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"no {name} here")
    return found


def run(*command: object, stdin: str | None = None, **environment: str) -> str:
    """What a command prints; it must succeed. It runs without the sanitizers of this process."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "LD_PRELOAD": "", **environment},
    )
    assert done.returncode == 0, (
        f"{words}\nstatus {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    )
    return done.stdout
