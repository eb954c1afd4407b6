"""A user's own target: a Python function, a Hypothesis test, or a program that reads standard input."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from iommu_abi.errors import UsageError
from iommu_abi.fuzz.process import signal_name
from iommu_abi.fuzz.targets.feed import feed
from iommu_abi.fuzz.targets.target import MOST, FuzzTarget, Outcome, Problem, blank, of_exception
from iommu_abi.worlds.dice import Dice

#: Statuses with which a program says that it refuses its input, as this package's own commands do.
REFUSES = (0, 1, 2)
#: A shell says with such a status that a signal has ended its program.
_OF_A_SHELL = range(128 + 1, 128 + signal.SIGRTMAX + 1)
_REPORT = re.compile(rb"^(?:SUMMARY: .*|.*Error\b.*|.*[Aa]ssert.*|.*panicked.*)$", re.M)
#: Inputs that such a target starts from when no corpus is given.
STARTS = (b"", b"\0", bytes(24), bytes(range(64)))


def _file_name(text: str) -> str:
    """A name for files; what it does not show of the text is in a number."""
    name = re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-.") or "target"
    if len(name) <= 80 and text.isascii():
        return name
    return f"{name[:70]}-{hashlib.sha1(text.encode(errors='surrogateescape')).hexdigest()[:8]}"


class _User(FuzzTarget):
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

    A test that Hypothesis drives, ``@given(...)``, gets its values from the bytes. How far an input comes is
    said by the lines of the function's folder that it reaches, and by what it returns if that is a string.
    """

    def __init__(self, word: str, *, patience: float = 5.0) -> None:
        """UsageError if there is no such function."""
        self.patience = patience
        self.name = _file_name(word)
        self.about = f"your function {word}"
        function = _function_of(word)
        self.call = _with_bytes(function)
        code = getattr(inspect.unwrap(_inner(function)), "__code__", None)
        self.folder = os.path.dirname(code.co_filename) if code else None
        self.words = tuple(_constants(code)) if code else ()

    def run(self, data: bytes) -> Outcome:
        """Call it."""
        lines: set[str] = set()
        before = sys.gettrace()
        sys.settrace(self._tracer(lines))
        try:
            returned = self.call(data)
        except Exception as error:
            return Outcome(tuple(sorted(lines)), of_exception(error))
        finally:
            sys.settrace(before)
        if isinstance(returned, str):
            lines.add(str.__str__(returned))  # of a class of theirs it could not be sent on
        return Outcome(tuple(sorted(lines)))

    def _tracer(self, lines: set[str]) -> Any:
        """A trace function that notes lines of the folder's files."""

        def each(frame: FrameType, event: str, arg: object) -> Any:
            lines.add(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}")
            return each

        def call(frame: FrameType, event: str, arg: object) -> Any:
            return each if os.path.dirname(frame.f_code.co_filename) == self.folder else None

        return call


def _function_of(word: str) -> Any:
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
    if not callable(found):
        raise UsageError(f"--target: {word} is no function")
    return found


def _inner(found: Any) -> Any:
    """The function itself, where Hypothesis is around it."""
    hypothesis = getattr(found, "hypothesis", None)
    return hypothesis.inner_test if hypothesis else found


def _constants(code: CodeType) -> Iterator[bytes]:
    """The numbers and texts in a function: what it may compare its input with."""
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _constants(value)
        elif isinstance(value, (bytes, str)) and value:
            yield value.encode(errors="surrogatepass") if isinstance(value, str) else value
        elif isinstance(value, int) and 1 < value < 1 << 64:
            size = next(size for size in (1, 2, 4, 8) if value < 1 << 8 * size)
            yield value.to_bytes(size, "little")
            yield value.to_bytes(size, "big")


def _with_bytes(found: Any) -> Callable[[bytes], Any]:
    """What takes the bytes: the function, or Hypothesis, which makes its arguments of them."""
    hypothesis = getattr(found, "hypothesis", None)
    return hypothesis.fuzz_one_input if hypothesis else found  # type: ignore[no-any-return]


class Program(_User):
    """A command that reads standard input; a signal, or any status but 0, 1, 2, is a finding."""

    def __init__(self, command: str, *, patience: float = 5.0) -> None:
        """UsageError if there is no such program."""
        self.command, self.patience = _words(command), patience
        self.name = _file_name(f"program {os.path.basename(self.command[0])} {' '.join(self.command[1:])}")
        self.about = f"your program {command}"

    def run(self, data: bytes) -> Outcome:
        """Run it."""
        ended = feed(self.command, data, self.patience)
        if ended.status is None:
            return Outcome(("no end",), Problem("no end", f"no end after {self.patience:g} s"))
        status, said = ended.status, ended.said
        if status in REFUSES:
            return Outcome((f"status {status}", f"status {status}: {_last(said)}"))
        how = f"status {status}" if status >= 0 else f"died of {signal_name(-status)}"
        if status in _OF_A_SHELL:
            how += f" ({signal_name(status - 128)} in a shell)"
        report = _REPORT.search(said)
        line = report[0].decode(errors="replace") if report else ""
        cause = f"{how}: {blank(line)}" if line else how
        return Outcome((how,), Problem(cause, f"{how}\n{said[-4000:].decode(errors='replace')}".rstrip()))


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--program: {command!r}: {error}") from None
    if not words:
        raise UsageError(f"--program: got {command!r}, expected a command")
    if shutil.which(words[0]) is None:
        raise UsageError(f"--program: there is no program {words[0]!r}")
    return words


def _last(said: bytes) -> str:
    """The last line, without its numbers: how far the program came."""
    lines = said.decode(errors="replace").strip().splitlines()
    return blank(lines[-1])[:120] if lines else ""
