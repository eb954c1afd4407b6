"""Running an input in a process of its own, which may die of it or not come to an end."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import sys
import tempfile
import time
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from iommu_abi.fuzz.campaign import files
from iommu_abi.fuzz.process import Child, Died
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome, Problem, attempt, blank

_SANITIZER = re.compile(r"^SUMMARY: (.*)$|^.*(runtime error: .*)$", re.M)
_FRAME = re.compile(r'^  File "([^"]+)", line \d+ in (\w+|<\w+>)', re.M)
#: Of what a dying process said, this much is kept; and of what a living one says, this much.
LAST_WORDS, FLOOD = 6000, 1 << 24
#: Seconds between two looks at what a process prints.
LOOK = 0.2


class Log:
    """A file into which a process prints. It never holds much: what floods it is left out."""

    def __init__(self, path: Path) -> None:
        """InputError if something else has its name."""
        self.path = path
        os.close(files.open_plain(path, os.O_WRONLY | os.O_CREAT))

    def take_over(self) -> None:
        """Let everything that this process prints, and its last words, go here."""
        handle = files.open_plain(self.path, os.O_WRONLY | os.O_APPEND)
        os.ftruncate(handle, 0)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.close(handle)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - pytest and others replace it by what is no file
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        faulthandler.enable(file=2)

    def trim(self) -> int:
        """Empty it if there is a flood; the bytes that are gone then."""
        with contextlib.suppress(FileNotFoundError):
            size = os.lstat(self.path).st_size
            if size > FLOOD:
                os.truncate(self.path, 0)
                return size
        return 0

    def last_words(self) -> str:
        """Its end."""
        try:
            handle = files.open_plain(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return ""
        with os.fdopen(handle, "rb") as file:
            file.seek(max(0, os.fstat(handle).st_size - LAST_WORDS))
            return file.read(LAST_WORDS).decode(errors="replace")


def of_death(how: str, said: str) -> Problem:
    """The problem with an input of which a process died: how, and where by what it said."""
    found = _SANITIZER.search(said)
    frames = [f"{path.rpartition('/')[2]}:{name}" for path, name in _FRAME.findall(said)[:2]]
    where = blank(found[1] or found[2]) if found else " < ".join(frames)
    return Problem(f"{how}: {where}" if where else how, f"{how}\n{said}".rstrip())


def no_end(target: FuzzTarget) -> Problem:
    """The problem with an input that takes too long."""
    return Problem("no end", f"no end after {target.patience:g} s")


def apart(target: FuzzTarget, data: bytes) -> Outcome:
    """Run an input so that this process lives on."""
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder) / "log")

        def work(given: Any) -> Outcome:
            log.take_over()
            return attempt(target, given)

        child = Child(work)
        try:
            child.give(data)
            end = time.monotonic() + target.patience
            while not wait([child.pipe], timeout=min(LOOK, target.patience)):
                log.trim()
                if time.monotonic() >= end:
                    child.kill()
                    return Outcome(("no end",), no_end(target))
            outcome: Outcome = child.take()
            return outcome
        except Died as died:
            return Outcome(("dies",), of_death(str(died), log.last_words()))
        finally:
            child.end()
