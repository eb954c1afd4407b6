"""A description of /dev/iommu in syzlang, the language of syzkaller.

Structs, flags and commands are those of the plain ledger's generations. What no header says in a form
that a machine reads is in the tables of this module: which numbers are IDs of which objects, and what
lies behind a pointer. syzkaller's own description, sys/linux/dev_iommu.txt, has a part of this: its
names (:data:`THEIRS`) are used and not declared again, and what it covers (:data:`COVERED`) is left out,
so that both stand side by side; or everything is described, in place of it.

Source of the language: syzkaller, docs/syscall_descriptions_syntax.md, and what its compiler accepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from iommu_abi.errors import UsageError
from iommu_abi.rules.kernels import KERNELS
from iommu_abi.schemas import uapi
from iommu_abi.schemas.uapi import Field, Generation, Ioctl, Payload, Struct, Use

# ---------------------------------------------------------------- what syzkaller has, August 2026

#: Commands, or a command and one of its variants, that dev_iommu.txt describes completely.
COVERED = frozenset(
    {
        "IOMMU_DESTROY$ioas", "IOMMU_DESTROY$hwpt", "IOMMU_IOAS_ALLOC", "IOMMU_IOAS_ALLOW_IOVAS",
        "IOMMU_IOAS_COPY", "IOMMU_IOAS_IOVA_RANGES", "IOMMU_IOAS_MAP", "IOMMU_IOAS_UNMAP", "IOMMU_OPTION",
        "IOMMU_VFIO_IOAS", "IOMMU_GET_HW_INFO$IOMMU_HW_INFO_TYPE_NONE", "IOMMU_HWPT_SET_DIRTY_TRACKING",
        "IOMMU_HWPT_GET_DIRTY_BITMAP",
    }
)  # fmt: skip
#: Resources of dev_iommu.txt under names that we use as well.
THEIRS = frozenset({"fd_iommufd", "ioas_handle", "device_handle", "hwpt_handle"})
#: Names of dev_iommu.txt for something that has grown since.
OUTGROWN = frozenset(
    {"iommufd_ioas_map_flags", "iommufd_hwpt_alloc_flags", "iommu_hwpt_alloc$IOMMU_HWPT_DATA_NONE"}
)

# ---------------------------------------------------------------- what numbers mean


def _about_iommufd(ioctl: Ioctl) -> bool:
    """A command of iommufd, or one of VFIO's that name it: the others are in syzkaller's dev_vfio.txt."""
    return not ioctl.name.startswith("VFIO_") or "_IOMMUFD" in ioctl.name


@dataclass(frozen=True, slots=True)
class Handle:
    """A resource: a number that ``made_by`` returns and that the ``fields`` hold.

    ``object`` is what IOMMU_DESTROY can destroy, or "".
    """

    name: str
    base: str
    made_by: str
    fields: tuple[str, ...]
    object: str = ""


HANDLES = (
    Handle("fd_iommufd", "fd", "", ("iommufd",)),
    Handle("ioas_handle", "int32", "IOMMU_IOAS_ALLOC",
           ("ioas_id", "out_ioas_id", "dst_ioas_id", "src_ioas_id"), "ioas"),
    Handle("device_handle", "int32", "VFIO_DEVICE_BIND_IOMMUFD", ("dev_id", "out_devid")),
    Handle("hwpt_handle", "int32", "IOMMU_HWPT_ALLOC", ("hwpt_id", "out_hwpt_id"), "hwpt"),
    Handle("fault_queue_handle", "int32", "IOMMU_FAULT_QUEUE_ALLOC",
           ("fault_id", "out_fault_id"), "fault_queue"),
    Handle("fd_fault_queue", "fd", "IOMMU_FAULT_QUEUE_ALLOC", ("out_fault_fd",)),
    Handle("fault_cookie", "int32", "IOMMU_FAULT_QUEUE_ALLOC", ("cookie",)),
    Handle("viommu_handle", "int32", "IOMMU_VIOMMU_ALLOC", ("viommu_id", "out_viommu_id"), "viommu"),
    Handle("vdevice_handle", "int32", "IOMMU_VDEVICE_ALLOC", ("out_vdevice_id",), "vdevice"),
    Handle("veventq_handle", "int32", "IOMMU_VEVENTQ_ALLOC", ("out_veventq_id",), "veventq"),
    Handle("fd_veventq", "fd", "IOMMU_VEVENTQ_ALLOC", ("out_veventq_fd",)),
    Handle("hw_queue_handle", "int32", "IOMMU_HW_QUEUE_ALLOC", ("out_hw_queue_id",), "hw_queue"),
    Handle("fd_vfio_device", "fd", "", ()),
)  # fmt: skip

_OF_FIELD = {field: handle.name for handle in HANDLES for field in handle.fields}

#: (struct, field) -> its type, where neither the header nor the field's name says it.
TYPES: Mapping[tuple[str, str], str] = {
    ("iommu_ioas_iova_ranges", "num_iovas"): "len[allowed_iovas, int32]",
    ("iommu_ioas_iova_ranges", "allowed_iovas"): "ptr64[out, array[iommu_iova_range]]",
    ("iommu_ioas_allow_iovas", "num_iovas"): "len[allowed_iovas, int32]",
    ("iommu_ioas_allow_iovas", "allowed_iovas"): "ptr64[in, array[iommu_iova_range]]",
    ("iommu_ioas_map", "user_va"): "vma64",
    ("iommu_ioas_map", "length"): "len[user_va, int64]",
    ("iommu_ioas_map_file", "fd"): "fd_memfd",
    ("iommu_option", "object_id"): "iommufd_option_object",
    ("iommu_hwpt_get_dirty_bitmap", "data"): "ptr64[out, array[int8]]",
    ("iommu_hwpt_alloc", "pt_id"): "iommufd_parent",
    ("iommu_hwpt_alloc", "data_len"): "bytesize[data_uptr, int32]",
    ("iommu_hw_info", "data_len"): "bytesize[data_uptr, int32]",
    ("iommu_hw_info", "data_uptr"): "ptr64[out, array[int8]]",
    ("iommu_viommu_alloc", "data_len"): "bytesize[data_uptr, int32]",
    ("iommu_hwpt_invalidate", "hwpt_id"): "iommufd_nested",
    ("iommu_hwpt_invalidate", "entry_num"): "len[data_uptr, int32]",
    ("iommu_hwpt_vtd_s1", "addr_width"): "flags[iommu_hwpt_vtd_s1_widths, int32]",
    ("vfio_device_bind_iommufd", "token_uuid_ptr"): "ptr64[in, array[int8, 16]]",
    ("vfio_device_attach_iommufd_pt", "pt_id"): "iommufd_attached",
}

#: Unions: a field that takes the ID of any of these objects, an event of any of these kinds.
UNIONS: Mapping[str, Mapping[str, str]] = {
    "iommufd_parent": {"ioas": "ioas_handle", "hwpt": "hwpt_handle", "viommu": "viommu_handle"},
    "iommufd_nested": {"hwpt": "hwpt_handle", "viommu": "viommu_handle"},
    "iommufd_attached": {"ioas": "ioas_handle", "hwpt": "hwpt_handle"},
    "iommufd_option_object": {"process": "const[0, int32]", "ioas": "ioas_handle"},
    "iommufd_vevent_data": {
        "arm_smmuv3": "iommu_vevent_arm_smmuv3",
        "tegra241_cmdqv": "iommu_vevent_tegra241_cmdqv",
    },
}

#: Values of fields that have no enumeration.
VALUES: Mapping[str, str] = {"iommu_hwpt_vtd_s1_widths": "48, 57"}

#: Structs that the files of queues carry and no header has.
COMPOUNDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "iommufd_vevent": (("header", "iommufd_vevent_header"), ("data", "iommufd_vevent_data")),
}

_OPEN = 'file ptr[in, string["{}"]], flags flags[open_flags], mode const[0]'
#: Calls that are no commands, with the command without which there are none.
CALLS: tuple[tuple[str, str], ...] = (
    ("IOMMU_DESTROY", f"openat$iommufd(fd const[AT_FDCWD], {_OPEN.format('/dev/iommu')}) fd_iommufd"),
    (
        "VFIO_DEVICE_BIND_IOMMUFD",
        f"openat$vfio_device(fd const[AT_FDCWD], {_OPEN.format('/dev/vfio/devices/vfio0')}) fd_vfio_device",
    ),
    (
        "IOMMU_FAULT_QUEUE_ALLOC",
        "read$iommu_fault(fd fd_fault_queue, buf ptr[out, array[iommu_hwpt_pgfault]], n bytesize[buf])",
    ),
    (
        "IOMMU_FAULT_QUEUE_ALLOC",
        "write$iommu_fault(fd fd_fault_queue, buf ptr[in, array[iommu_hwpt_page_response]], n bytesize[buf])",
    ),
    (
        "IOMMU_VEVENTQ_ALLOC",
        "read$iommu_veventq(fd fd_veventq, buf ptr[out, array[iommufd_vevent]], n bytesize[buf])",
    ),
)

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
            yield f"ioctl${name}(fd {fd}, cmd const[{ioctl.name}], arg ptr[in, {struct}])"

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
        elif field.name in _OF_FIELD:
            made = _OF_FIELD[field.name]
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
    return {name.partition("$")[0] for name in names}


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
