"""Faults as strangers paste them: tests/data/decode/; shapes of public logs, values made up.

Expected values are read off the lines by hand: AMD events after the AMD IOMMU specification 2.5, SMMUv3
records after IHI 0070 7.3, descriptors after the VT-d specification 6.5.2.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from cli_support import DATA, run

from iommu_abi.decode import decode
from iommu_abi.decode import text as texts
from iommu_abi.inputs import InputError
from iommu_abi.terms import Access, Stage

REPORTS = DATA / "decode"
READ, WRITE = Access.READ, Access.WRITE


def said(name):
    decoded = decode(texts.decoded((REPORTS / name).read_bytes()))
    assert decoded.unread == ()
    return decoded


def short(report):
    return report.meaning.name, report.device, report.address, report.access


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "01.txt",  # digits replaced by x and ?: no number is made of what is left
            [
                ("LGN.3", "17:00.0", None, READ),
                ("LGN.2", "17:00.0", None, WRITE),
                ("IO_PAGE_FAULT", "0000:17:00.0", None, READ),
            ],
        ),
        (
            "03.txt",  # dmesg --color=always
            [
                ("F_TRANSLATION", "StreamID 0x300", 0xFE100000, READ),
                ("IO_PAGE_FAULT", "0000:17:00.0", 0xFE100000, WRITE),
            ],
        ),
        (
            "05.txt",  # the detail line belongs to the second event
            [
                ("C_BAD_STREAMID", "StreamID 0x1200", None, None),
                ("F_PERMISSION", "StreamID 0x200", 0xFE100000, WRITE),
            ],
        ),
        ("07.txt", [("INVALID_DEVICE_REQUEST", "0000:00:00.0", 0xFFFFFFFDF8000000, None)]),
        (
            "09.txt",  # wrapped and quoted
            [
                ("LGN.2", "17:00.0", 0xFE100000, WRITE),
                ("LGN.3", "17:00.1", 0xFE200000, READ),
                ("ILLEGAL_DEV_TABLE_ENTRY", "17:00.0", 0xFE300000, READ),
                ("IO_PAGE_FAULT", "17:00.0", 0x637000, READ),
            ],
        ),
        ("11.txt", [("IR.3", "f0:1e.3", None, None)]),
        ("21.txt", [("ILLEGAL_DEV_TABLE_ENTRY", "0000:61:00.0", 0x2F40A02000, WRITE)]),
        (
            "23.txt",
            [("mapping", "endpoint 32", 0x104342000, WRITE), ("LGN.2", "06:00.0", 0x2000, READ)],
        ),
        ("25.txt", [("LGN.3", "00:02.0", 0x9C000000, READ)]),
        ("27.txt", [("F_TRANSLATION", "StreamID 0x23", 0x9C1DD000, READ)]),
        ("29.txt", [("IO_PAGE_FAULT", "06:00.0", 0xDEADB000, READ)]),
    ],
)
def test_each_fault_of_a_report_says_what_its_line_says(name, expected):
    assert [short(report) for report in said(name).reports] == expected


def test_a_hidden_address_is_said_to_be_unknown_and_is_not_walked():
    for report in said("01.txt").reports:
        assert dict(report.extra)["address"] == "the line does not say it"
        assert report.request is None


def test_the_class_and_stage_of_an_event_are_its_own():
    bad, permission = said("05.txt").reports

    assert (bad.meaning.stage, dict(bad.extra)) == (Stage.DEVICE, {"client": "(unassigned sid)"})
    assert "no device of Linux owns this StreamID" in bad.look
    assert (permission.meaning.stage, permission.priv) == (Stage.S1, False)


def test_the_type_of_an_invalid_device_request_is_said():
    extra = dict(said("07.txt").reports[0].extra)  # flags 0xa00: bits 11:9 are 101b

    assert extra["type"].startswith("5: a posted write to the Interrupt/EOI range")
    assert "flags say" not in extra


def test_the_old_form_of_interrupt_faults_has_an_index():
    assert dict(said("11.txt").reports[0].extra) == {"interrupt index": "0x2c"}


def test_the_descriptors_of_an_invalidation_time_out_are_taken_apart():
    [note] = said("13.txt").notes

    assert "FSTS 0x40" in note.title
    assert "SID 0x4100: the device is 41:00.0" in note.facts
    assert any("device-TLB invalidation (type 3), SID 0x4100 = 41:00.0" in fact for fact in note.facts)
    assert any("invalidation wait (type 5)" in fact for fact in note.facts)
    assert "ATS of that device" in note.look


def test_errors_of_the_smmu_itself_are_said():
    titles = " ".join(note.title for note in said("15.txt").notes)
    facts = [fact for note in said("15.txt").notes for fact in note.facts]

    assert any(fact.startswith("CMDQ_ERR") for fact in facts)
    for word in ("CERROR_ATC_INV_SYNC", "CMD_SYNC did not end in time", "EVTQ overflow: events are missing"):
        assert word in titles


def test_the_entry_printed_under_an_event_is_taken_apart_and_judged():
    [report] = said("21.txt").reports
    extra = dict(report.extra)

    assert report.lines == (0, 1, 2, 3, 4, 5)
    for word in ("V", "TV", "Mode=0", "IR", "IW", "DomainID=0x1"):
        assert word in extra["DTE"].split(", ")
    assert "illegal where SNP is on" in extra["DTE is wrong"]
    assert "IommuEn" in extra["CONTROL"]
    assert report.look.startswith("the fields of the entry above")
    assert "which newer kernels print below" in said("09.txt").reports[2].look  # not printed there


def test_a_fault_of_a_trace_is_counted_as_one(capsys):
    done = run(capsys, "decode", REPORTS / "17.txt")

    assert done.status == 0
    assert "a fault at 0x91553640" in done.out
    assert "was mapped to 0x1120e4000 at 438.308470" in done.out
    assert "unmapped at 438.308478 (line 2): the device used it AFTERWARDS" in done.out
    assert done.out.endswith("\n1 fault, 2 other lines\n")


def test_a_fault_line_and_a_reason_that_do_not_agree_are_explained():
    # FreeBSD prints one bit of the record's type, which is 1 of reads and AtomicOps (VT-d 11.4.7.2)
    assert "AtomicOp" in dict(said("23.txt").reports[1].extra)["access"]


def test_calls_that_vfio_refused_have_reasons_and_names(capsys):
    done = run(capsys, "decode", REPORTS / "19.txt")

    assert done.status == 0
    for text in (
        "EINVAL if size: it is 0",
        "the argument 0x1 is VFIO_TYPE1_IOMMU",
        "allow_unsafe_interrupts=1",
        "RMRR",
        "EINVAL if the group has a container already",
        "IOMMU_TEST_CMD (0x3ba0)",
        "4 calls, 0 other lines",
    ):
        assert text in done.out


def test_iommus_that_are_not_read_are_named_and_a_finding(capsys):
    done = run(capsys, "decode", REPORTS / "23.txt")

    assert done.status == 1
    for driver in ("rk_iommu", "exynos-sysmmu", "mtk-iommu", "apple-dart", "ipmmu-vmsa"):
        assert f"a fault of {driver}, which this program does not read" in done.out
    assert "2 faults, 5 faults not read, 0 other lines" in done.out


@pytest.mark.parametrize("name", ["25.txt", "25.gz"])
def test_utf16_and_gzip_are_read_as_text(capsys, name):
    done = run(capsys, "decode", REPORTS / name, "--json")

    assert (done.status, done.json["faults"][0]["address"]) == (0, "0x9c000000")


def test_a_damaged_gzip_file_is_an_error_or_text_and_nothing_else():
    data = (REPORTS / "25.gz").read_bytes()
    for at in range(len(data)):
        with suppress(InputError):  # any other exception fails
            texts.unpacked(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :], "dmesg.gz")
    with pytest.raises(InputError, match="cannot be unpacked"):
        texts.unpacked(data[:-1], "dmesg.gz")


def test_the_client_is_said_beside_the_words():
    assert dict(said("27.txt").reports[0].extra)["client"] == "0000:03:00.0"


def test_nothing_mapped_is_the_first_thing_said():
    extra = said("29.txt").reports[0].extra

    assert extra[0] == ("present", "PR=0: nothing is mapped there")
    assert extra[1][0] == "reserve"  # RW is architected with PR=1 only


def test_a_hostile_row_of_hex_ends_at_once(capsys):
    assert run(capsys, "decode", REPORTS / "hang.txt").status == 2
