"""``{options} NAME``: how a command is called, what its options are, and what its help says below them."""

from __future__ import annotations

import prose
import sources
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from iommu_abi import cli


class Options(SphinxDirective):
    """The help of a command, from its parser."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The nodes."""
        parser = cli.command_parser(self.arguments[0])
        made: list[nodes.Node] = [prose.code(sources.usage(parser).strip())]
        made.append(prose.terms(sources.arguments(parser)))
        for heading, text in sources.epilog(parser):
            if heading:
                made += [nodes.rubric("", heading.rstrip(":").capitalize()), prose.code(text)]
            else:
                made += prose.paragraphs(text)
        return made


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("options", Options)
    return {"parallel_read_safe": True}
