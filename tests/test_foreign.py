"""tests/c/foreign.c on this machine: the questions that `make cross-run` puts to machines of other kinds."""

from __future__ import annotations

import sys

import foreign
import pytest
from c_support import CORE, run, tool

ORDER = "<" if sys.byteorder == "little" else ">"
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> str:
    made = tmp_path_factory.mktemp("foreign") / "foreign"
    run(tool("cc"), *foreign.CFLAGS, *SANITIZE, foreign.SOURCE, *CORE, "-o", made)
    return str(made)


def test_walks_have_the_answers_of_the_plain_ledger(program):
    questions = list(foreign.walks(every=16))

    assert {each.answer.split()[0] for each in questions} == {"passes", "blocked"}
    assert foreign.differences([program], questions) == []


def test_mappings_are_those_that_python_lists(program):
    questions = list(foreign.enumerations())

    assert any(", end" in each.answer for each in questions)
    assert foreign.differences([program], questions) == []


def test_blobs_are_those_of_the_construct_schema(program):
    questions = list(foreign.envelopes(ORDER))

    rules = {each.answer.split()[1] for each in questions if each.answer.split()[0] in ("EINVAL", "E2BIG")}
    assert {"pasid_table_info.model", "pasid_table_info.trailing", "vtd.emt", "smmuv3.padding"} <= rules
    assert foreign.differences([program], questions) == []


def test_a_driver_refuses_by_the_rules_in_their_order(program):
    assert foreign.differences([program], list(foreign.binds(ORDER))) == []


def test_structs_that_grew_are_taken_as_linux_takes_them(program):
    assert foreign.differences([program], list(foreign.copies())) == []


def test_a_wrong_answer_is_seen(program):
    asked = foreign.Question(("copy 4 01020304",), "01020305")

    assert foreign.differences([program], [asked]) == [("copy 4 01020304", "01020304", "01020305")]
