"""What is inside ``opaque[]`` of the seed's struct, by its model."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.errors import AbiError
from iommu_abi.rules.both_ledgers import broken_payload
from iommu_abi.schemas.pasid_table_info import MODELS
from iommu_abi.structs.kind import Blob, Field
from iommu_abi.uapi import payload as payloads


def look_inside(blob: Blob) -> Blob:
    """With the fields of the payload; AbiError, with offsets from the start of the blob, if it is broken."""
    kind = blob.kind
    values = {field.name: field.value for field in blob.fields}
    model = next((name for n, name in MODELS[kind.generation].items() if n == values["model"]), None)
    opaque = blob.fields[-1]
    if model is None or not isinstance(opaque.value, bytes):
        return replace(blob, notes=(*blob.notes, "the payload of an unknown model was not looked at"))
    error = broken_payload(model, opaque.value, kind.plain_abi)
    if error is not None:
        at = None if error.offset is None else error.offset + opaque.offset
        field = f"{opaque.name}.{error.field}" if error.field != opaque.name else opaque.name
        raise AbiError(error.rule, field, at, error.got, error.want, kind.struct)
    found = []
    for f in payloads.fields(model) if opaque.value else ():
        raw = opaque.value[f.offset : f.offset + f.size]
        value = int.from_bytes(raw, kind.order) if f.integer else raw
        meaning = payloads.meaning(model, f.name, value) if isinstance(value, int) else ""
        found.append(Field(f.name, opaque.offset + f.offset, f.size, value, meaning))
    return replace(blob, payload=tuple(found))
