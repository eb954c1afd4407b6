"""The C compiler that reads headers: the system's, else the one in the ziglang package."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec

from iommu_abi.errors import UsageError


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


def run(*arguments: str, directory: str) -> subprocess.CompletedProcess[str]:
    """Compile; its messages are in English and in ``stderr``."""
    try:
        return subprocess.run(
            [*command(), *arguments],
            cwd=directory,
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {"LC_ALL": "C"},
        )
    except OSError as error:
        raise UsageError(f"the C compiler {command()[0]} cannot be run: {error.strerror}") from None
