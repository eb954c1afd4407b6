"""What a process is about to run, where others see it, and where it stays when all of them are killed.

A slot is memory that is also a file, ``running/N``: an input is in it before it runs, and is taken out when
everything that it has shown is on the disk. What a killed campaign leaves there is run again.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import time
from collections.abc import Collection
from typing import Any

from iommu_abi.fuzz.campaign import files
from iommu_abi.fuzz.campaign.store import Store, name_of
from iommu_abi.fuzz.targets.target import MOST

#: Start of the run (0 while there is none), lengths of the target's name and of the input; then both.
_HEAD = struct.Struct("=dHxxI")
_NAME = 256
_LEFT = "left-"
_OURS = re.compile(rf"(?:[0-9]+|atheris-[0-9]+|{_LEFT}[0-9a-f]{{16}})")
SLOT_SIZE = _HEAD.size + _NAME + MOST


def of_process(store: Store, name: str) -> mmap.mmap:
    """The slot of a process, made anew."""
    path = store.running_at / name
    handle = files.open_plain(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(handle, SLOT_SIZE)
        os.posix_fallocate(
            handle, 0, SLOT_SIZE
        )  # memory for which the disk has no room kills who writes to it
        slot = mmap.mmap(handle, SLOT_SIZE)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(handle)
    clear(slot)
    return slot


def write(slot: Any, target: str, data: bytes) -> None:
    """Say what is about to run."""
    name, data, view = target.encode()[:_NAME], data[:MOST], memoryview(slot).cast("B")
    at = _HEAD.size + _NAME
    view[at : at + len(data)] = data
    view[_HEAD.size : _HEAD.size + len(name)] = name
    _HEAD.pack_into(view, 0, time.monotonic(), len(name), len(data))


def clear(slot: Any) -> None:
    """Say that nothing runs; the input stays."""
    struct.pack_into("=d", memoryview(slot).cast("B"), 0, 0.0)


def read(slot: Any) -> tuple[float, str, bytes]:
    """When the present run began, 0 if there is none; target and input of the latest one."""
    view = memoryview(slot).cast("B")
    since, name, length = _HEAD.unpack_from(view, 0)
    at = _HEAD.size + _NAME
    target = bytes(view[_HEAD.size : _HEAD.size + min(name, _NAME)])
    return since, target.decode(errors="replace"), bytes(view[at : at + min(length, MOST)])


def recover(store: Store, targets: Collection[str], deadly: Collection[str]) -> None:
    """Put into the corpus what was running when a campaign was killed: it is run again before anything else.

    What belongs to other targets stays until one of theirs is run; what is known to be deadly was recorded.
    """
    for name in filter(_OURS.fullmatch, list(files.plain_names(store.running_at))):
        take(store, name, targets, deadly)


def take(store: Store, name: str, targets: Collection[str], deadly: Collection[str]) -> None:
    """The same for one process, which has ended."""
    path = store.running_at / name
    with os.fdopen(files.open_plain(path, os.O_RDONLY), "rb") as file:
        data = file.read(SLOT_SIZE + 1)  # a damaged one says nothing
    since, target, given = read(data) if len(data) == SLOT_SIZE else (0.0, "", b"")
    if since and target not in targets:
        if not name.startswith(_LEFT):
            path.rename(path.with_name(f"{_LEFT}{os.urandom(8).hex()}"))
        return
    if since and name_of(given) not in deadly:
        store.keep(target, given, durable=True)
    path.unlink()
