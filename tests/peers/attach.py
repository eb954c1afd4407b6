"""``--attach`` on a machine whose tables are known: the answers are those of the walk on its memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iommu_abi.acquire.qemu import Qemu
from iommu_abi.terms import Request
from iommu_abi.walk import Unit
from peers.machine import Machine
from peers.worlds import World

#: What no register says: QEMU's host address width is the guest's.
_GIVEN = ("HAW",)


def _answers(machine: Machine, world: World, requests: Sequence[Request]) -> Iterator[str]:
    attached = Qemu(str(machine.monitor))
    try:
        [found] = attached.acquire().units
        given = {name: world.registers[name] for name in _GIVEN if name in world.registers}
        live, memory = Unit(found.kind, {**found.registers, **given}), attached.memory()
        known = Unit(machine.kind, world.registers)
        for request in requests:
            ours, theirs = live.translate(memory, request), known.translate(machine.ram.memory, request)
            if ours != theirs:
                yield f"attached: {request}: {ours}, and on its memory {theirs}"
    finally:
        attached.close()


def problems(machine: Machine, world: World, requests: Sequence[Request]) -> list[str]:
    """Requests of a world whose answers differ, while the machine has its tables."""
    machine.prepare(world.registers)
    machine.ask(*machine.on(world.registers))
    try:
        return list(_answers(machine, world, requests))
    finally:
        machine.ask(*machine.off())
