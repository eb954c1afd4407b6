"""Instructions of one VT-d scalable nested 4x4 read, by callgrind; `make bench` runs this.

The gate is 1600: present, reserved, range, rights and alignment checks and the PASID look-up included.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

GATE = 1600


def instructions(program: str, n: int) -> int:
    """Instructions of a whole run with ``n`` translations."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"refs:\s+([\d,]+)", done.stderr)
    assert found, done.stderr
    return int(found[1].replace(",", ""))


def main() -> int:
    """Print the count; 1 if it is above the gate."""
    program = sys.argv[1]
    if not shutil.which("valgrind"):
        print("bench: needs valgrind; on Debian and Ubuntu: apt install valgrind", file=sys.stderr)
        return 2
    count = (instructions(program, 2000) - instructions(program, 1000)) / 1000
    print(f"VT-d scalable nested 4x4 read with PASID: {count:.0f} instructions (at most {GATE})")
    return int(count > GATE)


if __name__ == "__main__":
    sys.exit(main())
