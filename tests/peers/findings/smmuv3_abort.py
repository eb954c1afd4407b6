"""SMMUv3: a guest ends the emulator with one bit of an STE, or one field of a CD."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.findings import abort
from peers.qtest import QemuGone
from peers.smmuv3 import Smmuv3
from peers.worlds import Dice

NOTES = {
    "1": "CD.IPS = 6 is 52 bits or reserved, and is capped to IDR5.OAS. QEMU asserts; so it does for 7",
    "2": "S2AA64 = 0 is C_BAD_STE where IDR0.TTF has no AArch32 tables. QEMU asserts",
}


def main() -> int:
    return max([_run(stage, note) for stage, note in NOTES.items()])


def _run(stage: str, note: str) -> int:
    try:
        with Smmuv3(stage) as machine:
            machine.ram.dice = Dice("finding")
            unit = build.SmmuUnit(machine.ram, 11, None, **machine.registers)
            if stage == "1":
                first, cds = build.SmmuStage1(machine.ram), build.CdTable(machine.ram)
                cds.set(0, first, IPS=6)
                unit.device(0x18, cds)
            else:
                unit.device(0x18, None, build.SmmuStage2(machine.ram, tsz=24), S2AA64=0)
            machine.probe(unit.registers, Request(0x18, 0x1234_5008), [])
    except QemuGone as gone:
        return abort(Smmuv3.binary, note, str(gone).splitlines()[-1])
    return abort(Smmuv3.binary, note, "")


if __name__ == "__main__":
    sys.exit(main())
