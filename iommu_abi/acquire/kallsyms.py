"""kallsyms: the addresses of a kernel's symbols, from the tables that it carries itself.

Names are bytes that stand for tokens; addresses are numbers of 32 bits, which kernels have meant in several
ways (kernel/kallsyms.c, scripts/kallsyms.c): that one is right by which ``_stext`` is where VMCOREINFO says.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping

from iommu_abi.acquire.addresses import Space
from iommu_abi.acquire.vmcoreinfo import Vmcoreinfo
from iommu_abi.errors import ImageError

MOST_SYMBOLS = 1 << 22
_MOST_NAMES = 1 << 26
#: KSYM_NAME_LEN is 512, and a token stands for more than one byte.
_LONGEST_NAME, _LONGEST_TOKEN = 1024, 64
_U64 = (1 << 64) - 1
_PARTS = ("names", "num_syms", "token_table", "token_index", "offsets", "relative_base", "addresses")

#: (place of the numbers, relative base, position, the number without sign) -> an address.
_Meaning = Callable[[int, int, int, int], int]


def _signed(number: int) -> int:
    return number - ((number & 1 << 31) << 1)


#: Numbers without a sign, as arm64 and RISC-V have had them, and since 6.15 all.
def _above_the_base(_: int, base: int, __: int, number: int) -> int:
    return base + number


#: x86 with per-CPU symbols, which are absolute.
def _below_the_base(_: int, base: int, __: int, number: int) -> int:
    return base - 1 - _signed(number) if number >> 31 else number


#: Since 7.0.
def _beside_themselves(place: int, _: int, position: int, number: int) -> int:
    return place + 4 * position + _signed(number)


_MEANINGS: tuple[_Meaning, ...] = (_above_the_base, _below_the_base, _beside_themselves)


def _read(space: Space, place: int, size: int, what: str) -> bytes:
    data = space.read(place, size)
    if data is None:
        raise ImageError(f"the kernel's symbols: {what} at {place:#x} are not in the image")
    return data


def _tokens(space: Space, table: int, index: int) -> list[bytes]:
    positions = array("H", _read(space, index, 512, "the positions of their tokens"))
    if sys.byteorder == "big":
        positions.byteswap()
    last = max(positions)
    text = _read(space, table, last + 1, "their tokens") + (space.read(table + last + 1, 64) or b"")
    ends = [text.find(b"\0", at) for at in positions]
    return [text[at : min(max(end, at), at + _LONGEST_TOKEN)] for at, end in zip(positions, ends)]


def _up_to(space: Space, place: int, most: int) -> bytes:
    """What is mapped there, of at most so many bytes."""
    if data := space.read(place, most):
        return data
    found, at, end = [], place, place + most
    while at < end:
        length = min(4096 - at % 4096, end - at)
        part = space.read(at, length)
        if part is None:
            break
        found.append(part)
        at += length
    return b"".join(found)


def _names(data: bytes, count: int, tokens: list[bytes]) -> Iterator[bytes]:
    """Names with the letter of their type before them. A length above 127 has two bytes."""
    at, expand = 0, tokens.__getitem__
    for _ in range(count):
        if at + 2 > len(data):
            raise ImageError("the kernel's symbols: their names end before their number")
        length = data[at]
        at += 1
        if length & 0x80:
            length = length & 0x7F | data[at] << 7
            at += 1
        if length > _LONGEST_NAME:
            raise ImageError(f"the kernel's symbols: got a name of {length} tokens, expected {_LONGEST_NAME}")
        yield b"".join(map(expand, data[at : at + length]))
        at += length


def read(space: Space, info: Vmcoreinfo, wanted: Collection[str]) -> Mapping[str, tuple[int, ...]]:
    """The addresses of the wanted symbols: static ones of different files may share a name.

    ImageError if the kernel has no such tables, or none that agrees with its note.
    """
    at = {part: info.symbol(f"kallsyms_{part}") or 0 for part in _PARTS}
    if not (at["names"] and at["num_syms"] and at["token_table"] and at["token_index"]):
        raise ImageError(f"Linux {info.release}: its note does not say where its symbols are, as since 6.0")
    count = space.word(at["num_syms"], 4)
    if not 0 < count <= MOST_SYMBOLS:
        raise ImageError(f"the kernel's symbols: got {count} of them, expected 1 to {MOST_SYMBOLS}")
    behind = min((place for place in at.values() if place > at["names"]), default=1 << 64)
    tokens = _tokens(space, at["token_table"], at["token_index"])
    data = _up_to(space, at["names"], min(behind - at["names"], _MOST_NAMES, 512 * count))
    letters = {name.encode(): name for name in (*wanted, "_stext")}
    found: dict[str, list[int]] = {}
    for position, name in enumerate(_names(data, count, tokens)):
        if name[1:] in letters:
            found.setdefault(letters[name[1:]], []).append(position)
    address = _addresses(space, info, at, count, found.get("_stext", []))
    return {name: tuple(map(address, positions)) for name, positions in found.items()}


def _addresses(
    space: Space, info: Vmcoreinfo, at: Mapping[str, int], count: int, stext: list[int]
) -> Callable[[int], int]:
    """Position -> address."""
    if at["addresses"]:
        return lambda position: space.word(at["addresses"] + 8 * position)
    place = at["offsets"]
    base = space.word(at["relative_base"]) if at["relative_base"] else 0
    numbers = array("I", _read(space, place, 4 * count, "their addresses"))
    if sys.byteorder == "big":
        numbers.byteswap()
    for meaning in _MEANINGS:
        if any(meaning(place, base, i, numbers[i]) & _U64 == info.symbol("_stext") for i in stext):
            return lambda position: meaning(place, base, position, numbers[position]) & _U64
    raise ImageError(f"Linux {info.release}: its symbols do not have _stext where its note has it")
