"""Tables of ACPI to test with, and memory that has them.

data/acpi/*.aml are made by ACPICA's compiler (iasl 20200925: DMAR, IVRS; of 2026: IORT, VIOT, RIMT) from the
sources beside them.
"""

from __future__ import annotations

import struct

from cli_support import DATA

NAMES = ("dmar", "iort", "ivrs", "rimt", "viot")


def data(name: str) -> bytes:
    """A table."""
    return (DATA / "acpi" / f"{name}.aml").read_bytes()


def summed(table: bytes) -> bytes:
    """With its length and its checksum put right."""
    made = bytearray(table)
    struct.pack_into("<I", made, 4, len(made))
    made[9] = 0
    made[9] = -sum(made) & 0xFF
    return bytes(made)


def rooted(*tables: bytes, at: int = 0x100000) -> bytes:
    """Pages at ``at``: a root pointer, an XSDT, tables at odd addresses."""
    places, made = [], bytearray(0x101)
    for table in tables:
        places.append(at + len(made))
        made += table + b"\0" * 3
    root = struct.pack("<4sIBB6s8sI4sI", b"XSDT", 0, 1, 0, b"TESTER", b"ROOT\0\0\0\0", 1, b"TEST", 1)
    xsdt_at = at + len(made)
    made += summed(root + struct.pack(f"<{len(places)}Q", *places))
    pointer = bytearray(struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, b"TESTER", 2, 0, 36, xsdt_at, 0))
    pointer[8] = -sum(pointer[:20]) & 0xFF
    pointer[32] = -sum(pointer) & 0xFF
    made[:36] = pointer
    return bytes(made.ljust(-(-len(made) // 4096) * 4096, b"\0"))
