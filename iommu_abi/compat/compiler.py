"""The C compiler that reads headers: the system's, else the one in the ziglang package. It has limits."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from iommu_abi.errors import UsageError

#: For one run: a header of Linux takes a tenth of a second and a few megabytes.
SECONDS = 60
_SECONDS_MORE_FOR_ZIGLANG = 240  # which fills its cache in the first run
_KIB_OF_MEMORY = 4 << 20
_BLOCKS_OF_A_FILE = 512 << 10  # of 512 bytes: what it writes, and what it says
_LIMITS = f'ulimit -v {_KIB_OF_MEMORY}; ulimit -f {_BLOCKS_OF_A_FILE}; exec "$@"'


@dataclass(frozen=True)
class Done:
    """A run that ended: its status, its messages in English."""

    status: int
    messages: str


@cache
def command() -> tuple[str, ...]:
    """$CC, cc, gcc, clang, or python -m ziglang cc; UsageError if there is none."""
    if os.environ.get("CC"):
        return tuple(shlex.split(os.environ["CC"]))
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return (name,)
    if find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc")
    raise UsageError("no C compiler for headers: expected $CC, cc, gcc, clang or the package ziglang")


def ziglang() -> Path | None:
    """Where the package ziglang is, which compiles for other machines; None if it is not there."""
    found = find_spec("ziglang")
    return Path(found.origin).parent if found and found.origin else None


def zig() -> tuple[str, ...]:
    """Its C compiler, without a Python between: 22 ABIs are many calls."""
    package = ziglang()
    return (str(package / "zig"), "cc") if package else ()


def run(*arguments: str, directory: str, program: tuple[str, ...] = ()) -> Done:
    """Compile, within the limits of time, memory and size; UsageError beyond that of time."""
    program = program or command()
    is_zig = "ziglang" in program or program == zig()
    seconds = SECONDS + (_SECONDS_MORE_FOR_ZIGLANG if is_zig else 0)
    if program[0] != sys.executable and not shutil.which(program[0]):
        raise UsageError(f"the C compiler {program[0]} cannot be run: it is not found")
    messages = Path(directory, "messages")
    with messages.open("wb") as file:
        started = subprocess.Popen(
            ["/bin/sh", "-c", _LIMITS, "sh", *program, *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=os.environ | {"LC_ALL": "C"},
            start_new_session=True,
        )
        try:
            status = started.wait(seconds)
        except subprocess.TimeoutExpired:
            raise UsageError(f"the C compiler {program[0]} did not end within {seconds} s") from None
        finally:
            if started.returncode is None:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()
    return Done(status, messages.read_text(errors="replace"))
