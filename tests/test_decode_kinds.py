"""Each kind of message of docs/decode.md is read the same from every form in which logs are pasted.

The lines are real ones, from public reports and source trees; beside each stands where it is from, and what
it says, read off the line by hand with the vendor's text.
"""

from __future__ import annotations

import html
import json
import quopri
import re
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from iommu_abi.decode import decode, forms, scan
from iommu_abi.decode import text as texts

DOCS = Path(__file__).resolve().parent.parent / "docs/decode.md"
SMMU = "arm-smmu-v3 arm-smmu-v3.3.auto: "


@dataclass(frozen=True)
class Case:
    """Lines of one message. ``row`` is that of the table, ``says`` stands in what is made of them."""

    row: str
    source: str
    lines: tuple[str, ...]
    says: tuple[str, ...]


CASES = (
    Case(
        "VT-d faults",
        "patch of VMD, linux-pci: 'result DMAR errors were observed'",
        (
            ("DMAR: [INTR-REMAP] Request device [0xe2:0x00.0] fault index 0xa00 [fault reason 0x25]"
            " Blocked a compatibility format interrupt request"),
        ),
        ("IR.6", "e2:00.0", "0xa00"),
    ),
    Case(
        "VT-d faults",
        "github.com/opencomputeproject/OpenNetworkLinux pull request 897",
        (
            (
                "DMAR: [DMA Write] Request device [00:12.0] fault addr 0 [fault reason 05] PTE Write access"
                " is not set"
            ),
        ),
        ("LGN.2", "00:12.0", "0x0", "WRITE"),
    ),
    Case(
        "VT-d tables",
        "iommu/vt-d: Fix PASID directory pointer coherency (linux-iommu, February 2023)",
        (
            ("DMAR: [DMA Read NO_PASID] Request device [00:0d.2] fault addr 0x1026a4000 [fault reason 0x51]"
            " SM: Present bit in Directory Entry is clear"),
            "DMAR: Dump dmar1 table entries for IOVA 0x1026a4000",
            "DMAR: scalable mode root entry: hi 0x0000000102448001, low 0x0000000101b3e001",
            "DMAR: context entry: hi 0x0000000000000000, low 0x0000000101b4d401",
            "DMAR: pasid dir entry: 0x0000000101b4e001",
            "DMAR: pasid table entry[0]: 0x0000000000000109",
            "DMAR: pasid table entry[1]: 0x0000000000000001",
            *(f"DMAR: pasid table entry[{i}]: 0x0000000000000000" for i in range(2, 8)),
            "DMAR: PTE not present at level 4",
        ),
        ("SPD.2", "00:0d.2", "PGTT=0x4 (pass-through)", "they let this request pass"),
    ),
    Case(
        "VT-d invalidation errors",
        "linux-pci, 'PCI: endpoint: ATS of the rk3588': printed by the host",
        ("DMAR: VT-d detected Invalidation Time-out Error: SID 0",),
        ("ITE", "does not say whose"),
    ),
    Case(
        "VT-d invalidation errors",
        "bugzilla.kernel.org 216644: every register reads as ones",
        (
            "DMAR: VT-d detected Invalidation Queue Error: Reason f",
            "DMAR: VT-d detected Invalidation Time-out Error: SID ffff",
            "DMAR: VT-d detected Invalidation Completion Error: SID ffff",
            "DMAR: QI HEAD: UNKNOWN qw0 = 0x0, qw1 = 0x0",
            "DMAR: QI PRIOR: UNKNOWN qw0 = 0x0, qw1 = 0x0",
        ),
        ("all ones", "registers of the unit could not be read"),
    ),
    Case(
        "SMMUv3 events",
        "iommu_report_device_fault() of a HiSilicon accelerator, linux-arm-kernel",
        (
            SMMU + "event 0x10 received:",
            SMMU + "\t0x0000750100001810",
            SMMU + "\t0x0000120080000176",
            SMMU + "\t0x0000aaaada7af000",
            SMMU + "\t0x0000aaaada7af000",
        ),
        ("F_TRANSLATION", "StreamID 0x7501", "0xaaaada7af000", "STAG 0x176", "WRITE"),
    ),
    Case(
        "SMMUv3 errors",
        "the same series: 'CMDQ error' of a device that does not answer (linux-iommu)",
        (
            ("arm-smmu-v3 arm-smmu-v3.13.auto: unexpected global error reported (0x00000001), this could be"
            " serious"),
            "arm-smmu-v3 arm-smmu-v3.13.auto: CMDQ error (cons 0x030120f3): ATC invalidate timeout",
        ),
        ("CMDQ_ERR", "CERROR_ATC_INV_SYNC", "0x120f3"),
    ),
    Case(
        "SMMUv2 faults",
        "linux-arm-msm: headset at an Android phone's USB",
        (
            ("arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0xd65504710, fsynr=0x100011,"
            " cbfrsynra=0x0, cb=6"),
            "arm-smmu 15000000.iommu: FSR    = 00000402 [Format=2 TF], SID=0x0",
            "arm-smmu 15000000.iommu: FSYNR0 = 00100011 [S1CBNDX=16 WNR PLVL=1]",
        ),
        ("TF", "StreamID 0x0", "0xd65504710", "WRITE"),
    ),
    Case(
        "SMMUv2 faults",
        "Xen-devel, Juno board: 'stream match conflicts'",
        (
            "(XEN) smmu: /iommu@7fb30000: Unexpected global fault, this could be serious",
            ("(XEN) smmu: /iommu@7fb30000: \tGFSR 0x00000004, GFSYNR0 0x00000006, GFSYNR1 0x00000000,"
            " GFSYNR2 0x00000000"),
        ),
        ("SMCF", "StreamID 0x0", "WRITE"),
    ),
    Case(
        "AMD-Vi events",
        "iommu/amd: identity domains with SNP (linux-iommu)",
        (
            ("iommu ivhd3: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:43:00.0 pasid=0x00000"
            " address=0x3737b01000 flags=0x0020]"),
            "iommu ivhd3: AMD-Vi: Control Reg : 0xc22000142148d",
            "AMD-Vi: DTE[0]: 6000000000000003",
            "AMD-Vi: DTE[1]: 0000000000000001",
            "AMD-Vi: DTE[2]: 2000003088b3e013",
            "AMD-Vi: DTE[3]: 0000000000000000",
        ),
        ("ILLEGAL_DEV_TABLE_ENTRY", "0000:43:00.0", "0x3737b01000", "Mode=0", "illegal where SNP is on"),
    ),
    Case(
        "SMMUv2 faults",
        "linux-usb, uvc gadget on Android 5.15",
        (
            "arm-smmu 15000000.apps-smmu: Unhandled arm-smmu context fault from a600000.dwc3!",
            "arm-smmu 15000000.apps-smmu: FAR    = 0x00000000efe60800",
            "arm-smmu 15000000.apps-smmu: FSR    = 0x40000402 [TF R SS ]",
            "arm-smmu 15000000.apps-smmu: FSYNR0    = 0x5f0003",
            "arm-smmu 15000000.apps-smmu: context bank#    = 0x1b",
            "arm-smmu 15000000.apps-smmu: SID = 0x40",
        ),
        ("TF", "StreamID 0x40", "0xefe60800", "READ", "a600000.dwc3"),
    ),
    Case(
        "page requests",
        "Linux, drivers/iommu/intel/svm.c: the form of the line",
        ("DMAR: dmar3: Page request without PASID: 3000001 7f0001000003",),
        ("page request without PASID", "device 03:00.0", "0x7f0001000000"),
    ),
    Case(
        "page requests",
        "Linux, drivers/iommu/arm/arm-smmu-v3: the form of the lines",
        (
            "arm-smmu-v3 arm-smmu-v3.2.auto: unexpected PRI request received:",
            (
                "arm-smmu-v3 arm-smmu-v3.2.auto: \tsid 0x00000100.0x00001: [12L] unprivileged RW access at"
                " iova 0x0000ffff80001000"
            ),
        ),
        ("a page request that nothing handles", "StreamID 0x100"),
    ),
    Case(
        "AMD-Vi events",
        "FreeBSD, sys/x86/iommu/amd_event.c: the form of the lines",
        (
            "amdiommu0: event type 0x2 0x00000300 0x0020000b 0xdeadb000 0x00000001",
            "\tPage Fault rid 0x300 dom 11 nvme0",
            "\tgn 0 nx 0 us 0 i 0 pr 0 rw 1 pe 0 rz 0 tr 0",
            "\tgaddr 0x1deadb000",
        ),
        ("IO_PAGE_FAULT", "03:00.0", "0x1deadb000", "WRITE"),
    ),
    Case(
        "AMD-Vi events",
        "ahci behind an AMD host, linux-ide",
        (
            ("ahci 0000:0c:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0017 address=0xc5f3f240"
            " flags=0x0050]"),
        ),
        ("IO_PAGE_FAULT", "0000:0c:00.0", "0xc5f3f240", "PE=1"),
    ),
    Case(
        "AMD-Vi messages",
        "the same report",
        ("AMD-Vi: Completion-Wait loop timed out",),
        ("COMPLETION_WAIT",),
    ),
    Case(
        "riscv-iommu, virtio-iommu faults",
        "Linux, drivers/iommu/riscv/iommu.c: the format of its only fault line",
        ("riscv-iommu 0000:00:01.0: Fault 13 devid: 0x38 iotval: 20000000 iotval2: 0",),
        ("read page fault", "device_id 0x38", "0x20000000"),
    ),
    Case(
        "riscv-iommu, virtio-iommu faults",
        "report of an NVMe disk behind virtio-iommu",
        ("virtio_iommu virtio0: page fault from EP 32 at 0x103231000 []",),
        ("endpoint 32", "0x103231000", "mapping"),
    ),
    Case(
        "other IOMMUs",
        "linux-mediatek, 'killall -9 chrome'",
        (
            "mtk-iommu 10205000.iommu: fault type=0x5 iova=0xfcff0001 pa=0x0 larb=0 port=0 layer=1 read",
        ),
        ("a fault of mtk-iommu, which this program does not read",),
    ),
    Case(
        "missing messages",
        "the report of the NVMe disk",
        ("viommu_fault_handler: 1330 callbacks suppressed",),
        ("1330 messages are missing",),
    ),
    Case(
        "trace events",
        "Linux, include/trace/events/iommu.h: the formats of io_page_fault and map",
        (
            ("<idle>-0     [000] d.h.    10.000000: map: IOMMU: iova=0x0000000000001000 -"
            " 0x0000000000002000 paddr=0x0000000012340000 size=4096"),
            ("<idle>-0     [000] d.h.    11.000000: io_page_fault: IOMMU:nvme 0000:01:00.0"
            " iova=0x0000000000001000 flags=0x0001"),
        ),
        ("0000:01:00.0", "0x1000", "still mapped"),
    ),
    Case(
        "failed ioctls",
        "qemu-devel, 'block VFIO migration with background snapshot'",
        (
            "qemu-system-x86_64: VFIO_MAP_DMA failed: Bad address",
            ("qemu-system-x86_64: vfio_dma_map(0x55a28c7659d0, 0xc0000, 0xb000, 0x7f1b11a00000) = -14 (Bad"
            " address)"),
        ),
        ("VFIO_IOMMU_MAP_DMA failed with EFAULT", "iova 0xc0000, size 0xb000"),
    ),
    Case(
        "boot lines",
        "intel-device-plugins-for-kubernetes issue 1836",
        (
            "DMAR: dmar0: reg_base_addr d97fc000 ver 6:0 cap 19ed008c40780c66 ecap 3ee9e86f050df",
        ),
        ("CAP=0x19ed008c40780c66", "ECAP=0x3ee9e86f050df", "0xd97fc000"),
    ),
)  # fmt: skip


def rows():
    """The first column of the table of kinds."""
    section = DOCS.read_text().split("## Messages about IOMMUs")[1].split("\n#")[0]
    found = re.findall(r"^\| ([^|]+?) \|", section, re.M)
    assert found[0] == "kind"
    return [each for each in found[1:] if each != "---"]


def test_every_row_of_the_table_has_a_case_and_every_case_a_row():
    assert {case.row for case in CASES} == set(rows())


# ---------------------------------------------------------------- forms

HOST = "testbox"
CLOCK = "Aug 28 16:55:0"
ISO = "2024-08-28T16:55:0"


def numbered(template, lines):
    """Each line in a template that has its number as {i} and, as {line}, the line."""
    return "".join(template.format(i=i % 10, line=line) + "\n" for i, line in enumerate(lines))


def journal_json(lines, indent=None):
    fields = {"_TRANSPORT": "kernel", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "kernel", "_HOSTNAME": HOST}
    return "".join(
        json.dumps(
            {
                "__REALTIME_TIMESTAMP": f"172486290{i % 10}123456",
                "MESSAGE": line,
                "_SOURCE_MONOTONIC_TIMESTAMP": f"10000000{i:02}",
                **fields,
            },
            indent=indent,
        )
        + "\n"
        for i, line in enumerate(lines)
    )


def export(lines):
    return "".join(
        f"__CURSOR=s=1;i={i}\n_TRANSPORT=kernel\nPRIORITY=4\nSYSLOG_IDENTIFIER=kernel\nMESSAGE={line}\n"
        f"_BOOT_ID=1234\n_MACHINE_ID=5678\n_HOSTNAME={HOST}\n_KERNEL_SUBSYSTEM=pci\n_UDEV_SYSNAME=0\n\n"
        for i, line in enumerate(lines)
    )


def kmsg(lines):
    return "".join(
        f"4,{900 + i},{1234567 + i},-;{line}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:02.0\n"
        for i, line in enumerate(lines)
    )


def mail(lines, width=72):
    """As a mail client wraps and quotes a line of the journal, twice."""
    wrapped = [
        part
        for i, line in enumerate(lines)
        for part in textwrap.wrap(
            f"{CLOCK}{i % 10} {HOST} kernel: {line}", width, break_on_hyphens=False, break_long_words=False
        )
    ]
    return "".join(f"> > {line}\n" for line in wrapped)


def terminal(lines):
    """As a terminal of 80 columns wraps: in the middle of words."""
    whole = [f"[  100.{i:06}] {line.expandtabs()}" for i, line in enumerate(lines)]
    return "".join(line[at : at + 80] + "\n" for line in whole for at in range(0, len(line), 80))


FORMS = {
    "plain": lambda lines: "\n".join(lines) + "\n",
    "dmesg": lambda lines: numbered("[  100.00000{i}] {line}", lines),
    "dmesg -T": lambda lines: numbered("[Wed Aug 28 16:55:0{i} 2024] {line}", lines),
    "dmesg -H": lambda lines: numbered("[  +0.00000{i}] {line}", lines),
    "dmesg -x": lambda lines: numbered("kern  :warn  : [  100.00000{i}] {line}", lines),
    "dmesg -r": lambda lines: numbered("<4>[  100.00000{i}] {line}", lines),
    "dmesg -d": lambda lines: numbered("[  100.00000{i} <    0.000003>] {line}", lines),
    "dmesg --time-format iso": lambda lines: numbered(ISO + "{i},123456+02:00 {line}", lines),
    "dmesg --json": lambda lines: json.dumps(
        {"dmesg": [{"pri": 4, "time": 100.5 + i, "msg": line} for i, line in enumerate(lines)]}, indent=3
    ),
    "caller ids": lambda lines: numbered("[  100.00000{i}][  T123] {line}", lines),
    "/dev/kmsg": kmsg,
    "journalctl -k": lambda lines: numbered(CLOCK + "{i} " + HOST + " kernel: {line}", lines),
    "journalctl -o short-precise": lambda lines: numbered(
        CLOCK + "{i}.123456 " + HOST + " kernel: {line}", lines
    ),
    "journalctl -o short-iso": lambda lines: numbered(ISO + "{i}+0200 " + HOST + " kernel: {line}", lines),
    "journalctl -o short-full": lambda lines: numbered(
        "Wed 2024-08-28 16:55:0{i} UTC " + HOST + " kernel: {line}", lines
    ),
    "journalctl -o short-unix": lambda lines: numbered(
        "172486290{i}.123456 " + HOST + " kernel: {line}", lines
    ),
    "journalctl -o json": journal_json,
    "journalctl -o json-pretty": lambda lines: journal_json(lines, 8).replace('": "', '" : "'),
    "journalctl -o export": export,
    "journalctl -o verbose": lambda lines: "".join(
        f"Wed 2024-08-28 16:55:0{i % 10}.123456 UTC [s=1;i={i};b=2]\n    PRIORITY=4\n    _TRANSPORT=kernel\n"
        f"    MESSAGE={line}\n    _HOSTNAME={HOST}\n    _BOOT_ID=1234\n"
        for i, line in enumerate(lines)
    ),
    "docker compose": lambda lines: numbered("klog-1  | [  100.00000{i}] {line}", lines),
    "cat -n": lambda lines: numbered("     {i}\t[  100.00000{i}] {line}", lines),
    "CSV": lambda lines: numbered('"2024-08-28 16:55:0{i}","testbox","kernel","{line}"', lines),
    "XML": lambda lines: "".join(f"<m t='1'>{html.escape(line)}</m>\n" for line in lines),
    "nested JSON": lambda lines: "".join(
        json.dumps({"_source": {"host": HOST, "message": line}}) + "\n" for line in lines
    ),
    "RFC 3164": lambda lines: numbered(
        "<4>" + CLOCK + "{i} " + HOST + " kernel: [  100.00000{i}] {line}", lines
    ),
    "RFC 5424": lambda lines: numbered("<4>1 " + ISO + "{i}.003Z " + HOST + " kernel - - - {line}", lines),
    "serial console": lambda lines: numbered("\x1b[0m[  100.00000{i}] \x1b[1;31m{line}\x1b[0m\r", lines),
    "logcat": lambda lines: numbered("08-28 16:55:0{i}.123     0     0 E         : {line}", lines),
    "logcat -v time": lambda lines: numbered("08-28 16:55:0{i}.123 E/kernel(    0): {line}", lines),
    "docker": lambda lines: "".join(
        json.dumps({"log": f"{line}\n", "stream": "stdout", "time": f"{ISO}{i % 10}.123456789Z"}) + "\n"
        for i, line in enumerate(lines)
    ),
    "kubectl logs --timestamps": lambda lines: numbered(ISO + "{i}.123456789Z {line}", lines),
    "CRI": lambda lines: numbered(ISO + "{i}.123456789+02:00 stderr F {line}", lines),
    "mail": mail,
    "quoted-printable": lambda lines: quopri.encodestring(FORMS["journalctl -k"](lines).encode()).decode(),
    "wrapped, quoted-printable": lambda lines: quopri.encodestring(mail(lines).encode()).decode(),
    "HTML": lambda lines: "<pre>" + "<br>\n".join(map(html.escape, lines)) + "</pre>",
    "HTML, one line": lambda lines: "<p>" + "<br/>".join(map(html.escape, lines)) + "</p>",
    "Markdown": lambda lines: re.sub(r"([\[\]_])", r"\\\1", numbered("    [  100.00000{i}] {line}", lines)),
    "grep -n": lambda lines: numbered("12{i}:" + CLOCK + "{i} " + HOST + " kernel: {line}", lines),
    "JSON in letters": lambda lines: json.dumps({"description": "\n".join(lines)}),
    "octal escapes": lambda lines: "#012".join(lines).replace("\t", "#011"),
    "one line": lambda lines: " ".join(f"[  100.{i:06}] {line}" for i, line in enumerate(lines)),
    "terminal": terminal,
    "between others": lambda lines: "".join(
        f"[  100.{i:06}] usb 1-1: new device\n[  100.{i:06}] {line}\n" for i, line in enumerate(lines)
    ),
    "CRLF": lambda lines: numbered("[  100.00000{i}] {line}\r", lines),
}  # fmt: skip
#: Three forms that every row is to have, by the issue's own words.
REQUIRED = {"plain", "journalctl -k", "mail"}


def reading(text, data=None):
    """What is made of a text, without lines and times; ``data`` are its bytes, if not of UTF-8."""
    data = text.encode() if data is None else data
    assert forms.detect(data) == "faults"
    decoded = decode(texts.decoded(data))
    assert decoded.unread == ()
    notes = [
        replace(note.same, facts=tuple(re.sub(r" \(line \d+\)", "", fact) for fact in note.facts))
        for note in decoded.notes
    ]
    return [report.same for report in decoded.reports], notes


def words(read):
    reports, notes = read
    made = [
        f"{r.meaning.name} {r.meaning.text} {r.device} {'' if r.address is None else hex(r.address)}"
        f" {r.access and r.access.name} {r.extra}"
        for r in reports
    ]
    return " ".join([*made, *(f"{note.title} {note.facts}" for note in notes)])


def identity(case):
    return f"{case.row}: {case.says[0]}"


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_a_real_line_says_what_its_vendors_text_says(case):
    said = words(reading(FORMS["plain"](case.lines)))

    for word in case.says:
        assert word in said


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=identity)
def test_every_form_gives_the_reading_of_the_plain_lines(case, form):
    assert reading(FORMS[form](case.lines)) == reading(FORMS["plain"](case.lines))


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_every_form_is_read_behind_marks_of_quotes_too(case):
    """As people answer a mail that has a log in it, also where the answer quotes what was encoded."""
    plain = reading(FORMS["plain"](case.lines))
    for form, make in FORMS.items():
        quoted = "".join(f"> {line}\n" for line in make(case.lines).splitlines())
        assert reading(quoted) == plain, form


@pytest.mark.parametrize("form", ["journalctl -k", "mail"])
@pytest.mark.parametrize("case", CASES, ids=identity)
def test_utf16_as_editors_of_windows_save_it_gives_the_same(case, form):
    text = FORMS[form](case.lines)

    assert reading(text, b"\xff\xfe" + text.encode("utf-16-le")) == reading(text)


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_a_cut_at_80_columns_gives_what_stands_before_it_or_is_told(case):
    """No number of a cut line is another one than the whole line has."""
    whole = words(reading(FORMS["plain"](case.lines)))
    decoded = decode("\n".join(f"[  100.000001] {line}"[:80] for line in case.lines))

    for report in decoded.reports:
        assert report.address is None or hex(report.address) in whole
        assert report.device in whole
    assert decoded.reports or decoded.notes or decoded.unread or case.row == "boot lines"


def test_the_forms_that_were_asked_for_are_among_them():
    assert set(FORMS) >= REQUIRED
    assert len(scan.KINDS) <= len(CASES)


BOOT = "DMAR: dmar0: reg_base_addr d97fc000 ver 6:0 cap 19ed008c40780c66 ecap 3ee9e86f050df"


@pytest.mark.parametrize("below", ["3 devices failed", "add a device", "0x1000 is free", "f00: a word"])
def test_a_number_at_the_end_of_a_line_is_whole_where_other_lines_are_longer(below):
    longer = "[  100.1] usb 1-1: " + "a message that is longer than the others, which no column wrapped " * 2
    [note] = decode("\n".join([longer, BOOT, below])).notes

    assert "ECAP=0x3ee9e86f050df" in note.title


def test_a_number_that_the_last_column_of_a_terminal_cut_is_whole_again():
    [note] = decode(f"{BOOT[:-5]}\n{BOOT[-5:]}\n").notes

    assert "ECAP=0x3ee9e86f050df" in note.title
