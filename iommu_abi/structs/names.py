"""Numbers and their names, by the plain ledger: enumerators, flags, and what a discriminator chooses."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping

from iommu_abi.errors import UsageError
from iommu_abi.inputs import InputError, scaled, to_number
from iommu_abi.names import meant
from iommu_abi.schemas import uapi
from iommu_abi.schemas.uapi.generation import Payload


def _short(values: uapi.Values) -> Mapping[str, str]:
    """Flag -> its name without what all of them begin with."""
    if len(values.names) < 2:
        return {name: name for name in values.names}
    common = os.path.commonprefix(list(values.names)).rpartition("_")[0]  # noqa: RUF071 - of characters
    return {name: name[len(common) + 1 :] if common else name for name in values.names}


def number_text(value: int) -> str:
    """Hex from 10 on, where it differs."""
    return f"{value:#x}" if value > 9 else str(value)


def meaning(values: uapi.Values | None, number: int) -> str:
    """The enumerator of a number, or the flags that are set in it; "" if numbers have no names."""
    if values is None:
        return ""
    if not values.flags:
        return next((name for name, n in values.names.items() if n == number), "unknown")
    short = _short(values)
    found = [short[name] for name, bit in values.names.items() if bit and number & bit == bit]
    rest = number & ~values.mask
    return "|".join([*found, *([f"{rest:#x} unknown"] if rest else [])])


def _named(values: uapi.Values, text: str) -> int | None:
    if text in values.names:
        return values.names[text]
    if not values.flags:
        return None
    short = {each: name for name, each in _short(values).items()}
    if text in short:
        return values.names[short[text]]
    found = [number for name, number in values.names.items() if name.endswith(f"_{text}")]
    return found[0] if len(found) == 1 else None


def to_value(values: uapi.Values | None, text: str, where: str) -> int:
    """A number, an enumerator, or flags with ``|`` or ``,`` between them; ``where`` begins the error.

    A flag may lose what its name begins with, as long as it is the only one that ends so.
    """
    made = 0
    for part in re.split(r"[|,]", text) if values and values.flags else [text]:
        named = _named(values, part) if values else None
        if named is None and values and values.names and not part[:1].isdigit():
            close = meant(part, values.names)
            raise UsageError(f"{where}: got {part!r}{close or f', expected a number or {_some(values)}'}")
        made |= _number(part, where) if named is None else named
    return made


def _some(values: uapi.Values) -> str:
    """The first names of a field, and how many there are."""
    shown = list(values.names)[:4]
    more = len(values.names) - len(shown)
    return " ".join(shown) + (f" or {more} more" if more else "")


def _number(text: str, where: str) -> int:
    """A decimal may have a sign."""
    if text.startswith("-") and text[1:].isdigit():
        try:
            return -to_number(text[1:], where)
        except InputError:
            pass
    return to_number(scaled(text), where)


# ---------------------------------------------------------------- unions


def _chosen(values: uapi.Values, payload: Payload, number: int) -> list[str | None]:
    """What a discriminator's number says is there; empty if it says nothing that is known."""
    numbers = {name: values.names[name] for name in payload.types}
    exact = [payload.types[name] for name, n in numbers.items() if n == number]
    if exact or not values.flags:
        return exact
    return [payload.types[name] for name, bit in numbers.items() if number & bit]


def data_behind(generation: uapi.Generation, payload: Payload, number: int) -> list[str | None]:
    """The struct that a pointer leads to by its discriminator: one name, [None] for no data, [] unknown."""
    tag = generation.struct(payload.struct).field(payload.by).values
    return _chosen(generation.enums[tag], payload, number)


def not_chosen(
    generation: uapi.Generation, struct: uapi.Struct, read: Callable[[str], int], prefix: str = ""
) -> Iterator[str]:
    """Paths of the union members that discriminators do not choose, also in structs inside this one.

    A reserved member only gives its union a size, and is never chosen.
    """
    for field in struct.fields:
        inner = field.type
        if not isinstance(inner, uapi.Struct) or field.flexible:
            continue
        if inner.union:
            members = [each.name for each in inner.fields]
            at = f"{prefix}{field.name}." if field.name else prefix
            yield from (f"{at}{each.name}" for each in inner.fields if each.reserved)
            wanted = _member(generation, struct, field.name, read, prefix)
            if wanted in members:
                yield from (f"{at}{name}" for name in members if name != wanted)
        yield from not_chosen(generation, inner, read, f"{prefix}{field.name}." if field.name else prefix)


def _member(
    generation: uapi.Generation, struct: uapi.Struct, union: str, read: Callable[[str], int], prefix: str
) -> str | None:
    for payload in generation.payloads:
        if (payload.struct, payload.at) == (struct.name, union):
            found = data_behind(generation, payload, read(prefix + payload.by))
            return found[0] if len(found) == 1 else None
    return None
