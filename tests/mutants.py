"""Mutation testing: small mechanical changes to the core and the plain ledger; do the tests notice?

    python tests/mutants.py [--count N] [--seed N] [--jobs N] [--json FILE] [--test COMMAND]

Each mutant is one change of one line in a copy of the checkout: a relation, a constant by one, a bit of a
mask, a statement left out, one stage for the other, and for or. It is killed when the tests fail, or when it
does not compile. Survivors are listed; some change nothing that can be seen (an unused bound, an
equivalent comparison), which a person has to judge.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parent.parent
TEST = "{python} -m pytest -q -x -p no:cacheprovider --no-header tests"

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
    """``count`` mutants, evenly over operators and files."""
    files = sorted((ROOT / "iommu_abi/core").glob("*.[ch]"))
    files += sorted((ROOT / "iommu_abi/schemas").glob("*.py"))
    files = [f for f in files if not f.name.startswith(("build", "__init__"))]
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


class Copy:
    """A copy of the checkout in which one mutant at a time is built and tested."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "copy"
        skip = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, self.root, ignore=skip)
        self.python = sys.executable

    def run(self, command: list[str], seconds: float) -> bool:
        """True if the command succeeds in time. A mutant that does not end is a dead one."""
        env = os.environ | {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def build(self) -> bool:
        """Compile the extension modules in place."""
        return self.run([self.python, "setup.py", "-q", "build_ext", "--inplace"], 300)

    def survives(self, mutant: Mutant, test: str) -> bool:
        """Do build and tests pass with this change?"""
        path = self.root / mutant.path
        original = path.read_text()
        lines = original.split("\n")
        lines[mutant.line] = lines[mutant.line].replace(mutant.before, mutant.after)
        path.write_text("\n".join(lines))
        try:
            compiled = path.suffix == ".py" or self.build()
            return compiled and self.run(test.format(python=self.python).split(), 600)
        finally:
            path.write_text(original)
            if path.suffix != ".py":
                os.utime(path)


def main() -> int:
    """Print the verdict on each mutant and a summary; 0 if the run itself went well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--test", default=TEST)
    args = parser.parse_args()
    mutants = sample(args.count, args.seed)
    start, results = time.monotonic(), []
    with tempfile.TemporaryDirectory() as directory:
        copies: Queue[Copy] = Queue()
        for i in range(args.jobs):
            (Path(directory) / str(i)).mkdir()
            copies.put(Copy(Path(directory) / str(i)))
        first = copies.queue[0]
        if not first.build() or not first.run(args.test.format(python=first.python).split(), 900):
            print("mutants: the tests fail without any change", file=sys.stderr)
            return 2

        def work(mutant: Mutant) -> tuple[Mutant, bool]:
            copy = copies.get()
            try:
                return mutant, copy.survives(mutant, args.test)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(args.jobs) as pool:
            for mutant, survived in pool.map(work, mutants):
                results.append({**asdict(mutant), "survived": survived})
                if survived:
                    print(f"SURVIVED {mutant.path}:{mutant.line + 1} ({mutant.operator})")
                    print(f"  - {mutant.before}\n  + {mutant.after}", flush=True)
                if args.json:
                    args.json.write_text(json.dumps(results, indent=1))
    survivors = sum(bool(r["survived"]) for r in results)
    killed = len(results) - survivors
    percent, seconds = 100 * killed / len(results), time.monotonic() - start
    print(
        f"{len(results)} mutants, {killed} killed ({percent:.0f} %), {survivors} survived; seed {args.seed}"
    )
    print(f"{seconds:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
