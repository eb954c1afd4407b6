"""A unit as ``meta.json`` has it: its kind, its registers, the RAM around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iommu_abi.errors import AbiError, UsageError
from iommu_abi.inputs import InputError, Record, parse_json, to_number
from iommu_abi.names import meant
from iommu_abi.vendors import KINDS, kind_of
from iommu_abi.walk import NOT_REGISTERS, Unit, kinds, registers


@dataclass(frozen=True, slots=True)
class Meta:
    """What ``meta.json`` says. ``ram`` is a list of (first, size); ``ignored`` register names are unknown."""

    kind: str
    registers: Mapping[str, int]
    ram: tuple[tuple[int, int], ...]
    ignored: tuple[str, ...]

    def in_ram(self, address: int) -> bool:
        """Is there memory in the guest at this address? True if nothing says so."""
        return not self.ram or any(first <= address < first + size for first, size in self.ram)


def unknown_register(kind: str, names: list[str]) -> UsageError:
    """The refusal of registers that a kind does not have, with those that it has."""
    known = registers(kind)
    plural = "s" if len(names) > 1 else ""
    return UsageError(f"unknown register{plural} {' '.join(names)} of {kind}{meant(names[0], known)}")


def make_unit(kind: str, given: Mapping[str, int], where: str) -> Unit:
    """The IOMMU with these registers; UsageError, begun by ``where``, if there can be none."""
    missing = [name for name, default in registers(kind).items() if default is None and name not in given]
    if missing:
        raise UsageError(f"{where}: {kind} needs {' '.join(missing)}")
    try:
        return Unit(kind, given)
    except AbiError as error:
        raise UsageError(f"{where}: {error}") from None


def read_meta(text: str, where: str) -> Meta:
    """The parts of a ``meta.json`` that a translation needs."""
    return meta_of(Record(parse_json(text, where), where))


def meta_of(meta: Record) -> Meta:
    """The same of a part of a file."""
    word, where = meta.text("kind"), meta.where
    kind = kind_of(word)
    if kind not in kinds():
        words = " ".join(KINDS[each] for each in kinds())
        raise UsageError(f"{where}: kind {word!r} is not known, expected one of: {words}")
    given = meta.record("registers")
    known = registers(kind)
    return Meta(
        kind,
        {
            name: given.number(name)
            for name, value in given.data.items()
            if name in known and value is not None
        },
        tuple(_ram(meta)) if "ram" in meta else (),
        tuple(name for name in given.data if name not in known and name not in NOT_REGISTERS),
    )


def _ram(meta: Record) -> list[tuple[int, int]]:
    found = []
    for row in meta.items("ram"):
        if not isinstance(row, list) or len(row) != 2:
            raise InputError(f"{meta.where}: ram: got {row!r}, expected [first, size]")
        first, size = (to_number(value, f"{meta.where}: ram") for value in row)
        found.append((first, size))
    return found
