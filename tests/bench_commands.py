"""The rest that runs in Python: logs, structs, rows of mappings, maps, start-up; `make bench` runs this.

Results are checked against what they were made from. Peers are what anybody would write for the same: a
loop that formats and writes the rows, construct, bare ctypes, an empty Python.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench_support import Goal, rounds, show
from vtd_tables import SMALL, Tables

from iommu_abi import structs
from iommu_abi.audit import audit
from iommu_abi.cli import main as command
from iommu_abi.decode.scan import excerpt_of_blocks
from iommu_abi.decode.text import Source
from iommu_abi.mappings.map import draw
from iommu_abi.schemas import uapi as plain
from iommu_abi.structs.pack import pack
from iommu_abi.structs.unpack import unpack
from iommu_abi.uapi import iommufd_7_2

ROUNDS, CALLS, PAGES = 7, 500, 1 << 16
LOG_LINES = 450_000
PAGES_OF_64_GIB = 1 << 24
#: Kernel lines of other things, about 100 characters each.
OTHERS = (
    "usb 1-{a}: new high-speed USB device number {b} using xhci_hcd, idVendor=8087, idProduct=0024",
    "EXT4-fs (sda{a}): mounted filesystem with ordered data mode. Opts: (null). Quota mode: none {b}.",
    "e1000e 0000:00:1f.6 eno{a}: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx, {b}",
    "audit: type=1400 audit(1700000000.{b}:{a}): apparmor=STATUS operation=profile_load name=/usr/bin/man",
)


# ---------------------------------------------------------------- logs


def log() -> bytes:
    """50 MB in which nothing is about an IOMMU."""
    dice = random.Random(7)
    lines = (
        f"[{i / 7:13.6f}] {OTHERS[i % 4].format(a=i % 31, b=dice.randrange(1 << 16))}\n"
        for i in range(LOG_LINES)
    )
    return "".join(lines).encode()


def peak(path: Path) -> int:
    """KiB that `decode` of a file needs at most."""
    code = "import sys; from iommu_abi.cli import main; main(['decode', sys.argv[1]]);"
    code += "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def logs(directory: Path) -> list[Goal]:
    """Speed without start-up, and memory beside that of a short log."""
    data = log()
    long, short = directory / "long", directory / "short"
    long.write_bytes(data)
    short.write_bytes(data[:1000])
    found = excerpt_of_blocks(Source(io.BytesIO(data), "log").blocks())
    assert (found.total, found.text) == (LOG_LINES, "")
    took = rounds({"read": lambda: excerpt_of_blocks(Source(io.BytesIO(data), "log").blocks())}, ROUNDS)
    return [
        Goal("decode, nothing matches, MB/s", len(data) / took["read"] / 1e6, "at least", 100),
        Goal("decode of 50 MB, MiB more than of 1 kB", (peak(long) - peak(short)) / 1024, "at most", 16),
    ]


# ---------------------------------------------------------------- structs


WORDS = {"dev_id": "1", "pt_id": "2", "data_len": "24", "data_uptr": "0x1000"}


class Bare(ctypes.Structure):
    """iommu_hwpt_alloc of Linux 7.2 as anybody would write it."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("size", "flags", "dev_id", "pt_id", "out_hwpt_id")),
        *((name, ctypes.c_uint32) for name in ("reserved", "data_type", "data_len")),
        ("data_uptr", ctypes.c_uint64), ("fault_id", ctypes.c_uint32), ("reserved2", ctypes.c_uint32),
    ]  # fmt: skip


def of_structs() -> list[Goal]:
    """A struct of 48 bytes, beside construct compiled and bare ctypes."""
    kind = structs.kind("iommu_hwpt_alloc@iommufd_7_2")
    schema = plain.schema(kind.schema, kind.plain_abi).compile()
    data = pack(kind, WORDS)
    values: dict[str, Any] = {name: value for name, value in schema.parse(data).items() if name != "_io"}
    numbers = {"dev_id": 1, "pt_id": 2}
    assert len(data) == ctypes.sizeof(Bare) == 48
    assert {field.name: field.value for field in unpack(kind, data).fields} == values
    assert schema.build(values) == data
    assert bytes(iommufd_7_2.iommu_hwpt_alloc(**numbers)) == bytes(Bare(size=48, **numbers))
    works: dict[str, Callable[[], object]] = {
        "unpack": lambda: unpack(kind, data),
        "parse": lambda: schema.parse(data),
        "pack": lambda: pack(kind, WORDS),
        "build": lambda: schema.build(values),
        "ctypes": lambda: bytes(iommufd_7_2.iommu_hwpt_alloc(**numbers)),
        "bare": lambda: bytes(Bare(size=48, **numbers)),
    }
    took = rounds({name: partial(_repeat, work) for name, work in works.items()}, ROUNDS)
    return [
        Goal("structs.unpack, of construct compiled", took["unpack"] / took["parse"], "at most", 1.5),
        Goal("structs.pack, of construct compiled", took["pack"] / took["build"], "at most", 1.5),
        Goal("constructor to bytes, of bare ctypes", took["ctypes"] / took["bare"], "at most", 3),
    ]


def _repeat(work: Callable[[], object]) -> None:
    for _ in range(CALLS):
        work()


# ---------------------------------------------------------------- mappings


def scattered() -> tuple[Tables, list[int]]:
    """Tables of a device whose pages of 4 KiB are nowhere neighbours, and where each leads."""
    places = [0x10_0000_0000 + 2 * SMALL * i for i in range(PAGES)]
    random.Random(7).shuffle(places)
    tables = Tables()
    for i, hpa in enumerate(places):
        tables.map(0x18, i * SMALL, hpa)
    return tables, places


def text(places: Sequence[int]) -> Iterator[str]:
    """The rows of `mappings`, by a plain loop; of --json and --csv below."""
    for i, hpa in enumerate(places):
        first = i * SMALL
        yield f"  {first:#014x}..{first + SMALL - 1:#014x} -> {hpa:#014x} rw  4 KiB\n"


def json_rows(places: Sequence[int]) -> Iterator[str]:
    for i, hpa in enumerate(places):
        first = i * SMALL
        yield (
            f'{{"rid": "00:03.0", "pasid": null, "ids": 1, "state": "translates", "first": "{first:#x}",'
            f' "last": "{first + SMALL - 1:#x}", "gpa": "{first:#x}", "hpa": "{hpa:#x}", "access": "rw",'
            f' "s1_pages": [], "s2_pages": [{SMALL}], "target": "memory"}},\n'
        )


def csv_rows(places: Sequence[int]) -> Iterator[str]:
    for i, hpa in enumerate(places):
        first = i * SMALL
        addresses = f"{first:#x},{first + SMALL - 1:#x},{first:#x},{hpa:#x}"
        yield f"00:03.0,,1,translates,{addresses},rw,,{SMALL},memory,\n"


def _write(rows: Iterator[str]) -> None:
    with open(os.devnull, "w") as out:
        for row in rows:
            out.write(row)


def _print(words: Sequence[str], to: io.TextIOBase | None = None) -> None:
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(to or null):
        assert command(list(words)) == 0


def of_mappings(directory: Path) -> list[Goal]:
    """Rows beside a plain loop, and what a page costs in a map and an audit."""
    tables, places = scattered()
    image = directory / "image"
    image.write_bytes(tables.bytes)
    registers = [f"--reg={name}={value:#x}" for name, value in tables.unit.registers.items()]
    words = ["mappings", str(image), "--base", f"{tables.base:#x}", "--iommu", "vtd", *registers]
    forms = {"text": ((), text), "--json": (("--json",), json_rows), "--csv": (("--csv",), csv_rows)}
    works: dict[str, Callable[[], object]] = {}
    for name, (options, loop) in forms.items():
        printed = io.StringIO()
        _print([*words, *options], printed)
        assert "".join(loop(places)).rstrip(",\n") in printed.getvalue(), name
        works[name] = partial(_print, [*words, *options])
        works[f"{name} by a loop"] = lambda loop=loop: _write(loop(places))
    works["map"] = lambda: draw(tables.unit, memory, 100)
    works["audit"] = lambda: audit(tables.unit, memory)
    memory = tables.memory
    assert audit(tables.unit, memory).summary.mappings == PAGES
    took = rounds(works, ROUNDS)
    a_page = {name: took[name] / PAGES * 1e6 for name in ("text", "map", "audit")}
    return [
        *(
            Goal(f"mappings, {name}, of a plain loop", took[name] / took[f"{name} by a loop"], "at most", 2)
            for name in forms
        ),
        Goal("64 GiB of scattered pages as text, s", a_page["text"] * PAGES_OF_64_GIB / 1e6, "at most", 60),
        Goal("a page in a map, us", a_page["map"], "at most", 3),
        Goal("a page in an audit, us", a_page["audit"], "at most", 3),
    ]


# ---------------------------------------------------------------- start-up


def cpu(words: Sequence[str], data: bytes) -> float:
    """Seconds of processor time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, input=data, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start() -> list[Goal]:
    """Processor time beside a Python that loads what a command line cannot do without."""
    python, ours = sys.executable, str(Path(sys.executable).with_name("iommu-abi"))
    asked: dict[str, tuple[list[str], bytes, float]] = {
        "--version": ([ours, "--version"], b"", 1.5),
        "layout": ([ours, "layout", "iommu_hwpt_alloc"], b"", 3),
        "errno": ([ours, "errno", "IOMMU_IOAS_ALLOC", "-"], bytes(12), 3),
        "decode": ([ours, "decode"], b"[    1.0] " + OTHERS[0].encode() + b"\n", 3),
        "unpack": ([ours, "unpack", "iommu_ioas_alloc", "-"], bytes([12]) + bytes(11), 5),
        "pack": ([ours, "pack", "iommu_hwpt_alloc", "dev_id=1", "pt_id=2", "--out", "hex"], b"", 5),
    }
    bare = ([python, "-c", "import argparse, ctypes"], b"")
    times: dict[str, list[float]] = {name: [] for name in ("bare", *asked)}
    for _ in range(ROUNDS):
        times["bare"].append(cpu(*bare))
        for name, (words, data, _) in asked.items():
            times[name].append(cpu(words, data))
    least = statistics.median(times["bare"])
    return [
        Goal(
            f"start of {name}, of argparse and ctypes",
            statistics.median(times[name]) / least,
            "at most",
            most,
        )
        for name, (_, _, most) in asked.items()
    ]


def main() -> int:
    """Print the figures beside their goals."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        show("In Python", [*logs(place), *of_structs(), *of_mappings(place), *start()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
