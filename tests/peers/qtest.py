"""A QEMU under qtest: its plain text protocol over a socket (QEMU's docs/devel/testing/qtest)."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType


class QemuGone(Exception):
    """The emulator ended while it was asked something."""


#: Where tests/peers/install unpacks a QEMU that is newer than the machine's.
UNPACKED = Path(__file__).parents[2] / "build" / "qemu" / "bin"


@dataclass(frozen=True, slots=True, order=True)
class Qemu:
    """An emulator: (major, minor, micro), and its program."""

    version: tuple[int, ...]
    path: str

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def qemus(binary: str) -> list[Qemu]:
    """Those that are here, oldest first."""
    found = (shutil.which(binary), shutil.which(binary, path=UNPACKED))
    return sorted(Qemu(_version(path), path) for path in found if path)


def newest(binary: str) -> Qemu:
    """One of them; ends the program with a sentence if there is none."""
    found = qemus(binary)
    if not found:
        raise SystemExit(f"no {binary} here (Debian: tests/peers/install)")
    return found[-1]


def _version(path: str) -> tuple[int, ...]:
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in text.split("version ")[1].split()[0].split(".")[:3])


class Qtest:
    """A running QEMU. ``firmware`` is what its processor runs: it halts, time is the devices'.

    The qtest accelerator is missing in distributions' builds before QEMU 11. TCG counting
    instructions does the same: with the processor halted, the clock jumps to the next timer.
    """

    def __init__(self, path: str, options: Sequence[str], firmware: bytes) -> None:
        self._stack = contextlib.ExitStack()
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="peers-")))
        (directory / "firmware").write_bytes(firmware)
        self._log = self._stack.enter_context((directory / "log").open("w+"))
        server = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(directory / "qtest"))
        server.listen()
        server.settimeout(30)
        command = [path, *options, "-accel", "tcg", "-icount", "shift=0,sleep=off", "-display", "none"]
        command += ["-nodefaults", "-no-user-config", "-bios", str(directory / "firmware")]
        command += ["-qtest", f"unix:{directory / 'qtest'}", "-qtest-log", "none"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._stack.callback(self._end)
        try:
            self._socket = self._stack.enter_context(server.accept()[0])
        except TimeoutError:
            raise self._gone() from None
        self._socket.settimeout(30)
        self._file = self._stack.enter_context(self._socket.makefile("rb"))

    def __enter__(self) -> Qtest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()

    def _gone(self) -> QemuGone:
        self._log.seek(0)
        return QemuGone(f"QEMU ended ({self.process.poll()}): {self._log.read().strip()[-400:]}")

    def ask(self, *commands: str) -> list[int]:
        """Send commands at once; the number that each answers, 0 if it answers none."""
        try:
            self._socket.sendall("".join(command + "\n" for command in commands).encode())
            return [self._answer(command) for command in commands]
        except OSError:
            raise self._gone() from None

    def _answer(self, command: str) -> int:
        line = self._file.readline().decode().split()
        if not line:
            self.process.wait(10)
            raise self._gone()
        if line[0] != "OK":
            raise ValueError(f"qtest says {' '.join(line)} to {command}")
        return int(line[1], 16) if len(line) > 1 else 0
