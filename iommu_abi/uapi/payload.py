"""What ``pasid_table_info.opaque[]`` holds, by model: ``cdefs/iommu_abi/payload.h`` from Python.

Models are named as the plain ledger names them: "vtd" and "smmuv3". Byte order is the machine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from iommu_abi._core import ffi, lib
from iommu_abi._core_buffers import hold
from iommu_abi._core_errors import abi_error
from iommu_abi.errors import UsageError

_STRUCTS = {
    "vtd": (lib.IOMMU_MODEL_INTEL_VTD, "struct iommu_abi_pasid_vtd"),
    "smmuv3": (lib.IOMMU_MODEL_ARM_SMMU, "struct iommu_abi_pasid_smmuv3"),
}
_ENUMS = {
    ("smmuv3", "s1fmt"): ("enum iommu_abi_s1fmt", "IOMMU_ABI_S1FMT_"),
    ("smmuv3", "s1dss"): ("enum iommu_abi_s1dss", "IOMMU_ABI_S1DSS_"),
}
_FLAGS = {("vtd", "flags"): ("enum iommu_abi_vtd_flags", "IOMMU_ABI_VTD_")}


@dataclass(frozen=True, slots=True)
class PayloadField:
    """A field by its place in the payload, in bytes; ``integer`` is False for arrays."""

    name: str
    offset: int
    size: int
    integer: bool


def _struct(model: str) -> tuple[int, str]:
    if model not in _STRUCTS:
        raise UsageError(f"no payload for model {model!r}, expected one of: {' '.join(_STRUCTS)}")
    return _STRUCTS[model]


@cache
def fields(model: str) -> tuple[PayloadField, ...]:
    """The fields of a model's payload, version 1, as the compiler laid them out."""
    _, name = _struct(model)
    return tuple(
        PayloadField(field, each.offset, ffi.sizeof(each.type), each.type.kind == "primitive")
        for field, each in ffi.typeof(name).fields
    )


def _names(enum: str, prefix: str) -> dict[int, str]:
    constants = ffi.typeof(enum).relements
    return {value: name.removeprefix(prefix) for name, value in constants.items()}


def meaning(model: str, field: str, value: int) -> str:
    """The name of a number, or of each bit that is set; "" where numbers have no names."""
    if (model, field) in _ENUMS:
        return _names(*_ENUMS[model, field]).get(value, "unknown")
    if (model, field) not in _FLAGS:
        return ""
    names = {bit: name for bit, name in _names(*_FLAGS[model, field]).items() if bit.bit_count() == 1}
    bits = [1 << i for i in range(value.bit_length()) if value >> i & 1]
    return " ".join(names.get(bit, f"{bit:#x} unknown") for bit in bits)


def validate(model: str, opaque: bytes) -> None:
    """iommu_abi_payload_validate(): AbiError if the payload breaks a rule; empty is valid."""
    number, _ = _struct(model)
    held = hold(opaque, "payload")
    err = ffi.new("struct iommu_abi_error *")
    if lib.iommu_abi_payload_validate(number, held, len(held), err):
        raise abi_error(err, "payload")
