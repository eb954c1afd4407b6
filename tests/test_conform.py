"""Conformance cases: the cases, and that a wrong expectation is noticed.

Facts: the cases of ``conformance_cases.json``, and the meaning of their keys: register bits, values
assumed when a key is absent, which keys must match.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections import Counter

import pytest
from cli_support import CASES, DATA, run, sentence
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi import conform
from iommu_abi.conform import amdvi, riscv, smmuv3, vtd
from iommu_abi.conform.sparse import SparseMemory
from iommu_abi.conform.verdict import ALTERNATIVES, MUST
from iommu_abi.errors import Error
from iommu_abi.inputs import Record, is_number
from iommu_abi.schemas import plain_walk
from iommu_abi.terms import Access, At, Fault, Reason, Stage, Translation

EVERY = json.loads(CASES.read_text())["cases"]
TEXT = json.loads((DATA / "conformance_smmuv3_text.json").read_text())["cases"]
COUNTS = Counter(each["format"] for each in EVERY)


def case(case_id):
    return copy.deepcopy(next(each for each in EVERY if each["id"] == case_id))


def verdict(data):
    return conform.run(conform.read_cases(json.dumps([data]), "test")[0])


@pytest.fixture
def file(tmp_path):
    """Writes cases to a file."""

    def write(*cases):
        path = tmp_path / "cases.json"
        path.write_text(json.dumps({"meta": {}, "cases": cases}))
        return path

    return write


# ---------------------------------------------------------------- the cases


def test_every_case_of_every_format_passes_and_the_ledgers_agree(capsys):
    done = run(capsys, "conform", CASES, "--json")

    found = done.json
    assert done.status == 0
    assert (found["failed"], found["notes"], found["disagreement"], found["unsupported"]) == ([], [], [], [])
    assert found["passed"] == found["total"] == len(EVERY)


def test_smmuv3_answers_what_arms_text_says(capsys):
    """86 cases from IHI 0070 G.b and DDI 0487 M.a.a, with their sections."""
    found = run(capsys, "conform", DATA / "conformance_smmuv3_text.json", "--json").json

    assert (found["passed"], found["failed"], found["disagreement"]) == (86, [], [])


@pytest.mark.parametrize("oas", [32, 36, 40, 42, 44, 48, 52])
def test_a_version_says_how_wide_smmuv3_addresses_are(oas):
    """IDR5.OAS of 52 bits is not in SMMUv3.0 (Arm IHI 0070, 6.3.6)."""
    data = next(each for each in TEXT if each["id"] == "smmu-text-bypass-top")
    for version in ("3.0", "3.1", "3.4"):
        width = min(oas, 48) if version == "3.0" else oas
        data = copy.deepcopy(data)
        data["config"] |= {"oas": oas, "ias": oas, "ver": version}
        last = hex((1 << width) - 1)
        data["input"]["ia"], data["expect"] = last, {"result": "ok", "hpa": last}
        assert verdict(data).passed
        data["input"]["ia"], data["expect"] = hex(1 << width), {"result": "fault", "code": "0x11", "s2": 0}
        assert verdict(data).passed


def test_what_smmuv3_does_not_model_is_no_abort_and_no_event():
    """STE.S2AA64=0 in a unit with VMSAv8-32 tables (IAS above OAS says it has them)."""
    data = copy.deepcopy(next(each for each in TEXT if each["id"] == "smmu-text-eats3-s2"))
    data["config"] |= {"oas": 36, "ias": 40}
    for word in data["memory"]:
        if word["hpa"] == "0x1150":
            word["qword"] = hex(int(word["qword"], 0) & ~(1 << 51))

    assert verdict(data).got == {"result": "not modelled", "code": 0, "recorded": False, "event": None}


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_formats_can_be_chosen(capsys, name):
    found = run(capsys, "conform", CASES, "--format", name, "--json").json

    assert (found["total"], found["passed"], found["unsupported"]) == (COUNTS[name], COUNTS[name], [])


UNKNOWN = {"id": "x", "format": "imaginary", "config": {}, "input": {}, "expect": {"result": "ok"}}


def test_text_has_a_row_per_format(capsys, file):
    done = run(capsys, "conform", file(case("vtd-sm-fs"), case("amd-v0"), UNKNOWN))

    assert done.status == 0
    assert "3 cases: 2 passed, 0 failed, 1 unsupported" in done.out
    assert "unsupported" in done.out


def test_cases_may_come_from_standard_input_and_as_a_list(capsys, monkeypatch):
    text = json.dumps([case("amd-v0"), case("smmu-bind")]).encode()

    done = run(capsys, "conform", "-", "--json", stdin=text, monkeypatch=monkeypatch)

    assert (done.status, done.json["passed"]) == (0, 2)


def test_ids_and_titles_do_not_matter(capsys, file):
    ours = copy.deepcopy(EVERY)
    for i, each in enumerate(ours):
        each.update(id=f"x{i % 3}", title="", source="", confidence="", checked_by="")
        each.pop("title")

    found = run(capsys, "conform", file(*ours), "--json").json

    assert found["passed"] == len(ours)


# ---------------------------------------------------------------- a wrong expectation fails


@pytest.mark.parametrize("data", EVERY, ids=lambda c: c["id"])
def test_every_key_that_must_match_is_compared(data):
    for key, right in data["expect"].items():
        if key not in MUST or right is None:
            continue
        wrong = copy.deepcopy(data)
        if key == "result":
            wrong["expect"][key] = "ok" if right != "ok" else "fault"
        elif isinstance(right, bool):
            wrong["expect"][key] = not right
        elif isinstance(right, str) and not is_number(right):
            wrong["expect"][key] = "another"
        else:
            wrong["expect"][key] = hex(int(str(right), 0) + 1)
            for other in ALTERNATIVES.values():
                wrong["expect"].pop(other, None)
        assert not verdict(wrong).passed, (key, wrong["expect"])


def test_a_failure_is_listed_with_what_was_expected_and_got(capsys, file):
    good, bad = case("vtd-sm-fs"), case("vtd-legacy-root-np")
    bad["expect"]["code"] = "0x2"

    done = run(capsys, "conform", file(good, bad), "--json")
    text = run(capsys, "conform", file(good, bad))

    assert (done.status, text.status) == (1, 1)
    assert done.json["passed"] == 1
    assert done.json["failed"] == [
        {
            "id": "vtd-legacy-root-np",
            "expected": {"result": "fault", "code": "0x2"},
            "got": {"result": "fault", "code": "0x1", "recorded": True},
        }
    ]
    assert "failed: vtd-legacy-root-np" in text.out


def test_either_code_will_do_and_null_is_any_code():
    data = case("vtd-sm-ss-limit")
    first, second = data["expect"]["code"], data["expect"]["code_alt"]

    for code, alternative in ((first, second), (second, first)):
        data["expect"].update(code=code, code_alt=alternative)
        assert verdict(data).passed
    data["expect"].update(code="0x1", code_alt="0x2")
    assert not verdict(data).passed
    data["expect"].update(code=None)
    assert verdict(data).passed
    allowed = case("vtd-ecs-nest")
    allowed["expect"] = {"result": "ok", "code": None}
    assert not verdict(allowed).passed


def test_what_should_match_is_noted_and_fails_nothing(capsys, file):
    data = next(copy.deepcopy(each) for each in EVERY if "r" in each["expect"])
    data["expect"]["w"] = 1 - data["expect"]["w"]

    done = run(capsys, "conform", file(data), "--json")

    assert (done.status, done.json["passed"]) == (0, 1)
    assert [note["key"] for note in done.json["notes"]] == ["w"]
    assert f"note: {data['id']}: w should be" in run(capsys, "conform", file(data)).out


def test_a_fault_that_is_not_recorded_is_told_from_one_that_is():
    data = case("vtd-legacy-root-np")
    data["memory"][0]["qword"] = "0x2001"  # the root entry is present
    context = next(word for word in data["memory"] if word["hpa"] == "0x2100")
    context["qword"] = "0x10003"  # FPD
    data["memory"] = [word for word in data["memory"] if word["hpa"] != "0x10008"]  # PML4E[1]
    data["expect"] = {"result": "fault", "code": "0x6", "recorded": False}

    assert verdict(data).passed
    context["qword"] = "0x10001"
    assert not verdict(data).passed
    data["expect"]["recorded"] = True
    assert verdict(data).passed


def test_an_interrupt_is_no_result_of_a_case():
    data = case("vtd-sm-fs")
    data["input"].update(iova="0xfee00000", access="write")
    data["input"].pop("pasid")
    data["expect"] = {"result": "ok", "hpa": "0xfee00000"}

    found = verdict(data)

    assert not found.passed
    assert found.got == {"result": "interrupt"}


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("root", ["0x11000", "0x7ffffffff000", "0xffffffffff000"])
def test_memory_that_is_not_listed_reads_as_zeros_wherever_it_is(root):
    data = case("vtd-sm-fs")
    data["config"]["haw"] = 52
    entry = next(word for word in data["memory"] if word["hpa"] == "0x21150")
    entry["qword"] = root  # FLPTPTR
    data["expect"] = {"result": "fault", "code": "0x71"}

    assert verdict(data).passed


def test_sparse_memory_is_the_same_for_both_ledgers():
    sparse = SparseMemory.of(((0xFFC, 0x1122334455667788), (0x5000, 1)))

    assert sparse.read(0xFFC, 8) == sparse.memory.read(0xFFC, 4) + sparse.memory.read(0x1000, 4)
    assert sparse.read(0x7FFE, 4) == bytes(4)
    assert sparse.memory.read(0x7000, 8) is None
    assert sparse.add_zeros(0x7008)
    assert not sparse.add_zeros(0x7010)
    assert sparse.memory.read(0x7000, 8) == bytes(8)


# ---------------------------------------------------------------- configuration


def config(**changes):
    base = {"root": "0x1000", "haw": 46, "mgaw": 48, "ttm": 0}
    return Record({k: v for k, v in (base | changes).items() if v is not None}, "config")


@pytest.mark.parametrize(
    ("changes", "register", "mask", "value"),
    [
        ({}, "RTADDR", ~0, 0x1000),
        ({"ttm": 1}, "RTADDR", ~0, 0x1400),
        ({"ttm": "ECS (RTT=1)"}, "RTADDR", ~0, 0x1800),
        ({"haw": None}, "HAW", ~0, 52),
        ({}, "CAP", 0x3F << 16, 47 << 16),
        ({"mgaw": 39}, "CAP", 0x1F << 8, 2 << 8),
        ({"mgaw": 48}, "CAP", 0x1F << 8, 6 << 8),
        ({"mgaw": 57}, "CAP", 0x1F << 8, 14 << 8),
        ({"sagaw": "0x4"}, "CAP", 0x1F << 8, 4 << 8),
        ({}, "CAP", 0xF << 34, 3 << 34),
        ({"sllps": 1}, "CAP", 0xF << 34, 1 << 34),
        ({}, "CAP", 1 << 56 | 1 << 60, 1 << 56),
        ({"FL1GP": 0, "FL5LP": 1}, "CAP", 1 << 56 | 1 << 60, 1 << 60),
        ({}, "ECAP", 1 << 2 | 1 << 6 | 1 << 7, 1 << 2 | 1 << 6 | 1 << 7),
        ({"SC": 0, "DT": 0, "PT": 0}, "ECAP", 1 << 2 | 1 << 6 | 1 << 7, 0),
        ({}, "ECAP", 1 << 24 | 1 << 49, 0),
        ({"ecs": 1, "RPS": 1}, "ECAP", 1 << 24 | 1 << 49, 1 << 24 | 1 << 49),
        ({}, "ECAP", 1 << 26 | 1 << 30 | 1 << 31, 1 << 26 | 1 << 30 | 1 << 31),
        ({"NEST": 0, "ERS": 0, "SRS": 0}, "ECAP", 1 << 26 | 1 << 30 | 1 << 31, 0),
        ({}, "ECAP", 0x1F << 35 | 1 << 40, 19 << 35 | 1 << 40),
        ({}, "GSTS", ~0, 1 << 31),
    ],
)
def test_vtd_configuration_becomes_registers(changes, register, mask, value):
    assert vtd.registers(config(**changes))[register] & mask == value


@pytest.mark.parametrize(("hats", "field"), [(4, 0), (5, 1), (6, 2)])
def test_amd_levels_become_hats(hats, field):
    registers = amdvi.registers(Record({"devtab": "0x1000", "hats": hats}, "config"))

    assert registers["EXT_FEATURES"] >> 10 & 3 == field
    assert registers["DEVTAB_BASE"] == 0x11FF
    assert registers["CONTROL"] & 1


@pytest.mark.parametrize(
    ("changes", "register", "mask", "value"),
    [
        ({}, "STRTAB_BASE", ~0, 0x1000),
        ({}, "STRTAB_BASE_CFG", ~0, 4),
        ({"fmt": "2level", "split": 6, "log2size": 8}, "STRTAB_BASE_CFG", ~0, 1 << 16 | 6 << 6 | 8),
        ({}, "IDR0", 0b11 | 3 << 2, 0b11 | 2 << 2),  # S2P, S1P; TTF
        ({"oas": 32, "ias": 40}, "IDR0", 3 << 2, 3 << 2),
        ({"oas": 32, "ias": 32}, "IDR0", 3 << 2, 2 << 2),
        ({}, "IDR0", 1 << 12 | 1 << 18 | 1 << 19, 1 << 12 | 1 << 18 | 1 << 19),  # ASID16, VMID16, CD2L
        ({"ssidsize": 5}, "IDR1", 0x7FF, 5 << 6 | 32),
        ({}, "IDR3", 1 << 2, 1 << 2),  # HAD
        ({}, "IDR5", ~0, 0x75),
        ({"oas": 44}, "IDR5", 7, 4),
        ({}, "AIDR", ~0, 1),
        ({}, "CR0", ~0, 5),
        ({}, "CR2", ~0, 2),
    ],
)
def test_smmuv3_configuration_becomes_registers(changes, register, mask, value):
    base = {
        "strtab": "0x1000",
        "fmt": "linear",
        "log2size": 4,
        "oas": 48,
        "ias": 48,
        "ssidsize": 20,
        "ver": "3.1",
    }

    assert smmuv3.registers(Record(base | changes, "config"))[register] & mask == value


@pytest.mark.parametrize(
    ("changes", "register", "mask", "value"),
    [
        ({}, "DDTP", ~0, 0x402),
        ({}, "CAPABILITIES", 0xFF | 3 << 28 | 0x3F << 32, 0x10 | 2 << 28 | 46 << 32),  # version, IGS, PAS
        ({}, "CAPABILITIES", 0xF << 8 | 0xF << 16, 0xF << 8 | 0xF << 16),
        ({"sv": "39"}, "CAPABILITIES", 0xF << 8 | 0xF << 16, 1 << 9),
        ({"sv": "32,39 and x4"}, "CAPABILITIES", 0xF << 8 | 0xF << 16, 3 << 8 | 3 << 16),
        ({"pd": "8,20"}, "CAPABILITIES", 7 << 38, 5 << 38),
        ({}, "CAPABILITIES", 1 << 15, 1 << 15),
        ({}, "CAPABILITIES", 0xF << 21, 0),
        ({"msi_flat": 1, "amo_hwad": 1}, "CAPABILITIES", 0xF << 21, 0xF << 21),
        ({"svpbmt": 0, "ats": 0, "t2gpa": 0}, "CAPABILITIES", 1 << 15 | 3 << 25, 0),
        ({"gxl": 1}, "FCTL", ~0, 1 << 2),
        ({"gxl_writeable": 1}, "GXL_WRITABLE", ~0, 1),
    ],
)
def test_riscv_configuration_becomes_registers(changes, register, mask, value):
    base = {
        "ddtp": "0x402", "msi_flat": 0, "amo_hwad": 0, "svpbmt": 1, "gxl": 0, "gxl_writeable": 0, "ats": 1,
        "t2gpa": 1, "pd": "8,17,20", "sv": "32,39,48,57 and x4",
    }  # fmt: skip

    assert riscv.registers(Record(base | changes, "config"))[register] & mask == value


def test_words_of_a_configuration_that_nobody_knows_are_refused():
    for key, word in (("sv", "33"), ("pd", "9")):
        config = {
            "ddtp": 2,
            "msi_flat": 0,
            "amo_hwad": 0,
            "svpbmt": 1,
            "gxl": 0,
            "gxl_writeable": 0,
            "ats": 1,
        }
        with pytest.raises(Error, match=f"{key}: got '{word}'"):
            riscv.registers(Record(config | {"t2gpa": 1, "pd": "8", "sv": "39"} | {key: word}, "config"))
    with pytest.raises(Error, match="oas: got 47"):
        smmuv3.registers(Record({"oas": 47, "log2size": 4, "ssidsize": 0}, "config"))


def test_an_abort_has_no_event_and_a_stage_2_fault_its_class():
    """Arm IHI 0070, 7.3: an event has S2 and CLASS; Config 0xx ends a transaction without one."""
    abort = Fault(Reason.ABORTED, Stage.DEVICE, 0, 0, 0, recorded=False)
    permission = Fault(Reason.DENIED, Stage.S2, 0, 0x13, 0, detail=1 | 1 << 1)

    form = smmuv3.FORMATS["smmuv3"]
    assert form.words(Translation(fault=abort)).items() >= {"result": "abort", "event": None}.items()
    found = form.words(Translation(fault=permission))
    assert found.items() >= {"result": "fault", "code": 0x13, "event": 0x13, "s2": 1, "cls": "TT"}.items()


def test_input_becomes_a_request():
    asked = {"bus": 1, "devfn": "0x90", "iova": "0x1000", "access": "exec", "pasid": 0, "priv": 1,
             "at": "translation_request"}  # fmt: skip

    request = vtd.request(Record(asked, "input"))

    assert (request.rid, request.iova, request.pasid) == (0x190, 0x1000, 0)
    assert (request.access, request.priv, request.at) == (Access.EXEC, True, At.TRANSLATION)
    plain_one = amdvi.request(Record({"devid": "0x10", "iova": 5, "access": "read"}, "input"))
    assert (plain_one.rid, plain_one.pasid, plain_one.at) == (0x10, None, At.UNTRANSLATED)


@pytest.mark.parametrize(
    ("part", "changes", "says"),
    [
        ("config", {"mgaw": 0}, "mgaw: does not fit CAP 21:16"),
        ("config", {"mgaw": 99}, "mgaw: does not fit"),
        ("config", {"haw": 200}, "haw: does not fit HAW"),
        ("config", {"ttm": "HYPER"}, "ttm: got 'HYPER'"),
        ("config", {"ttm": 4}, "ttm: got 4"),
        ("config", {"root": "zz"}, "root: got 'zz'"),
        ("input", {"access": "peek"}, "access: got 'peek', expected one of: read write exec"),
        ("input", {"at": "teleport"}, "at: got 'teleport'"),
        ("input", {"pasid": 1 << 20}, "pasid: got 1048576"),
        ("input", {"devfn": 256}, "devfn: got 256"),
    ],
)
def test_a_configuration_that_makes_no_sense_fails_its_case_alone(capsys, file, part, changes, says):
    bad = case("vtd-sm-fs")
    bad[part].update(changes)

    done = run(capsys, "conform", file(bad, case("amd-v0")), "--json")

    assert done.status == 1
    assert done.json["passed"] == 1
    assert says in done.json["failed"][0]["got"]["error"]


# ---------------------------------------------------------------- bind


def bind(model=0, host=8 << 20, size=4096, ptr="0x20000", **expect):
    return {
        "id": "b", "format": "bind_pasid_table_2017", "config": {"model": model, "host_table_bytes": host},
        "memory": [], "input": {"ptr": ptr, "size": size}, "expect": expect,
    }  # fmt: skip


@pytest.mark.parametrize(("size", "pts"), [(256, 0), (4096, 4), (8192, 5), (8 << 20, 15)])
def test_vtd_binds_2_to_the_pts_plus_5_entries(size, pts):
    """PTS holds log2 of the entries, less 5 (VT-d 2.x, 9.4)."""
    assert verdict(bind(size=size, result="ok", PTS=pts, entries=size // 8)).passed
    assert not verdict(bind(size=size, result="ok", PTS=pts + 1)).passed
    assert not verdict(bind(size=size, result="ok", entries=size // 64)).passed


@pytest.mark.parametrize(("size", "cdmax"), [(64, 0), (4096, 6), (1 << 20, 14)])
def test_smmuv3_binds_2_to_the_s1cdmax_entries(size, cdmax):
    """Context descriptors have 64 bytes (Arm IHI 0070, 5.4)."""
    ptr = hex(size) if size > 0x20000 else "0x20000"
    assert verdict(bind(1, 1 << 20, size, ptr, result="ok", S1CDMax=cdmax, entries=size // 64)).passed
    assert not verdict(bind(1, 1 << 20, size, ptr, result="ok", S1CDMax=cdmax + 1)).passed


@pytest.mark.parametrize(
    "refused",
    [
        {"size": 8192, "host": 4096},
        {"size": 128},
        {"size": 768},
        {"ptr": "0x0"},
        {"ptr": "0x20010"},
        {"model": 2},
        {"model": 1, "host": 4096, "size": 8192},
    ],
)
def test_what_bind_refuses(refused):
    assert verdict(bind(**refused, result="reject")).passed
    assert not verdict(bind(**refused, result="ok")).passed


def test_a_host_table_of_no_size_fails_its_case():
    assert "host_table_bytes: got 100" in verdict(bind(host=100, result="ok")).got["error"]


# ---------------------------------------------------------------- virtio-iommu


def virtio(state, expect, **asked):
    return {
        "id": "v", "format": "virtio_iommu", "config": {"state": state}, "input": asked, "expect": expect,
    }  # fmt: skip


ONE = ["domain 1 with mapping [0x1000,0x2fff]->0x100000 RW"]


@pytest.mark.parametrize(
    ("state", "asked", "status"),
    [
        (ONE, {"type": "MAP", "domain": 1, "virt_start": "0x2000", "virt_end": "0x3fff", "phys_start": 0}, 4),
        (ONE, {"type": "UNMAP", "domain": 1, "virt_start": "0x1000", "virt_end": "0x1fff"}, 5),
        (ONE, {"type": "UNMAP", "domain": 1, "virt_start": 0, "virt_end": "0xffff"}, 0),
        ([], {"type": "UNMAP", "domain": 1, "virt_start": 0, "virt_end": "0xffff"}, 6),
        (["domain 2"], {"type": "UNMAP", "domain": 2, "virt_start": 0, "virt_end": "0xffff"}, 0),
        ([], {"type": "ATTACH", "domain": 1, "endpoint": 8}, 0),
        (ONE, {"type": "ATTACH", "domain": 1, "endpoint": 8, "flags": 1}, 4),
        (ONE, {"type": "DETACH", "domain": 1, "endpoint": 8}, 4),
        ([], {"type": "PROBE", "endpoint": 99}, 6),
    ],
)
def test_a_virtio_request_has_the_status_that_the_state_asks_for(state, asked, status):
    # VIRTIO 1.2, 5.13.6: overlap INVAL, split RANGE, no such domain or endpoint NOENT
    result = "fault" if status else "ok"
    assert verdict(virtio(state, {"result": result, "status": status}, **asked)).passed
    assert not verdict(virtio(state, {"result": result, "status": status + 1}, **asked)).passed


def test_a_virtio_state_in_other_words_fails_its_case():
    found = verdict(virtio(["two domains"], {"result": "ok"}, type="PROBE", endpoint=8))

    assert "state: got 'two domains', expected 'domain N" in found.got["error"]


def test_mapped_pages_of_a_virtio_request_are_counted():
    asked = {
        "type": "MAP",
        "domain": 1,
        "virt_start": "0x3000",
        "virt_end": "0x7fff",
        "phys_start": 0,
        "flags": 3,
    }

    assert verdict(virtio(ONE, {"result": "ok", "pages": 5}, **asked)).notes == ()
    assert verdict(virtio(ONE, {"result": "ok", "pages": 4}, **asked)).notes == (("pages", 4, 5),)


# ---------------------------------------------------------------- ledgers and files


def test_ledgers_that_disagree_are_status_3(capsys, file, monkeypatch):
    monkeypatch.setattr(plain_walk, "translate", lambda *_: Translation(hpa=1))

    done = run(capsys, "conform", file(case("vtd-sm-fs"), case("smmu-bind")), "--json")

    assert done.status == 3
    assert [each["id"] for each in done.json["disagreement"]] == ["vtd-sm-fs"]
    assert "DISAGREEMENT" in run(capsys, "conform", file(case("vtd-sm-fs"))).out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty, expected JSON"),
        ("nonsense", "not JSON: Expecting value at line 1, column 1"),
        ("3", "got 3, expected an object"),
        ("{}", "no 'cases'"),
        ('{"cases": {}}', "cases: got an object, expected a list"),
        ("[]", "no cases"),
        ("[3]", "case 1: got 3, expected an object"),
        ('[{"id": "a"}]', "case 1: no 'format'"),
        ('[{"id": "a", "format": "f", "config": {}, "input": {}}]', "case 1: no 'expect'"),
        ('[{"id": "a", "format": "f", "config": {}, "input": {}, "expect": {}, "memory": [1]}]',
         "case 1: memory: got 1"),
        ('[{"id": "a", "format": "amd_v1", "config": {}, "input": {}, "expect": {}}]', "no 'result'"),
    ],
)  # fmt: skip
def test_case_files_that_are_no_case_files(capsys, tmp_path, text, says):
    path = tmp_path / "cases.json"
    path.write_text(text)

    done = run(capsys, "conform", path, "--json")

    assert done.status == 2
    assert says in sentence(done)


def test_cases_of_which_none_can_be_run_are_no_success(capsys, file):
    done = run(capsys, "conform", file(UNKNOWN), "--json")

    assert done.status == 2
    assert "no case of a format that is known" in sentence(done)
    assert len(done.json["unsupported"]) == done.json["total"]


def test_a_format_that_no_case_has(capsys):
    done = run(capsys, "conform", CASES, "--format", "vtd")

    assert done.status == 2
    assert "no case of format vtd, there are: amd_iommufd" in sentence(done)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.just([]), st.just({}), st.floats()
)


@given(st.sampled_from(EVERY), st.data())
def test_damaged_cases_pass_fail_or_are_refused(data, draw):
    damaged = copy.deepcopy(data)
    part = damaged[draw.draw(st.sampled_from([p for p in ("config", "input", "expect") if damaged[p]]))]
    part[draw.draw(st.sampled_from(sorted(part)))] = draw.draw(JUNK)

    with contextlib.suppress(Error):
        assert verdict(damaged).supported
