"""Replaying captures of live guests.

Facts: the counts of fault lines per capture and the departures of QEMU, both from the notes that came
with the captures; the oracles themselves, recorded from running systems.
"""

from __future__ import annotations

import contextlib
import json
import lzma
import shutil

import pytest
from cli_support import CAPTURES, copy_capture, edit_lines, edit_meta, run, sentence
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi import replay
from iommu_abi.errors import Error
from iommu_abi.replay.capture import Line, Meta, _line, load, read_meta
from iommu_abi.schemas import plain_walk
from iommu_abi.terms import Access, Fault, Reason, Request, Stage, Target, Translation
from iommu_abi.vendors import vendor_of
from iommu_abi.walk import kinds

LEGACY, SECOND, PASID = "vtd-legacy-k6.12", "vtd-scalable-ss-k6.12", "vtd-scalable-fs-pasid-k7.2"
AMD = "amd-xtsup-on-k7.2-q11"


def small(name, tmp_path, keep):
    """A capture with the lines that ``keep`` chooses."""
    directory = copy_capture(name, tmp_path)
    path = directory / "oracle.jsonl"
    lines = [text for text in path.read_text().splitlines() if keep(json.loads(text))]
    assert lines
    path.write_text("\n".join(lines))
    return directory


def refused(line):
    """Was a fault logged for this line?"""
    return isinstance(line.get("fault"), dict)


# ---------------------------------------------------------------- the captures


@pytest.mark.parametrize(
    ("name", "total", "explained"),
    [
        ("vtd-legacy-k6.12", 1464, {}),
        ("vtd-legacy39-k6.12", 1547, {}),
        ("vtd-scalable-fs-k6.12", 1577, {}),
        ("vtd-scalable-ss-k6.12", 1587, {"vtd-scalable-second-stage": 33}),
        ("vtd-scalable-fs-pasid-k7.2", 1434, {"vtd-pasid-type-first": 48, "vtd-no-pasid-bound": 48}),
        ("amd-xtsup-on-k7.2-q11", 1375, {}),
        ("riscv-k7.2-q11", 700, {}),
        ("smmuv3-s1-k7.2", 1476, {}),
    ],
)
def test_every_line_of_a_capture_is_matched_or_explained(capsys, name, total, explained):
    done = run(capsys, "replay", CAPTURES / name, "--json")

    found = done.json
    assert done.status == 0
    assert (found["total"], found["mismatched"], found["disagreement"]) == (total, [], [])
    assert found["matched"] + len(found["explained"]) == total
    counts = {}
    for line in found["explained"]:
        counts[line["departure"]] = counts.get(line["departure"], 0) + 1
    assert counts == explained


def test_several_captures_are_added_up_and_each_is_listed(capsys, tmp_path):
    directories = [small(name, tmp_path, lambda line: line["bdf"] == "00:03.0") for name in (LEGACY, SECOND)]

    found = run(capsys, "replay", *directories, "--json").json

    assert [each["capture"] for each in found["captures"]] == [LEGACY, SECOND]
    assert found["total"] == sum(each["total"] for each in found["captures"])
    assert found["matched"] == sum(each["matched"] for each in found["captures"])


def test_text_names_each_departure_once(capsys, tmp_path):
    done = run(capsys, "replay", small(SECOND, tmp_path, refused))

    assert f"{SECOND} (vtd): 33 lines, 0 matched, 33 explained, 0 mismatched" in done.out
    assert done.out.count("vtd-scalable-second-stage") == 1
    assert "0x5 logged where the vendor has 0x79 or 0x85" in done.out


def test_another_image_of_the_same_memory(capsys, tmp_path):
    directory = small(LEGACY, tmp_path, lambda line: line["bdf"] == "00:03.0")
    packed = directory / "sparse.elf.xz"
    other = tmp_path / "memory.elf"
    other.write_bytes(lzma.decompress(packed.read_bytes()))

    assert run(capsys, "replay", directory, "--image", other).status == 0
    packed.rename(tmp_path / "away")
    shutil.copy(other, directory / "sparse.elf")
    assert run(capsys, "replay", directory).status == 0
    (directory / "sparse.elf").rename(directory / "vmcore.elf")
    assert run(capsys, "replay", directory).status == 0
    shutil.copy(other, directory / "second.elf")
    done = run(capsys, "replay", directory)
    assert done.status == 2
    assert "found second.elf vmcore.elf: say which with --image" in sentence(done)


def test_an_image_of_other_memory_does_not_match(capsys, tmp_path):
    directory = small(LEGACY, tmp_path, lambda line: line["pa"] and line["bdf"] == "00:03.0")

    done = run(capsys, "replay", directory, "--image", CAPTURES / SECOND / "sparse.elf.xz", "--json")

    assert done.status == 1
    assert done.json["matched"] == 0


# ---------------------------------------------------------------- planted mismatches


def plant(capsys, directory, edit):
    changed = edit_lines(directory, edit)
    assert changed
    done = run(capsys, "replay", directory, "--json")
    return done, changed


def test_a_wrong_address_is_found(capsys, tmp_path):
    def edit(line):
        if line["pa"] is None or line["iova"] != "0xffffc000" or line["access"] != "read":
            return False
        line["pa"] = hex(int(line["pa"], 16) ^ 0x1000)
        return True

    directory = small(LEGACY, tmp_path, lambda line: line["bdf"] in ("00:03.0", "00:07.0"))
    done, changed = plant(capsys, directory, edit)

    assert done.status == 1
    assert len(done.json["mismatched"]) == changed
    assert done.json["matched"] + changed == done.json["total"]
    line = done.json["mismatched"][0]
    assert int(line["expected"], 16) ^ 0x1000 == int(line["got"], 16)
    text = run(capsys, "replay", tmp_path / LEGACY)
    assert text.status == 1
    assert f"{changed} mismatched" in text.out
    assert "0xffffc000" in text.out


@pytest.mark.parametrize(("name", "key"), [(LEGACY, "reason"), (PASID, "reason"), (AMD, "code")])
def test_a_wrong_code_is_found(capsys, tmp_path, name, key):
    def edit(line):
        line["fault"][key] = 9
        return True

    done, changed = plant(capsys, small(name, tmp_path, refused), edit)

    assert done.status == 1
    assert len(done.json["mismatched"]) == changed
    assert "blocked, 0x9 logged" in {line["expected"] for line in done.json["mismatched"]}


@pytest.mark.parametrize("name", [SECOND, PASID])
@pytest.mark.parametrize("word", ["pagemap", "kernel-map (RID_PASID)", "tag"])
def test_a_departure_never_covers_a_line_that_does_not_rest_on_qemu(capsys, tmp_path, name, word):
    directory = small(name, tmp_path, refused)
    before = run(capsys, "replay", directory, "--json").json

    def edit(line):
        line["how"].append(word)
        return True

    done, _ = plant(capsys, directory, edit)

    assert done.status == 1
    assert done.json["explained"] == []
    assert len(done.json["mismatched"]) == len(before["explained"]) > 0
    assert done.json["matched"] == before["matched"]


def test_a_translation_that_was_refused_and_the_reverse_are_found(capsys, tmp_path):
    directory = small(LEGACY, tmp_path, lambda line: line["bdf"] in ("00:03.0", "00:07.0"))

    def block(line):
        if line["pa"] is None or line["access"] != "read":
            return False
        line["pa"], line["fault"] = None, "blocked, nothing logged"
        return True

    done, changed = plant(capsys, directory, block)
    assert done.status == 1
    assert len(done.json["mismatched"]) == changed

    def pass_(line):
        if line["pa"] is not None:
            return False
        line["pa"] = "0x1000"
        line.pop("fault")
        return True

    done, changed_too = plant(capsys, directory, pass_)
    assert len(done.json["mismatched"]) == changed_too


def test_nothing_logged_matches_an_address_where_no_memory_is(capsys, tmp_path):
    directory = small(LEGACY, tmp_path, lambda line: line["bdf"] == "00:03.0" and line["pa"])

    def edit(line):
        line["pa"], line["fault"] = None, "blocked, nothing logged"
        return True

    done, changed = plant(capsys, directory, edit)
    assert len(done.json["mismatched"]) == changed
    edit_meta(directory, lambda meta: meta.update(ram=[["0x0", "0x1000"], ["0x7fffffff000", "0x1000"]]))
    assert run(capsys, "replay", directory).status == 0
    edit_meta(directory, lambda meta: meta.pop("ram"))  # not said: no excuse
    assert run(capsys, "replay", directory).status == 1


def test_a_logged_fault_is_no_address_where_no_memory_is(capsys, tmp_path):
    directory = small(LEGACY, tmp_path, lambda line: line["bdf"] == "00:03.0" and line["pa"])
    edit_meta(directory, lambda meta: meta.update(ram=[]))

    def edit(line):
        line["pa"], line["fault"] = None, {"reason": 5}
        return True

    done, changed = plant(capsys, directory, edit)

    assert len(done.json["mismatched"]) == changed


@pytest.mark.parametrize(
    ("name", "change"),
    [(LEGACY, {"addr": 0xABC}), (AMD, {"flags": 0, "addr": 7}), (LEGACY, {"later": [1]})],
)
def test_what_is_not_compared_changes_nothing(capsys, tmp_path, name, change):
    directory = small(name, tmp_path, refused)

    def edit(line):
        low = change.get("addr") if name == LEGACY else None
        line["fault"].update(change if low is None else {"addr": line["fault"]["addr"] | low})
        return True

    done, _ = plant(capsys, directory, edit)

    assert done.status == 0


# ---------------------------------------------------------------- lines that no capture here has

META = Meta("vtd", {"RTADDR": 0}, ((0, 0x1000_0000),), ())


def verdict(kind="vtd", *, logged=None, native=None, stage=Stage.S2, how=("replay",), raw=0x1000,
            access=Access.WRITE, answer=None, pa=None):  # fmt: skip
    """judge() of one made-up line."""
    request = Request(rid=0x38, iova=0x20000000, access=access)
    key = vendor_of(kind).code_key
    record = None if logged is None else {key: logged, "sid": 0x38, "addr": 0x20000000}
    if native is not None:
        fault = Fault(Reason.NOT_PRESENT, stage, 0, native, 0, 0x1000, 0x1000, raw)
        answer = Translation(fault=fault)
    line = Line(1, request, "00:07.0", pa, record, how)
    return replay.judge(Meta(kind, META.registers, META.ram, ()), line, answer)


@pytest.mark.parametrize(
    ("logged", "native", "access"),
    [
        (5, 0x79, Access.WRITE), (5, 0x85, Access.WRITE), (6, 0x79, Access.READ), (6, 0x86, Access.READ),
        (4, 0x84, Access.READ), (4, 0x83, Access.WRITE), (0xC, 0x7A, Access.READ), (7, 0x78, Access.WRITE),
    ],
)  # fmt: skip
def test_second_stage_codes_of_qemu_in_scalable_mode(logged, native, access):
    found = verdict(logged=logged, native=native, access=access)

    assert not found.matched
    assert found.departure
    assert found.departure.name == "vtd-scalable-second-stage"


@pytest.mark.parametrize(
    ("logged", "native", "access", "stage"),
    [
        (5, 0x86, Access.WRITE, Stage.S2),
        (5, 0x79, Access.READ, Stage.S2),
        (6, 0x85, Access.READ, Stage.S2),
        (5, 0x85, Access.WRITE, Stage.S1),
        (5, 0x71, Access.WRITE, Stage.S1),
        (0x79, 5, Access.WRITE, Stage.S2),
        (0x51, 0x59, Access.READ, Stage.PASID),
        (0x5B, 0x5A, Access.READ, Stage.PASID),
    ],
)
def test_codes_that_no_departure_explains(logged, native, access, stage):
    found = verdict(logged=logged, native=native, access=access, stage=stage, raw=0)

    assert not found.matched
    assert found.departure is None


def test_the_pasid_departures():
    assert verdict(logged=91, native=0x59, stage=Stage.PASID, raw=0).departure.name == "vtd-pasid-type-first"
    assert verdict(logged=91, native=0x59, stage=Stage.PASID, raw=0x40).departure is None
    for logged in (81, 91):
        assert verdict(logged=logged, native=0x46, stage=Stage.DEVICE).departure.name == "vtd-no-pasid-bound"
    assert verdict(logged=81, native=0x51, stage=Stage.PASID).matched


@pytest.mark.parametrize(("kind", "code"), [("smmuv3", 0x10), ("riscv", 15), ("amdvi", 2)])
def test_each_kind_has_its_key_for_the_vendors_code(kind, code):
    assert verdict(kind, logged=code, native=code).matched
    assert not verdict(kind, logged=code, native=code + 1).matched


def test_answers_without_a_fault():
    memory = Translation(hpa=0x5000, gpa=0x5000, size_lg2=12, access=Access.READ)
    interrupt = Translation(hpa=0xFEE00000, gpa=0xFEE00000, target=Target.INTERRUPT)

    assert verdict(answer=memory, pa=0x5000).matched
    assert not verdict(answer=interrupt, pa=0xFEE00000).matched
    assert verdict(answer=interrupt).matched
    assert not verdict(answer=memory).matched
    assert not verdict(answer=memory, logged=5).matched
    assert verdict(native=0x79).matched
    assert "interrupt" in verdict(answer=interrupt, pa=1).got
    departures = [row for kind in kinds() for row in vendor_of(kind).departures]
    assert departures
    assert all(row.text for row in departures)


# ---------------------------------------------------------------- ledgers


def test_ledgers_that_disagree_are_status_3(capsys, tmp_path, monkeypatch):
    directory = small(LEGACY, tmp_path, lambda line: line["bdf"] == "00:03.0" and line["pa"])
    right = plain_walk.translate

    def wrong(*args):
        answer = right(*args)
        return Translation(answer.hpa + 1, answer.gpa, answer.size_lg2, answer.access, refs=answer.refs)

    monkeypatch.setattr(plain_walk, "translate", wrong)
    done = run(capsys, "replay", directory, "--json")

    assert done.status == 3
    assert len(done.json["disagreement"]) == done.json["total"] == done.json["matched"]
    assert done.json["disagreement"][0]["disagreement"][0]["what"] == "hpa"
    assert "DISAGREEMENT of the ledgers, line 1: hpa" in run(capsys, "replay", directory).out

    def broken(*_):
        raise KeyError("PGTT")

    monkeypatch.setattr(plain_walk, "translate", broken)
    assert run(capsys, "replay", directory).status == 3


# ---------------------------------------------------------------- captures that cannot be used


def test_unknown_keys_and_registers_do_not_hurt(capsys, tmp_path):
    directory = small(LEGACY, tmp_path, lambda line: line["bdf"] == "00:03.0")

    def edit(line):
        line.update(later={"a": [1]}, priv=None)
        return True

    edit_lines(directory, edit)
    edit_meta(directory, lambda meta: meta.update(later=1))
    edit_meta(directory, lambda meta: meta["registers"].update(NEWREG="0x1", IQA=None))

    done = run(capsys, "replay", directory, "--json")
    assert done.status == 0
    assert done.json["ignored_registers"] == ["NEWREG"]
    assert "NEWREG" in run(capsys, "replay", directory).out


def test_numbers_may_be_integers_and_how_a_word(tmp_path):
    directory = small(LEGACY, tmp_path, lambda line: line["iova"] == "0xffffc000" and line["pa"])

    def edit(line):
        line.update(iova=int(line["iova"], 16), pa=int(line["pa"], 16), how="replay", sid=hex(line["sid"]))
        return True

    edit_lines(directory, edit)
    found = load(directory)

    assert {line.how for line in found.lines} == {("replay",)}
    assert {line.request.iova for line in found.lines} == {0xFFFFC000}


@pytest.mark.parametrize("kind", [k for k in ("smmuv3", "riscv", "vax") if k not in kinds()])
def test_kinds_that_are_not_known_yet(capsys, tmp_path, kind):
    directory = copy_capture(LEGACY, tmp_path)
    edit_meta(directory, lambda meta: meta.update(kind=kind))

    done = run(capsys, "replay", directory, "--json")

    assert done.status == 2
    assert f"kind '{kind}' is not known, expected one of: vtd " in sentence(done)


def test_registers_that_are_missing_or_impossible(capsys, tmp_path):
    directory = copy_capture(LEGACY, tmp_path)
    edit_meta(directory, lambda meta: meta["registers"].update(HAW=99))
    assert "meta.json: vtd.HAW: got 99" in sentence(run(capsys, "replay", directory))
    edit_meta(directory, lambda meta: meta["registers"].pop("RTADDR"))
    assert "meta.json: vtd needs RTADDR" in sentence(run(capsys, "replay", directory))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "oracle.jsonl: empty, expected a translation on each line"),
        ("\n\n{", "oracle.jsonl: line 3: not JSON"),
        ("[]", "line 1: got a list, expected an object"),
        ('{"sid": 1}', "line 1: no 'iova'"),
        ('{"sid": 1, "iova": "x"}', "line 1: iova: got 'x', expected a number"),
        ('{"sid": 1, "iova": 1, "access": "fetch"}', "access: got 'fetch', expected one of: read write exec"),
        ('{"sid": 4294967296, "iova": 1, "access": "read"}', "sid: got 4294967296, expected 0 to 0xffffffff"),
        ('{"sid": 1, "iova": 1, "access": "read", "pasid": 1048576}', "pasid: got 1048576"),
        ('{"sid": 1, "iova": 1, "access": "read", "how": [1]}', "how: got [1], expected a list of words"),
        ('{"sid": 1, "iova": 1, "access": "read", "pa": "0xg"}', "pa: got '0xg'"),
    ],
)
def test_oracles_that_are_no_oracles(capsys, tmp_path, text, says):
    directory = copy_capture(LEGACY, tmp_path)
    (directory / "oracle.jsonl").write_text(text)

    done = run(capsys, "replay", directory, "--json")

    assert done.status == 2
    assert says in sentence(done)


@pytest.mark.parametrize("name", ["meta.json", "oracle.jsonl", "sparse.elf.xz"])
def test_files_that_are_missing_empty_or_damaged(capsys, tmp_path, name):
    for i, damage in enumerate((lambda p: p.unlink(), lambda p: p.write_bytes(b""),
                                lambda p: p.write_bytes(b"\xfd7zXZ\0\xff\xff"))):  # fmt: skip
        directory = copy_capture(LEGACY, tmp_path / str(i))
        damage(directory / name)

        done = run(capsys, "replay", directory)

        assert done.status == 2
        assert str(directory) in sentence(done)


def test_one_image_for_several_captures_is_misuse(capsys):
    done = run(capsys, "replay", CAPTURES / LEGACY, CAPTURES / SECOND, "--image", "x")

    assert done.status == 2
    assert "--image goes with one capture" in sentence(done)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.just([]), st.just({}), st.floats()
)
KEYS = ("sid", "bdf", "pasid", "iova", "access", "pa", "how", "fault")


@given(st.sampled_from(KEYS), JUNK, st.booleans())
def test_damaged_lines_are_judged_or_refused(key, junk, in_record):
    text = {"sid": 56, "bdf": "00:07.0", "pasid": None, "iova": "0x20000000", "access": "write", "pa": None,
            "how": ["replay"], "fault": {"addr": 0x20000000, "sid": 56, "reason": 5, "read": 0}}  # fmt: skip
    if in_record:
        text["fault"][{"sid": "sid", "bdf": "addr", "pasid": "read"}.get(key, "reason")] = junk
    else:
        text[key] = junk

    with contextlib.suppress(Error):
        line = _line(json.dumps(text), 1, "test")
        found = replay.judge(META, line, Translation(fault=Fault(Reason.DENIED, Stage.S2, 0, 5, 0)))
        assert found.expected


@given(st.sampled_from(["kind", "registers", "ram", "edits"]), JUNK)
def test_damaged_meta_is_read_or_refused(key, junk):
    text = {"kind": "vtd", "registers": {"RTADDR": "0x1000", "base": "0x0"}, "ram": [["0x0", "0x1000"]]}

    with contextlib.suppress(Error):
        assert read_meta(json.dumps(text | {key: junk}), "test").kind == "vtd"
