"""AMD-Vi: ``struct amd_iommu`` -> registers (drivers/iommu/amd/amd_iommu_types.h; AMD IOMMU 3.4)."""

from __future__ import annotations

from iommu_abi import btf
from iommu_abi.acquire.kernel import Kernel, Object
from iommu_abi.acquire.units import Device, Found
from iommu_abi.errors import ImageError

OPS = "amd_iommu_ops"
PROBE = "amd_iommu_probe_device"
WANTED = (OPS, PROBE, "amd_iommu_evtlog_size")
STRUCT = ("amd_iommu", "iommu", "pci_seg")
_BUFFER, _DTE = 8192, 32
_EXCLUSION_ON = 1


def _pointer(thing: Object, path: str) -> int:
    """A pointer, or the one in the struct that says where and how large a buffer is."""
    inner = thing.object(path)
    if inner and inner.has("buf") and inner.address == thing.place(path):
        return inner.number("buf")
    return thing.number(path)


def _ring(kernel: Kernel, unit: Object, path: str, size: int) -> int:
    """A ring's base with its length: log2 of the entries of 16 bytes, in 59:56."""
    place = _pointer(unit, path)
    return kernel.physical(place) | ((size // 16).bit_length() - 1) << 56 if place else 0


def _table_size(segment: Object) -> int:
    size = segment.number("dev_table_size", 0) or (segment.number("last_bdf") + 1) * _DTE
    return -(-size // 4096)


def found(kernel: Kernel, unit: Object, _: tuple[tuple[Device, Object], ...]) -> Found:
    """One unit."""
    segment = unit.object("pci_seg")
    if segment is None or kernel.types.kind(segment.type) != btf.STRUCT:
        raise ImageError("an AMD IOMMU without a PCI segment: its driver had not set it up")
    table = kernel.physical(_pointer(segment, "dev_table"))
    log = kernel.variable("amd_iommu_evtlog_size") or _BUFFER
    registers = {
        "DEVTAB_BASE": table | _table_size(segment) - 1 & 0x1FF,
        "CMDBUF_BASE": _ring(kernel, unit, "cmd_buf", _BUFFER),
        "EVTLOG_BASE": _ring(kernel, unit, "evt_buf", log),
        "EXT_FEATURES": unit.number("features"),
        "EXT_FEATURES2": unit.number("features2", 0),
    }
    if start := unit.number("exclusion_start", 0):
        registers["EXCL_BASE"] = start | _EXCLUSION_ON
        registers["EXCL_LIMIT"] = start + unit.number("exclusion_length", 0) & ~0xFFF
    number = segment.number("id", 0)
    evidence = [f"DEVTAB_BASE: the device table of PCI segment {number}, amd_iommu_pci_seg.dev_table"]
    assumed = ["CONTROL, which the kernel does not keep, has translation on"]
    if mask := kernel.info.number("sme_mask"):
        assumed.append(
            f"entries carry the memory encryption bit {mask:#x}, which a walk takes as an address bit"
        )
    return Found(
        kind="amdvi",
        name=f"ivhd{unit.number('index', 0)}",
        base=unit.number("mmio_phys"),
        segment=number,
        registers=registers,
        evidence=tuple(evidence),
        assumed=tuple(assumed),
    )
