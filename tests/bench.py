"""Instructions of single walks of all vendors, by callgrind: ``python bench.py PROGRAM``, for `make bench`.

The program is tests/c/bench_walks.c. Each walk reads from a page of 4 KiB; presence, reserved bits, ranges,
rights and the look-up in device and PASID tables are checked, as always. A count above its gate is a failure.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

#: Row -> what it is, and the most instructions that it may take. Counts of gcc 12 -O2, and one in a hundred.
GATES = {
    "vtd-nested": ("VT-d nested 4x4 with PASID", 1330),
    "vtd-first": ("VT-d first stage with PASID", 835),
    "vtd-second": ("VT-d second stage with PASID", 755),
    "vtd-legacy": ("VT-d legacy mode", 570),
    "vtd-ecs-nested": ("VT-d ECS nested 4x4 with PASID", 1455),
    "amd-v1": ("AMD-Vi host tables (v1)", 575),
    "amd-v2": ("AMD-Vi guest tables (v2) with PASID", 792),
    "amd-nested": ("AMD-Vi nested 4x4 with PASID", 1880),
    "smmu-s1": ("SMMUv3 stage 1 with SubstreamID", 1427),
    "smmu-s2": ("SMMUv3 stage 2", 1080),
    "smmu-nested": ("SMMUv3 nested 4x4 with SubstreamID", 2670),
    "riscv-s1": ("RISC-V Sv48", 778),
    "riscv-s2": ("RISC-V Sv48x4", 760),
    "riscv-nested": ("RISC-V Sv48xSv48x4, megapage", 2245),
}


def instructions(program: str, row: str, n: int) -> int:
    """Instructions of a whole run with ``n`` translations."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, str(n), row]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"refs:\s+([\d,]+)", done.stderr)
    assert found, done.stderr
    return int(found[1].replace(",", ""))


def main() -> int:
    """Print the counts; 1 if one is above its gate."""
    program = sys.argv[1]
    if not shutil.which("valgrind"):
        print("bench: needs valgrind; on Debian and Ubuntu: apt install valgrind", file=sys.stderr)
        return 2
    rows = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert set(rows) == set(GATES), set(rows) ^ set(GATES)
    above = 0
    for row in rows:
        about, gate = GATES[row]
        count = (instructions(program, row, 300) - instructions(program, row, 100)) // 200
        print(f"{about:40} {count:5} instructions (at most {gate})")
        above += count > gate
    return int(above > 0)


if __name__ == "__main__":
    sys.exit(main())
