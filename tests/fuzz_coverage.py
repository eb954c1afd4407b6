"""What fuzzing alone reaches of the C core and of the Python: `make fuzz-coverage`.

    python tests/fuzz_coverage.py GCOV_DIR [--seconds N]

One process runs every target with the engine that works everywhere; gcov's counters are written when it
ends, and then read. Lines that nothing has reached are listed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import coverage

import iommu_abi

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(iommu_abi.__file__).parent
#: What the targets are about: the rest of the package is not asked by any of them.
ABOUT = (
    "blob.py",
    "compat",
    "fuzz/targets",
    "ledgers.py",
    "mappings.py",
    "memory.py",
    "rules",
    "schemas",
    "walk.py",
)


def fuzz(seconds: float) -> coverage.Coverage:
    """Every target for some seconds, in this process."""
    measured = coverage.Coverage(branch=True, source=[str(PACKAGE)], data_file=None)
    measured.start()
    from iommu_abi.fuzz.campaign.session import SLOT_SIZE, Session
    from iommu_abi.fuzz.campaign.store import Store
    from iommu_abi.fuzz.engines import ENGINES
    from iommu_abi.fuzz.targets import all_targets
    from iommu_abi.fuzz.worlds import Dice

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


def core(folder: Path) -> None:
    """What gcov says of the core, and the lines that were never run."""
    rows, missed = {}, []
    for data in sorted(folder.rglob("core/*.gcda")):
        done = subprocess.run(
            ["gcov", "--json-format", "--branch-probabilities", "--stdout", str(data)],
            capture_output=True,
            check=True,
        )
        for each in json.loads(done.stdout)["files"]:
            name = each["file"].rpartition("iommu_abi/core/")[2]
            if "/" in name:
                continue
            lines = each["lines"]
            branches = [b for line in lines for b in line["branches"]]
            row = rows.setdefault(name, [0, 0, 0, 0])
            row[0] += sum(line["count"] > 0 for line in lines)
            row[1] += len(lines)
            row[2] += sum(b["count"] > 0 for b in branches)
            row[3] += len(branches)
            missed += [(name, line["line_number"]) for line in lines if not line["count"]]
    show("C core", rows)
    print("\nnever run:")
    for name, number in sorted(set(missed)):
        text = (ROOT / "iommu_abi/core" / name).read_text().splitlines()
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
    core(args.gcov)


if __name__ == "__main__":
    main()
