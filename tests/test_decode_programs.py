"""decode on what other programs say: trace events, failed ioctls, boot lines, syz programs, C reproducers.

Sources of the forms: include/trace/events/iommu.h; QEMU's hw/vfio and backends/iommufd.c; rust-vmm's
vfio-ioctls (lib.rs); DPDK's lib/eal/linux/eal_vfio.c; drivers/iommu/intel/dmar.c, amd/init.c, arm-smmu-v3.c;
syzkaller's docs/program_syntax.md and pkg/csource. Values are made up.
"""

from __future__ import annotations

import time

import pytest
from cli_support import DATA, run

from iommu_abi.decode import boot, decode, failures, programs, trace_events


def notes(capsys, monkeypatch, text):
    """The messages of a text, by title, with their facts."""
    done = run(capsys, "decode", "--json", stdin=text.encode(), monkeypatch=monkeypatch)
    return [(each["title"], each["facts"], each["look_at"]) for each in done.json["messages"]]


# ---------------------------------------------------------------- trace events

FAULT = (
    "   irq/24-AMD-Vi-48    [002] ....   438.309102: io_page_fault:"
    " IOMMU:nvme 0000:05:00.0 iova=0x{:016x} flags=0x0020\n"
)
MAP = "   vmm-2211    [008] .......   {}: map: IOMMU: iova=0x{:016x} - 0x{:016x} paddr=0x{:016x} size={}\n"
UNMAP = (
    "   vmm-2211    [008] .......   {}: unmap: IOMMU: iova=0x{:016x} - 0x{:016x} size={} unmapped_size={}\n"
)


def mapped(when, iova, size=4096, paddr=0x1120E4000):
    return MAP.format(when, iova, iova + size, paddr, size)


def unmapped(when, iova, size=4096):
    return UNMAP.format(when, iova, iova + size, size, size)


@pytest.mark.parametrize(
    ("before", "after", "facts"),
    [
        # the given input: printed newest first, so times decide
        ("", unmapped("438.308478", 0x91553000) + mapped("438.308470", 0x91553000),
         ["0x91553000..0x91553fff was mapped to 0x1120e4000 at 438.308470 (line 3)",
          "it was unmapped at 438.308478 (line 2): the device used it AFTERWARDS"]),
        (mapped("1.0", 0x91553000), "",
         ["0x91553000..0x91553fff was mapped to 0x1120e4000 at 1.0 (line 1)",
          "it was still mapped: the mapping allows less than was asked, or is another domain's"]),
        (mapped("1.0", 0x91552000), unmapped("2.0", 0x91554000),
         ["nothing in this trace mapped it before: never mapped, or before the trace began"]),
        ("", mapped("438.309103", 0x91400000, 1 << 21),
         ["nothing in this trace mapped it before: never mapped, or before the trace began",
          "it was mapped at 438.309103 (line 2), AFTER the fault"]),
        (mapped("1.0", 0x91553000) + unmapped("2.0", 0x91553000) + mapped("3.0", 0x91550000, 16384, 0x8000),
         "", ["0x91550000..0x91553fff was mapped to 0x8000 at 3.0 (line 3)",
              "it was still mapped: the mapping allows less than was asked, or is another domain's"]),
        (unmapped("2.0", 0x91553000), "",
         ["it was unmapped at 2.0 (line 1): the device used it AFTERWARDS"]),
    ],
)  # fmt: skip
def test_the_order_of_events_is_the_answer(capsys, monkeypatch, before, after, facts):
    [(title, said, look)] = notes(capsys, monkeypatch, before + FAULT.format(0x91553640) + after)

    assert title == "0000:05:00.0 (nvme): a fault at 0x91553640 at 438.309102"
    assert said == ["flags 0x20: a write by AMD's bit RW", *facts]
    assert look


@pytest.mark.parametrize(
    "fault",
    [
        "qemu 2211 [008] 438.309102: iommu:io_page_fault: ",
        "438.309102: io_page_fault:        ",
        "> <idle>-0 [000] d.h1. 438.309102: io_page_fault: ",
    ],
    ids=["perf script", "trace-cmd", "quoted"],
)
def test_each_tool_prints_the_same_events(capsys, monkeypatch, fault):
    old = "1.0: map: IOMMU: iova=0x0000000000000000 paddr=0x0000000000400000 size=8192\n"  # before 5.15

    fault += "IOMMU:nvme 0000:05:00.0 iova=0x0000000000001000 flags=0x0001\n"
    [(title, facts, _)] = notes(capsys, monkeypatch, f"{old}{fault}")

    assert title == "0000:05:00.0 (nvme): a fault at 0x1000 at 438.309102"
    assert facts[:2] == ["flags 0x1: a write", "0x0..0x1fff was mapped to 0x400000 at 1.0 (line 1)"]


# ---------------------------------------------------------------- failed ioctls


@pytest.mark.parametrize(
    ("line", "title", "said"),
    [
        ("vfio_dma_map(0x55d0, 0x0, 0x80000000, 0x7f2e00000000) = -22 (Invalid argument)",
         "VFIO_IOMMU_MAP_DMA failed with EINVAL", "outside the IOVA ranges"),
        ("qemu-system-x86_64: vfio_container_dma_map(0x55d0, 0x380000001000, 0x300, 0x7f2e0000) = -22 (x)",
         "VFIO_IOMMU_MAP_DMA failed with EINVAL", "size: no multiple of 0x1000, which explains it"),
        (("vfio 0000:01:00.0: failed to setup container for group 1: memory listener initialization failed:"
          " Region pc.ram: vfio_dma_map(0x55d0, 0x0, 0x80000000, 0x7f2e00) = -12 (Cannot allocate memory)"),
         "VFIO_IOMMU_MAP_DMA failed with ENOMEM", "RLIMIT_MEMLOCK"),
        ("qemu-kvm: VFIO_MAP_DMA: -14", "VFIO_IOMMU_MAP_DMA failed with EFAULT", "not all of the range"),
        ("VFIO_MAP_DMA failed: Bad address", "VFIO_IOMMU_MAP_DMA failed with EFAULT", "a device's memory"),
        ("vfio_dma_unmap(0x55d0, 0x1000, 0x1000) = -22 (Invalid argument)",
         "VFIO_IOMMU_UNMAP_DMA failed with EINVAL", "cuts a mapping in two"),
        ("IOMMU_IOAS_MAP failed: Bad address", "IOMMU_IOAS_MAP failed with EFAULT", "user_va"),
        ("qemu: warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?", "IOMMU_IOAS_MAP failed with EFAULT",
         "only DMA from device to device is missing"),
        (("DeviceManager(VfioDmaMap(failed to add guest memory map into iommu table:"
          " Invalid argument (os error 22)))"),
         "VFIO_IOMMU_MAP_DMA failed with EINVAL", "no IOMMU type was set"),
        ("EAL: Cannot set up DMA remapping, error 12 (Cannot allocate memory)",
         "VFIO_IOMMU_MAP_DMA failed with ENOMEM", "RLIMIT_MEMLOCK"),
        ("Oct 22 10:39:37 n ovs[1]: EAL:   0000:00:19.0 DMA remapping failed, error 14 (Bad address)",
         "VFIO_IOMMU_MAP_DMA failed with EFAULT", "pin"),
        (("error: internal error: qemu unexpectedly closed the monitor: vfio 0000:0a:00.0: failed to setup"
          " container for group 12: Failed to set iommu for container: Operation not permitted"),
         "VFIO_SET_IOMMU failed with EPERM", "allow_unsafe_interrupts"),
        ("vfio 0000:0a:00.0: Failed to set group container: Invalid argument",
         "VFIO_GROUP_SET_CONTAINER failed with EINVAL", "has a container already"),
        ("VFIO_DEVICE_BIND_IOMMUFD failed: errno=9", "VFIO_DEVICE_BIND_IOMMUFD failed with EBADF", "EBADF"),
        ("[  100.5] vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded",
         "the memory that a process may lock is used up: RLIMIT_MEMLOCK is 65536 bytes", "ENOMEM"),
        ("vfio: error: group 12 is not viable", "group 12 cannot be used by VFIO", "a driver of the host"),
    ],
)  # fmt: skip
def test_texts_about_failed_ioctls_have_the_reasons_of_the_errno(capsys, monkeypatch, line, title, said):
    [(found, facts, look)] = notes(capsys, monkeypatch, f"{line}\n")

    assert found == title
    assert said in "\n".join(facts)
    assert look


def test_a_command_without_an_errno_is_another_line():
    assert decode("VFIO_MAP_DMA is called with 4 pages\nIOMMU_IOAS_MAP, then\n").notes == ()


# ---------------------------------------------------------------- boot lines


def test_boot_lines_become_registers(capsys, monkeypatch):
    text = (
        "[    0.1] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 19e2ff0505e\n"
        "[    0.1] AMD-Vi: Extended features (0x58f77ef22294ade, 0x0): PPR X2APIC NX GT IA GA PC GA_vAPIC\n"
        "[    1.1] arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit, oas 44-bit (features 0x00000fef)\n"
    )

    vtd, amd, smmu = notes(capsys, monkeypatch, text)

    assert vtd[0] == "VT-d dmar0 begins: CAP=0x1c0000c40660462 ECAP=0x19e2ff0505e"
    assert "its registers are at 0xfed90000, version 1:0" in vtd[1]
    # 10.4.2: ND 2:0 = 2, SAGAW 12:8 = 4, MGAW 21:16 = 0x26 (39 bits), SLLPS 37:34 = 3
    assert "CAP: ND=0x2, PLMR, PHMR, SAGAW=0x4, MGAW=0x26" in vtd[1][1]
    assert amd[0] == "AMD-Vi begins: EXT_FEATURES=0x58f77ef22294ade EXT_FEATURES2=0x0"
    assert "PPRSup, XTSup, NXSup, GTSup, IASup, GASup" in amd[1][0]
    assert smmu[1][0] == "input 44 bits, output 44 bits"
    assert "2_LVL_STRTAB, 2_LVL_CDTAB, TT_LE, TT_BE, ATS, SEV, MSI, COHERENCY" in smmu[1][1]
    assert "--iommu smmuv3 --reg IDR0=" in smmu[2]
    assert "IDR5=0x4" in smmu[0]  # OAS 44 bits: 6.3.6


# ---------------------------------------------------------------- programs

SYZ = """\
r0 = openat$iommufd(0xffffffffffffff9c, &(0x7f0000000000), 0x0, 0x0)
ioctl$IOMMU_IOAS_ALLOC(r0, 0x3b81, &(0x7f0000000040)={0xc, 0x0, <r1=>0x0})
ioctl$IOMMU_IOAS_MAP(r0, 0x3b85, &(0x7f00000000c0)={0x28, 0x7, r1, 0x0, &(0x7f0000ff6000)='\\x00', 0x0, 0x70})
ioctl$IOMMU_IOAS_MAP(r0, 0x3b85, &(0x7f00000000c0)={0x28, 0x87, r1})
ioctl$IOMMU_DESTROY(r0, 0x3b80, &(0x7f0000000100)={0x8, r1})
ioctl$KVM_RUN(r2, 0xae80, 0x0)
"""
C = """\
  NONFAILING(*(uint32_t*)0x20000000 = 0xc);
  *(uint32_t*)0x20000004 = 0;
  res = syscall(__NR_ioctl, r[0], 0x3b81, 0x20000000ul);
  if (res != -1)
    r[1] = *(uint32_t*)0x20000008;
  *(uint32_t*)0x20000040 = 0x28;
  *(uint32_t*)0x20000044 = 7;
  *(uint32_t*)0x20000048 = r[1];
  *(uint32_t*)0x2000004c = 0;
  *(uint64_t*)0x20000050 = 0x20ff6000;
  *(uint64_t*)0x20000058 = 0;
  *(uint64_t*)0x20000060 = 0x7000;
  syscall(__NR_ioctl, /*fd=*/r[0], /*cmd=*/0x3b85, /*arg=*/0x20000040ul);
  *(uint64_t*)0x20000058 = 0x1000;
  syscall(__NR_ioctl, /*fd=*/r[0], /*cmd=*/0x3b85, /*arg=*/0x20000040ul);
"""
ZERO = "iommu_ioas_map.length at offset 24: got 0, expected not 0 (EINVAL)"


def test_calls_of_a_syz_program_are_structs_and_checks(capsys, monkeypatch):
    found = notes(capsys, monkeypatch, SYZ)

    assert [title for title, _, _ in found] == [
        "IOMMU_IOAS_ALLOC (0x3b81) in a syz program",
        "IOMMU_IOAS_MAP (0x3b85) in a syz program",
        "IOMMU_IOAS_MAP (0x3b85) in a syz program",
        "IOMMU_DESTROY (0x3b80) in a syz program",
    ]
    assert found[0][1][0] == "size=0xc, flags=0x0, out_ioas_id=r1"
    assert found[1][1] == [
        "size=0x28, flags=0x7, ioas_id=r1, __reserved=0x0, user_va=0x7f0000ff6000, length=0x0, iova=0x70",
        f"Linux 7.2 refuses it: {ZERO}",
    ]
    assert "(EOPNOTSUPP)" in found[2][1][1]
    assert found[3][1] == ["size=0x8, id=r1", "no check of Linux 7.2 on these bytes alone refuses it"]


def test_calls_of_a_c_reproducer_are_what_was_stored_before_them(capsys, monkeypatch):
    alloc, first, second = notes(capsys, monkeypatch, C)

    assert alloc[1][0] == "size=0xc, flags=0x0, out_ioas_id=0x0"
    assert "ioas_id=r[1]" in first[1][0]
    assert first[1][1] == f"Linux 7.2 refuses it: {ZERO}"
    assert second[1][1] == "no check of Linux 7.2 on these bytes alone refuses it"


TOKENS = (
    *failures.MARKS[:3], *programs.MARKS, *trace_events.MARKS, *boot.MARKS,
    "1.1: io_page_fault: IOMMU:a b iova=0x1000 flags=0x1\n", "1.1: map: IOMMU: iova=0x1 paddr=0x1 size=1\n",
    "ioctl$X(r0, 0x3b85, &(0x1)={", "ioctl$X(r0, 0x3b85, &(0x1)={0x28, 0x7, r1}\n",
    "*(uint32_t*)0x20000000 = 1;", "memset((void*)0x20000000, 0, 4096)\n",
    "syscall(__NR_ioctl, r[0], 0x3b85, 0x20000000);\n", "Bad address", "IOMMU_IOAS_MAP failed: ",
    "vfio_dma_map(0x1, 0x2, 0x3, 0x4) = -22\n", "dmar0: ver 1:0 cap 1 ecap 2\n",
)  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_one_repeated_token_costs_time_that_is_linear(token):
    """A megabyte ends within 2 seconds; a part of it is tried."""
    text = token * ((1 << 15) // len(token))
    start = time.process_time()
    decode(text)

    assert time.process_time() - start < 2


# ---------------------------------------------------------------- calls and faults in one file

BOTH = """\
ioctl(5, IOMMU_IOAS_MAP, 0x7ffc10) = -1 EFAULT (Bad address)
DMAR: [DMA Read] Request device [00:02.0] fault addr 9c000000 [fault reason 06] PTE Read access is not set
[pid 7] ioctl(5, IOMMU_NO_SUCH_THING, 0x7ffc10) = 0
an other line
"""


def test_calls_and_faults_of_one_file_are_both_told(capsys, monkeypatch):
    done = run(capsys, "decode", "--json", stdin=BOTH.encode(), monkeypatch=monkeypatch)

    assert [(c["lines"], c["errno"]) for c in done.json["calls"]] == [([1], "EFAULT")]
    assert [(f["lines"], f["address"]) for f in done.json["faults"]] == [([2], "0x9c000000")]
    assert (done.json["messages"], done.json["unread"], done.json["skipped"]) == ([], [3], 1)
    assert done.status == 1
    out = run(capsys, "decode", stdin=BOTH.encode(), monkeypatch=monkeypatch).out
    assert "line 1: IOMMU_IOAS_MAP (0x3b85) on 5 = EFAULT" in out
    assert "VT-d" in out or "0x9c000000" in out


def test_a_form_that_is_asked_for_is_the_only_one(capsys, monkeypatch):
    done = run(capsys, "decode", "--as", "strace", "--json", stdin=BOTH.encode(), monkeypatch=monkeypatch)

    assert "faults" not in done.json


# ---------------------------------------------------------------- given inputs

REPORTS = DATA / "decode"


def test_17_a_fault_at_an_address_that_was_unmapped_before(capsys):
    [message] = run(capsys, "decode", REPORTS / "17.txt", "--json").json["messages"]

    assert message["title"] == "0000:05:00.0 (nvme): a fault at 0x91553640 at 438.309102"
    assert "0x91553000..0x91553fff was mapped to 0x1120e4000 at 438.308470 (line 3)" in message["facts"]
    assert "it was unmapped at 438.308478 (line 2): the device used it AFTERWARDS" in message["facts"]


def test_19_errnos_of_vfio_have_reasons(capsys):
    out = run(capsys, "decode", REPORTS / "19.txt").out

    for said in (
        "EINVAL if size: it is 0",
        "EPERM if interrupts are not remapped",
        "EPERM if firmware reserves memory for a device of the group (RMRR)",
        "the argument 0x1 is VFIO_TYPE1_IOMMU",
        "EINVAL if the group has a container already",
        "IOMMU_TEST_CMD (0x3ba0)",
    ):
        assert said in out
