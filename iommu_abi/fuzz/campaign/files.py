"""Files of a campaign's directory: plain ones only.

The directory may have been damaged, or come from strangers. No symbolic link in it is followed, nothing but a
plain file is opened, no file is cut short that was there before, and no more is read than was asked for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from iommu_abi.inputs import InputError

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFREG: "a plain file",
}
#: What open() says of links (ELOOP), FIFOs without a reader and sockets (ENXIO), and of directories.
_OF_OTHER_KINDS = (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR, errno.ENODEV, errno.EOPNOTSUPP)


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def _wrong(path: Path, mode: int, want: str) -> InputError:
    return InputError(
        f"{path}: {_kind(mode)}, expected {want}; nothing else belongs into a campaign's directory"
    )


def open_plain(path: Path, flags: int) -> int:
    """Open a plain file, which may be made; InputError says what it is instead."""
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in _OF_OTHER_KINDS and not stat.S_ISREG(mode := os.lstat(path).st_mode):
            raise _wrong(path, mode, "a plain file") from None
        raise
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise _wrong(path, mode, "a plain file")
    return handle


def read(path: Path, most: int) -> bytes:
    """A plain file; InputError if it has more than ``most`` bytes."""
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path}: more than {most} bytes, which no campaign has written")
    return data


def directory(path: Path) -> Path:
    """A directory, made if it is not there; InputError if it is something else, or a link to one."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            raise _wrong(path, mode, "a directory") from None
    return path


def plain_names(path: Path) -> Iterator[str]:
    """The names in a directory that has plain files only; those that begin with a dot are nobody's."""
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_file(follow_symlinks=False):
                raise _wrong(path / entry.name, entry.stat(follow_symlinks=False).st_mode, "a plain file")
            yield entry.name


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
