"""What a target is: bytes -> an outcome. Engines need to know nothing else.

A target never raises for its input: what is wrong is a :class:`Problem` with a *cause*, the same for
two inputs with the same fault. Its *features* say how far an input came, in words: a way to fail, a
broken rule. An input with a feature that no other had is worth keeping.
"""

from __future__ import annotations

import re
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from iommu_abi.errors import Error
from iommu_abi.worlds.dice import Dice

#: Bytes of an input, at most.
MOST = 1 << 14
#: Characters of a cause, of the words about it, and of a feature, at most.
MOST_CAUSE, MOST_TEXT, MOST_FEATURE = 400, 20_000, 400
#: What is no line and no text: control characters but the tab, halves of surrogate pairs.
_NO_LINE = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NO_TEXT = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class CannotRun(Error):
    """A target that cannot be run at all, which says nothing about an input."""


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def one_line(text: str, most: int = MOST_CAUSE) -> str:
    """A text as one line of bounded length; what cannot be written into any file is escaped."""
    line = _NO_LINE.sub(_escaped, text[: most + 1])
    return line if len(line) <= most else line[: most - 3] + "..."


def _bounded(text: str) -> str:
    """The end of a text, where the reasons stand; what cannot be written into any file is escaped."""
    cut = text if len(text) <= MOST_TEXT else f"(the end of {len(text)} characters)\n{text[-MOST_TEXT:]}"
    return _NO_TEXT.sub(_escaped, cut)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong. ``cause`` is one line and has no numbers of this input.

    Both may come from a user's program: they are kept so that they can be written and shown.
    """

    cause: str
    text: str

    def __post_init__(self) -> None:
        """Whoever makes one need not care."""
        object.__setattr__(self, "cause", one_line(self.cause))
        object.__setattr__(self, "text", _bounded(self.text))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an input ended. ``notes`` are differences that are explained: they are counted, not reported."""

    features: tuple[str, ...] = ()
    problem: Problem | None = None
    notes: tuple[str, ...] = ()


class FuzzTarget(ABC):
    """One thing that is fuzzed."""

    name: str
    about: str
    #: The C target of the same inputs, tests/c/fuzz_NAME.c; "" if there is none.
    c_target: str = ""
    #: Bytes that mean something to it, for edits that do not know its structure.
    words: Sequence[bytes] = ()
    #: Seconds that one input may take.
    patience: float = 10.0

    @abstractmethod
    def seeds(self, dice: Dice) -> Iterator[bytes]:
        """Valid inputs, and others worth starting from; a small number of them."""

    @abstractmethod
    def run(self, data: bytes) -> Outcome:
        """Run one input."""

    def vary(self, data: bytes, dice: Dice) -> bytes:
        """A relative of an input that keeps its structure; by default the input itself."""
        return data

    def fresh(self, dice: Dice) -> bytes:
        """A new input that owes nothing to the corpus; by default any bytes."""
        return dice.randbytes(dice.number(8))

    def show(self, data: bytes) -> list[str]:
        """An input in words, line by line."""
        return [data[at : at + 16].hex(" ") for at in range(0, len(data), 16)] or ["(empty)"]

    def pieces(self, data: bytes) -> list[bytes]:
        """An input in parts, for minimising: the first has to stay, each other may be left out."""
        return [b"", *(data[at : at + 1] for at in range(len(data)))]

    def known(self) -> Mapping[str, str | None]:
        """Every feature that is known to exist -> why nothing can reach it, None if something can."""
        return {}


def blank(text: str) -> str:
    """A text without its numbers, so that two inputs with the same fault say the same."""
    return re.sub(r"0x[0-9a-f]+|\b\d+\b|\b[0-9a-f]{8,}\b", "#", text.strip())


def of_exception(error: BaseException) -> Problem:
    """An exception that should not have been: its type, and the line that raised it."""
    lines, cause = "".join(traceback.format_exception(error)).rstrip(), type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        last = frames[-1]
        cause += f" in {last.filename.rpartition('/')[2]}:{last.name}: {last.line}"
    return Problem(cause, lines)


def attempt(target: FuzzTarget, data: bytes) -> Outcome:
    """Run an input; an exception is a problem too. CannotRun if nothing can be run."""
    try:
        return target.run(data)
    except CannotRun:
        raise
    except Exception as error:
        return Outcome(("an exception",), of_exception(error))
