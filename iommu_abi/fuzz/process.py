"""A process that answers orders, and how one that has died is told."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

_PR_SET_PDEATHSIG = 1


class Died(Exception):
    """The process has ended instead of answering."""


def death(code: int | None) -> str:
    """How a process has ended, in words."""
    if code is not None and code < 0:
        return f"the process died of {signal.Signals(-code).name}"
    return f"the process ended with status {code}; a sanitizer's report is above"


def die_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends, whatever of."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was too late for that
        os._exit(1)


def _live(parent: int, pipe: Connection, work: Callable[[Any], Any]) -> None:
    """The life of a process: orders in, answers out, until None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    while (order := pipe.recv()) is not None:
        pipe.send(work(order))


class Child:
    """One process. It is forked: what the parent has changed of the package is changed in it too.

    No daemon in multiprocessing's sense, which may have no children; it ends with its parent all the same.
    """

    def __init__(self, work: Callable[[Any], Any]) -> None:
        context: Any = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_live, args=(os.getpid(), theirs, work))
        self.process.start()
        theirs.close()
        self.busy: Any = None
        self.since = 0.0

    def give(self, order: Any) -> None:
        """Let it do something."""
        self.busy, self.since = order, time.monotonic()
        self.pipe.send(order)

    def take(self) -> Any:
        """Its answer; Died if there will be none."""
        self.busy = None
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            raise Died(death(self.process.exitcode)) from None

    def kill(self) -> None:
        """End it at once."""
        self.busy = None
        self.process.kill()
        self.process.join()

    def end(self) -> None:
        """Let it end, by force if it is still busy."""
        if self.process.is_alive():
            if self.busy is None:
                self.pipe.send(None)
            else:
                self.process.kill()
        self.process.join()
        self.pipe.close()
