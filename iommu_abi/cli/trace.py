"""An explained translation as a tree, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from iommu_abi.cli import answers, output
from iommu_abi.terms import Purpose, Reason, Ref, Stage

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from iommu_abi.explain import Explanation, Step
    from iommu_abi.schemas.in_words import Field

ADDRESS_BITS = 20  # fields wider than this are addresses

TITLES = {
    Stage.DEVICE: "device tables",
    Stage.PASID: "PASID tables",
    Stage.S1: "stage 1 of IOVA {iova:#x}",
    Stage.S2: "stage 2{gpa}",
}


def _field(field: Field, stopped: bool) -> str:
    """A flag by its name, an address as a number, anything else with its meaning; "" for what says nothing.

    Where the walk stopped, flags that are not set are shown too.
    """
    ignored, width = field.name.startswith("ign"), field.high - field.low + 1
    if width == 1 and not ignored:
        return field.name if field.value else f"{field.name}=0" if stopped else ""
    if ignored or (field.name.startswith("rsvd") and not field.value):
        return ""
    if width > ADDRESS_BITS:
        return f"{field.name}={field.value:#x}" if field.value else ""
    return str(field) if field.value or field.remark else ""


def _place(ref: Ref) -> str:
    if ref.gpa != ref.hpa:
        return f"GPA {ref.gpa:#x}, HPA {ref.hpa:#x}"
    return f"HPA {ref.hpa:#x}"


def _brief(step: Step) -> str:
    """What is set, by names: for the many entries of stage-2 walks on the way."""
    shown = [f for f in step.entry.fields if f.value and not f.name.startswith("ign")]
    return " ".join(f.name if f.high == f.low else f"{f.name}={f.value:#x}" for f in shown)


def place_text(step: Step) -> str:
    """Where an entry lies, and its first eight bytes."""
    return f"level {step.ref.level}, {_place(step.ref)} = {step.ref.raw:#x}"


def fields_text(step: Step) -> str:
    """The fields of an entry that say something."""
    if not step.stopped and not any(f.value for f in step.entry.fields):
        return "all zero"
    return ", ".join(filter(None, (_field(f, step.stopped) for f in step.entry.fields))) or "all zero"


def _label(step: Step, brief: bool) -> Text:
    from rich.text import Text

    text = Text()
    text.append(f"{step.entry.name}", "bold")
    text.append(f"\n{place_text(step)}")
    if brief and not step.stopped:
        text.append(f"  {_brief(step)}", "dim")
    else:
        text.append(f"\n{fields_text(step)}", "dim")
    if step.sets:
        text.append(f"\nhardware sets {' '.join(step.sets)}: {step.ref.updated:#x}", "yellow")
    if step.stopped:
        text.append("\nthe walk stops here", "red")
    return text


def _grow(tree: Tree, steps: Iterable[Step], brief: bool = False) -> None:
    for step in steps:
        if step.through:
            inner = tree.add(f"stage 2 of GPA {step.ref.gpa:#x}, where the next entry lies", style="dim")
            _grow(inner, step.through, brief=True)
        tree.add(_label(step, brief))


def _tree(explained: Explanation) -> Tree:
    from rich.tree import Tree

    request = explained.request
    tree = Tree(answers.request_text(request))
    for stage, title in TITLES.items():
        steps = explained.stage(stage)
        wanted = explained.wanted if explained.wanted and stage is _wanted_stage(explained) else ()
        if not steps and not wanted:
            continue
        branch = tree.add(title.format(iova=request.iova, gpa=_gpa(explained)))
        _grow(branch, steps)
        if wanted:
            ref = wanted[0].ref
            _grow(
                branch.add(f"stage 2{_gpa(explained)}, {answers.purpose_text(ref.purpose, ref.for_level)}"),
                wanted,
            )
    return tree


def _gpa(explained: Explanation) -> str:
    """The input of the last stage-2 walk; "" where a fault does not tell."""
    answer = explained.answer
    if answer.fault is None:
        return f" of GPA {answer.gpa:#x}"
    known = answer.fault.stage is Stage.S2 and answer.fault.reason is not Reason.INTERRUPT_RANGE
    return f" of GPA {answer.fault.input:#x}" if known else ""


def _wanted_stage(explained: Explanation) -> Stage:
    return Stage.PASID if explained.wanted[0].ref.purpose is Purpose.PASID_ENTRY else Stage.S1


def show(kind: str, explained: Explanation) -> None:
    """The tree, the answer, and whether the ledgers agree."""
    out = output.console()
    out.print(_tree(explained))
    if explained.undecoded:
        output.line(f"the plain ledger cannot name these entries: {explained.undecoded}", "red")
    answer = explained.answer
    style = "green" if answer.ok else "red"
    text = answers.answer_text(kind, explained.request, answer, left_out=explained.left_out)
    out.print(text, style=style)
    if answer.ok:
        out.print(f"effective rights, of all levels and stages for this requester: {answer.access}")
    if not explained.differences:
        out.print(f"both ledgers agree, {len(answer.refs)} entries read", style="dim")
        return
    out.print("DISAGREEMENT of the two ledgers: a bug of iommu-abi", style="bold red")
    rows = [tuple(output.difference_json(d).values()) for d in explained.differences]
    output.table(None, ("what", "fast (C)", "plain (Python)"), rows)


# ---------------------------------------------------------------- JSON


def _flat(steps: Iterable[Step]) -> Iterator[Step]:
    """In the order of the walk."""
    for step in steps:
        yield from step.through
        yield step


def step_json(step: Step) -> dict[str, object]:
    """One entry of a walk."""
    ref = step.ref
    return {
        "stage": ref.stage.name.lower(),
        "level": ref.level,
        "purpose": ref.purpose.name.lower(),
        "for_level": ref.for_level,
        "gpa": f"{ref.gpa:#x}",
        "hpa": f"{ref.hpa:#x}",
        "raw": f"{ref.raw:#x}",
        "updated": f"{ref.updated:#x}",
        "len": ref.len,
        "entry": step.entry.name,
        "stopped": step.stopped,
        "fields": [
            {"name": f.name, "bits": [f.high, f.low], "value": f"{f.value:#x}", "meaning": f.remark}
            for f in step.entry.fields
        ],
    }


def trace_json(explained: Explanation) -> dict[str, object]:
    """What --explain adds to the answer."""
    return {
        **answers.dump_json(left_out=explained.left_out),
        "trace": [step_json(step) for step in (*_flat(explained.steps), *explained.wanted)],
        "agree": not explained.differences,
        "disagreement": [output.difference_json(d) for d in explained.differences],
    }
