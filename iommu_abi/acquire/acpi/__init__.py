"""What firmware says of a machine's IOMMUs: tables of ACPI, from files or from memory.

They say where IOMMUs are, which devices each has, under which IDs, and which memory is reserved; not the
registers, which the driver sets later.

- ``table``: bytes with bounds, and what all tables end in
- ``dmar``, ``ivrs``, ``iort``, ``viot``, ``rimt``: one table each
- ``find``: tables in memory
"""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.acquire.acpi import dmar, iort, ivrs, rimt, viot
from iommu_abi.acquire.acpi.table import Contents, opened
from iommu_abi.acquire.units import Acquired, Found

TABLES = {b"DMAR": dmar, b"IVRS": ivrs, b"IORT": iort, b"VIOT": viot, b"RIMT": rimt}


def is_table(data: bytes) -> bool:
    """Does it begin as a table that is read here?"""
    return data[:4] in TABLES


def _unit(made: Contents, at: int, unit: Found, where: str) -> Found:
    scopes = tuple(made.scopes.get(at, ()))
    shown = ", ".join(scope.name for scope in scopes[:16]) + (", ..." if len(scopes) > 16 else "")
    told = (f"{where}: its structure is at {at:#x} of it", f"{where}: it serves {shown or 'nobody'}")
    return replace(unit, scopes=scopes, evidence=(*told, *unit.evidence))


def read(data: bytes, where: str) -> Acquired:
    """The IOMMUs of a table whose signature is in TABLES; ImageError, begun by ``where``, if it lies."""
    made: Contents = TABLES[data[:4]].read(opened(data, where))
    units = tuple(_unit(made, at, unit, where) for at, unit in made.units.items())
    lost = sum(len(scopes) for at, scopes in made.scopes.items() if at not in made.units)
    notes = made.notes + ([f"{where}: {lost} scopes are of IOMMUs that are not in it"] if lost else [])
    return Acquired(where, units, tuple(notes), made.firmware, lists_all=True)
