"""The bytes of an entry or register in the words of its layout."""

from __future__ import annotations

from iommu_abi.schemas.entries import Layout


def said(layout: Layout, data: bytes, *, remarks: bool = True, reserved: bool = True) -> str:
    """The names of the single bits that are set, and fields with their values; zero ones are left out.

    ``remarks`` adds what a value means, ``reserved`` the reserved bits that are set.
    """
    parsed = layout.parse(data)
    shown = []
    for each in layout.fields:
        value = parsed[each.name]
        if not value or each.ignored:
            continue
        if each.reserved and not reserved:
            continue
        if each.reserved:
            shown.append(f"RESERVED BITS {each.name.removeprefix('rsvd_')}={value:#x}")
        elif each.width == 1:
            shown.append(each.name)
        else:
            remark = f" ({each.values[value]})" if remarks and value in each.values else ""
            shown.append(f"{each.name}={value:#x}{remark}")
    return ", ".join(shown) or "all zero"
