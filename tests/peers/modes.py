"""What is compared: a machine, tables to make for it, departures. One row for each mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from peers import riscv, riscv_departures, vtd, vtd_departures
from peers.compare import Departure
from peers.machine import Machine
from peers.worlds import Dice, World


@dataclass(frozen=True, slots=True)
class Mode:
    """``since``: the first QEMU that has it."""

    name: str
    machine: Callable[[], Machine]
    build: Callable[[Dice, Any], World]
    departures: tuple[Departure, ...]
    binary: str
    since: tuple[int, int] = (7, 2)


X86, RISCV = vtd.Vtd.binary, riscv.Riscv.binary
SECOND = ",x-scalable-mode=on"
FIRST = ",x-scalable-mode=on,x-flts=on"

MODES = (
    Mode("vtd legacy", vtd.Vtd, vtd.legacy, vtd_departures.LEGACY, X86),
    Mode("vtd scalable, second stage", partial(vtd.Vtd, SECOND), vtd.second, vtd_departures.SECOND, X86),
    Mode("vtd scalable, first stage", partial(vtd.Vtd, FIRST), vtd.first, vtd_departures.FIRST, X86, (10, 0)),
    Mode("riscv first stage", riscv.Riscv, riscv.first, riscv_departures.ALL, RISCV, (10, 0)),
    Mode("riscv second stage", riscv.Riscv, riscv.second, riscv_departures.ALL, RISCV, (10, 0)),
    Mode("riscv nested", riscv.Riscv, riscv.nested, riscv_departures.ALL, RISCV, (10, 0)),
)
