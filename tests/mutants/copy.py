"""A copy of the checkout in which one mutant at a time is compiled and tested."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mutants.operators import ROOT, Mutant

INCLUDES = ["-Icdefs", f"-I{sysconfig.get_paths()['include']}"]
FLAGS = [
    "-std=gnu11", "-O1", "-fPIC", "-fvisibility=hidden", "-DPy_LIMITED_API=0x030a0000",
    "-DCONFIG_IOMMU_API=1", f'-DIOMMU_ABI_VERSION="{(ROOT / "VERSION").read_text().strip()}"',
]  # fmt: skip
WARN = ["-Wall", "-Wextra", "-Werror"]  # of the Makefile
#: Writes the C of the extension module.
EMIT = "import sys; sys.path.insert(0, 'iommu_abi'); import _build; _build.core().emit_c_code(sys.argv[1])"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, None if it did not end in time, and what it printed."""

    status: int | None
    text: str

    @property
    def good(self) -> bool:
        """Whether it succeeded."""
        return self.status == 0


class Copy:
    """The copy. Of the C core only what a mutant changes is compiled again."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "copy"
        skip = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, self.root, ignore=skip)
        self.objects = directory / "objects"
        self.objects.mkdir()
        module = self.objects / "module.c"
        self._must([sys.executable, "-c", EMIT, str(module)])
        self.sources = [*sorted((self.root / "iommu_abi/core").glob("*.c")), module]
        self.needs = {source: self._dependencies(source) for source in self.sources}
        built = self.build(self.sources)
        assert built.good, built.text

    def run(self, command: list[str], seconds: float) -> Ended:
        """Run a command in the copy, with the copy's package; what it starts ends with it."""
        path = f"{self.root}:{self.root / 'tests'}"
        env = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        with tempfile.TemporaryFile("w+", errors="replace") as output:  # a pipe may outlive the command
            started = subprocess.Popen(
                command, cwd=self.root, env=env, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            try:
                status = started.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            output.seek(0)
            return Ended(status, output.read())

    def _must(self, command: list[str]) -> str:
        ended = self.run(command, 300)
        assert ended.good, f"{command}: {ended.text}"
        return ended.text

    def _dependencies(self, source: Path) -> set[Path]:
        """The files of the core that a C file is made of."""
        words = self._must(["cc", *FLAGS, *INCLUDES, "-MM", str(source)]).replace("\\\n", " ").split()[1:]
        return {(self.root / word).resolve() for word in words}

    def build(self, sources: list[Path]) -> Ended:
        """Compile these C files and link the extension module."""
        for source in sources:
            made = str(self.objects / f"{source.stem}.o")
            warn = WARN if source.parent.name == "core" else []
            done = self.run(["cc", *FLAGS, *warn, *INCLUDES, "-c", str(source), "-o", made], 300)
            if not done.good:
                return done
        objects = [str(self.objects / f"{source.stem}.o") for source in self.sources]
        return self.run(["cc", "-shared", "-o", "iommu_abi/_core.abi3.so", *objects], 300)

    def code(self) -> list[bytes]:
        """The objects as they are: without debug information, they have nothing but code and data."""
        return [path.read_bytes() for path in sorted(self.objects.glob("*.o"))]

    def changed(self, mutant: Mutant) -> str:
        """Put a mutant in its place; the text that was there."""
        path = self.root / mutant.path
        original = path.read_text()
        lines = original.split("\n")
        lines[mutant.line] = lines[mutant.line].replace(mutant.before, mutant.after)
        path.write_text("\n".join(lines))
        return original

    def compile(self, path: Path) -> Ended:
        """Bring the extension module up to date with a file that changed."""
        if path.suffix == ".py":
            return Ended(0, "")
        return self.build([source for source, needs in self.needs.items() if path.resolve() in needs])
