"""Seeds for tests/c/fuzz_walk.c, which reads what tables to lay out, and what to change in them.

An input is taken from its front, little-endian, what is beyond its end being 0: the shape of the tables
(2 bytes) and the mode (1); the request: control, IOVA (8), rid (2), PASID (3), access, flags; where there is
nesting, what is added to guest addresses (6); how many registers change, register and bit for each; how many
words change, four bytes for each bit; and the hole in memory: control, place (3), length.
"""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.worlds.dice import Dice

MODES = ("legacy", "ecs", "scalable", "v1", "v2", "nested", "smmuv3", "riscv")
#: Bits of the shape: which stages scalable mode has, what a request from a guest meets, two stages.
PGTT, NESTED, GUEST = 6, 1 << 10, 1 << 12
FITS = 1  # control of a request that fits the tables
WHOLE = 2  # control of memory without a hole
ON_PATH, FLIP = 1, 0  # how a word changes


def _nested(mode: str, shape: int) -> bool:
    """Whether the tables have two stages, as fuzz_tables.h has it."""
    if mode in ("ecs", "smmuv3", "riscv"):
        return bool(shape & NESTED and (mode == "ecs" or shape >> 12 & 3))
    return mode == "nested" or (mode == "scalable" and 1 + (shape >> PGTT & 3) == 3)


def _start(dice: Dice, mode: str, shape: int) -> bytes:
    """Tables and a request that passes them."""
    request = bytes([FITS]) + dice.randbytes(8) + dice.randbytes(2) + dice.randbytes(3) + bytes(2)
    added = dice.randbytes(6) if _nested(mode, shape) else b""
    return shape.to_bytes(2, "little") + bytes([MODES.index(mode)]) + request + added


def _changed(dice: Dice, entry: int) -> bytes:
    """One bit of an entry on the request's path."""
    return bytes([1, ON_PATH | FLIP << 5]) + bytes(2) + bytes([entry, dice.randrange(64)])


def _shapes(dice: Dice, mode: str) -> Iterator[tuple[str, int]]:
    """Tables of one stage, and where the mode has it of two."""
    other = dice.getrandbits(16) & ~(NESTED | GUEST | GUEST << 1 | 3 << PGTT)
    if mode == "scalable":
        yield from ((f"pgtt{1 + i}", other | i << PGTT) for i in range(4))
    elif mode in ("smmuv3", "riscv"):
        yield from (("stage2", other), ("stage1", other | GUEST), ("two-stages", other | GUEST | NESTED))
    elif mode == "ecs":
        yield from (("stage1", other), ("two-stages", other | NESTED))
    else:
        yield "tables", other


def seeds(dice: Dice, count: int) -> Iterator[tuple[str, bytes]]:
    """For each mode requests that pass, and the same with one bit of each of the first entries changed."""
    for i in range(count):
        for mode in MODES:
            for name, shape in _shapes(dice, mode):
                start = _start(dice, mode, shape)
                yield f"{mode}-{name}-passes-{i}", start + bytes([0, 0, WHOLE])
                for entry in range(4):
                    changed = start + bytes([0]) + _changed(dice, entry) + bytes([WHOLE])
                    yield f"{mode}-{name}-entry{entry}-{i}", changed
