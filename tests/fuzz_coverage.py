"""What fuzzing alone reaches of the C core and of the Python: `make fuzz-coverage`.

    python tests/fuzz_coverage.py GCOV_DIR [--seconds N]

One process runs every target with the engine that works everywhere, then the C targets run without any
engine, on random inputs; gcov's counters are written when each ends, and then read. What no input has
reached is listed. Both are built with -O2, as the core always is: what the compiler drops is no line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parents[1]
_found = find_spec("iommu_abi")  # not imported yet: definitions are lines too
assert _found
assert _found.origin
PACKAGE = Path(_found.origin).parent
#: What the targets are about: the rest of the package is not asked by any of them.
ABOUT = (
    "compat",
    "fuzz/targets",
    "ledgers.py",
    "mappings",
    "memory.py",
    "rules",
    "schemas",
    "structs",
    "walk.py",
)

#: C target -> random inputs.
INPUTS_IN_C = {"unpack": 200_000, "walk": 100_000}


def fuzz(seconds: float) -> coverage.Coverage:
    """Every target for some seconds, in this process."""
    measured = coverage.Coverage(branch=True, source=[str(PACKAGE)], data_file=None)
    measured.start()
    from iommu_abi.fuzz.campaign.session import Session
    from iommu_abi.fuzz.campaign.slots import SLOT_SIZE
    from iommu_abi.fuzz.campaign.store import Store
    from iommu_abi.fuzz.engines import ENGINES
    from iommu_abi.fuzz.targets import all_targets
    from iommu_abi.worlds.dice import Dice

    with tempfile.TemporaryDirectory() as folder:
        for target in all_targets().values():
            session = Session(target, (target.name,), Store(Path(folder)), bytearray(SLOT_SIZE))
            session.seed(Dice("coverage"), time.monotonic() + seconds / 2)
            ENGINES["hypothesis"].work(session, "coverage", seconds / 2)
            print(f"{target.name}: {session.slice.executions} inputs", file=sys.stderr)
        found = list(Store(Path(folder)).findings())
    measured.stop()
    if found:
        sys.exit(f"findings: {[each.cause for each in found]}")
    return measured


def percent(part: int, whole: int) -> str:
    return f"{part:>6} of {whole:>6} {100 * part / whole if whole else 100:6.1f} %"


def show(title: str, rows: dict[str, list[int]]) -> None:
    print(f"\n{title:<36} {'lines':>25} {'branches':>25}")
    total = [sum(row[i] for row in rows.values()) for i in range(4)]
    for name, row in [*sorted(rows.items()), ("all", total)]:
        print(f"{name:<36} {percent(*row[:2]):>25} {percent(*row[2:]):>25}")


def python(measured: coverage.Coverage) -> None:
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if not name.startswith(ABOUT):
            continue
        numbers = measured._analyze(str(path)).numbers
        for i, number in enumerate(
            (numbers.n_executed, numbers.n_statements, numbers.n_executed_branches, numbers.n_branches)
        ):
            rows[name.partition("/")[0] if "/" in name else name][i] += number
    show("Python", rows)


def c_targets(folder: Path) -> None:
    """Run them, each built with counters in a folder of its own."""
    sources = [str(path) for path in sorted((ROOT / "iommu_abi/core").glob("*.c"))]
    flags = ["-O2", "--coverage", "-DCONFIG_IOMMU_API=1", '-DIOMMU_ABI_VERSION="0"', f"-I{ROOT / 'cdefs'}"]
    for name, count in INPUTS_IN_C.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        own = [str(ROOT / f"tests/c/fuzz_{name}.c"), str(ROOT / "tests/c/fuzz_main.c")]
        subprocess.run(["cc", *flags, *own, *sources, "-o", "program"], cwd=place, check=True)
        subprocess.run(["./program", "-n", str(count)], cwd=place, check=True)


def counted(folder: Path) -> dict[str, dict[int, tuple[int, list[int]]]]:
    """File -> line -> how often it ran, and each of its branches; a header counts once for all users."""
    found: dict[str, dict[int, tuple[int, list[int]]]] = defaultdict(dict)
    for data in sorted(folder.rglob("*.gcda")):
        command = ["gcov", "--json-format", "--branch-probabilities", "--stdout", str(data)]
        done = subprocess.run(command, capture_output=True, check=True)
        for each in json.loads(done.stdout)["files"]:
            _, core_, name = each["file"].rpartition("iommu_abi/core/")
            for line in each["lines"] if core_ else ():
                ran, ways = found[name].get(line["line_number"], (0, []))
                more = [branch["count"] for branch in line["branches"]]
                both = [max(pair) for pair in zip_longest(ways, more, fillvalue=0)]
                found[name][line["line_number"]] = max(ran, line["count"]), both
    return found


def core(folder: Path) -> None:
    """What gcov says of the core, and the lines that were never run."""
    found = counted(folder)
    rows = {}
    for name, lines in found.items():
        branches = [count for _, ways in lines.values() for count in ways]
        ran = sum(count > 0 for count, _ in lines.values())
        rows[name] = [ran, len(lines), sum(count > 0 for count in branches), len(branches)]
    show("C core", rows)
    print("\nnever run:")
    for name, lines in sorted(found.items()):
        text = (ROOT / "iommu_abi/core" / name).read_text().splitlines()
        for number in sorted(number for number, (ran, _) in lines.items() if not ran):
            print(f"  {name}:{number}: {text[number - 1].strip()}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("gcov", type=Path)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each target (6)")
    parser.add_argument("--fuzz", action="store_true", help="only the first of the two")
    args = parser.parse_args()
    if args.fuzz:
        python(fuzz(args.seconds))
        return
    for data in args.gcov.rglob("*.gcda"):
        data.unlink()
    again = [sys.executable, __file__, str(args.gcov), "--fuzz", "--seconds", str(args.seconds)]
    if subprocess.run(again).returncode:  # its counters are on the disk when it has ended
        sys.exit(1)
    c_targets(args.gcov / "c")
    core(args.gcov)


if __name__ == "__main__":
    main()
