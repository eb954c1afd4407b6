"""JSON from files that others wrote, read with errors that say where and what.

Numbers are JSON integers or strings as ``"0x1000"`` and ``"4096"``. Keys that nobody asks for are
not an error: newer tools may have added them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iommu_abi.errors import Error

U64 = (1 << 64) - 1
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,64}|[0-9]{1,64}")
_SCALED = re.compile(r"(0[xX][0-9a-fA-F]{1,64}|[0-9]{1,64})([KMGTkmgt])(?:i?B)?")


class InputError(Error):
    """A file that cannot be used: missing, damaged, or without something that is needed."""


def is_number(text: str) -> bool:
    """Is this how a number is written?"""
    return bool(_NUMBER.fullmatch(text))


def scaled(text: str) -> str:
    """What ``to_number`` takes, from a number with a power of 1024 after it: ``4K``, ``2MiB``."""
    found = _SCALED.fullmatch(text)
    if not found:
        return text
    number = int(found[1], 16 if found[1][:2] in ("0x", "0X") else 10)
    return str(number << 10 * (1 + "KMGT".index(found[2].upper())))


def to_number(value: object, where: str, last: int = U64) -> int:
    """An integer of 0 to ``last`` from JSON or a command line; ``where`` begins the error."""
    number = value
    if isinstance(value, str) and is_number(value):
        number = int(value, 16 if value[:2] in ("0x", "0X") else 10)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InputError(f"{where}: got {value!r}, expected a number: 0x.. or decimal")
    if not 0 <= number <= last:
        raise InputError(f"{where}: got {value}, expected 0 to {last:#x}")
    return number


class Record:
    """A JSON object with its place in a file."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise InputError(f"{where}: got {_kind(data)}, expected an object")
        self.data: Mapping[str, Any] = data
        self.where = where

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def _get(self, key: str) -> Any:
        if key not in self.data:
            raise InputError(f"{self.where}: no {key!r}")
        return self.data[key]

    def number(self, key: str, absent: int | None = None, last: int = U64) -> int:
        """A number; ``absent`` stands for one that is not there, unless that is None."""
        if absent is not None and key not in self.data:
            return absent
        return to_number(self._get(key), f"{self.where}: {key}", last)

    def number_or_none(self, key: str, last: int = U64) -> int | None:
        """A number, or None if it is null or not there."""
        return None if self.data.get(key) is None else self.number(key, last=last)

    def text(self, key: str, absent: str | None = None) -> str:
        """A string."""
        if absent is not None and key not in self.data:
            return absent
        found = self._get(key)
        if not isinstance(found, str):
            raise InputError(f"{self.where}: {key}: got {_kind(found)}, expected a string")
        return found

    def choice(self, key: str, choices: Mapping[str, Any], absent: str | None = None) -> Any:
        """What one of several words stands for."""
        word = self.text(key, absent)
        if word not in choices:
            raise InputError(f"{self.where}: {key}: got {word!r}, expected one of: {' '.join(choices)}")
        return choices[word]

    def record(self, key: str) -> Record:
        """An object inside this one."""
        return Record(self._get(key), f"{self.where}: {key}")

    def items(self, key: str) -> list[Any]:
        """A list."""
        found = self._get(key)
        if not isinstance(found, list):
            raise InputError(f"{self.where}: {key}: got {_kind(found)}, expected a list")
        return found


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", type(None): "null"}
    return names.get(type(value), repr(value))


def parse_json(text: str, where: str) -> Any:
    """A JSON value; InputError with the place of what is wrong."""
    if not text.strip():
        raise InputError(f"{where}: empty, expected JSON")
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (RecursionError, ValueError) as error:  # nested too deeply; an integer of thousands of digits
        raise InputError(f"{where}: not usable as JSON: {error}") from None


def read_text(path: Path) -> str:
    """The text of a file; InputError if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not text: byte {error.start} is {error.object[error.start]:#04x}"
        ) from None
