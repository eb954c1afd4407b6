"""Whether a struct is the same on every ABI: else a 32-bit program and a 64-bit kernel disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from iommu_abi.compat.fields import place, real
from iommu_abi.compat.model import Model
from iommu_abi.compat.verdict import Finding, breaking, note
from iommu_abi.uapi.layout import ABIS, Layout, Record

#: 64-bit machines whose kernels run programs of the 32-bit ones after them.
_FAMILIES = (
    ("x86_64", "x32", "i386"), ("aarch64", "arm"), ("aarch64_be", "armeb"), ("riscv64", "riscv32"),
    ("powerpc64", "powerpc"), ("mips64", "mips64n32", "mips"), ("sparc64", "sparc"),
)  # fmt: skip

_Judge = Callable[[Layout, Layout], Sequence[Finding]]
_Shape = tuple[int, tuple[tuple[int, int], ...]]


def _shape(layout: Layout, grows: bool) -> _Shape:
    """What has to be equal: not the padding at the end of a struct that may grow."""
    return 0 if grows else layout.size, tuple(place(f) for f in layout.fields)


def _groups(model: Model, name: str, grows: bool) -> list[list[Layout]]:
    """The layouts of a struct, equal ones together, the most frequent first."""
    found: dict[_Shape, list[Layout]] = {}
    for abi in ABIS.values():
        made = model.layout(name, abi)
        found.setdefault(_shape(made, grows), []).append(made)
    return sorted(found.values(), key=len, reverse=True)


def _shapes(groups: list[list[Layout]], grows: bool) -> dict[str, _Shape]:
    return {made.abi.name: _shape(made, grows) for group in groups for made in group}


def _where(layout: Layout, number: int) -> str:
    """A field by its number, which is the same on every ABI."""
    f = layout.fields[number]
    return f"{f.size} bytes at {f.offset}"


def _difference(groups: Sequence[list[Layout]]) -> tuple[str, str]:
    """The first field that differs, and a sentence."""
    usual, *others = groups
    words = [f"{usual[0].size} bytes on {len(usual)} ABIs"]
    words += [f"{group[0].size} on {' '.join(made.abi.name for made in group)}" for group in others]
    first, other = usual[0], others[0][0]
    for number, (a, b) in enumerate(zip(first.fields, other.fields)):
        if place(a) != place(b):
            places = f"{a.name} is {_where(first, number)}, and {_where(other, number)} on {other.abi.name}"
            return a.name, f"{', '.join(words)}: {places}"
    return "", ", ".join(words)


def elsewhere(
    old: Model, new: Model, names: tuple[str, str], judged_on: Layout, judge: _Judge
) -> list[Finding]:
    """What breaks or has to be zero on other ABIs only: differences that came, and those that went."""
    if not (old.portable(names[0]) and new.portable(names[1])):
        return []
    if old.record(names[0]) == new.record(names[1]):
        return []
    here = {_key(f) for f in judge(old.layout(names[0], judged_on.abi), judged_on)}
    found: dict[tuple[object, ...], tuple[Finding, list[str]]] = {}
    for abi in ABIS.values():
        for f in judge(old.layout(names[0], abi), new.layout(names[1], abi)):
            if _key(f) not in here and f.old_program:
                found.setdefault(_key(f), (f, []))[1].append(abi.name)
    return [replace(f, reason=f"{f.reason}, on {' '.join(abis)}") for f, abis in found.values()]


def _is_new(groups: Sequence[list[Layout]], old: Layout, grows: bool) -> bool:
    """Whether the ABIs differ in fields only that old programs do not know."""
    known = {f.name for f in old.fields}
    if not grows and any(layout.size != old.size for group in groups for layout in group):
        return False
    return len({tuple(place(f) for f in group[0].fields if f.name in known) for group in groups}) == 1


def _key(f: Finding) -> tuple[object, ...]:
    return f.field, f.change, f.old_program, f.new_program


def judge(old: Model | None, new: Model, names: tuple[str, str], grows: bool) -> list[Finding]:
    """A break where the new model differs between ABIs and the old one did not.

    A note where both do and where the struct or the field is new; nothing where it is on each what it was.
    """
    old_name, name = names
    if not new.portable(name):
        return []
    groups = _groups(new, name, grows)
    if len(groups) == 1:
        return []
    field, reason = _difference(groups)
    if not old:
        return [note(field, "ABIs differ", f"{reason}; the struct is new: its kernel has to know them all")]
    if not old.portable(old_name):
        return [note(field, "ABIs differ", f"{reason}; of the old one that is not known")]
    before = _groups(old, old_name, grows)
    if len(before) == 1 and _is_new(groups, before[0][0], grows):
        return [note(field, "ABIs differ", f"{reason}; the field is new: its kernel has to know them all")]
    if len(before) == 1:
        return [breaking(field, "ABIs differ", reason)]
    return (
        []
        if _shapes(groups, grows) == _shapes(before, grows)
        else [note(field, "ABIs differ", f"{reason}; it differed before")]
    )


# ---------------------------------------------------------------- what is not the same declaration on each


def judge_compiled(
    on: Mapping[str, tuple[Model, Model]], usual: str, names: tuple[str, str], grows: bool
) -> list[Finding]:
    """The same for models by ABI: of one machine with another only where its kernel runs its programs.

    A struct that says one thing on all ABIs is judged as any other.
    """
    before = {abi: old.structs().get(names[0]) for abi, (old, _) in on.items()}
    now = {abi: new.structs().get(names[1]) for abi, (_, new) in on.items()}
    if now[usual] and _is_one(before.values()) and _is_one(now.values()):
        old, new = on[usual]
        return judge(old if before[usual] else None, new, names, grows)
    return [f for family in _FAMILIES for f in _in_family([on[a] for a in family if a in on], names, grows)]


def _is_one(records: Iterable[Record | None]) -> bool:
    """Whether all ABIs have the same declaration, or none of them any."""
    first, *others = records
    return all(other == first for other in others)


def _in_family(models: Sequence[tuple[Model, Model]], names: tuple[str, str], grows: bool) -> list[Finding]:
    before = [old.measured[names[0]] for old, _ in models if names[0] in old.structs()]
    now = [new.measured[names[1]] for _, new in models if names[1] in new.structs()]
    shapes, old_shapes = ([_named(made, grows) for made in layouts] for layouts in (now, before))
    field, reason = _first_difference(now, shapes)
    if not reason:
        return []
    if not before:
        return [note(field, "ABIs differ", f"{reason}; the struct is new: its kernel has to know them all")]
    if _first_difference(before, old_shapes)[1]:
        more = [note(field, "ABIs differ", f"{reason}; it differed before")]
        return [] if shapes == old_shapes else more
    known = [{name: at for name, at in shape.items() if name in old_shapes[0]} for shape in shapes]
    if not _first_difference(now, known)[1]:
        return [note(field, "ABIs differ", f"{reason}; the field is new: its kernel has to know them all")]
    return [breaking(field, "ABIs differ", reason)]


def _named(layout: Layout, grows: bool) -> dict[str, tuple[int, int]]:
    """Where its real fields are, and its size: what a kernel has to find again."""
    size = {} if grows else {"": (0, 8 * layout.size)}
    return {f.name: place(f) for f in real(layout)} | size


def _first_difference(
    layouts: Sequence[Layout], shapes: Sequence[Mapping[str, tuple[int, int]]]
) -> tuple[str, str]:
    """The first field in another place than on the first machine, and a sentence; empty if none is."""
    for layout, shape in zip(layouts[1:], shapes[1:]):
        names = dict.fromkeys([*shapes[0], *shape])
        for name in sorted(names, key=bool, reverse=True):  # the size comes last
            here, there = shapes[0].get(name), shape.get(name)
            if here != there:
                words = f"{_words(here)} on {layouts[0].abi.name}, and {_words(there)} on {layout.abi.name}"
                return name, f"{name or 'the struct'} is {words}"
    return "", ""


def _words(bits: tuple[int, int] | None) -> str:
    if bits is None:
        return "not there"
    at, count = bits
    if at % 8 or count % 8:
        return f"{count} bits at bit {at}"
    return f"{count // 8} bytes at {at // 8}"
