r"""A C array or string: ``{0x10, 0x00, ...}``, with or without what declares it, or ``"\x10\x00"``."""

from __future__ import annotations

from typing import Literal

from iommu_abi.decode.patterns import regex
from iommu_abi.decode.pieces import Piece, TextError
from iommu_abi.inputs import InputError, to_number

#: The end of a type's name -> bytes of an element.
SIZES = {"8": 1, "16": 2, "32": 4, "64": 8, "char": 1, "short": 2, "int": 4, "long": 8}

_LENGTH = regex(r"\s*(?:unsigned\s+)?(?:int|long|size_t)\s+\w+\s*=\s*\w+\s*;\s*")  # xxd -i adds it
_WORD = regex(r"\w+")
_TYPE = regex(r"\w{0,64}?(8|16|32|64)(?:_t)?|(char|short|int|long)")


def is_array(text: str) -> bool:
    """Does the text have braces as an array has?"""
    return _parts(text) is not None


def read(text: str, order: Literal["little", "big"]) -> Piece:
    """The bytes; ``order`` is for elements of more than one byte. TextError for what is no array."""
    parts = _parts(text)
    if parts is None:
        raise TextError("no array of the form {0x10, 0x00, ...}")
    declaration, inside = parts
    size = _size(declaration)
    elements = [each.strip() for each in inside.split(",")]
    if elements and not elements[-1]:
        elements.pop()
    return Piece(b"".join(_element(i, each, size, order) for i, each in enumerate(elements)))


def _parts(text: str) -> tuple[str, str] | None:
    """What stands before the braces and between them; None if that is no array."""
    plain = _without_comments(text)
    if plain.count("{") != 1 or plain.count("}") != 1:
        return None
    declaration, _, rest = plain.partition("{")
    inside, brace, end = rest.partition("}")
    end = end.strip().removeprefix(";").strip()
    if not brace or "}" in declaration or (end and not _LENGTH.fullmatch(end)):
        return None
    return declaration, inside


def _without_comments(text: str) -> str:
    """Comments of C as blanks, in one pass."""
    if "/*" not in text and "//" not in text:
        return text
    kept: list[str] = []
    at = 0
    while True:
        block, line = text.find("/*", at), text.find("//", at)
        starts = [place for place in (block, line) if place >= 0]
        if not starts:
            return " ".join([*kept, text[at:]])
        start = min(starts)
        kept.append(text[at:start])
        end = text.find("*/", start + 2) if start == block else text.find("\n", start)
        if end < 0:
            return " ".join(kept) if start == line else " ".join([*kept, text[start:]])
        at = end + 2 if start == block else end


def _size(declaration: str) -> int:
    """Bytes of an element by the first type before the brackets; one where nothing is declared."""
    before, bracket, _ = declaration.partition("[")
    words = _WORD.findall(before.rpartition("=")[2]) if bracket else []
    found = next(filter(None, map(_TYPE.fullmatch, words)), None)
    return SIZES[found[1] or found[2]] if found else 1


def _element(index: int, text: str, size: int, order: Literal["little", "big"]) -> bytes:
    plain = text.rstrip("uUlL") or text
    where = f"element {index}"
    if len(plain) > 1 and plain[0] == "0" and plain.isdigit():
        plain = hex(int(plain, 8)) if not set(plain) & {"8", "9"} else text
    try:
        number = to_number(plain, where, (1 << 8 * size) - 1)
    except InputError as error:
        raise TextError(str(error)) from None
    return number.to_bytes(size, order)
