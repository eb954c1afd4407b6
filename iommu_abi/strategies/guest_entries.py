"""Guests' entries as data of a nested HWPT, by hand: bits of words are no fields of the struct.

Rules: ``iommu_abi.nesting``. Bits: Arm IHI 0070, 5.2 (STE); AMD 48882, 2.2.2.1 (DTE).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from hypothesis import strategies as st

from iommu_abi.nesting import amdvi, smmuv3

Words = list[int]

#: V, Config, S1Fmt, S1ContextPtr, S1CDMax; S1DSS, S1CIR, S1COR, S1CSH, S1STALLD, EATS
STE_BITS = (0xF80F_FFFF_FFFF_FFFF, 0x3800_00FF)
CONFIG, EATS = (0, 1, 3), (1, 28, 2)  # word, lowest bit, bits
MODE, ROOT, GLX, PAGING = (0, 9, 3), (0, 12, 40), (0, 56, 2), (2, 54, 2)
GCR3 = ((0, 58, 3), (1, 16, 16), (1, 43, 21))
V, GV = (0, 0, 1), (0, 55, 1)

_u64 = st.integers(0, (1 << 64) - 1)


def _put(words: Words, where: tuple[int, int, int], value: int) -> None:
    word, low, bits = where
    mask = ((1 << bits) - 1) << low
    words[word] = words[word] & ~mask | value << low


def _pack(words: Words) -> bytes:
    return struct.pack(f"<{len(words)}Q", *words)


def _ste(draw: st.DrawFn) -> Words:
    words = [draw(_u64) & bits for bits in STE_BITS]
    _put(words, V, 1)
    _put(words, CONFIG, draw(st.sampled_from((0b000, 0b100, 0b101))))
    _put(words, EATS, draw(st.integers(0, 1)))
    return words


def _ste_bits(draw: st.DrawFn, words: Words) -> None:
    unknown = [(word, bit) for word, bits in enumerate(STE_BITS) for bit in range(64) if not bits >> bit & 1]
    for word, bit in draw(st.sets(st.sampled_from(unknown), min_size=1, max_size=4)):
        _put(words, (word, bit, 1), 1)


def _dte(draw: st.DrawFn) -> Words:
    words = [draw(_u64) for _ in range(4)]
    for where in (MODE, ROOT, PAGING):
        _put(words, where, 0)
    _put(words, GLX, draw(st.integers(0, 2)))
    _put(words, GCR3[1], draw(st.integers(1, 0xFFFF)))
    return words


def _no_gcr3(draw: st.DrawFn, words: Words) -> None:
    for where in (V, GV):
        _put(words, where, 1)
    for where in GCR3:
        _put(words, where, 0)


def _value(where: tuple[int, int, int], *values: int) -> Callable[[st.DrawFn, Words], None]:
    return lambda draw, words: _put(words, where, draw(st.sampled_from(values)))


def _not_zero(where: tuple[int, int, int]) -> Callable[[st.DrawFn, Words], None]:
    return lambda draw, words: _put(words, where, draw(st.integers(1, (1 << where[2]) - 1)))


#: Struct -> rule -> how an entry that breaks none is made to break it.
BREAKERS: Mapping[str, Mapping[str, Callable[[st.DrawFn, Words], None]]] = {
    smmuv3.STRUCT: {
        smmuv3.BITS.name: _ste_bits,
        smmuv3.CONFIG.name: _value(CONFIG, 1, 2, 3, 6, 7),
        smmuv3.EATS.name: _value(EATS, 2, 3),
    },
    amdvi.STRUCT: {
        amdvi.MODE.name: _not_zero(MODE),
        amdvi.ROOT.name: _not_zero(ROOT),
        amdvi.GCR3.name: _no_gcr3,
        amdvi.PAGING.name: _value(PAGING, 2, 3),
        amdvi.GLX.name: _value(GLX, 3),
        amdvi.LEVELS.name: _value(PAGING, 1),
    },
}
ERRNOS: Mapping[str, int] = {
    rule.name: rule.errno
    for rule in (
        smmuv3.BITS, smmuv3.CONFIG, smmuv3.EATS,
        amdvi.MODE, amdvi.ROOT, amdvi.GCR3, amdvi.PAGING, amdvi.GLX, amdvi.LEVELS,
    )
}  # fmt: skip
_MAKERS = {smmuv3.STRUCT: _ste, amdvi.STRUCT: _dte}


@st.composite
def valid(draw: st.DrawFn, name: str) -> bytes:
    """An entry that its driver accepts; of an STE with V=0 nothing else is looked at."""
    words = _MAKERS[name](draw)
    if name == smmuv3.STRUCT and draw(st.booleans()):
        words = [draw(_u64) & ~1, draw(_u64)]
    return _pack(words)


@st.composite
def breaking(draw: st.DrawFn, name: str, rule: str) -> bytes:
    """An entry that breaks one rule of its driver."""
    words = _MAKERS[name](draw)
    BREAKERS[name][rule](draw, words)
    return _pack(words)
