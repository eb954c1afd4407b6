"""iommu-abi translate: where does this DMA go?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import answers, output, target, words
from iommu_abi.terms import Access, At, Request

if TYPE_CHECKING:
    import argparse

    from iommu_abi.walk import Unit

ACCESS = {"read": Access.READ, "write": Access.WRITE, "exec": Access.EXEC}
AT = {"untranslated": At.UNTRANSLATED, "translation": At.TRANSLATION, "translated": At.TRANSLATED}

EPILOG = """\
numbers are 0x.. or decimal. IMAGE@BASE is raw memory at BASE; IMAGE@BASE:OFFSET+SIZE is a part of a
file, as when one file holds what lies below and above 4 GiB.
Registers that are not given have defaults (VT-d: HAW, which no register says, is 52).
exit status: 0 the request reaches memory, 1 it does not.

examples:
  iommu-abi translate vmcore.elf.xz --config meta.json --rid 00:03.0 --iova 0xffffc000
  iommu-abi translate low.bin@0 high.bin@0x100000000 --config meta.json --rid 00:03.0 --iova 0x1000
  iommu-abi translate ram.bin --format raw --base 0x1000 --iommu vtd --reg RTADDR=0x4eae400 \\
      --rid 00:07.0 --pasid 5 --iova 0x1000 --access write --explain
"""


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("translate", help="where does this DMA go?", epilog=EPILOG)
    made.add_argument("images", metavar=target.IMAGE, nargs="+", help=target.IMAGE_HELP)
    target.add_unit_options(made, required=True)
    made.add_argument("--rid", metavar="[SSSS:]BB:DD.F|N", required=True, help="requester")
    made.add_argument("--pasid", metavar="N", help="for a request with PASID")
    made.add_argument("--iova", metavar="X", required=True, help="address that the device uses")
    made.add_argument("--access", choices=tuple(ACCESS), default="read", help="default: read")
    made.add_argument("--priv", action="store_true", help="privileged mode is requested")
    made.add_argument("--at", choices=tuple(AT), default="untranslated", help="ATS address type")
    made.add_argument("--explain", action="store_true", help="show every entry, and ask both ledgers")
    target.add_image_options(made)
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=run)


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
    images = target.sources(args.images)
    request, unit = _request(args), target.unit(args)
    memory = target.memory(args, images)
    if args.explain:
        return _explain(unit, memory, request, args.json)
    answer = unit.translate(memory, request)
    left_out = answer.ok and memory.left_out(answer.hpa or 0)
    if args.json:
        shown = {**answers.answer_json(answer), **answers.dump_json(left_out=left_out)}
        output.emit_json({**shown, "request": answers.request_json(request)})
    else:
        text = answers.answer_text(unit.kind, request, answer, left_out=left_out)
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
