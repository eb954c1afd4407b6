"""What a campaign knows, in a directory: written so that it can be killed at any instant.

::

    corpus/TARGET/SHA1          an input that reached something new; libFuzzer and atheris name them so too
    findings/TARGET-CAUSE/      input (the smallest so far), original, meta.json, reproducer
    journal.jsonl               what happened, in its order; each line is on the disk before it counts
    running/N                   the input that a process is at (``slots``)
    artifacts/TARGET/           what libFuzzer has died of, until it is a finding
    tmp/iommu-abi-*             what is not finished

A file appears under its name as a whole or not at all. A finding is on the disk before anybody is told, and
before anything is noted about it. The directory may be damaged, or have come from strangers: see ``files``.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from iommu_abi.errors import UsageError
from iommu_abi.fuzz.campaign import files
from iommu_abi.fuzz.campaign.files import sync
from iommu_abi.fuzz.targets.target import MOST
from iommu_abi.inputs import InputError, parse_json

#: What begins the name of everything in tmp/ that is ours.
UNFINISHED = "iommu-abi-"
#: Bytes of a journal, of one of its lines, and of a finding's files, at most.
MOST_JOURNAL, MOST_LINE, MOST_FILE = 1 << 32, 1 << 26, 1 << 22
RUN_AS = ("call", "process", "c")


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
        return f"{self.name}-{hashlib.sha1(self.cause.encode(errors='surrogatepass')).hexdigest()[:10]}"


def name_of(data: bytes) -> str:
    """The name of an input."""
    return hashlib.sha1(data).hexdigest()


class Store:
    """A campaign's directory. Several processes may write into it."""

    def __init__(self, root: Path) -> None:
        """OSError if it cannot be made, InputError if parts of it are something else."""
        #: As the user names it; ``at`` is the same wherever the process goes.
        self.root, self.at = root, root.absolute()
        self.at.mkdir(parents=True, exist_ok=True)
        self.findings_at = files.directory(self.at / "findings")
        self.scratch = files.directory(self.at / "tmp")
        self.running_at = files.directory(self.at / "running")
        self._journal = self.at / "journal.jsonl"
        self._lock: int | None = None

    def lock(self) -> None:
        """Keep other campaigns out until this process ends; UsageError if one is at work."""
        self._lock = files.open_plain(self.at / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{self.root}: another campaign is at work in this directory") from None

    def unlock(self) -> None:
        """Let others in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # ------------------------------------------------------------ corpus

    def _folder(self, kind: str, target: str) -> Path:
        return files.directory(files.directory(self.at / kind) / target)

    def corpus_at(self, target: str) -> Path:
        """Where the inputs of a target are."""
        return self._folder("corpus", target)

    def artifacts_at(self, target: str) -> Path:
        """Where libFuzzer puts what it dies of."""
        return self._folder("artifacts", target)

    def keep(self, target: str, data: bytes, *, durable: bool = False) -> None:
        """Add an input to the corpus."""
        path = self.corpus_at(target) / name_of(data)
        if not os.path.lexists(path):
            self._put(path, data, durable=durable)

    def forget(self, target: str, name: str) -> None:
        """Take an input out of the corpus, if it is there: whoever runs it dies."""
        (self.corpus_at(target) / name).unlink(missing_ok=True)

    def names(self, target: str) -> list[str]:
        """The inputs that there are; InputError if something is no plain file."""
        return sorted(files.plain_names(self.corpus_at(target)))

    def kept(self, target: str, name: str) -> bytes:
        """An input of the corpus: its first bytes, if somebody else has put a longer one there."""
        with os.fdopen(files.open_plain(self.corpus_at(target) / name, os.O_RDONLY), "rb") as file:
            return file.read(MOST)

    def _put(self, path: Path, data: bytes, *, durable: bool = False) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.scratch, prefix=UNFINISHED)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            sync(path.parent)

    # ------------------------------------------------------------ findings

    def record(self, finding: Finding, data: bytes) -> bool:
        """Put a finding on the disk; False if its cause is there already."""
        final = self.findings_at / finding.folder
        if os.path.lexists(final):
            read_finding(final)  # InputError if it is no finding: this one must not get lost behind it
            return False
        made = Path(tempfile.mkdtemp(dir=self.scratch, prefix=UNFINISHED))
        for name, content in (
            ("original", data),
            ("input", data),
            ("meta.json", _meta(finding)),
            ("reproducer", os.fsencode(f"{self.reproducer(finding)}\n")),
        ):
            (made / name).write_bytes(content)
            sync(made / name)
        sync(made)
        try:
            made.rename(final)
        except OSError as error:
            shutil.rmtree(made)
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            return False  # another process was faster
        sync(self.findings_at)
        return True

    def minimised(self, finding: Finding, data: bytes) -> None:
        """Replace the input of a finding by a smaller one."""
        folder = files.directory(self.findings_at / finding.folder)
        self._put(folder / "input", data, durable=True)
        self._put(folder / "meta.json", _meta(replace(finding, minimal=True)), durable=True)

    def findings(self) -> list[Finding]:
        """All of them, by name; InputError if one cannot be read, for it would get lost in silence."""
        return [read_finding(path) for path in sorted(self.findings_at.iterdir())]

    def input(self, finding: Finding) -> bytes:
        """The smallest input of a finding so far."""
        return files.read(self.findings_at / finding.folder / "input", MOST_FILE)

    def original(self, finding: Finding) -> bytes:
        """The input with which it was found."""
        return files.read(self.findings_at / finding.folder / "original", MOST_FILE)

    def reproducer(self, finding: Finding) -> str:
        """The command that runs a finding again."""
        path = self.root / "findings" / finding.folder / "input"
        engine = ["--engine", "libfuzzer"] if finding.run_as == "c" else []
        return shlex.join(["iommu-abi", "fuzz", *finding.target, *engine, "--repro", str(path)])

    # ------------------------------------------------------------ journal

    def note(self, **event: Any) -> None:
        """Append an event, and wait for the disk."""
        handle = files.open_plain(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with os.fdopen(handle, "wb") as file:
            file.write(f"{json.dumps(event)}\n".encode("ascii"))
            file.flush()
            os.fsync(file.fileno())

    def events(self) -> Iterator[dict[str, Any]]:
        """Everything that was noted; a line that was cut off by a crash, or is damaged, is left out."""
        return (value for value in self.lines() if isinstance(value, dict))

    def lines(self) -> Iterator[Any]:
        """The value of every line of the journal; None for one that is no JSON."""
        try:
            handle = files.open_plain(self._journal, os.O_RDONLY)
        except FileNotFoundError:
            return
        with os.fdopen(handle, "rb") as file:
            size = os.fstat(handle).st_size
            if size > MOST_JOURNAL:
                raise InputError(f"{self._journal}: {size} bytes, which no campaign has written")
            while line := file.readline(MOST_LINE):
                # beside what is no JSON: numbers of thousands of digits, lists in lists without end
                try:
                    yield json.loads(line.decode(errors="replace"))
                except (ValueError, RecursionError):
                    yield None

    def check(self, targets: Iterable[str]) -> None:
        """Look at everything that a campaign of these targets will meet; InputError for what is not ours."""
        for finding in self.findings():
            self.input(finding)
            self.original(finding)
        for target in targets:
            self.names(target)
            list(files.plain_names(self.artifacts_at(target)))
        list(files.plain_names(self.running_at))

    def mend(self) -> None:
        """End a line that a crash has cut off, and remove what was never finished."""
        with os.fdopen(files.open_plain(self._journal, os.O_RDWR | os.O_CREAT), "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                file.write(b"\n")
        for path in list(self.scratch.iterdir()):
            if path.name.startswith(UNFINISHED):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def _meta(finding: Finding) -> bytes:
    return (json.dumps(asdict(finding), indent=1) + "\n").encode()


def read_finding(folder: Path) -> Finding:
    """The finding in a directory; InputError if it is none."""
    files.directory(folder)
    path = folder / "meta.json"
    try:
        text = files.read(path, MOST_FILE).decode("utf-8")
    except FileNotFoundError:
        raise InputError(f"{folder}: no finding: it has no meta.json") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: no text") from None
    made = _finding(parse_json(text, str(path)))
    if made is None:
        raise InputError(f"{path}: these are not the fields of a finding")
    if made.folder != folder.name:
        raise InputError(f"{path}: it is about {made.folder!r}, another finding")
    return made


def _finding(found: object) -> Finding | None:
    """The finding that a JSON value is, if it is one."""
    names = {field.name for field in fields(Finding)}
    if not isinstance(found, dict) or found.keys() != names:
        return None
    target, minimal = found["target"], found["minimal"]
    texts = [found[name] for name in names - {"target", "minimal"}]
    if not isinstance(target, list) or not target or not isinstance(minimal, bool):
        return None
    if not all(isinstance(each, str) for each in (*target, *texts)) or found["run_as"] not in RUN_AS:
        return None
    return Finding(**{**found, "target": tuple(target)})
