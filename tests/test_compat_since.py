"""compat --since and --sarif, the hook of pre-commit and the action that run them.

SARIF: OASIS, version 2.1.0; the sections whose properties are required stand beside the checks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_support import run, sentence

ROOT = Path(__file__).parent.parent
WAS = """\
#include <linux/types.h>
#define LIMIT 4
struct grows { __u32 size; __u32 flags; };
struct frozen {
\t__u64 a;
};
"""
BROKEN = WAS.replace("\t__u64 a;", "\t__u32 a;")
GROWN = WAS.replace("__u32 flags;", "__u32 flags; __u64 more;")

pytestmark = [
    pytest.mark.skipif(not shutil.which("git"), reason="no git"),
    pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc"),
]


def git(*words: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A work tree with two headers and a tag; the second includes the first."""
    monkeypatch.chdir(tmp_path)
    Path("include/sub").mkdir(parents=True)
    Path("include/abi.h").write_text(WAS)
    Path("include/sub/user.h").write_text('#include "../abi.h"\nstruct user { struct frozen x[LIMIT]; };\n')
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    git("tag", "v1")
    return tmp_path


def test_headers_are_compared_with_what_they_were(tree, capsys):
    assert run(capsys, "compat", "--since", "v1", "include/abi.h").status == 0

    Path("include/abi.h").write_text(BROKEN)
    done = run(capsys, "compat", "--since", "v1", "include/abi.h", "include/sub/user.h", "--json")

    assert done.status == 1
    abi, user = done.json["reports"]
    assert (abi["old"], abi["new"], abi["verdict"]) == ("v1:include/abi.h", "include/abi.h", "BREAKING")
    # what it includes is taken from v1 as well: 4 elements of 8 bytes became 4 of 4
    sizes = {subject["name"]: (subject["was"], subject["is"]) for subject in user["subjects"]}
    assert sizes["user"] == (32, 16)


def test_a_header_that_was_not_there_breaks_nothing(tree, capsys):
    Path("include/new.h").write_text(WAS)

    done = run(capsys, "compat", "--since", "v1", "include/new.h", "--json")

    assert (done.status, done.json) == (0, {"reports": []})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since=v9", "include/abi.h"), "git archive: fatal: "),
        (("--since=--output=x", "include/abi.h"), "--since: got '--output=x', expected a commit"),
        (("iommufd_7_2",), "compat: got 1 states, expected OLD and NEW"),
        (("--since=v1", "include/abi.h", "--json", "--sarif"), "compat: --json and --sarif are forms of one"),
    ],
    ids=["ref", "option", "states", "forms"],
)
def test_misuse_is_a_sentence(tree, capsys, words, said):
    done = run(capsys, "compat", *words)

    assert done.status == 2
    assert sentence(done).startswith(said)
    assert not Path("x").exists()


def test_outside_of_a_work_tree_git_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    Path("abi.h").write_text(WAS)

    assert "not a git repository" in sentence(run(capsys, "compat", "--since", "HEAD", "abi.h"))


def check_sarif(log: Any) -> list[dict[str, Any]]:
    """What SARIF 2.1.0 requires of what we write; the results."""
    assert log["version"] == "2.1.0"  # 3.13.2
    (one,) = log["runs"]  # 3.13.4
    driver = one["tool"]["driver"]  # 3.18.2
    assert isinstance(driver["name"], str)  # 3.19.8
    rules = [rule["id"] for rule in driver["rules"]]  # 3.49.3, unique: 3.19.23
    assert len(rules) == len(set(rules))
    for result in one["results"]:
        assert isinstance(result["message"]["text"], str)  # 3.27.11, 3.11.8
        assert result["ruleId"] in rules  # 3.27.5
        assert result["level"] in ("none", "note", "warning", "error")  # 3.27.10
        for place in result["locations"]:
            assert place["logicalLocations"]
            if physical := place.get("physicalLocation"):  # 3.28.3
                assert re.fullmatch(r"[^\\ ]+", physical["artifactLocation"]["uri"])  # 3.4.3, RFC 3986
                assert physical["region"]["startLine"] >= 1  # 3.30.5
    return one["results"]


def test_sarif_says_what_breaks_at_its_line(tree, capsys):
    Path("include/abi.h").write_text(BROKEN.replace("LIMIT 4", "LIMIT 5"))
    results = check_sarif(run(capsys, "compat", "--since", "v1", "include/abi.h", "--sarif").json)

    found = {
        result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]: (
            result["level"],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in results
    }
    assert found["frozen.a"] == ("error", "include/abi.h", 4)
    assert found["LIMIT"][2] == 2


def test_sarif_warns_of_what_is_compatible_if_zero_and_lists_the_rest_with_all(tree, capsys):
    Path("include/abi.h").write_text(GROWN)
    words = ("compat", "--since", "v1", "include/abi.h", "--sarif")
    done = run(capsys, *words)

    assert done.status == 0
    assert {result["level"] for result in check_sarif(done.json)} == {"warning"}
    assert len(check_sarif(run(capsys, *words, "--all").json)) > len(check_sarif(done.json))


def test_sarif_of_generations_has_no_files(capsys):
    results = check_sarif(run(capsys, "compat", "ptc_v4", "ptc_v12", "--sarif").json)

    assert "error" in {result["level"] for result in results}
    assert not any("physicalLocation" in result["locations"][0] for result in results)


def path_with_the_command() -> dict[str, str]:
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_the_action_writes_sarif_and_fails_where_something_breaks(tree):
    text = (ROOT / "action.yml").read_text()
    script = re.search(r"      run: \|\n((?:        .*\n)+)", text)[1]
    inputs = {"HEADERS": "include/abi.h\ninclude/sub/user.h\n", "SINCE": "v1", "SARIF": "out.sarif"}
    inputs["OPTIONS"] = "--abi=x86_64\n"

    for now, status in ((GROWN, 0), (BROKEN, 1)):
        Path("include/abi.h").write_text(now)
        done = subprocess.run(["bash", "-e", "-c", script], env=path_with_the_command() | inputs)
        assert done.returncode == status
        assert check_sarif(json.loads(Path("out.sarif").read_text()))
    declared = set(re.findall(r"^  (\w+):\n    description", text, re.M))
    assert declared == set(re.findall(r"inputs\.(\w+)", text)) == {name.lower() for name in inputs}


def test_the_hook_runs_what_the_command_takes(tree, capsys):
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    entry = re.search(r"entry: iommu-abi (.*)", text)[1]
    arguments = re.search(r"  args: \[(.*)\]", text)[1].split(", ")
    Path("include/abi.h").write_text(BROKEN)

    assert run(capsys, entry, *arguments, "include/abi.h", "include/sub/user.h").status == 1
