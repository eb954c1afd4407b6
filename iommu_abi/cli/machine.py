"""The machine that a command is about: its memory, and its IOMMUs, described or found in the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from iommu_abi.cli import output, target, words
from iommu_abi.errors import ImageError, UsageError
from iommu_abi.names import unknown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from iommu_abi.acquire.units import Device, Found
    from iommu_abi.images import Source
    from iommu_abi.memory import Memory
    from iommu_abi.walk import Unit

AUTO = "auto"
HINT = "; --config or --iommu with --reg says what the registers are"


@dataclass(frozen=True, slots=True)
class One:
    """One IOMMU, and what is known of it."""

    unit: Unit
    found: Found
    alone: bool = True  # there is no other

    def label(self, rid: int) -> str:
        """What a device is known by, with a space before it; nothing if that is not known."""
        device = self.found.device(rid)
        return f" {device.label}" if device and device.label else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """An IOMMU that may serve a device: the ID that it has there."""

    one: One
    rid: int
    device: Device | None


@dataclass(frozen=True, slots=True)
class Machine:
    """IOMMUs; ``source`` is where they were found, empty if the caller described them."""

    units: tuple[One, ...]
    source: str = ""
    assumed: tuple[str, ...] = ()

    def said(self) -> str:
        """One line: what was found, and what is assumed of it."""
        places = ", ".join(one.found.place for one in self.units)
        assumed = f"; assumed: {'; '.join(self.assumed)}" if self.assumed else ""
        return f"found {places} of {self.source}{assumed}"

    def say(self, *, to_stderr: bool = False) -> None:
        """Print it, if anything was found and not described."""
        if self.source:
            output.line(self.said(), "dim", stderr=to_stderr)

    def to_json(self) -> dict[str, object]:
        """The same for --json; nothing if the caller described them."""
        if not self.source:
            return {}
        from iommu_abi.acquire.meta_file import device_json

        units = [
            {"kind": one.found.kind, "name": one.found.name, "base": output.hex_or_none(one.found.base),
             "devices": [device_json(each) for each in one.found.devices]}
            for one in self.units
        ]  # fmt: skip
        return {"found_in": self.source, "units": units, "assumed": list(self.assumed)}

    def serving(self, text: str) -> list[Asked]:
        """The IOMMUs of a device: those in whose scope it is, else all of its segment, else all."""
        segment, rid = words.segment_and_requester(text)
        found = [each for one in self.units for each in _in_scope(one, text, segment, rid)]
        if found:
            return found
        there = [one for one in self.units if segment in (None, one.found.segment)]
        return [Asked(one, rid, None) for one in there or self.units]

    def only(self, what: str) -> One:
        """The IOMMU, where there is one; UsageError names them otherwise."""
        if len(self.units) > 1:
            names = " ".join(one.found.name for one in self.units)
            raise UsageError(f"{what} is about one IOMMU, and there are several: say --unit, one of: {names}")
        return self.units[0]


def _in_scope(one: One, text: str, segment: int | None, rid: int) -> list[Asked]:
    """By the device's place on the bus, whose ID may be another one; by the ID itself for a number."""
    if ":" in text:
        name = f"{segment or 0:04x}:{words.name_of_requester(rid)}"
        own = [device for device in one.found.devices if device.name == name and device.ids]
        return [Asked(one, rid if rid in device.ids else device.ids[0], device) for device in own]
    device = one.found.device(rid)
    return [Asked(one, rid, device)] if device else []


def _registers(args: argparse.Namespace, kind: str) -> dict[str, int]:
    """Those of --reg."""
    from iommu_abi import unit_meta
    from iommu_abi.walk import registers

    texts = words.assignments(args.reg, "--reg")
    unknown = [name for name in texts if name not in registers(kind)]
    if unknown:
        raise unit_meta.unknown_register(kind, unknown)
    return {name: words.number(text, f"--reg {name}") for name, text in texts.items()}


def _one(args: argparse.Namespace, found: Found, where: str) -> One:
    from iommu_abi.unit_meta import make_unit

    registers = {**found.registers, **_registers(args, found.kind)}
    return One(make_unit(found.kind, registers, where), replace(found, registers=registers))


def _wanted(args: argparse.Namespace, units: Iterable[One]) -> tuple[One, ...]:
    """Those of --unit."""
    units = tuple(units)
    units = tuple(replace(one, alone=len(units) == 1) for one in units)
    if not args.unit:
        return units
    names = (args.unit, args.unit.lower())
    chosen = [o for o in units if o.found.name in names or output.hex_or_none(o.found.base) in names]
    if not chosen:
        raise UsageError(
            f"--unit: got {args.unit!r}, expected one of: {' '.join(one.found.name for one in units)}"
        )
    return tuple(chosen)


def of_config(args: argparse.Namespace, config: str) -> Machine:
    """The IOMMUs of a file like --config's."""
    from iommu_abi.acquire import meta_file

    where = words.input_name(config)
    units = [_one(args, found, where) for found in meta_file.read(words.read_text(config), where)]
    return Machine(_wanted(args, units))


def described(args: argparse.Namespace) -> Machine | None:
    """The IOMMUs of --config or --iommu, with --reg; None if they are to be found."""
    if args.config and args.config != AUTO:
        return of_config(args, args.config)
    if not args.iommu:
        return None
    from iommu_abi.acquire.units import Found
    from iommu_abi.walk import OTHER_NAMES, kinds

    kind = OTHER_NAMES.get(args.iommu, args.iommu)
    if kind not in kinds():
        raise UsageError(f"--iommu: {unknown('kind', args.iommu, kinds())}")
    return Machine(_wanted(args, [_one(args, Found(kind, kind, None, 0, {}), "--reg")]))


def found(args: argparse.Namespace, memory: Memory, image: str) -> Machine:
    """The IOMMUs of the system in an image; ImageError if there are none to be found."""
    from iommu_abi.acquire import linux

    try:
        with output.busy("looking for IOMMUs in the image", quiet=args.json):
            acquired = linux.acquire(memory)
    except ImageError as error:
        raise ImageError(f"{image}: {error}{HINT}") from None
    units = [_one(args, unit, f"{image}: {unit.name}") for unit in acquired.units]
    return Machine(_wanted(args, units), acquired.source, acquired.assumed)


def opened(args: argparse.Namespace, images: list[Source]) -> tuple[Machine, Memory]:
    """What the arguments are about."""
    given = described(args)
    memory = target.memory(args, images)
    return given or found(args, memory, str(images[0])), memory
