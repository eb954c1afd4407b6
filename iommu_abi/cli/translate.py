"""iommu-abi translate: where does this DMA go?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import answers, output, words
from iommu_abi.errors import UsageError
from iommu_abi.terms import Access, At, Request

if TYPE_CHECKING:
    import argparse

    from iommu_abi.walk import Unit

ACCESS = {"read": Access.READ, "write": Access.WRITE, "exec": Access.EXEC}
AT = {"untranslated": At.UNTRANSLATED, "translation": At.TRANSLATION, "translated": At.TRANSLATED}

EPILOG = """\
numbers are 0x.. or decimal. exit status: 0 the request reaches memory, 1 it does not.
Registers that are not given have defaults (VT-d: HAW, which no register says, is 52).

examples:
  iommu-abi translate vmcore.elf.xz --config meta.json --rid 00:03.0 --iova 0xffffc000
  iommu-abi translate ram.bin --format raw --base 0x1000 --iommu vtd --reg RTADDR=0x4eae400 \\
      --rid 00:07.0 --pasid 5 --iova 0x1000 --access write --explain
"""


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("translate", help="where does this DMA go?", epilog=EPILOG)
    made.add_argument("images", metavar="IMAGE", nargs="+", help="ELF core or raw memory, also .xz or .gz")
    unit = made.add_mutually_exclusive_group(required=True)
    unit.add_argument("--config", metavar="META.json", help="kind and registers as a capture has them")
    unit.add_argument("--iommu", metavar="KIND", help="vtd, amdvi, ...; with --reg")
    made.add_argument(
        "--reg", metavar="NAME=VALUE", action="append", default=[], help="a register; wins over --config"
    )
    made.add_argument("--rid", metavar="[SSSS:]BB:DD.F|N", required=True, help="requester")
    made.add_argument("--pasid", metavar="N", help="for a request with PASID")
    made.add_argument("--iova", metavar="X", required=True, help="address that the device uses")
    made.add_argument("--access", choices=tuple(ACCESS), default="read", help="default: read")
    made.add_argument("--priv", action="store_true", help="privileged mode is requested")
    made.add_argument("--at", choices=tuple(AT), default="untranslated", help="ATS address type")
    made.add_argument("--explain", action="store_true", help="show every entry, and ask both ledgers")
    made.add_argument("--format", choices=("auto", "elf", "raw"), default="auto", help="of IMAGE")
    made.add_argument("--base", metavar="ADDR", default="0", help="where a raw image begins (default: 0)")
    made.add_argument("--copy", action="store_true", help="read the image instead of mapping it")
    made.add_argument("--max-size", metavar="BYTES", default=str(1 << 40), help="most bytes to unpack to")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=run)


def _given(args: argparse.Namespace) -> tuple[str, dict[str, int]]:
    """Kind and registers."""
    from iommu_abi import capture
    from iommu_abi.walk import kinds, registers

    found: dict[str, int] = {}
    if args.config:
        meta = capture.read_meta(words.read_text(args.config), words.input_name(args.config))
        if meta.ignored:
            raise capture.unknown_register(meta.kind, list(meta.ignored))
        kind, found = meta.kind, dict(meta.registers)
    else:
        kind = capture.KINDS.get(args.iommu, args.iommu)
        if kind not in kinds():
            raise UsageError(f"--iommu: unknown kind {args.iommu!r}, expected one of: {' '.join(kinds())}")
    texts = words.assignments(args.reg, "--reg")
    unknown = [name for name in texts if name not in registers(kind)]
    if unknown:
        raise capture.unknown_register(kind, unknown)
    return kind, found | {name: words.number(text, f"--reg {name}") for name, text in texts.items()}


def _unit(args: argparse.Namespace) -> Unit:
    from iommu_abi.capture import make_unit

    kind, given = _given(args)
    return make_unit(kind, given, words.input_name(args.config) if args.config else "--reg")


def _request(args: argparse.Namespace) -> Request:
    return Request(
        rid=words.requester(args.rid),
        iova=words.number(args.iova, "--iova"),
        pasid=None if args.pasid is None else words.number(args.pasid, "--pasid", (1 << 20) - 1),
        access=ACCESS[args.access],
        priv=args.priv,
        at=AT[args.at],
    )


def run(args: argparse.Namespace) -> int:
    """Translate and print."""
    from iommu_abi.memory import Memory

    if "-" in args.images:
        raise UsageError("an image cannot be read from standard input: it is mapped")
    request, unit = _request(args), _unit(args)
    base, most = words.number(args.base, "--base"), words.number(args.max_size, "--max-size")
    with output.busy("opening the image", quiet=args.json):
        memory = Memory.open(*args.images, format=args.format, base=base, copy=args.copy, max_size=most)
    if args.explain:
        return _explain(unit, memory, request, args.json)
    answer = unit.translate(memory, request)
    if args.json:
        output.emit_json({**answers.answer_json(answer), "request": answers.request_json(request)})
    else:
        text = answers.answer_text(unit.kind, request, answer)
        output.line(text, "green" if answer.ok else "red")
    return 0 if answer.ok else 1


def _explain(unit: Unit, memory: object, request: Request, as_json: bool) -> int:
    from iommu_abi.cli import DISAGREE, trace
    from iommu_abi.explain import explain
    from iommu_abi.memory import Memory

    assert isinstance(memory, Memory)
    explained = explain(unit, memory, request)
    if as_json:
        answer = answers.answer_json(explained.answer)
        request_json = answers.request_json(request)
        output.emit_json({**answer, "request": request_json, **trace.trace_json(explained)})
    else:
        trace.show(unit.kind, explained)
    if explained.differences:
        return DISAGREE
    return 0 if explained.answer.ok else 1
