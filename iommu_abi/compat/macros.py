"""The integer macros of a header: their names from the preprocessor, their values from the compiler."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_DEFINE = re.compile(r"#define (\w+)(?= |$)(.*)")  # no "(" after the name: a function cannot be evaluated
_UNDEFINE = re.compile(r"#undef (\w+)")
_MARKER = re.compile(r'# \d+ "(.*?)"((?: \d)*)$')
#: A record with its members, a macro, an enumerator on a line of its own.
_DEFINED = re.compile(
    r"\b(?:struct|union) (\w+)\s*\{|^#\s*define (\w+)|^\s+([A-Z_]\w*) *(?:=[^;\n]*)?,?$", re.M
)
_CHARACTER = re.compile(r"'(?:\\.|[^'])'")
_SYSTEM = "3"

ARRAY = "iommu_abi_macro_values"
#: Bytes of an element of the array: the value, and whether it is negative.
ELEMENT = 16


@dataclass
class Found:
    """What the preprocessor says: the header's own files and others, and the macros that stand at its end."""

    files: set[str] = field(default_factory=set)
    included: set[str] = field(default_factory=set)
    own: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)


def found(preprocessed: str, directory: str) -> Found:
    """Files that the header consists of, its macros, and those of what it includes with <>.

    ``preprocessed`` is the text of ``cc -E -dD``.
    """
    made = Found()
    into: dict[str, str] | None = None
    for line in preprocessed.splitlines():
        if marker := _MARKER.match(line):
            path = marker[1]
            if path.startswith("<"):  # the compiler's own
                into = None
                continue
            into = made.others if _SYSTEM in marker[2].split() else made.own
            if into is made.own:
                made.files.add(os.path.realpath(os.path.join(directory, path)))
            else:
                made.included.add(path)
        elif into is not None and (define := _DEFINE.match(line)):
            made.own.pop(define[1], None)
            made.others.pop(define[1], None)
            into[define[1]] = define[2].strip()
        elif undefine := _UNDEFINE.match(line):
            made.own.pop(undefine[1], None)
            made.others.pop(undefine[1], None)
    return made


def may_be_integer(text: str) -> bool:
    """Whether a macro can stand in an expression without taking the lines after it along."""
    text = _CHARACTER.sub("0", text)
    return bool(text) and not re.search(r"[{};\"#]", text) and text.count("(") == text.count(")")


def definitions(text: str) -> set[str]:
    """The names that a header defines for some machine, without a compiler for it."""
    return {match[match.lastindex or 0] for match in _DEFINED.finditer(text)}


def question(include: str, names: Iterable[str]) -> tuple[str, dict[int, str]]:
    """A C file that asks of each macro whether it is an integer, and which macro is on which line.

    Each is in a function of its own: gcc reports an undeclared identifier once in each. ``| 0`` takes
    integers only, neither pointers nor floating point numbers.
    """
    head = include.splitlines()
    lines = dict(enumerate(names, len(head) + 1))
    body = [
        f"void iommu_abi_{n}(void) {{ static const long long v = (long long)(({name}) | 0); }}"
        for n, name in lines.items()
    ]
    return "\n".join([*head, *body, ""]), lines


def source(include: str, names: Iterable[str]) -> tuple[str, dict[int, str]]:
    """A C file whose array has the macros' values, and which macro is on which line."""
    head = [*include.splitlines(), f"const struct {{ long long value, negative; }} {ARRAY}[] = {{"]
    lines = dict(enumerate(names, len(head) + 1))
    body = [f"{{(long long)(({name}) | 0), (({name}) | 0) < 0}}," for name in lines.values()]
    return "\n".join([*head, *body, "{0, 0}};", ""]), lines


def refused(messages: str, file: str, lines: dict[int, str]) -> set[str]:
    """The macros on lines that errors, or the notes about what led to them, are about."""
    numbers = re.findall(rf"^{re.escape(file)}:(\d+):", messages, re.M)
    return {lines[int(n)] for n in numbers if int(n) in lines}
