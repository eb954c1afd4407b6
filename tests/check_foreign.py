"""The C core on machines of 32 bits and of big-endian byte order: `make cross-run`, by ziglang and qemu-user.

The first build for a machine takes a minute, for ziglang then compiles its libc; it keeps that in its cache.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import foreign
import pytest
from c_support import CORE, EXAMPLE, SAID, run

from iommu_abi.schemas.uapi import ABIS

#: ABI -> its name at zig, and at QEMU.
MACHINES = {
    "i386": ("x86-linux-musl", "i386"),  # 64-bit numbers are aligned to 4
    "arm": ("arm-linux-musleabi", "arm"),
    "armeb": ("armeb-linux-musleabi", "armeb"),
    "mips": ("mips-linux-musleabi", "mips"),  # with errno numbers of its own
    "powerpc": ("powerpc-linux-musleabi", "ppc"),
    "powerpc64": ("powerpc64-linux-musl", "ppc64"),  # where a __u64 is an unsigned long
    "s390x": ("s390x-linux-musl", "s390x"),
    "aarch64_be": ("aarch64_be-linux-musl", "aarch64_be"),
}


def qemu(abi: str) -> str:
    name = f"qemu-{MACHINES[abi][1]}"
    found = shutil.which(name) or shutil.which(f"{name}-static")
    if not found:
        pytest.skip(f"no {name} here")
    return found


def build(abi: str, source: Path, made: Path) -> None:
    """A static program for a machine; every warning is an error."""
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", MACHINES[abi][0], "-static", "-O2"]
    run(*zig, *foreign.CFLAGS, source, *CORE, "-o", made)


@pytest.fixture(scope="module")
def walks() -> list[foreign.Question]:
    return list(foreign.walks())


@pytest.fixture(scope="module")
def enumerations() -> list[foreign.Question]:
    return list(foreign.enumerations())


@pytest.mark.parametrize("abi", MACHINES)
def test_a_machine_of_another_kind_gives_the_same_answers(tmp_path, capsys, abi, walks, enumerations):
    emulator = qemu(abi)
    build(abi, foreign.SOURCE, tmp_path / "foreign")
    order = ABIS[abi].order
    asked = {
        "walks": walks,
        "enumerations": enumerations,
        "blobs": list(foreign.envelopes(order)),
        "binds": list(foreign.binds(order)),
        "copied structs": list(foreign.copies()),
    }

    found = {
        what: foreign.differences([emulator, str(tmp_path / "foreign")], each) for what, each in asked.items()
    }

    with capsys.disabled():
        said = ", ".join(f"{len(asked[what])} {what}: {len(each)} differ" for what, each in found.items())
        print(f"\n{abi} ({'little' if order == '<' else 'big'}-endian): {said}")
    assert {what: each[:5] for what, each in found.items() if each} == {}


@pytest.mark.parametrize("abi", MACHINES)
def test_the_example_runs_on_it(tmp_path, abi):
    emulator = qemu(abi)
    build(abi, EXAMPLE, tmp_path / "example")

    assert run(emulator, tmp_path / "example") == SAID
