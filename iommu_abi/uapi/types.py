"""ctypes types made from a layout.

Every struct is a subclass of :class:`UapiStruct`. Its bytes are those of the C struct: it can be
given to ``fcntl.ioctl`` as it is. Values are checked when they are assigned, comparing and
copying work by value, and an attribute that the struct does not have is an error.

A struct that begins with its ``size``, or with ``argsz``, has it filled in unless it is given.

A struct with a flexible array has no size of its own: ``cls.sized(n)`` is the concrete type with
``n`` elements, of exactly the bytes that the kernel reads. ``cls(...)``, ``cls.unpack()`` and
``cls.view()`` return such an object. A struct or union inside another is an object of its own,
``bind.vendor.vtd.flags = 1``, and may be given as a dict: ``vendor={"vtd": {"flags": 1}}``.
A field ``__reserved`` is also ``reserved``, for Python renames the first inside a class.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, ClassVar, cast

from iommu_abi._core_buffers import hold
from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout as _layout
from iommu_abi.uapi.description import doc

Buffer = Any  # bytes, bytearray, memoryview, mmap, ctypes object: what supports the buffer protocol

_INTEGERS = {
    (1, False): ctypes.c_uint8,
    (2, False): ctypes.c_uint16,
    (4, False): ctypes.c_uint32,
    (8, False): ctypes.c_uint64,
    (1, True): ctypes.c_int8,
    (2, True): ctypes.c_int16,
    (4, True): ctypes.c_int32,
    (8, True): ctypes.c_int64,
}


def _limits(scalar: _layout.Scalar) -> tuple[int, int]:
    bits = 8 * scalar.size
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if scalar.signed else (0, (1 << bits) - 1)


def _out_of_range(where: str, value: object, low: int, high: int) -> UsageError:
    return UsageError(f"{where}: got {value!r}, expected an integer from {low} to {high:#x}")


class _Checked:
    """What structs and unions have in common."""

    __slots__ = ()
    _gen: ClassVar[str] = ""
    _name: ClassVar[str] = ""
    _layout_info: ClassVar[_layout.Layout]
    #: Fields that are one integer: how it is stored, by ctypes itself, the lowest and the highest one.
    _numbers: ClassVar[Mapping[str, tuple[Callable[[Any, int], None], int, int]]] = {}
    _check: ClassVar[Callable[[Buffer, bool], None]]

    #: Numbers that say how long the struct is, or one inside it: how it is stored, in whom, the length.
    _lengths: ClassVar[tuple[tuple[Callable[[Any, int], None], str, int], ...]] = ()

    def __init__(self, **values: object) -> None:
        for put, owner, size in self._lengths:
            put(attrgetter(owner)(self) if owner else self, size)
        numbers = self._numbers
        for name, value in values.items():
            number = numbers.get(name)
            if number and type(value) is int and number[1] <= value <= number[2]:
                number[0](self, value)  # as __setattr__() does, without a call
            else:
                setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        number = self._numbers.get(name)
        if number is None:
            self._assign(name, value)
            return
        put, low, high = number
        if type(value) is int and low <= value <= high:
            put(self, value)
            return
        index = value.__index__() if hasattr(value, "__index__") else None
        if index is None or not low <= index <= high:
            raise _out_of_range(f"{self._name}.{name}", value, low, high)
        put(self, index)

    def _assign(self, name: str, value: object) -> None:
        """An array from bytes or numbers; a struct or union from one or from a dict."""
        if not hasattr(type(self), name):
            raise AttributeError(f"{self._name} has no field {name!r}")
        current = getattr(self, name)
        if isinstance(current, _CheckedArray):
            current.fill(f"{self._name}.{name}", value)
        elif isinstance(value, Mapping):
            for inner, each in value.items():
                setattr(current, inner, each)
        elif isinstance(value, type(current)):
            super().__setattr__(name, value)
        else:
            raise UsageError(
                f"{self._name}.{name}: got {value!r}, expected a {type(current).__name__} or a dict"
            )

    def pack(self) -> bytes:
        """The bytes of the struct."""
        return bytes(cast("Buffer", self))

    def items(self) -> list[tuple[str, Any]]:
        """The fields that hold values, in their order: ``("vendor.vtd.flags", 1)``."""
        return [(f.name, attrgetter(f.name)(self)) for f in self._layout_info.fields]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.pack() == other.pack()

    def __hash__(self) -> int:
        raise TypeError(f"{self._name} can be changed and has no hash")

    def __repr__(self) -> str:
        def show(value: Any) -> str:
            if isinstance(value, ctypes.Array):
                return repr(bytes(value) if value._type_ is ctypes.c_uint8 else list(value))
            return hex(value) if value > 9 else str(value)

        return f"{self._name}({', '.join(f'{name}={show(value)}' for name, value in self.items())})"


# The classes of the classes: pydoc takes the doc of ctypes' own ones for that of each struct.
_StructType = type("_StructType", (type(ctypes.Structure),), {"__doc__": property(doc)})
_UnionType = type("_UnionType", (type(ctypes.Union),), {"__doc__": property(doc)})
_FlexibleType = type("_FlexibleType", (type,), {"__doc__": property(doc)})


class UapiUnion(_Checked, ctypes.Union, metaclass=_UnionType):  # type: ignore[metaclass]
    """Base of every union inside a struct of the user API."""

    __slots__ = ()


class UapiStruct(_Checked, ctypes.Structure, metaclass=_StructType):  # type: ignore[metaclass]
    """Base of every struct of the user API."""

    __slots__ = ()

    @classmethod
    def unpack(cls, data: Buffer, *, strict: bool = True) -> UapiStruct:
        """A copy of a blob; AbiError for the rule that ``iommu-abi unpack`` says it breaks.

        That is one about its length, by the contract of the struct, or about what is reserved; of
        ``pasid_table_info`` its model too. Other numbers are a kernel's affair: ``iommu-abi errno``. Fields
        that an older caller's blob does not have are 0. ``strict=False`` asks only that the bytes are there,
        and accepts what a newer kernel might: reserved fields, other sizes, models and trailing bytes.
        """
        cls._check(data, strict)
        return cls.from_buffer_copy(_whole(data, ctypes.sizeof(cls), cls._name))

    @classmethod
    def view(cls, buffer: Buffer, *, strict: bool = True) -> UapiStruct:
        """The blob where it lies, in a writable buffer, as a whole; checked once, now."""
        cls._check(buffer, False)
        if strict:
            cls._check(buffer, True)
        return cls.from_buffer(buffer)

    def __copy__(self) -> UapiStruct:
        return type(self).from_buffer_copy(self)

    def __deepcopy__(self, memo: object) -> UapiStruct:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        if "." in self._name:
            raise TypeError(f"{self._name} has no name of its own; pickle the struct around it")
        return _restore, (self._gen, self._name, bytes(self))


def _whole(data: Buffer, size: int, what: str) -> Buffer:
    """As many bytes as a struct has at least; what is missing is 0."""
    held = hold(data, what)
    return bytes(held).ljust(size, b"\0") if len(held) < size else data


def _restore(gen: str, name: str, data: bytes) -> UapiStruct:
    """Unpickle: the classes are made at run time, so they are found by name."""
    from iommu_abi import uapi

    made: UapiStruct = getattr(uapi.generation(gen), name).unpack(data, strict=False)
    return made


class _CheckedArray(ctypes.Array):  # type: ignore[type-arg]
    """An array of integers that refuses what does not fit."""

    _type_ = ctypes.c_uint8
    _length_ = 0
    _limits: ClassVar[tuple[int, int]] = (0, 255)

    def __setitem__(self, index: Any, value: Any) -> None:
        low, high = self._limits
        for item in value if isinstance(index, slice) else [value]:
            if not isinstance(item, int) or not low <= item <= high:
                raise _out_of_range(f"[{index}]", item, low, high)
        super().__setitem__(index, value)

    def fill(self, where: str, values: Any) -> None:
        """Set every element; as many values as there are elements."""
        if not hasattr(values, "__len__") or len(values) != len(self):
            raise UsageError(f"{where}: got {values!r}, expected {len(self)} values")
        for i, value in enumerate(values):
            self[i] = value


@cache
def _array_type(item: Any, count: int, limits: tuple[int, int]) -> type[_CheckedArray]:
    namespace = {"_type_": item, "_length_": count, "_limits": limits}
    return type(f"{item.__name__}_array_{count}", (_CheckedArray,), namespace)


def _integer(t: _layout.Type) -> _layout.Scalar | None:
    """The integer that holds a value of a type, None for what is no number."""
    if isinstance(t, _layout.Scalar):
        return t
    if isinstance(t, (_layout.Enum, _layout.Pointer)):
        return _layout.Scalar(t.name, _layout.size_align(t, _layout.host())[0])
    return None


def _number(scalar: _layout.Scalar) -> Any:
    """The ctypes integer, in the byte order that the header gives it."""
    native: Any = _INTEGERS[scalar.size, scalar.signed]
    if scalar.size == 1 or scalar.byteorder is None:
        return native
    return native.__ctype_le__ if scalar.byteorder == "little" else native.__ctype_be__


class _Maker:
    """Makes the classes of one generation; structs inside others are made once, by tag."""

    def __init__(self, gen: str) -> None:
        self.gen = gen
        self.made: dict[str, type[Any]] = {}

    def ctype(self, t: _layout.Type, where: str) -> Any:
        scalar = _integer(t)
        if scalar:
            return _number(scalar)
        if isinstance(t, _layout.Array) and isinstance(t.item, _layout.Scalar):
            return _array_type(_number(t.item), t.count or 0, _limits(t.item))
        if isinstance(t, _layout.Array):
            return self.ctype(t.item, where) * (t.count or 0)
        if isinstance(t, _layout.Record) and t.tag in self.made:
            return self.made[t.tag]
        if isinstance(t, _layout.Record):
            made = _layout.layout(t, _layout.host())
            return self.concrete(t.tag or where, made, made.size, None, None)
        raise UsageError(f"no ctypes type for {t!r}")

    def fields(self, name: str, made: _layout.Layout, size: int, flexible: int | None) -> list[Any]:
        """Ctypes fields at their offsets, holes filled: for a packed class of ``size`` bytes."""
        fields: list[Any] = []
        end = 0
        for member, bit in _layout.placed(made.record, made.abi):
            offset, t = bit // 8, member.type
            if isinstance(t, _layout.Array) and t.count is None:
                t = _layout.Array(t.item, flexible)
            if offset > end:
                fields.append((f"_hole_{end}", ctypes.c_uint8 * (offset - end)))
            if member.bits is not None:
                fields.append((member.name, ctypes.c_uint8, member.bits))
                end = offset + 1
                continue
            ctype = self.ctype(t, f"{name}.{member.name or offset}")
            fields.append((member.name or f"_unnamed_{offset}", ctype))
            end = offset + ctypes.sizeof(ctype) if made.record.kind == "struct" else 0
        if size > end:
            fields.append((f"_hole_{end}", ctypes.c_uint8 * (size - end)))
        return fields

    def concrete(
        self, name: str, made: _layout.Layout, size: int, flexible: int | None, check: Any
    ) -> type[Any]:
        """A class of ``size`` bytes."""
        direct = [f for f in made.fields if "." not in f.name]
        fields = self.fields(made.record.tag or name, made, size, flexible)
        namespace = {
            "__slots__": (), "__module__": f"iommu_abi.uapi.{self.gen}", "__hash__": _Checked.__hash__,
            "_pack_": 1, "_layout_": "ms", "_fields_": fields,
            "_anonymous_": [each[0] for each in fields if each[0].startswith("_unnamed_")],
            "_name": made.record.tag or name, "_gen": self.gen, "_layout_info": made, "_check": check,
        }  # fmt: skip
        base = UapiStruct if made.record.kind == "struct" else UapiUnion
        cls: Any = type(name, (base,), namespace)
        cls._numbers = {}
        for f in direct:
            if f.name != plain_name(f.name):
                setattr(cls, plain_name(f.name), getattr(cls, f.name))
            if _integer(f.type):
                number = (getattr(cls, f.name).__set__, *_range(f))
                cls._numbers |= {f.name: number, plain_name(f.name): number}
        if made.record.kind == "struct":
            cls._lengths = tuple(_fills(cls, made.record, self.gen))
        return cast("type[Any]", cls)

    def struct(self, made: _layout.Layout, check: Any) -> type[Any]:
        """The class of a struct that the header names."""
        tag = made.record.tag or ""
        tail = made.record.flexible
        check = staticmethod(check)
        if tail is None:
            self.made[tag] = self.concrete(tag, made, made.size, None, check)
            return self.made[tag]
        item = cast("_layout.Array", tail.type).item
        namespace = {
            "__module__": f"iommu_abi.uapi.{self.gen}", "_name": tag, "_gen": self.gen,
            "_layout_info": made, "_check": check, "_maker": self,
            "_tail": tail.name, "_count": tail_count(made.record),
            "_item_size": _layout.size_align(item, made.abi)[0],
            "_head_class": self.concrete(tag, made, made.size, 0, check),
        }  # fmt: skip
        self.made[tag] = type(tag, (FlexibleStruct,), namespace)
        return self.made[tag]


def plain_name(name: str) -> str:
    """The other name of a field that begins with two underscores."""
    return name.lstrip("_") if name.startswith("__") else name


def _range(f: _layout.Field) -> tuple[int, int]:
    if f.bits is not None:
        return 0, (1 << f.bits) - 1
    return _limits(cast("_layout.Scalar", _integer(f.type)))


def _fills(cls: Any, record: _layout.Record, gen: str) -> Iterator[tuple[Any, str, int]]:
    """What ``_Checked._lengths`` has for a struct, and for those that lie in it."""
    first = record.members[0].name
    if first == "argsz" or (first == "size" and gen.startswith("iommufd")):
        yield cls._numbers[first][0], "", ctypes.sizeof(cls)
    classes = {each[0]: each[1] for each in cls._fields_}
    for member in record.members:
        if isinstance(member.type, _layout.Record) and member.type.kind == "struct" and member.name:
            for put, owner, size in classes[member.name]._lengths:
                yield put, f"{member.name}.{owner}" if owner else member.name, size


def tail_count(record: _layout.Record) -> str | None:
    """The field that announces the bytes of a flexible array; ``argsz`` counts the head as well."""
    return "length" if any(m.name == "length" for m in record.members) else None


class FlexibleStruct(metaclass=_FlexibleType):  # type: ignore[metaclass]
    """A struct with a flexible array: makes objects of ``sized(n)`` classes, has none of its own."""

    _gen: ClassVar[str] = ""
    _name: ClassVar[str] = ""
    _layout_info: ClassVar[_layout.Layout]
    _check: ClassVar[Any]
    _maker: ClassVar[_Maker]
    _tail: ClassVar[str]
    _count: ClassVar[str | None]
    _item_size: ClassVar[int]
    _head_class: ClassVar[type[UapiStruct]]

    def __new__(cls, **values: Any) -> Any:
        """An object of the size that its tail needs; the announcing field is set unless given."""
        tail = values.pop(cls._tail, b"")
        tail = cls._tail_bytes(tail)
        n, rest = divmod(len(tail), cls._item_size)
        if rest:
            raise UsageError(
                f"{cls._name}.{cls._tail}: got {len(tail)} bytes, expected {cls._item_size} for each"
            )
        made = cls.sized(n)()
        if cls._count:
            values.setdefault(cls._count, len(tail))
        for name, value in values.items():
            setattr(made, name, value)
        ctypes.memmove(ctypes.addressof(made) + cls._layout_info.size, tail, len(tail))
        return made

    @classmethod
    def _tail_bytes(cls, tail: Any) -> bytes:
        """A buffer's bytes, those of a row of structs, or a row of numbers."""
        if isinstance(tail, (bytes, bytearray, memoryview)):
            return bytes(tail)
        if isinstance(tail, (str, int)):  # bytes(n) would be n zeros
            raise UsageError(f"{cls._name}.{cls._tail}: got {tail!r}, expected bytes")
        return b"".join(bytes(each) for each in tail) if cls._item_size > 1 else bytes(tail)

    @classmethod
    def sized(cls, n: int) -> type[UapiStruct]:
        """The concrete type with ``n`` elements in its flexible array."""
        made: type[UapiStruct] = _sized(cast("Any", cls), n)
        return made

    @classmethod
    def _sized_for(cls, data: Buffer, strict: bool) -> type[UapiStruct]:
        cls._check(data, strict)
        length = max(0, len(hold(data, cls._name)) - cls._layout_info.size)
        if not strict and cls._count:
            head = cls._head_class.from_buffer_copy(data)
            length = getattr(head, cls._count)
        return cls.sized(length // cls._item_size)

    @classmethod
    def unpack(cls, data: Buffer, *, strict: bool = True) -> Any:
        """A copy of a blob; AbiError if it breaks a rule. See :meth:`UapiStruct.unpack`."""
        made = cls._sized_for(data, strict)
        return made.from_buffer_copy(_whole(data, ctypes.sizeof(made), cls._name))

    @classmethod
    def view(cls, buffer: Buffer, *, strict: bool = True) -> Any:
        """The blob where it lies, in a writable buffer; checked once, now."""
        cls._check(buffer, False)
        return cls._sized_for(buffer, strict).from_buffer(buffer)


@lru_cache(maxsize=1024)
def _sized(cls: Any, n: int) -> type[UapiStruct]:
    """Bounded: lengths come from blobs, and each is a class of its own."""
    made = cls._layout_info
    size = made.size + n * cls._item_size
    sized: type[UapiStruct] = cls._maker.concrete(f"{cls._name}_{n}", made, size, n, cls._check)
    return sized


def make_structs(
    gen: str, layouts: list[_layout.Layout], check: Callable[[_layout.Layout], Any]
) -> dict[str, type[Any]]:
    """The classes of a generation by tag. ``check(layout)`` gives what judges a blob of the struct."""
    maker = _Maker(gen)
    return {made.record.tag or "": maker.struct(made, check(made)) for made in layouts}
