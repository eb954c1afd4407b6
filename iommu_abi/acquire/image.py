"""The IOMMUs of a memory image, by all that is in it: the kernel's drivers, firmware's tables."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.acquire import acpi, linux, merge
from iommu_abi.acquire.acpi import find
from iommu_abi.acquire.units import Acquired
from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory


def _tables(memory: Memory, *, anywhere: bool) -> tuple[list[Acquired], list[str]]:
    """What the tables say; those that lie are told, not taken."""
    found, notes = find.find(memory, anywhere=anywhere)
    said = []
    for table in found:
        try:
            said.append(acpi.read(table.data, table.where))
        except ImageError as error:
            notes.append(str(error))
    return said, notes


def acquire(memory: Memory) -> Acquired:
    """The IOMMUs; ImageError says in one sentence why there are none."""
    why: ImageError | None = None
    kernel: list[Acquired] = []
    try:
        kernel.append(linux.acquire(memory))
    except ImageError as error:
        why = error
    tables, notes = _tables(memory, anywhere=not kernel)
    if why and not any(table.units for table in tables):
        raise why
    found = merge.merged([*kernel, *tables])
    if why:
        notes.append(f"what the registers are is not known: {why}")
    return replace(found, notes=(*found.notes, *notes))
