"""Small mechanical changes of one line.

A relation, a constant by one, a bit of a mask, a statement left out, one stage for the other, "and" for "or".
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

Change = Callable[[re.Match[str]], str]


def swap(a: str, b: str) -> tuple[str, Change]:
    """Either word for the other."""
    return rf"\b(?:{a}|{b})\b", lambda m: b if m[0] == a else a


RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
DECLARES = "struct|const|u\\d|unsigned|bool|int|char|size_t|enum|static"
FLOW = "return|else|case|break|default|for|if|do"


def shifted(by: int) -> Change:
    """A number, that much more."""
    return lambda m: hex(int(m[0], 0) + by)


def bit(change: Callable[[int], int]) -> Change:
    """The first number of a mask, changed."""
    return lambda m: m[0].replace(m[1], str(change(int(m[1]))))


OPERATORS: list[tuple[str, str, Change]] = [
    ("relation", r"(?<![<>=!-])(?:<=|>=|==|!=|<|>)(?![<>=])(?= )", lambda m: RELATIONS[m[0]]),
    ("constant", r"(?<![\w.])(?:0x[0-9a-fA-F]+|\d+)(?![\w.])", shifted(1)),
    ("constant", r"(?<![\w.])(?:0x[0-9a-fA-F]+|[1-9]\d*)(?![\w.])", shifted(-1)),
    ("mask bit", r"\bBITS?\((\d+)", bit(lambda n: n - 1 if n else 1)),
    ("mask bit", r"\b(?:bit|flag|pointer|number|ignored|reserved)\((\d+)", bit(lambda n: n ^ 1)),
    ("statement", rf"^(\t+)(?!{DECLARES}|{FLOW})\S.*;$", lambda m: f"{m[1]};"),
    ("statement", r"^(        +)(?:raise|self\.\w+ = |self\.\w+\().*[^(,\[{]$", lambda m: f"{m[1]}pass"),
    ("stage", *swap("s1", "s2")),
    ("stage", *swap("IOMMU_ABI_S1", "IOMMU_ABI_S2")),
    ("stage", *swap("S1", "S2")),
    ("stage", *swap("IOMMU_ABI_DEVICE", "IOMMU_ABI_PASID")),
    ("logic", r" (?:&&|\|\|) ", lambda m: " || " if m[0] == " && " else " && "),
    ("logic", r" (?:and|or) ", lambda m: " or " if m[0] == " and " else " and "),
]


@dataclass(frozen=True)
class Mutant:
    """One changed line."""

    path: str
    line: int
    operator: str
    before: str
    after: str


def code_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of code with their numbers: no comments, preprocessor lines; blanks for what strings say."""
    text = path.read_text()
    blank = lambda m: re.sub(r"[^\n]", " ", m[0])  # noqa: E731
    if path.suffix == ".py":
        text = re.sub(r'"""(?:.|\n)*?"""', blank, text)
        text = re.sub(r'"[^"\n]*"', blank, text)
        text = re.sub(r"#.*", blank, text)
    else:
        text = re.sub(r"/\*(?:.|\n)*?\*/", blank, text)
        text = re.sub(r'"[^"\n]*"', blank, text)
    for number, line in enumerate(text.split("\n")):
        if line.strip() and not line.startswith(("#", "from ", "import ")):
            yield number, line


def candidates(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file."""
    lines = path.read_text().split("\n")
    name = str(path.relative_to(ROOT))
    for number, line in code_lines(path):
        for operator, pattern, change in OPERATORS:
            for match in re.finditer(pattern, line):
                whole = lines[number]
                changed = whole[: match.start()] + change(match) + whole[match.end() :]
                if changed != whole:
                    yield Mutant(name, number, operator, lines[number].strip(), changed.strip())


def sample(count: int, seed: int) -> list[Mutant]:
    """``count`` mutants, evenly over operators and files. What builds tables for tests is left out."""
    files = sorted((ROOT / "iommu_abi/core").glob("*.[ch]"))
    files += [f for f in sorted((ROOT / "iommu_abi/schemas").glob("*.py")) if not f.name.startswith("build")]
    files += sorted((ROOT / "iommu_abi/schemas/uapi").glob("*.py"))
    rng = random.Random(seed)
    pools: dict[tuple[str, str], list[Mutant]] = {}
    for mutant in (m for f in files for m in candidates(f)):
        pools.setdefault((mutant.operator, mutant.path), []).append(mutant)
    for pool in pools.values():
        rng.shuffle(pool)
    chosen: list[Mutant] = []
    keys = list(pools)
    while len(chosen) < count and keys:
        rng.shuffle(keys)
        for key in list(keys):
            if not pools[key]:
                keys.remove(key)
            elif len(chosen) < count:
                chosen.append(pools[key].pop())
    return chosen
