"""Programs of syzkaller with ioctls of iommufd and VFIO, and the C reproducers made of them.

Forms: google/syzkaller, docs/program_syntax.md (a call, its number, and the struct behind the pointer) and
pkg/csource (stores to fixed addresses, then ``syscall(__NR_ioctl, ...)``). What another call returned is not
known from the text: it is shown by its name, and no check is asked about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note

if TYPE_CHECKING:
    from iommu_abi.decode.commands import Command
    from iommu_abi.schemas.uapi.place import Place

KIND, KERNEL = "program", "7.2"
MARKS = ("ioctl$", "__NR_ioctl", "SYS_ioctl")
BEGINS = r"(?!)"
HINT = regex(r"(?!)")

_SYZ = regex(
    r"\bioctl\$(?P<name>\w{1,96})\((?P<fd>[^,]{1,64}), (?P<cmd>0x[0-9a-f]{1,16})(?:, (?P<arg>.{0,1800}))?"
)
_POINTER = regex(r"&\((?P<at>0x[0-9a-f]{1,16})\)(?:=(?:ANY=)?(?P<value>.*))?")
_ANY_NUMBER = regex(r"(?:<(?P<result>r\d{1,6})=>)?(?P<number>0x[0-9a-f]{1,16}|\d{1,20})")

_C_CALL = regex(
    r"(?:__NR|SYS)_ioctl, {0,2}(?:/\*[^*]{0,64}\*/)? {0,2}(?P<fd>[^,]{1,64}),"
    r" {0,2}(?:/\*[^*]{0,64}\*/)? {0,2}(?P<cmd>0x[0-9a-f]{1,16})[uUlL]{0,3},"
    r" {0,2}(?:/\*[^*]{0,64}\*/)? {0,2}(?P<arg>0x[0-9a-f]{1,16}|\d{1,20}|r\[\d{1,6}\])"
)
_STORE = regex(
    r"\*\(u?int(?P<bits>8|16|32|64)_t ?\*\)\(?(?P<at>0x[0-9a-f]{1,16})\)? = (?P<value>[^;]{1,64});"
)
_FILL = regex(
    r"\bmemset\(\(void ?\*\)(?P<at>0x[0-9a-f]{1,16}), (?P<byte>0x[0-9a-f]{1,2}|\d{1,3}), (?P<size>\d{1,6})\)"
)
#: The type of every ioctl of iommufd and VFIO.
_TYPE = ord(";")
_MOST_FILLED = 4096
#: A byte that is part of what another call returned.
_UNKNOWN = 1


@dataclass(slots=True)
class _Bytes:
    """Bytes that a program stores, and by which names those that are not numbers are called."""

    known: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def store(self, at: int, size: int, value: str) -> None:
        """A number, or the name of what is not known."""
        found = _ANY_NUMBER.fullmatch(value.rstrip("uUlL"))
        number = int(found["number"], 0) if found and not found["result"] else None
        for i in range(size):
            self.names.pop(at + i, None)
            self.known[at + i] = _UNKNOWN if number is None else number >> 8 * i & 0xFF
            if number is None:
                self.names[at + i] = found["result"] if found else value

    def block(self, at: int, size: int) -> bytes | None:
        """Bytes from an address on, 0 where nothing was stored; None if nothing was at the first."""
        return bytes(self.known.get(at + i, 0) for i in range(size)) if at in self.known else None


@cache
def _struct(command: int) -> Command | None:
    """The command of a whole number: of several in VFIO the one that has a struct."""
    from iommu_abi.decode import commands
    from iommu_abi.uapi.layout import abi

    found = commands.numbered(command & 0xFF, KERNEL, abi("x86_64")) if command >> 8 == _TYPE else ()
    return next((each for each in found if each.kind), next(iter(found), None))


@cache
def _places(command: Command) -> tuple[Place, ...]:
    from iommu_abi.schemas import uapi

    assert command.kind
    return tuple(uapi.layout(command.kind.schema, command.kind.plain_abi).places)


def _note(at: int, command: int, pointer: int | None, stored: _Bytes, form: str) -> Note | None:
    found = _struct(command)
    if command >> 8 != _TYPE:
        return None
    name = found.name if found else "no known command"
    title = f"{name} ({command:#x}) in {form}"
    if found is None or found.kind is None or pointer is None:
        return Note(KIND, title, (at,), source=_SOURCE)
    size = found.kind.layout.size
    data = stored.block(pointer, size)
    if data is None:
        return Note(KIND, title, (at,), ("its struct is not in the text",), source=_SOURCE)
    unknown = dict(_fields(found, pointer, stored))
    return Note(
        KIND, title, (at,), (_shown(found, data, unknown), _judged(found, data, unknown)), "", _SOURCE
    )


_SOURCE = "syzkaller, docs/program_syntax.md"


def _fields(command: Command, pointer: int, stored: _Bytes) -> Iterator[tuple[str, str]]:
    """Fields of which a byte is not known, and what it is called."""
    for place in _places(command):
        start = pointer + place.offset
        names = [stored.names[at] for at in range(start, start + place.size) if at in stored.names]
        if names:
            yield place.field.name, names[0]


def _shown(command: Command, data: bytes, unknown: Mapping[str, str]) -> str:
    assert command.kind
    parts = []
    for place in _places(command):
        number = int.from_bytes(data[place.offset : place.offset + place.size], command.kind.order)
        value = unknown.get(place.field.name)
        parts.append(f"{place.field.name or '(union)'}={value or f'{number:#x}'}")
    return ", ".join(parts)


@lru_cache(1024)
def _verdict(struct: str, data: bytes) -> tuple[str, str]:
    """The field that a kernel refuses, and how; "" and what else there is to say."""
    from iommu_abi import rules, structs
    from iommu_abi.uapi.layout import abi

    kind = structs.kind(struct, abi("x86_64"))
    subject = rules.any_struct(struct)
    if not subject.rows:
        return "", "no checks of a kernel are known here for this struct"
    error = rules.answer(subject, data, kind.plain_abi).error
    if error is None:
        return "", f"no check of Linux {KERNEL} on these bytes alone refuses it"
    return error.field, f"Linux {KERNEL} refuses it: {error}"


def _judged(command: Command, data: bytes, unknown: Mapping[str, str]) -> str:
    assert command.kind
    field, verdict = _verdict(command.kind.name, data)
    if field in unknown:
        return f"whether it is refused depends on {field}, which another call returned"
    return verdict


# ---------------------------------------------------------------- syz programs


def _split(text: str) -> list[str]:
    """What stands between the first brace and its own end, split at the commas of that level."""
    parts, start, depth, quoted = [], 1, 0, False
    for at, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif not quoted and letter in "{[(":
            depth += 1
        elif not quoted and letter in "}])":
            depth -= 1
            if not depth:
                parts.append(text[start:at])
                break
        elif not quoted and letter == "," and depth == 1:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in parts]


@lru_cache(4096)  # a log of a fuzzer repeats itself
def _syz(line: str) -> Note | None:
    found = _SYZ.search(line)
    if not found:
        return None
    command = int(found["cmd"], 16)
    struct = _struct(command)
    pointer = _POINTER.match(found["arg"] or "")
    stored = _Bytes()
    if struct and struct.kind and pointer and (pointer["value"] or "").startswith("{"):
        values = _split(pointer["value"])
        for place, value in zip(_places(struct), values):
            inner = _POINTER.match(value)
            stored.store(place.offset, place.size, inner["at"] if inner else value)
        return _note(0, command, 0, stored, "a syz program")
    return _note(0, command, 0 if pointer else None, stored, "a syz program")


# ---------------------------------------------------------------- C


def _program(messages: Sequence[str]) -> dict[int, Note]:
    """The calls of a C reproducer by position."""
    stored, notes = _Bytes(), {}
    for at, line in enumerate(messages):
        if "_t*)0x" in line or "_t *)" in line or "_t*)(" in line:
            for each in _STORE.finditer(line[:2048]):
                value = each["value"].strip()
                value = value[:-1] if value.count(")") > value.count("(") else value  # NONFAILING(...)
                stored.store(int(each["at"], 16), int(each["bits"]) // 8, value)
        elif "memset(" in line:
            for each in _FILL.finditer(line[:2048]):
                for i in range(min(int(each["size"]), _MOST_FILLED)):
                    stored.store(int(each["at"], 16) + i, 1, each["byte"])
        if "_ioctl" in line and (found := _C_CALL.search(line[:2048])):
            value = found["arg"]
            pointer = None if value.startswith("r") else int(value, 0)
            note = _note(at, int(found["cmd"], 16), pointer, stored, "a C reproducer")
            if note:
                notes[at] = note
    return notes


def recognise(lines: Lines, at: int) -> Note | None:
    """A call, its struct by fields, and what a kernel would say."""
    if "ioctl$" in lines[at]:
        made = _syz(lines[at])
        return replace(made, lines=(at,)) if made else None
    found = lines.memo.get(KIND)
    if not isinstance(found, dict):
        found = lines.memo[KIND] = _program(lines.messages)
    note: Note | None = found.get(at)
    return note
