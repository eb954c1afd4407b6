"""Nested walks: small guests, one for each vendor's IOMMU, and what `translate --explain` says of them.

walk.js draws the command's own output; the image and the command stand beside the drawing, to be tried.
"""

from __future__ import annotations

import json
import lzma
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from iommu_abi.schemas import build
from iommu_abi.schemas.amdvi_entries import DEFAULT_EXT_FEATURES, EXT_FEATURES
from iommu_abi.schemas.vtd_entries import CAP, ECAP

BASE = 0x10_0000
RID, PASID, IOVA = 0x10, 5, 0x12_3456_7000


@dataclass(frozen=True, slots=True)
class Guest:
    """Memory from BASE on, the kind of its IOMMU and the registers."""

    host: build.Memory
    kind: str
    registers: dict[str, int]

    def image(self) -> bytes:
        """All of memory from BASE on; what lies between the tables is zero."""
        runs = list(self.host.runs())
        made = bytearray(max(first + len(found) for first, found in runs) - BASE)
        for first, found in runs:
            made[first - BASE : first - BASE + len(found)] = found
        return bytes(made)


def vtd(*, hidden: bool = False) -> Guest:
    """Scalable mode: first stage under second stage. ``hidden``: stage 2 lacks the guest's page directory."""
    host = build.Memory(BASE)
    second = build.VtdSecondStage(host, 4)
    guest = build.Guest(host, second)
    first = build.VtdFirstStage(guest, 4)
    first.map(IOVA, guest.page())
    unit = build.VtdScalable(host)
    unit.context(RID)
    unit.pasid(RID, PASID, first, second, WPE=1, NXE=1)
    if hidden:
        host.store(second.entry(first.entry(IOVA, 1), 0), 0)
    capabilities = {
        "CAP": CAP.value(ND=6, MGAW=47, SAGAW=0b100, SLLPS=3, FL1GP=1),
        "ECAP": ECAP.value(
            SC=1, PT=1, NEST=1, SRS=1, ERS=1, PASID=1, SMTS=1, SLTS=1, FLTS=1, PSS=19, SMPWCS=1
        ),
    }
    return Guest(host, "vtd", {**unit.registers, **capabilities})


def smmuv3() -> Guest:
    """An STE with both stages: the CD too lies in guest memory."""
    host = build.Memory(BASE)
    second = build.SmmuStage2(host, 1 << 12, 16)
    guest = build.Guest(host, second)
    first = build.SmmuStage1(guest, 1 << 12, 16)
    first.map(IOVA, guest.page())
    cds = build.CdTable(guest, 4)
    cds.set(PASID, first)
    unit = build.SmmuUnit(host)
    unit.device(RID, cds, second)
    return Guest(host, "smmuv3", unit.registers)


def amdvi() -> Guest:
    """v2 tables and the GCR3 table in guest memory, behind v1 tables."""
    host = build.Memory(BASE)
    second = build.AmdV1(host, 4)
    guest = build.Guest(host, second)
    first = build.AmdV2(guest, 4)
    first.map(IOVA, guest.page())
    gcr3 = build.Gcr3Table(guest, 0)
    gcr3.set(PASID, first)
    unit = build.AmdUnit(host, EXT_FEATURES=DEFAULT_EXT_FEATURES | EXT_FEATURES.value(GATS=1))
    unit.device(RID, second, gcr3)
    return Guest(host, "amdvi", unit.registers)


def riscv() -> Guest:
    """Sv48 under Sv48x4, and a process directory in guest memory."""
    host = build.Memory(BASE)
    second = build.RiscvSecondStage(host, "Sv48")
    guest = build.Guest(host, second)
    first = build.RiscvFirstStage(guest, "Sv48")
    first.map(IOVA, guest.page())
    processes = build.ProcessDirectory(guest, 8)
    processes.set(PASID, first)
    unit = build.RiscvUnit(host, 1)
    unit.device(RID, None, second, processes)
    return Guest(host, "riscv", unit.registers)


#: Name -> title, and what makes the guest.
WALKS: dict[str, tuple[str, Callable[[], Guest]]] = {
    "vtd": ("Intel VT-d: 4 levels under 4 levels", vtd),
    "vtd-refused": ("Intel VT-d: stage 2 hides a guest's table", lambda: vtd(hidden=True)),
    "smmuv3": ("Arm SMMUv3: the context descriptor in guest memory", smmuv3),
    "amdvi": ("AMD-Vi: the GCR3 table in guest memory", amdvi),
    "riscv": ("RISC-V: the process directory in guest memory", riscv),
}


def _walk(name: str, directory: Path) -> dict[str, Any]:
    """Write a guest's image; the command that asks about it, and its answer."""
    title, make = WALKS[name]
    guest = make()
    image = directory / f"{name}.bin.xz"
    image.write_bytes(lzma.compress(guest.image()))
    registers = [word for reg, value in guest.registers.items() for word in ("--reg", f"{reg}={value:#x}")]
    words = [
        "translate", image.name, "--format", "raw", "--base", f"{BASE:#x}", "--iommu", guest.kind, *registers,
        "--rid", "00:02.0", "--pasid", str(PASID), "--iova", f"{IOVA | 0x123:#x}", "--explain", "--json",
    ]  # fmt: skip
    command = [sys.executable, "-m", "iommu_abi", *words]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # memory is reached, or it is not
        raise RuntimeError(f"{shlex.join(words)}: {done.stderr}")
    return {
        "name": name,
        "title": title,
        "image": f"_static/walks/{image.name}",
        "command": shlex.join(["iommu-abi", *words]),
        "answer": json.loads(done.stdout),
    }


def _write(app: Sphinx, failed: Exception | None) -> None:
    """Put the script and the images beside the others."""
    if not failed:
        static = Path(app.outdir) / "_static"
        (static / "walks").mkdir(exist_ok=True)
        walks = [_walk(name, static / "walks") for name in WALKS]
        text = json.dumps(walks, separators=(",", ":"))
        (static / "walks-data.js").write_text(f"window.WALKS = {text};\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the data when the pages are made."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True}
