"""iommu-abi translate: where does this DMA go?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from iommu_abi.cli import answers, machine, output, target, words
from iommu_abi.terms import Access, At, Request

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from iommu_abi.cli.machine import Asked
    from iommu_abi.explain import Explanation
    from iommu_abi.memory import Memory

ACCESS = {"read": Access.READ, "write": Access.WRITE, "exec": Access.EXEC}
AT = {"untranslated": At.UNTRANSLATED, "translation": At.TRANSLATION, "translated": At.TRANSLATED}

EPILOG = """\
numbers are 0x.. or decimal. IMAGE@BASE is raw memory at BASE;
IMAGE@BASE:OFFSET+SIZE is a part of a file, as when one file holds what lies
below and above 4 GiB. Registers that are not given have defaults (VT-d: HAW,
which no register says, is 52). Where several IOMMUs could serve the device,
its scope decides; else all are asked. exit status: 0 the request reaches
memory, 1 it does not.

examples:
  iommu-abi translate vmcore --rid 00:03.0 --iova 0xffffc000
  iommu-abi translate vmcore.xz --config meta.json --rid 00:03.0 \\
      --iova 0xffffc000
  iommu-abi translate low.bin@0 high.bin@0x100000000 --config meta.json \\
      --rid 00:03.0 --iova 0x1000
  iommu-abi translate ram.bin --base 0x1000 --iommu vtd --reg RTADDR=0x4eae400 \\
      --format raw --rid 00:07.0 --pasid 5 --iova 0x1000 --explain
"""


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    target.add_images(made)
    target.add_unit_options(made)
    made.add_argument("--rid", metavar="[SSSS:]BB:DD.F|N", required=True, help="requester")
    made.add_argument("--pasid", metavar="N", help="for a request with PASID")
    made.add_argument("--iova", metavar="X", required=True, help="address that the device uses")
    made.add_argument("--access", choices=tuple(ACCESS), default="read", help="default: read")
    made.add_argument("--priv", action="store_true", help="privileged mode is requested")
    made.add_argument("--at", choices=tuple(AT), default="untranslated", help="ATS address type")
    made.add_argument("--explain", action="store_true", help="show every entry, and ask both ledgers")
    target.add_image_options(made)
    made.add_argument("--json", action="store_true", help="print JSON")


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
    images, request = target.sources(args.images), _request(args)
    found, memory = machine.opened(args, images)
    asked = found.serving(args.rid)
    if not args.json:
        found.say()
        return _best([_tell(args, each, request, memory, named=len(asked) > 1) for each in asked])
    shown, statuses = zip(*(_answer(args, each, request, memory) for each in asked))
    output.emit_json({**(shown[0] if len(asked) == 1 else {"answers": shown}), **found.to_json()})
    return _best(statuses)


def _best(statuses: Sequence[int]) -> int:
    """A disagreement of the ledgers, else whether memory is reached through any of them."""
    from iommu_abi.cli import DISAGREE

    return DISAGREE if DISAGREE in statuses else min(statuses)


def _tell(args: argparse.Namespace, asked: Asked, request: Request, memory: Memory, *, named: bool) -> int:
    """Print one IOMMU's answer."""
    unit, request = asked.one.unit, replace(request, rid=asked.rid)
    moved = asked.device is None and asked.rid != words.requester(args.rid)
    if named or asked.device or moved:
        known = f", {asked.device.short} {asked.device.known_as}" if asked.device else ""
        known += f", where {args.rid} has ID {asked.rid:#x}" if moved else ""
        output.line(f"{asked.one.found.place}{known}", "bold" if named else "dim")
    if args.explain:
        from iommu_abi.cli import trace
        from iommu_abi.explain import explain

        explained = explain(unit, memory, request)
        trace.show(unit.kind, explained)
        return _status(explained)
    answer = unit.translate(memory, request)
    left_out = answer.ok and memory.left_out(answer.hpa or 0)
    text = answers.answer_text(unit.kind, request, answer, left_out=left_out)
    output.line(text, "green" if answer.ok else "red")
    return 0 if answer.ok else 1


def _answer(
    args: argparse.Namespace, asked: Asked, request: Request, memory: Memory
) -> tuple[dict[str, object], int]:
    """One IOMMU's answer as JSON, and the status."""
    from iommu_abi.acquire.meta_file import device_json

    unit, request = asked.one.unit, replace(request, rid=asked.rid)
    shown: dict[str, object] = {"unit": asked.one.found.name} if asked.device or asked.one.found.base else {}
    shown |= {"device": device_json(asked.device)} if asked.device else {}
    if args.explain:
        from iommu_abi.cli import trace
        from iommu_abi.explain import explain

        explained = explain(unit, memory, request)
        shown = {**answers.answer_json(explained.answer), **shown, **trace.trace_json(explained)}
        return {**shown, "request": answers.request_json(request)}, _status(explained)
    answer = unit.translate(memory, request)
    left_out = answer.ok and memory.left_out(answer.hpa or 0)
    shown = {**answers.answer_json(answer), **answers.dump_json(left_out=left_out), **shown}
    return {**shown, "request": answers.request_json(request)}, 0 if answer.ok else 1


def _status(explained: Explanation) -> int:
    from iommu_abi.cli import DISAGREE

    if explained.differences:
        return DISAGREE
    return 0 if explained.answer.ok else 1
