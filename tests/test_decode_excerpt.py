"""Reading of a log what is near its messages says the same as reading all of it.

What is expected is what the readers say of the whole text, which `test_decode*.py` hold against reports.
"""

from __future__ import annotations

import os
import re
import threading
import tracemalloc
from io import BytesIO
from itertools import islice
from pathlib import Path

import pytest
from cli_support import run
from hypothesis import given, settings
from hypothesis import strategies as st

from iommu_abi.decode import boot, decode, failures, lost
from iommu_abi.decode import text as texts
from iommu_abi.decode.excerpt import whole
from iommu_abi.decode.scan import KINDS, excerpt_of, excerpt_of_blocks
from iommu_abi.decode.text import Source

REPORTS = sorted((Path(__file__).parent / "data/decode").glob("*.txt"))
TEXTS = {path.name: texts.newlines(texts.decoded(path.read_bytes())) for path in REPORTS}
OTHERS = (
    "[    1.000000] usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "Nov 29 12:00:00 host systemd[1]: Started Session 7 of user root.",
    "[    3.500000] vfio-pci 0000:01:00.0: enabling device (0000 -> 0002), default",
    "unexpected end of a container's log: error attach failed=",
    "",
    "_PID=17",
    r"a \[link\] of Markdown, and = signs = =",
)


def filled(draw, others):
    """Many lines of other things, as they repeat in logs."""
    return [draw(others)] * draw(st.integers(0, 130))


@st.composite
def logs(draw):
    """Reports, with lines of other things around each, and now and then within."""
    others = st.sampled_from(OTHERS)
    lines = filled(draw, others)
    for name in draw(st.lists(st.sampled_from(list(TEXTS)), min_size=1, max_size=3)):
        report = TEXTS[name].split("\n")
        cut = draw(st.integers(0, len(report)))
        lines += [*report[:cut], *filled(draw, others)[: draw(st.integers(0, 3))], *report[cut:]]
        lines += filled(draw, others)
    return "\n".join(lines)


def blocks(text, size):
    """A text cut after at least so many characters."""
    lines, held = iter(text.splitlines(keepends=True)), ""
    for line in lines:
        held += line
        if len(held) >= size:
            yield held
            held = ""
    if held:
        yield held


@given(log=logs(), size=st.sampled_from([1, 80, 4000, 1 << 20]))
def test_an_excerpt_says_what_the_whole_text_says(log, size):
    found = excerpt_of_blocks(blocks(log, size))

    assert decode(whole(log) if found.far else found) == decode(whole(log))


@pytest.mark.parametrize("name", TEXTS)
def test_a_report_between_many_other_lines_says_the_same_at_its_place(name):
    around = "\n".join(OTHERS[:3] * 100)
    log = f"{around}\n{TEXTS[name]}\n{around}"

    assert decode(log) == decode(whole(log))


def messages():
    """Expressions of what looks like a message, and of messages that look like no fault."""
    nothing = "(?!)"
    found = [kind.HINT.pattern for kind in KINDS if kind.HINT.pattern != nothing]
    found += [lost._LOST.pattern, boot._VTD.pattern, boot._AMD.pattern, boot._SMMU.pattern]
    found += [failures._LIMIT.pattern, failures._VIABLE.pattern]
    return found + [f"{re.escape(saying)}: Invalid argument" for saying in failures._SAYINGS]


@pytest.mark.parametrize("expression", messages())
def test_whatever_looks_like_a_message_is_kept(expression):
    @settings(max_examples=25)
    @given(line=st.from_regex(expression))
    def kept(line):
        line = line.replace("\n", " ").replace("\r", " ")

        assert decode(line) == decode(whole(line))

    kept()


@pytest.mark.parametrize(
    "text",
    [
        r"AMD\-Vi: Event logged \[IO\_PAGE\_FAULT device=00:04.0 domain=0x1 address=0x0 flags=0x0\]",
        "AMD-V=\ni: Event logged [IO_PAGE_FAULT device=3D00:04.0 domain=3D0x1 address=3D0x0 flags=3D0x0]",
    ],
    ids=["Markdown", "quoted-printable"],
)
def test_a_word_that_a_mail_took_apart_is_found(text):
    decoded = decode("other\n" * 200 + text)

    assert [report.code for report in decoded.reports] == [2]  # AMD specification 2.5.3
    assert decoded.reports[0].lines[0] == 200


def test_a_log_in_which_nothing_is_a_message_leaves_no_line():
    found = excerpt_of(f"{OTHERS[0]}\n{OTHERS[2]}\n" * 1000)

    assert (found.text, found.total, found.far) == ("", 2000, False)


def test_memory_does_not_grow_with_a_log():
    """8 and 64 MiB: the peak is that of a few blocks."""
    block = f"{OTHERS[0]}\n" * (texts.BLOCK // len(OTHERS[0]))

    def peak(count):
        tracemalloc.start()
        excerpt_of_blocks(islice(iter(lambda: block, None), count))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(64) < peak(8) + texts.BLOCK


@given(data=st.binary(max_size=200), size=st.integers(1, 7))
def test_blocks_are_the_text_and_end_in_newlines(data, size):
    data = data.replace(b"\x00", b"\n")  # no UTF-16, for which the mark stands at the start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "BLOCK", max(size, 3))
        found = list(Source(BytesIO(data), "log").blocks())

    assert all(each.endswith("\n") for each in found[:-1])
    if texts.encoding(data) == texts.encoding(data[: max(size, 3)]):
        assert "".join(found) == texts.decoded(data)


def test_a_line_that_is_longer_than_any_log_is_refused(monkeypatch):
    monkeypatch.setattr(texts, "MOST_BYTES", 1000)
    monkeypatch.setattr(texts, "BLOCK", 100)

    with pytest.raises(texts.InputError, match="log: more than 1000 bytes"):
        list(Source(BytesIO(b"a" * 1200), "log").blocks())


def test_a_named_pipe_is_read_once(capsys, tmp_path):
    """Opening it to look at it would take what its writer has to say."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=((REPORTS[0]).read_bytes(),))
    writer.start()

    done = run(capsys, "decode", fifo, "--json")
    writer.join()

    assert done.json == run(capsys, "decode", REPORTS[0], "--json").json
