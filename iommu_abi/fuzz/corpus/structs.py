"""Seeds that are bare structs: zeros, one that a kernel takes, one broken per rule, and boundaries.

Which rules a blob breaks is asked of :mod:`iommu_abi.rules`: nothing here knows them. A blob that is
accepted is found by mending the field that is refused; one that breaks a rule by changing a field, or two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TypeAlias

from iommu_abi import rules
from iommu_abi.errors import AbiError, UsageError
from iommu_abi.rules.predicates import where
from iommu_abi.schemas import uapi
from iommu_abi.schemas.uapi import Leaf
from iommu_abi.uapi.layout import Abi
from iommu_abi.worlds.dice import Dice

#: Numbers that checks look for, beside those that a field has names for.
NUMBERS = (0, 1, 2, 3, 5, 6, 8, 16, 48, 57, 4096, 4097, 1 << 19, (1 << 19) + 1, (1 << 32) - 1,
           1 << 63, (1 << 64) - 1)  # fmt: skip
#: Fewer of them, where two fields change.
FEW = (0, 1, 2, 4096, (1 << 64) - 4096, (1 << 64) - 2, (1 << 64) - 1)
MENDED = 20  # fields, until it is given up

Change: TypeAlias = "tuple[Leaf, int]"


def names() -> list[str]:
    """``STRUCT@GEN`` for every struct."""
    return [f"{struct}@{each.name}" for each in uapi.GENERATIONS.values() for struct in each.structs]


def _mentioned(subject: rules.Subject) -> Mapping[str, set[int]]:
    """Field -> the numbers in its rows, and in what has to be so for a row to be looked at."""
    found: dict[str, set[int]] = {}
    for row in subject.rows:
        if not isinstance(row, rules.Check):
            continue
        when = row.when if isinstance(row.when, where) else None
        for field, predicate in (
            (row.rule.field, row.broken),
            (when.field, when.holds) if when else ("", None),
        ):
            for name in ("number", "numbers", "bits"):
                value = getattr(predicate, name, ())
                found.setdefault(field, set()).update((value,) if isinstance(value, int) else value)
    return found


class _Struct:
    """A struct on an ABI, and what its kernel says to bytes."""

    def __init__(self, name: str, abi: Abi) -> None:
        struct, _, generation = name.partition("@")
        self.abi = uapi.abi(abi.name)
        self.generation = uapi.generation(generation)
        self.struct = self.generation.struct(struct)
        self.size = uapi.layout(self.struct, self.abi).size
        self.mentioned: Mapping[str, set[int]] = {}
        self.leaves = [leaf for leaf in uapi.leaves(self.struct, self.abi) if leaf.size]
        self.subject: rules.Subject | None = None
        try:
            self.subject = rules.struct(name)
        except UsageError:  # no rules are known
            return
        self.mentioned = _mentioned(self.subject)

    def zeros(self) -> bytes:
        """Nothing but its size, if it says that."""
        first = self.leaves[0]
        sized = first.path in ("size", "argsz", "bytes") and first.offset == 0
        return self.put(bytes(self.size), (first, self.size)) if sized else bytes(self.size)

    def put(self, data: bytes, change: Change) -> bytes:
        """The same with another number in a field; the first element of an array."""
        leaf, value = change
        size = uapi.element_size(leaf.field, self.abi)
        integer = leaf.field.type
        order = (integer.order if isinstance(integer, uapi.Integer) else "") or self.abi.order
        raw = (value & (1 << 8 * size) - 1).to_bytes(size, "little" if order == "<" else "big")
        return data[: leaf.offset] + raw + data[leaf.offset + size :]

    def numbers(self, leaf: Leaf, among: tuple[int, ...]) -> list[int]:
        """What is worth trying in a field."""
        values = self.generation.enums.get(leaf.field.values)
        named = [*values.names.values(), values.mask, values.mask + 1] if values else []
        near = {n + by for n in self.mentioned.get(leaf.path, ()) for by in (-1, 0, 1)}
        return sorted({*named, *among, *near})

    def errors(self, data: bytes) -> list[AbiError]:
        """The rule that refuses the bytes, or those that are broken and not enforced."""
        if self.subject is None:
            return []
        answer = rules.answer(self.subject, data, self.abi)
        return [answer.error] if answer.error else list(answer.documented)

    def accepted(self) -> bytes | None:
        """Bytes that no rule refuses; None if they are not found."""
        data = self.zeros()
        for _ in range(MENDED):
            errors = self.errors(data)
            if not errors:
                return data
            data = self._mended(data, errors[0])
        return None

    def filled(self, data: bytes) -> bytes:
        """The same with a number other than 0 in every field, or two, in which one is accepted."""
        for leaf in self.leaves:
            for value in reversed(self.numbers(leaf, (1, 4096))):
                made = self.put(data, (leaf, value))
                if value and leaf is not self.leaves[0] and not self.errors(made):
                    data = made
                    break
        for one, two in combinations(self.leaves, 2):
            made = self.put(self.put(data, (one, 1)), (two, 1))
            if not any((*self.bytes_of(data, one), *self.bytes_of(data, two))) and not self.errors(made):
                data = made
        return data

    @staticmethod
    def bytes_of(data: bytes, leaf: Leaf) -> bytes:
        """What a field holds."""
        return data[leaf.offset : leaf.offset + leaf.size]

    def _mended(self, data: bytes, error: AbiError) -> bytes:
        """The same without this error, or without any, by one number: what is expected, or another."""
        (leaf,) = (leaf for leaf in self.leaves if leaf.path == error.field)
        mentioned = sorted(self.mentioned.get(leaf.path, ()))
        tried = (error.want, *mentioned, *self.numbers(leaf, tuple(range(65))))
        without = []
        for made in (self.put(data, (leaf, value)) for value in tried):
            errors = self.errors(made)
            if not errors:
                return made
            if error.rule.name not in {each.rule.name for each in errors}:
                without.append(made)
        return without[0] if without else data

    def broken(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """(rule, bytes) for each rule that one change breaks, or two, in these bytes or with more in them."""
        assert self.subject
        found: set[str] = set()
        ahead = {row.rule.name for row in self.subject.rows if isinstance(row, rules.Check)}
        full = self.filled(data)
        more = self.put(data, (self.leaves[0], self.size + 64))  # than is in memory, where it is a size
        for changes in (
            self._once(data),
            self._once(full),
            self._once(more),
            self._twice(data),
            self._twice(full),
        ):
            for made in changes:
                errors = self.errors(made)
                if errors and errors[0].rule.name not in found:
                    found.add(errors[0].rule.name)
                    yield errors[0].rule.name, made
            if ahead <= found:
                return

    def _once(self, data: bytes) -> Iterator[bytes]:
        """Bytes too few or too many, each size that ends with a field, then each field."""
        yield from (data[:length] for length in (0, 4, len(data) - 1))
        first = self.leaves[0]
        for extra in (b"\0" * 8, b"\1" * 8):
            yield data + extra
            yield self.put(data + extra, (first, self.size + 8))
        yield from (self.put(data, (first, leaf.offset)) for leaf in self.leaves)
        for leaf in self.leaves:
            yield from (self.put(data, (leaf, value)) for value in self.numbers(leaf, NUMBERS))

    def _twice(self, data: bytes) -> Iterator[bytes]:
        """Two fields; of the first, if it is a size, each that ends with a field."""
        for one, two in combinations(self.leaves, 2):
            sizes = tuple(leaf.offset for leaf in self.leaves) if one is self.leaves[0] else ()
            for value in self.numbers(one, FEW + sizes):
                changed = self.put(data, (one, value))
                yield from (self.put(changed, (two, other)) for other in self.numbers(two, FEW))


def seeds(name: str, abi: Abi, dice: Dice, count: int) -> Iterator[tuple[str, bytes]]:
    """``accepted``, ``breaks-RULE``, ``FIELD-most``, ``zeros`` and ``any-N``."""
    made = _Struct(name, abi)
    base = made.accepted()
    if made.subject and base is not None:
        yield "accepted", base
        yield "accepted-filled", made.filled(base)
        yield from ((f"breaks-{rule}", data) for rule, data in made.broken(base))
    for leaf in made.leaves:
        yield f"{leaf.path}-most", made.put(base or made.zeros(), (leaf, -1))
    yield "zeros", made.zeros()
    yield from ((f"any-{i}", dice.randbytes(made.size)) for i in range(count))
