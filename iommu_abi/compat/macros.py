"""The integer macros of a header: their names from the preprocessor, their values from the compiler."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

_DEFINE = re.compile(r"#define (\w+)(?= |$)(.*)")  # no "(" after the name: a function cannot be evaluated
_UNDEFINE = re.compile(r"#undef (\w+)")
_MARKER = re.compile(r'# \d+ "(.*?)"((?: \d)*)$')
_CHARACTER = re.compile(r"'(?:\\.|[^'])'")
_SYSTEM = "3"

ARRAY = "iommu_abi_macro_values"


def owned(preprocessed: str, directory: str) -> tuple[set[str], list[str]]:
    """Files that the header consists of, and the macros they define that may be integers.

    ``preprocessed`` is the text of ``cc -E -dD``. Files included with <> are other people's.
    """
    files: set[str] = set()
    names: dict[str, str] = {}
    ours = False
    for line in preprocessed.splitlines():
        if marker := _MARKER.match(line):
            path = marker[1]
            ours = _SYSTEM not in marker[2].split() and not path.startswith("<")
            if ours:
                files.add(os.path.realpath(os.path.join(directory, path)))
        elif ours and (define := _DEFINE.match(line)):
            names[define[1]] = define[2].strip()
        elif undefine := _UNDEFINE.match(line):
            names.pop(undefine[1], None)
    return files, [name for name, text in names.items() if _may_be_integer(text)]


def _may_be_integer(text: str) -> bool:
    """Whether a macro can stand in an expression without taking the lines after it along."""
    text = _CHARACTER.sub("0", text)
    return bool(text) and not re.search(r"[{};\"#]", text) and text.count("(") == text.count(")")


def source(include: str, names: Iterable[str]) -> tuple[str, dict[int, str]]:
    """A C file whose array has the macros' values, and which macro is on which line.

    ``| 0`` takes integers only, neither pointers nor floating point numbers.
    """
    head = [*include.splitlines(), f"const long long {ARRAY}[] = {{"]
    lines = dict(enumerate(names, len(head) + 1))
    body = [f"(long long)(({name}) | 0)," for name in lines.values()]
    return "\n".join([*head, *body, "0};", ""]), lines


def refused(messages: str, file: str, lines: dict[int, str]) -> set[str]:
    """The macros on lines that errors, or the notes about what led to them, are about."""
    numbers = re.findall(rf"^{re.escape(file)}:(\d+):", messages, re.M)
    return {lines[int(n)] for n in numbers if int(n) in lines}
