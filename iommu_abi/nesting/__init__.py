"""Guest entries as iommufd takes them: whether a host accepts one, and what it makes of it.

Where the June 2017 ABI hands over a PASID table by address and size, iommufd takes the words of the
guest's own stream table or device table entry as data of a nested hwpt. A module per vendor has
``accept()``, which checks the bytes as the kernel does and raises AbiError with its errno, and
``physical()`` of what it returns: the entry that hardware gets.

Kept once, and held against the conformance cases.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from iommu_abi.errors import AbiError, Rule


def mask(*fields: tuple[int, int]) -> int:
    """Bits of a word that these fields cover, each from its high to its low bit."""
    return sum((1 << high + 1) - (1 << low) for high, low in fields)


def words(payload: bytes, count: int, length: Rule, where: str) -> tuple[int, ...]:
    """Little-endian 64-bit words of an entry; the payload has exactly as many."""
    if len(payload) != 8 * count:
        raise AbiError(length, length.field, None, len(payload), 8 * count, where)
    return struct.unpack(f"<{count}Q", payload)


def only(entry: Iterable[int], allowed: Iterable[int], rule: Rule, where: str) -> None:
    """Refuse the first word with bits that are not allowed."""
    for i, (word, bits) in enumerate(zip(entry, allowed)):
        if word & ~bits:
            raise AbiError(rule, f"{rule.field}[{i}]", 8 * i, word, bits, where)
