"""A C header as a model: compiled for this machine or another, its integer macros evaluated."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from iommu_abi.compat import compiler, dependence, elf, from_object, machines, macros, roots
from iommu_abi.compat.machines import Machine
from iommu_abi.compat.model import Model
from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout as layouts
from iommu_abi.uapi.layout import Abi

_FLAGS = ("-std=gnu11", "-x", "c", "-w", "-D__user=")
#: Linked, because nothing then has to be relocated: elftools cannot do that for every machine.
_DEBUG = ("-g", "-gdwarf-5", "-fno-eliminate-unused-debug-types", "-shared", "-fPIC", "-nostdlib")
#: ``__u16 :16;``: a type, and no name before the colon.
_UNNAMED_BITS = re.compile(
    r"(?:^|[;{,])\s*(?:__\w+|(?:unsigned|signed|int|long|short|char|uint\d+_t) ?)+\s*:\s*\d+\s*;"
)
_FILE = "header.c"
_HEADER_BYTES = 16 << 20


def read(path: Path, include: tuple[str, ...], label: str) -> Model:
    """The model of what the header declares itself, and what it includes with quotes."""
    size = path.stat().st_size
    if size > _HEADER_BYTES:
        raise UsageError(f"{label}: {size} bytes are no C header, expected {_HEADER_BYTES} at most")
    with tempfile.TemporaryDirectory(prefix="iommu-abi-") as directory:
        header = _Header(path.resolve(), label, directory)
        header.directories = roots.directories(header.path, include)
        made = header.read()
    if not compiler.ziglang():
        return made
    return replace(made, compile_for=lambda abi: read_for(abi, path, include, label))


def read_for(abi: Abi, path: Path, include: tuple[str, ...], label: str) -> Model:
    """The same on an ABI, by the compiler of the package ziglang."""
    package = compiler.ziglang()
    if not package:
        raise UsageError("headers are compiled for other machines by the package ziglang, which is not here")
    machine = machines.MACHINES[abi.name]
    with tempfile.TemporaryDirectory(prefix="iommu-abi-") as directory:
        header = _Header(path.resolve(), label, directory)
        header.machine = machine
        header.flags = [*_FLAGS, *machines.target(machine)]
        header.directories = roots.directories_for(header.path, include, machine, package)
        header.program = compiler.zig()
        return _on(abi, header.read())


def _on(abi: Abi, model: Model) -> Model:
    """A model with the ABI's name, where another machine stood in for it (machines.py)."""
    if model.abi == abi:
        return model
    measured = {
        name: layouts.layout(model.record(name), abi) if model.portable(name) else replace(made, abi=abi)
        for name, made in model.measured.items()
    }
    return replace(model, abi=abi, measured=measured)


class _Header:
    """One compilation of a header; which compiler, for which machine, is set from outside."""

    def __init__(self, path: Path, label: str, directory: str) -> None:
        self.path, self.label, self.directory = path, label, directory
        self.include = f'#include <linux/types.h>\n#include "{path}"'
        self.flags = [*_FLAGS, "-fmax-errors=0"]
        self.directories: list[Path] = []
        self.program: tuple[str, ...] = ()
        self.machine: Machine | None = None

    def read(self) -> Model:
        self._accepted(self._run(self.include, "-E", "-dD", "-o", "header.i"))
        text = Path(self.directory, "header.i").read_text(errors="replace")
        found = macros.found(text, self.directory)
        found.files.discard(str(Path(self.directory, _FILE).resolve()))
        names = [n for n, text in (found.own | found.others).items() if macros.may_be_integer(text)]
        values = self._evaluate(names)
        reader = from_object.load(Path(self.directory, "header.so"), self.label, found.files.__contains__)
        own = {name: value for name, value in values.items() if name in found.own}
        lost = [n for n, text in found.own.items() if macros.may_be_integer(text) and n not in own]
        return replace(
            from_object.model(self.label, reader, own, self._notes(lost)),
            other_macros={name: value for name, value in values.items() if name in found.others},
            unevaluated=frozenset(lost),
            texts={name: found.own[name] for name in own},
            unnamed=frozenset(_with_unnamed_bits(reader.lines)),
            of_machines=_of_machines(self.path, self.machine),
            depends=dependence.first(found.files, found.included),
        )

    def _notes(self, lost: list[str]) -> tuple[str, ...]:
        if not lost:
            return ()
        names = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
        macros = "1 macro is no integer" if len(lost) == 1 else f"{len(lost)} macros are no integers"
        return (f"{self.label}: {macros} to the compiler and not evaluated: {names}",)

    def _evaluate(self, names: list[str]) -> dict[str, int]:
        """Compile the header, with those of its macros that are integers."""
        source, lines = macros.source(self.include, names)
        done = self._run(source, *_debug())
        while done.status and macros.refused(done.messages, _FILE, lines):
            names = self._integers(names)
            source, lines = macros.source(self.include, names)
            done = self._run(source, *_debug())
        self._accepted(done)
        data, order = elf.symbol_bytes(Path(self.directory, "header.so"), macros.ARRAY)
        return dict(zip(names, _values(data, order)))

    def _integers(self, names: list[str]) -> list[str]:
        """The macros that the compiler takes, each asked in a function of its own."""
        while True:
            source, lines = macros.question(self.include, names)
            bad = macros.refused(self._run(source, "-fsyntax-only").messages, _FILE, lines)
            if not bad:
                return names
            names = [name for name in names if name not in bad]

    def _accepted(self, done: compiler.Done) -> None:
        """UsageError with the compiler's first error, if there is one."""
        if done.status:
            found = re.search(r"^(.*?:\d+:.*?error: .*|.*error.*)$", done.messages, re.M)
            said = (found[1] if found else done.messages).strip() or f"it ended with status {done.status}"
            raise UsageError(f"{self.label}: the C compiler {self._name()} refuses it: {said}")

    def _name(self) -> str:
        return "of ziglang" if self.program else compiler.command()[0]

    def _run(self, source: str, *arguments: str) -> compiler.Done:
        Path(self.directory, _FILE).write_text(source)
        try:
            include = [f"-isystem{path}" for path in self.directories]
            words = (*self.flags, *include, *arguments, _FILE)
            return compiler.run(*words, directory=self.directory, program=self.program)
        except UsageError as error:
            raise UsageError(f"{self.label}: {error}") from None


def _of_machines(header: Path, own: Machine | None) -> dict[str, str]:
    """The names that other machines' headers define, and which machine has each."""
    found: dict[str, str] = {}
    for machine, path in roots.of_other_machines(header, own):
        for name in macros.definitions(path.read_text(errors="replace")):
            found.setdefault(name, machine)
    return found


def _with_unnamed_bits(lines: Mapping[str, tuple[str, int, int]]) -> Iterator[str]:
    """Records with bit fields that have no name: DWARF has none of them."""
    numbers = {path: _unnamed_bits(path) for path, _, _ in lines.values()}
    for name, (path, first, last) in lines.items():
        if any(first <= number <= last + 1 for number in numbers[path]):
            yield name


def _unnamed_bits(path: str) -> list[int]:
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return []
    return [n for n, line in enumerate(text.splitlines(), 1) if _UNNAMED_BITS.search(line)]


def _debug() -> tuple[str, ...]:
    return (*_DEBUG, "-o", "header.so")


def _values(data: bytes, order: Literal["little", "big"]) -> Iterable[int]:
    """The array's numbers: unsigned but those that are negative."""
    for at in range(0, len(data), macros.ELEMENT):
        negative = any(data[at + 8 : at + macros.ELEMENT])
        yield int.from_bytes(data[at : at + 8], order, signed=negative)
