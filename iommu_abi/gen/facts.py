"""What a generation says as numbers, on every ABI: for texts that assert it in a language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from iommu_abi import ioctl, uapi
from iommu_abi.schemas import uapi as plain
from iommu_abi.uapi.layout import ABIS, Abi, host


@dataclass(frozen=True, slots=True)
class Fact:
    """An expression and its number on each ABI; ``about`` is the struct or enumeration it belongs to."""

    about: str
    expression: str
    values: Mapping[str, int]

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The ABIs in groups of one value, the smallest group first."""
        found: dict[int, list[str]] = {}
        for name, value in self.values.items():
            found.setdefault(value, []).append(name)
        return tuple(sorted(map(tuple, found.values()), key=len))


def rare(facts: Iterable[Fact]) -> list[str]:
    """The ABIs on which some fact has another number than on most, in the order of all."""
    found = {name for fact in facts for group in fact.groups()[:-1] for name in group}
    return [name for name in ABIS if name in found]


def command(value: int) -> int | None:
    """The number in a command's value as this machine's header has it; None for another constant."""
    return value & 0xFF if value & ~0xFF == ioctl.io(ioctl.TYPE, 0, host().name) else None


def of_constants(generation: str, on: Sequence[Abi], structs: Iterable[str] = ()) -> Iterator[Fact]:
    """Enumerators, integer macros and commands; of ``structs`` only their values and their commands."""
    only = set(structs)
    wanted = _names_of(plain.generation(generation), only)
    for tag, enum in uapi.declarations(generation).enums.items():
        about = f"enum {tag}" if tag and not tag.isdigit() else "macros and enumerators"
        for name, value in enum.constants:
            if not only or name in wanted:
                nr = command(value)
                yield Fact(about, name, {a.name: _value(value, nr, a) for a in on})


def _value(value: int, nr: int | None, on: Abi) -> int:
    return value if nr is None else ioctl.io(ioctl.TYPE, nr, on.name)


def _names_of(generation: plain.Generation, structs: set[str]) -> set[str]:
    """The commands of some structs and the values of their fields."""
    found = {command.name for command in generation.ioctls.values() if command.struct in structs}
    for name in structs:
        for field in generation.struct(name).fields:
            found.update(generation.enums[field.values].names if field.values else ())
    return found
