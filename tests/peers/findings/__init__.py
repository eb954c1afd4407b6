"""Defects of QEMU that the comparison found, one runnable file each: what QEMU does, what is right.

``PYTHONPATH=tests python -m peers.findings.NAME``. Exit 1 while QEMU has the defect, 0 when it is gone.
Each prints a few lines for QEMU's maintainers.
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.terms import Request
from peers.compare import ask
from peers.machine import Machine
from peers.qtest import newest


def compare(
    machine: Machine, registers: Mapping[str, int], request: Request, text: str, place: int | None = None
) -> int:
    """Make one request on both sides; print the note for the maintainers, and what happened.

    ``place``: where QEMU gets with a request that is to be blocked.
    """
    answer = ask(machine, registers, request)
    places = [answer.hpa] if answer.ok else [] if place is None else [place]
    outcome = machine.probe(registers, request, places)
    wanted = f"reaches {answer.hpa:#x}" if answer.ok else str(answer.fault)
    got = "does not get there" if outcome.reached is None else f"reaches {outcome.reached:#x}"
    print(f"QEMU {machine.qemu}: {' '.join(text.split())}")
    print(f"specification: {wanted}")
    print(f"QEMU:          {got}; recorded: {outcome.record}")
    return int(outcome.reached != (answer.hpa if answer.ok else None))


def record(machine: Machine, registers: Mapping[str, int], request: Request, text: str) -> int:
    """The same of a request that is blocked, for what is recorded."""
    fault = ask(machine, registers, request).fault
    wanted = machine.expected(request, fault) if fault else None
    outcome = machine.probe(registers, request, [])
    print(f"QEMU {machine.qemu}: {' '.join(text.split())}")
    print(f"specification: {wanted}")
    print(f"QEMU:          {outcome.record}")
    return int(outcome.record != wanted)


def abort(binary: str, text: str, died: str) -> int:
    """Say that the emulator ended, or that it did not."""
    print(f"QEMU {newest(binary)}: {' '.join(text.split())}")
    print(f"QEMU:          {died or 'goes on'}")
    return int(bool(died))
