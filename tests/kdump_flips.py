"""Opens a small kdump, whole and with one byte of its head changed at a time: prints what comes of each.

A process of its own, for the binding of libkdumpfile may be in a directory that only it has. The dump is
written by makedumpfile's diskdump_mod.h: a header, a second one, two bitmaps, descriptors of pages, pages.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

from iommu_abi import ImageError, Memory

PAGE, PAGES = 4096, 8
SECOND, BITMAPS, DESCRIPTORS = PAGE, 2 * PAGE, 4 * PAGE


def dump() -> bytes:
    """Eight pages of a machine that had eight."""
    names = (b"Linux", b"host", b"6.12.0", b"#1", b"x86_64", b"")
    header = b"KDUMP   " + struct.pack("<i", 6) + b"".join(name.ljust(65, b"\0") for name in names)
    header = header.ljust(408, b"\0") + bytes(16)
    header += struct.pack("<IiiIIIIIII", 1, PAGE, 1, 2, PAGES, 0, 0, 0, 0, 1)
    second = struct.pack("<Qii12QQ", 0, 1, 0, *[0] * 10, PAGES, PAGES, 0)
    bitmaps = bytes([0xFF]).ljust(PAGE, b"\0") * 2
    packed = [zlib.compress(bytes([number + 1]) * PAGE) for number in range(PAGES)]
    at, descriptors = DESCRIPTORS + 24 * PAGES, b""
    for each in packed:
        descriptors += struct.pack("<QIIQ", at, len(each), 1, 0)
        at += len(each)
    blocks = (header.ljust(PAGE, b"\0"), second.ljust(PAGE, b"\0"), bitmaps)
    return b"".join(blocks) + descriptors + b"".join(packed)


#: Numbers of the header, the name of the machine, the second header, both bitmaps, three descriptors, pages.
PLACES = [
    *range(0, 12, 2), *range(272, 280, 2), *range(424, 464),
    *range(SECOND, SECOND + 104, 3), BITMAPS, BITMAPS + 1, BITMAPS + PAGE, BITMAPS + PAGE + 1,
    *range(DESCRIPTORS, DESCRIPTORS + 72), DESCRIPTORS + 24 * PAGES, DESCRIPTORS + 24 * PAGES + 5,
]  # fmt: skip


def opened(path: Path) -> str:
    try:
        memory = Memory.open(path, max_size=1 << 26)
    except ImageError as error:
        said = str(error)
        return "lines" if "\n" in said else "dies" if "libkdumpfile dies of it" in said else "refused"
    for region in memory:
        memory.read(region.first, 16)
    return "read"


def main() -> None:
    found, longest, data = Counter[str](), 0.0, bytearray(dump())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vmcore"
        path.write_bytes(data)
        memory = Memory.open(path)
        whole = [(at, bytes(memory.read(at * PAGE, PAGE) or b"")[-1]) for at in range(PAGES)]
        for at in PLACES:
            data[at] ^= 0xFF
            path.write_bytes(data)
            start = time.process_time()
            found[opened(path)] += 1
            longest = max(longest, time.process_time() - start)
            data[at] ^= 0xFF
    print(json.dumps({"whole": whole, **found, "longest": longest}))


if __name__ == "__main__":
    sys.exit(main())
