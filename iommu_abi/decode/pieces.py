"""Bytes that somebody noted, with the address that they were at where that is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from iommu_abi.errors import UsageError


class TextError(UsageError):
    """Text that is no bytes; the sentence begins with its line."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes from ``address`` on in the memory of a process, None if nobody says where."""

    data: bytes
    address: int | None = None


def joined(rows: Iterable[Piece]) -> list[Piece]:
    """Rows that continue each other as one piece; rows without an address continue the row before."""
    made: list[tuple[bytearray, int | None]] = []
    for row in rows:
        data, address = made[-1] if made else (bytearray(), None)
        if address is not None and row.address == address + len(data):
            data += row.data
        else:
            made.append((bytearray(row.data), row.address))
    return [Piece(bytes(data), address) for data, address in made]


def read(pieces: Iterable[Piece], address: int, most: int) -> bytes | None:
    """The bytes from an address on, at most so many, from the first piece that has it; None if none has.

    A piece that begins at the address is preferred to one that only contains it.
    """
    known = [(piece.address, piece.data) for piece in pieces if piece.address is not None]
    known.sort(key=lambda each: each[0] != address)
    for start, data in known:
        if start <= address < start + len(data):
            return data[address - start : address - start + most]
    return None
