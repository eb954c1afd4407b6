"""SVG: elements whose look is a class of their drawing's style sheet, so that it has a dark side too."""

from __future__ import annotations

from xml.etree import ElementTree


def element(parent: ElementTree.Element, tag: str, style: str, **where: float) -> ElementTree.Element:
    """An element with a class, and numbers as attributes."""
    made = ElementTree.SubElement(parent, tag, {"class": style})
    made.attrib |= {name: str(n) if isinstance(n, int) else f"{n:g}" for name, n in where.items()}
    return made


def text(
    parent: ElementTree.Element, x: float, y: float, words: str, style: str = "text"
) -> ElementTree.Element:
    """Words that begin there."""
    made = element(parent, "text", style, x=x, y=y)
    made.text = words
    return made
