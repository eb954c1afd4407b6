"""VT-d: ``struct intel_iommu`` -> registers (drivers/iommu/intel/iommu.h; VT-d specification 11.4)."""

from __future__ import annotations

from iommu_abi.acquire.kernel import Kernel, Object
from iommu_abi.acquire.units import Device, Found

OPS = "intel_iommu_ops"
PROBE = "intel_iommu_probe_device"
WANTED = (OPS, PROBE, "intel_iommu_sm", "eim_mode")
STRUCT = ("intel_iommu", "iommu", "root_entry")
_SMTS, _IRE = 43, 25
_SCALABLE = 1 << 10


def _scalable(kernel: Kernel, ecap: int, tables: tuple[int, ...]) -> tuple[bool, str]:
    """Is the root table one of scalable mode, and how is it known?"""
    if not ecap >> _SMTS & 1:
        return False, "legacy mode: ECAP.SMTS is 0"
    switch = kernel.variable("intel_iommu_sm")
    if switch is not None:
        return bool(switch), f"intel_iommu_sm is {switch}"
    return any(tables), "scalable where a device has a PASID table of the driver's"


def _pasid_tables(kernel: Kernel, devices: tuple[tuple[Device, Object], ...]) -> tuple[int, ...]:
    found = []
    for _, device in devices:
        private = device.number("iommu.priv", 0)
        if private and kernel.types.structs("device_domain_info"):
            found.append(kernel.object("device_domain_info", private).number("pasid_table", 0))
    return tuple(found)


def _queue(kernel: Kernel, unit: Object, ecap: int) -> dict[str, int]:
    """IQA and IRTA."""
    found = {}
    if desc := unit.number("qi.desc", 0) if unit.number("qi", 0) else 0:
        found["IQA"] = kernel.physical(desc) | (0x801 if ecap >> _SMTS & 1 else 0)
    if base := unit.number("ir_table.base", 0) if unit.number("ir_table", 0) else 0:
        wide = bool(kernel.variable("eim_mode"))
        found["IRTA"] = kernel.physical(base) | wide << 11 | 0xF  # 2^16 entries
    return found


def found(kernel: Kernel, unit: Object, devices: tuple[tuple[Device, Object], ...]) -> Found:
    """One unit."""
    ecap, command, root = unit.number("ecap"), unit.number("gcmd"), unit.number("root_entry")
    scalable, how = _scalable(kernel, ecap, _pasid_tables(kernel, devices))
    registers = {"CAP": unit.number("cap"), "ECAP": ecap}
    registers["GSTS"] = command | bool(root) << 30 | (command >> _IRE & 1) << 24
    registers["RTADDR"] = (kernel.physical(root) if root else 0) | (_SCALABLE if scalable else 0)
    registers |= _queue(kernel, unit, ecap)
    evidence = [f"RTADDR: intel_iommu.root_entry {root:#x} in the kernel's tables; {how}"]
    if not command >> 31:
        evidence.append("translation is off: gcmd.TE is 0")
    return Found(
        kind="vtd",
        name=unit.text("name") or "dmar",
        base=unit.number("reg_phys"),
        segment=unit.number("segment", 0),
        registers=registers,
        evidence=tuple(evidence),
        assumed=("HAW, which no register says, is 52",),
    )
