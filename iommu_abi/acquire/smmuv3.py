"""SMMUv3: ``struct arm_smmu_device`` -> registers (drivers/iommu/arm/arm-smmu-v3; Arm SMMUv3 6.3).

The driver keeps features, not the ID registers: those are made again from what it understood.
"""

from __future__ import annotations

from iommu_abi.acquire.kernel import Kernel, Object
from iommu_abi.acquire.units import Device, Found
from iommu_abi.schemas import smmuv3_entries

OPS = "arm_smmu_ops"
PROBE = "arm_smmu_probe_device"
WANTED = (OPS, PROBE)
STRUCT = ("arm_smmu_device", "iommu", "strtab_cfg")
DRIVER = "arm-smmu-v3"
_RA = 1 << 62
_TWO_LEVEL, _SPLIT = 1 << 16, 8
_ADDRESS = (1 << 52) - 1 & ~0x3F
_OAS = {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6, 56: 7}

#: ARM_SMMU_FEAT_*: positions, which have stayed since they were given.
(_STRTAB2, _CDTAB2, _TT_LE, _TT_BE, _PRI, _ATS, _SEV, _MSI, _COHERENCY, _S1, _S2, _STALLS, _HYP,
 _STALL_FORCE, _VAX, _RANGE_INV) = range(16)  # fmt: skip
_ATTR_TYPES_OVR, _HA, _HD, _BBML2 = 20, 21, 22, 24


def _idr0(unit: Object, features: int) -> int:
    def on(bit: int) -> int:
        return features >> bit & 1

    endian = 0 if on(_TT_LE) and on(_TT_BE) else 2 if on(_TT_LE) else 3
    return smmuv3_entries.IDR0.value(
        S2P=on(_S2), S1P=on(_S1), TTF=2, COHACC=on(_COHERENCY), HTTU=on(_HA) + on(_HD) if on(_HA) else 0,
        HYP=on(_HYP), ATS=on(_ATS), PRI=on(_PRI), SEV=on(_SEV), MSI=on(_MSI), CD2L=on(_CDTAB2),
        ASID16=unit.number("asid_bits") == 16, VMID16=unit.number("vmid_bits") == 16, TTENDIAN=endian,
        STALL_MODEL=2 if on(_STALL_FORCE) else 0 if on(_STALLS) else 1, ST_LEVEL=on(_STRTAB2),
    )  # fmt: skip


def _idr1(unit: Object, features: int) -> int:
    """The sizes of the queues are those that the driver uses."""
    value = unit.number("sid_bits") | unit.number("ssid_bits") << 6
    value |= (features >> _ATTR_TYPES_OVR & 1) << 27
    for path, at in (("priq", 11), ("evtq", 16), ("cmdq", 21)):
        value |= (unit.number(f"{path}.q.llq.max_n_shift", 0) & 31) << at
    return value


def _idr3(features: int) -> int:
    """HAD is not kept: it is taken as there, as in every SMMU since 3.1."""
    return 1 << 2 | (features >> _RANGE_INV & 1) << 10 | (2 if features >> _BBML2 & 1 else 0) << 11


def _idr5(unit: Object, features: int) -> int:
    pages = unit.number("pgsize_bitmap")
    granules = (pages >> 12 & 1) << 4 | (pages >> 14 & 1) << 5 | (pages >> 16 & 1) << 6
    return _OAS.get(unit.number("oas"), 5) | granules | (features >> _VAX & 1) << 10


def _stream_table(unit: Object, features: int) -> tuple[int, int, str]:
    """STRTAB_BASE, STRTAB_BASE_CFG and the member that they are from."""
    config = "strtab_cfg."
    if unit.has(f"{config}strtab_base"):  # up to 6.11: the very registers
        base, how = unit.number(f"{config}strtab_base"), unit.number(f"{config}strtab_base_cfg")
        return base, how, "strtab_cfg.strtab_base, as it was written"
    if features >> _STRTAB2 & 1:
        base, entries = unit.number(f"{config}l2.l1_dma"), unit.number(f"{config}l2.num_l1_ents")
        size = max(entries, 1).bit_length() - 1 + _SPLIT
        return base & _ADDRESS | _RA, _TWO_LEVEL | _SPLIT << 6 | size & 63, "strtab_cfg.l2, two levels"
    base = unit.number(f"{config}linear.ste_dma")
    return base & _ADDRESS | _RA, unit.number("sid_bits") & 63, "strtab_cfg.linear"


def found(kernel: Kernel, unit: Object, _: tuple[tuple[Device, Object], ...]) -> Found:
    """One unit."""
    features = unit.number("features")
    base, config, how = _stream_table(unit, features)
    registers = {
        "STRTAB_BASE": base,
        "STRTAB_BASE_CFG": config,
        "IDR0": _idr0(unit, features),
        "IDR1": _idr1(unit, features),
        "IDR3": _idr3(features),
        "IDR5": _idr5(unit, features),
        "CMDQ_BASE": unit.number("cmdq.q.q_base"),
        "EVENTQ_BASE": unit.number("evtq.q.q_base"),
    }
    parent = unit.object("dev")
    return Found(
        kind="smmuv3",
        name=parent.text("kobj.name") if parent else "smmu",
        base=kernel.space.physical(unit.number("base")),
        segment=0,
        registers=registers,
        evidence=(
            f"STRTAB_BASE: {how}",
            f"IDR0, IDR1, IDR3, IDR5: made of the driver's features {features:#x}",
        ),
        assumed=(
            "IDR0.TTF is 2 and TERM_MODEL 0, IDR3.HAD 1 and XNX 0",
            "CR0 (on), CR2 and GBPA, which the kernel does not keep, are the defaults",
        ),
    )
