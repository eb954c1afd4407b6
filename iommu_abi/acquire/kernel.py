"""A kernel in an image: its symbols, its types, and its objects by the names of their members."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from iommu_abi import btf
from iommu_abi.acquire import kallsyms, vmcoreinfo
from iommu_abi.acquire.addresses import Space
from iommu_abi.acquire.vmcoreinfo import Vmcoreinfo
from iommu_abi.btf import Btf, Member
from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory

#: No list of a kernel's IOMMUs, groups or devices is longer.
MOST_OF_A_LIST = 1 << 14
MOST_POINTERS = 1 << 12
#: Notes of kernels before may be left in memory.
MOST_KERNELS = 8
_MOST_OF_A_NAME = 64
_MOST_HEADERS = 8
_BTF_HEADER = struct.Struct("<HBBIIIII")


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is needed to read a kernel's objects."""

    memory: Memory
    info: Vmcoreinfo
    space: Space
    symbols: Mapping[str, tuple[int, ...]]
    types: Btf

    def symbol(self, name: str) -> int | None:
        """The address of a symbol that is there once."""
        found = self.symbols.get(name, ())
        return found[0] if len(found) == 1 else None

    def variable(self, name: str, size: int = 4) -> int | None:
        """The value of a global number; None if its place is not known."""
        place = self.symbol(name)
        return None if place is None else self.space.word(place, size)

    def struct(self, name: str, having: str = "") -> int:
        """The number of a struct; of several of that name the one with the member, or ImageError."""
        for number in self.types.structs(name):
            if not having or self.types.member(number, having):
                return number
        raise ImageError(f"Linux {self.info.release}: no struct {name} in its BTF")

    def object(self, name: str, address: int, having: str = "") -> Object:
        """A struct in memory."""
        return Object(self, self.struct(name, having), name, address)

    def containing(self, name: str, member: str, address: int, having: str = "") -> Object:
        """The struct of which a member is at an address."""
        number = self.struct(name, having)
        found = self.types.member(number, member)
        if found is None:
            raise ImageError(f"Linux {self.info.release}: no member {member} in its struct {name}")
        return Object(self, number, name, address - found.place)

    def list(self, head: int, name: str, member: str) -> Iterator[Object]:
        """The structs of a list, by its head and their member that is in it."""
        seen = {head, 0}
        node = self.space.word(head)
        while node not in seen and len(seen) < MOST_OF_A_LIST:
            seen.add(node)
            yield self.containing(name, member, node)
            node = self.space.word(node)

    def pointers(self, to: int) -> Iterator[int]:
        """Physical places of pointers to an address: the first of them."""
        return islice(self.memory.search(to.to_bytes(8, "little"), 8), MOST_POINTERS)

    def physical(self, virtual: int) -> int:
        """ImageError if nothing is mapped there."""
        found = self.space.physical(virtual)
        if found is None:
            raise ImageError(f"the kernel's address {virtual:#x} is mapped nowhere")
        return found

    def text(self, address: int) -> str:
        """A string of ASCII; what cannot be read is empty."""
        data = b""
        while address and len(data) < _MOST_OF_A_NAME and b"\0" not in data:
            part = self.space.read(address + len(data), 1 if (address + len(data)) % 16 else 16)
            if part is None:
                break
            data += part
        shown = data[:_MOST_OF_A_NAME].split(b"\0")[0]
        return shown.decode("ascii", "replace") if all(32 < c < 127 for c in shown) else ""


@dataclass(frozen=True, slots=True)
class Object:
    """A struct of a kernel. Paths are members with dots between them; pointers on the way are followed."""

    kernel: Kernel
    type: int
    name: str
    address: int

    def _find(self, path: str) -> tuple[int, Member] | None:
        """Address of the struct that the last name is a member of, and the member."""
        types, number, address = self.kernel.types, self.type, self.address
        found = None
        for i, name in enumerate(path.split(".")):
            if i and found:
                address += found.place
                number = found.type
                if types.kind(number) == btf.PTR:
                    address, number = self.kernel.space.word(address), types.target(number)
            found = types.member(number, name) if number else None
            if found is None:
                return None
        return (address, found) if found else None

    def _must(self, path: str) -> tuple[int, Member]:
        found = self._find(path)
        if found is None:
            raise ImageError(f"Linux {self.kernel.info.release}: no member {path} in its struct {self.name}")
        return found

    def has(self, path: str) -> bool:
        """Is there such a member?"""
        return self._find(path) is not None

    def place(self, path: str) -> int:
        """The address of a member."""
        address, member = self._must(path)
        return address + member.place

    def number(self, path: str, absent: int | None = None) -> int:
        """An integer, enumerator or pointer; ``absent``, if given, where there is no such member."""
        if absent is not None and self._find(path) is None:
            return absent
        address, member = self._must(path)
        size = self.kernel.types.size(member.type)
        if not 0 < size <= 8:
            raise ImageError(f"member {path} of struct {self.name} has {size} bytes and is no number")
        value = self.kernel.space.word(address + member.place, size)
        return value >> member.offset % 8 & (1 << member.bits) - 1 if member.bits else value

    def object(self, path: str) -> Object | None:
        """The struct that is there, or that the pointer there leads to; None for NULL or no such member."""
        found = self._find(path)
        if found is None:
            return None
        types = self.kernel.types
        address, number = found[0] + found[1].place, found[1].type
        if types.kind(number) == btf.PTR:
            address, number = self.kernel.space.word(address), types.target(number)
        return Object(self.kernel, number, path, address) if address and number else None

    def text(self, path: str) -> str:
        """The string that a pointer leads to, or that an array holds."""
        address, member = self._must(path)
        place = address + member.place
        is_pointer = self.kernel.types.kind(member.type) == btf.PTR
        return self.kernel.text(self.kernel.space.word(place) if is_pointer else place)


def _types(memory: Memory, space: Space, symbols: Mapping[str, tuple[int, ...]]) -> Btf:
    """By the symbols, or else the largest of the memory: only a kernel's own is that large."""
    first, last = symbols.get("__start_BTF"), symbols.get("__stop_BTF")
    if first and last:
        size = last[0] - first[0]
        data = space.read(first[0], size) if 0 < size <= btf.MOST else None
        if data is None:
            raise ImageError(f"the kernel's BTF at {first[0]:#x} is not in the image")
        return Btf(data)
    for size, place in heapq.nlargest(_MOST_HEADERS, _headers(memory)):
        if data := memory.read(place, size):
            try:
                return Btf(data)
            except ImageError:  # the kernel keeps a copy of the header elsewhere
                continue
    raise ImageError("no types of a Linux kernel in it (BTF: CONFIG_DEBUG_INFO_BTF)")


def _headers(memory: Memory) -> Iterator[tuple[int, int]]:
    """(size, place) of what begins like the BTF of a kernel."""
    for place in memory.search(btf.MAGIC.to_bytes(2, "little") + b"\1\0", 4):
        header = memory.read(place, _BTF_HEADER.size)
        if header:
            _, _, _, size, types, types_size, strings, strings_size = _BTF_HEADER.unpack(header)
            whole = size + strings + strings_size
            fits = size < 256 and not types and strings == types_size and whole <= btf.MOST
            if fits and types_size >= btf.LEAST_OF_A_KERNEL:
                yield whole, place


def read(memory: Memory, info: Vmcoreinfo, wanted: frozenset[str]) -> Kernel:
    """The kernel of a note; ImageError says what is missing."""
    space = Space(memory, info)
    symbols = kallsyms.read(space, info, wanted | {"__start_BTF", "__stop_BTF"})
    return Kernel(memory, info, space, symbols, _types(memory, space, symbols))


def find(memory: Memory, wanted: frozenset[str]) -> Iterator[Kernel | ImageError]:
    """Each kernel whose note is in memory, or why it cannot be read."""
    for info in islice(vmcoreinfo.find(memory), MOST_KERNELS):
        try:
            yield read(memory, info, wanted)
        except ImageError as error:
            yield error
