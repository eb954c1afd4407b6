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

import sources
from sources import CDEFS, ROOT, Comment

from iommu_abi import cli

PAGES = ROOT / "packaging/man"

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


_SHOWN = {
    "heading": lambda text: f".SS {escape(text)}\n",
    "text": lambda text: f".PP\n{filled(text)}\n",
    "item": lambda text: f".IP \\(bu 2\n{filled(text)}\n",
    "example": example,
}


def prose(text: str) -> Iterator[str]:
    """A comment or an epilog."""
    return (_SHOWN[block.kind](block.text) for block in sources.blocks(text))


def page(name: str, section: int, *parts: str) -> str:
    """A whole page. A heading begins a paragraph by itself."""
    head = f'.\\" Made by {Path(__file__).name}: do not edit.\n.TH {name.upper()} {section} "" iommu\\-abi\n'
    return re.sub(r"^(\.S[HS] .*\n)\.PP\n", r"\1", head + "".join(parts), flags=re.M)


# ---------------------------------------------------------------- iommu-abi(1)


def _command(name: str, parser: argparse.ArgumentParser, summary: str) -> Iterator[str]:
    yield f".SS {escape(name)}\n.nh\n.ad l\n{filled(sources.usage(parser))}\n.ad\n.hy\n"
    yield from prose(parser.description or summary)
    yield from (tagged(tag, meaning) for tag, meaning in sources.arguments(parser))
    for heading, text in sources.epilog(parser):
        if heading:
            yield f".PP\n{escape(heading)}\n{example(text)}"
        else:
            yield from prose(text)


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


def _declaration(code: str) -> Iterator[str]:
    """Functions, for roff to break; structs and enums as they stand."""
    functions = sources.declarations(code)
    for each in functions:
        yield f".PP\n.nh\n.ad l\n\\fB{filled(each)}\\fR\n.ad\n.hy\n"
    if code.strip() and not functions:
        yield example(code)


def _comment(comment: Comment) -> Iterator[str]:
    """A comment and the declaration behind it."""
    if not comment.names:
        yield from prose(comment.text)
        yield from _declaration(comment.code)
        return
    yield f".SS {escape(', '.join(comment.names))}\n"
    if len(comment.names) == 1:
        yield from prose(*comment.names.values())
    else:
        yield from (tagged(name, summary) for name, summary in comment.names.items())
    yield from _declaration(comment.code)
    yield from (tagged(name, meaning) for name, meaning in comment.arguments.items())
    yield from prose(comment.text)


def _header(path: Path) -> Iterator[str]:
    yield f".SH {path.relative_to(CDEFS)}\n"
    for comment in sources.comments(path):
        yield from _comment(comment)


def library_page() -> str:
    """iommu_abi(3)."""
    return page(
        "iommu_abi",
        3,
        f".SH NAME\n{LIBRARY}\n",
        ".SH SYNOPSIS\n",
        example("#include <iommu_abi.h>\n\ncc program.c $(pkg-config --cflags --libs iommu_abi)"),
        *(part for path in sources.headers() for part in _header(path)),
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
