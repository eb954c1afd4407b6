"""What is compared: a machine, tables to make for it, departures. One row for each mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from peers import (
    amdvi,
    amdvi_departures,
    riscv,
    riscv_departures,
    smmuv3,
    smmuv3_departures,
    vtd,
    vtd_departures,
)
from peers.compare import Departure
from peers.machine import Machine
from peers.worlds import Dice, World


@dataclass(frozen=True, slots=True)
class Mode:
    """``since``: the first QEMU that has it. ``machine`` takes the QEMU to use, ``qemu``."""

    name: str
    machine: Callable[..., Machine]
    build: Callable[[Dice, Any], World]
    departures: tuple[Departure, ...]
    binary: str
    since: tuple[int, int] = (7, 2)


X86, ARM, RISCV = vtd.Vtd.binary, smmuv3.Smmuv3.binary, riscv.Riscv.binary
SMMU = smmuv3.Smmuv3
SCALABLE = partial(vtd.Vtd, "scalable-mode")
FIRST = partial(vtd.Vtd, "scalable-mode", "fsts")

MODES = (
    Mode("vtd legacy", vtd.Vtd, vtd.legacy, vtd_departures.LEGACY, X86),
    Mode("vtd scalable, second stage", SCALABLE, vtd.second, vtd_departures.SECOND, X86),
    Mode("vtd scalable, first stage", FIRST, vtd.first, vtd_departures.FIRST, X86, (10, 0)),
    Mode("amdvi host", amdvi.Amdvi, amdvi.host, amdvi_departures.ALL, X86, (11, 0)),
    Mode("smmuv3 stage 1", partial(SMMU, "1"), smmuv3.stage_1, smmuv3_departures.ALL, ARM, (9, 1)),
    Mode("smmuv3 stage 2", partial(SMMU, "2"), smmuv3.stage_2, smmuv3_departures.ALL, ARM, (9, 1)),
    Mode("smmuv3 nested", partial(SMMU, "nested"), smmuv3.nested, smmuv3_departures.ALL, ARM, (9, 2)),
    Mode("riscv first stage", riscv.Riscv, riscv.first, riscv_departures.ALL, RISCV, (10, 0)),
    Mode("riscv second stage", riscv.Riscv, riscv.second, riscv_departures.ALL, RISCV, (10, 0)),
    Mode("riscv nested", riscv.Riscv, riscv.nested, riscv_departures.ALL, RISCV, (10, 0)),
)
