"""What a campaign knows, in a directory: written so that it can be killed at any instant.

::

    corpus/TARGET/SHA1          an input that reached something new; libFuzzer and atheris name them so too
    findings/TARGET-CAUSE/      input (the smallest so far), original, meta.json, reproducer
    journal.jsonl               what happened, in its order; each line is on the disk before it counts

A file appears under its name as a whole or not at all. A finding is on the disk before anybody is told.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from iommu_abi.errors import UsageError


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a target.

    ``target`` is a name, or the words with which the command line has a user's own. ``run_as`` is how it
    shows: in a "call", only in a "process" of its own, which dies, or in the "c" target under libFuzzer.
    """

    target: tuple[str, ...]
    name: str
    cause: str
    text: str
    engine: str
    run_as: str = "call"
    minimal: bool = False

    @property
    def folder(self) -> str:
        """The same for all findings of one cause."""
        return f"{self.name}-{hashlib.sha1(self.cause.encode()).hexdigest()[:10]}"


def name_of(data: bytes) -> str:
    """The name of an input."""
    return hashlib.sha1(data).hexdigest()


def _sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Store:
    """A campaign's directory. Several processes may write into it."""

    def __init__(self, root: Path) -> None:
        """OSError if it cannot be made."""
        self.root = root
        self.findings_at = root / "findings"
        self.findings_at.mkdir(parents=True, exist_ok=True)
        self.scratch = root / "tmp"
        self.scratch.mkdir(exist_ok=True)
        self._journal = root / "journal.jsonl"
        self._lock: Any = None

    def lock(self) -> None:
        """Keep other campaigns out until this process ends; UsageError if one is at work."""
        self._lock = (self.root / "lock").open("w")
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{self.root}: another campaign is at work in this directory") from None

    def unlock(self) -> None:
        """Let others in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # ------------------------------------------------------------ corpus

    def corpus_at(self, target: str) -> Path:
        """Where the inputs of a target are."""
        path = self.root / "corpus" / target
        path.mkdir(parents=True, exist_ok=True)
        return path

    def keep(self, target: str, data: bytes) -> None:
        """Add an input to the corpus."""
        path = self.corpus_at(target) / name_of(data)
        if not path.exists():
            self._put(path, data)

    def names(self, target: str) -> list[str]:
        """The inputs that there are."""
        return sorted(name for name in os.listdir(self.corpus_at(target)) if not name.startswith("."))

    def _put(self, path: Path, data: bytes, *, durable: bool = False) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.scratch)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            _sync(path.parent)

    # ------------------------------------------------------------ findings

    def record(self, finding: Finding, data: bytes) -> bool:
        """Put a finding on the disk; False if its cause is there already."""
        final = self.findings_at / finding.folder
        if final.exists():
            return False
        made = Path(tempfile.mkdtemp(dir=self.scratch))
        for name, content in (
            ("original", data),
            ("input", data),
            ("meta.json", _meta(finding)),
            ("reproducer", f"{self.reproducer(finding)}\n".encode()),
        ):
            (made / name).write_bytes(content)
            _sync(made / name)
        _sync(made)
        try:
            made.rename(final)
        except OSError:  # another process was faster
            shutil.rmtree(made)
            return False
        _sync(self.findings_at)
        return True

    def minimised(self, finding: Finding, data: bytes) -> None:
        """Replace the input of a finding by a smaller one."""
        folder = self.findings_at / finding.folder
        self._put(folder / "input", data, durable=True)
        self._put(folder / "meta.json", _meta(replace(finding, minimal=True)), durable=True)

    def findings(self) -> list[Finding]:
        """All of them, by name."""
        found = []
        for path in sorted(self.findings_at.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                found.append(read_finding(path / "meta.json"))
        return found

    def input(self, finding: Finding) -> bytes:
        """The smallest input of a finding so far."""
        return (self.findings_at / finding.folder / "input").read_bytes()

    def original(self, finding: Finding) -> bytes:
        """The input with which it was found."""
        return (self.findings_at / finding.folder / "original").read_bytes()

    def reproducer(self, finding: Finding) -> str:
        """The command that runs a finding again."""
        path = self.findings_at / finding.folder / "input"
        engine = ["--engine", "libfuzzer"] if finding.run_as == "c" else []
        return shlex.join(["iommu-abi", "fuzz", *finding.target, *engine, "--repro", str(path)])

    # ------------------------------------------------------------ journal

    def note(self, **event: Any) -> None:
        """Append an event, and wait for the disk."""
        with self._journal.open("a") as file:
            file.write(json.dumps(event) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def events(self) -> Iterator[dict[str, Any]]:
        """Everything that was noted; a line that was cut off by a crash is left out."""
        with contextlib.suppress(FileNotFoundError), self._journal.open() as file:
            for line in file:
                with contextlib.suppress(json.JSONDecodeError):
                    yield json.loads(line)

    def mend(self) -> None:
        """End a line that a crash has cut off, and remove what was never finished."""
        with contextlib.suppress(FileNotFoundError):
            if not self._journal.read_bytes().endswith(b"\n"):
                with self._journal.open("a") as file:
                    file.write("\n")
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(exist_ok=True)


def _meta(finding: Finding) -> bytes:
    return (json.dumps(asdict(finding), indent=1) + "\n").encode()


def read_finding(path: Path) -> Finding:
    """A finding's meta.json."""
    found = json.loads(path.read_text())
    return Finding(**{**found, "target": tuple(found["target"])})
