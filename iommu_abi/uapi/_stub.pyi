"""Bases of the generated stubs. There is no such module: the classes are made by ``types.py``.

Their root is ``_CData`` and not ``ctypes.Structure``, whose own stub accepts every attribute and so
hides every typo.
"""

from __future__ import annotations

from typing import Any

from _ctypes import _CData
from typing_extensions import Self

class Inner(_CData):
    def pack(self) -> bytes: ...
    def items(self) -> list[tuple[str, Any]]: ...
    def __bytes__(self) -> bytes: ...

class Struct(Inner):
    @classmethod
    def unpack(cls, data: Any, *, strict: bool = True) -> Self: ...
    @classmethod
    def view(cls, buffer: Any, *, strict: bool = True) -> Self: ...
    def __len__(self) -> int: ...

class Flexible(Struct):
    @classmethod
    def sized(cls, n: int) -> type[Self]: ...
