"""Who asks: PCI's bus, device and function as one number, and the ways in which people write it."""

from __future__ import annotations

import re

from iommu_abi.errors import UsageError
from iommu_abi.inputs import is_number, to_number

LAST_RID = (1 << 32) - 1

#: ``[SSSS:]BB:DD.F`` of Linux, alone or in brackets or at the end of a path in sysfs;
#: ``pci_SSSS_BB_DD_F`` of libvirt. Hex, but for the function.
_LINUX = re.compile(
    r"(?:/\S*/|pci[_:]?)?(?:([0-9a-fA-F]{4,8})[:_])?([0-9a-fA-F]{1,2})[:_]([0-9a-fA-F]{1,2})[._]([0-7])"
)
#: ``pciS:B:D:F`` of FreeBSD, decimal.
_FREEBSD = re.compile(r"pci(\d{1,5}):(\d{1,3}):(\d{1,2}):([0-7])")


def parse(text: str, what: str = "rid") -> tuple[int | None, int]:
    """Segment, None if the text has none, and requester ID; UsageError, begun by ``what``, for no such text.

    The segment says which IOMMU is meant, and is not part of the ID.
    """
    bare = text.strip().strip("[]")
    if is_number(bare):
        return None, to_number(bare, what, LAST_RID)
    for form, base in ((_FREEBSD, 10), (_LINUX, 16)):
        found = form.fullmatch(bare)
        if found:
            segment = int(found[1], base) if found[1] else None
            bus, device = int(found[2], base), int(found[3], base)
            if bus < 256 and device < 32:
                return segment, bus << 8 | device << 3 | int(found[4])
    raise UsageError(f"{what}: got {text[:80]!r}, expected [SSSS:]BB:DD.F with DD up to 1f, or a number")


def name(rid: int) -> str:
    """``BB:DD.F``, or a number where it is wider than that."""
    return f"{rid >> 8:02x}:{rid >> 3 & 31:02x}.{rid & 7}" if rid < 1 << 16 else f"{rid:#x}"
