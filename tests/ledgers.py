"""Both ledgers asked the same: each fact of a format is tested on the C walk and on the plain one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from iommu_abi.ledgers import compare
from iommu_abi.memory import Memory
from iommu_abi.schemas import build, plain_walk, table_walk
from iommu_abi.terms import Request, Translation
from iommu_abi.walk import Unit


class Remembered:
    """Memory made up by a function, which C then finds as the plain ledger has read it."""

    def __init__(self, source: table_walk.Read) -> None:
        self.source = source
        self.words: dict[int, bytes] = {}

    def read(self, address: int, length: int) -> bytes | None:
        """Bytes as in the source; what has been read once stays."""
        wanted = range(address, address + length, 8)
        if not self.words.keys() >= set(wanted):
            data = self.source(address, length)
            if data is None:
                return None
            for i, at in enumerate(wanted):
                self.words.setdefault(at, data[8 * i : 8 * i + 8])
        return b"".join(self.words[at] for at in wanted)

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """What has been read: address and bytes, neighbours together."""
        left = dict(sorted(self.words.items()))
        while left:
            first = next(iter(left))
            data = bytearray()
            while first + len(data) in left:
                data += left.pop(first + len(data))
            yield first, bytes(data)


def image(host: build.Memory | Remembered) -> Memory:
    """The pages or words as an image that C can read."""
    memory = Memory()
    memory.map_many(host.runs())
    return memory


def ask_both(
    kind: str, registers: Mapping[str, int], host: build.Memory | Remembered, request: Request
) -> Translation:
    """The answer of both ledgers; AssertionError where they differ, or where a trace changes C's answer."""
    unit = Unit(kind, registers)
    slow = plain_walk.translate(kind, registers, host.read, request)
    memory = image(host)
    fast = unit.translate(memory, request, trace=True)

    assert compare(fast, slow) == ()
    assert unit.translate(memory, request) == replace(fast, refs=())
    return fast
