"""Virtual addresses of a kernel -> physical ones, by its own page tables.

The tables are found through ``SYMBOL(swapper_pg_dir)``, whose physical address each architecture notes in a
way of its own (arch/*/kernel/vmcore_info.c). Formats: Intel SDM volume 3, 4.5 (4 and 5 levels); Arm ARM
D8.3, with FEAT_LPA2 and FEAT_LPA; RISC-V Privileged 12.3 to 12.5 (Sv39, Sv48, Sv57) and Svnapot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from iommu_abi.acquire.vmcoreinfo import Vmcoreinfo
from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory

#: So many numbers one by one: real machines with thousands of devices have a tenth of them.
MOST_WORDS = 1 << 21
_U64 = (1 << 64) - 1
_X86_IMAGE = 0xFFFFFFFF80000000
_PHYSICAL = (1 << 52) - 1

#: An entry and its level (0: pages only) -> the address in it, and whether it maps memory; None: not present.
Decode = Callable[[int, int], "tuple[int, bool] | None"]


@dataclass(frozen=True, slots=True)
class Tables:
    """A kernel's page tables. ``image`` added to an address of the kernel's image is its physical address."""

    image: int
    bits: int
    page: int
    decode: Decode

    @property
    def step(self) -> int:
        """Bits of an address that a level decides."""
        return self.page - 3

    @property
    def levels(self) -> int:
        """How many levels there are."""
        return -(-(self.bits - self.page) // self.step)


def _x86(info: Vmcoreinfo) -> Tables:
    clear = ~(info.number("sme_mask") or 0)

    def decode(entry: int, level: int) -> tuple[int, bool] | None:
        leaf = not level or bool(level < 3 and entry >> 7 & 1)
        return (entry & clear & _PHYSICAL, leaf) if entry & 1 else None

    image = (info.number("phys_base") or 0) - _X86_IMAGE
    return Tables(image, 57 if info.number("pgtable_l5_enabled") else 48, 12, decode)


def _arm64(info: Vmcoreinfo) -> Tables:
    page = info.page_size.bit_length() - 1
    configured, t1sz = info.number("VA_BITS") or 48, info.number("TCR_EL1_T1SZ")
    # A kernel of 64 KiB pages keeps a first table for what it was configured for.
    bits = configured if page == 16 or t1sz is None else 64 - t1sz
    wide = bits > 48 and page < 16

    def decode(entry: int, level: int) -> tuple[int, bool] | None:
        if not entry & 1 or (not level and not entry & 2):
            return None
        address = entry & ((1 << (50 if wide else 48)) - (1 << page))
        if wide:
            address |= (entry >> 8 & 3) << 50
        elif page == 16:
            address |= (entry >> 12 & 0xF) << 48
        return address, not level or not entry & 2

    return Tables(-(info.number("kimage_voffset") or 0), bits, page, decode)


def _riscv(info: Vmcoreinfo) -> Tables:
    modes = {8: 39, 9: 48, 10: 57}
    bits = modes.get((info.number("satp") or 0) >> 60 & 0xF, info.number("VA_BITS") or 39)

    def decode(entry: int, level: int) -> tuple[int, bool] | None:
        leaf = not level or bool(entry & 0xE)
        frame = entry >> 10 & ((1 << 44) - 1)
        if entry >> 63 and not level:  # 64 KiB in one: the frame's low bits say so
            frame &= ~0xF
        return (frame << 12, leaf) if entry & 1 else None

    return Tables(-(info.number("va_kernel_pa_offset") or 0), bits, 12, decode)


#: What only one architecture notes -> its name, and its tables.
_ARCHITECTURES: dict[str, tuple[str, Callable[[Vmcoreinfo], Tables]]] = {
    "phys_base": ("x86_64", _x86),
    "kimage_voffset": ("aarch64", _arm64),
    "va_kernel_pa_offset": ("riscv64", _riscv),
}


def _known(info: Vmcoreinfo) -> tuple[str, Callable[[Vmcoreinfo], Tables]]:
    found = next((each for key, each in _ARCHITECTURES.items() if info.number(key) is not None), None)
    if found is None:
        raise ImageError(
            f"Linux {info.release}: its addresses are not known here, those of x86-64, arm64, RISC-V are"
        )
    return found


def architecture(info: Vmcoreinfo) -> str:
    """The name of a kernel's architecture; ImageError for one that is not known here."""
    return _known(info)[0]


class Space:
    """The kernel's virtual memory. ImageError for an architecture that is not known here."""

    def __init__(self, memory: Memory, info: Vmcoreinfo) -> None:
        self._memory, self._tables = memory, _known(info)[1](info)
        self._root, self._text = info.symbol("swapper_pg_dir"), info.symbol("_stext")
        self._words = 0
        self._pages: dict[int, int | None] = {}

    def _in_image(self, virtual: int) -> int:
        return (virtual + self._tables.image) & _U64

    def in_image(self, physical: int) -> int:
        """Where a place of the kernel's image is mapped."""
        return (physical - self._tables.image) & _U64

    def _walk(self, virtual: int) -> int | None:
        tables = self._tables
        table = self._in_image(self._root) if self._root else 0
        inside = virtual & ((1 << tables.bits) - 1)
        for level in reversed(range(tables.levels)):
            low = tables.page + level * tables.step
            entry = self._memory.read64(table + 8 * (inside >> low & ((1 << tables.step) - 1)))
            found = tables.decode(entry, level) if entry else None
            if found is None:
                return None
            if found[1]:
                return (found[0] >> low << low) + (virtual & ((1 << low) - 1))
            table = found[0] >> tables.page << tables.page
        return None

    def physical(self, virtual: int) -> int | None:
        """The physical address; None if nothing is mapped there.

        What the tables do not tell, because a dump left them out, is told of the kernel's image.
        """
        found = self._walk(virtual)
        if found is None and self._text and abs(virtual - self._text) < 1 << 28:
            return self._in_image(virtual)
        return found

    def read(self, virtual: int, size: int) -> bytes | None:
        """Bytes at a virtual address; None if one of them is not there."""
        found, end = [], virtual + size
        while virtual < end:
            length = min(end - virtual, 4096 - virtual % 4096)
            page = virtual & ~4095
            if page not in self._pages:
                self._pages[page] = self.physical(page)
            start = self._pages[page]
            part = None if start is None else self._memory.read(start + virtual - page, length)
            if part is None:
                return None
            found.append(part)
            virtual += length
        return b"".join(found)

    def word(self, virtual: int, size: int = 8) -> int:
        """A little-endian number; ImageError if it is not there."""
        self._words += 1
        if self._words > MOST_WORDS:
            raise ImageError("the kernel's lists in the image have no end")
        data = self.read(virtual, size)
        if data is None:
            raise ImageError(f"the kernel's address {virtual:#x} is not in the image")
        return int.from_bytes(data, "little")
