"""What man pages and site are made from: parsers of the command, comments of the headers, taken apart."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
CDEFS = ROOT / "cdefs"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of prose. An example's lines stay as they are, all else is to be filled."""

    kind: Literal["heading", "text", "item", "example"]
    text: str


def blocks(text: str) -> Iterator[Block]:
    """Paragraphs of a comment: text, lists with "- ", headings underlined with dashes, indented lines."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        heading, _, rest = paragraph.partition("\n")
        if re.match("-+(\n|$)", rest):
            yield Block("heading", heading)
            paragraph = rest.lstrip("-").lstrip("\n")
        if not paragraph.strip():
            continue
        if paragraph.startswith(("\t", "    ")):
            yield Block("example", paragraph)
            continue
        first, *items = re.split(r"^- ", paragraph, flags=re.M)
        if first.strip():
            yield Block("text", first)
        yield from (Block("item", item) for item in items)


# ---------------------------------------------------------------- parsers


def _placeholder(action: argparse.Action) -> str:
    """What stands for the value of an argument."""
    if action.metavar is not None:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    return "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()


def usage(parser: argparse.ArgumentParser) -> str:
    """How a command is called."""
    return parser.format_usage().removeprefix("usage:")


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Each option and positional argument, and its help."""
    for action in parser._actions:
        if action.help is argparse.SUPPRESS or "--help" in action.option_strings:
            continue
        tag = ", ".join(action.option_strings)
        if action.nargs != 0:
            tag = f"{tag} {_placeholder(action)}".strip()
        yield tag, (action.help or "") % {**vars(action), "prog": parser.prog}


def epilog(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """What stands below the options: a heading that ends with a colon, or none, and text."""
    for part in re.split(r"^(?=\S[^\n]*:$)", parser.epilog or "", flags=re.M):
        heading, _, rest = part.partition("\n")
        yield (heading, rest) if heading.endswith(":") else ("", part)


# ---------------------------------------------------------------- headers

_COMMENT = re.compile(r"/\*(\*?)\s*\n?(.*?)\s*\*/\n((?:(?!/\*)[^\n#]+\n)*)", re.S)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment of a header and the declaration behind it; one that documents nothing has no ``names``.

    ``names`` has each name with its summary, ``arguments`` each argument or member with its meaning.
    """

    names: dict[str, str]
    arguments: dict[str, str]
    text: str
    code: str


def headers() -> list[Path]:
    """The public headers: the umbrella, then those that it includes."""
    umbrella = CDEFS / "iommu_abi.h"
    included = re.findall(r'#include "(iommu_abi/.*)"', umbrella.read_text())
    return [umbrella, *(CDEFS / name for name in included if name != "iommu_abi/types.h")]


def comments(path: Path) -> Iterator[Comment]:
    """The comments of a header, in its order."""
    text = path.read_text().removeprefix("/* SPDX-License-Identifier: MIT */\n")
    for star, comment, code in _COMMENT.findall(text):
        lines = re.sub(r"^ ?\*( |$|(?=\t))", "", comment, flags=re.M)
        yield _documented(lines, code) if star else Comment({}, {}, lines, code)


def _documented(comment: str, code: str) -> Comment:
    """A comment in the kernel's way: names with summaries, @arguments, prose."""
    text = re.sub(r"&(?=struct |enum )", "", comment)
    head, _, rest = text.partition("\n\n" if "\n@" not in text else "\n@")
    listed, _, after = rest.partition("\n\n") if "\n@" in text else ("", "", rest)
    meant = dict(_argument(each) for each in listed.split("\n@")) if listed else {}
    return Comment(_summaries(head), meant, after.replace("@", ""), code)


def _summaries(head: str) -> dict[str, str]:
    """Each name that a comment begins with, and what it is in short."""
    found = re.findall(r"((?:struct )?\w+(?:\(\))?) - (.*?)(?=\n\w+\(\) - |$)", head, flags=re.S)
    return {name: " ".join(summary.split()) for name, summary in found}


def _argument(text: str) -> tuple[str, str]:
    name, _, meaning = text.partition(":")
    return name, " ".join(meaning.replace("@", "").split())


def declarations(code: str) -> list[str]:
    """The functions of a declaration, one by one; none where it is a struct or an enum."""
    if not code.startswith("IOMMU_ABI_API"):
        return []
    return [each.strip().replace("IOMMU_ABI_API ", "") + ";" for each in code.strip().split(";")[:-1]]
