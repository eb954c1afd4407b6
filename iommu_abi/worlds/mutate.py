"""Mutations: one or two things of a world that are changed, so that a request may fail.

A :class:`Case` is a valid request with its path, the entries that both ledgers read for it. A
mutation changes entries on the path, registers, the request, or takes memory away. *Aimed*
mutations try for one row of the coverage table; *free* ones change anything. What a mutation
means to do is no promise: what the request then meets is what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from iommu_abi.schemas.entries import Bits, Layout
from iommu_abi.schemas.format import Step
from iommu_abi.terms import Access, Purpose, Reason, Ref, Request, Stage, Translation
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.image import Image
from iommu_abi.worlds.spaces import PAGE
from iommu_abi.worlds.ways import Row
from iommu_abi.worlds.world import LEAF_REASONS, World

READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC
S1, S2 = Stage.S1, Stage.S2


class Miss(Exception):
    """The path has nothing that a mutation could change; never leaves :func:`aim` and :func:`free`."""


@dataclass
class Case:
    """A request, and what it will meet. ``path`` has the entries that the valid request met."""

    vendor: Knowledge
    world: World
    image: Image
    dice: Dice
    request: Request
    steps: Sequence[Step]
    registers: dict[str, int]
    #: What stage 2 should fail for; None for anything.
    purpose: Purpose | None = None
    notes: list[str] = field(default_factory=list)

    # The path.

    @property
    def path(self) -> list[Ref]:
        """The entries of the valid request."""
        return [ref for ref, _ in self.steps]

    def walks(self, stage: Stage) -> list[list[Ref]]:
        """The refs of a stage, split where stage 2 begins anew."""
        found: list[list[Ref]] = []
        key = None
        for ref in self.path:
            if ref.stage is stage:
                now = (ref.purpose, ref.for_level)
                if key != now or not found:
                    found.append([])
                found[-1].append(ref)
                key = now
            elif stage is S2:
                key = None
        return found

    def entry(self, stage: Stage, level: int) -> Ref:
        """The entry of a device or PASID table."""
        return self.one([ref for ref in self.path if (ref.stage, ref.level) == (stage, level)])

    def one(self, refs: Sequence[Ref]) -> Ref:
        """One of them; Miss if there is none."""
        if not refs:
            raise Miss
        return self.dice.pick(refs)

    def one_walk(self, walks: Sequence[list[Ref]]) -> list[Ref]:
        """The same for walks."""
        if not walks:
            raise Miss
        return self.dice.pick(walks)

    # Entries.

    def raw(self, ref: Ref) -> int:
        """The whole entry as it is now."""
        return int.from_bytes(self.image.read(ref.hpa, ref.len) or b"", "little")

    def layout(self, ref: Ref) -> Layout:
        """The meaning of the entry's bits as they are now."""
        raw = self.raw(ref)
        now = replace(ref, raw=raw & (1 << 64) - 1)
        before = self.steps[: self.path.index(ref)]
        data = raw.to_bytes(ref.len, "little")
        return self.vendor.describe(self.world.registers, before, now, data)[1]

    def get(self, ref: Ref, bits: Bits) -> int:
        """A field; pointers in units of their lowest bit."""
        return self.raw(ref) >> bits.low & (1 << bits.width) - 1

    def put(self, ref: Ref, high: int, low: int, value: int) -> None:
        """Change bits of an entry."""
        if self.image.read(ref.hpa, ref.len) is None:
            raise Miss
        mask = (1 << high - low + 1) - 1
        raw = self.raw(ref) & ~(mask << low) | (value & mask) << low
        self.image.write(ref.hpa, raw.to_bytes(ref.len, "little"))
        self.notes.append(f"{ref.stage.name} {ref.level} at {ref.hpa:#x} bits {high}:{low}={value & mask:#x}")

    def set(self, ref: Ref, **fields: int) -> None:
        """Change named fields; pointers are addresses. Names that the entry lacks are left out."""
        for bits in self.layout(ref).fields:
            if bits.name in fields:
                self.put(ref, bits.high, bits.low, fields[bits.name] >> bits.unit_lg2)

    # What is not an entry.

    def value(self, name: str) -> int:
        """A register; Miss if it is not given any more."""
        if name not in self.registers:
            raise Miss
        return self.registers[name]

    def register(self, name: str, layout: Layout, **fields: int) -> None:
        """Change fields of a register."""
        for bits in layout.fields:
            if bits.name in fields:
                mask = (1 << bits.width) - 1
                value = fields[bits.name] >> bits.unit_lg2 & mask
                self.registers[name] = self.value(name) & ~(mask << bits.low) | value << bits.low
        self.notes.append(f"{name}={self.registers[name]:#x}")

    def ask(self, request: Request) -> None:
        """Ask for something else."""
        self.request = request
        self.notes.append(str(request))


Aim = Callable[[Case, Row], None]


@dataclass(frozen=True)
class Knowledge:
    """What generic mutations have to know of a vendor; a row of ``formats.py`` names it."""

    #: Bits of a requester's number.
    rid_lg2: int
    #: Of the vendor's module in ``schemas``.
    describe: Callable[[Mapping[str, int], Sequence[Step], Ref, bytes], tuple[str, Layout]]
    #: Registers that are made of fields.
    registers: Mapping[str, Layout]
    #: Registers without which there is no IOMMU.
    required: tuple[str, ...]
    #: Registers that are plain numbers, and which.
    numbers: Mapping[str, range]
    #: Fields at which no walk looks, beside those that are ignored.
    idle: tuple[str, ...]
    #: Stage -> fields that are 0 in an entry that is not present.
    present: Mapping[Stage, tuple[str, ...]]
    #: Stage -> right -> fields of an entry without the right.
    rights: Mapping[Stage, Mapping[Access, Mapping[str, int]]]
    #: Whether only pages have rights and flags, not the tables above them.
    leaf_only: bool
    #: Fields that make a page of stage 1 the supervisor's.
    supervisor: Mapping[str, int]
    #: Fields without which hardware has to set the accessed flag of a stage-1 entry.
    stale: Mapping[str, int]
    #: Accessed and dirty flags.
    flags: tuple[str, ...]
    #: Field that holds a GPA -> the address bit of its lowest bit, if the layout does not say it.
    guest_pointers: Mapping[str, int]
    #: log2 of the first address that an entry cannot hold.
    pointer_lg2: Callable[[Case], int]
    #: (case, stage, level of its top) -> log2 of the first address that it cannot take.
    limit_lg2: Callable[[Case, Stage, int], int]
    #: (format, stage, reason), or with "" for all formats -> what may lead there.
    aims: Mapping[tuple[str, Stage, Reason], tuple[Aim, ...]]
    #: The format that a mutated case turned out to be, by what was read for its answer, a fault.
    format_of: Callable[[Case, Translation], str]


# ---------------------------------------------------------------- words for aims


def entry(stage: Stage, level: int, **fields: int) -> Aim:
    """Change fields of a device or PASID table entry."""

    def apply(case: Case, row: Row) -> None:
        case.set(case.entry(stage, level), **fields)

    return apply


def register(name: str, layout: Layout, **fields: int) -> Aim:
    """Change fields of a register."""

    def apply(case: Case, row: Row) -> None:
        case.register(name, layout, **fields)

    return apply


def ask(**changes: Any) -> Aim:
    """Change the request."""

    def apply(case: Case, row: Row) -> None:
        case.ask(replace(case.request, **changes))

    return apply


def with_pasid(case: Case, row: Row) -> None:
    """Go on only if the request has a PASID."""
    if case.request.pasid is None:
        raise Miss


def both(*aims: Aim) -> Aim:
    """One after the other."""

    def apply(case: Case, row: Row) -> None:
        for each in aims:
            each(case, row)

    return apply


# ---------------------------------------------------------------- where to aim


def with_rights(case: Case, walk: Sequence[Ref]) -> Ref:
    """An entry of a walk that has rights and flags."""
    return walk[-1] if case.vendor.leaf_only else case.dice.pick(walk)


def site(case: Case, row: Row) -> tuple[list[Ref], Ref]:
    """A walk of the row's stage, and its entry at the row's level; for rights, where the walk ends."""
    if row.stage not in (S1, S2):
        return [], case.entry(row.stage, row.level)
    fitting: dict[Purpose, list[tuple[list[Ref], Ref]]] = {}
    for walk in case.walks(row.stage):
        if row.reason in LEAF_REASONS and walk[-1].level != row.level:
            continue
        for ref in walk:
            if ref.level == row.level and (row.reason in LEAF_REASONS or fresh(case, [ref])):
                fitting.setdefault(ref.purpose, []).append((walk, ref))
    if not fitting:
        raise Miss
    purpose = case.purpose if case.purpose in fitting else case.dice.pick(sorted(fitting))
    return case.dice.pick(fitting[purpose])


def fresh(case: Case, refs: Sequence[Ref]) -> list[Ref]:
    """Those that the path has not met before: a change there is not noticed earlier."""
    path = case.path
    met = {ref.hpa for ref in path[: path.index(refs[0])]}
    return [ref for ref in refs if ref.hpa not in met]


def serves(row: Row, purpose: Purpose | None, path: Sequence[Ref]) -> bool:
    """Whether a path has what a row needs: an entry at its place, for rights one that ends a walk."""
    if purpose is not None:
        path = [ref for ref in path if ref.stage is S2 and ref.purpose is purpose]
    if row.reason in LEAF_REASONS:
        ends = [ref for ref in leaves(path) if (ref.stage, ref.level) == (row.stage, row.level)]
        if row.reason is Reason.UPDATE_DENIED:
            return any(ref.purpose is Purpose.S1_ENTRY for ref in ends)
        return bool(ends)
    if row.reason is Reason.INTERRUPT_RANGE:
        return row.stage is Stage.DEVICE or (bool(path) and path[-1].stage is row.stage)
    return any((ref.stage, ref.level) == (row.stage, row.level) for ref in path)


def leaves(path: Sequence[Ref]) -> list[Ref]:
    """Where the walks of stage 1 and stage 2 end."""
    found = []
    for i, ref in enumerate(path):
        after = path[i + 1] if i + 1 < len(path) else None
        if ref.stage is S2 and (after is None or after.stage is not S2 or after.level >= ref.level):
            found.append(ref)
    return found + [ref for ref in path if ref.stage is S1][-1:]


# ---------------------------------------------------------------- memory


def piece(dice: Dice, ref: Ref) -> tuple[int, int]:
    """Bytes of an entry, or its whole page: first byte and length."""
    kind = dice.randrange(4)
    if kind == 0:
        return ref.hpa & -PAGE, PAGE
    if kind == 1:
        return ref.hpa, ref.len
    if kind == 2:
        return ref.hpa + ref.len - 1, 1
    return ref.hpa + dice.randrange(ref.len), 1


def nowhere(case: Case) -> int:
    """A page that no memory is behind, inside the address width."""
    width = case.vendor.pointer_lg2(case)
    for _ in range(20):
        page = case.dice.address(width, 12)
        if case.image.read(page, 8) is None:
            return page
    raise Miss


def take_away(case: Case, ref: Ref) -> None:
    """Let an entry have no memory, or not all of it."""
    case.image.take(*piece(case.dice, ref))
    case.notes.append(f"no memory for {ref.stage.name} {ref.level} at {ref.hpa:#x}")
