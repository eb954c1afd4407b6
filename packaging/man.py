"""The man pages: iommu-abi(1) from the command's parsers, iommu_abi(3) from the headers' comments.

``python packaging/man.py`` writes them to packaging/man/, where they are kept, so that `make install` needs
no Python; a test compares. What they say is changed in iommu_abi/cli/ and cdefs/, nowhere else.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from iommu_abi import cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "packaging/man"
CDEFS = ROOT / "cdefs"

COMMAND = "iommu-abi \\- the Linux IOMMU user API and the tables behind it"
LIBRARY = "iommu_abi \\- the Linux IOMMU user API of June 2017 and the tables behind it, in C"


# ---------------------------------------------------------------- roff


def escape(text: str) -> str:
    """Text that roff prints as it stands; a line that begins like a request is none."""
    return re.sub(r"^(?=[.'])", r"\\&", text.replace("\\", "\\e").replace("-", "\\-"), flags=re.M)


def filled(text: str) -> str:
    """Text for roff to fill; short lines make short differences."""
    return escape(textwrap.fill(" ".join(text.split()), 72, break_long_words=False, break_on_hyphens=False))


def example(text: str) -> str:
    """Lines that stay as they are, tabs expanded."""
    return f".PP\n.in +4n\n.EX\n{escape(text.strip(chr(10)).expandtabs(8))}\n.EE\n.in\n"


def tagged(tag: str, text: str) -> str:
    """A word and what it means."""
    return f".TP\n.B {escape(tag)}\n{filled(text)}\n"


def prose(text: str) -> Iterator[str]:
    """Paragraphs of a comment: text, lists with "- ", headings underlined with dashes, indented lines."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        heading, _, rest = paragraph.partition("\n")
        if re.match("-+(\n|$)", rest):
            yield f".SS {escape(heading)}\n"
            paragraph = rest.lstrip("-").lstrip("\n")
        if not paragraph.strip():
            continue
        if paragraph.startswith(("\t", "    ")):
            yield example(paragraph)
            continue
        first, *items = re.split(r"^- ", paragraph, flags=re.M)
        if first.strip():
            yield f".PP\n{filled(first)}\n"
        yield from (f".IP \\(bu 2\n{filled(item)}\n" for item in items)


def page(name: str, section: int, *parts: str) -> str:
    """A whole page. A heading begins a paragraph by itself."""
    head = f'.\\" Made by {Path(__file__).name}: do not edit.\n.TH {name.upper()} {section} "" iommu\\-abi\n'
    return re.sub(r"^(\.S[HS] .*\n)\.PP\n", r"\1", head + "".join(parts), flags=re.M)


# ---------------------------------------------------------------- iommu-abi(1)


def _placeholder(action: argparse.Action) -> str:
    """What stands for the value of an argument."""
    if action.metavar is not None:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    return "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()


def _argument(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """An option or positional argument, and its help."""
    tag = ", ".join(action.option_strings)
    if action.nargs != 0:
        tag = f"{tag} {_placeholder(action)}".strip()
    values = {**vars(action), "prog": parser.prog}
    return tagged(tag, (action.help or "") % values)


def _command(name: str, parser: argparse.ArgumentParser, summary: str) -> Iterator[str]:
    usage = parser.format_usage().removeprefix("usage:")
    yield f".SS {escape(name)}\n.nh\n.ad l\n{filled(usage)}\n.ad\n.hy\n"
    yield from prose(parser.description or summary)
    for action in parser._actions:
        if action.help is not argparse.SUPPRESS and "--help" not in action.option_strings:
            yield _argument(action, parser)
    for part in re.split(r"^(?=\S[^\n]*:$)", parser.epilog or "", flags=re.M):
        heading, _, rest = part.partition("\n")
        if heading.endswith(":"):
            yield f".PP\n{escape(heading)}\n{example(rest)}"
        else:
            yield from prose(part)


def command_page() -> str:
    """iommu-abi(1)."""
    whole = cli.parser()
    commands = {name: cli.command_parser(name) for name in cli.COMMANDS}
    status, _, rest = cli.EPILOG.partition(": ")
    return page(
        "iommu-abi",
        1,
        f".SH NAME\n{COMMAND}\n",
        ".SH SYNOPSIS\n.B iommu\\-abi\n.I COMMAND\n\\&...\n",
        ".SH DESCRIPTION\n",
        *prose(whole.description or ""),
        ".SH COMMANDS\n",
        *(part for name, parser in commands.items() for part in _command(name, parser, cli.COMMANDS[name])),
        f".SH {status.upper()}\n",
        *prose(rest),
        ".SH SEE ALSO\n.BR iommu_abi (3)\n",
    )


# ---------------------------------------------------------------- iommu_abi(3)

_COMMENT = re.compile(r"/\*(\*?)\s*\n?(.*?)\s*\*/\n((?:(?!/\*)[^\n#]+\n)*)", re.S)


def _lines(comment: str) -> str:
    """A comment without its stars."""
    return re.sub(r"^ ?\*( |$|(?=\t))", "", comment, flags=re.M)


def _summaries(head: str) -> dict[str, str]:
    """Each name that a comment begins with, and what it is in short."""
    found = re.findall(r"((?:struct )?\w+(?:\(\))?) - (.*?)(?=\n\w+\(\) - |$)", head, flags=re.S)
    return {name: " ".join(summary.split()) for name, summary in found}


def _documented(comment: str, code: str) -> Iterator[str]:
    """A comment in the kernel's way: names with summaries, @arguments, prose."""
    text = re.sub(r"&(?=struct |enum )", "", comment)
    head, _, rest = text.partition("\n\n" if "\n@" not in text else "\n@")
    arguments, _, after = rest.partition("\n\n") if "\n@" in text else ("", "", rest)
    named = _summaries(head)
    yield f".SS {escape(', '.join(named))}\n"
    if len(named) == 1:
        yield from prose(*named.values())
    else:
        yield from (tagged(name, summary) for name, summary in named.items())
    yield from _declaration(code)
    for each in arguments.split("\n@") if arguments else ():
        name, _, meaning = each.partition(":")
        yield tagged(name, " ".join(meaning.replace("@", "").split()))
    yield from prose(after.replace("@", ""))


def _declaration(code: str) -> Iterator[str]:
    """Functions, for roff to break; structs and enums as they stand."""
    if not code.startswith("IOMMU_ABI_API"):
        yield example(code)
        return
    for each in code.strip().split(";")[:-1]:
        words = each.replace("IOMMU_ABI_API ", "") + ";"
        yield f".PP\n.nh\n.ad l\n\\fB{filled(words)}\\fR\n.ad\n.hy\n"


def _header(path: Path) -> Iterator[str]:
    """The comments of a header, each with the declaration behind it."""
    text = path.read_text().removeprefix("/* SPDX-License-Identifier: MIT */\n")
    yield f".SH {path.relative_to(CDEFS)}\n"
    for star, comment, code in _COMMENT.findall(text):
        if star:
            yield from _documented(_lines(comment), code)
        else:
            yield from prose(_lines(comment))
            if code.strip():
                yield from _declaration(code)


def library_page() -> str:
    """iommu_abi(3)."""
    umbrella = CDEFS / "iommu_abi.h"
    included = re.findall(r'#include "(iommu_abi/.*)"', umbrella.read_text())
    headers = [umbrella, *(CDEFS / name for name in included if name != "iommu_abi/types.h")]
    return page(
        "iommu_abi",
        3,
        f".SH NAME\n{LIBRARY}\n",
        ".SH SYNOPSIS\n",
        example("#include <iommu_abi.h>\n\ncc program.c $(pkg-config --cflags --libs iommu_abi)"),
        *(part for path in headers for part in _header(path)),
        ".SH SEE ALSO\n.BR iommu\\-abi (1)\n",
    )


#: File -> what makes it.
MADE = {"iommu-abi.1": command_page, "iommu_abi.3": library_page}


def main() -> None:
    """Write the pages."""
    PAGES.mkdir(exist_ok=True)
    for name, made in MADE.items():
        (PAGES / name).write_text(made())


if __name__ == "__main__":
    main()
