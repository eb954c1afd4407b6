"""iommu-abi corpus: seed files for fuzzers.

Witnesses: the C targets themselves, built here, for what these read; for bare structs the errno rules, and
facts of Linux 7.2's drivers by hand.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import fuzz_walk_seeds
import pytest
from cli_support import run, sentence
from test_rules import ONLY_ON_32_BITS

from iommu_abi import rules
from iommu_abi.errors import UsageError
from iommu_abi.fuzz import corpus
from iommu_abi.fuzz.campaign.store import Store
from iommu_abi.fuzz.corpus import dictionary, structs
from iommu_abi.fuzz.targets import all_targets, attempt
from iommu_abi.schemas import uapi
from iommu_abi.uapi.layout import abi
from iommu_abi.worlds.dice import Dice

ROOT = Path(__file__).resolve().parent.parent
X86 = abi("x86_64")
BLOBS = ("blob-v1_2017", "blob-rfc2017")


@pytest.fixture(scope="module")
def seeds() -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    wanted = {t: make for t, make in corpus.makers(X86).items() if "@" in t or t in BLOBS}
    wanted["walk"] = fuzz_walk_seeds.seeds
    for target, name, data in corpus.seeds(wanted, seed=1, count=2):
        found.setdefault(target, {})[name] = data
    return found


@pytest.fixture(scope="module")
def c_target(tmp_path_factory):
    """Builds a target of tests/c and runs it on files; what it prints."""
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    built = tmp_path_factory.mktemp("targets")
    sources = [*map(str, (ROOT / "iommu_abi/core").glob("*.c")), str(ROOT / "tests/c/fuzz_main.c")]

    def run_on(name: str, inputs: dict[str, bytes]) -> str:
        program, folder = built / name, built / f"{name}-inputs"
        if not program.exists():
            flags = [
                "-std=gnu11",
                "-O0",
                "-DCONFIG_IOMMU_API=1",
                '-DIOMMU_ABI_VERSION="1"',
                f"-I{ROOT}/cdefs",
            ]
            target = str(ROOT / f"tests/c/fuzz_{name}.c")
            subprocess.run(["gcc", *flags, target, *sources, "-o", str(program)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for each, data in inputs.items():
            (folder / each).write_bytes(data)
        return subprocess.run([program, folder], capture_output=True, text=True, check=True).stdout

    return run_on


# ---------------------------------------------------------------- what the C targets read


def test_every_request_that_should_pass_passes_the_c_target(seeds, c_target):
    passing = {name: data for name, data in seeds["walk"].items() if "passes" in name}

    assert len(passing) == 2 * 16
    assert {name.partition("-")[0] for name in passing} == set(fuzz_walk_seeds.MODES)
    assert "stage 1 0, stage 2 0; passed 32" in c_target("walk", passing)


def test_changed_entries_end_in_every_stage(seeds, c_target):
    changed = {name: data for name, data in seeds["walk"].items() if "entry" in name}
    numbers = re.findall(r"(?:tables|stage \d|passed) (\d+)", c_target("walk", changed))

    assert len(numbers) == 5
    assert all(int(number) > 0 for number in numbers)
    assert sum(map(int, numbers)) == len(changed)


def test_valid_blobs_are_accepted_and_those_that_break_the_envelope_are_not(seeds, c_target):
    inputs = {f"{t}-{name}": data for t in BLOBS for name, data in seeds[t].items()}
    refused = [name for name in inputs if "breaks-pasid_table_info." in name]  # of a payload nothing is known

    assert len(refused) == 2 * 2 * 4
    shown = c_target("unpack", inputs)
    assert f"blobs {len(inputs)}, accepted {len(inputs) - len(refused)}," in shown


def test_each_rule_of_the_seeds_struct_has_a_blob(seeds):
    rows = re.findall(r'^RULE\(\w+, "([\w.]+)"', (ROOT / "iommu_abi/core/rules.h").read_text(), re.M)
    families = ("pasid_table_info", "payload", "vtd", "smmuv3")
    of_bytes = {name for name in rows if name.startswith(families)}
    of_bytes -= {"pasid_table_info.room", "pasid_table_info.align"}  # of the buffer

    for target in BLOBS:
        broken = {re.sub(r"^breaks-|-\d$", "", name) for name in seeds[target] if name.startswith("breaks-")}
        assert broken == of_bytes


# ---------------------------------------------------------------- what iommu-abi fuzz reads


@pytest.mark.parametrize("target", ["walk-vtd-legacy", "blob-v1_2017", "versions"])
def test_a_campaign_finds_the_seeds_of_its_targets_and_nothing_wrong_with_them(capsys, tmp_path, target):
    done = run(capsys, "corpus", tmp_path, "--targets", target, "--json")
    names = Store(tmp_path).names(target)
    fuzzed = all_targets()[target]

    assert len(names) == len(done.json) - 1 > 10
    for name in names[:40]:
        outcome = attempt(fuzzed, (tmp_path / "corpus" / target / name).read_bytes())
        assert outcome.problem is None, name
        assert outcome.features


def test_there_are_seeds_for_every_target_of_fuzz():
    assert set(all_targets()) <= set(corpus.makers(X86))


# ---------------------------------------------------------------- bare structs


def test_there_are_seeds_of_every_struct_of_every_generation(seeds):
    for generation in uapi.GENERATIONS.values():
        for name, struct in generation.structs.items():
            size = uapi.layout(struct, uapi.abi("x86_64")).size
            assert any(len(data) == size for data in seeds[f"{name}@{generation.name}"].values()), name


@pytest.mark.parametrize(
    "target",
    [
        "iommu_ioas_map@iommufd_7_2",
        "iommu_veventq_alloc@iommufd_7_2",
        "iommu_hwpt_arm_smmuv3@iommufd_7_2",
        "iommu_pasid_table_config@ptc_v14",
        "vfio_device_bind_iommufd@vfio_7_2",
        "iommu_gpasid_bind_data@linux_5_10",
    ],
)
def test_names_say_what_the_rules_say(seeds, target):
    subject = rules.struct(target)
    checked = 0
    for name, data in seeds[target].items():
        error = rules.answer(subject, data, uapi.abi("x86_64")).error
        if name.startswith("accepted"):
            assert error is None
            checked += 1
        elif name.startswith("breaks-") and error:
            assert error.rule.name == name.removeprefix("breaks-")
            checked += 1
    assert checked > 2


def test_each_rule_that_bytes_can_break_is_broken_somewhere(seeds):
    missing = set()
    for target in structs.names():
        try:
            subject = rules.struct(target)
        except UsageError:
            continue
        wanted = {row.rule.name for row in subject.rows if isinstance(row, rules.Check)}
        missing |= {
            (target, rule) for rule in wanted - {name.removeprefix("breaks-") for name in seeds[target]}
        }
    # a kernel of 64 bits takes every number up to ULONG_MAX; the others are about fields that they lack
    assert {(t, r) for t, r in missing if r not in ONLY_ON_32_BITS} == {
        ("iommu_viommu_alloc@iommufd_6_13", "iommu_viommu_alloc.__reserved.documented"),
        *(
            (f"vfio_device_{what}_iommufd_pt@vfio_6_12", f"vfio_device_{what}_iommufd_pt.{rule}")
            for what in ("attach", "detach")
            for rule in ("argsz.pasid", "rest")
        ),
    }


def test_an_accepted_event_queue_has_a_type_and_a_depth(seeds):
    # Linux 7.2, eventq.c: type DEFAULT is refused, and depth 0
    data = seeds["iommu_veventq_alloc@iommufd_7_2"]["accepted"]

    size, flags, _, type_, depth = (int.from_bytes(data[at : at + 4], "little") for at in range(0, 20, 4))
    assert (size, flags) == (32, 0)
    assert type_ > 0
    assert 1 <= depth <= 1 << 19


def test_on_a_big_endian_abi_the_numbers_are(seeds):
    make = corpus.makers(abi("s390x"))["iommu_ioas_alloc@iommufd_7_2"]

    assert dict(make(Dice(1), 1))["accepted"] == bytes.fromhex("0000000c 00000000 00000000")


# ---------------------------------------------------------------- the dictionary


def test_the_dictionary_has_the_form_that_libfuzzer_and_afl_read():
    lines = dictionary.text(X86).splitlines()

    assert lines[0].startswith("# ")
    assert all(re.fullmatch(r'[A-Za-z_]\w*="(\\x[0-9a-f]{2})+"', line) for line in lines[1:])
    values = [line.partition("=")[2] for line in lines[1:]]
    assert len(values) == len(set(values)) > 50


def test_the_dictionary_has_ioctls_models_and_how_images_begin():
    made = dictionary.text(X86)

    assert 'IOMMU_VIOMMU_ALLOC="\\x90\\x3b\\x00\\x00"' in made  # 0x3b90, layouts.json
    assert 'elf="\\x7f\\x45\\x4c\\x46"' in made
    assert '="\\x01\\x00\\x00\\x00"' in made  # IOMMU_MODEL_ARM_SMMU, and others of that value
    assert 'IOMMU_VIOMMU_ALLOC="\\x20\\x00\\x3b\\x90"' in dictionary.text(abi("powerpc64"))


# ---------------------------------------------------------------- the command


def test_files_are_named_by_target_and_seed(capsys, tmp_path):
    targets = ("iommu_hwpt_alloc@iommufd_7_2", "blob-v1_2017")
    done = run(capsys, "corpus", tmp_path / "new", "--targets", *targets, "--json")
    listed = {each["file"]: each["bytes"] for each in done.json}

    assert done.status == 0
    for path, size in listed.items():
        assert Path(path).stat().st_size == size
    assert str(tmp_path / "new/corpus/iommu_hwpt_alloc@iommufd_7_2/accepted") in listed
    assert str(tmp_path / "new/corpus/blob-v1_2017/valid-vtd-0") in listed
    assert str(tmp_path / "new/iommu-abi.dict") in listed
    assert sum(path.is_file() for path in (tmp_path / "new").rglob("*")) == len(listed)


def test_the_same_seed_writes_nothing_new_and_another_is_another(capsys, tmp_path):
    words = ("corpus", tmp_path, "--targets", "blob-v1_2017")
    run(capsys, *words)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    assert f"{tmp_path}: 0 of 19 files written, the others were there" in run(capsys, *words).out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    done = run(capsys, *words, "--seed", "2")
    assert done.status == 2
    assert sentence(done).endswith("is there with other bytes; nothing was written (--force replaces it)")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert run(capsys, *words, "--seed", "2", "--force").status == 0


def test_somebody_elses_file_is_left_alone(capsys, tmp_path):
    theirs = tmp_path / "iommu-abi.dict"
    theirs.write_text("mine")
    done = run(capsys, "corpus", tmp_path, "--targets", "blob-v1_2017")

    assert done.status == 2
    assert theirs.read_text() == "mine"
    assert not (tmp_path / "corpus").exists()


def test_count_and_generation_choose(capsys, tmp_path):
    done = run(capsys, "corpus", tmp_path, "--targets", "@iommufd_6_3", "--count", "3", "--json")
    names = [Path(each["file"]) for each in done.json]

    assert {path.parent.name.partition("@")[2] for path in names} == {"iommufd_6_3", ""}
    assert {path.name for path in names if path.name.startswith("any")} == {"any-0", "any-1", "any-2"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--targets", "nothing"),
            "unknown target 'nothing' (targets of fuzz --list, STRUCT@GEN, @GEN)",
        ),
        (("--count", "many"), "--count: got 'many'"),
        (("--seed", "-1"), "--seed: got '-1'"),
        (("--abi", "vax"), "unknown ABI 'vax'"),
    ],
)
def test_misuse_is_one_sentence(capsys, tmp_path, words, said):
    done = run(capsys, "corpus", tmp_path, *words)

    assert done.status == 2
    assert sentence(done).startswith(said)


def test_a_directory_that_is_a_file_is_named(capsys, tmp_path):
    (tmp_path / "file").touch()
    done = run(capsys, "corpus", tmp_path / "file", "--targets", "blob-v1_2017")

    assert done.status == 2
    assert sentence(done) == f"{tmp_path / 'file' / 'iommu-abi.dict'}: Not a directory"
