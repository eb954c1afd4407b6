"""A generation: the structs, enumerations, ioctls and payloads of one state of the headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from iommu_abi.errors import UsageError
from iommu_abi.names import unknown
from iommu_abi.schemas.uapi.fields import Struct, Values


@dataclass(frozen=True, slots=True)
class Ioctl:
    """A command: its number in the low byte, its struct, and the last field that every caller must give.

    ``least`` is that field's name; "" where not even the struct's first version has a minimum of its own.
    """

    name: str
    nr: int
    struct: str
    least: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a discriminator says about data elsewhere: ``struct.by`` has a value, ``at`` is of that type.

    ``at`` is a member of a union or a field with a pointer; ``types`` maps enumerators to the member or
    to the struct behind the pointer, None for no data.
    """

    struct: str
    by: str
    at: str
    types: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of the headers; ``source`` says which. Names are as posted."""

    name: str
    source: str
    structs: Mapping[str, Struct]
    enums: Mapping[str, Values] = field(default_factory=dict)
    ioctls: Mapping[str, Ioctl] = field(default_factory=dict)
    payloads: tuple[Payload, ...] = ()

    def struct(self, name: str) -> Struct:
        """The struct of a name; UsageError names the known ones."""
        if name not in self.structs:
            raise UsageError(f"{self.name}: {unknown('struct', name, self.structs)}")
        return self.structs[name]

    def then(
        self,
        name: str,
        source: str,
        structs: Iterable[Struct] = (),
        enums: Iterable[Values] = (),
        ioctls: Iterable[Ioctl] = (),
        payloads: Iterable[Payload] = (),
        without: Iterable[str] = (),
    ) -> Generation:
        """The next generation, which states only what it adds, changes and drops."""
        gone = set(without)
        kept = {key: value for key, value in self.structs.items() if key not in gone}
        changed = {(p.struct, p.by) for p in payloads}
        return Generation(
            name,
            source,
            {**kept, **{each.name: each for each in structs}},
            {k: v for k, v in {**self.enums, **{e.tag: e for e in enums}}.items() if k not in gone},
            {**self.ioctls, **{each.name: each for each in ioctls}},
            (
                *(p for p in self.payloads if (p.struct, p.by) not in changed and p.struct not in gone),
                *payloads,
            ),
        )


def generation(
    name: str,
    source: str,
    structs: Iterable[Struct],
    enums: Iterable[Values] = (),
    ioctls: Iterable[Ioctl] = (),
    payloads: Iterable[Payload] = (),
) -> Generation:
    """A generation that builds on no other."""
    return Generation(name, source, {}).then(name, source, structs, enums, ioctls, payloads)
