"""iommu-abi errno: what a kernel would answer to a struct, or to a number, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import AbiError, UsageError, errno_name

if TYPE_CHECKING:
    import argparse

    from iommu_abi.rules import Answer, Row, State, Subject
    from iommu_abi.schemas.uapi import Abi

EPILOG = """\
exit status: 0 the kernel would accept the bytes, or the number; 1 it would
refuse; 2 misuse. What they cannot show, such as an ID that nobody has, is
listed as "may still refuse".

kernels with a table of their own: 4.19 5.10 5.16 6.1 6.3 6.12 6.13 6.19 7.2
7.3; any other gets the nearest one's, and a note. VFIO is in all, iommufd
since 6.3, <linux/iommu.h> from 5.10 to 6.3. The order of iommufd's checks is
that of 7.2 and 7.3. What was proposed: STRUCT@GENERATION.

examples:
  iommu-abi errno IOMMU_IOAS_MAP map.bin --kernel 7.2
  echo 1000000000000000 00000000 | iommu-abi errno IOMMU_IOAS_ALLOC -
  iommu-abi errno iommu_pasid_table_config@ptc_v14 config.bin
  iommu-abi errno IOMMU_HWPT_ALLOC --rules
  iommu-abi errno VFIO_SET_IOMMU --arg 1
"""


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument("subject", metavar="STRUCT[@GEN]|IOCTL", help="iommu_option, IOMMU_OPTION, 0x3b87")
    made.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: -, standard input")
    made.add_argument("--arg", metavar="N", help="the argument of an ioctl that takes no struct")
    made.add_argument("--kernel", metavar="V", help="such as 6.12 (default: the newest that has it)")
    made.add_argument(
        "--in",
        dest="form",
        choices=("auto", "hex", "raw"),
        default="auto",
        help="what the input is (default: auto: hex if it has only such characters)",
    )
    made.add_argument("--abi", metavar="A", default="x86_64", help="the caller's ABI (default: x86_64)")
    made.add_argument("--rules", action="store_true", help="list the checks in their order, and read nothing")
    made.add_argument("--json", action="store_true", help="print JSON")


def _subject(word: str, kernel: str | None, abi: str) -> Subject | None:
    """What is asked about; None for a command that the kernel does not have."""
    from iommu_abi import rules

    if word.startswith("0x") or word.isdigit():
        from iommu_abi.ioctl import commands
        from iommu_abi.schemas import uapi

        number = words.number(word, "IOCTL", (1 << 32) - 1)
        merged = ("iommufd", *(each.name for each in uapi.VFIO))
        found = [(name, gen) for name, gen in commands(number, abi) if gen.startswith(merged)]
        names = {name for name, gen in found if rules.answerable(uapi.GENERATIONS[gen].ioctls[name])}
        if len(names) > 1:
            raise UsageError(f"{word} is {' or '.join(sorted(names))}: say which")
        return rules.command(names.pop(), kernel or rules.NEWEST) if names else None
    if word.startswith(("IOMMU_", "VFIO_")):
        return rules.command(word, kernel or rules.NEWEST)
    return rules.struct(word, kernel)


def _read(args: argparse.Namespace) -> bytes:
    from iommu_abi.hextext import HexError, is_hex_text, parse_hex

    data = words.read_bytes(args.file)
    if args.form == "raw" or (args.form == "auto" and not is_hex_text(data)):
        return data
    try:
        return parse_hex(data.decode("ascii", "replace"))
    except HexError as error:
        raise UsageError(f"{words.input_name(args.file)}: {error}") from None


def _argument(args: argparse.Namespace, subject: Subject, abi: Abi) -> bytes:
    """The argument of a command without a struct, as the kernel gets it."""
    from iommu_abi.rules import Taken

    name = subject.struct
    if args.file != "-":
        raise UsageError(f"{name} takes no struct: --arg N, not {words.input_name(args.file)}")
    if args.arg is None and subject.taken is Taken.NUMBER:
        raise UsageError(f"{name} takes a number: --arg N")
    number = words.number("0" if args.arg is None else args.arg, "--arg", (1 << 8 * abi.pointer) - 1)
    return number.to_bytes(abi.pointer, "little" if abi.order == "<" else "big")


def _given(args: argparse.Namespace, subject: Subject | None, abi: Abi) -> bytes:
    """What the caller of the ioctl gives: a struct's bytes, or the argument itself."""
    if subject and not subject.taken.is_struct:
        return _argument(args, subject, abi)
    if args.arg is not None:
        raise UsageError(f"{args.subject} takes a struct: FILE, not --arg")
    return _read(args)


def _state_json(state: State) -> dict[str, str]:
    return {"field": state.field, "errno": errno_name(state.errno), "when": state.when}


def _error_json(error: AbiError) -> dict[str, object]:
    return {
        "errno": errno_name(error.rule.errno),
        "number": error.rule.errno,
        "rule": error.rule.name,
        "field": error.field,
        "offset": error.offset,
        "got": error.got,
        "expected": error.expected,
        "source": error.rule.source,
    }


def _subject_json(subject: Subject) -> dict[str, object]:
    return {
        "struct": subject.struct if subject.taken.is_struct else None,
        "ioctl": subject.command.name if subject.command else None,
    }


def _json(found: Answer) -> dict[str, object]:
    subject = found.subject
    return {
        **_subject_json(subject),
        "generation": subject.generation.name,
        "kernel": subject.kernel or None,
        "ok": found.error is None,
        "refused": _error_json(found.error) if found.error else None,
        "may_refuse": [_state_json(state) for state in found.before],
        "documented_only": [_error_json(error) for error in found.documented],
        "notes": list(found.notes),
    }


def _name(subject: Subject) -> str:
    return f"{subject.struct}@{subject.generation.name}" if subject.taken.is_struct else subject.struct


def _print(found: Answer) -> None:
    subject, error = found.subject, found.error
    who = f"Linux {subject.kernel}" if subject.kernel else subject.generation.name
    name, is_struct = _name(subject), subject.taken.is_struct
    if error:
        output.line(f"{errno_name(error.rule.errno)}: {who} refuses {name}", "red")
        output.line(f"  {error.strerror}")
        output.line(f"  rule {error.rule.name}; source: {error.rule.source}")
    else:
        what = "the bytes of" if is_struct else "this argument of"
        output.line(f"0: {who} accepts {what} {name}", "green")
    if found.before:
        output.line(
            f"before that, it may refuse for what {'bytes do' if is_struct else 'a number does'} not show:"
            if error
            else "it may still refuse:"
        )
        for state in found.before:
            output.line(f"  {errno_name(state.errno)} {state.field}: {state.when}".replace(" : ", ": "))
    for each in found.documented:
        output.line(f"documented and not enforced: {each.strerror}", "yellow")
    for note in found.notes:
        output.line(f"note: {note}", "yellow")


def _rule_json(row: Row, subject: Subject, abi: Abi) -> dict[str, object]:
    from iommu_abi.rules import State, Tail, wanted

    if isinstance(row, Tail):
        return {"kind": "what follows", "field": "data", "errno": "", "when": f"as for {row.struct}"}
    if isinstance(row, State):
        return {"kind": "state", **_state_json(row)}
    decided = "bytes" if subject.taken.is_struct else "number"
    return {
        "kind": decided if row.enforced else "documented only",
        "rule": row.rule.name,
        "field": row.rule.field,
        "errno": errno_name(row.rule.errno),
        "expected": wanted(row, subject.generation.struct(subject.struct), subject.generation, abi),
        "source": row.rule.source,
    }


def _list(subject: Subject, abi: Abi, *, as_json: bool) -> None:
    """The rows of a struct, with the numbers of its generation and of the ABI."""
    from iommu_abi.rules import concerns, substitute

    made = subject.generation.struct(subject.struct)
    rows = [
        _rule_json(row, subject, abi) for row in subject.rows if concerns(row, made, subject.generation, abi)
    ]
    note = substitute(subject.asked) if subject.asked else ""
    if as_json:
        notes = {"notes": [note]} if note else {}
        output.emit_json({**_subject_json(subject), "length": subject.taken.value, "rules": rows, **notes})
        return
    output.line(f"{_name(subject)}: {subject.taken.value}")
    cells = [
        (
            str(row["errno"]),
            str(row["field"]),
            str(row.get("when") or f"expected {row['expected']}"),
            str(row["kind"]),
        )
        for row in rows
    ]
    output.table(None, ("errno", "field", "refused unless, or when", "decided by"), cells)
    if note:
        output.line(f"note: {note}", "yellow")


def _no_command(name: str, kernel: str, *, as_json: bool) -> int:
    """A kernel that does not have the command at all."""
    from iommu_abi import rules

    table = rules.nearest(kernel)
    notes = [] if kernel == table else [rules.substitute(kernel)]
    missing = AbiError(rules.NO_COMMAND, "", None, None, 0, name)
    if as_json:
        output.emit_json({"ok": False, "refused": _error_json(missing), "kernel": table, "notes": notes})
        return 1
    output.line(f"ENOTTY: Linux {table} has no {name}", "red")
    for note in notes:
        output.line(f"note: {note}", "yellow")
    return 1


def run(args: argparse.Namespace) -> int:
    """Read, ask, show."""
    from iommu_abi import rules
    from iommu_abi.schemas import uapi

    abi = uapi.abi(args.abi)
    subject = _subject(args.subject, args.kernel, args.abi)
    if args.rules and subject:
        _list(subject, abi, as_json=args.json)
        return 0
    data = _given(args, subject, abi)
    if subject is None:
        return _no_command(args.subject, args.kernel or rules.NEWEST, as_json=args.json)
    found = rules.answer(subject, data, abi)
    if args.json:
        output.emit_json(_json(found))
    else:
        _print(found)
    return 1 if found.error else 0
