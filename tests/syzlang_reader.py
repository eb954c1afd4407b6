"""A reader of syzlang, written from its documentation: the grammar as far as we use it, and sizes.

It knows nothing of the generator. What does not follow the grammar is an AssertionError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = r"[A-Za-z_][\w$]*"
_TOKEN = re.compile(rf'\s*(?:({NAME})|(-?0x[0-9a-fA-F]+|-?\d+)|("[^"]*")|([\[\]:,()]))')
INTEGERS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8}


@dataclass(frozen=True)
class Type:
    """``name[arguments]``."""

    name: str
    arguments: tuple[Type, ...] = ()


@dataclass(frozen=True)
class Field:
    name: str
    type: Type
    attribute: str = ""


@dataclass
class Text:
    """All that a description defines."""

    includes: list[str] = field(default_factory=list)
    resources: dict[str, str] = field(default_factory=dict)
    calls: dict[str, tuple[list[Field], str]] = field(default_factory=dict)
    structs: dict[str, list[Field]] = field(default_factory=dict)
    unions: dict[str, list[Field]] = field(default_factory=dict)
    flags: dict[str, list[str]] = field(default_factory=dict)

    # ------------------------------------------------------------ names

    def constants(self) -> set[str]:
        """Names whose numbers the kernel's headers have to give."""
        found = {name for names in self.flags.values() for name in names if not name.isdigit()}
        for each in self._types():
            if each.name == "const" and re.fullmatch(NAME, each.arguments[0].name):
                found.add(each.arguments[0].name)
        return found

    def used(self) -> set[str]:
        """Every name in a type."""
        return {each.name for each in self._types()}

    def _types(self):
        lists = [
            *self.structs.values(),
            *self.unions.values(),
            *(fields for fields, _ in self.calls.values()),
        ]
        ahead = [f.type for fields in lists for f in fields]
        while ahead:
            each = ahead.pop()
            yield each
            ahead += each.arguments

    # ------------------------------------------------------------ sizes, by C's rules

    def size_align(self, type_: Type, align8: int = 8) -> tuple[int, int]:
        """Bytes and alignment of a type of fixed size; ``align8`` is the alignment of 8 bytes."""
        name, arguments = type_.name, type_.arguments
        if name in INTEGERS:
            return INTEGERS[name], align8 if name == "int64" else INTEGERS[name]
        if name in ("ptr64", "vma64"):
            return 8, align8
        if name in ("const", "flags", "len", "bytesize"):
            return self.size_align(arguments[1], align8)
        if name == "array":
            size, align = self.size_align(arguments[0], align8)
            return size * int(arguments[1].name), align
        if name in self.resources:
            return self.size_align(Type(self.resources[name]), align8)
        if name.startswith("fd") or name.endswith("_handle"):  # resources of syzkaller: all have 4 bytes
            return 4, 4
        if name in self.unions:
            sizes = [self.size_align(f.type, align8) for f in self.unions[name]]
            return max(s for s, _ in sizes), max(a for _, a in sizes)
        return self.struct(name, align8)[0]

    def struct(self, name: str, align8: int = 8) -> tuple[tuple[int, int], dict[str, int]]:
        """Size, alignment and offsets of a struct."""
        at, most, offsets = 0, 1, {}
        for f in self.structs[name]:
            size, align = self.size_align(f.type, align8)
            at = -(-at // align) * align
            offsets[f.name] = at
            at, most = at + size, max(most, align)
        return (-(-at // most) * most, most), offsets


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token, f"no token at {text[at:]!r}"
        found.append(token[0].strip())
        at = token.end()
    return found


def _type(tokens: list[str]) -> Type:
    name, arguments = tokens.pop(0), []
    assert re.fullmatch(rf'{NAME}|-?\w+|"[^"]*"', name), name
    if tokens[:1] == ["["]:
        tokens.pop(0)
        while True:
            arguments.append(_type(tokens))
            if (after := tokens.pop(0)) == "]":
                break
            assert after == ",", after
    return Type(name, tuple(arguments))


def _whole(text: str) -> Type:
    tokens = _tokens(text)
    made = _type(tokens)
    assert not tokens, tokens
    return made


def _call(line: str) -> tuple[str, list[Field], str]:
    found = re.fullmatch(rf"([a-z0-9]+\${NAME})\((.*)\)(?: ({NAME}))?", line)
    assert found, line
    tokens, fields = _tokens(found[2]), []
    while tokens:
        name = tokens.pop(0)
        fields.append(Field(name, _type(tokens)))
        assert not tokens or tokens.pop(0) == ",", line
    return found[1], fields, found[3] or ""


def read(text: str) -> Text:
    """Read a description. Every line must be one of the grammar's."""
    made = Text()
    block: list[Field] | None = None
    for line in text.splitlines():
        if block is not None:
            if line in ("}", "]"):
                block = None
                continue
            found = re.fullmatch(rf"\t({NAME})\t+([^\t]+)(?:\t\((in|out|inout)\))?", line)
            assert found, f"no field: {line!r}"
            block.append(Field(found[1], _whole(found[2]), found[3] or ""))
        elif not line or line.startswith("#"):
            continue
        elif found := re.fullmatch(r"include (<[\w/.]+>)", line):
            made.includes.append(found[1])
        elif found := re.fullmatch(rf"resource ({NAME})\[(fd|int32|int64)\]", line):
            assert found[1] not in made.resources
            made.resources[found[1]] = "int32" if found[2] == "fd" else found[2]
        elif found := re.fullmatch(rf"({NAME}) ([{{\[])", line):
            where = made.structs if found[2] == "{" else made.unions
            assert found[1] not in {**made.structs, **made.unions}
            block = where[found[1]] = []
        elif found := re.fullmatch(rf"({NAME}) = (\w+(?:, \w+)*)", line):
            assert found[1] not in made.flags
            made.flags[found[1]] = found[2].split(", ")
        else:
            name, fields, returned = _call(line)
            assert name not in made.calls
            made.calls[name] = fields, returned
    assert block is None
    return made
