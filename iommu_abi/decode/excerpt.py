r"""The lines of a text that may be messages about IOMMUs, with what stands near them; no others are kept.

A log is mostly about other things: it is read in blocks, and searched for words at the speed of memory
before anything looks at a line. Messages are read as in the whole text, since no reader looks further
than :data:`ABOVE` and :data:`BELOW`; a text of which lines far apart belong together is said to be
``far``, and has to be read as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from iommu_abi.decode import text as texts
from iommu_abi.decode.patterns import regex

#: So many messages around one may belong to it: the most that a reader looks at, and wrapped lines.
ABOVE, BELOW = 8, 64
#: A message of a journal has no more fields, each in a line of its own, than this allows for.
_MOST_ABOVE = 50 * ABOVE

#: Fields beside the message, of records that take a line for each: journald's, /dev/kmsg's.
FIELD = regex(
    r'[>\s]{0,24}(?!"?MESSAGE[" =])(?:"_{0,2}[A-Z][A-Z0-9_]{1,63}" : |_{0,2}[A-Z][A-Z0-9_]{1,63}='
    r'|"(?:pri|fac|time|caller)": |[\[{},\]]{1,3}\s{0,4}$|$)'
)

#: No line of a message is without one of these; quoted-printable breaks lines anywhere. ``str.find()``
#: is fast for long words, and for those of which a letter is rare.
_WORDS = (
    "mmu", "dma", "dart", "tegra-mc", "fsl-pamu", "ioctl", "Suppressed ", " device f", "error attach ",
    "group container", "vfio group into vfio", "is not viable", "fault from EP", "Extended features",
    "unexpected ",
)  # fmt: skip
_RARE = (
    "MMU", "DMA", "AMD-V", "CMDQ", "CMD_SYNC", "REMAP", "MEMLOCK", "Missed ", "VT-", "VFIO", "QI ",
    "Q overflow", "Q write", "RHD:", "zpci", "** ", "=\n",
)  # fmt: skip
_RARE_LETTERS = "MVQRz*="


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """Lines of a text, which has ``total``, and the number of each. ``far``: what is kept is not enough."""

    text: str
    numbers: Sequence[int]
    total: int
    far: bool = False


def whole(text: str) -> Excerpt:
    """All lines of a text."""
    text = texts.newlines(text)
    total = _count(text)
    return Excerpt(text, range(total), total)


def excerpt(
    blocks: Iterable[str], is_marked: Callable[[str], bool], is_far: Callable[[str], bool]
) -> Excerpt:
    """What is worth reading of a text. Each of its blocks but the last one ends a line.

    ``is_marked`` tells a line of a message from another one with such a word, ``is_far`` one that needs the
    whole text.
    """
    sieve = _Sieve(is_marked, is_far)
    for block in blocks:
        sieve.take(block)
        if sieve.far:
            break
    text = "".join(f"{line}\n" for line in sieve.kept)
    return Excerpt(text, sieve.numbers, sieve.total, sieve.far)


class _Sieve:
    """Takes blocks; ``above`` are the last lines before the next one, none of which is kept."""

    def __init__(self, is_marked: Callable[[str], bool], is_far: Callable[[str], bool]) -> None:
        self.is_marked, self.is_far = is_marked, is_far
        self.kept: list[str] = []
        self.numbers: list[int] = []
        self.above: list[str] = []
        self.total = self._below = 0
        self.far = False

    def take(self, block: str) -> None:
        """Keep what is to be kept of some lines."""
        block = block.replace("\r", "") if self.total else texts.newlines(block)
        hits = self._hits(block)
        if hits or self._below:
            self._keep(block, hits)
        else:
            self.above = [*self.above, *_lines(block, _MOST_ABOVE)][-_MOST_ABOVE:]
        self.total += _count(block)

    def _hits(self, block: str) -> list[int]:
        """Which lines of a block a message may be in."""
        places, last, number = [], 0, 0
        for start, end in _found(block):
            if not self._is_hit(block[start:end]):
                continue
            number += block.count("\n", last, start)
            last = start
            places.append(number)
        return places

    def _is_hit(self, line: str) -> bool:
        plain = line.replace("\\", "") if "\\" in line else line
        self.far = self.far or self.is_far(plain)
        return self.is_marked(plain) or line.endswith("=")

    def _keep(self, block: str, hits: list[int]) -> None:
        lines = self.above + _lines(block)
        at = 0
        for hit in (len(self.above) + each for each in hits):
            at = self._add_below(lines, at, hit)
            self._add(lines, max(at, _above(lines, hit)), hit + 1)
            at, self._below = hit + 1, BELOW
        at = self._add_below(lines, at, len(lines))
        self.above = lines[max(at, len(lines) - _MOST_ABOVE) :]

    def _add_below(self, lines: list[str], start: int, end: int) -> int:
        """Add what is near the hit before; the first line that is not."""
        at = start
        while at < end and self._below:
            self._below -= not FIELD.match(lines[at])
            at += 1
        self._add(lines, start, at)
        return at

    def _add(self, lines: list[str], start: int, end: int) -> None:
        first = self.total - len(self.above)
        self.kept += lines[start:end]
        self.numbers += range(first + start, first + end)


def _above(lines: list[str], hit: int) -> int:
    """Where begins what may belong to a hit; fields of a journal's records do not count."""
    at, left = hit, ABOVE
    while at and left:
        at -= 1
        left -= not FIELD.match(lines[at])
    return at


def _lines(block: str, most: int = -1) -> list[str]:
    """The lines of a block, or its last ones."""
    return block.removesuffix("\n").rsplit("\n", most)[-most if most > 0 else 0 :]


def _count(block: str) -> int:
    """How many lines there are."""
    return block.count("\n") + (block[-1:] not in ("", "\n"))


# ---------------------------------------------------------------- searches

#: The position of something at or after a position, -1 if it is not there.
_Search = Callable[[str, int], int]


def _word(word: str) -> _Search:
    return lambda text, at: text.find(word, at)


def _pattern(letter: str) -> _Search:
    """Searches words by a letter: an expression that begins with one letter looks for it by memchr()."""

    def around(word: str) -> str:
        before, _, after = word.partition(letter)
        behind = f"(?<={re.escape(before + letter)})" if before else ""
        # Markdown's editors put backslashes before punctuation
        return behind + "".join((r"\\?" if each in "-_*" else "") + re.escape(each) for each in after)

    words = [word for word in _RARE if next(each for each in word if each in _RARE_LETTERS) == letter]
    pattern = regex(f"{re.escape(letter)}(?:{'|'.join(map(around, words))})")

    def search(text: str, at: int) -> int:
        found = pattern.search(text, at)
        return found.start() if found else -1

    return search


_SEARCHES = (*map(_word, _WORDS), *map(_pattern, _RARE_LETTERS))


def _found(block: str) -> list[tuple[int, int]]:
    """Start and end of the lines with one of the words, ascending."""
    found: dict[int, int] = {}
    for search in _SEARCHES:
        at = search(block, 0)
        while at >= 0:
            end = block.find("\n", at)
            end = len(block) if end < 0 else end
            found[block.rfind("\n", 0, at) + 1] = end
            at = search(block, end)
    return sorted(found.items())
