"""Fault texts of public reports, short, as their mails and pages have them: wraps, quotes and all.

Beside each stands where it is from. Expected values are read off the lines by hand with the vendors' texts:
AMD IOMMU specification 2.5, SMMUv2 (IHI 0062) 9.6 and 16.4, SMMUv3 (IHI 0070) 6.3.19 and 7.3, VT-d 5.10 Table 30.
"""
# ruff: noqa: E501 - the texts are as they were pasted

from __future__ import annotations

import pytest

from iommu_abi.decode import decode
from iommu_abi.terms import Access

READ, WRITE = Access.READ, Access.WRITE

#: Source, text, faults as (name, device, address, access).
FAULTS = [
    (
        "bugzilla.kernel.org, amdgpu after suspend, 6.10-rc5 (quoted-printable, wrapped)",
        """[  269.157149] amdgpu 0000:02:00.0: amdgpu: reserve 0x400000 from 0xf41f800=
000
for PSP TMR
[  269.159956] iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY
device=3D0000:02:00.0 pasid=3D0x00000 address=3D0x131400000 flags=3D0x0180]
[  269.159960] AMD-Vi: DTE[0]: 6190000000000003
""",
        [("ILLEGAL_DEV_TABLE_ENTRY", "0000:02:00.0", 0x131400000, None)],
    ),
    (
        "linux-iommu, SNP: an IOAPIC's entry; dmesg -H",
        """> [  +0.000108] iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=c0:00.1 pasid=0x00000
> address=0xfffffffdf8140000 flags=0x0008]
""",
        [("ILLEGAL_DEV_TABLE_ENTRY", "c0:00.1", 0xFFFFFFFDF8140000, None)],
    ),
    (
        "linux-pci, rtw88: 'INVALID_DEVICE_REQUEST', hidden MAC addresses",
        """> > Jul 08 15:03:14 host kernel: rtw_pci 0000:04:00.0: start vif
> > xx:xx:xx:xx:xx:xx on port 0
> > Jul 08 15:03:14 host kernel: iommu ivhd0: AMD-Vi: Event logged
> > [INVALID_DEVICE_REQUEST device=00:00.1 pasid=0x00000
> > address=0xfffffffdf8140200 flags=0x0a00]
""",
        [("INVALID_DEVICE_REQUEST", "00:00.1", 0xFFFFFFFDF8140200, None)],
    ),
    (
        "a machine's notes in Markdown: the rest of the event elided",
        "  `iommu ivhd0: AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=0000:06:00.0 …]`.\n",
        [("IOTLB_INV_TIMEOUT", "0000:06:00.0", None, None)],
    ),
    (
        "github.com/pcengines/apu2-documentation issue 240: an old kernel's two lines, without a host",
        """kernel: [  221.562629] AMD-Vi: Event logged [
kernel: [  221.565929] IO_PAGE_FAULT device=05:00.0 domain=0x0012 address=0x00000000ff6101b0 flags=0x0070]
""",
        [("IO_PAGE_FAULT", "05:00.0", 0xFF6101B0, WRITE)],
    ),
    (
        "journalctl in a terminal of 100 columns, which ends lines with >: shape of many forum posts",
        """Aug 28 16:55:06 host kernel: nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000d address=0xcfd5>
""",
        [("IO_PAGE_FAULT", "0000:01:00.0", None, None)],
    ),
    (
        "Xen-devel, MD-RAID on SATA: device and address replaced",
        """> > > (XEN) AMD-Vi: IO_PAGE_FAULT: DDDD:bb:dd.f d0 addr ffffff???????000
> flags 0x8 I
""",
        [("IO_PAGE_FAULT", "DDDD:bb:dd.f", None, None)],
    ),
    (
        "linux-arm-kernel: a serial console with a progress bar of fio in it",
        """N[  304.798377] arm-smmu-v3 arm-smmu-v3.3.auto: event 0x10
received:iops] [eta 23m:39s]
O[  304.804431] arm-smmu-v3 arm-smmu-v3.3.auto:         0x0000741000000010
T[  304.810404] arm-smmu-v3 arm-smmu-v3.3.auto:         0x000012000000007a
I[  304.816379] arm-smmu-v3 arm-smmu-v3.3.auto:         0x00000000abff6000
C[  304.822354] arm-smmu-v3 arm-smmu-v3.3.auto:         0x00000000abff6000
""",
        [("F_TRANSLATION", "StreamID 0x7410", 0xABFF6000, WRITE)],
    ),
    (
        "linux-iommu, ixgbe VF: a mail program put a blank into the first word",
        """> [  196.747107] arm-smmu-v3 arm-smmu-v3.0.auto: event 0x10 received:
> [  196.747109] arm-smmu-v3 arm-smmu-v3.0.auto: 0x00000180 00000010
> [  196.747110] arm-smmu-v3 arm-smmu-v3.0.auto: 0x0000020100000000
> [  196.747111] arm-smmu-v3 arm-smmu-v3.0.auto: 0x00000000ffffe040
> [  196.747113] arm-smmu-v3 arm-smmu-v3.0.auto: 0x00000000ffffe000
""",
        [("F_TRANSLATION", "StreamID 0x180", 0xFFFFE040, WRITE)],
    ),
    (
        "qemu-devel, vhost-net behind SMMUv3",
        """   arm-smmu-v3 arm-smmu-v3.0.auto: event 0x02 received:
   arm-smmu-v3 arm-smmu-v3.0.auto: 0x0000090000000002
   arm-smmu-v3 arm-smmu-v3.0.auto: 0x0000000000000000
   arm-smmu-v3 arm-smmu-v3.0.auto: 0x0000000000000000
   arm-smmu-v3 arm-smmu-v3.0.auto: 0x0000000000000000
   arm-smmu-v3 arm-smmu-v3.0.auto: event: C_BAD_STREAMID client: (unassigned sid) sid: 0x900 ssid: 0x0
""",
        [("C_BAD_STREAMID", "StreamID 0x900", None, None)],
    ),
    (
        "linux-arm-msm, wrapped within the fields",
        """> [  157.563136] arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402
> ,iova=0xd65504710, fsynr=0x100011, cbfrsynra=0x0, cb=6
> [  157.574842] arm-smmu 15000000.iommu: FSR    = 00000402 [Format=2 TF],
> SID=0x0
""",
        [("TF", "StreamID 0x0", 0xD65504710, WRITE)],
    ),
    (
        "dri-devel, CI expectations of a530 (a patch, quoted-printable)",
        """+# arm-smmu b40000.iommu: Unhandled context fault: fsr=3D0x408, iova=3D0x=
01003000, fsynr=3D0x13, cbfrsynra=3D0x0, cb=3D0
""",
        [("PF", "StreamID 0x0", 0x1003000, WRITE)],
    ),
    (
        "linux-arm-kernel, kdump on a Broadcom SoC (quoted-printable, wrapped)",
        """>>> arm-smmu 64000000.mmu: Blocked unknown Stream ID 0x2000; boot with =
"arm-smmu.disable_bypass=3D0" to allow, but this may have security =
implications
>>> arm-smmu 64000000.mmu:     GFSR 0x00000002, GFSYNR0 0x00000002, =
GFSYNR1 0x00002000, GFSYNR2 0x00000000
""",
        [("USF", "StreamID 0x2000", None, WRITE)],
    ),
    (
        "netdev, kexec on an NXP board: tabs made of blanks",
        """arm-smmu 5000000.iommu: Blocked unknown Stream ID 0x429; boot with "arm-smmu.disable_bypass=0" to allow
arm-smmu 5000000.iommu:         GFSR 0x80000002, GFSYNR0 0x00000002, GFSYNR1 0x00000429, GFSYNR2 0x00000000
""",
        [("USF", "StreamID 0x429", None, WRITE)],
    ),
    (
        "linux-usb, uvc gadget on Android 5.15: a line for each register",
        """    <3>[  718.314900][  T803] arm-smmu 15000000.apps-smmu: Unhandled arm-smmu context fault from a600000.dwc3!
    <3>[  718.314994][  T803] arm-smmu 15000000.apps-smmu: FAR    = 0x00000000efe60800
    <3>[  718.315023][  T803] arm-smmu 15000000.apps-smmu: PAR    = 0x0000000000000000
    <3>[  718.315048][  T803] arm-smmu 15000000.apps-smmu: FSR    = 0x40000402 [TF R SS ]
    <3>[  718.315074][  T803] arm-smmu 15000000.apps-smmu: FSYNR0    = 0x5f0003
    <3>[  718.315117][  T803] arm-smmu 15000000.apps-smmu: context bank#    = 0x1b
    <3>[  718.315297][  T803] arm-smmu 15000000.apps-smmu: SID = 0x40
    <3>[  718.315377][  T803] arm-smmu 15000000.apps-smmu: soft iova-to-phys=0x0000000000000000
""",
        [("TF", "StreamID 0x40", 0xEFE60800, READ)],
    ),
    (
        "a port of a Snapdragon phone: another order of the fields, SID below",
        """[   29.887615] arm-smmu 15000000.apps-smmu: Unhandled context fault: iova=0x00001000, cb=0, fsr=0x40000402,\
 fsynr0=0x200001, fsynr1=0x0
[   29.887618] arm-smmu 15000000.apps-smmu: Client info: BID=0x0, PID=0x0, MID=0x0
[   29.887622] arm-smmu 15000000.apps-smmu: soft iova-to-phys=0x0000000000000000
[   29.887631] arm-smmu 15000000.apps-smmu: SID=0x880
""",
        [("TF", "StreamID 0x880", 0x1000, READ)],
    ),
    (
        "a page about a phone's gadget: the fault, cut down by hand",
        """arm-smmu 15000000.apps-smmu: Unhandled arm-smmu context fault from a600000.dwc3
FAR 0x00000000efbb0000
FSR 0x40000408 [PF W SS]
Kernel panic - not syncing: Oops - BUG: Fatal exception
""",
        [("PF", "", 0xEFBB0000, None)],
    ),
    (
        "dri-devel, IGT on apq8016 (wrapped): the SMMU's fault as the GPU's driver prints it",
        """# *** gpu fault: ttbr0=00000001030ea000 iova=0000000001074000 dir=WRITE
type=PERMISSION source=1f030000 (0,0,0,0)
""",
        [("PF", "the GPU", 0x1074000, WRITE)],
    ),
    (
        "linux-pci, VMD on Ice Lake (wrapped before the reason)",
        """> DMAR: DRHD: handling fault status reg 2
> DMAR: [INTR-REMAP] Request device [0xc9:0x05.0] fault index 0xa00
> [fault reason 0x25] Blocked a compatibility format interrupt request
""",
        [("IR.6", "c9:05.0", None, None)],
    ),
    (
        "linux-iommu, Ashok Raj and Lu Baolu: the reason on a line of its own, indented",
        """> DMAR: [DMA Write NO_PASID] Request device [00:1a.0] fault addr 0x0
>       [fault reason 0x05] PTE Write access is not set
""",
        [("LGN.2", "00:1a.0", 0, WRITE)],
    ),
    (
        "FreeBSD sys/x86/iommu/amd_event.c: the forms of its lines",
        """amdiommu0: event type 0x2 0x00000300 0x0020000b 0xdeadb000 0x00000001
\tPage Fault rid 0x300 dom 11 nvme0
\tgn 0 nx 0 us 0 i 0 pr 0 rw 1 pe 0 rz 0 tr 0
\tgaddr 0x1deadb000
""",
        [("IO_PAGE_FAULT", "03:00.0", 0x1DEADB000, WRITE)],
    ),
]

#: Source, text, words of the notes.
NOTES = [
    (
        "linux-iommu, forced unbind: the driver is gone, 'platform' stands in its place",
        """  | platform arm-smmu-v3.0.auto: CMD_SYNC timeout at 0x00000146
  | [hwprod 0x00000146, hwcons 0x00000000]
""",
        ["a CMD_SYNC did not end in time, at 0x00000146"],
    ),
    (
        "linux-iommu: the unit left out",
        """  arm-smmu-v3: unexpected global error reported (0x00000001),
               this could be serious
  arm-smmu-v3: CMDQ error (cons 0x01000022): Illegal command
  arm-smmu-v3: skipping command in error state:
  arm-smmu-v3:  0x0000000000000000
  arm-smmu-v3:  0x0000000000000000
""",
        ["CMDQ_ERR", "CERROR_ILL", "opcode 0x0, which is none"],
    ),
    (
        "linux-iommu: even the driver left out",
        """>    unexpected global error reported (0x00000001), this could be serious
>    CMDQ error (cons 0x0302bb84): ATC invalidate timeout
""",
        ["CMDQ_ERR", "CERROR_ATC_INV_SYNC", "CONS 0x2bb84"],
    ),
    (
        "github.com, ROCm on a laptop: the lower case of Linux",
        "[283817.888835] AMD-Vi: IOMMU event log overflow\n",
        ["a log overflowed, and events are missing"],
    ),
    (
        "a machine's notes: a kernel that says whose",
        "  `AMD-Vi: IOMMU 0000:00:00.2: Completion-Wait loop timed out` and\n",
        ["COMPLETION_WAIT"],
    ),
    (
        "vfio-users, aarch64 guest on an x86 host: its RAM lies over 0xfee00000",
        """>>>> initialization failed: Region mach-virt.ram:
>>>> vfio_dma_map(0x55855c75bf00, 0x40000000, 0x100000000, 0x7f5197e00000)
>>>> = -22 (Invalid argument
""",
        ["VFIO_IOMMU_MAP_DMA failed with EINVAL", "0xfee00000 to 0xfeefffff in it, which x86 hosts reserve"],
    ),
    (
        "qemu-devel, 1 TiB guests on AMD",
        """,bootindex=-1: VFIO_MAP_DMA: -22
\t\tRegion pc.ram: vfio_dma_map(0x55ba53e7a9d0, 0x100000000, 0xff30000000, 0x7ed243e00000) = -22 (Invalid argument)
""",
        ["0xfd00000000 to 0xffffffffff in it, which AMD hosts reserve"],
    ),
    (
        "qemu-devel, UEFI guest: QEMU's trace above the failure; the -1 in it is no errno",
        """>>>    iommufd_backend_map_dma  iommufd=10 ioas=2 iova=0x380000001000
>>> size=0x3000 addr=0x7fce2c28b000 readonly=0 (-1)
>>> qemu-system-x86_64: IOMMU_IOAS_MAP failed: Invalid argument
""",
        ["IOMMU_IOAS_MAP failed with EINVAL", "iova 0x380000001000", "needs IOVA of 46 bits"],
    ),
    (
        "qemu-devel, Grace Hopper: VFIO's name in an iommufd failure",
        """qemu-system-aarch64: warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?
qemu-system-aarch64: warning: vfio_container_dma_map(0xaaaea68471b0,
0xc090000, 0x10000, 0xffffb5c00000) = -14 (Bad address)
""",
        ["IOMMU_IOAS_MAP failed with EFAULT", "a device's memory (BAR)", "iova 0xc090000, size 0x10000"],
    ),
    (
        "cloud-hypervisor's documentation of memory limits",
        "Error booting VM: VmBoot(DeviceManager(VfioDmaMap(IommuDmaMap(Error(12)))))\n",
        ["VFIO_IOMMU_MAP_DMA failed with ENOMEM"],
    ),
    (
        "DAOS's documentation: DPDK's text, wrapped",
        """daos_engine:1 EAL: cannot set up DMA remapping, error 12 (Cannot allocate
    memory)
""",
        ["VFIO_IOMMU_MAP_DMA failed with ENOMEM"],
    ),
    (
        "Linux drivers/iommu/intel/svm.c: the form of the line; words by VT-d 7.4.1.1",
        "DMAR: dmar3: Page request without PASID: 3000001 7f0001000003\n",
        ["page request without PASID", "device 03:00.0, no PASID, read, write, 0x7f0001000000"],
    ),
    (
        "github.com/intel/dsa-perf-micros issue 2: cut down by hand",
        """IOMMU: dmar12: Page request without PASID
dmar12: Invalid page request: [...]
idxd 0000:75:01.0: err[0]: 0x0000000000001a2d
""",
        ["unit dmar12: page request without PASID", "unit dmar12: invalid page request"],
    ),
    (
        "Linux drivers/iommu/arm/arm-smmu-v3: the form of the lines",
        """arm-smmu-v3 arm-smmu-v3.2.auto: unexpected PRI request received:
arm-smmu-v3 arm-smmu-v3.2.auto: \tsid 0x00000100.0x00001: [12L] unprivileged RW access at iova 0x0000ffff80001000
""",
        ["a page request that nothing handles", "StreamID 0x100, SubstreamID 0x1, unprivileged, R, W access"],
    ),
    (
        "ath12k: trace events, wrapped: the device used what had been unmapped",
        """   kworker/u64:0-12      [011] .....   327.747766: unmap: IOMMU: iova=0x00000000fe980000 -
0x00000000fea00000 size=524288 unmapped_size=524288

irq/26-AMD-Vi-154     [006] .....   327.753942: io_page_fault: IOMMU:ath12k_pci
0000:c2:00.0 iova=0x00000000fe980000 flags=0x0001
""",
        ["0000:c2:00.0 (ath12k_pci): a fault at 0xfe980000", "the device used it AFTERWARDS"],
    ),
    (
        "logs of Snapdragon phones: the SMMU does not answer",
        "arm-smmu 15000000.apps-smmu: TLB sync timed out -- SMMU may be deadlocked\n",
        ["an invalidation of the TLB did not end in time"],
    ),
    (
        "linux-samsung-soc, Exynos 7870 (wrapped)",
        """>>> [    2.918189] exynos-sysmmu 14860000.sysmmu: 14830000.decon: [READ]
>>> PAGE FAULT occurred at 0x6715b3e0
""",
        ["a fault of exynos-sysmmu, which this program does not read"],
    ),
    (
        "a driver of no known name",
        "loongson-iommu 0000:00:1a.0: Page fault at 0x1000\n",
        ["a fault of loongson-iommu, which this program does not read"],
    ),
]


@pytest.mark.parametrize(("source", "text", "expected"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_fault_of_a_public_report_says_what_its_lines_say(source, text, expected):
    decoded = decode(text)

    assert [(r.meaning.name, r.device, r.address, r.access) for r in decoded.reports] == expected
    assert decoded.unread == ()
    assert all(report.look for report in decoded.reports)


@pytest.mark.parametrize(("source", "text", "words"), NOTES, ids=[row[0] for row in NOTES])
def test_another_message_of_a_public_report_says_what_its_lines_say(source, text, words):
    decoded = decode(text)
    said = " ".join(f"{note.title} {' '.join(note.facts)}" for note in decoded.notes)

    for word in words:
        assert word in said
    assert decoded.unread == ()
    assert decoded.reports == ()
    assert all(note.look for note in decoded.notes)


def test_the_source_of_a_driver_is_no_fault():
    """Lines of patches, in the words of Linux's drivers."""
    text = r"""
+	pr_err("DMAR: [DMA %s NO_PASID] Request device [%02x:%02x.%d] fault addr 0x%llx [fault reason 0x%02x] %s\n",
+	dev_err(dev, "AMD-Vi: Event logged [IO_PAGE_FAULT device=%04x:%02x:%02x.%x pasid=0x%05x address=0x%llx]\n",
+	dev_info(smmu->dev, "arm-smmu-v3 x: event 0x%02x received:\n", id);
"""
    decoded = decode(text)

    assert (decoded.reports, decoded.notes, decoded.unread) == ((), (), ())


def test_an_event_whose_flags_are_not_there_says_neither_access_nor_presence():
    [report] = decode(
        "AMD-Vi: Event logged [IO_PAGE_FAULT device=17:00.0 domain=0x001d address=0x637000]"
    ).reports

    assert report.access is None
    assert dict(report.extra) == {"flags": "the line does not say it", "domain": "0x001d"}


def test_two_lines_of_one_failure_are_one_message():
    """The report of NOTES about 1 TiB guests prints the ioctl and the function that called it."""
    text = next(text for source, text, _ in NOTES if "1 TiB" in source)

    assert len(decode(text).notes) == 1


def test_a_call_that_succeeded_is_no_failure_whatever_text_stands_behind():
    """linux-iommu: QEMU printed the errno of an earlier call."""
    text = (
        "qemu-system-x86_64: 232 vfio_dma_unmap(0x55b99d7b7d40, 0xff000000, 0x1000000) = 0 (No such file)\n"
    )

    assert decode(text).notes == ()


def test_the_software_walk_of_androids_kernel_is_said():
    text = next(text for source, text, _ in FAULTS if "uvc gadget" in source)
    extra = dict(decode(text).reports[0].extra)

    assert extra["client"] == "a600000.dwc3"
    assert extra["context bank"] == "27"
    assert extra["the kernel's own walk"] == "nothing is mapped there"


def test_an_interrupt_that_faults_is_looked_for_among_interrupts():
    [report] = decode(
        "(XEN) AMD-Vi: IO_PAGE_FAULT: 0000:00:14.0 d0 addr 000000fdf8010140 flags 0x8 I\n"
    ).reports

    assert report.access is None
    assert report.look.startswith("interrupt remapping of this device")


def test_xens_table_of_an_amd_fault_is_said():
    """Xen-devel, iommu=debug."""
    text = """(XEN) AMD-Vi: IO_PAGE_FAULT: DDDD:bb:dd.f d0 addr fffffffdf8000000 flags 0x8 I
(XEN) DDDD:bb:dd.f root @ 83b5f5 (3 levels) dfn=fffffffdf8000
(XEN)   L3[1f7] = 0 np
"""
    extra = dict(decode(text).reports[0].extra)

    assert extra["page table"] == "3 levels at 0x83b5f5000"
    assert extra["entry of level 3"] == "0x0: nothing there"


def test_registers_that_read_as_ones_are_not_taken_apart():
    """Linux reads 0xffffffff from a unit that is gone (bugzilla.kernel.org 216644: all of IQERCD)."""
    [note] = decode("DMAR: DRHD: handling fault status reg ffffffff\n").notes

    assert "all ones" in note.title
    assert note.facts == ()


def test_words_of_another_error_than_the_number_are_told():
    line = "arm-smmu-v3 arm-smmu-v3.0.auto: CMDQ error (cons 0x0100b1b7): ATC invalidate timeout\n"
    [note] = decode(line).notes

    assert "CERROR_ILL" in note.title
    assert "the words of the line are those of another error: ATC invalidate timeout" in note.facts
