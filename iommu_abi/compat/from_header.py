"""A C header as a model: compiled for this machine, its integer macros evaluated."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from iommu_abi.compat import compiler, elf, from_object, macros
from iommu_abi.compat.model import Model
from iommu_abi.errors import UsageError

_FLAGS = ("-std=gnu11", "-x", "c", "-w", "-D__user=", "-fmax-errors=0")
#: Linked, because nothing then has to be relocated: elftools cannot do that for every machine.
_DEBUG = ("-g", "-fno-eliminate-unused-debug-types", "-shared", "-fPIC", "-nostdlib")
_FILE = "header.c"


def read(path: Path, include: tuple[str, ...], label: str) -> Model:
    """The model of what the header declares itself, and what it includes with quotes."""
    with tempfile.TemporaryDirectory(prefix="iommu-abi-") as directory:
        return _Header(path, include, label, directory).read()


class _Header:
    def __init__(self, path: Path, include: tuple[str, ...], label: str, directory: str) -> None:
        self.label, self.directory = label, directory
        full = path.resolve()
        self.include = f'#include <linux/types.h>\n#include "{full}"'
        directories = [Path(name).resolve() for name in include]
        if full.parent.name == "linux" and full.parent.parent.name != "uapi":  # not of a source tree
            directories.append(full.parent.parent)
        self.flags = [f"-isystem{path}" for path in directories]

    def read(self) -> Model:
        text = self._accepted(self._run(self.include, "-E", "-dD"))
        files, names = macros.owned(text, self.directory)
        files.discard(str(Path(self.directory, _FILE).resolve()))
        values = self._evaluate(names)
        reader = from_object.load(Path(self.directory, "header.so"), self.label, files.__contains__)
        return from_object.model(self.label, reader, values, ())

    def _evaluate(self, names: list[str]) -> dict[str, int]:
        """Compile the header, with those of its macros that are integers."""
        done, bad = self._with_macros(names)
        while done.returncode and bad:
            names = [name for name in names if name not in bad]
            done, bad = self._with_macros(names)
        self._accepted(done)
        data, order = elf.symbol_bytes(Path(self.directory, "header.so"), macros.ARRAY)
        starts = range(0, 8 * len(names), 8)
        return {n: int.from_bytes(data[s : s + 8], order, signed=True) for n, s in zip(names, starts)}

    def _with_macros(self, names: list[str]) -> tuple[subprocess.CompletedProcess[str], set[str]]:
        source, lines = macros.source(self.include, names)
        done = self._run(source, *_DEBUG, "-o", "header.so")
        return done, macros.refused(done.stderr, _FILE, lines)

    def _accepted(self, done: subprocess.CompletedProcess[str]) -> str:
        """What the compiler printed; UsageError with its first error."""
        if done.returncode:
            found = re.search(r"^(.*?:\d+:.*?error: .*|.*error.*)$", done.stderr, re.M)
            raise UsageError(
                f"{self.label}: the C compiler {compiler.command()[0]} refuses it:"
                f" {(found[1] if found else done.stderr).strip()}"
            )
        return done.stdout

    def _run(self, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        Path(self.directory, _FILE).write_text(source)
        return compiler.run(*_FLAGS, *self.flags, *arguments, _FILE, directory=self.directory)
