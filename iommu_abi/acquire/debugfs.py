"""Registers as Linux's debugfs shows them: text below /sys/kernel/debug/iommu.

- intel/iommu_regset (drivers/iommu/intel/debugfs.c): every unit's registers by name
- amd/iommuNN/mmio, amd/devtbl (drivers/iommu/amd/debugfs.c): a register by its offset, a device's entry
"""

from __future__ import annotations

import re
from pathlib import PurePath

from iommu_abi.acquire.units import Acquired, Device, Found
from iommu_abi.walk import registers

_UNIT = re.compile(r"^IOMMU: (\S{1,32}) Register Base Address: ([0-9a-f]{1,16})$", re.MULTILINE)
_ROW = re.compile(r"^(\w{1,24})\s{1,32}0x[0-9a-f]{1,8}\s{1,32}0x([0-9a-f]{1,16})$", re.MULTILINE)
_MMIO = re.compile(r"^Offset:0x([0-9a-f]{1,8}) Value:0x([0-9a-f]{1,16})$", re.MULTILINE)
_ENTRY = re.compile(
    r"^([0-9a-f]{4}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])((?: [0-9a-f]{16}){4}) iommu(\d{1,4})$",
    re.MULTILINE,
)
_DIRECTORY = re.compile(r"iommu(\d{1,4})")
#: AMD IOMMU specification 3.4: offsets of registers in MMIO.
_OFFSETS = {
    0x00: "DEVTAB_BASE", 0x08: "CMDBUF_BASE", 0x10: "EVTLOG_BASE", 0x18: "CONTROL", 0x20: "EXCL_BASE",
    0x28: "EXCL_LIMIT", 0x30: "EXT_FEATURES", 0x1A0: "EXT_FEATURES2", 0x2020: "STATUS",
}  # fmt: skip


def _regset(text: str, where: str) -> list[Found]:
    known, heads = registers("vtd"), list(_UNIT.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    units = []
    for head, end in zip(heads, ends):
        rows = _ROW.finditer(text, head.end(), end)
        values = {row[1]: int(row[2], 16) for row in rows if row[1] in known}
        if values:
            evidence = (f"{where}: the registers of {head[1]} as they were read",)
            assumed = ("HAW, which no register says, is 52",)
            units.append(Found("vtd", head[1], int(head[2], 16), 0, values, (), evidence, assumed))
    return units


def _mmio(text: str, where: str) -> list[Found]:
    """The unit is that of the directory, if it says one."""
    rows = {int(row[1], 16): int(row[2], 16) for row in _MMIO.finditer(text)}
    values = {name: rows[offset] for offset, name in _OFFSETS.items() if offset in rows}
    if not values:
        return []
    numbers = [found for part in PurePath(where).parts if (found := _DIRECTORY.fullmatch(part))]
    name = f"ivhd{int(numbers[-1][1])}" if numbers else "ivhd0"
    return [Found("amdvi", name, None, 0, values, (), (f"{where}: registers as they were read",))]


def _entries(text: str, where: str) -> list[Found]:
    units: dict[str, Found] = {}
    for row in _ENTRY.finditer(text):
        segment, name = int(row[1], 16), f"ivhd{int(row[6])}"
        rid = int(row[2], 16) << 8 | int(row[3], 16) << 3 | int(row[4])
        device = Device(row[0].split()[0], (rid,), segment)
        before = units.get(name, Found("amdvi", name, None, segment, {}))
        told = f"{where}: the device table entry of {device.short} is{row[5]}, high words first"
        units[name] = Found(
            "amdvi", name, None, segment, {}, (*before.devices, device), (*before.evidence, told)
        )
    return list(units.values())


def read(text: str, where: str) -> Acquired | None:
    """The units of a file's text; None if it is no such file."""
    units = _regset(text, where) or _mmio(text, where) or _entries(text, where)
    return Acquired(where, tuple(units)) if units else None
