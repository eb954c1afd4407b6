"""iommu-abi mappings --diff: what changed between two images."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from iommu_abi.cli import limits, machine, mapping_rows, output, target, words

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from iommu_abi.cli.machine import One
    from iommu_abi.mappings import ContextRun, Mapping
    from iommu_abi.mappings.diff import ContextChange, RangeChange
    from iommu_abi.memory import Memory
    from iommu_abi.walk import Unit

SIDE = ("state", *mapping_rows.REACHED)
COLUMNS = (
    "rid", "pasid", "ids", "change", "first", "last",
    *(f"before_{name}" for name in SIDE), *(f"after_{name}" for name in SIDE),
)  # fmt: skip

#: What ranges with a word of Change are, where the word does not say it.
SUMMARY = {"rights": "with other rights", "pages": "with other page sizes", "via": "via another GPA"}


def _context_json(context: ContextRun | None) -> dict[str, object] | None:
    return {"state": context.state.name.lower()} if context else None


def _mapping_json(m: Mapping | None) -> dict[str, object] | None:
    return mapping_rows.reached_json(m) if m else None


def _kind_of_context(change: ContextChange) -> str:
    if not change.before:
        return "appeared"
    return "changed" if change.after else "disappeared"


def _row(change: ContextChange | RangeChange) -> dict[str, object]:
    from iommu_abi.mappings.diff import ContextChange

    row: dict[str, object] = {"rid": words.name_of_requester(change.rid), "pasid": change.pasid}
    if isinstance(change, ContextChange):
        of = change.before or change.after
        ids = of.last - of.first + 1 if of else 0
        sides = _context_json(change.before), _context_json(change.after)
        return row | {"ids": ids, "change": [f"context {_kind_of_context(change)}"]} | _sides(*sides)
    m = change.before or change.after
    iovas = {"first": hex(m.first), "last": hex(m.last)} if m else {}
    sides = _mapping_json(change.before), _mapping_json(change.after)
    return row | {"ids": 1, "change": list(change.what.words)} | iovas | _sides(*sides)


def _sides(before: object, after: object) -> dict[str, object]:
    return {"before": before, "after": after}


def _csv(row: dict[str, object]) -> str:
    """A row with the two sides as columns."""
    flat = {name: value for name, value in row.items() if name not in ("before", "after")}
    for side in ("before", "after"):
        values = row[side]
        if isinstance(values, dict):
            flat |= {f"{side}_{name}": value for name, value in values.items()}
    return mapping_rows.csv_line(flat.get(name) for name in COLUMNS)


# ---------------------------------------------------------------- text


def _context_text(change: ContextChange) -> str:
    states = [side.state.name.lower() if side else None for side in (change.before, change.after)]
    sign = {"appeared": "+", "disappeared": "-"}.get(_kind_of_context(change), "~")
    of = change.before or change.after
    ids = f", and the next {of.last - of.first} alike" if of and of.last > of.first else ""
    text = " -> ".join(state for state in states if state)
    faults = [side.fault for side in (change.before, change.after) if side and side.fault]
    return f"  {sign} context: {text}{ids}" + "".join(f"\n      {fault}" for fault in faults)


def _range_text(change: RangeChange) -> Iterator[str]:
    a, b = change.before, change.after
    if a and b:
        yield f"  ~ {mapping_rows.span_text(a)} {mapping_rows.reached_text(a)}"
        became = f"{', '.join(change.what.words)}:".rjust(len(mapping_rows.span_text(a)))
        yield f"    {became} {mapping_rows.reached_text(b)}"
    else:
        for sign, m in (("-", a), ("+", b)):
            if m:
                yield f"  {sign} {mapping_rows.span_text(m)} {mapping_rows.reached_text(m)}"


def _summary(counts: Counter[str], so_far: str) -> str:
    """How much changed: a range may have changed in several ways."""
    if not counts:
        return f"no difference{so_far}"
    contexts = counts.pop("contexts", 0)
    parts = [f"{contexts} context{'s' * (contexts != 1)}"] if contexts else []
    parts += [f"{n} range{'s' * (n != 1)} {SUMMARY.get(word, word)}" for word, n in counts.items()]
    return "differences: " + ", ".join(parts)


def _print(found: Iterable[ContextChange | RangeChange], listing: limits.Listing) -> int:
    from iommu_abi.mappings.diff import ContextChange

    counts: Counter[str] = Counter()
    before = None
    for change in found:
        if before != (change.rid, change.pasid):
            print(f"{words.name_of_context(change.rid, change.pasid)}:")
        before = change.rid, change.pasid
        if isinstance(change, ContextChange):
            print(_context_text(change))
            counts["contexts"] += 1
        else:
            print(*_range_text(change), sep="\n")
            counts.update(change.what.words)
    n = counts.total()
    output.line(_summary(counts, listing.so_far))
    listing.say()
    return n


def _other(args: argparse.Namespace, one: One) -> tuple[Unit, Memory]:
    """What is compared with: the same IOMMU, unless the image or --other-config says otherwise."""
    described = machine.of_config(args, args.other_config) if args.other_config else None
    images = target.sources(args.diff)
    memory = target.memory(args, images)
    if described is None:
        if (args.config and args.config != machine.AUTO) or args.iommu:
            return one.unit, memory
        described = machine.found(args, memory, str(images[0]))
    same = [each for each in described.units if each.found.base == one.found.base]
    return (same[0] if len(same) == 1 else described.only("--diff")).unit, memory


def run(args: argparse.Namespace, one: One, memory: Memory, rid: int | None, pasid: int | None) -> int:
    """Compare and print; the exit status of diff(1)."""
    from iommu_abi.mappings.diff import Side, differences, pairs

    before, after = Side(one.unit, memory), Side(*_other(args, one))
    spent = limits.budget(args, memory, after.memory)
    listing = limits.Listing(spent, lambda most: pairs(before, after, rid, pasid, most))
    found = listing.until(differences(before, after, rid, pasid, spent))
    if args.json:
        n = mapping_rows.emit_json(listing.rows(json.dumps(_row(change)) for change in found))
    elif args.csv:
        n = mapping_rows.emit_csv(COLUMNS, (_csv(_row(change)) for change in found))
        listing.say(to_stderr=True)
    else:
        n = _print(found, listing)
    return 1 if n or listing.stop else 0
