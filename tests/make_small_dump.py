"""A small image of a dump: what the route from VMCOREINFO to the IOMMUs reads, and nothing else.

    python tests/make_small_dump.py DUMP META.json OUT.lime.xz

Bytes that are not read are zero. kallsyms and BTF are made anew, at their places and in the kernel's own
encoding, of the symbols and members that are asked for. The registers of META.json go to OUT.json.
"""

from __future__ import annotations

import json
import lzma
import struct
import sys
from pathlib import Path

from iommu_abi import btf
from iommu_abi.acquire import kallsyms, linux, vmcoreinfo
from iommu_abi.btf import Btf
from iommu_abi.memory import Memory

PAGE = 4096
U64 = 1 << 64


class Recorder(Memory):
    """Memory that notes which bytes are read."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes_read: dict[int, bytearray] = {}

    def note(self, address: int, data: bytes) -> None:
        while data:
            page = self.bytes_read.setdefault(address // PAGE * PAGE, bytearray(PAGE))
            at = address % PAGE
            part = data[: PAGE - at]
            page[at : at + len(part)] = part
            address, data = address + len(part), data[len(part) :]

    def read(self, addr: int, length: int) -> bytes | None:
        data = super().read(addr, length)
        if data and length <= PAGE:
            self.note(addr, data)
        return data

    def search(self, needle, align=1):
        for hit in super().search(needle, align):
            if needle[:4] != b"\x9f\xeb\1\0"[: len(needle)]:
                self.note(hit, needle)
            yield hit


class SmallBtf:
    """The types that were asked for, with the members that were."""

    def __init__(self, whole: Btf, asked: dict[int, set[str]]) -> None:
        self.whole, self.asked = whole, asked
        self.strings, self.names = bytearray(b"\0"), {"": 0}
        self.types: list[bytes] = []
        self.numbers: dict[int, int] = {}

    def name(self, text: str) -> int:
        if text not in self.names:
            self.names[text] = len(self.strings)
            self.strings += text.encode() + b"\0"
        return self.names[text]

    def _integer(self, size: int) -> bytes:
        return struct.pack("<IIII", self.name(f"u{8 * size}"), 1 << 24, size, 8 * size)

    def type(self, number: int) -> int:
        number = self.whole.resolve(number) if number else 0
        if not number or number in self.numbers:
            return self.numbers.get(number, 0)
        self.types.append(b"")
        mine = self.numbers[number] = len(self.types)
        kind, _, size, at = self.whole._type(number)
        if kind == btf.PTR:
            target = self.whole.target(number)
            self.types[mine - 1] = struct.pack(
                "<III", 0, 2 << 24, self.type(target) if target in self.asked else 0
            )
        elif kind == btf.ARRAY:
            element, index, count = struct.unpack_from("<III", self.whole._data, at + 12)
            self.types[mine - 1] = struct.pack(
                "<IIIIII", 0, 3 << 24, 0, self.type(element), self.type(index), count
            )
        elif number in self.asked and kind in (btf.STRUCT, btf.UNION):
            self.types[mine - 1] = self._struct(number, kind, size, at)
        else:
            self.types[mine - 1] = self._integer(size or 4)
        return mine

    def _struct(self, number: int, kind: int, size: int, at: int) -> bytes:
        (info,) = struct.unpack_from("<I", self.whole._data, at + 4)
        text = self.whole.name(struct.unpack_from("<I", self.whole._data, at)[0]).decode()
        rows = []
        for i in range(info & 0xFFFF):
            name, member, offset = struct.unpack_from("<III", self.whole._data, at + 12 + 12 * i)
            word = self.whole.name(name).decode()
            if word in self.asked[number] or (not word and self.whole.resolve(member) in self.asked):
                rows.append((self.name(word), self.type(member), offset))
        head = struct.pack("<III", self.name(text), info >> 31 << 31 | kind << 24 | len(rows), size)
        return head + b"".join(struct.pack("<III", *row) for row in rows)

    def whole_bytes(self, least: int) -> bytes:
        """With types that nobody asks for up to a size: a kernel's BTF is known by its size."""
        for number in list(self.asked):
            self.type(number)
        types = b"".join(self.types)
        types += self._integer(4) * (-(-max(0, least - len(types)) // 16))
        header = struct.pack("<HBBIIIII", btf.MAGIC, 1, 0, 24, 0, len(types), len(types), len(self.strings))
        return header + types + bytes(self.strings)


class AskedBtf(Btf):
    """BTF that notes what is asked of it."""

    asked: dict[int, set[str]]

    def member(self, number, name):
        found = super().member(number, name)
        asked = self.__class__.asked
        if self.kind(number) in (btf.STRUCT, btf.UNION):
            asked.setdefault(number, set()).add(name)
            rest = [number]
            while rest:  # nameless structs on the way
                for text, each in self._members(rest.pop()):
                    inner = self.resolve(each.type)
                    if not text and super().member(inner, name):
                        asked.setdefault(inner, set()).add(name)
                        rest.append(inner)
        return found

    def structs(self, name):
        found = super().structs(name)
        for number in found:
            self.__class__.asked.setdefault(number, set())
        return found


def small_kallsyms(kernel, symbols) -> dict[int, bytes]:
    """Place -> bytes of each table."""
    info, space = kernel.info, kernel.space
    at = {part: info.symbol(f"kallsyms_{part}") or 0 for part in kallsyms._PARTS}
    rows = sorted((place, name) for name, places in symbols.items() for place in places)
    base = space.word(at["relative_base"]) if at["relative_base"] else 0
    meaning = next(m for m in kallsyms._MEANINGS if all_agree(m, kernel, at, base))
    numbers = []
    for i, (place, _) in enumerate(rows):
        tries = (place - base, base - 1 - place, place, place - at["offsets"] - 4 * i)
        fits = (
            n & 0xFFFFFFFF for n in tries if meaning(at["offsets"], base, i, n & 0xFFFFFFFF) % U64 == place
        )
        numbers.append(next(fits))
    names = b"".join(bytes([len(name) + 1]) + b"T" + name.encode() for _, name in rows)
    made = {
        at["num_syms"]: struct.pack("<I", len(rows)),
        at["names"]: names,
        at["token_table"]: b"".join(bytes([c, 0]) for c in range(256)),
        at["token_index"]: struct.pack("<256H", *range(0, 512, 2)),
        at["offsets"]: struct.pack(f"<{len(numbers)}I", *numbers),
    }
    return made | ({at["relative_base"]: struct.pack("<Q", base)} if base else {})


def all_agree(meaning, kernel, at, base) -> bool:
    """Is this the kernel's encoding? By its own _stext among its own numbers."""
    count = kernel.space.word(at["num_syms"], 4)
    data = kernel.space.read(at["offsets"], 4 * count)
    stext = kernel.info.symbol("_stext")
    numbers = struct.unpack(f"<{count}I", data)
    return any(meaning(at["offsets"], base, i, n) % (1 << 64) == stext for i, n in enumerate(numbers))


def lime(pages: dict[int, bytearray]) -> bytes:
    """doc/README.md of LiME; a range for each run of pages."""
    made, run = bytearray(), []
    for page in [*sorted(pages), None]:
        if run and page != run[-1] + PAGE:
            made += struct.pack("<IIQQ8x", 0x4C694D45, 1, run[0], run[-1] + PAGE - 1)
            made += b"".join(pages[each] for each in run)
            run = []
        run.append(page)
    return bytes(made)


def main(dump: str, meta: str, out: str) -> None:
    AskedBtf.asked = {}
    linux.kernel.Btf = AskedBtf
    memory = Recorder()
    opened = Memory.open(dump)
    memory._regions, memory.table = opened._regions, opened.table
    whole = next(each for each in linux.kernel.find(memory, linux.WANTED) if not isinstance(each, Exception))
    tables = {}
    for part in ("names", "offsets", "token_table", "token_index", "num_syms", "relative_base"):
        if place := whole.info.symbol(f"kallsyms_{part}"):
            tables[part] = place
    first, last = min(tables.values()), max(tables.values()) + (1 << 20)
    low, high = whole.space.physical(first), whole.space.physical(last)
    start = whole.symbols.get("__start_BTF")
    btf_at = whole.space.physical(start[0]) if start else opened_at(memory, whole.types)
    size = len(whole.types._data)
    for page in list(memory.bytes_read):
        if low - PAGE <= page <= high or btf_at - PAGE < page < btf_at + size:
            del memory.bytes_read[page]
    found = linux.of_kernel(whole)
    pages, memory.bytes_read = memory.bytes_read, {}
    small = SmallBtf(whole.types, AskedBtf.asked).whole_bytes(0 if start else btf.LEAST_OF_A_KERNEL)
    symbols = dict(whole.symbols)
    if start:
        symbols["__stop_BTF"] = (start[0] + len(small),)
    made = small_kallsyms(whole, symbols)
    memory.bytes_read = pages
    memory.note(btf_at, small)
    for place, data in made.items():
        for i, byte in enumerate(data):
            at = whole.space.physical(place + i)
            pages.setdefault(at // PAGE * PAGE, bytearray(PAGE))[at % PAGE] = byte
    text = "".join(f"{key}={value}\n" for key, value in whole.info.lines.items()).encode()
    for hit in list(Memory.search(opened, b"OSRELEASE=")):
        if vmcoreinfo.parse(Memory.read(opened, hit, PAGE) or b""):
            memory.note(hit & ~7, b"\0" * (hit & 7) + text)
            break
    Path(out).write_bytes(lzma.compress(lime(pages), preset=9))
    registers = json.loads(Path(meta).read_text())["registers"]
    Path(out.replace(".lime.xz", ".json")).write_text(json.dumps({"registers": registers}, indent=1) + "\n")
    print(out, len(pages), "pages,", Path(out).stat().st_size, "bytes,", len(found.units), "units")


def opened_at(memory: Memory, types: Btf) -> int:
    """Where BTF is that was found without a symbol."""
    return next(Memory.search(memory, types._data[:64], 4))


if __name__ == "__main__":
    main(*sys.argv[1:])
