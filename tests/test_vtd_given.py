"""VT-d by the text of revision 5.10 and by what VirtualBox's model had that we had not: given cases.

``data/models/vtd.json``: of 440,000 requests at VirtualBox's model, and readings of the text; ``why`` is the
section. ``data/models/vtd_registers.json``: images whose registers no key of a conformance case can state;
``required`` and ``section`` are the text's. ``data/conformance_*_text.json``: conformance cases of revisions
5.10 and 2.5. ``want`` restates what these require.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ledgers import Remembered, ask_both

from iommu_abi import conform
from iommu_abi.conform import vtd
from iommu_abi.conform.sparse import SparseMemory
from iommu_abi.inputs import Record
from iommu_abi.terms import Access, At, Request, Translation

DATA = Path(__file__).parent / "data"
MODELS = json.loads((DATA / "models" / "vtd.json").read_text())
REGISTERS = json.loads((DATA / "models" / "vtd_registers.json").read_text())

NAMES = {"read": Access.READ, "write": Access.WRITE, "exec": Access.EXEC}
REV_5_10 = 0x50A
DIRTY = {"S1": 1 << 6, "S2": 1 << 9}  # 9.7, 9.8


def number(text: str | int) -> int:
    return text if isinstance(text, int) else int(text, 16)


def ask(case: Mapping[str, Any]) -> Translation:
    """The answer of both ledgers at 5.10; what is not stated of memory is 0, at any address."""
    asked = case["request"]
    request = Request(
        rid=number(asked["rid"]),
        iova=number(asked["iova"]),
        pasid=asked["pasid"],
        access=NAMES[asked["access"]],
        priv=asked["priv"],
        at=At[asked["at"].upper()],
    )
    words = tuple((number(at), number(word)) for at, word in case["memory"])
    registers = {name: number(value) for name, value in case["registers"].items()}
    return ask_both("vtd", registers | {"REV": REV_5_10}, Remembered(SparseMemory.of(words).read), request)


def facts(answer: Translation) -> dict[str, Any]:
    """An answer by the keys of ``want``."""
    if (fault := answer.fault) is not None:
        return {"reason": fault.reason.name, "native": fault.native, "recorded": fault.recorded}
    pages = [ref for ref in answer.refs if ref.stage.name in DIRTY and not ref.level]
    return {
        "target": answer.target.name,
        "size_lg2": answer.size_lg2,
        "dirty": [x.stage.name for x in pages if (x.raw ^ x.updated) & DIRTY[x.stage.name]],
    }


@pytest.mark.parametrize("case", MODELS, ids=lambda case: str(case["n"]))
def test_where_virtualbox_or_the_text_differed_from_us_we_do_as_the_text_says(case: dict[str, Any]) -> None:
    got = facts(ask(case))

    assert case["want"]
    assert {key: got.get(key) for key in case["want"]} == case["want"]


@pytest.mark.parametrize("case", REGISTERS, ids=lambda case: case["id"])
def test_images_that_need_registers_are_answered_as_the_text_requires(case: dict[str, Any]) -> None:
    got = facts(ask(case))

    assert ("native" in case["want"]) == ("native" in got)
    assert {key: got.get(key) for key in case["want"]} == case["want"]


@pytest.mark.parametrize("name", ["conformance_vtd_text", "conformance_ecs_text"])
def test_the_cases_of_the_texts_pass_and_the_ledgers_agree(name: str) -> None:
    cases = conform.read_cases((DATA / f"{name}.json").read_text(), name)

    verdicts = [conform.run(case) for case in cases]

    assert len(verdicts) == {"conformance_vtd_text": 65, "conformance_ecs_text": 31}[name]
    assert [case.id for case, verdict in zip(cases, verdicts, strict=True) if not verdict.passed] == []
    assert [verdict for verdict in verdicts if verdict.differences or verdict.notes] == []


@pytest.mark.parametrize(("rev", "number_"), [("5.10", 0x50A), ("2.5", 0x205), ("4.0", 0x400)])
def test_the_key_rev_is_a_revision(rev: str, number_: int) -> None:
    config = Record({"root": "0x1000", "mgaw": 48, "ttm": 1, "rev": rev}, "here")

    assert vtd.registers(config)["REV"] == number_
