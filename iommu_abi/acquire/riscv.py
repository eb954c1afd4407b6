"""RISC-V: ``struct riscv_iommu_device`` -> registers (drivers/iommu/riscv; RISC-V IOMMU 1.0, 6)."""

from __future__ import annotations

from iommu_abi.acquire.kernel import Kernel, Object
from iommu_abi.acquire.units import Device, Found

OPS = "riscv_iommu_ops"
PROBE = "riscv_iommu_probe_device"
WANTED = (OPS, PROBE)
STRUCT = ("riscv_iommu_device", "iommu", "ddt_mode")


def _queue(unit: Object, path: str) -> int:
    """Page number in 53:10, log2 of the entries less 1 in 4:0."""
    place = unit.number(f"{path}.phys", 0)
    size = unit.number(f"{path}.mask", 0).bit_length() - 1
    return place >> 12 << 10 | max(size, 0) & 31 if place else 0


def found(kernel: Kernel, unit: Object, _: tuple[tuple[Device, Object], ...]) -> Found:
    """One unit."""
    registers = {
        "CAPABILITIES": unit.number("caps"),
        "FCTL": unit.number("fctl"),
        "DDTP": unit.number("ddt_phys") >> 12 << 10 | unit.number("ddt_mode") & 0xF,
        "CQB": _queue(unit, "cmdq"),
        "FQB": _queue(unit, "fltq"),
    }
    parent = unit.object("dev")
    return Found(
        kind="riscv",
        name=parent.text("kobj.name") if parent else "riscv-iommu",
        base=kernel.space.physical(unit.number("reg")),
        segment=0,
        registers=registers,
        evidence=("DDTP: riscv_iommu_device.ddt_phys and ddt_mode", "CAPABILITIES, FCTL: as they were read"),
    )
