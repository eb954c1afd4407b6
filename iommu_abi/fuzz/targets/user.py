"""A user's own target: a Python function, a Hypothesis test, or a program that reads standard input."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from iommu_abi.errors import UsageError
from iommu_abi.fuzz.targets.target import MOST, Outcome, Problem, Target, blank
from iommu_abi.fuzz.worlds import Dice

#: Statuses with which a program says that it refuses its input, as this package's own commands do.
REFUSES = (0, 1, 2)
#: Signals of a program that has gone wrong; a shell adds 128.
_SIGNALS = {number.value: number.name for number in signal.Signals}
_REPORT = re.compile(rb"^(?:SUMMARY: .*|.*Error\b.*|.*[Aa]ssert.*|.*panicked.*)$", re.M)
#: Inputs that such a target starts from when no corpus is given.
STARTS = (b"", b"\0", bytes(24), bytes(range(64)))


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-")[:80] or "target"


class _User(Target):
    """What both have in common: nothing is known about their inputs but what the corpus has."""

    def seeds(self, dice: Dice) -> Iterator[bytes]:
        """A few plain ones, and blobs of the seed's struct."""
        from iommu_abi.fuzz import blobs

        yield from STARTS
        for payload in blobs.SIZES:
            yield blobs.valid(dice, "v1_2017", payload, full=True).data

    def fresh(self, dice: Dice) -> bytes:
        """Any bytes, mostly few."""
        return dice.randbytes(dice.number(9) % MOST)


class Function(_User):
    """``module:function``, called with the bytes. An exception is a finding.

    A test that Hypothesis drives, ``@given(...)``, gets its values from the bytes. What the function
    returns, if it is a string or a list of strings, says how far the input came.
    """

    def __init__(self, word: str, *, patience: float = 5.0) -> None:
        """UsageError if there is no such function."""
        self.word, self.patience = word, patience
        self.name = _file_name(word)
        self.about = f"your function {word}"
        self.call = _function(word)

    def run(self, data: bytes) -> Outcome:
        """Call it."""
        returned = self.call(data)
        if isinstance(returned, str):
            return Outcome((returned,))
        if isinstance(returned, (list, tuple, set, frozenset)) and all(
            isinstance(each, str) for each in returned
        ):
            return Outcome(tuple(returned))
        return Outcome((f"returns {type(returned).__name__}",))


def _function(word: str) -> Callable[[bytes], Any]:
    module, colon, name = word.partition(":")
    if not colon or not module or not name:
        raise UsageError(f"--target: got {word!r}, expected a target's name or MODULE:FUNCTION")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # whatever a user's module does when it is imported
        raise UsageError(f"--target: cannot import {module}: {type(error).__name__}: {error}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"--target: {module} has no {name}")
        found = getattr(found, part)
    hook = getattr(getattr(found, "hypothesis", None), "fuzz_one_input", None)
    if not callable(hook or found):
        raise UsageError(f"--target: {word} is no function")
    return hook or found  # type: ignore[no-any-return]


class Program(_User):
    """A command that reads its input from standard input; a signal, or any status but 0, 1, 2, is a finding."""

    def __init__(self, command: str, *, patience: float = 5.0) -> None:
        """UsageError if there is no such program."""
        self.words, self.patience = _words(command), patience
        self.command = command
        self.name = _file_name(f"program {os.path.basename(self.words[0])} {' '.join(self.words[1:])}")
        self.about = f"your program {command}"

    def run(self, data: bytes) -> Outcome:
        """Run it."""
        child = subprocess.Popen(
            self.words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, said = child.communicate(data, timeout=self.patience)
        except subprocess.TimeoutExpired:
            _end(child)
            return Outcome(("no end",), Problem("no end", f"no end after {self.patience:g} s"))
        finally:
            _end(child)
        status = child.returncode
        if status in REFUSES:
            return Outcome((f"status {status}", f"status {status}: {_last(said)}"))
        how = f"status {status}" if status >= 0 else f"died of {_SIGNALS.get(-status, -status)}"
        if status > 128:
            how += f" ({_SIGNALS.get(status - 128, '?')} in a shell)"
        report = _REPORT.search(said)
        line = report[0].decode(errors="replace") if report else ""
        cause = f"{how}: {blank(line)}" if line else how
        return Outcome((how,), Problem(cause, f"{how}\n{said[-4000:].decode(errors='replace')}".rstrip()))


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--program: {command!r}: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise UsageError(f"--program: there is no program {words[0] if words else ''!r}")
    return words


def _last(said: bytes) -> str:
    """The last line, without its numbers: how far the program came."""
    lines = said.decode(errors="replace").strip().splitlines()
    return blank(lines[-1])[:120] if lines else ""


def _end(child: subprocess.Popen[bytes]) -> None:
    """End it and what it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stderr:
        child.stderr.close()
