"""Regular expressions that are compiled when they are first used: a log has messages of few kinds.

There are 150 of them, and compiling all takes longer than reading most logs.
"""

from __future__ import annotations

import re
from typing import Any, cast

_METHODS = ("search", "match", "fullmatch", "finditer", "findall", "sub", "split")


class Later:
    """Becomes the compiled expression: its methods, once one of them is asked for."""

    def __init__(self, source: str, flags: int) -> None:
        self.pattern, self._flags = source, flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self.pattern, self._flags)
        self.__dict__ |= {each: getattr(compiled, each) for each in _METHODS}
        return getattr(compiled, name)


def regex(source: str, flags: int = 0) -> re.Pattern[str]:
    """What ``re.compile()`` gives, later; an expression that is wrong is told then, so tests use all."""
    return cast("re.Pattern[str]", Later(source, flags))
