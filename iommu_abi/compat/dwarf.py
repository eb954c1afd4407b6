"""DWARF -> declarations and the layouts that the compiler made of them (DWARF 5, chapter 5)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout as layouts
from iommu_abi.uapi.layout import (
    Abi,
    Array,
    Declarations,
    Enum,
    Field,
    Layout,
    Member,
    Pointer,
    Record,
    Scalar,
)

_TRANSPARENT = ("DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_atomic_type", "DW_TAG_restrict_type")
_RECORDS = {"DW_TAG_structure_type": "struct", "DW_TAG_union_type": "union", "DW_TAG_class_type": "struct"}
_OLDEST = 3  # before it, members are placed by small programs
_SIGNED = (0x05, 0x06, 0x0D)  # DW_ATE_signed, signed_char, signed_fixed
_FIXED = re.compile(r"_*(u|s|int|uint|le|be|aligned_u|aligned_le|aligned_be)(8|16|32|64)(_t)?")
_ORDERED = re.compile(r"_*(?:aligned_)?(le|be)(?:16|32|64)")
_BYTE_ORDERS = {"le": "little", "be": "big"}


def _name(die: Any) -> str | None:
    value = die.attributes.get("DW_AT_name")
    return value.value.decode() if value else None


def _number(die: Any, attribute: str, default: int = 0) -> int:
    value = die.attributes.get(attribute)
    return value.value if value and isinstance(value.value, int) else default


class Reader:
    """One file's types; ``owned`` says of a path whether its declarations count."""

    def __init__(self, abi: Abi, owned: Callable[[str], bool] | None) -> None:
        self.abi = abi
        self.owned = owned
        self.declarations = Declarations({}, {})
        self.others = Declarations({}, {})
        self.measured: dict[str, Layout] = {}
        self.types: dict[int, layouts.Type] = {}
        #: Where each record stands in the source: its file, its first and its last line.
        self.lines: dict[str, tuple[str, int, int]] = {}

    def read(self, dwarf: Any) -> None:
        """Take all named types of all units; the first of a name counts."""
        for unit in dwarf.iter_CUs():
            if unit["version"] < _OLDEST:
                raise UsageError(f"DWARF {unit['version']}, expected {_OLDEST} or later")
            paths = _paths(dwarf, unit) if self.owned else []
            for die in unit.get_top_DIE().iter_children():
                path = _path(die, paths)
                own = not self.owned or self.owned(path)
                self._take(die, self.declarations if own else self.others, path)

    def _take(self, die: Any, into: Declarations, path: str) -> None:
        name = _name(die)
        if die.tag == "DW_TAG_typedef" and "DW_AT_type" in die.attributes:
            die = die.get_DIE_from_attribute("DW_AT_type")
            if _name(die):  # the struct stands for itself
                return
        if "DW_AT_declaration" in die.attributes:
            return
        if die.tag in _RECORDS and name:
            self._take_record(name, die, into, path)
        elif die.tag == "DW_TAG_enumeration_type":
            into.enums.setdefault(name or str(len(into.enums)), _enum(die))

    def _take_record(self, name: str, die: Any, into: Declarations, path: str) -> None:
        if name in self.measured:
            return
        last = max((_number(child, "DW_AT_decl_line") for child in die.iter_children()), default=0)
        self.lines[name] = path, _number(die, "DW_AT_decl_line"), last
        record = self._record(die, name)
        leaves = tuple(self._leaves(die, 0, "", False))
        size = _number(die, "DW_AT_byte_size")
        into.records[name] = record
        self.measured[name] = Layout(self.abi, record, size, 0, leaves)

    # ------------------------------------------------------------ types

    def _type(self, die: Any) -> layouts.Type:
        """The type that an entry refers to."""
        if "DW_AT_type" not in die.attributes:
            raise UsageError("a member of no type")
        target = die.get_DIE_from_attribute("DW_AT_type")
        if target.offset not in self.types:
            self.types[target.offset] = self._type_at(target)
        return self.types[target.offset]

    def _type_at(self, die: Any) -> layouts.Type:
        if die.tag == "DW_TAG_typedef":
            return self._typedef(die)
        if die.tag in _TRANSPARENT:
            return self._type(die)
        if die.tag in _RECORDS:
            return self._record(die, _name(die))
        if die.tag == "DW_TAG_enumeration_type":
            return _enum(die)
        if die.tag == "DW_TAG_array_type":
            return self._array(die)
        if die.tag == "DW_TAG_base_type":
            return self._base(die)
        return Pointer()

    def _typedef(self, die: Any) -> layouts.Type:
        """The names of integers say what their base types do not: the width everywhere, the byte order."""
        made, name = self._type(die), _name(die) or ""
        if isinstance(made, Pointer) and _FIXED.fullmatch(name):  # uint64_t is a long here
            made = Scalar(name, self.abi.pointer, not name.lstrip("_").startswith("u"))
        if isinstance(made, Record):
            aligned = max(made.aligned, _number(die, "DW_AT_alignment"))
            return replace(made, tag=made.tag or name, aligned=aligned)
        if not isinstance(made, Scalar):
            return made
        order = _ORDERED.fullmatch(name)
        return Scalar(
            name,
            made.size,
            made.signed,
            _BYTE_ORDERS[order[1]] if order else made.byteorder,
            _number(die, "DW_AT_alignment", made.aligned),
        )

    def _base(self, die: Any) -> layouts.Type:
        name, size = _name(die) or "", _number(die, "DW_AT_byte_size")
        if size < 1:
            raise UsageError(f"{name} has no size")
        words = name.split()
        if words.count("long") == 1 and "double" not in words:  # as wide as a pointer on every Linux ABI
            return Pointer(name)
        return Scalar(name, size, _number(die, "DW_AT_encoding") in _SIGNED)

    def _array(self, die: Any) -> layouts.Type:
        made = self._type(die)
        ranges = [child for child in die.iter_children() if child.tag == "DW_TAG_subrange_type"]
        for child in reversed(ranges):
            made = Array(made, _count(child))
        return made

    def _record(self, die: Any, name: str | None) -> Record:
        """DWARF has what is aligned; what is packed shows in places that the layout engine does not find."""
        members = tuple(self._member(child) for child in _members(die))
        return Record(_RECORDS[die.tag], name, members, _number(die, "DW_AT_alignment"))

    def _member(self, die: Any) -> Member:
        made, aligned = self._type(die), _number(die, "DW_AT_alignment")
        return Member(_name(die), made, _number(die, "DW_AT_bit_size") or None, aligned)

    # ------------------------------------------------------------ places

    def _leaves(self, die: Any, base: int, prefix: str, in_union: bool) -> Iterator[Field]:
        shared = in_union or die.tag == "DW_TAG_union_type"
        for child in _members(die):
            member, offset = self._member(child), base + _number(child, "DW_AT_data_member_location")
            name = prefix + (member.name or "")
            if isinstance(member.type, Record):
                inner = f"{name}." if member.name else prefix
                yield from self._leaves(_record_of(child), offset, inner, shared)
            elif member.bits is None:
                yield Field(name, offset, layouts.size_align(member.type, self.abi)[0], member.type, shared)
            else:
                at = 8 * base + _first_bit(child, member, self.abi)
                size = (at + member.bits - 1) // 8 - at // 8 + 1
                yield Field(name, at // 8, size, member.type, shared, at, member.bits)


def _members(die: Any) -> Iterator[Any]:
    return (child for child in die.iter_children() if child.tag == "DW_TAG_member")


def _first_bit(die: Any, member: Member, abi: Abi) -> int:
    """Of a bit field, in its record. Before DWARF 5: in a storage unit, from its most significant bit."""
    if "DW_AT_bit_offset" not in die.attributes:
        return _number(die, "DW_AT_data_bit_offset")
    unit = _number(die, "DW_AT_byte_size", layouts.size_align(member.type, abi)[0])
    high = _number(die, "DW_AT_bit_offset")
    first = high if abi.byteorder == "big" else 8 * unit - high - (member.bits or 0)
    return 8 * _number(die, "DW_AT_data_member_location") + first


def _record_of(member: Any) -> Any:
    """The struct or union that a member is, through its typedefs."""
    die = member.get_DIE_from_attribute("DW_AT_type")
    while die.tag not in _RECORDS:
        die = die.get_DIE_from_attribute("DW_AT_type")
    return die


def _enum(die: Any) -> Enum:
    members = (child for child in die.iter_children() if child.tag == "DW_TAG_enumerator")
    return Enum(_name(die) or "", tuple((_name(m) or "", _number(m, "DW_AT_const_value")) for m in members))


def _count(die: Any) -> int | None:
    """Elements of an array; None for a flexible one."""
    if "DW_AT_count" in die.attributes:
        return _number(die, "DW_AT_count")
    if "DW_AT_upper_bound" in die.attributes:
        return _number(die, "DW_AT_upper_bound") + 1
    return None


# ---------------------------------------------------------------- where a type was declared


def _paths(dwarf: Any, unit: Any) -> list[str]:
    """Files by the numbers that DW_AT_decl_file has."""
    program = dwarf.line_program_for_CU(unit)
    if program is None:
        raise UsageError("the DWARF has no line table, which says where a type was declared")
    header = program.header
    modern = header["version"] >= 5
    here = os.fsdecode(unit.get_top_DIE().attributes["DW_AT_comp_dir"].value)
    directories = [os.path.join(here, os.fsdecode(d)) for d in header["include_directory"]]
    if not modern:
        directories.insert(0, here)
    paths = [os.path.join(directories[f.dir_index], os.fsdecode(f.name)) for f in header["file_entry"]]
    return paths if modern else ["", *paths]


def _path(die: Any, paths: list[str]) -> str:
    number = _number(die, "DW_AT_decl_file", -1)
    return os.path.realpath(paths[number]) if 0 <= number < len(paths) else ""
