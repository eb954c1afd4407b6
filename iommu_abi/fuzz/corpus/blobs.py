"""Seeds for tests/c/fuzz_unpack.c: blobs of ``pasid_table_info``.

An input is 20 bytes that choose, then the blob. Of the first, bit 0 is the generation and the rest 0: no
shift, no repairs. The second is the room that unpack() is given.
"""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.fuzz import blobs
from iommu_abi.worlds.dice import Dice

CHOICES = 20
#: Generation -> bit 0 of the first byte.
GENERATIONS = {"v1_2017": 0, "rfc2017": 1}
ROOM = 255


def _input(generation: str, blob: bytes) -> bytes:
    return bytes((GENERATIONS[generation], ROOM)).ljust(CHOICES, b"\0") + blob


def seeds(generation: str, dice: Dice, count: int) -> Iterator[tuple[str, bytes]]:
    """Valid blobs of each payload, without and with one, and blobs that break each rule alone."""
    for i in range(count):
        for payload in blobs.SIZES:
            for full in (False, True):
                made = blobs.valid(dice, generation, payload, full=full)
                yield f"valid-{payload}{'-payload' if full else ''}-{i}", _input(generation, made.data)
        for rule in blobs.RULES:
            yield f"breaks-{rule}-{i}", _input(generation, blobs.make(dice, generation, rule).data)
