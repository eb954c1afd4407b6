"""What a mutant goes through until something notices it: the nearest tests, all tests, a fuzzer."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from mutants.copy import Copy, Ended
from mutants.operators import Mutant

SMMUV3 = ("smmuv3", "smmuv3_text", "smmuv3_ats")
#: Beginning of a file's name -> the tests that look at it most closely.
NEAREST = {
    "vtd": ("vtd", "vtd_text"), "amdvi": ("amdvi",), "smmuv3": SMMUV3, "riscv": ("riscv",), "vmsa": SMMUV3,
    "x86": ("vtd", "amdvi"), "pasid_table_info": ("pasid_table_info", "core_blob", "uapi", "drivers"),
    "mappings": ("mappings", "audit"), "error": ("core_blob", "drivers"), "iommu": ("iommu", "drivers"),
    "copy_struct": ("copy_struct", "rules"), "virtio": ("virtio",), "rules": ("core_blob", "drivers"),
}  # fmt: skip
OF_STRUCTS = ("uapi_schemas", "generations", "rules", "layout", "ioctl", "corpus")
OF_WALKS = ("vtd", "smmuv3", "riscv", "amdvi")
#: Then, for what walks, those that are quick and hold both ledgers against each other or against cases.
NEXT = ("every_bit", "requests", "last_byte", "entries", "conform", "core_blob", "mappings")
#: The verdict on what is no mutant.
SAME = "same code"
#: Tests that measure time: a busy machine must not kill a mutant.
TIMED = ("tests/test_memory.py::test_a_hundred_thousand_segments_open_in_under_a_second",)
PYTEST = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=line"]
PYTEST += [f"--deselect={name}" for name in TIMED]

#: Beginning of a file's name -> what the fuzzer is to look at; everything where none fits.
FUZZED = {"vtd": "vtd", "amdvi": "amdvi", "smmuv3": "smmuv3", "vmsa": "smmuv3", "riscv": "riscv",
          "pasid_table_info": "blob"}  # fmt: skip
FUZZ_SECONDS = 300
#: Seconds after which the nearest tests are dead, if they have not ended; all of them have more.
PATIENCE, MORE = 420, 1800


def nearest(mutant: Mutant) -> list[str]:
    """The test files to run first."""
    path = Path(mutant.path)
    if path.parent.name == "uapi":
        names: tuple[str, ...] = OF_STRUCTS
    else:
        names = next((tests for start, tests in NEAREST.items() if path.name.startswith(start)), OF_WALKS)
        names += NEXT if set(names) & set(OF_WALKS) else ()
    return [f"tests/test_{name}.py" for name in names]


def failed(ended: Ended) -> str:
    """What noticed: the test that failed, or how the run ended."""
    if ended.status is None:
        return "did not end"
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", ended.text, re.M)
    return found[1] if found else f"ended with {ended.status}"


def fuzz(copy: Copy, mutant: Mutant) -> str:
    """What the fuzzer finds within its time; "" if nothing. That a goal is not reached is no finding."""
    name = Path(mutant.path).name
    only = next((what for start, what in FUZZED.items() if name.startswith(start)), "")
    end, seed = time.monotonic() + FUZZ_SECONDS, 1
    while (left := end - time.monotonic()) > 1:
        command = [sys.executable, "-m", "smoke", "--jobs", "1", "--seed", str(seed)]
        ended = copy.run([*command, "--seconds", f"{left:.0f}", "--only", only], left + 120)
        found = re.search(r"^FINDING.*\n(.*)", ended.text, re.M)
        if found:
            return f"fuzz: {found[1].strip()[:100]}"
        if ended.status not in (0, 1):
            return f"fuzz: {failed(ended)}"
        seed += 1
    return ""


def _nearest(copy: Copy, mutant: Mutant) -> tuple[str, str]:
    """The compiler and the tests that look closest: (what noticed, by what), "" if nothing did.

    What compiles to the same machine code is no mutant: nothing could notice it.
    """
    before = copy.code()
    compiled = copy.compile(copy.root / mutant.path)
    if not compiled.good:
        errors = re.search(r"error: (.*)", compiled.text)
        return "compiler", errors[1] if errors else "refuses"
    if mutant.path.endswith((".c", ".h")) and copy.code() == before:
        return SAME, "the compiler makes the same code of it"
    first, *rest = nearest(mutant)
    for files in filter(None, ([first], rest)):  # most die by the first, before the others are collected
        ended = copy.run([*PYTEST, *files], PATIENCE)
        if not ended.good:
            return "nearest tests", failed(ended)
    return "", ""


def _all(copy: Copy, mutant: Mutant) -> tuple[str, str]:
    """All default tests."""
    copy.compile(copy.root / mutant.path)
    ended = copy.run([*PYTEST, "tests"], MORE)
    return ("", "") if ended.good else ("all tests", failed(ended))


def _fuzzer(copy: Copy, mutant: Mutant) -> tuple[str, str]:
    """Both ledgers on valid and on mutated tables."""
    copy.compile(copy.root / mutant.path)
    found = fuzz(copy, mutant)
    return ("fuzzer", found) if found else ("", "")


STAGES = {"nearest": _nearest, "all": _all, "fuzz": _fuzzer}


def run(copy: Copy, mutant: Mutant, stage: str) -> tuple[str, str]:
    """What killed a mutant in a stage and by what; "" if it lives."""
    path = copy.root / mutant.path
    original = copy.changed(mutant)
    try:
        return STAGES[stage](copy, mutant)
    finally:
        path.write_text(original)
        copy.compile(path)


def sound(copy: Copy) -> str:
    """Which of all tests fails without any change; "" if none does."""
    ended = copy.run([*PYTEST, "tests"], MORE)
    return "" if ended.good else failed(ended)
