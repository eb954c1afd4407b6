"""Explanations: each entry with its meaning, in the order of the walk, and what the ledgers say.

Facts: bit positions of VT-d 4.x chapter 9 in hand-made entries; the order and number of entries of a
nested walk (4 levels under 4 levels: 24 references, the PASID and device tables apart).
"""

from __future__ import annotations

import pytest
from cli_support import CAPTURES, run

from iommu_abi import Memory, Request, Unit, ledgers
from iommu_abi.explain import explain
from iommu_abi.schemas import build, in_words, plain_walk
from iommu_abi.schemas.vtd_entries import CAP, ECAP
from iommu_abi.terms import Access, Fault, Purpose, Reason, Ref, Stage, Translation

RID, PASID, IOVA = 0x10, 5, 0x12_3456_7000
BASE = 0x10_0000
REGISTERS = {
    "CAP": CAP.value(ND=6, MGAW=47, SAGAW=0b100, SLLPS=3, FL1GP=1),
    "ECAP": ECAP.value(SC=1, PT=1, NEST=1, SRS=1, ERS=1, PASID=1, SMTS=1, SLTS=1, FLTS=1, PSS=19, SMPWCS=1),
}


class World:
    """A device under nested translation, and its memory as a raw image."""

    def __init__(self, accessed=True):
        self.host = build.Memory()
        self.second = build.VtdSecondStage(self.host, 4)
        guest = build.Guest(self.host, self.second)
        self.first = build.VtdFirstStage(guest, 4, accessed=accessed)
        self.page = guest.page()
        self.first.map(IOVA, self.page)
        self.vtd = build.VtdScalable(self.host)
        self.vtd.context(RID)
        self.vtd.pasid(RID, PASID, self.first, self.second, WPE=1, NXE=1)

    @property
    def unit(self):
        return Unit("vtd", REGISTERS | self.vtd.registers)

    def image(self):
        """All of memory, which begins at BASE and has no gaps."""
        ((first, found),) = self.host.runs()
        assert first == BASE
        return found

    def memory(self):
        memory = Memory()
        memory.map(BASE, self.image())
        return memory

    def explain(self, **changes):
        request = Request(**{"rid": RID, "iova": IOVA, "pasid": PASID} | changes)
        return explain(self.unit, self.memory(), request)


@pytest.fixture
def world():
    return World()


def test_each_stage_1_entry_has_its_own_stage_2_walk(world):
    explained = world.explain()

    assert explained.answer.ok
    assert explained.differences == ()
    first = explained.stage(Stage.S1)
    assert [step.ref.level for step in first] == [3, 2, 1, 0]
    for step in first:
        assert [inner.ref.level for inner in step.through] == [3, 2, 1, 0]
        assert {inner.ref.purpose for inner in step.through} == {Purpose.S1_ENTRY}
        assert {inner.ref.for_level for inner in step.through} == {step.ref.level}
    assert [step.ref.level for step in explained.stage(Stage.S2)] == [3, 2, 1, 0]
    assert all(not step.through for step in explained.stage(Stage.S2))
    nested = sum(1 + len(step.through) for step in (*first, *explained.stage(Stage.S2)))
    assert nested == 24
    assert len(explained.stage(Stage.DEVICE)) == len(explained.stage(Stage.PASID)) == 2


def test_entries_have_the_vendors_names_and_values(world):
    explained = world.explain()
    entry = explained.stage(Stage.PASID)[1].entry

    assert "PASID" in entry.name
    assert entry["PGTT"].value == 3
    assert entry["PGTT"].remark == "nested"
    assert entry["FLPTPTR"].value == world.first.entry(IOVA, 3) & ~0xFFF
    leaf = explained.stage(Stage.S1)[-1].entry
    assert leaf["ADDR"].value == world.page


def test_flags_that_hardware_would_set_are_listed():
    explained = World(accessed=False).explain(access=Access.WRITE)

    assert [step.sets for step in explained.stage(Stage.S1)] == [("A",), ("A",), ("A",), ("A", "D")]
    leaf = explained.stage(Stage.S1)[-1].ref
    assert leaf.updated ^ leaf.raw == 0x60


def test_a_stage_2_walk_for_an_entry_that_is_never_read_is_kept_apart(world):
    world.host.store(world.second.entry(world.first.entry(IOVA, 1), 0), 0)

    explained = world.explain()

    assert explained.answer.fault.purpose is Purpose.S1_ENTRY
    assert [step.ref.level for step in explained.stage(Stage.S1)] == [3, 2]
    assert [step.ref.level for step in explained.wanted] == [3, 2, 1, 0]
    assert [step.stopped for step in explained.wanted] == [False, False, False, True]


def shown(capsys, world, tmp_path, *words):
    """What translate --explain prints of a world."""
    image = tmp_path / "image"
    image.write_bytes(world.image())
    registers = [w for k, v in world.unit.registers.items() for w in ("--reg", f"{k}={v:#x}")]
    return run(
        capsys, "translate", image, "--base", BASE, "--iommu", "vtd", *registers,
        "--rid", "00:02.0", "--iova", IOVA, "--pasid", PASID, "--explain", *words,
    )  # fmt: skip


def test_the_tree_is_readable_at_80_columns(capsys, tmp_path, world, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = shown(capsys, world, tmp_path)

    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert "\x1b" not in done.out
    for words in (
        "device tables", "PASID tables", f"stage 1 of IOVA {IOVA:#x}", f"stage 2 of GPA {world.page:#x}",
        f"stage 2 of GPA {world.first.entry(IOVA, 2):#x}, where the next entry lies",
        "PGTT=3 (nested)", "-> HPA", "effective rights", "both ledgers agree, 28 entries read",
    ):  # fmt: skip
        assert words in done.out
    order = [done.out.index(f"stage 2 of GPA {world.first.entry(IOVA, n):#x}") for n in (3, 2, 1, 0)]
    assert order == sorted(order)


def test_the_tree_shows_flags_and_where_the_walk_stops(capsys, tmp_path):
    world = World(accessed=False)
    assert "hardware sets A D: 0x" in shown(capsys, world, tmp_path, "--access", "write").out
    world.host.store(world.second.entry(world.first.entry(IOVA, 1), 0), 0)

    done = shown(capsys, world, tmp_path)

    assert done.status == 1
    assert "to read a stage-1 entry of level 1" in done.out
    assert done.out.index("the walk stops here") > done.out.index("stage 1 of IOVA")
    assert "blocked: not present: stage 2 level 0" in done.out
    assert "VT-d fault reason 0x79" in " ".join(done.out.split())


def test_ascii_terminals_get_ascii(monkeypatch):
    from cli_support import process

    capture = CAPTURES / "vtd-legacy-k6.12"
    words = ("translate", capture / "sparse.elf.xz", "--config", capture / "meta.json")

    done = process(*words, "--rid", "00:03.0", "--iova", "0xffffc000", "--explain", PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert done.stdout.isascii()


def test_the_trace_in_json(capsys, tmp_path, world):
    found = shown(capsys, world, tmp_path, "--json").json

    assert found["agree"] is True
    assert found["disagreement"] == []
    trace = found["trace"]
    assert len(trace) == 28  # 2 device, 2 PASID, 24
    assert [each["stage"] for each in trace[:4]] == ["device", "device", "pasid", "pasid"]
    assert [each["stage"] for each in trace[4:9]] == ["s2", "s2", "s2", "s2", "s1"]
    assert trace[8]["gpa"] == hex(world.first.entry(IOVA, 3))
    assert trace[8]["hpa"] != trace[8]["gpa"]
    assert {"name": "P", "bits": [0, 0], "value": "0x1", "meaning": "present"} in trace[8]["fields"]


@pytest.mark.parametrize(
    ("capture", "rid", "iova", "kinds"),
    [
        ("vtd-legacy-k6.12", "00:03.0", "0xffffc000", ["root entry", "context entry", "second-stage PML4E"]),
        ("amd-xtsup-on-k7.2-q11", "00:03.0", "0xffffc000", ["device table entry", "v1 "]),
        (
            "smmuv3-s1-k7.2",
            "00:03.0",
            "0xffffa000",
            ["L1STD", "STE", "CD", "stage-1 level 3 page descriptor"],
        ),
    ],
)
def test_explanations_of_real_tables(capsys, capture, rid, iova, kinds):
    directory = CAPTURES / capture
    done = run(
        capsys, "translate", directory / "sparse.elf.xz", "--config", directory / "meta.json", "--rid", rid,
        "--iova", iova, "--explain",
    )  # fmt: skip

    assert done.status == 0
    for kind in kinds:
        assert kind in done.out
    assert "both ledgers agree" in done.out


# ---------------------------------------------------------------- ledgers that differ


def test_a_disagreement_is_shown_with_both_and_is_status_3(capsys, tmp_path, world, monkeypatch):
    right = plain_walk.translate

    def wrong(*args):
        answer = right(*args)
        first, *rest = answer.refs
        changed = Ref(first.stage, first.level, first.gpa, first.hpa, first.raw ^ 1, first.updated)
        return Translation(0x1234, answer.gpa, 21, Access.READ, refs=(changed, *rest))

    monkeypatch.setattr(plain_walk, "translate", wrong)

    done = shown(capsys, world, tmp_path)
    assert done.status == 3
    assert "DISAGREEMENT" in done.out
    assert "0x1234" in done.out
    found = shown(capsys, world, tmp_path, "--json")
    assert found.status == 3
    assert found.json["agree"] is False
    assert {d["what"] for d in found.json["disagreement"]} == {"hpa", "size_lg2", "access", "refs[0].raw"}


def test_entries_that_the_plain_ledger_cannot_name_are_a_disagreement(capsys, tmp_path, world, monkeypatch):
    def broken(*_):
        raise KeyError("no such entry")

    monkeypatch.setattr(in_words, "explain", broken)

    done = shown(capsys, world, tmp_path)

    assert done.status == 3
    assert "the plain ledger cannot name these entries" in done.out


FAULT = Fault(Reason.NOT_PRESENT, Stage.S2, 1, 0x79, 0x1000, 0x2000, 0x3000, 0)
REF = Ref(Stage.S1, 0, 1, 2, 3, 3)


@pytest.mark.parametrize(
    ("fast", "slow", "what"),
    [
        (Translation(1), Translation(2), ["hpa"]),
        (Translation(gpa=1, detail=1), Translation(), ["gpa", "detail"]),
        (Translation(fault=FAULT), Translation(), ["fault"]),
        (Translation(fault=FAULT), Translation(fault=Fault(FAULT.reason, FAULT.stage, 2, 0x78, 0x1000)),
         ["fault.level", "fault.native", "fault.entry_gpa", "fault.entry_hpa", "fault.raw"]),
        (Translation(refs=(REF,)), Translation(), ["number of refs"]),
        (Translation(refs=(REF, REF)), Translation(refs=(REF, Ref(Stage.S1, 0, 1, 2, 3, 0x23))),
         ["refs[1].updated"]),
        (Translation(refs=(REF,)), Translation(refs=(REF,)), []),
    ],
)  # fmt: skip
def test_answers_are_compared_in_every_field(fast, slow, what):
    assert [d.what for d in ledgers.compare(fast, slow)] == what


def test_every_field_of_the_answers_is_compared():
    from dataclasses import fields, replace

    changed = {"reason": Reason.DENIED, "stage": Stage.S1, "purpose": Purpose.S1_ENTRY, "recorded": False}
    for f in fields(Fault):
        other = replace(FAULT, **{f.name: changed.get(f.name, 99)})
        assert [d.what for d in ledgers.compare(Translation(fault=FAULT), Translation(fault=other))] == [
            f"fault.{f.name}"
        ]
    for f in fields(Ref):
        other = replace(REF, **{f.name: {"stage": Stage.S2, "purpose": Purpose.S1_ENTRY}.get(f.name, 99)})
        assert [d.what for d in ledgers.compare(Translation(refs=(REF,)), Translation(refs=(other,)))] == [
            f"refs[0].{f.name}"
        ]
