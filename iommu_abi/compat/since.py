"""Headers as they were: those of a git work tree at another commit, in a directory of their own."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iommu_abi.errors import UsageError


@dataclass(frozen=True, slots=True)
class Past:
    """The headers of the work tree ``top`` at ``ref``, which lie in ``tree``."""

    ref: str
    top: Path
    tree: Path

    def path(self, now: str) -> Path | None:
        """Where a file or directory of the work tree is as it was; None if it was not there."""
        here = Path(now).resolve()
        was = self.tree / here.relative_to(self.top) if here.is_relative_to(self.top) else None
        return was if was and was.exists() else None

    def label(self, now: str) -> str:
        """As git names it."""
        return f"{self.ref}:{Path(now).resolve().relative_to(self.top)}"


def _git(where: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(where), *words], capture_output=True)
    except FileNotFoundError:
        raise UsageError("--since needs git, which is not here") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"git {words[0]}: {said[0] if said else f'status {done.returncode}'}")
    return done.stdout


@contextmanager
def past(ref: str, header: str) -> Iterator[Past]:
    """The headers (``*.h``) of the work tree that a header lies in; UsageError with what git says."""
    if ref.startswith("-"):
        raise UsageError(f"--since: got {ref!r}, expected a commit, a tag or a branch")
    top = Path(_git(Path(header).resolve().parent, "rev-parse", "--show-toplevel").decode().rstrip("\n"))
    archive = _git(top, "archive", "--format=tar", ref, "--", ":(glob)**/*.h")
    with tempfile.TemporaryDirectory(prefix="iommu-abi-") as directory:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                if data := tar.extractfile(member):  # a plain file, or a link to one
                    path = Path(directory, member.name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data.read())
        yield Past(ref, top, Path(directory))
