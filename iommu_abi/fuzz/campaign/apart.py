"""Running an input in a process of its own, which may die of it or not come to an end."""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import tempfile
from multiprocessing.connection import wait
from typing import Any

from iommu_abi.fuzz.process import Child, Died
from iommu_abi.fuzz.targets.target import Outcome, Problem, Target, attempt, blank

_SANITIZER = re.compile(r"^SUMMARY: (.*)$|^.*(runtime error: .*)$", re.M)
_FRAME = re.compile(r'^  File "([^"]+)", line \d+ in (\w+|<\w+>)', re.M)
#: Of what a dying process said, this much is kept.
LAST_WORDS = 6000


def talk_into(path: str) -> None:
    """Let everything that this process prints, and its last words, go into a file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - pytest and others replace it by what is no file
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    faulthandler.enable(file=2)


def of_death(how: str, said: str) -> Problem:
    """The problem with an input of which a process died: how, and where by what it said."""
    found = _SANITIZER.search(said)
    frames = [f"{path.rpartition('/')[2]}:{name}" for path, name in _FRAME.findall(said)[:2]]
    where = blank(found[1] or found[2]) if found else " < ".join(frames)
    return Problem(f"{how}: {where}" if where else how, f"{how}\n{said[-LAST_WORDS:]}".rstrip())


def no_end(target: Target) -> Problem:
    """The problem with an input that takes too long."""
    return Problem("no end", f"no end after {target.patience:g} s")


def apart(target: Target, data: bytes) -> Outcome:
    """Run an input so that this process lives on."""
    with tempfile.NamedTemporaryFile() as log:

        def work(given: Any) -> Outcome:
            talk_into(log.name)
            return attempt(target, given)

        child = Child(work)
        try:
            child.give(data)
            if not wait([child.pipe], timeout=target.patience):
                child.kill()
                return Outcome(("no end",), no_end(target))
            outcome: Outcome = child.take()
            return outcome
        except Died as died:
            return Outcome(("dies",), of_death(str(died), log.read().decode(errors="replace")))
        finally:
            child.end()
