"""Memory that is fetched page by page when it is first touched, by Python or by C.

userfaultfd(2): the kernel stops a thread that touches a page that is not there, and a thread of ours puts the
page in place. A page stays as it was when it was first touched. The walk in C needs to know nothing of it.

Threads: any may touch the memory, but Python code only through :meth:`DemandedPages.ensure` or :meth:`peek`:
a thread that waits for a page holds the interpreter's lock, which the thread that brings it needs.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import select
import struct
import threading
import weakref
from collections.abc import Callable

from iommu_abi.errors import ImageError
from iommu_abi.images.mapped import Demanded

#: So many bytes at an offset; or an OSError, or an ImageError.
Fetch = Callable[[int, int], bytes]

#: <asm/unistd.h>: the call's number, where ioctls have their numbers by the usual rule too.
_CALLS = {"x86_64": 323, "aarch64": 282, "riscv64": 282}
_USER_MODE_ONLY = 1
#: <linux/userfaultfd.h>
_API, _REGISTER, _COPY = (
    (3 << 30) | (size << 16) | (0xAA << 8) | n for n, size in ((0x3F, 24), (0, 32), (3, 40))
)
_VERSION, _MISSING, _PAGEFAULT = 0xAA, 1, 0x12
_MESSAGE = struct.Struct("<B7xQQQ")
_PAGE = mmap.PAGESIZE


def _opened() -> int:
    """A userfaultfd; ImageError where there is none."""
    number = _CALLS.get(platform.machine())
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(number, os.O_CLOEXEC | os.O_NONBLOCK | _USER_MODE_ONLY) if number else -1
    if fd < 0:
        why = os.strerror(ctypes.get_errno()) if number else "not on this machine"
        raise ImageError(f"memory cannot be fetched page by page here: userfaultfd: {why}")
    fcntl.ioctl(fd, _API, bytearray(struct.pack("<QQQ", _VERSION, 0, 0)))
    return int(fd)


class _Fetcher:
    """Puts pages in place, from whichever thread."""

    def __init__(self, fd: int, base: int, size: int, fetch: Fetch) -> None:
        self.fd, self.base, self.size, self.fetch = fd, base, size, fetch
        self.lock = threading.Lock()
        self.present: set[int] = set()
        self.staging = ctypes.create_string_buffer(_PAGE)

    def put(self, page: int) -> None:
        """The page with a number; zeros where it cannot be fetched, as in a hole of a dump."""
        with self.lock:
            if page in self.present:
                return
            at = page * _PAGE
            try:
                data = self.fetch(at, min(_PAGE, self.size - at))
            except (OSError, ImageError):
                data = b""
            self.staging.raw = data.ljust(_PAGE, b"\0")
            source = ctypes.addressof(self.staging)
            row = struct.pack("<QQQQq", self.base + at, source, _PAGE, 0, 0)
            fcntl.ioctl(self.fd, _COPY, bytearray(row))
            self.present.add(page)

    def serve(self, stop: int) -> None:
        """Until something comes from ``stop``."""
        poll = select.poll()
        for fd in (self.fd, stop):
            poll.register(fd, select.POLLIN)
        while all(fd != stop for fd, _ in poll.poll()):
            try:
                kind, _, address, _ = _MESSAGE.unpack(os.read(self.fd, _MESSAGE.size))
            except BlockingIOError:  # another thread put the page in place meanwhile
                continue
            if kind == _PAGEFAULT:
                self.put((address - self.base) // _PAGE)


def _end(wake: int, thread: threading.Thread, fds: tuple[int, ...]) -> None:
    os.write(wake, b".")
    thread.join()
    for fd in fds:
        os.close(fd)


class DemandedPages(Demanded):
    """Bytes of which each page is fetched once, when it is touched."""

    _fetcher: _Fetcher

    @classmethod
    def of(cls, size: int, fetch: Fetch) -> DemandedPages:
        """``size`` bytes; ``fetch`` may be called by any thread, for one page at a time."""
        whole = -(-size // _PAGE) * _PAGE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        made = cls(-1, whole, flags=flags)
        fd = _opened()
        base = ctypes.addressof(ctypes.c_char.from_buffer(made))
        fcntl.ioctl(fd, _REGISTER, bytearray(struct.pack("<QQQQ", base, whole, _MISSING, 0)))
        made._fetcher = _Fetcher(fd, base, size, fetch)
        stop, wake = os.pipe()
        thread = threading.Thread(target=made._fetcher.serve, args=(stop,), daemon=True)
        thread.start()
        weakref.finalize(made, _end, wake, thread, (fd, stop, wake))
        return made

    def ensure(self, offset: int, length: int) -> None:
        """Fetch what is touched next."""
        for page in range(offset // _PAGE, (offset + length - 1) // _PAGE + 1):
            self._fetcher.put(page)

    def peek(self, offset: int, length: int) -> bytes:
        """Bytes as they are now, which are not kept; zeros where they cannot be fetched."""
        try:
            return self._fetcher.fetch(offset, length).ljust(length, b"\0")
        except (OSError, ImageError):
            return bytes(length)
