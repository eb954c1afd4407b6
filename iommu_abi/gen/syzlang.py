"""A description of /dev/iommu in syzlang, the language of syzkaller.

Structs, flags and commands are those of the plain ledger's generations; ``syzlang_facts`` has what these do
not say. syzkaller's own description, sys/linux/dev_iommu.txt, has a part of it: its names (``THEIRS``) are
used and not declared again, and what it covers (``COVERED``) is left out, so that both stand side by side; or
everything is described, in place of it.

Source of the language: syzkaller, docs/syscall_descriptions_syntax.md, and what its compiler accepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from iommu_abi.errors import UsageError
from iommu_abi.gen.syzlang_facts import (
    CALLS,
    COMPOUNDS,
    COVERED,
    HANDLES,
    OF_FIELD,
    OUTGROWN,
    THEIRS,
    TYPES,
    UNIONS,
    VALUES,
)
from iommu_abi.rules.kernels import KERNELS
from iommu_abi.schemas import uapi
from iommu_abi.schemas.uapi import Field, Generation, Ioctl, Payload, Struct, Use


def _about_iommufd(ioctl: Ioctl) -> bool:
    """A command of iommufd, or one of VFIO's that name it: the others are in syzkaller's dev_vfio.txt."""
    return not ioctl.name.startswith("VFIO_") or "_IOMMUFD" in ioctl.name


_INCLUDES = {"iommufd": "<uapi/linux/iommufd.h>", "vfio": "<uapi/linux/vfio.h>"}
_HEAD = """\
# /dev/iommu of Linux {kernel}, for use {place} sys/linux/dev_iommu.txt.
# Made by iommu-abi gen syzlang: do not edit."""
_TAB = 8
#: Types that the language takes as inputs only.
_INPUTS = ("len[", "bytesize[", "const[")


@dataclass(frozen=True, slots=True)
class Description:
    """A description's ``text``, its calls by name, and the structs by the names they have in it."""

    kernel: str
    text: str
    calls: tuple[str, ...]
    structs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A struct with the types that some fields have in one variant of a command."""

    struct: Struct
    types: Mapping[str, str]


def _names(text: str) -> Iterator[str]:
    yield from re.findall(r"[A-Za-z_][\w$]*", text)


def _direction(struct: Struct) -> str:
    """Who reads what a pointer to a struct points to."""
    uses = {field.use for field in struct.fields} - {Use.RESERVED}
    if uses == {Use.OUT}:
        return "out"
    return "inout" if uses & {Use.OUT, Use.BOTH} else "in"


def _block(name: str, fields: Sequence[tuple[str, str, str]], brackets: str) -> str:
    """A struct or union; types are aligned as syz-fmt aligns them. A field is (name, type, attribute)."""
    widest = max((len(field) + _TAB) // _TAB for field, _, _ in fields)
    lines = []
    for field, type_, attribute in fields:
        tabs = "\t" * (widest - len(field) // _TAB)
        lines.append(f"\t{field}{tabs}{type_}" + (f"\t({attribute})" if attribute else ""))
    return "\n".join([f"{name} {brackets[0]}", *lines, brackets[1]])


class _Writer:
    """Makes calls, and on demand what they refer to."""

    def __init__(self, generations: Sequence[Generation], everything: bool) -> None:
        self.generations = generations
        self.everything = everything
        self.commands = {name for each in generations for name in each.ioctls}
        self.structs = {name: each for gen in generations for name, each in gen.structs.items()}
        self.enums = {values.tag.lower(): values for gen in generations for values in gen.enums.values()}
        self.shapes: dict[str, _Shape] = {}

    def named(self, name: str) -> str:
        """A name of ours that means something else, or less, in dev_iommu.txt is another."""
        return f"{name}_more" if name in OUTGROWN and not self.everything else name

    # ------------------------------------------------------------ calls

    def calls(self) -> Iterator[str]:
        """Every call, in the order of the commands."""
        for gen in self.generations:
            for ioctl in filter(_about_iommufd, gen.ioctls.values()):
                yield from (text for command, text in CALLS if command == ioctl.name and self._lacks(text))
                yield from self._commands(gen, ioctl)

    def _lacks(self, call: str) -> bool:
        """Whether dev_iommu.txt does not have a call that is no command."""
        return self.everything or not call.startswith("openat$iommufd")

    def _commands(self, gen: Generation, ioctl: Ioctl) -> Iterator[str]:
        fd = "fd_vfio_device" if ioctl.name.startswith("VFIO_") else "fd_iommufd"
        for variant, types in self._variants(gen, ioctl):
            name = "$".join(filter(None, (ioctl.name, variant)))
            if name in COVERED and not self.everything:
                continue
            struct = self.named("$".join(filter(None, (ioctl.struct, variant))))
            self.shapes[struct] = _Shape(self.structs[ioctl.struct], types)
            yield f"{self.named(f'ioctl${name}')}(fd {fd}, cmd const[{ioctl.name}], arg ptr[in, {struct}])"

    def _variants(self, gen: Generation, ioctl: Ioctl) -> Iterator[tuple[str, Mapping[str, str]]]:
        """A command's variants: the object that is destroyed, or the type of the data."""
        payload = next((each for each in gen.payloads if each.struct == ioctl.struct), None)
        if ioctl.name == "IOMMU_DESTROY":
            for handle in HANDLES:
                if handle.object and handle.made_by in self.commands:
                    yield handle.object, {"id": handle.name}
        elif payload and (chosen := self._chosen(payload)):
            enum = self.enums[chosen.values]
            seen: set[int] = set()
            for name, behind in payload.types.items():
                if enum.names[name] not in seen:  # two names of one number
                    yield name, {chosen.name: f"const[{name}, int32]", **self._data(payload, behind)}
                seen.add(enum.names[name])
        else:
            yield "", {}

    def _chosen(self, payload: Payload) -> Field | None:
        """The field with which the caller chooses the type of the data, if it is the caller who does."""
        for field in _flat(self.structs[payload.struct]):
            if field.values == self.structs[payload.struct].field(payload.by).values:
                return None if field.use is Use.OUT else field
        return None

    def _data(self, payload: Payload, behind: str | None) -> Mapping[str, str]:
        """The pointer to the data and its length."""
        if behind is None:
            known = (payload.struct, payload.at) in TYPES
            return {} if known else {payload.at: "const[0, int64]", "data_len": "const[0, int32]"}
        struct = self.structs[behind]
        if payload.struct == "iommu_hwpt_invalidate":
            size = uapi.layout(struct, uapi.abi("x86_64")).size
            return {payload.at: f"ptr64[in, array[{behind}]]", "entry_len": f"const[{size}, int32]"}
        return {payload.at: f"ptr64[{_direction(struct)}, {behind}]"}

    # ------------------------------------------------------------ definitions

    def definition(self, name: str) -> str | None:
        """What defines a name here; None if it is the language's or syzkaller's."""
        handle = next((each for each in HANDLES if each.name == name), None)
        if handle:
            theirs = name in THEIRS and not self.everything
            return None if theirs else f"resource {name}[{handle.base}]"
        if name in VALUES:
            return f"{name} = {VALUES[name]}"
        enum = next((e for tag, e in self.enums.items() if self.named(tag) == name), None)
        if enum:
            return f"{name} = {', '.join(enum.names)}"
        return self._compound(name)

    def _compound(self, name: str) -> str | None:
        """A struct or union."""
        if name in UNIONS:
            members = [(each, type_, "") for each, type_ in UNIONS[name].items() if self._exists(type_)]
            return _block(name, members, "[]")
        if name in COMPOUNDS:
            return _block(name, [(field, type_, "") for field, type_ in COMPOUNDS[name]], "{}")
        shape = self.shapes.get(name) or (_Shape(self.structs[name], {}) if name in self.structs else None)
        if shape is None:
            return None
        return _block(name, [self._field(shape, field) for field in _flat(shape.struct)], "{}")

    def _exists(self, type_: str) -> bool:
        """Whether the kernel has what a member of a union is about."""
        handle = next((each for each in HANDLES if each.name == type_), None)
        return handle.made_by in self.commands if handle else type_ in self.structs or "[" in type_

    def _field(self, shape: _Shape, field: Field) -> tuple[str, str, str]:
        made = shape.types.get(field.name) or self._type(shape.struct, field)
        attribute = {Use.OUT: "out", Use.BOTH: "inout"}.get(field.use, "")
        if made.startswith(_INPUTS):
            attribute = ""
        return field.name, made, attribute

    def _type(self, struct: Struct, field: Field) -> str:
        if (struct.name, field.name) in TYPES:
            return TYPES[struct.name, field.name]
        assert isinstance(field.type, uapi.Integer)
        made = integer = f"int{8 * field.type.size}"
        without_flags = field.name == "flags" and not field.values and field.use is Use.IN
        if field == struct.fields[0] and field.name in ("size", "argsz"):
            made = f"len[parent, {integer}]"
        elif field.reserved or without_flags:
            made = f"const[0, {integer}]"
        elif field.name in OF_FIELD:
            made = OF_FIELD[field.name]
        elif field.values and field.use is not Use.OUT:
            made = f"flags[{self.named(field.values.lower())}, {integer}]"
        return made if field.count is None else f"array[{made}, {field.count}]"

    def reached(self, call: str) -> dict[str, str]:
        """Name -> definition of all that a call refers to, in the order of its first use."""
        found: dict[str, str] = {}
        ahead = [*_names(call)]
        while ahead:
            name = ahead.pop(0)
            text = self.definition(name) if name not in found else None
            if text is not None:
                found[name] = text
                ahead += _names(text)
        return found


def _flat(struct: Struct) -> Iterator[Field]:
    """The fields; of a union without a name the member that the caller fills in."""
    for field in struct.fields:
        if field.name or not isinstance(field.type, Struct):
            yield field
        else:
            yield next((m for m in field.type.fields if m.use is not Use.OUT), field.type.fields[0])


def kernel_of(generation: str) -> str:
    """The newest kernel that has a generation with commands; UsageError names those that there are."""
    for kernel in reversed(list(KERNELS)):
        if generation in KERNELS[kernel] and uapi.generation(generation).ioctls:
            return kernel
    uapi.generation(generation)
    known = {name for names in KERNELS.values() for name in names if uapi.generation(name).ioctls}
    raise UsageError(
        f"{generation} has no commands that a kernel takes; these have: {' '.join(sorted(known))}"
    )


def describe(kernel: str = "7.2", structs: Iterable[str] = (), everything: bool = False) -> Description:
    """Describe the commands of a kernel of :data:`~iommu_abi.rules.kernels.KERNELS`.

    With ``structs``, tags as in the header, only the calls that lead to one of them. Without
    ``everything`` what syzkaller's dev_iommu.txt covers is left out, and its names are used.
    UsageError if nothing is left.
    """
    generations = [uapi.GENERATIONS[name] for name in KERNELS[kernel] if uapi.GENERATIONS[name].ioctls]
    writer = _Writer(generations, everything)
    reached = {call: writer.reached(call) for call in writer.calls()}
    for tag in structs:
        if not any(tag in _tags(found) for found in reached.values()):
            raise UsageError(
                f"no call that is left leads to {tag}: syzkaller's dev_iommu.txt has it, see --all"
            )
    wanted = set(structs)
    kept = {call: found for call, found in reached.items() if not wanted or wanted & _tags(found)}
    defined = {name: text for found in kept.values() for name, text in found.items()}
    return Description(
        kernel,
        _text(kernel, generations, everything, list(kept), defined),
        tuple(call.partition("(")[0] for call in kept),
        tuple(name for name, text in defined.items() if text.endswith("}")),
    )


def _tags(names: Iterable[str]) -> set[str]:
    return {name.partition("$")[0].removesuffix("_more") for name in names}


def _text(
    kernel: str,
    generations: Sequence[Generation],
    everything: bool,
    calls: Sequence[str],
    defined: Mapping[str, str],
) -> str:
    resources = [text for text in defined.values() if text.startswith("resource ")]
    flags = [text for name, text in defined.items() if text.startswith(f"{name} = ")]
    blocks = [text for text in defined.values() if text not in {*resources, *flags}]
    parts = [
        _HEAD.format(kernel=kernel, place="in place of" if everything else "beside"),
        "\n".join(
            ["include <uapi/linux/fcntl.h>"]
            + [f"include {_INCLUDES[gen.name.partition('_')[0]]}" for gen in generations]
        ),
        "\n".join(resources),
        "\n".join(calls),
        *blocks,
        "\n".join(flags),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
