"""The plain walk: where does a request go? Slow, readable, and in the order of docs/walk.md.

``look_up`` finds what a requester has, ``translate_in`` asks for one address, ``translate`` does both.
``context`` says how the two belong together, ``table_walk`` has the stages.

Nothing in a memory image can make these raise: what is wrong with tables is a
:class:`iommu_abi.terms.Fault`. Only a request or a register that makes no sense is a ValueError.

A format is a module of this package with a ``FORMAT``.
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.schemas.context import Context
from iommu_abi.schemas.format import format_of
from iommu_abi.schemas.table_walk import ADDRESS_MASK, Read, Walk
from iommu_abi.terms import Access, Request, Translation


def look_up(
    kind: str, registers: Mapping[str, int], read: Read, rid: int, pasid: int | None = None
) -> Context:
    """Find what a requester has with a PASID, or without: good until registers or tables change.

    ``registers`` are looked up by the vendor's names; those that the walk does not need are
    ignored.
    """
    _check_requester(rid, pasid)
    unit = format_of(kind).unit(registers)
    if rid > unit.rid_last:
        raise ValueError(f"rid: {rid:#x} is wider than the requester IDs of {kind}")
    context = unit.context(Walk(read, unit.address_lg2), rid, pasid)
    context.look_up()
    return context


def translate_in(context: Context, request: Request) -> Translation:
    """Where does a request of this requester go? ``refs`` of the answer are always filled."""
    _check_address(request)
    if (request.rid, request.pasid) != (context.rid, context.pasid):
        asker = f"rid {request.rid:#x}, PASID {request.pasid}"
        raise ValueError(f"{asker}: the context is of rid {context.rid:#x}, PASID {context.pasid}")
    walk = Walk(context.walk.read, context.walk.address_lg2)
    return context.transaction(walk, request).translate()


def translate(kind: str, registers: Mapping[str, int], read: Read, request: Request) -> Translation:
    """Where does this request go? As ``look_up`` and ``translate_in``."""
    _check_address(request)
    return translate_in(look_up(kind, registers, read, request.rid, request.pasid), request)


def _check_requester(rid: int, pasid: int | None) -> None:
    if pasid is not None and not 0 <= pasid < 1 << 20:
        raise ValueError(f"PASID {pasid:#x} has more than 20 bits")
    if not 0 <= rid < 1 << 32:
        raise ValueError("rid has more than 32 bits")


def _check_address(request: Request) -> None:
    if request.access not in (Access.READ, Access.WRITE, Access.EXEC):
        raise ValueError("a request is one of read, write and exec")
    if not 0 <= request.iova <= ADDRESS_MASK:
        raise ValueError("iova has more than 64 bits")
