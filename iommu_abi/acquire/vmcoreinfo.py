"""VMCOREINFO: what a kernel notes of itself for readers of its dumps.

Text of lines ``KEY=VALUE`` in memory, and in ELF cores in a note as well; the kernel's
admin-guide/kdump/vmcoreinfo.rst lists the keys. QEMU's cores often have no note, so memory is searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory

_FIRST = b"OSRELEASE="
#: The kernel gives the text a page, which is 64 KiB at most.
_MOST = 1 << 16
_MOST_PLACES = 1 << 12
_LINES = re.compile(rb"(?:[!-<>-~]{1,128}=[ -~]{0,256}\n){2,}")
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{1,16}")
_DECIMAL = re.compile(r"-?[0-9]{1,20}")


@dataclass(frozen=True)
class Vmcoreinfo:
    """The lines of a note by their keys."""

    lines: Mapping[str, str] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """The kernel's version, as ``uname -r`` says it."""
        return self.lines.get("OSRELEASE", "")

    def symbol(self, name: str) -> int | None:
        """A symbol's virtual address."""
        text = self.lines.get(f"SYMBOL({name})", "")
        return int(text, 16) if _HEX.fullmatch(text) else None

    def number(self, name: str) -> int | None:
        """A number, which may be negative."""
        text = self.lines.get(f"NUMBER({name})", "")
        if _DECIMAL.fullmatch(text):
            return int(text)
        return int(text, 16) if text.startswith("0x") and _HEX.fullmatch(text) else None

    def offset(self, member: str) -> int:
        """Where ``STRUCT.MEMBER`` is in its struct; ImageError if the note does not say."""
        return self._small(f"OFFSET({member})")

    def size(self, struct: str) -> int:
        """Bytes of a struct; ImageError if the note does not say."""
        return self._small(f"SIZE({struct})")

    def _small(self, key: str) -> int:
        text = self.lines.get(key, "")
        if not _DECIMAL.fullmatch(text) or not 0 <= int(text) < 1 << 16:
            raise ImageError(f"VMCOREINFO: got {text!r} for {key}, expected a number below 0x10000")
        return int(text)

    @property
    def page_size(self) -> int:
        """Bytes of a page."""
        text = self.lines.get("PAGESIZE", "")
        return int(text) if text in ("4096", "16384", "65536") else 4096


def parse(data: bytes) -> Vmcoreinfo | None:
    """The lines at the start of some bytes; None if there are none of a running kernel."""
    found = _LINES.match(data)
    if not found or b"\nSYMBOL(" not in found[0]:
        return None
    lines = (line.partition("=") for line in found[0].decode("ascii").splitlines())
    return Vmcoreinfo({key: value for key, _, value in lines})


def find(memory: Memory) -> Iterator[Vmcoreinfo]:
    """Every different note in memory, by address; those of a kernel before may be among them."""
    seen: list[Mapping[str, str]] = []
    for address in islice(memory.search(_FIRST), _MOST_PLACES):
        region = memory.find(address, 1)
        size = min(_MOST, region.last + 1 - address) if region else 0
        found = parse(memory.read(address, size) or b"")
        if found and found.lines not in seen:
            seen.append(found.lines)
            yield found
