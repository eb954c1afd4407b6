"""ctypes types made from a layout.

Every struct is a subclass of :class:`UapiStruct`. Its bytes are those of the C struct: it can be
given to ``fcntl.ioctl`` as it is. Values are checked when they are assigned, comparing and
copying work by value, and an attribute that the struct does not have is an error.

A struct with a flexible array has no size of its own: ``cls.sized(n)`` is the concrete type with
``n`` elements, of exactly the bytes that the kernel reads. ``cls(...)``, ``cls.unpack()`` and
``cls.view()`` return such an object.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, ClassVar, cast

from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout as _layout

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


class UapiStruct(ctypes.Structure):
    """Base of every struct of the user API."""

    __slots__ = ()
    _gen: ClassVar[str] = ""
    _name: ClassVar[str] = ""
    _layout_info: ClassVar[_layout.Layout]
    _ranges: ClassVar[Mapping[str, tuple[int, int]]] = {}
    _check: ClassVar[Callable[[Buffer, bool], None]]

    def __init__(self, **values: object) -> None:
        super().__init__()
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        limits = self._ranges.get(name)
        if limits is None:
            if not hasattr(type(self), name):
                raise AttributeError(f"{self._name} has no field {name!r}")
            self._assign(name, value)
        elif type(value) is int and limits[0] <= value <= limits[1]:
            super().__setattr__(name, value)
        else:
            number = value.__index__() if hasattr(value, "__index__") else None
            if number is None or not limits[0] <= number <= limits[1]:
                raise _out_of_range(f"{self._name}.{name}", value, *limits)
            super().__setattr__(name, number)

    def _assign(self, name: str, value: object) -> None:
        """An array from bytes or numbers, or a nested struct."""
        current = getattr(self, name)
        if isinstance(current, _CheckedArray):
            current.fill(f"{self._name}.{name}", value)
        else:
            super().__setattr__(name, value)

    @classmethod
    def unpack(cls, data: Buffer, *, strict: bool = True) -> UapiStruct:
        """A copy of a blob; AbiError if it breaks a rule.

        ``strict=False`` accepts what a newer kernel might: unknown numbers and trailing bytes.
        """
        cls._check(data, strict)
        return cls.from_buffer_copy(data)

    @classmethod
    def view(cls, buffer: Buffer, *, strict: bool = True) -> UapiStruct:
        """The blob where it lies, in a writable buffer; checked once, now."""
        cls._check(buffer, strict)
        return cls.from_buffer(buffer)

    def pack(self) -> bytes:
        """The bytes of the struct."""
        return bytes(self)

    def items(self) -> list[tuple[str, Any]]:
        """Fields in their order, by name."""
        return [(f.name, getattr(self, f.name)) for f in self._layout_info.fields]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        raise TypeError(f"{self._name} can be changed and has no hash")

    def __repr__(self) -> str:
        def show(value: Any) -> str:
            return (
                repr(bytes(value))
                if isinstance(value, ctypes.Array)
                else f"{value:#x}"
                if value > 9
                else str(value)
            )

        return f"{self._name}({', '.join(f'{name}={show(value)}' for name, value in self.items())})"

    def __copy__(self) -> UapiStruct:
        return type(self).from_buffer_copy(self)

    def __deepcopy__(self, memo: object) -> UapiStruct:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._gen, self._name, bytes(self))


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
def _array_type(scalar: _layout.Scalar, count: int) -> type[_CheckedArray]:
    namespace = {
        "_type_": _INTEGERS[scalar.size, scalar.signed],
        "_length_": count,
        "_limits": _limits(scalar),
    }
    return type(f"{scalar.name}_array_{count}", (_CheckedArray,), namespace)


def _ctype(t: _layout.Type) -> Any:
    if isinstance(t, _layout.Scalar):
        return _INTEGERS[t.size, t.signed]
    if isinstance(t, _layout.Array) and isinstance(t.item, _layout.Scalar):
        return _array_type(t.item, t.count or 0)
    raise UsageError(f"no ctypes type for {t!r}")


def _fields(made: _layout.Layout, size: int, flexible: int | None) -> list[tuple[str, Any]]:
    """Ctypes fields at their offsets, holes filled: for a packed class of ``size`` bytes."""
    fields: list[tuple[str, Any]] = []
    end = 0
    for f in made.fields:
        t = f.type
        if isinstance(t, _layout.Array) and t.count is None:
            t = _layout.Array(t.item, flexible)
        if f.offset > end:
            fields.append((f"_hole_{end}", ctypes.c_uint8 * (f.offset - end)))
        ctype = _ctype(t)
        fields.append((f.name, ctype))
        end = f.offset + ctypes.sizeof(ctype)
    if size > end:
        fields.append((f"_hole_{end}", ctypes.c_uint8 * (size - end)))
    return fields


def _class(
    name: str, gen: str, made: _layout.Layout, size: int, flexible: int | None, check: Any
) -> type[UapiStruct]:
    ranges = {f.name: _limits(f.type) for f in made.fields if isinstance(f.type, _layout.Scalar)}
    namespace = {
        "__slots__": (), "__module__": f"iommu_abi.uapi.{gen}", "__hash__": UapiStruct.__hash__,
        "_pack_": 1, "_layout_": "ms", "_fields_": _fields(made, size, flexible),
        "_name": made.record.tag, "_gen": gen, "_layout_info": made, "_ranges": ranges, "_check": check,
    }  # fmt: skip
    return type(name, (UapiStruct,), namespace)


class FlexibleStruct:
    """A struct with a flexible array: makes objects of ``sized(n)`` classes, has none of its own."""

    _gen: ClassVar[str] = ""
    _name: ClassVar[str] = ""
    _layout_info: ClassVar[_layout.Layout]
    _check: ClassVar[Any]
    _tail: ClassVar[str]
    _count: ClassVar[str | None]  # the field that announces the length of the tail
    _head_class: ClassVar[type[UapiStruct]]

    def __new__(cls, **values: Any) -> Any:
        """An object of the size that its tail needs; the announcing field is set unless given."""
        tail = bytes(values.pop(cls._tail, b""))
        made = cls.sized(len(tail))()
        if cls._count:
            values.setdefault(cls._count, len(tail))
        for name, value in values.items():
            setattr(made, name, value)
        ctypes.memmove(ctypes.addressof(made) + cls._layout_info.size, tail, len(tail))
        return made

    @classmethod
    def sized(cls, n: int) -> type[UapiStruct]:
        """The concrete type with ``n`` bytes in its flexible array."""
        made: type[UapiStruct] = _sized(cast("Any", cls), n)
        return made

    @classmethod
    def _sized_for(cls, data: Buffer, strict: bool) -> type[UapiStruct]:
        cls._check(data, strict)
        length = memoryview(data).nbytes - cls._layout_info.size
        if not strict and cls._count:
            head = cls._head_class.from_buffer_copy(data)
            length = getattr(head, cls._count)
        return cls.sized(length)

    @classmethod
    def unpack(cls, data: Buffer, *, strict: bool = True) -> Any:
        """A copy of a blob; AbiError if it breaks a rule. See :meth:`UapiStruct.unpack`."""
        return cls._sized_for(data, strict).from_buffer_copy(data)

    @classmethod
    def view(cls, buffer: Buffer, *, strict: bool = True) -> Any:
        """The blob where it lies, in a writable buffer; checked once, now."""
        return cls._sized_for(buffer, strict).from_buffer(buffer)


@lru_cache(maxsize=1024)
def _sized(cls: Any, n: int) -> type[UapiStruct]:
    """Bounded: lengths come from blobs, and each is a class of its own."""
    made = cls._layout_info
    return _class(f"{cls._name}_{n}", cls._gen, made, made.size + n, n, cls._check)


def make_struct(gen: str, made: _layout.Layout, check: Any, count: str | None = None) -> type[Any]:
    """The class of a struct. ``count`` names the field that announces a flexible array's bytes."""
    tag = made.record.tag or ""
    tail = made.record.flexible
    check = staticmethod(check)
    if tail is None:
        return _class(tag, gen, made, made.size, None, check)
    namespace = {
        "__module__": f"iommu_abi.uapi.{gen}", "_name": tag, "_gen": gen,
        "_layout_info": made, "_check": check,
        "_tail": tail.name, "_count": count, "_head_class": _class(tag, gen, made, made.size, 0, check),
    }  # fmt: skip
    return type(tag, (FlexibleStruct,), namespace)
