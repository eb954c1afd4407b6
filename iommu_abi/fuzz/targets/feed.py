"""A program, fed on standard input, whatever it does with it: no flood and no silence stops who runs it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from iommu_abi.fuzz.process import die_with
from iommu_abi.fuzz.targets.target import CannotRun

#: Bytes that are kept of the beginning of what it says, and of the end.
KEPT = 1 << 16
_PIECE = 1 << 16
#: Seconds between two looks at whether it has ended while its output stays open.
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program has ended: its status as subprocess has it, None if it did not; what it said."""

    status: int | None
    said: bytes


class _Said:
    """The beginning and the end of what a program says."""

    def __init__(self) -> None:
        self.first, self.last, self.left_out = bytearray(), bytearray(), 0

    def add(self, piece: bytes) -> None:
        room = KEPT - len(self.first)
        self.first += piece[:room]
        self.last += piece[room:] if room > 0 else piece
        if len(self.last) > 2 * KEPT:
            self.left_out += len(self.last) - KEPT
            del self.last[:-KEPT]

    def all(self) -> bytes:
        gap = b"\n... %d bytes left out ...\n" % self.left_out if self.left_out else b""
        return bytes(self.first) + gap + bytes(self.last)


def feed(command: Sequence[str], data: bytes, patience: float) -> Ended:
    """Run it with these bytes, for so many seconds at most. CannotRun if it cannot be started."""
    parent = os.getpid()
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: die_with(parent),
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise CannotRun(f"--program: cannot run {command[0]!r}: {error}") from None
    said = _Said()
    try:
        status = _talk(child, data, said, time.monotonic() + patience)
    finally:
        _end(child)
    return Ended(status, said.all())


def _talk(child: subprocess.Popen[bytes], data: bytes, said: _Said, end: float) -> int | None:
    """Write what it reads and read what it writes, until it has ended; its status, None if time is over."""
    assert child.stdin is not None
    assert child.stderr is not None
    rest = memoryview(data)
    with selectors.DefaultSelector() as ready:
        for pipe, event in ((child.stdin, selectors.EVENT_WRITE), (child.stderr, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            ready.register(pipe, event)
        while time.monotonic() < end:
            # what it has started may hold its output open for longer than it lives
            done, keys = child.poll() is not None, ready.select(_LOOK)
            for key, event in keys:
                if event & selectors.EVENT_WRITE:
                    rest = _write(key.fd, rest)
                    if not rest:
                        ready.unregister(child.stdin)
                        child.stdin.close()
                elif piece := os.read(key.fd, _PIECE):
                    said.add(piece)
                else:
                    ready.unregister(child.stderr)
            if not ready.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return child.wait(max(0.0, end - time.monotonic()))
            if done and not any(key.fileobj is child.stderr for key, _ in keys):
                return child.returncode
    return None


def _write(handle: int, rest: memoryview) -> memoryview:
    """What is left to write: nothing if it reads no more."""
    try:
        return rest[os.write(handle, rest[:_PIECE]) :] if rest else rest
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]


def _end(child: subprocess.Popen[bytes]) -> None:
    """End it and what it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()
