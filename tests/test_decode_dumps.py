"""Tables printed below a VT-d fault: each entry by its fields, and whether they block the request.

Forms of the lines: Linux drivers/iommu/intel/iommu.c (5.16: a large or absent entry is not printed; later it
is) and Xen drivers/passthrough/vtd/utils.c. Fields and reasons: VT-d specification 5.10, 9.1 to 9.8, Table
30.
"""

from __future__ import annotations

import pytest

from iommu_abi.decode import decode

ROOT = "DMAR: root entry: 0x0000000102448001"
#: AW=2: four levels; DID 1; the top table at 0x101b4d000.
CONTEXT = "DMAR: context entry: hi 0x0000000000000102, low 0x0000000101b4d001"


def fault(reason, *, access="Write", address=0x7FC01000):
    request = f"DMAR: [DMA {access} NO_PASID] Request device [00:0a.0] fault addr {address:#x}"
    return (
        f"{request} [fault reason {reason:#04x}] words",
        f"DMAR: Dump dmar0 table entries for IOVA {address:#x}",
    )


def ptes(*values):
    """From the top level down."""
    return tuple(
        f"DMAR: pte level: {level}, pte value: {value:#018x}"
        for level, value in zip(range(len(values), 0, -1), values, strict=True)
    )


def extra(*lines):
    [report] = decode("\n".join(lines)).reports
    return dict(report.extra)


def test_a_page_without_write_permission_blocks_a_write_as_the_line_says():
    said = extra(*fault(0x05), ROOT, CONTEXT, *ptes(0x200003, 0x201003, 0x202003, 0x12345001))

    assert said["root entry"] == "P, CTP=0x102448000"
    assert said["context entry"] == "P, SLPTPTR=0x101b4d000, AW=0x2 (4 levels), DID=0x1"
    assert said["second-stage entry, level 1"] == "R, ADDR=0x12345000"
    assert said["the tables"] == "they block this request with 0x5 LGN.2, as the line says"


def test_a_page_that_is_mapped_by_now_is_told():
    said = extra(*fault(0x05), ROOT, CONTEXT, *ptes(0x200003, 0x201003, 0x202003, 0x12345003))

    assert said["the tables"].startswith("they let this request pass")


def test_a_large_page_ends_the_walk():
    said = extra(*fault(0x06, access="Read"), ROOT, CONTEXT, *ptes(0x200003, 0x201003, 0x40000082, 0)[:3])

    assert said["second-stage entry, level 2"] == "W, PS, ADDR=0x40000000"
    assert said["the tables"] == "they block this request with 0x6 LGN.3, as the line says"


def test_an_entry_that_is_not_there_is_a_missing_right():
    """Table 30, LGN.3: legacy mode has no code of its own for R=W=0."""
    said = extra(
        *fault(0x06, access="Read"),
        ROOT,
        CONTEXT,
        *ptes(0x200003, 0x201003, 0, 0)[:3],
        "DMAR: page table not present at level 1",
    )

    assert said["printed"] == "page table not present at level 1"
    assert said["the tables"] == "they block this request with 0x6 LGN.3, as the line says"


def test_another_reason_than_the_lines_is_told():
    said = extra(*fault(0x02), ROOT, CONTEXT, *ptes(0x200003, 0x201003, 0x202003, 0x12345001))

    assert "0x5 LGN.2, which is NOT the reason of the line" in said["the tables"]


@pytest.mark.parametrize("left", [1, 2, 4])
def test_entries_that_were_not_printed_are_not_made_up(left):
    lines = (ROOT, CONTEXT, *ptes(0x200003, 0x201003, 0x202003, 0x12345001))[:left]

    assert "the tables" not in extra(*fault(0x05), *lines)


SCALABLE = (
    "DMAR: scalable mode root entry: hi 0x0000000000000000, low 0x0000000101b3e001",
    "DMAR: context entry: hi 0x0000000000000000, low 0x0000000101b4d401",
    "DMAR: pasid dir entry: 0x0000000101b4e001",
)


def pasid_entry(*words):
    whole = (*words, 0, 0, 0, 0, 0, 0, 0, 0)[:8]
    return tuple(f"DMAR: pasid table entry[{i}]: {word:#018x}" for i, word in enumerate(whole))


def test_first_stage_entries_are_those_of_the_first_stage():
    """PGTT=1 (bits 8:6), SRE; the first-stage table at 0x300000, 4 levels."""
    said = extra(
        *fault(0x71, access="Read"),
        *SCALABLE,
        *pasid_entry(0x41, 1, 0x300001),
        *ptes(0x400027, 0x401027, 0, 0)[:3],
        "DMAR: page table not present at level 1",
    )

    assert said["first-stage entry, level 4"] == "P, RW, US, A, ADDR=0x400000"
    assert said["the tables"] == "they block this request with 0x71 SFL.2, as the line says"


def test_an_entry_that_is_present_contradicts_the_reason_of_the_line():
    said = extra(*fault(0x59), *SCALABLE, *pasid_entry(0x109, 1))

    assert "PGTT=0x4 (pass-through)" in said["PASID entry"]
    assert said["the tables"].startswith("they let this request pass")


def test_reserved_bits_are_shown():
    said = extra(*fault(0x5A), *SCALABLE, *pasid_entry(0x109, 1, 0, 0x10))

    assert "RESERVED BITS" in said["PASID entry"]
    assert said["the tables"] == "they block this request with 0x5a SPT.3, as the line says"


def test_tables_of_another_address_belong_to_another_fault():
    lines = (*fault(0x05)[:1], *fault(0x05, address=0x1000)[1:], ROOT, CONTEXT)
    decoded = decode("\n".join(lines))

    assert decoded.reports[0].extra == ()
    assert decoded.notes[0].title == "VT-d: tables for 0x1000, without the fault that they were printed for"


def test_each_fault_has_its_own_tables():
    one = (*fault(0x05), ROOT, CONTEXT, *ptes(0x200003, 0x201003, 0x202003, 0x12345001))
    other = (*fault(0x02, address=0x5000), ROOT, "DMAR: context entry: hi 0x0000000000000000, low 0x0")
    first, second = decode("\n".join([*one, *other])).reports

    assert dict(first.extra)["the tables"].endswith("0x5 LGN.2, as the line says")
    assert dict(second.extra)["the tables"].endswith("0x2 LCT.2, as the line says")


def test_a_kernel_that_died_in_its_dump_is_read_as_far_as_it_came():
    """A public script's comment: Linux walked a context entry that is all zero, and read other memory."""
    lines = """
\t# [    1.621462] DMAR: DRHD: handling fault status reg 2
\t# [    1.622449] DMAR: [DMA Read NO_PASID] Request device [00:0d.0] fault addr 0x10c176000 [fault reason\
 0x02] Present bit in context entry is clear
\t# [    1.623699] DMAR: Dump dmar0 table entries for IOVA 0x10c176000
\t# [    1.624998] DMAR: root entry: 0x00000001032b5001
\t# [    1.624999] DMAR: context entry: hi 0x0000000000000000, low 0x0000000000000000
\t# [    1.626163] DMAR: pte level: 2, pte value: 0xf000ff53f000ff53
\t# [    1.626915] Oops: general protection fault, probably for non-canonical address 0xf00087d3f000fbb0
"""
    said = extra(lines)

    assert said["context entry"] == "all zero"
    assert said["the tables"] == "they block this request with 0x2 LCT.2, as the line says"


def test_xens_tables():
    """Xen-devel, DMA faults of a GPU, quoted and wrapped by mail."""
    said = extra("""
> Oct 16 15:58:05.110768 VM hypervisor: (XEN) [VT-D]DMAR:[DMA Read]
> Request device [0000:00:02.0] fault addr ea0c4f000, iommu reg = ffff
> 82c00021d000
> Oct 16 15:58:05.110774 VM hypervisor: (XEN) [VT-D]DMAR: reason 06 -
> PTE Read access is not set
> Oct 16 15:58:05.110777 VM hypervisor: (XEN) print_vtd_entries: iommu
> #0 dev 0000:00:02.0 gmfn ea0c4f
> Oct 16 15:58:05.110780 VM hypervisor: (XEN)     root_entry[00] = 46e129001
> Oct 16 15:58:05.110782 VM hypervisor: (XEN)     context[10] = 2_46e128001
> Oct 16 15:58:05.110785 VM hypervisor: (XEN)     l4[000] = 46e11b003
> Oct 16 15:58:05.110787 VM hypervisor: (XEN)     l3[03a] = 0
> Oct 16 15:58:05.110789 VM hypervisor: (XEN)     l3[03a] not present
""")

    assert said["context entry"] == "P, SLPTPTR=0x46e128000, AW=0x2 (4 levels)"
    assert said["printed"] == "l3[03a] not present"
    assert said["the tables"] == "they block this request with 0x6 LGN.3, as the line says"


@pytest.mark.parametrize(
    ("reason", "words"),
    [  # IQERCD.IQEI, VT-d specification 5.10, 11.4.9.9
        ("1", "the tail pointer is invalid"),
        ("3", "a descriptor of no valid type"),
        ("4", "a reserved field is set"),
        ("6", "not a multiple of the descriptor width"),
        ("9", "which has no meaning"),
    ],
)
def test_why_the_invalidation_queue_stopped(reason, words):
    [note] = decode(f"DMAR: VT-d detected Invalidation Queue Error: Reason {reason}").notes

    assert any(words in fact for fact in note.facts)


@pytest.mark.parametrize(
    ("reason", "name"),
    [(0x29, "IR.10"), (0x32, "RTA.3"), (0x49, "SCT.10"), (0x60, "SPT.9"), (0x75, "SFL.6"), (0x89, "SGN.10")],
)
def test_reasons_of_newer_units_have_names(reason, name):
    """VT-d specification 5.10, Tables 15 and 30."""
    [report] = decode(fault(reason)[0]).reports

    assert report.meaning.name == name


def test_guest_tables_that_control_does_not_switch_on_are_told():
    """The entry of a laptop's GPU (commit ef75966abf95), and a CONTROL with GTEn (16) clear."""
    said = extra(
        "iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:06:00.0 pasid=0x00000"
        " address=0x135300000 flags=0x0080]",
        "iommu ivhd0: AMD-Vi: Control Reg : 0xc22000142148d",
        *("AMD-Vi: DTE[0]: 7d90000000000003", "AMD-Vi: DTE[1]: 0000100103fc0009"),
        *("AMD-Vi: DTE[2]: 2000000117840013", "AMD-Vi: DTE[3]: 0000000000000000"),
    )

    assert said["DTE is wrong"] == "GV=1 while CONTROL has GTEn=0: guest tables are not switched on"
