"""A case in a file: memory, registers and request, or the bytes of a blob; and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from iommu_abi.fuzz import blobs, judge
from iommu_abi.schemas import build
from iommu_abi.terms import Access, At, Request
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.image import Image
from iommu_abi.worlds.mutate import Case
from iommu_abi.worlds.plans import build_case
from iommu_abi.worlds.world import World
from smoke import cases


def kept(seed: int, index: int, text: str) -> dict[str, Any]:
    """A case by its number, as JSON."""
    attempt, number = divmod(index, len(cases.PLANS))
    plan = cases.PLANS[number]
    found = {"seed": seed, "index": index, "plan": str(plan), "finding": text}
    if isinstance(plan, cases.BlobPlan):
        return found | _blob(cases.blob_of(seed, plan, attempt))
    case, _ = build_case(seed, plan, attempt)
    try:
        return found | _walk(case)
    finally:
        case.image.restore()


def _blob(blob: blobs.Blob) -> dict[str, Any]:
    return {
        "generation": blob.generation,
        "payload": blob.payload,
        "before": blob.before.hex(),
        "data": blob.data.hex(),
        "rule": blob.rule,
    }


def _walk(case: Case) -> dict[str, Any]:
    request = case.request
    return {
        "format": case.world.format,
        "kind": case.world.kind,
        "changed": case.notes,
        "registers": {name: f"{value:#x}" for name, value in case.registers.items()},
        "request": {
            "rid": request.rid,
            "iova": f"{request.iova:#x}",
            "pasid": request.pasid,
            "access": request.access.name,
            "priv": request.priv,
            "at": request.at.name,
        },
        "memory": [_piece(first, bytes(data)) for first, data in case.image.pieces()],
    }


def _piece(first: int, data: bytes) -> dict[str, Any]:
    """A run of memory as its little-endian words that are not 0."""
    words = {at: int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)}
    return {
        "first": f"{first:#x}",
        "size": len(data),
        "words": {f"{first + at:#x}": f"{word:#x}" for at, word in words.items() if word},
    }


def _unpiece(piece: dict[str, Any]) -> tuple[int, bytearray]:
    first = int(piece["first"], 0)
    data = bytearray(piece["size"])
    for address, word in piece["words"].items():
        at = int(address, 0) - first
        room = min(8, len(data) - at)
        data[at : at + room] = int(word, 0).to_bytes(8, "little")[:room]
    return first, data


def load(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """Run a case that was kept: how it ends, and what is wrong with it."""
    found = json.loads(path.read_text())
    if "data" in found:
        data, before = bytes.fromhex(found["data"]), bytes.fromhex(found["before"])
        return blobs.both(blobs.Blob(found["generation"], found["payload"], before, data, found["rule"]))
    case = _case(found)
    answer, problems = judge.ask(case)
    if answer is None:
        return None, problems
    if answer.fault is None:
        return None, problems + judge.claimed(case, answer)[1]
    return str(answer.fault), problems


def _case(found: dict[str, Any]) -> Case:
    asked = found["request"]
    request = Request(
        asked["rid"],
        int(asked["iova"], 0),
        asked["pasid"],
        Access[asked["access"]],
        asked["priv"],
        At[asked["at"]],
    )
    registers = {name: int(value, 0) for name, value in found["registers"].items()}
    world = World(found["format"], found["kind"], registers, build.Memory(), [request])
    image = Image(_unpiece(piece) for piece in found["memory"])
    return Case(FORMATS[world.format].vendor, world, image, Dice(), request, (), registers)
