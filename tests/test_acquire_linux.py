"""IOMMUs of memory images with nothing else given.

The images in data/acquire are what the route reads of whole dumps of Debian kernels with KASLR
(make_small_dump.py); the registers beside each were read from the IOMMU's MMIO at the same stop.
"""

from __future__ import annotations

import contextlib
import json
import lzma
import os
import resource
import struct
import time

import pytest
from acpi_tables import NAMES as TABLES
from acpi_tables import data, rooted
from cli_support import DATA, run, sentence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iommu_abi.acquire import devices, kernel, linux, meta_file
from iommu_abi.acquire import image as image_units
from iommu_abi.btf import Btf
from iommu_abi.errors import Error, ImageError
from iommu_abi.memory import Memory

SMALL = DATA / "acquire"
NAMES = sorted(path.name.split(".lime")[0] for path in SMALL.glob("*.lime.xz"))

#: Memory that a hostile image may cost, beside itself: docs/config.md states it.
MOST_MORE_KIB = 256 << 10

#: Of small dumps; `make mutate-dumps` makes many.
MUTATIONS = int(os.environ.get("IOMMU_ABI_MUTATIONS", "150"))

#: What no kernel stores: CONTROL, CR0 and such are left out; of these registers some bits are.
NOT_STORED = {
    "IDR0": 1 << 26,  # TERM_MODEL
    "IDR1": 31 << 21 | 31 << 16 | 31 << 11,  # queue sizes are what the driver uses
    "IDR3": 1 << 2 | 1 << 4 | 3 << 11,  # HAD, XNX; BBM only since 7.x
}
EXPECTED = {
    "vtd": ("CAP", "ECAP", "GSTS", "RTADDR", "IQA", "IRTA"),
    "amd": ("DEVTAB_BASE", "CMDBUF_BASE", "EVTLOG_BASE", "EXT_FEATURES", "EXT_FEATURES2"),
    "smmuv3": ("STRTAB_BASE", "STRTAB_BASE_CFG", "IDR0", "IDR1", "IDR3", "IDR5", "CMDQ_BASE", "EVENTQ_BASE"),
    "riscv": ("CAPABILITIES", "FCTL", "DDTP", "CQB", "FQB"),
}
VTD = SMALL / "vtd-legacy-k6.12-kaslr-d31.lime.xz"


def image(name: str) -> str:
    return str(SMALL / f"{name}.lime.xz")


def differing(registers: dict[str, str], truth: dict[str, str]) -> dict[str, str]:
    """Registers that are not as they were, but for bits that are not stored."""
    return {
        name: f"{value} is {truth[name]}"
        for name, value in registers.items()
        if (int(value, 16) ^ int(truth[name], 16)) & ~NOT_STORED.get(name, 0)
    }


@pytest.mark.parametrize("name", NAMES)
def test_registers_are_those_of_the_hardware(capsys, name):
    truth = json.loads((SMALL / f"{name}.json").read_text())["registers"]

    done = run(capsys, "config", image(name), "--json")

    [unit] = done.json["units"]
    kind = name.split("-")[0]
    assert (done.status, unit["kind"], unit["base"]) == (0, kind, truth["base"])
    assert sorted(unit["registers"]) == sorted(EXPECTED[kind])
    assert differing(unit["registers"], truth) == {}
    assert unit["evidence"]


@pytest.mark.parametrize("name", NAMES)
def test_devices_have_their_names_drivers_and_groups(capsys, name):
    """As the guests had them: a disk, an NVMe, a network card, two devices given to VFIO."""
    [unit] = run(capsys, "config", image(name), "--json").json["units"]

    known = {each["bdf"]: each for each in unit["devices"]}
    assert (known["00:04.0"]["name"], known["00:04.0"]["driver"]) == ("nvme0", "nvme")
    assert known["00:04.0"]["ids"] == ["0x20"]
    assert known["00:05.0"]["driver"] == "e1000e"
    assert known["00:05.0"]["name"].startswith("eth")
    assert len({each["group"] for each in unit["devices"] if not each["bdf"].startswith("00:1f")}) == len(
        [each for each in unit["devices"] if not each["bdf"].startswith("00:1f")]
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_what_other_commands_read(capsys, name, tmp_path):
    path = tmp_path / "meta.json"
    run(capsys, "config", image(name), "-o", path)
    asked = ["--rid", "00:04.0", "--iova", "0x1000", "--json"]

    found = run(capsys, "translate", image(name), *asked).json
    read = run(capsys, "translate", image(name), *asked, "--config", path).json

    assert (found["reason"], found["entry_hpa"]) == (read["reason"], read["entry_hpa"])
    assert found["device"] == read["device"]
    assert found["device"]["name"] == "nvme0"
    assert found["found_in"].startswith("Linux ")
    assert json.loads(path.read_text())["registers"]["base"] == found["units"][0]["base"]


def test_what_is_assumed_is_one_line_and_a_field(capsys):
    shown = run(capsys, "translate", VTD, "--rid", "00:04.0", "--iova", "0").out.splitlines()

    assert shown[0] == (
        "found vtd dmar0 at 0xfed90000 of Linux 6.12.95+deb12-amd64;"
        " assumed: HAW, which no register says, is 52"
    )
    assert shown[1] == "vtd dmar0 at 0xfed90000, 00:04.0 nvme0 (nvme, group 2)"
    csv = run(capsys, "mappings", VTD, "--csv")
    assert csv.out.startswith("rid,pasid,")
    assert csv.err.startswith("found vtd dmar0")


# ---------------------------------------------------------------- several units


def second_unit(name: str, moved: str) -> Memory:
    """The image with a copy of its unit in the kernel's list, 1 MiB below it, and one device behind that."""
    memory = Memory()
    regions = [(r.first, bytearray(memory_read(name, r.first, r.size))) for r in Memory.open(image(name))]
    whole = next(k for k in kernel.find(Memory.open(image(name)), linux.WANTED) if not isinstance(k, Error))
    [(unit, vendor)] = linux._registered(whole)
    served = {device.short: thing for _, device, thing in devices.find(whole)}
    struct_name, member, having = vendor.STRUCT
    thing = whole.containing(struct_name, member, unit.address, having)
    size = whole.types.size(thing.type)
    below = thing.address - 0x100000
    new = unit.address - 0x100000

    def put(virtual: int, data: bytes) -> None:
        while data:
            at, part = whole.physical(virtual), data[: 4096 - virtual % 4096]
            for first, held in regions:
                if first <= at < first + len(held):
                    held[at - first : at - first + len(part)] = part
                    break
            else:
                page = bytearray(4096)
                page[at % 4096 : at % 4096 + len(part)] = part
                regions.append((at // 4096 * 4096, page))
            virtual, data = virtual + len(part), data[len(part) :]

    def word(virtual: int, value: int) -> None:
        put(virtual, struct.pack("<Q", value))

    after = whole.space.word(unit.place("list"))
    put(below, b"".join(whole.space.read(thing.address + i, 1) or b"\0" for i in range(size)))
    word(unit.place("list"), new)
    word(after + 8, new)
    word(new, after)
    word(new + 8, unit.address)
    word(served[moved].object("iommu").place("iommu_dev"), new)
    for first, held in sorted(regions, key=lambda region: region[0]):
        memory.map(first, bytes(held))
    return memory


def memory_read(name: str, first: int, size: int) -> bytes:
    return Memory.open(image(name)).read(first, size) or b""


def test_each_of_two_units_has_its_devices():
    found = linux.acquire(second_unit("vtd-legacy-k6.12-kaslr-d31", "00:05.0"))

    assert len(found.units) == 2
    behind = [[device.short for device in unit.devices] for unit in found.units]
    assert sorted("00:05.0" in names for names in behind) == [False, True]
    assert sum(len(unit.devices) == 1 for unit in found.units) == 1


def two_units(tmp_path, devices_of_second: list[dict]) -> str:
    """The unit of an image, and one whose root table is nowhere."""
    found = meta_file.document(linux.acquire(Memory.open(VTD)))
    registers = {**found["registers"], "RTADDR": "0xffffff000", "base": "0xfed91000"}
    other = {
        "kind": "vtd",
        "name": "dmar1",
        "segment": 1,
        "registers": registers,
        "devices": devices_of_second,
    }
    path = tmp_path / "both.json"
    path.write_text(json.dumps({"units": [{**found, "name": "dmar0"}, other]}))
    return str(path)


def test_the_scope_decides_and_else_all_are_asked(capsys, tmp_path):
    config = two_units(
        tmp_path, [{"bdf": "00:02.0", "device": "0001:00:02.0", "segment": 1, "ids": ["0x10"]}]
    )
    ask = ("translate", VTD, "--config", config, "--iova", "0", "--json", "--rid")

    assert run(capsys, *ask, "00:04.0").json["unit"] == "dmar0"
    assert run(capsys, *ask, "0001:00:02.0").json["unit"] == "dmar1"
    assert [each["unit"] for each in run(capsys, *ask, "00:09.0").json["answers"]] == ["dmar0", "dmar1"]
    assert run(capsys, *ask, "0001:00:09.0").json["unit"] == "dmar1"
    shown = run(capsys, *ask[:-2], "--rid", "00:09.0").out
    assert "vtd dmar0 at 0xfed90000\n" in shown
    assert "vtd dmar1 at 0xfed91000\n" in shown
    assert run(capsys, *ask, "00:09.0", "--unit", "dmar1").json["unit"] == "dmar1"
    assert "expected one of: dmar0 dmar1" in sentence_of_json(run(capsys, *ask, "1", "--unit", "x"))


def sentence_of_json(done) -> str:
    return done.err + done.out


def test_lists_say_which_unit_a_row_is_of(capsys, tmp_path):
    config = two_units(tmp_path, [])

    csv = run(capsys, "mappings", VTD, "--config", config, "--csv").out
    audits = run(capsys, "audit", VTD, "--config", config, "--json").json["audits"]

    assert csv.startswith("unit,rid,")
    assert [each["unit"] for each in audits] == ["dmar0", "dmar1"]
    done = run(capsys, "mappings", VTD, "--config", config, "--map")
    assert "a map is about one IOMMU, and there are several: say --unit, one of: dmar0 dmar1" in sentence(
        done
    )


def test_a_fault_line_is_joined_with_its_device(capsys, tmp_path):
    log = tmp_path / "dmesg"
    log.write_text("DMAR: [DMA Read NO_PASID] Request device [00:04.0] fault addr 0x9c000000"
                   " [fault reason 0x06] PTE Read access is not set\n")  # fmt: skip

    text = run(capsys, "decode", log, VTD).out
    made = run(capsys, "decode", log, VTD, "--json").json

    assert "00:04.0 nvme0 (nvme, group 2), read, 0x9c000000" in text
    assert made["faults"][0]["known_as"]["driver"] == "nvme"
    assert made["assumed"] == ["HAW, which no register says, is 52"]


# ---------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    "command", [("config",), ("translate", "--rid", "1", "--iova", "1"), ("mappings",), ("audit",)]
)
def test_an_image_that_is_no_linux_is_one_sentence(capsys, tmp_path, command):
    path = tmp_path / "zeros.lime"
    path.write_bytes(struct.pack("<IIQQ8x", 0x4C694D45, 1, 0, 4095) + bytes(4096))

    done = run(capsys, command[0], path, *command[1:])

    assert (done.status, done.out) == (2, "")
    assert "no VMCOREINFO of a Linux kernel in it, which would lead to its IOMMUs" in sentence(done)


def mutate(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    """Bytes that are not zero are changed: zeros are what nobody reads."""
    held = bytearray(data)
    places = [i for i, byte in enumerate(data) if byte]
    for at, byte in changes:
        held[places[at % len(places)]] = byte
    return bytes(held)


def with_firmware(dump: bytes) -> bytes:
    """The image with all tables of ACPI behind it."""
    tables = rooted(*map(data, TABLES), at=0x7F000000)
    return dump + struct.pack("<IIQQ8x", 0x4C694D45, 1, 0x7F000000, 0x7F000000 + len(tables) - 1) + tables


#: The four vendors, without the image whose types are a megabyte.
PLAIN = {
    name: with_firmware(lzma.decompress((SMALL / f"{name}.lime.xz").read_bytes()))
    for name in NAMES
    if "k6.1-" not in name
}


def acquired(data: bytes) -> None:
    """What a mutated image may do: be read, or be refused with one sentence."""
    memory, at = Memory(), 0
    while at < len(data):
        _, _, first, last = struct.unpack_from("<IIQQ", data, at)
        memory.map(first, data[at + 32 : at + 33 + last - first])
        at += 33 + last - first
    with contextlib.suppress(ImageError):
        found = image_units.acquire(memory)
        assert json.dumps(meta_file.report(found))


@settings(max_examples=MUTATIONS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(PLAIN)),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=20),
)
def test_a_mutated_image_is_read_or_refused(name, changes):
    data = PLAIN[name]
    headers, at = [], 0
    while at < len(data):  # LiME's own headers have tests of their own
        headers.append(at)
        _, _, first, last = struct.unpack_from("<IIQQ", data, at)
        at += 33 + last - first
    changed = bytearray(mutate(data, changes))
    for place in headers:
        changed[place : place + 32] = data[place : place + 32]
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    acquired(bytes(changed))

    assert time.process_time() - start < 120  # 2^21 numbers and 2^22 symbols at most
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MORE_KIB


@pytest.mark.parametrize(
    "types",
    [
        struct.pack("<III", 0, 8 << 24, 1),  # a typedef of itself
        struct.pack("<IIIIII", 0, 3 << 24, 0, 1, 1, 2),  # an array of itself
        struct.pack("<IIIIII", 1, 4 << 24 | 1, 8, 0, 1, 0),  # a struct that holds itself without a name
        struct.pack("<III", 0, 2 << 24, 99),  # a pointer to nothing
        struct.pack("<III", 0, 31 << 24, 0),  # a kind that there is not
    ],
)
def test_types_that_lead_nowhere_end(types):
    strings = b"\0x\0"
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))

    with contextlib.suppress(ImageError):
        found = Btf(header + types + strings)
        found.member(1, "absent")
        found.size(1)
        found.target(1)
