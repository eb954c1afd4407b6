"""Every kind of message, in every form in which it is pasted, and input that wants to break decode.

Forms of the lines: Linux drivers/iommu (intel/dmar.c, amd/iommu.c, arm/arm-smmu-v3/arm-smmu-v3.c,
arm/arm-smmu/arm-smmu.c, riscv/iommu.c, virtio-iommu.c), Xen drivers/passthrough (vtd/iommu.c,
amd/iommu_init.c, arm/smmu.c), FreeBSD sys/x86/iommu/intel_fault.c; the SMMUv2 lines are those of public
reports (linux-arm-msm, "Define iommus property for QUP0", Xen-devel 2019, gnttab_need_iommu_mapping).
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import quopri
import re
import textwrap
import time

import pytest
from cli_support import run

import iommu_abi.decode as package
from iommu_abi.decode import decode, forms, patterns
from iommu_abi.decode import text as texts

SMMU = "arm-smmu-v3 arm-smmu-v3.0.auto: "
#: Kind, as docs/decode.md lists them -> its lines, and words that the answer has.
KINDS = {
    "VT-d fault": (
        [
            (
                "DMAR: [DMA Write NO_PASID] Request device [17:00.0] fault addr 0xfe100000 [fault reason"
                " 0x05] PTE Write"
            )
        ],
        ["LGN.2", "17:00.0", "0xfe100000"],
    ),
    "VT-d fault, 2.6 to 4.x": (
        [
            "DMAR:[DMA Read] Request device [00:1f.2] fault addr fffff000 ",
            "DMAR:[fault reason 06] PTE Read access is not set",
        ],
        ["LGN.3", "00:1f.2", "0xfffff000"],
    ),
    "VT-d interrupt fault": (
        ["DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index 0x8000 [fault reason 0x25] Blocked a"],
        ["IR.6", "f0:1f.7", "0x8000"],
    ),
    "VT-d invalidation error": (
        [
            "DMAR: DRHD: handling fault status reg 40",
            "DMAR: VT-d detected Invalidation Time-out Error: SID 4100",
            "DMAR: QI HEAD: Device-TLB Invalidation qw0 = 0x4100410000000003, qw1 = 0x7ffffffffffff001",
        ],
        ["ITE", "41:00.0", "type 3"],
    ),
    "VT-d lost faults": (["DMAR: DRHD: handling fault status reg 3"], ["PFO", "faults were lost"]),
    "SMMUv3 event, words": (
        [
            SMMU + "event 0x10 received:",
            *(SMMU + "\t" + word for word in ("0x0000030000000010", "0x0000020800000000")),
            *(SMMU + "\t" + word for word in ("0x00000000fe100000", "0x0000000000000000")),
        ],
        ["F_TRANSLATION", "StreamID 0x300", "0xfe100000"],
    ),
    "SMMUv3 event, names": (
        [
            SMMU + "event: F_PERMISSION client: 0000:02:00.0 sid: 0x200 ssid: 0x0 iova: 0xfe100000 ipa: 0x0",
            SMMU + 'unpriv data write s1 "Input address caused fault" stag: 0x0',
        ],
        ["F_PERMISSION", "StreamID 0x200", "unprivileged, write", "0000:02:00.0"],
    ),
    "SMMUv3 global error": (
        [SMMU + "unexpected global error reported (0x00000001), this could be serious"],
        ["GERROR 0x1", "CMDQ_ERR"],
    ),
    "SMMUv3 command error": (
        [
            SMMU + "CMDQ error (cons 0x01000022): Illegal command",
            SMMU + "skipping command in error state:",
            SMMU + "\t0x0000000000000011",
            SMMU + "\t0x0000000000000000",
        ],
        ["CERROR_ILL", "opcode 0x11, TLBI_NH_ASID"],
    ),
    "SMMUv3 CMD_SYNC": (
        [SMMU + "CMD_SYNC timeout at 0x0000a203 [hwprod 0x0000a210, hwcons 0x0000a203]"],
        ["CMD_SYNC did not end", "0x0000a210"],
    ),
    "SMMUv3 overflow": ([SMMU + "EVTQ overflow detected -- events lost"], ["events are missing"]),
    "SMMUv2 context fault": (
        [
            (
                "arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0xd65504710,"
                " fsynr=0x100011, cbfrsynra=0x121, cb=6"
            )
        ],
        ["TF", "StreamID 0x121", "write", "0xd65504710"],
    ),
    "SMMUv2 global fault": (
        [
            "arm-smmu 15000000.iommu: Unexpected global fault, this could be serious",
            (
                "arm-smmu 15000000.iommu: \tGFSR 0x00000002, GFSYNR0 0x00000002, GFSYNR1 0x00000043,"
                " GFSYNR2 0x00000000"
            ),
        ],
        ["USF", "StreamID 0x43", "write"],
    ),
    "AMD-Vi event": (
        ["AMD-Vi: Event logged [IO_PAGE_FAULT device=17:00.0 domain=0x001d address=0x637000 flags=0x0020]"],
        ["IO_PAGE_FAULT", "17:00.0", "write", "0x637000", "PR=0"],
    ),
    "AMD-Vi event of a driver": (
        [
            (
                "ath10k_pci 0000:01:00.0: AMD-Vi: Event logged"
                " [IO_PAGE_FAULT domain=0x000d address=0xcff49550 flags=0x0070]"
            )
        ],
        ["0000:01:00.0, write, 0xcff49550"],
    ),
    "AMD-Vi unknown event": (
        ["AMD-Vi: Event logged [UNKNOWN event[0]=0x1 event[1]=0xf0000000 event[2]=0x0 event[3]=0x0]"],
        ["a type that Linux does not know"],
    ),
    "AMD-Vi command": (["AMD-Vi: Completion-Wait loop timed out"], ["COMPLETION_WAIT"]),
    "RISC-V fault": (
        ["riscv-iommu 0000:00:01.0: Fault 15 devid: 0x38 iotval: 20000000 iotval2: 0"],
        ["write/AMO page fault", "device_id 0x38", "0x20000000"],
    ),
    "virtio-iommu fault": (
        ["virtio_iommu virtio0: page fault from EP 32 at 0x104342000 [W]"],
        ["endpoint 32, write, 0x104342000"],
    ),
    "Xen, VT-d": (
        [
            "(XEN) [VT-D]DMAR:[DMA Write] Request device [0000:00:1a.0] fault addr ec000000",
            "(XEN) [VT-D]DMAR: reason 05 - PTE Write access is not set",
        ],
        ["LGN.2", "0000:00:1a.0", "0xec000000"],
    ),
    "Xen, AMD-Vi": (
        ["(XEN) AMD-Vi: IO_PAGE_FAULT: 0000:00:14.2 d0 addr 00000000bf695000 flags 0x20 RW"],
        ["IO_PAGE_FAULT", "0000:00:14.2, write, 0xbf695000"],
    ),
    "Xen, SMMU": (
        [
            (
                "(XEN) smmu: /smmu@fd800000: Unhandled context fault: fsr=0x402, iova=0x8424cb148,"
                " fsynr=0xb0001,"
                " cb=0"
            )
        ],
        ["TF", "context bank 0", "0x8424cb148"],
    ),
    "FreeBSD, VT-d": (
        ["dmar4: nvme0: pci6:0:0 sid 600 fault acc 1 adt 0x0 reason 0x6 addr 2000"],
        ["LGN.3", "06:00.0, read, 0x2000"],
    ),
    "another IOMMU": (
        ["rk_iommu 27930f00.iommu: Page fault at 0x0000000003020080 of type read"],
        ["a fault of rk_iommu, which this program does not read"],
    ),
    "missing messages": (["dmar_fault: 118 callbacks suppressed"], ["118 messages are missing"]),
}

JOURNAL = "Aug 28 16:55:06 testbox kernel: "


def plain(lines):
    return "\n".join(lines)


def dmesg(lines):
    return "".join(f"[  100.{at:06}] {line}\r\n" for at, line in enumerate(lines))


def journald(lines):
    return "".join(f"{JOURNAL}{line}\n" for line in lines)


def quoted_mail(lines):
    """As a mail client wraps and quotes it at 72 columns."""
    wrapped = [
        part
        for line in lines
        for part in textwrap.wrap(JOURNAL + line, 70, break_on_hyphens=False, break_long_words=False)
    ]
    return "".join(f"> {line}\n" for line in wrapped)


def quoted_printable(lines):
    return quopri.encodestring(journald(lines).encode()).decode()


def coloured(lines):
    return "".join(f"\x1b[32m[  100.1] \x1b[0m\x1b[33m{line}\x1b[0m\n" for line in lines)


def one_line(lines):
    return " ".join(f"[  100.{at:06}] {line}" for at, line in enumerate(lines))


def escaped(lines):
    return json.dumps({"log": plain(lines)})


@pytest.mark.parametrize(
    "form", [plain, dmesg, journald, quoted_mail, quoted_printable, coloured, one_line, escaped]
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_message_is_read_in_every_form(capsys, tmp_path, kind, form):
    lines, words = KINDS[kind]
    path = tmp_path / "log"
    path.write_text(form(lines))

    done = run(capsys, "decode", path)

    assert done.status == (1 if kind == "another IOMMU" else 0), done.out + done.err
    for word in words:
        assert word in done.out
    assert "of no known form" not in done.out


def test_each_fault_says_what_to_look_at(capsys, tmp_path):
    for lines, _ in KINDS.values():
        path = tmp_path / "log"
        path.write_text(plain(lines))
        assert "\n  look at: " in run(capsys, "decode", path).out


def test_a_healthy_log_is_no_finding(capsys, tmp_path):
    path = tmp_path / "dmesg"
    path.write_text("[    0.000000] Linux version 6.12\n[    0.4] DMAR: Host address width 39\n")

    done = run(capsys, "decode", path)

    assert (done.status, done.out) == (0, "0 faults, 2 other lines\n")


DMA = "DMAR: [DMA Write NO_PASID] Request device [17:00.0] fault addr {:#x} [fault reason 0x05] PTE Write"
FLOOD = "".join(f"[ {at}.000000] {DMA.format(0xFE000000 + at * 4096)}\n" for at in range(100, 400))


def test_a_flood_is_one_block(capsys, tmp_path):
    path = tmp_path / "dmesg"
    path.write_text(FLOOD + "[ 400.000000] dmar_fault: 118 callbacks suppressed\n")

    text = run(capsys, "decode", path)
    [fault] = run(capsys, "decode", path, "--json").json["faults"]

    assert text.out.count("LGN.2") == 1
    assert "300 addresses from 0xfe064000 to 0xfe18f000" in text.out
    assert "300 times, from 100.000000 to 399.000000" in text.out
    assert text.out.endswith("300 faults, 0 other lines, at least 118 messages missing\n")
    assert (fault["count"], fault["addresses"]["count"], len(fault["lines"])) == (300, 300, 300)


def test_a_flood_says_only_what_holds_for_all_of_it(capsys, tmp_path):
    path = tmp_path / "dmesg"
    line = "DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index {:#x} [fault reason 0x25] Blocked\n"
    path.write_text("".join(line.format(index) for index in range(5)))

    out = run(capsys, "decode", path).out

    assert "IR.6" in out
    assert "interrupt index" not in out


@pytest.mark.parametrize(
    "line",
    [
        "DMAR: [DMA Read NO_PASID] Request device [03:00.0] fault addr 0x1000",  # cut before the reason
        (
            "DMAR: [DMA Read NO_PASID] Request device [03:00.0] fault addr 0x11111222223333344 [fault"
            " reason 0x06] x"
        ),
        "AMD-Vi: Event logged [IO_PAGE_FAULT device=17:00.0 domain=0x001d address=0x0000000006370",
        SMMU + "\t0x0000030000000010",  # a word whose event is not there
        SMMU + 'unpriv data write s1 "Input address caused fault" stag: 0x0',
        "arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0xd655",
        "virtio_iommu virtio0: page fault from EP 32 at 0x1043",
    ],
)
def test_a_cut_line_is_told_and_gives_no_number(line):
    decoded = decode(line)

    assert decoded.reports == ()
    assert decoded.unread == (0,)


# ---------------------------------------------------------------- time

parser = importlib.import_module("re._parser" if importlib.util.find_spec("re._parser") else "sre_parse")


def literals(parsed):
    """The runs of letters of an expression."""
    run_ = ""
    for op, value in parsed:
        if str(op) == "LITERAL":
            run_ += chr(value)
            continue
        yield run_
        run_ = ""
        for inner in value if isinstance(value, tuple) else ():
            for each in inner if isinstance(inner, list) else [inner]:
                if isinstance(each, parser.SubPattern):
                    yield from literals(each)
    yield run_


def tokens():
    """What the expressions of all modules of decode look for."""
    found = {"{", "}", "[", " ", "\n", "\\n", "=\n", "> ", "#012", "\x1b[0m", "[    1.000000] "}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"iommu_abi.decode.{info.name}")
        for value in vars(module).values():
            if isinstance(value, (re.Pattern, patterns.Later)):
                found.update(filter(None, literals(parser.parse(value.pattern))))
    return sorted(found)


def seconds(text):
    before = time.process_time()
    forms.detect(text.encode())
    decode(texts.decoded(text.encode()))
    return time.process_time() - before


def test_no_repeated_token_of_the_grammar_costs_more_than_linear_time():
    """20 kB of each; what is quadratic at 2 s for 1 MB is far beyond 1 s of this process's own time here."""
    found = tokens()

    assert len(found) > 200
    slow = {token: spent for token in found if (spent := seconds((token * 20000)[:20000])) > 1}
    assert slow == {}


@pytest.mark.parametrize(
    "token", ["AMD-Vi: CMD[", "[VT-D]DMAR:", "{0} ", "arm-smmu-v3 a: event 0x10 received:\n"]
)
def test_a_megabyte_of_one_token_ends_soon(token):
    assert seconds((token * (1 << 20))[: 1 << 20]) < 20  # processor time; 1 s on an idle machine
