"""What the tests of the command line share: running it here or as a process, and the captures."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iommu_abi.cli import main

DATA = Path(__file__).parent / "data"
CAPTURES = DATA / "captures"
CASES = DATA / "conformance_cases.json"


@dataclass(frozen=True)
class Done:
    """A run of the command: status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(capsys, *words: object, stdin: bytes | None = None, monkeypatch=None) -> Done:
    """main() in this process."""
    if stdin is not None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    capsys.readouterr()
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return Done(status, captured.out, captured.err)


def process(*words: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """``python -m iommu_abi`` as a process."""
    return subprocess.run(
        [sys.executable, "-m", "iommu_abi", *map(str, words)],
        input=stdin,
        capture_output=True,
        env=os.environ | environment,
        timeout=60,
    )


def sentence(done: Done) -> str:
    """The one sentence of an error; nothing else may be on stderr, and no traceback."""
    assert done.err.startswith("iommu-abi: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    return done.err.removeprefix("iommu-abi: ").rstrip("\n")


def copy_capture(name: str, tmp_path: Path) -> Path:
    """A capture that a test may change."""
    return Path(shutil.copytree(CAPTURES / name, tmp_path / name))


def edit_lines(directory: Path, edit) -> int:
    """Apply ``edit`` to each line of an oracle; it returns True for those that it changed."""
    path = directory / "oracle.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    changed = sum(bool(edit(line)) for line in lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return changed


def edit_meta(directory: Path, edit) -> None:
    """Apply ``edit`` to a capture's meta.json."""
    path = directory / "meta.json"
    meta = json.loads(path.read_text())
    edit(meta)
    path.write_text(json.dumps(meta))
