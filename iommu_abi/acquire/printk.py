"""A kernel's log in an image of its memory: the printk ring of Linux 5.10 and later.

Descriptors by number, an info of fixed size for each, and a ring of texts
(kernel/printk/printk_ringbuffer.h). Sizes and offsets are those of VMCOREINFO. A ring may be torn or
hostile: every number of it is bounded, and a record counts only if its text block names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi.acquire import vmcoreinfo
from iommu_abi.acquire.addresses import Space
from iommu_abi.acquire.vmcoreinfo import Vmcoreinfo
from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory

#: Of a log that is longer the last records are read, and so many bytes of text.
MOST_RECORDS = 1 << 20
MOST_BYTES = 1 << 26
_ID_BITS = 62
_ID = (1 << _ID_BITS) - 1
#: States of a descriptor whose record is whole, committed and finalized; and of one that has none.
_WHOLE, _REUSABLE = (1, 2), 3


@dataclass(frozen=True, slots=True)
class KernelLog:
    """The lines of a log as dmesg prints them; ``lost`` records were not whole, or not in the image."""

    release: str
    lines: tuple[str, ...]
    lost: int

    @property
    def text(self) -> str:
        """All lines."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Ring:
    """Where the three parts of a ring are."""

    space: Space
    info: Vmcoreinfo
    count: int
    descs: int
    infos: int
    first: int
    last: int
    size: int
    data: int

    @classmethod
    def at(cls, space: Space, info: Vmcoreinfo, ring: int) -> _Ring:
        descs = ring + info.offset("printk_ringbuffer.desc_ring")
        texts = ring + info.offset("printk_ringbuffer.text_data_ring")
        count_bits = space.word(descs + info.offset("prb_desc_ring.count_bits"), 4)
        size_bits = space.word(texts + info.offset("prb_data_ring.size_bits"), 4)
        if not (0 < count_bits <= 26 and 0 < size_bits <= 31):
            raise ImageError(f"its printk ring says 2^{count_bits} records in 2^{size_bits} bytes: no ring")
        return cls(
            space,
            info,
            count=1 << count_bits,
            descs=space.word(descs + info.offset("prb_desc_ring.descs")),
            infos=space.word(descs + info.offset("prb_desc_ring.infos")),
            first=space.word(descs + info.offset("prb_desc_ring.tail_id")) & _ID,
            last=space.word(descs + info.offset("prb_desc_ring.head_id")) & _ID,
            size=1 << size_bits,
            data=space.word(texts + info.offset("prb_data_ring.data")),
        )

    def records(self) -> Iterator[tuple[int, bytes] | None]:
        """(nanoseconds, text) in order; None for one that cannot be told."""
        length = min(((self.last - self.first) & _ID) + 1, self.count, MOST_RECORDS)
        size = self.info.size("prb_desc")
        for back in range(length - 1, -1, -1):
            number = (self.last - back) & _ID
            desc = self.space.read(self.descs + number % self.count * size, size)
            state = _word(desc, self.info.offset("prb_desc.state_var")) if desc else 0
            if state >> _ID_BITS != _REUSABLE:
                whole = state & _ID == number and state >> _ID_BITS in _WHOLE
                yield self._record(number, desc) if desc and whole else None

    def _record(self, number: int, desc: bytes) -> tuple[int, bytes] | None:
        info = self.info
        size = info.size("printk_info")
        about = self.space.read(self.infos + number % self.count * size, size)
        if about is None:
            return None
        block = info.offset("prb_desc.text_blk_lpos")
        begin = _word(desc, block + info.offset("prb_data_blk_lpos.begin"))
        end = _word(desc, block + info.offset("prb_data_blk_lpos.next"))
        length = _word(about, info.offset("printk_info.text_len"), 2)
        text = b"" if begin & 1 else self._text(number, begin, end, length)
        return None if text is None else (_word(about, info.offset("printk_info.ts_nsec")), text)

    def _text(self, number: int, begin: int, end: int, length: int) -> bytes | None:
        """A block is its record's number and the text; at the ring's start if it would cross the end."""
        start, stop = begin % self.size, end % self.size or self.size
        if start > stop:
            start = 0
        if stop - start < 8:
            return None
        size = min(length, stop - start - 8)
        block = self.space.read(self.data + start, 8 + size)
        return block[8:] if block and _word(block, 0) & _ID == number else None


def _word(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _lines(nanoseconds: int, text: bytes) -> Iterator[str]:
    seconds, rest = divmod(nanoseconds // 1000, 1_000_000)
    for line in text.decode("utf-8", "replace").split("\n"):
        yield f"[{seconds:5d}.{rest:06d}] {line}"


def _log(memory: Memory, info: Vmcoreinfo) -> KernelLog:
    pointer = info.symbol("prb")
    if pointer is None:
        older = info.symbol("log_buf") is not None
        why = (
            "its log is of the form before 5.10, which is not read"
            if older
            else "its note has no SYMBOL(prb)"
        )
        raise ImageError(f"Linux {info.release}: {why}")
    if info.size("atomic_long_t") != 8:
        raise ImageError(f"Linux {info.release}: a kernel of 32 bits, whose log is not read")
    space = Space(memory, info)
    ring = _Ring.at(space, info, space.word(pointer))
    lines: list[str] = []
    lost = room = 0
    for record in ring.records():
        if record is None:
            lost += 1
        elif room < MOST_BYTES:
            room += len(record[1]) + 16
            lines += _lines(*record)
        else:
            lost += 1
    if not lines:
        raise ImageError(f"Linux {info.release}: its printk ring has no record that is whole")
    return KernelLog(info.release, tuple(lines), lost)


def read(memory: Memory) -> KernelLog:
    """The log of the kernel in an image; ImageError says in one sentence why there is none."""
    why = "no VMCOREINFO of a Linux kernel in it, which would lead to the log"
    for info in vmcoreinfo.find(memory):
        try:
            return _log(memory, info)
        except ImageError as error:  # an older kernel's note may have been left in memory
            why = str(error)
    raise ImageError(why)
