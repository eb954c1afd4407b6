"""The machine that a command is about: its memory, and its IOMMUs, described or found in the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from iommu_abi.cli import output, target, words
from iommu_abi.errors import ImageError, UsageError
from iommu_abi.names import unknown

if TYPE_CHECKING:
    import argparse

    from iommu_abi.acquire.qemu import Qemu
    from iommu_abi.acquire.units import Acquired, Device, Found
    from iommu_abi.images import Source
    from iommu_abi.memory import Memory
    from iommu_abi.walk import Unit

AUTO = "auto"
HINT = "; --config or --iommu with --reg says what the registers are"
#: Registers that say what an IOMMU can do: a default of one of them is told, since it may decide an answer.
CAPABILITIES = {
    "vtd": ("CAP", "ECAP"),
    "amdvi": ("EXT_FEATURES",),
    "smmuv3": ("IDR0", "IDR1", "IDR5"),
    "riscv": ("CAPABILITIES",),
}


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
    """IOMMUs; ``source`` is where they were found, empty if the caller said the registers themselves."""

    units: tuple[One, ...]
    source: str = ""
    assumed: tuple[str, ...] = ()

    def said(self) -> str:
        """One line: what was found, and what is assumed of it."""
        assumed = f"assumed: {'; '.join(self.assumed)}" if self.assumed else ""
        if not self.source:
            return assumed
        places = ", ".join(one.found.place for one in self.units)
        return "; ".join(filter(None, (f"found {places} of {self.source}", assumed)))

    def say(self, *, to_stderr: bool = False) -> None:
        """Print it, if there is anything that the caller did not say."""
        if said := self.said():
            output.line(said, "dim", stderr=to_stderr)

    def to_json(self) -> dict[str, object]:
        """The same for --json; nothing if the caller said it all."""
        if not self.source:
            return {"assumed": list(self.assumed)} if self.assumed else {}
        from iommu_abi.acquire.meta_file import device_json

        units = [
            {"kind": one.found.kind, "name": one.found.name, "base": output.hex_or_none(one.found.base),
             "devices": [device_json(each) for each in one.found.devices]}
            for one in self.units
        ]  # fmt: skip
        return {"found_in": self.source, "units": units, "assumed": list(self.assumed)}

    def serving(self, text: str) -> list[Asked]:
        """The IOMMUs of a device: those in whose scope it is, else all of its segment, else all.

        The kernel's list of devices comes first, then the scopes in firmware's tables.
        """
        segment, rid = words.segment_and_requester(text)
        found = [each for one in self.units for each in _in_scope(one, text, segment, rid)]
        for rest in (False, True):
            found = found or [each for one in self.units for each in _by_table(one, text, segment, rid, rest)]
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


def _by_table(one: One, text: str, segment: int | None, rid: int, rest: bool) -> list[Asked]:
    """By firmware's scopes: a place on the bus may have another ID at the IOMMU."""
    if ":" not in text:
        return []
    number = one.found.id_of(segment or 0, rid, rest=rest)
    return [] if number is None else [Asked(one, number, None)]


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


def _lacks(args: argparse.Namespace, found: Found) -> bool:
    """Is it not known where its tables are?"""
    from iommu_abi.walk import kinds, registers

    if found.kind not in kinds():
        return True
    given = {*found.registers, *words.assignments(args.reg, "--reg")}
    return any(default is None and name not in given for name, default in registers(found.kind).items())


def _wanted(args: argparse.Namespace, units: tuple[Found, ...]) -> tuple[Found, ...]:
    """Those of --unit."""
    if not args.unit:
        return units
    names = (args.unit, args.unit.lower())
    chosen = tuple(each for each in units if each.name in names or output.hex_or_none(each.base) in names)
    if not chosen:
        raise UsageError(
            f"--unit: got {args.unit!r}, expected one of: {' '.join(each.name for each in units)}"
        )
    return chosen


def _defaults(one: One) -> str:
    """What is assumed that an IOMMU can do, because nobody said it."""
    from iommu_abi.walk import registers

    known = registers(one.unit.kind)
    absent = (name for name in CAPABILITIES[one.unit.kind] if name not in one.found.registers)
    shown = ", ".join(f"{name} {known[name]:#x}" for name in absent)
    return f"{shown}: not given" if shown else ""


def _machine(args: argparse.Namespace, acquired: Acquired, where: str) -> Machine:
    """Of those found the ones whose tables are known; the others are told."""
    chosen = _wanted(args, acquired.units)
    lacking = [unit for unit in chosen if len(chosen) > 1 and _lacks(args, unit)]
    known = [unit for unit in chosen if unit not in lacking] or chosen[:1]
    units = [_one(args, each, where if len(known) == 1 else f"{where}: {each.name}") for each in known]
    units = [replace(one, alone=len(units) == 1) for one in units]
    left_out = [f"{each.place} is not asked: its tables are not known" for each in lacking]
    defaults = filter(None, map(_defaults, units))
    assumed = (*replace(acquired, units=tuple(known)).assumed, *defaults, *left_out)
    return Machine(tuple(units), acquired.source, assumed)


def of_config(args: argparse.Namespace, config: str) -> Machine:
    """The IOMMUs of a file or a directory like --config's."""
    from pathlib import Path

    from iommu_abi.acquire import sources

    where = words.input_name(config)
    if Path(config).is_dir():
        return _machine(args, sources.of_directory(Path(config)), where)
    return _machine(args, sources.of_bytes(words.read_bytes(config), where), where)


def described(args: argparse.Namespace) -> Machine | None:
    """The IOMMUs of --config or --iommu, with --reg; None if they are to be found."""
    if args.config and args.config != AUTO:
        return of_config(args, args.config)
    if not args.iommu:
        return None
    from iommu_abi.acquire.units import Acquired, Found
    from iommu_abi.vendors import kind_of
    from iommu_abi.walk import kinds

    kind = kind_of(args.iommu)
    if kind not in kinds():
        raise UsageError(f"--iommu: {unknown('kind', args.iommu, kinds())}")
    return _machine(args, Acquired("", (Found(kind, kind, None, 0, {}),)), "--reg")


def found(args: argparse.Namespace, memory: Memory, where: str) -> Machine:
    """The IOMMUs of the system in an image; ImageError if there are none to be found."""
    from iommu_abi.acquire import image

    try:
        with output.busy("looking for IOMMUs in the image", quiet=args.json):
            acquired = image.acquire(memory)
    except ImageError as error:
        raise ImageError(f"{where}: {error}{HINT}") from None
    if all(_lacks(args, unit) for unit in _wanted(args, acquired.units)):
        places = ", ".join(unit.place for unit in acquired.units)
        raise ImageError(f"{where}: {places} of {acquired.source}: {acquired.notes[-1]}{HINT}")
    return _machine(args, acquired, where)


def attach(args: argparse.Namespace) -> Qemu:
    """A machine that runs; it goes on when the command ends."""
    from iommu_abi.acquire.qemu import Qemu

    how, _, path = args.attach.partition(":")
    if how != "qmp" or not path:
        raise UsageError(f"--attach: got {args.attach!r}, expected qmp:SOCKET")
    if args.images:
        raise UsageError(f"--attach has its own memory, and {args.images[0]} is given too")
    qemu = Qemu(path)
    args.closing.callback(qemu.close)
    return qemu


def attached(args: argparse.Namespace) -> tuple[Machine, Memory]:
    """Its IOMMUs and its memory."""
    qemu = attach(args)
    return described(args) or _machine(args, qemu.acquire(), args.attach), qemu.memory()


def opened(args: argparse.Namespace, images: list[Source]) -> tuple[Machine, Memory]:
    """What the arguments are about."""
    if args.attach:
        return attached(args)
    if not images:
        raise UsageError(f"{target.IMAGE} is needed, or --attach qmp:SOCKET: whose memory is it?")
    given = described(args)
    memory = target.memory(args, images)
    return given or found(args, memory, str(images[0])), memory
