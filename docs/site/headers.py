"""``{c-headers}``: the public C headers, a section each, from the comments of which the man page is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import prose
import sources
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

LINE = 78  # columns of code that fit a page


def _anchor(name: str) -> str:
    """A link to ``struct x`` or ``f()`` ends with the bare name."""
    return name.removeprefix("struct ").removeprefix("enum ").removesuffix("()")


def _declaration(code: str) -> nodes.Node:
    """Functions, a line each or a line for each argument; structs and enums as they stand."""
    functions = [" ".join(each.split()) for each in sources.declarations(code)]
    lines = [each if len(each) <= LINE else each.replace(", ", ",\n\t") for each in functions]
    return prose.code("\n".join(lines) or code, "c")


def _comment(comment: sources.Comment) -> nodes.Node:
    """What is documented together: a section with the names for a title."""
    first, *others = map(_anchor, comment.names)
    made = nodes.section(ids=[first, *others], names=[first])
    made += nodes.title("", ", ".join(comment.names))
    made += addnodes.index(entries=[("single", name, _anchor(name), "", None) for name in comment.names])
    if len(comment.names) == 1:
        (summary,) = comment.names.values()
        made += list(prose.paragraphs(summary, "c"))
    else:
        made += prose.terms(comment.names.items())
    made += _declaration(comment.code)
    if comment.arguments:
        made += prose.terms(comment.arguments.items())
    made += list(prose.paragraphs(comment.text, "c"))
    return made


def _header(path: Path) -> Iterator[nodes.Node]:
    """A header: its introduction, then a section for each documented comment."""
    for comment in sources.comments(path):
        if comment.names:
            yield _comment(comment)
            continue
        yield from prose.paragraphs(comment.text, "c")
        if comment.code.strip():
            yield _declaration(comment.code)


class Headers(SphinxDirective):
    """All public headers."""

    def run(self) -> list[nodes.Node]:
        """The nodes."""
        made: list[nodes.Node] = []
        for path in sources.headers():
            self.env.note_dependency(str(path))
            name = str(path.relative_to(sources.CDEFS))
            section = nodes.section(ids=[nodes.make_id(name)], names=[name])
            section += nodes.title("", name)
            section += list(_header(path))
            made.append(section)
        return made


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("c-headers", Headers)
    return {"parallel_read_safe": True}
