"""Memory of a case: words at their addresses, all else is zero."""

from __future__ import annotations

from dataclasses import dataclass, field

from iommu_abi.memory import Memory

PAGE = 4096
ZERO_PAGE = bytes(PAGE)


@dataclass(slots=True)
class SparseMemory:
    """Words at their addresses and zeros everywhere else, as either ledger wants it.

    There is no room for zeros at all addresses: pages of them appear when the walk asks for one.
    """

    pages: dict[int, bytearray] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)

    @classmethod
    def of(cls, words: tuple[tuple[int, int], ...]) -> SparseMemory:
        """Memory that holds these 64-bit words."""
        made = cls()
        for address, word in words:
            for i, byte in enumerate(word.to_bytes(8, "little")):
                number, offset = divmod(address + i & (1 << 64) - 1, PAGE)
                made.pages.setdefault(number, bytearray(PAGE))[offset] = byte
        made.memory.map_many(((number * PAGE, page) for number, page in made.pages.items()), writable=True)
        return made

    def read(self, address: int, length: int) -> bytes:
        """Bytes, zeros where nothing was put."""
        last = (address + length - 1) // PAGE
        whole = b"".join(self.pages.get(n, ZERO_PAGE) for n in range(address // PAGE, last + 1))
        return whole[address % PAGE :][:length]

    def add_zeros(self, address: int) -> bool:
        """Make the page of an address exist; False if it does already."""
        first = address // PAGE * PAGE
        if self.memory.find(first, 1) is not None:
            return False
        self.memory.map(first, ZERO_PAGE)
        return True
