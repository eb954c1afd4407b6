"""A process for a library that may die of what strangers wrote, or never come to an end.

It says what it finds in lines of JSON: nothing of its memory is trusted, and a line is a sign of life.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import resource
import select
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from iommu_abi.errors import Error

#: Seconds without a line after which it is ended.
PATIENCE = 60.0
#: Bytes of memory that it may have beside those with which it begins.
MEMORY = 4 << 30
_MOST_LINE = 1 << 16


class Failed(Exception):
    """It has not come to its end; the text says why, in words that follow a subject."""


def apart(work: Callable[[], Iterable[list[Any]]]) -> Iterator[list[Any]]:
    """What ``work()`` yields, in a process of its own.

    An Error that it raises is one here, with its words alone; Failed if it dies, or is silent for too long.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.close(reads)
        _live(work, writes)
    os.close(writes)
    ended = False
    try:
        yield from _lines(reads)
        ended = True
    finally:
        os.close(reads)
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise Failed(f"dies of it: {signal.strsignal(-code) or -code}" if code < 0 else f"ends with {code}")


def _lines(reads: int) -> Iterator[list[Any]]:
    """The lines up to the end."""
    rest = b""
    while True:
        if not select.select([reads], [], [], PATIENCE)[0]:
            raise Failed(f"does not end: nothing for {PATIENCE:g} s")
        piece = os.read(reads, 1 << 16)
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield _line(line)
        if len(rest) > _MOST_LINE:
            raise Failed("says what makes no sense")


def _line(line: bytes) -> list[Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not found:
        raise Failed("says what makes no sense")
    if found[0] == "error":
        raise Error(str(found[1]))
    return found


def _live(work: Callable[[], Iterable[list[Any]]], writes: int) -> None:
    """The child's life. What a library prints when it dies is not for the user's terminal."""
    status = 1
    try:
        faulthandler.disable()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        _limit()
        try:
            for found in work():
                _tell(writes, found)
        except Error as error:
            _tell(writes, ["error", str(error)])
        status = 0
    finally:
        os._exit(status)


def _tell(writes: int, found: list[Any]) -> None:
    data = json.dumps(found).encode() + b"\n"
    while data:
        data = data[os.write(writes, data) :]


def _limit() -> None:
    """No core file, and no more memory than that."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/statm", "rb") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = now + MEMORY if hard == resource.RLIM_INFINITY else min(now + MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
