"""What was written for a terminal or a header, as nodes of a page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

import sources
from docutils import nodes


def inline(text: str) -> list[nodes.Node]:
    """Text on one line; what stands in backquotes is code."""
    parts = re.split(r"`+([^`]+)`+", " ".join(text.split()))
    return [nodes.literal("", part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts) if part]


def code(text: str, language: str = "text") -> nodes.literal_block:
    """Lines that stay as they are."""
    shown = textwrap.dedent(text.strip("\n").expandtabs(8))
    return nodes.literal_block(shown, shown, language=language)


def paragraphs(text: str, language: str = "text") -> Iterator[nodes.Node]:
    """A comment or an epilog; neighbouring items are one list."""
    items: list[nodes.Node] = []
    for block in sources.blocks(text):
        if block.kind == "item":
            items.append(nodes.list_item("", nodes.paragraph("", "", *inline(block.text))))
            continue
        if items:
            yield nodes.bullet_list("", *items)
            items = []
        if block.kind == "example":
            yield code(block.text, language)
        elif block.kind == "heading":
            yield nodes.rubric("", "", *inline(block.text))
        else:
            yield nodes.paragraph("", "", *inline(block.text))
    if items:
        yield nodes.bullet_list("", *items)


def terms(pairs: Iterable[tuple[str, str]]) -> nodes.definition_list:
    """Words and what each means."""
    return nodes.definition_list(
        "",
        *(
            nodes.definition_list_item(
                "",
                nodes.term("", "", nodes.literal("", word)),
                nodes.definition("", nodes.paragraph("", "", *inline(meaning))),
            )
            for word, meaning in pairs
        ),
    )
