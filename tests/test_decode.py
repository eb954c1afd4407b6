"""Fault lines as people paste them. Real ones name the public report or commit message that they are from."""

from __future__ import annotations

import json

import pytest
from cli_support import CAPTURES, run, sentence
from hypothesis import given, settings
from hypothesis import strategies as st

from iommu_abi.decode import decode
from iommu_abi.terms import Access, Stage

FIRST_STAGE = CAPTURES / "vtd-scalable-fs-k6.12"


def only(text):
    decoded = decode(text)
    assert decoded.unread == ()
    [report] = decoded.reports
    return report


def facts(report):
    return (
        report.code,
        report.meaning.name,
        report.device,
        report.rid,
        report.pasid,
        report.address,
        report.access,
    )


READ, WRITE = Access.READ, Access.WRITE

DMAR = [
    (  # github.com/tenstorrent/tt-umd/issues/1814
        (
            "[ 6611.206544] DMAR: [DMA Read NO_PASID] Request device [03:00.0] fault addr 0x100000"
            " [fault reason 0x71] SM: Present bit in first-level paging entry is clear"
        ),
        (0x71, "SFL.2", "03:00.0", 0x300, None, 0x100000, READ),
    ),
    (  # github.com/Dasharo/dasharo-issues/issues/641
        (
            "[    0.361089] DMAR: [DMA Read NO_PASID] Request device [00:02.0] fault addr 0x7cd80000"
            " [fault reason 0x01] Present bit in root entry is clear"
        ),
        (0x01, "LRT.2", "00:02.0", 0x10, None, 0x7CD80000, READ),
    ),
    (  # github.com/thesofproject/sof-test/issues/744: numbers of the device with 0x
        (
            "[    0.960486] kernel: DMAR: [DMA Read NO_PASID] Request device [0x00:0x02.0]"
            " fault addr 0x7c346000 [fault reason 0x06] PTE Read access is not set"
        ),
        (0x06, "LGN.3", "00:02.0", 0x10, None, 0x7C346000, READ),
    ),
    (  # github.com/patmagauran/i915ovmfPkg/issues/23
        (
            "[  144.480641] DMAR: [DMA Read] Request device [00:02.0] PASID ffffffff fault addr 9c000000"
            " [fault reason 06] PTE Read access is not set"
        ),
        (0x06, "LGN.3", "00:02.0", 0x10, None, 0x9C000000, READ),
    ),
    (  # github.com/opencomputeproject/OpenNetworkLinux/pull/897
        (
            "    [10672.868940] DMAR: [DMA Write] Request device [00:12.0] fault addr 0 [fault reason 05]"
            " PTE Write access is not set"
        ),
        (0x05, "LGN.2", "00:12.0", 0x90, None, 0, WRITE),
    ),
    (  # the form of Linux 5.15 and later for a request with PASID (drivers/iommu/intel/dmar.c)
        "<3>DMAR: [DMA Write PASID 0x5] Request device [00:07.0] fault addr 0x1000 [fault reason 0x59] SM",
        (0x59, "SPT.2", "00:07.0", 0x38, 5, 0x1000, WRITE),
    ),
    (  # before Linux 5.15 the reason is decimal: 113 = 0x71
        "DMAR: [DMA Read] Request device [00:07.0] PASID 5 fault addr 1000 [fault reason 113] SM",
        (0x71, "SFL.2", "00:07.0", 0x38, 5, 0x1000, READ),
    ),
    (  # Linux 3: the reason on a line of its own
        (
            "dmar: DMAR:[DMA Read] Request device [00:1f.2] fault addr fffff000 \n"
            "DMAR:[fault reason 06] PTE Read access is not set"
        ),
        (0x06, "LGN.3", "00:1f.2", 0xFA, None, 0xFFFFF000, READ),
    ),
    (
        "DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index 0x8000 [fault reason 0x25] Blocked",
        (0x25, "IR.6", "f0:1f.7", 0xF0FF, None, None, None),
    ),
]


@pytest.mark.parametrize(("line", "expected"), DMAR)
def test_dmar_lines_old_and_new(line, expected):
    assert facts(only(line)) == expected


AMD = [
    (  # github.com/Dasharo/dasharo-issues/issues/1134: the device is whose driver it is
        (
            "[   40.182570] ath10k_pci 0000:01:00.0: AMD-Vi: Event logged"
            " [IO_PAGE_FAULT domain=0x000d address=0xcff49550 flags=0x0070]"
        ),
        (2, "IO_PAGE_FAULT", "0000:01:00.0", 0x100, None, 0xCFF49550, WRITE),
    ),
    (  # Linux ba17de98545d, commit message
        (
            "  iommu ivhd3: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:43:00.0 pasid=0x00000"
            " address=0x3737b01000 flags=0x0020]"
        ),
        (1, "ILLEGAL_DEV_TABLE_ENTRY", "0000:43:00.0", 0x4300, None, 0x3737B01000, WRITE),
    ),
    (  # github.com/pcengines/apu2-documentation/issues/240: on two lines
        (
            "kernel: [  221.562629] AMD-Vi: Event logged [\n"
            "kernel: [  221.565929] IO_PAGE_FAULT device=05:00.0 domain=0x0012 address=0x00000000ff6101b0"
            " flags=0x0070]"
        ),
        (2, "IO_PAGE_FAULT", "05:00.0", 0x500, None, 0xFF6101B0, WRITE),
    ),
    (
        "AMD-Vi: Event logged [PAGE_TAB_HARDWARE_ERROR device=00:03.0 pasid=0x0000 address=0x1000 flags=0x0]",
        (
            4,
            "PAGE_TAB_HARDWARE_ERROR",
            "00:03.0",
            0x18,
            None,
            0x1000,
            None,
        ),  # the address of an entry: no DMA
    ),
    (
        (
            "AMD-Vi: Event logged [RMP_PAGE_FAULT device=0000:00:03.0, vmg_tag=0x0001, gpa=0x2000,"
            " flags_rmp=0x0000, flags=0x0020]"
        ),
        (0xD, "RMP_PAGE_FAULT", "0000:00:03.0", 0x18, None, None, None),
    ),
    (
        "AMD-Vi: Event logged [ILLEGAL_COMMAND_ERROR address=0x5000]",
        (5, "ILLEGAL_COMMAND_ERROR", "", None, None, 0x5000, None),
    ),
]


@pytest.mark.parametrize(("line", "expected"), AMD)
def test_amd_vi_events(line, expected):
    assert facts(only(line)) == expected


def test_the_domain_of_an_amd_event_is_a_pasid_where_gn_says_so():
    line = "nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0005 address=0x1000 flags=0x0005]"
    report = only(line)

    assert (report.pasid, report.priv) == (5, False)  # flags GN (bit 0) and US (bit 2)


# Linux 7526183cfdbe, commit message
SMMU = """\
[   70.355743] arm-smmu-v3 arm-smmu-v3.5.auto: event 0x10 received:
[   70.361893] arm-smmu-v3 arm-smmu-v3.5.auto:  0x0002060000000010
[   70.367948] arm-smmu-v3 arm-smmu-v3.5.auto:  0x0000020000000000
[   70.374002] arm-smmu-v3 arm-smmu-v3.5.auto:  0x00000000ff9bc000
[   70.380055] arm-smmu-v3 arm-smmu-v3.5.auto:  0x0000000000000000
[   70.386109] arm-smmu-v3 arm-smmu-v3.5.auto: event: F_TRANSLATION client: 0001:06:00.0 sid: 0x20600 \
ssid: 0x0 iova: 0xff9bc000 ipa: 0x0
[   70.398531] arm-smmu-v3 arm-smmu-v3.5.auto: unpriv data write s1 "Input address caused fault" stag: 0x0
"""
SMMU_FACTS = (0x10, "F_TRANSLATION", "StreamID 0x20600", 0x20600, None, 0xFF9BC000, WRITE)


@pytest.mark.parametrize("part", [slice(0, 7), slice(0, 5), slice(5, 7)])
def test_an_smmuv3_event_in_words_and_in_text_says_the_same(part):
    report = only("\n".join(SMMU.splitlines()[part]))

    assert facts(report) == SMMU_FACTS
    assert report.meaning.stage is Stage.S1
    assert report.priv is False


def test_an_smmuv3_read_of_privileged_data():
    # lore.kernel.org, "PCI: imx6": msi-map removed, SMMU enabled
    words = ["0x0000001100000010", "0x0000020a00000000", "0x000000009b0cc000", f"0x{0:016x}"]
    lines = ["event 0x10 received:", *(f"     {w}" for w in words)]
    report = only("\n".join(f"arm-smmu-v3 490d0000.iommu: {line}" for line in lines))

    assert (report.access, report.priv, report.rid) == (READ, True, 0x11)


def test_an_smmuv3_configuration_fault_has_no_address():
    # github.com/radxa-pkg/edk2-cix/issues/24
    start = "[    7.471032] [pid:134,cpu0,irq/13-arm-smmu]arm-smmu-v3 arm-smmu-v3.0.auto: "
    words = ["   0x0000010000000002", *["   0x0000000000000000"] * 3]
    report = only("\n".join(start + line for line in ["event 0x02 received:", *words]))

    assert facts(report) == (2, "C_BAD_STREAMID", "StreamID 0x100", 0x100, None, None, None)


def test_a_riscv_fault_has_a_decimal_cause():
    # the form of drivers/iommu/riscv/iommu.c
    report = only("riscv-iommu 0000:00:01.0: Fault 15 devid: 0x38 iotval: 20000000 iotval2: 0")

    assert facts(report) == (
        15,
        "write/AMO page fault",
        "device_id 0x38",
        0x38,
        None,
        0x20000000,
        WRITE,
    )


def test_a_riscv_guest_page_fault_says_the_gpa_and_that_it_was_implicit():
    report = only("riscv-iommu 30010000.iommu: Fault 21 devid: 0x8 iotval: 1000 iotval2: 80002001")

    assert report.extra == (("GPA", "0x80002000"), ("implicit access", "read"))


def test_other_lines_are_skipped_and_faults_counted(capsys, tmp_path):
    path = tmp_path / "dmesg"
    fault = DMAR[0][0]
    path.write_text(f"usb 1-1: new device\n{fault}\nDMAR: DRHD: handling fault status reg 2\n{fault}\n")

    done = run(capsys, "decode", path, "--json")

    assert done.status == 0
    [found] = done.json["faults"]
    assert (found["lines"], done.json["skipped"]) == ([2, 4], 2)
    assert "2 faults, 2 other lines" in run(capsys, "decode", path).out


def test_a_line_that_only_looks_like_a_fault_is_a_finding(capsys, tmp_path):
    path = tmp_path / "dmesg"
    path.write_text("DMAR: [DMA Read NO_PASID] Request device [03:00.0] fault addr\n")

    done = run(capsys, "decode", path)

    assert done.status == 1
    assert "line 1: looks like a fault" in done.out


@pytest.mark.parametrize(
    "line",
    [
        "DMAR: [DMA Read NO_PASID] Request device [00:02] fault addr 0x1000 [fault reason 0x06] x",
        "DMAR: [DMA Read PASID 0x] Request device [00:02.0] fault addr 0x1000 [fault reason 0x06] x",
        "AMD-Vi: Event logged [IO_PAGE_FAULT device=00:ff.0 domain=0x1 address=0x1000 flags=0x0]",
        "AMD-Vi: Event logged [IO_PAGE_FAULT device=00:01.0 domain=0x1 address=0x1000 flags=0:0]",
    ],
)
def test_a_number_that_is_none_makes_a_line_of_no_known_form(line):
    decoded = decode(line)

    assert decoded.reports == ()
    assert decoded.unread == (0,)


HALF, EVENT = "AMD-Vi: Event logged [", "IO_PAGE_FAULT device=00:01.0 domain=0x1 address=0x1000 flags=0x0]"


@pytest.mark.parametrize(
    ("lines", "reports", "skipped"),
    [
        ([HALF, EVENT], [(0, 1)], 0),
        ([HALF, HALF + EVENT], [(1,)], 1),
        ([HALF, HALF, EVENT], [(0, 2)], 1),
        ([HALF, HALF, HALF + EVENT], [(2,)], 2),
    ],
)
def test_a_line_belongs_to_one_event(lines, reports, skipped):
    """Old kernels print an event in two lines, and an interrupted one leaves a half."""
    decoded = decode("\n".join(lines))

    assert [report.lines for report in decoded.reports] == reports
    assert decoded.skipped == skipped


LINES = [line for text in (*(line for line, _ in DMAR + AMD), SMMU) for line in text.splitlines()]


@settings(deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=8), st.randoms(use_true_random=False))
def test_damaged_lines_are_decoded_or_left_but_break_nothing(lines, dice):
    damaged = []
    for line in lines:
        at = dice.randrange(len(line))
        damaged.append(
            line[:at] + dice.choice(["", "x", "0", "]", " ", "ffffffffff"]) + line[at + dice.randrange(3) :]
        )

    decoded = decode("\n".join(damaged))

    assert decoded.skipped >= 0


# the oracles' logged faults of 00:07.0 for a write to the read-only page 0x20000000, in the kernels' words
OTHERS = {
    "amd-xtsup-on-k7.2-q11": "virtio 0000:00:07.0: AMD-Vi: Event logged"
    " [IO_PAGE_FAULT domain=0x000b address=0x20000000 flags=0x0070]",
    "riscv-k7.2-q11": "riscv-iommu a: Fault 15 devid: 0x38 iotval: 20000000 iotval2: 0",
    "smmuv3-s1-k7.2": "arm-smmu-v3 a: event 0x13 received:\narm-smmu-v3 a: \t0x0000003800000013\n"
    "arm-smmu-v3 a: \t0x0000020000000000\narm-smmu-v3 a: \t0x0000000020000000\n"
    "arm-smmu-v3 a: \t0x0000000000000000",
}


@pytest.mark.parametrize("name", OTHERS)
def test_faults_of_the_other_vendors_are_walked_too(capsys, monkeypatch, name):
    image, meta = CAPTURES / name / "sparse.elf.xz", CAPTURES / name / "meta.json"
    text = OTHERS[name].encode()

    done = run(capsys, "decode", "-", image, "--config", meta, "--json", stdin=text, monkeypatch=monkeypatch)

    assert done.status == 0
    [fault] = done.json["faults"]
    assert fault["walk"]["same"]
    assert fault["walk"]["trace"][-1]["stopped"]


def test_text_without_faults_is_misuse(capsys, monkeypatch):
    done = run(capsys, "decode", stdin=b"all is well\n", monkeypatch=monkeypatch)

    assert done.status == 2
    assert sentence(done) == "standard input: no fault line among 1 lines"


def dmar_line(record):
    """A line of the capture's fault log in the kernel's words (drivers/iommu/intel/dmar.c)."""
    fault = record["fault"]
    sid, access = fault["sid"], "Read" if fault["read"] else "Write"
    device = f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}"
    return (
        f"DMAR: [DMA {access} NO_PASID] Request device [{device}] fault addr {fault['addr']:#x}"
        f" [fault reason {fault['reason']:#04x}] x"
    )


def test_every_logged_fault_of_a_capture_is_walked_to_the_entry_that_caused_it(capsys, tmp_path):
    lines = map(json.loads, (FIRST_STAGE / "oracle.jsonl").read_text().splitlines())
    logged = [dmar_line(n) for n in lines if isinstance(n.get("fault"), dict)]
    path = tmp_path / "dmesg"
    path.write_text("\n".join(logged))

    done = run(
        capsys, "decode", path, FIRST_STAGE / "sparse.elf.xz", "--config", FIRST_STAGE / "meta.json", "--json"
    )

    assert done.status == 0
    faults = done.json["faults"]
    assert sum(len(f["lines"]) for f in faults) == len(logged) > 30
    assert all(f["walk"]["same"] and f["walk"]["agree"] and f["walk"]["trace"] for f in faults)


WALK = (FIRST_STAGE / "sparse.elf.xz", "--config", FIRST_STAGE / "meta.json")


def test_a_walk_that_differs_is_a_finding(capsys, tmp_path):
    path = tmp_path / "dmesg"
    # by the oracle, a read of this page passes
    path.write_text(
        "DMAR: [DMA Read NO_PASID] Request device [00:07.0] fault addr 0x20000000 [fault reason 0x71] x"
    )

    done = run(capsys, "decode", path, *WALK)

    assert done.status == 1
    assert "the walk is NOT blocked" in done.out


def test_lines_of_another_vendor_and_half_a_description_are_refused(capsys, tmp_path):
    path = tmp_path / "dmesg"
    path.write_text(SMMU)

    other = run(capsys, "decode", path, *WALK)
    half = run(capsys, "decode", path, WALK[0])

    assert other.status == half.status == 2
    assert sentence(other) == "the fault lines are of smmuv3, the IOMMU is vtd"
    assert "no VMCOREINFO of a Linux kernel in it" in sentence(half)
    assert "--config or --iommu with --reg says what the registers are" in sentence(half)
