"""A process that answers orders, and how one that has died is told."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from iommu_abi.errors import Error

_PR_SET_PDEATHSIG = 1


class Died(Exception):
    """The process has ended instead of answering."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """The answer to an order that could not be carried out, and why."""

    why: str


def signal_name(number: int) -> str:
    """The name of a signal; Python has none for most real-time ones, nor for those of the C library."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    return f"signal {number}"


def death(code: int | None) -> str:
    """How a process has ended, in words."""
    if code is not None and code < 0:
        return f"the process died of {signal_name(-code)}"
    return f"the process ended with status {code}; a sanitizer's report is above"


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before prctl()
        os._exit(1)


def _live(parent: int, pipe: Connection, work: Callable[[Any], Any]) -> None:
    """The life of a process: orders in, answers out, until None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    while (order := pipe.recv()) is not None:
        try:
            answer = work(order)
        except (Error, OSError, MemoryError) as error:  # a full disk, say: it is not about an input
            answer = _Failed(_why(error))
        pipe.send(answer)


def _why(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


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
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # take() will say that it has died
            self.pipe.send(order)

    def take(self) -> Any:
        """Its answer; Died if there will be none, Error if it could not carry out the order."""
        self.busy = None
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            raise Died(death(self.process.exitcode)) from None
        if isinstance(answer, _Failed):
            raise Error(answer.why)
        return answer

    def kill(self) -> None:
        """End it at once."""
        self.busy = None
        self.process.kill()
        self.process.join()

    def end(self) -> None:
        """Let it end, by force if it is still busy."""
        if self.process.is_alive():
            if self.busy is None:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has just died
                    self.pipe.send(None)
            else:
                self.process.kill()
        self.process.join()
        self.pipe.close()
