"""A struct and what its pointers lead to, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import hexdump, output
from iommu_abi.cli.unpack import field_json

if TYPE_CHECKING:
    from iommu_abi.decode.payload import Behind, Payload
    from iommu_abi.structs import Blob


#: Rows of a dump that an array has, or what follows a struct.
MOST_ROWS = 32


def broken(payload: Payload) -> bool:
    """Is anything wrong with the bytes, also with those behind pointers?"""
    return any(blob.broken for blob in (payload.blob, *(b for each in payload.behind for b in each.blobs)))


def _blob(blob: Blob, indent: str) -> None:
    hexdump.show(blob.fields, blob.data, indent, MOST_ROWS)
    for error in blob.broken:
        output.line(f"{indent}broken: {error}", "red")
    for note in blob.notes:
        output.line(f"{indent}{note}", "yellow")


def _behind(found: Behind, indent: str) -> None:
    where = f"{indent}{found.field} -> {found.address:#x}"
    if found.struct:
        where += f": {found.struct}"
    if not found.blobs:
        output.line(f"{where}: {found.note}", "dim")
        return
    for i, blob in enumerate(found.blobs):
        output.line(f"{where}[{i}]" if len(found.blobs) > 1 else where, "bold")
        _blob(blob, f"{indent}  ")
    if found.note:
        output.line(f"{indent}{found.note}", "dim")


def title(payload: Payload) -> str:
    """Which struct, how long, where, and on which ABI."""
    blob = payload.blob
    at = f" at {payload.address:#x}" if payload.address is not None else ""
    return f"struct {blob.kind.name}, {len(blob.data)} bytes{at}, {blob.kind.abi.name}"


def show(payload: Payload, indent: str = "") -> None:
    """Print the dump of a struct, then those of what it points to."""
    blob = payload.blob
    _blob(blob, indent)
    for each in payload.behind:
        _behind(each, indent)


def _blob_json(blob: Blob) -> dict[str, object]:
    return {
        "struct": blob.kind.struct,
        "generation": blob.kind.generation,
        "abi": blob.kind.abi.name,
        "size": len(blob.data),
        "fields": [field_json(field) for field in blob.fields],
        "holes": [{"offset": at, "size": size} for at, size in blob.holes],
        "broken": [str(error) for error in blob.broken],
        "notes": list(blob.notes),
    }


def to_json(payload: Payload) -> dict[str, object]:
    """The same as JSON."""
    behind = [
        {
            "field": each.field,
            "address": f"{each.address:#x}",
            "struct": each.struct or None,
            "structs": [_blob_json(blob) for blob in each.blobs],
            "note": each.note,
        }
        for each in payload.behind
    ]
    address = output.hex_or_none(payload.address)
    return {**_blob_json(payload.blob), "address": address, "behind": behind}
