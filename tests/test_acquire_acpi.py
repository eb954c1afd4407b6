"""Firmware's tables: who is behind which IOMMU, under which ID; what is reserved.

Every value that is expected here stands in the sources beside the tables (acpi_tables.py).
"""

from __future__ import annotations

import contextlib
import struct
import time

import pytest
from acpi_tables import NAMES, data, rooted, summed
from cli_support import DATA, run, sentence
from hypothesis import given, settings
from hypothesis import strategies as st

from iommu_abi.acquire import acpi, image, merge
from iommu_abi.acquire.acpi import find
from iommu_abi.acquire.units import Acquired, Device, Found
from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory

VTD = DATA / "acquire/vtd-legacy-k6.12-kaslr-d31.lime.xz"


def read(name: str) -> Acquired:
    return acpi.read(data(name), name)


# ---------------------------------------------------------------- units and IDs


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("dmar", [("vtd", "dmar0", 0xFED90000), ("vtd", "dmar1", 0xFED91000)]),
        ("ivrs", [("amdvi", "ivhd0", 0xFEB80000), ("amdvi", "ivhd1", 0xF4000000)]),
        ("iort", [("smmuv3", "smmu0", 0x2B400000), ("smmuv3", "smmu1", 0x2B500000)]),
        ("viot", [("virtio", "0000:00:03.0", None), ("virtio", "viommu1", 0x1D000000)]),
        ("rimt", [("riscv", "iommu0", 0x3010000), ("riscv", "0000:00:01.0", None)]),
    ],
)
def test_each_unit_is_where_its_table_says(name, units):
    assert [(unit.kind, unit.name, unit.base) for unit in read(name).units] == units


@pytest.mark.parametrize(
    ("name", "segment", "rid", "ids"),
    [
        ("dmar", 0, 0x10, [0x10, None]),  # 00:02.0 is named
        ("dmar", 0, 0x18, [None, None]),  # 00:03.0 is one of the others
        ("ivrs", 0, 0x0008, [0x0008, None]),  # 00:01.0 to 00:1f.6
        ("ivrs", 0, 0x00FF, [None, None]),
        ("ivrs", 0, 0x02AB, [0x0010, None]),  # bus 2 asks as 00:02.0
        ("ivrs", 0, 0x0300, [0x0018, None]),  # 03:00.0 asks as 00:03.0
        ("ivrs", 0, 0x0400, [0x0400, None]),
        ("ivrs", 1, 0x0400, [None, None]),
        ("iort", 0, 0x0018, [0x0118, None]),
        ("iort", 0, 0x0100, [None, 0x10000]),
        ("iort", 2, 0x0018, [None, 0x20018]),
        ("iort", 1, 0x0018, [None, None]),
        ("viot", 0, 0x0010, [0x0010, None]),
        ("viot", 2, 0x0009, [None, 0x20009]),  # from 0x10008 at 0001:00:01.0 on, a segment has 65,536
        ("rimt", 0, 0x0100, [0x0010, None]),  # the specification's first example
        ("rimt", 0, 0x0210, [None, 0x0210]),
        ("rimt", 0, 0x0110, [None, None]),
    ],
)
def test_requester_ids_become_ids_at_the_unit(name, segment, rid, ids):
    assert [unit.id_of(segment, rid, rest=False) for unit in read(name).units] == ids


def test_what_is_left_of_a_segment_is_behind_the_unit_that_includes_all():
    assert [unit.id_of(0, 0x18, rest=True) for unit in read("dmar").units] == [None, 0x18]
    assert [unit.id_of(1, 0x400, rest=True) for unit in read("ivrs").units] == [None, 0x400]


def test_what_is_no_pci_device_is_named_with_its_id():
    named = {scope.name: scope.ids for name in NAMES for unit in read(name).units for scope in unit.scopes}

    assert named["IOAPIC 2"] == (0xF0F8, 0xF0F8)
    assert named["HPET 0"] == (0xF8, 0xF8)
    assert named[r"ACPI device \_SB.PCI0.I2C"] == (0xA9, 0xA9)
    assert named["00:1d.0/00.1"] is None
    assert named["bridge 00:1c.0 and what is below it"] is None
    assert named["IOAPIC 4"] == (0xA0, 0xA0)
    assert named[r"\_SB.DMA0"] == (0x42, 0x42)
    assert named["device at 0x1c000000"] == (0x50000, 0x50000)


def test_a_platform_device_of_rimt_has_the_id_of_the_specifications_example():
    name = rb"\_SB.DMA0".ljust(12, b"\0")
    node = struct.pack("<BBHHHHH12s5I", 2, 1, 44, 0, 3, 24, 1, name, 0, 1, 0x20, 0x30, 0)
    table = bytearray(data("rimt") + node)
    struct.pack_into("<I", table, 36, 4)

    unit = acpi.read(summed(table), "rimt").units[0]

    assert [(scope.name, scope.ids) for scope in unit.scopes if not scope.rids] == [
        (r"\_SB.DMA0", (0x20, 0x20))
    ]


# ---------------------------------------------------------------- the rest of what they say


def reserved(name: str) -> list[tuple[str, int, int, str, list[str]]]:
    found = read(name).firmware.reserved
    return [(r.kind, r.first, r.last, r.access, [scope.name for scope in r.scopes]) for r in found]


def test_reserved_memory_has_its_devices_and_rights():
    assert reserved("dmar") == [("RMRR", 0x7B800000, 0x7FFFFFFF, "rw", ["00:02.0"])]
    assert reserved("ivrs") == [
        ("IVMD", 0xC0000000, 0xC000FFFF, "rw", ["00:03.0"]),
        ("IVMD", 0xC1000000, 0xC1000FFF, "r", ["00:01.0..00:1f.6"]),
        ("IVMD exclusion", 0xC2000000, 0xC21FFFFF, "rw", []),
    ]
    assert reserved("iort") == [
        ("RMR", 0xE0000000, 0xE03FFFFF, "rw", ["StreamIDs 0x110 to 0x110 of the SMMU at 0x2b400000"])
    ]


def test_opt_in_features_and_widths_are_told():
    dmar, ivrs = read("dmar"), read("ivrs")

    assert (dmar.firmware.opt_in, ivrs.firmware.opt_in) == (True, True)
    assert "DMAR: host addresses have 39 bits (--reg HAW says so)" in dmar.firmware.facts
    assert "DMAR: ATSR: ATS below bridge 00:1c.0 and what is below it" in dmar.firmware.facts
    assert ivrs.units[0].registers == {"EXT_FEATURES": 0x29D7, "EXT_FEATURES2": 0}
    assert any("COHACC is overridden" in text for text in read("iort").units[0].evidence)
    assert read("iort").notes == ("iort: an SMMU of version 1 or 2 at 0x2b600000, not read here",)


# ---------------------------------------------------------------- lengths that lie


def wrong(table: bytes, at: int, form: str, value: int) -> bytes:
    made = bytearray(table)
    struct.pack_into(form, made, at, value)
    return bytes(made)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (data("dmar")[:20], "20 bytes, and a table of ACPI has at least 36"),
        (wrong(data("dmar"), 4, "<I", 1 << 31), "its header says 2147483648 bytes, there are 200"),
        (wrong(data("dmar"), 60, "<B", 1), "its bytes sum to "),
        (summed(wrong(data("dmar"), 50, "<H", 0)),
         "the remapping structure at 0x30 says that it has 0 bytes, expected 4 to 152"),
        (summed(wrong(data("dmar"), 50, "<H", 0xFFFF)), "says that it has 65535 bytes, expected 4 to 152"),
        (summed(wrong(data("dmar"), 65, "<B", 0)),
         "the device scope at 0x40 says that it has 0 bytes, expected 8 to 26"),
        (summed(data("dmar")[:48] + struct.pack("<HHI", 0, 8, 0)),
         "a field of 8 bytes at 0x38, but what it is in ends at 0x38"),
        (summed(wrong(data("ivrs"), 50, "<H", 3)), "the definition block at 0x30 says that it has 3 bytes"),
        (summed(wrong(data("ivrs"), 116, "<B", 4)), "the range that ends at 0x8 has no start below it"),
        (summed(wrong(data("iort"), 40, "<I", 0xFFFFFFF0)), "the array of nodes at 0xfffffff0 says"),
        (summed(wrong(data("iort"), 0x138, "<I", 0x0FFFFFFF)), "the array of ID mappings at 0x154 says"),
        (summed(wrong(data("viot"), 0x72, "<H", 0xFFFF)), "it has more than 65536 device scopes"),
        (summed(wrong(data("rimt"), 0x92, "<H", 0xFFFF)), "the array of ID mappings at "),
    ],
)  # fmt: skip
def test_a_table_that_lies_is_one_sentence(capsys, tmp_path, table, said):
    path = tmp_path / "table"
    path.write_bytes(table)

    done = run(capsys, "translate", "/dev/null", "--config", path, "--rid", "1", "--iova", "1")

    assert (done.status, done.out) == (2, "")
    assert said in sentence(done)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.integers(36, 1 << 12), st.integers(0, 255)), min_size=1, max_size=16),
)
def test_a_mutated_table_is_read_or_refused(name, changes):
    table = bytearray(data(name))
    for at, byte in changes:
        table[36 + at % (len(table) - 36)] = byte
    start = time.process_time()

    with contextlib.suppress(ImageError):
        acpi.read(summed(table), name)

    assert time.process_time() - start < 10


# ---------------------------------------------------------------- in memory


def test_the_root_pointer_leads_to_the_machines_own_tables():
    memory = Memory()
    memory.map(0x1000, summed(data("dmar").replace(b"TWOUNITS", b"GUESTS  ")).ljust(4096, b"\0"))
    memory.map(0x100000, rooted(data("dmar"), data("iort")))

    found, notes = find.find(memory, anywhere=True)

    assert [(table.address, table.data) for table in found] == [
        (0x100101, data("dmar")),
        (0x100101 + len(data("dmar")) + 3, data("iort")),
    ]
    assert notes == []


def test_without_a_root_pointer_memory_is_searched_and_a_second_table_is_told():
    memory = Memory()
    memory.map(0x1000, b"\0" * 5 + data("dmar") + bytes(3000))
    memory.map(0x9000, summed(data("dmar").replace(b"TWOUNITS", b"GUESTS  ")).ljust(4096, b"\0"))

    found, notes = find.find(memory, anywhere=True)

    assert [table.address for table in found] == [0x1005]
    assert notes == ["DMAR at 0x9000 says something else than DMAR at 0x1005, and is not taken"]
    assert find.find(memory, anywhere=False) == ([], [])


def linux_with(table: bytes) -> Acquired:
    memory = Memory.open(VTD)
    memory.map(0x7F000000, rooted(table, at=0x7F000000))
    return image.acquire(memory)


def test_the_kernels_units_and_those_of_the_table_are_one_list():
    found = linux_with(data("dmar"))

    assert [(unit.name, unit.base, bool(unit.registers), len(unit.scopes)) for unit in found.units] == [
        ("dmar0", 0xFED90000, True, 3),
        ("dmar1", 0xFED91000, False, 4),
    ]
    assert found.source == "Linux 6.12.95+deb12-amd64, DMAR at 0x7f000101"
    assert found.notes == (
        "vtd dmar1 at 0xfed91000 of DMAR at 0x7f000101 is not in Linux 6.12.95+deb12-amd64",
    )
    assert found.firmware.opt_in is True


def test_a_device_behind_another_unit_than_firmware_says_is_told():
    first, second = struct.pack("<Q", 0xFED90000), struct.pack("<Q", 0xFED91000)
    swapped = data("dmar").replace(first, b"12345678").replace(second, first).replace(b"12345678", second)

    found = linux_with(summed(wrong(swapped, 0x46, "<B", 4)))  # the path of its first scope

    assert [unit.name for unit in found.units] == ["dmar0", "dmar0@fed91000"]
    assert "00:04.0: the kernel has it behind dmar0, firmware behind dmar0@fed91000" in found.notes


def test_a_table_that_lies_in_memory_is_told_and_the_kernel_is_read():
    found = linux_with(summed(wrong(data("dmar"), 50, "<H", 0xFFFF)))

    assert [unit.name for unit in found.units] == ["dmar0"]
    assert "the remapping structure at 0x30 says that it has 65535 bytes" in found.notes[-1]


def test_ids_that_differ_between_kernel_and_firmware_are_told():
    device = Device("0000:00:03.0", (0x18,), 0)
    kernel = Acquired("Linux", (Found("smmuv3", "arm-smmu-v3.0.auto", 0x2B400000, 0, {}, (device,)),))

    notes = merge.merged([kernel, read("iort")]).notes

    assert "00:03.0: its ID is 0x18 to the kernel, 0x118 to firmware" in notes


def test_registers_that_differ_between_sources_are_told_and_the_first_is_taken():
    driver = Acquired("Linux", (Found("amdvi", "ivhd0", 0xFEB80000, 0, {"EXT_FEATURES": 0x29D3}),))

    found = merge.merged([driver, read("ivrs")])

    assert found.units[0].registers["EXT_FEATURES"] == 0x29D3
    assert "ivhd0: EXT_FEATURES is 0x29d3 by Linux, and is taken; 0x29d7 by ivrs" in found.notes


def lime(first: int, content: bytes) -> bytes:
    """doc/README.md of LiME: magic, version, first and last address."""
    return struct.pack("<IIQQ8x", 0x4C694D45, 1, first, first + len(content) - 1) + content


def test_config_shows_what_firmware_says_where_no_kernel_is_known(capsys, tmp_path):
    path = tmp_path / "dump.lime"
    path.write_bytes(lime(0x100000, rooted(data("dmar"))))

    made = run(capsys, "config", path, "--json").json
    text = run(capsys, "config", path).out
    asked = run(capsys, "translate", path, "--rid", "00:02.0", "--iova", "0x1000")

    assert [unit["base"] for unit in made["units"]] == ["0xfed90000", "0xfed91000"]
    assert made["units"][0]["scopes"][0] == {
        "name": "00:02.0", "segment": 0, "rids": ["0x10", "0x10"], "ids": ["0x10", "0x10"], "rest": False,
    }  # fmt: skip
    assert made["firmware"]["dma_opt_in"] is True
    assert made["firmware"]["reserved"][0]["first"] == "0x7b800000"
    assert "what the registers are is not known: no VMCOREINFO" in made["assumed"][-1]
    assert "RMRR 0x7b800000 to 0x7fffffff, rw: 00:02.0" in text
    assert asked.status == 2
    assert "vtd dmar1 at 0xfed91000 of DMAR at 0x100101: what the registers are is not known" in sentence(
        asked
    )


def test_what_is_written_keeps_the_scopes(capsys, tmp_path):
    path, meta = tmp_path / "dump.lime", tmp_path / "meta.json"
    path.write_bytes(lime(0x100000, rooted(data("dmar"), data("viot"))))
    run(capsys, "config", path, "-o", meta)

    ask = ("translate", path, "--config", meta, "--reg", "RTADDR=0", "--iova", "0", "--json", "--rid")

    assert run(capsys, *ask, "00:02.0").json["unit"] == "dmar0"
    assert run(capsys, *ask, "00:03.0").json["unit"] == "dmar1"
