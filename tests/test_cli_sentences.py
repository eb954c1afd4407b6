"""Sentences: one line, of bounded length, in which nothing is that a terminal obeys (ECMA-48, 5.2 to 5.5)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from iommu_abi.cli import main, output

ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m\x00\x08\r\x7f\u202e"
OBEYED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]")


def said(capsys, *words):
    status = main(list(words))
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize(
    "words",
    [
        ("mappings", "{}", "--iommu", "vtd", "--reg", "RTADDR=0"),
        ("mappings", "x", "--iommu", "{}"),
        ("mappings", os.devnull, "--iommu", "vtd", "--reg", "{}=0"),
        ("mappings", os.devnull, "--iommu", "vtd", "--reg", "RTADDR={}"),
        ("mappings", os.devnull, "--config", "{}"),
        ("audit", "{}", "--iommu", "vtd", "--reg", "RTADDR=0"),
        ("decode", "{}"),
        ("unpack", "{}"),
        ("layout", "{}"),
        ("errno", "{}", os.devnull),
        ("compat", "{}", "{}"),
        ("replay", "{}"),
        ("conform", "{}"),
        ("fuzz", "{}"),
        ("fuzz", "--target", "{}"),
        ("fuzz", "--program", "{}"),
        ("fuzz", "--dir", os.devnull + "/{}"),
        ("gen", "syzlang", "{}"),
        ("{}",),
    ],
)
@pytest.mark.parametrize("name", [f"a{ESCAPES}b", "a\nb: all is well\n", "é" * (1 << 15)])
def test_no_word_of_the_caller_moves_the_cursor_or_floods_the_terminal(words, name, capsys):
    given = [word.format(name.replace("\0", "")) for word in words]

    status, out, err = said(capsys, *given)

    assert status in (1, 2), err
    for text in (out, err):
        assert not OBEYED.search(text), text
        assert len(text) < 3000
    assert err.count("\n") == 1
    assert "a bug" not in err
    assert "all is well\n" not in err


def test_a_sentence_in_json_is_bounded_too(capsys):
    status, out, _ = said(capsys, "layout", "x" * (1 << 20), "--json")

    assert status == 2
    assert len(json.loads(out)["error"]) <= output.MOST_OF_A_SENTENCE


@pytest.mark.parametrize("name", ["R" * (1 << 20), ESCAPES])
def test_names_of_registers_in_a_file_are_bounded_and_escaped(name, tmp_path, capsys):
    config = tmp_path / "meta.json"
    config.write_text(json.dumps({"iommu": "vtd", "registers": {name: "0x0"}}))
    (tmp_path / "image").write_bytes(bytes(4096))

    status, out, err = said(capsys, "mappings", str(tmp_path / "image"), "--config", str(config))

    assert (status, out) == (2, "")
    assert len(err) < 700
    assert not OBEYED.search(err)


def test_what_is_left_out_is_counted_and_both_ends_stay():
    text = output.sentence("begin" + "x" * 10_000 + "end")

    assert text.startswith("beginx")
    assert text.endswith("xend")
    assert len(text) <= output.MOST_OF_A_SENTENCE
    left = 10_008 - 2 * (output.MOST_OF_A_SENTENCE // 2 - 20)
    assert f" ... {left} characters ... " in text
    assert output.sentence("short") == "short"


def test_a_file_name_that_is_no_text_is_a_sentence(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\x1b[31m"
    for command in ([b"decode", name], [b"mappings", name, b"--iommu", b"vtd", b"--reg", b"RTADDR=0"]):
        done = subprocess.run([sys.executable, "-m", "iommu_abi", *command], capture_output=True)

        assert done.returncode == 2
        assert b"\x1b" not in done.stderr
        assert b"\\udcff\\x1b[31m" in done.stderr
        assert done.stderr.count(b"\n") == 1


def test_tables_and_lines_show_what_a_terminal_would_obey(capsys):
    output.line("cause: \x1b[2J\udcff")
    output.table(None, ("name",), [("\x1b]0;x\x07",)])

    out = capsys.readouterr().out
    assert "cause: \\x1b[2J\\udcff" in out
    assert "\\x1b]0;x" in out
    assert "\x1b" not in out
