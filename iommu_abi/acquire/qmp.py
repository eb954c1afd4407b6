"""QEMU's machine protocol: lines of JSON over a socket (QEMU's docs/interop/qmp-spec.rst)."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

from iommu_abi.errors import ImageError

_PATIENCE = 30  # seconds for an answer
_LONGEST = 1 << 24
_MOST_EVENTS = 1 << 12


class Qmp:
    """A monitor. ImageError, begun by the socket's path, for whatever goes wrong with it.

    Any thread may ask; one at a time is answered.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise ImageError(f"{path}: {error.strerror or error}, expected a QMP socket of QEMU's") from None
        self._file = self._socket.makefile("rb")
        try:
            self.version = self._greeting()
            self.execute("qmp_capabilities")
        except ImageError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._socket.close()

    def _greeting(self) -> str:
        """QEMU's version."""
        greeting = self._line()
        try:
            number = greeting["QMP"]["version"]["qemu"]
            return ".".join(str(number[part]) for part in ("major", "minor", "micro"))
        except (KeyError, TypeError):
            raise ImageError(f"{self.path}: no QMP greeting, expected a QMP socket of QEMU's") from None

    def _line(self) -> Any:
        try:
            line = self._file.readline(_LONGEST)
            return json.loads(line)
        except OSError as error:
            raise ImageError(f"{self.path}: QEMU does not answer: {error}") from None
        except ValueError:
            raise ImageError(f"{self.path}: got {line[:40]!r}, expected a line of JSON") from None

    def execute(self, command: str, **arguments: object) -> Any:
        """What a command returns."""
        with self._lock:
            return self._answer(command, arguments)

    def _answer(self, command: str, arguments: dict[str, object]) -> Any:
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise ImageError(f"{self.path}: QEMU is not asked any more: {error}") from None
        for _ in range(_MOST_EVENTS):
            answer = self._line()
            if isinstance(answer, dict) and "return" in answer:
                return answer["return"]
            if isinstance(answer, dict) and "error" in answer:
                raise ImageError(f"{self.path}: QEMU refuses {command}: {answer['error']}")
        raise ImageError(f"{self.path}: QEMU sends events without end")

    def monitor(self, line: str) -> str:
        """What the monitor for people prints."""
        return str(self.execute("human-monitor-command", **{"command-line": line}))
