r"""A C array or string: ``{0x10, 0x00, ...}``, with or without what declares it, or ``"\x10\x00"``."""

from __future__ import annotations

import re
from typing import Literal

from iommu_abi.decode.pieces import Piece, TextError
from iommu_abi.inputs import InputError, to_number

#: The end of a type's name -> bytes of an element.
SIZES = {"8": 1, "16": 2, "32": 4, "64": 8, "char": 1, "short": 2, "int": 4, "long": 8}

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_ARRAY = re.compile(r"([^{}]*)\{([^{}]*)\}\s*;?\s*(?:[\w\s]+=\s*\w+\s*;\s*)?")  # xxd -i adds a length
_TYPE = re.compile(r"\b(?:\w*?(8|16|32|64)(?:_t)?|(char|short|int|long))\b(?=[^=\[]*\[)")
_SUFFIX = re.compile(r"(?<=[0-9a-fA-F])[uUlL]+$")


def is_array(text: str) -> bool:
    """Does the text have braces as an array has?"""
    return bool(_ARRAY.fullmatch(_COMMENT.sub(" ", text)))


def read(text: str, order: Literal["little", "big"]) -> Piece:
    """The bytes; ``order`` is for elements of more than one byte. TextError for what is no array."""
    found = _ARRAY.fullmatch(_COMMENT.sub(" ", text))
    if not found:
        raise TextError("no array of the form {0x10, 0x00, ...}")
    size = _size(found[1])
    elements = [each.strip() for each in found[2].split(",")]
    if elements and not elements[-1]:
        elements.pop()
    return Piece(b"".join(_element(i, each, size, order) for i, each in enumerate(elements)))


def _size(declaration: str) -> int:
    """Bytes of an element; one where nothing is declared."""
    found = _TYPE.search(declaration)
    return SIZES[found[1] or found[2]] if found else 1


def _element(index: int, text: str, size: int, order: Literal["little", "big"]) -> bytes:
    plain = _SUFFIX.sub("", text)
    where = f"element {index}"
    if len(plain) > 1 and plain[0] == "0" and plain.isdigit():
        plain = hex(int(plain, 8)) if not set(plain) & {"8", "9"} else text
    try:
        number = to_number(plain, where, (1 << 8 * size) - 1)
    except InputError as error:
        raise TextError(str(error)) from None
    return number.to_bytes(size, order)
