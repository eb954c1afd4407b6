"""iommu-abi compat: whether programs and kernels of two states of an ABI understand each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from iommu_abi.compat import Compared, Finding, Kernel, Model, Report
    from iommu_abi.uapi.layout import Abi

EPILOG = """\
OLD and NEW are generations (iommufd_6_12), C headers, object files with DWARF
(cc -g), or a kernel's types: BTF of vmlinux, of /sys/kernel/btf or a file in
it, of an image of memory; one of them may be -, standard input. A header is
compiled by $CC, cc, gcc, clang or the package ziglang, and its integer macros
are evaluated; where it depends on the architecture and ziglang is there, on
each of 22 ABIs.

A struct whose first or second member is __u32 size or argsz may grow at the
end, and so may those whose size Linux is told otherwise (bpf_attr, open_how,
DRM's); any other is frozen, and so is an array's element. COMPATIBLE_IF_ZERO:
while programs leave zero what the other side does not know.

exit status: 0 compatible, or compatible if zero; 1 breaking, in one of the
directions; 2 misuse.

examples:
  iommu-abi compat iommufd_6_12 iommufd_7_2
  iommu-abi compat old/linux/iommufd.h new/linux/iommufd.h --markdown
  git show v1:abi.h | iommu-abi compat - abi.h
  iommu-abi compat --since v1 include/abi.h include/more.h
  iommu-abi compat ptc_v4 ptc_v12 --abi i386
  iommu-abi compat iommufd_7_2 /sys/kernel/btf
  iommu-abi compat iommufd_6_12 vmcore
"""

STYLES = ("green", "yellow", "red")
SHORT = ("compatible", "if zero", "BREAKING")  # a terminal is narrow


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument(
        "old", metavar="OLD", help="a generation, a C header, an object file or a kernel's types"
    )
    made.add_argument("new", metavar="NEW", nargs="*", help="the newer state, given like OLD")
    made.add_argument(
        "--since",
        metavar="REF",
        help="every argument is a header in a git work tree: compare it with what it was at REF",
    )
    made.add_argument(
        "--abi", metavar="A", help="compare on this ABI only (default: the one compiled for, then all)"
    )
    made.add_argument(
        "-I",
        "--include",
        metavar="DIR",
        action="append",
        default=[],
        help="where headers find what they include; a header in DIR/linux/ has DIR by itself",
    )
    for side in ("old", "new"):
        made.add_argument(
            f"--include-{side}",
            metavar="DIR",
            action="append",
            default=[],
            help=f"the same for {side.upper()} only, before those of both",
        )
    made.add_argument(
        "--extensible",
        metavar="STRUCT[=FIELD|arg]",
        action="append",
        default=[],
        help="STRUCT may grow: FIELD, or an argument beside it, has its size (default: arg)",
    )
    made.add_argument("--all", action="store_true", help="also list what was added or did not change")
    made.add_argument("--markdown", action="store_true", help="print Markdown")
    made.add_argument("--json", action="store_true", help="print JSON: all, also what did not change")
    made.add_argument("--sarif", action="store_true", help="print SARIF 2.1.0, for code hosts and editors")


def _number(subject: Compared, value: int | None) -> str:
    if value is None:
        return "-"
    return str(value) if subject.kind != "constant" or 0 <= value < 10 else f"{value:#x}"


def _headings(title: str) -> tuple[str, ...]:
    number = "value" if title == "constant" else "bytes"
    return title, "contract", number, "old on new", "new on old"


def _row(subject: Compared, verdicts: Iterable[str]) -> tuple[str, ...]:
    was, now = _number(subject, subject.was), _number(subject, subject.now)
    return subject.name, subject.contract, was if was == now else f"{was} -> {now}", *verdicts


def _short(subject: Compared) -> tuple[str, ...]:
    return _row(subject, (SHORT[subject.old_program], SHORT[subject.new_program]))


def _full(subject: Compared) -> tuple[str, ...]:
    return _row(subject, (subject.old_program.name, subject.new_program.name))


def _is_plain(subject: Compared) -> bool:
    """Unchanged, or new without anything to say about it."""
    return all(finding.change == "added" for finding in subject.findings)


def _path(subject: Compared, finding: Finding) -> str:
    return f"{subject.name}.{finding.field}" if finding.field else subject.name


def _summary(report: Report) -> Iterator[str]:
    yield f"old programs on the new kernel (old on new): {report.old_program.name}"
    yield f"new programs on the old kernel (new on old): {report.new_program.name}"
    for kinds, title in ((("struct", "union"), "structs"), (("constant",), "constants")):
        subjects = [s for s in report.subjects if s.kind in kinds]
        added = sum(s.was is None for s in subjects)
        unknown = sum(f.change == "not evaluable" for s in subjects for f in s.findings)
        gone = sum(s.now is None for s in subjects) - unknown
        same = sum(not s.findings for s in subjects)
        changed = len(subjects) - added - gone - same - unknown
        more = f", {unknown} not evaluable" if unknown else ""
        yield f"{title}: {same} unchanged, {changed} changed, {added} added, {gone} withdrawn{more}"


def _groups(report: Report, everything: bool) -> Iterator[tuple[str, list[Compared]]]:
    for kinds, title in ((("struct", "union"), "struct"), (("constant",), "constant")):
        found = [s for s in report.subjects if s.kind in kinds and (everything or not _is_plain(s))]
        if found:
            yield title, found


def _print(report: Report, everything: bool) -> None:
    output.line(f"{report.old} -> {report.new}, {report.abi}")
    for text in _summary(report):
        output.line(text)
    for title, subjects in _groups(report, everything):
        output.table(None, _headings(title), map(_short, subjects))
        for subject in subjects:
            for f in subject.findings:
                worst = max(f.old_program, f.new_program)
                output.line(f"{_path(subject, f)}: {f.change}: {f.reason}", STYLES[worst])
    for text in report.notes:
        output.line(text, "yellow")


def _cells(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _markdown(report: Report, everything: bool) -> Iterator[str]:
    yield f"# {report.old} -> {report.new}, {report.abi}"
    yield ""
    yield from (f"- {text}" for text in (*_summary(report), *report.notes))
    for title, subjects in _groups(report, everything):
        yield from ("", _cells(_headings(title)), _cells(["---"] * 5))
        yield from map(_cells, map(_full, subjects))
        findings = [(s, f) for s in subjects for f in s.findings]
        if not findings:
            continue
        yield from ("", _cells(("field", "change", "reason")), _cells(["---"] * 3))
        yield from (_cells((f"`{_path(s, f)}`", f.change, f.reason)) for s, f in findings)


def _json(report: Report) -> dict[str, object]:
    return {
        "old": report.old,
        "new": report.new,
        "abi": report.abi,
        "verdict": report.verdict.name,
        "old_program_new_kernel": report.old_program.name,
        "new_program_old_kernel": report.new_program.name,
        "subjects": [_subject_json(subject) for subject in report.subjects],
        "notes": list(report.notes),
    }


def _subject_json(subject: Compared) -> dict[str, object]:
    return {
        "kind": subject.kind,
        "name": subject.name,
        "contract": subject.contract or None,
        "was": subject.was,
        "is": subject.now,
        "verdict": subject.verdict.name,
        "old_program_new_kernel": subject.old_program.name,
        "new_program_old_kernel": subject.new_program.name,
        "findings": [
            {
                "field": f.field or None,
                "change": f.change,
                "reason": f.reason,
                "old_program_new_kernel": f.old_program.name,
                "new_program_old_kernel": f.new_program.name,
            }
            for f in subject.findings
        ],
    }


def _read(source: str, include: Sequence[str]) -> Model:
    from iommu_abi import compat

    if source == "-":
        return compat.read_bytes(words.read_bytes("-"), words.input_name("-"), tuple(include))
    return compat.read(source, tuple(include))


def _kernel(source: str) -> Kernel | None:
    """A kernel's BTF: in a file, or in an image of memory."""
    from iommu_abi import compat, images

    if source == "-" or not images.is_memory(Path(source)):
        return None if source == "-" else compat.kernel(source)
    from iommu_abi.acquire import types
    from iommu_abi.memory import Memory

    with output.busy("looking for types in the image", quiet=True):
        return types.acquire(Memory.open(source), source)


def _models(args: argparse.Namespace, new: str) -> tuple[Model, Model]:
    """Of a kernel the structs that the other side has; of two kernels those that generations have."""
    from iommu_abi import compat

    sides = ((args.old, args.include_old), (new, args.include_new))
    kernels = [_kernel(source) for source, _ in sides]
    models = {
        i: _read(source, (*include, *args.include))
        for i, (source, include) in enumerate(sides)
        if kernels[i] is None
    }
    names = [name for model in models.values() for name in model.structs()]
    models |= {i: compat.of_kernel(kernel, names) for i, kernel in enumerate(kernels) if kernel}
    return models[0], models[1]


def _extensible(given: Iterable[str]) -> dict[str, str]:
    """``STRUCT`` or ``STRUCT=FIELD``."""
    found = {}
    for word in given:
        name, equals, how = word.partition("=")
        if not name or (equals and not how):
            raise UsageError(f"--extensible: got {word!r}, expected STRUCT, STRUCT=FIELD or STRUCT=arg")
        found[name.removeprefix("struct ")] = how or "arg"
    return found


def _compared(args: argparse.Namespace) -> Iterator[tuple[str, Report]]:
    """What is the newer state, and the report about it."""
    from iommu_abi import compat
    from iommu_abi.uapi.layout import abi

    on = abi(args.abi) if args.abi else None
    extensible = _extensible(args.extensible)
    if args.since is not None:
        yield from _since(args, on, extensible)
        return
    if len(args.new) != 1:
        raise UsageError(f"compat: got {1 + len(args.new)} states, expected OLD and NEW")
    new = args.new[0]
    if args.old == new == "-":
        raise UsageError("compat: standard input can be OLD or NEW, not both")
    yield new, compat.compare(*_models(args, new), on, extensible)


def _since(
    args: argparse.Namespace, on: Abi | None, extensible: Mapping[str, str]
) -> Iterator[tuple[str, Report]]:
    """Each header against what it was; of what was not there then nothing can break."""
    from iommu_abi import compat
    from iommu_abi.compat.since import past

    headers = [args.old, *args.new]
    with past(args.since, headers[0]) as then:
        include = [str(path) for path in map(then.path, args.include) if path]
        for header in headers:
            now = compat.read(header, (*args.include_new, *args.include))
            if was := then.path(header):
                old = compat.read(str(was), (*args.include_old, *include, *args.include))
                yield header, compat.compare(replace(old, label=then.label(header)), now, on, extensible)


def run(args: argparse.Namespace) -> int:
    """Read both, compare, show."""
    from iommu_abi.cli import FOUND
    from iommu_abi.compat import Verdict

    forms = [f"--{form}" for form in ("json", "markdown", "sarif") if getattr(args, form)]
    if len(forms) > 1:
        raise UsageError(f"compat: {' and '.join(forms)} are forms of one report: give one")
    found = list(_compared(args))
    reports = [report for _, report in found]
    if args.sarif:
        from iommu_abi.cli import sarif

        output.emit_json(sarif.log(found, args.all))
    elif args.json:
        shown = [_json(report) for report in reports]
        output.emit_json({"reports": shown} if args.since is not None else shown[0])
    elif args.markdown:
        print(output.shown("\n".join(line for report in reports for line in _markdown(report, args.all))))
    else:
        for report in reports:
            _print(report, args.all)
    return FOUND if any(report.verdict is Verdict.BREAKING for report in reports) else 0
