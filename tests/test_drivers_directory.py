"""Drivers for AMD and RISC-V: what they check, in which order, and what they write into host memory.

AMD: bits of the device table entry as Linux's DTE_* masks have them, and what set_dte_nested() sets. RISC-V:
tc and fsc of the device context, RISC-V IOMMU specification 1.0, 3.1.3. Size and payload are ours.
"""

from __future__ import annotations

import errno
import struct

import pytest

from iommu_abi import Access, Device, Memory, Reason, Request, UsageError
from iommu_abi.drivers.amdvi import AmdviDriver
from iommu_abi.drivers.riscv import RiscvDriver
from iommu_abi.ledgers import ask
from iommu_abi.schemas import build
from iommu_abi.schemas.build_riscv import (
    ProcessDirectory,
    RiscvFirstStage,
    RiscvSecondStage,
    RiscvUnit,
)


def refused(call, rule, number):
    with pytest.raises(OSError, match=r".") as caught:
        call()
    assert (caught.value.rule.name, caught.value.errno) == (rule, number)


def payload(flags=0, version=1, more=b""):
    return struct.pack("=II", version, flags) + more


class World:
    """Host memory with one context, and the driver over it."""

    def __init__(self, driver, at, before, registers, ram=None, **device):
        self.ram = bytearray(0x20000) if ram is None else ram
        self.memory = Memory()
        self.memory.map(0, self.ram, writable=True)
        self.at = at
        self.put(*before)
        self.driver = driver(self.memory, registers)
        self.device = Device(0x18, **device)

    def put(self, *words):
        struct.pack_into(f"<{len(words)}Q", self.ram, self.at, *words)

    def context(self):
        return struct.unpack_from("<4Q", self.ram, self.at)


# ---------------------------------------------------------------- AMD-Vi

DEVTAB = 0x10000
DTE = 3 | 4 << 9 | 0x9000 | 3 << 61  # V, TV, Mode 4, HostPTRoot, IR, IW
EFR = 1 << 3 | 1 << 4 | 2 << 10 | 1 << 12 | 2 << 14 | 19 << 32 | 1 << 48  # GATS 5 levels, GLXSup 2
CONTROL = 1 | 1 << 16 | 1 << 58


def amd(q0=DTE, q1=0x77 | 1 << 32, q2=1, q3=1 << 55, device=None, **registers):
    values = {
        "DEVTAB_BASE": DEVTAB | 1, "EXT_FEATURES": EFR, "EXT_FEATURES2": 1 << 3, "CONTROL": CONTROL,
    }  # fmt: skip
    return World(AmdviDriver, DEVTAB + 0x18 * 32, (q0, q1, q2, q3), values | registers, **(device or {}))


def amd_bind(world, ptr=0x20000, size=4096, payload=b""):
    world.driver.bind_gcr3_table(world.device, ptr, size, payload)


@pytest.mark.parametrize(("size", "glx"), [(4096, 0), (8192, 1), (12288, 2)])
def test_amd_bind_writes_gv_glx_and_gcr3trp(size, glx):
    world = amd()

    amd_bind(world, size=size)

    # 0x20000: bits 30:15 of the table's address lie in 31:16 of the second word
    assert world.context() == (DTE | 1 << 55 | glx << 56, 0x77 | 1 << 32 | 4 << 16, 1, 1 << 55)


@pytest.mark.parametrize("bit", range(12, 52))
def test_each_bit_of_the_gcr3_root_has_its_place(bit):
    world = amd(q1=0)

    amd_bind(world, ptr=1 << bit)

    q0, q1, _, _ = world.context()
    found = (q0 >> 58 & 7) << 12 | (q1 >> 16 & 0xFFFF) << 15 | (q1 >> 43) << 31
    assert found == 1 << bit
    assert bin(q0 ^ DTE ^ 1 << 55).count("1") + bin(q1).count("1") == 1


def test_amd_payload_sets_guest_levels_and_giov():
    world = amd()

    amd_bind(world, payload=payload(3))

    q0, _, q2, _ = world.context()
    assert (q0 >> 54 & 1, q2) == (1, 1 | 1 << 54)


def test_amd_unbind_puts_the_former_bytes_back():
    world = amd()
    before = bytes(world.ram)

    amd_bind(world, size=12288, payload=payload(3))
    assert bytes(world.ram) != before
    world.driver.unbind_gcr3_table(world.device)

    assert bytes(world.ram) == before


# in the seed's order: payload's length, ptr, size, payload
AMD_REFUSED = [
    ({"payload": bytes(7)}, "bind.length", errno.EINVAL),
    ({"ptr": 0}, "bind.ptr.zero", errno.EINVAL),
    ({"ptr": 0x20800}, "bind.ptr.align", errno.EINVAL),
    ({"ptr": 1 << 52}, "bind.ptr.range", errno.EINVAL),
    ({"size": 0}, "bind.size.levels", errno.EINVAL),
    ({"size": 4097}, "bind.size.levels", errno.EINVAL),
    ({"size": 16384}, "bind.size.levels", errno.EINVAL),
    ({"payload": payload(version=2)}, "payload.version", errno.EOPNOTSUPP),
    ({"payload": payload(4)}, "bind.flags", errno.EINVAL),
    ({"payload": payload(more=b"\0\1")}, "payload.trailing", errno.EINVAL),
]


@pytest.mark.parametrize(("fields", "rule", "number"), AMD_REFUSED)
def test_amd_refuses_and_changes_nothing(fields, rule, number):
    world = amd()
    before = bytes(world.ram)

    refused(lambda: amd_bind(world, **fields), rule, number)

    assert bytes(world.ram) == before


@pytest.mark.parametrize("i", range(len(AMD_REFUSED) - 1))
def test_of_several_mistakes_the_first_in_order_is_named(i):
    later = [fields for fields, rule, _ in AMD_REFUSED[i + 1 :] if rule != AMD_REFUSED[i][1]]
    fields, rule, number = AMD_REFUSED[i]
    for other in later:
        if not fields.keys() & other.keys():
            refused(lambda both=other | fields: amd_bind(amd(device={"pasid": False}), **both), rule, number)


def test_trailing_zeros_of_a_payload_are_ignored():
    amd_bind(amd(), payload=payload(more=bytes(8)))


@pytest.mark.parametrize(("glxsup", "deepest"), [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_the_gcr3_table_is_as_deep_as_glxsup_allows(glxsup, deepest):
    for levels in (1, 2, 3):
        world = amd(EXT_FEATURES=EFR & ~(3 << 14) | glxsup << 14)
        if levels <= deepest:
            amd_bind(world, size=levels * 4096)
        else:
            refused(lambda w=world, n=levels: amd_bind(w, size=n * 4096), "bind.size.levels", errno.EINVAL)


def test_five_levels_need_gats():
    world = amd(EXT_FEATURES=EFR & ~(3 << 12))

    refused(lambda: amd_bind(world, payload=payload(1)), "bind.flags", errno.EINVAL)
    amd_bind(world, payload=payload(2))


@pytest.mark.parametrize(
    "lacks",
    [
        {"EXT_FEATURES": EFR & ~(1 << 4)}, {"EXT_FEATURES": EFR & ~(1 << 48)}, {"EXT_FEATURES2": 0},
        {"CONTROL": CONTROL & ~1}, {"CONTROL": CONTROL & ~(1 << 16)}, {"CONTROL": CONTROL & ~(1 << 58)},
        {"device": {"pasid": False}},
    ],
)  # fmt: skip
def test_amd_needs_guest_translation_with_the_table_in_gpa(lacks):
    refused(lambda: amd_bind(amd(**lacks)), "bind.pasid", errno.ENODEV)


@pytest.mark.parametrize(
    ("q0", "rule", "number"),
    [
        (0, "bind.context", errno.EINVAL),  # passes everything
        (1, "bind.context", errno.EINVAL),  # blocks everything
        (DTE & ~(7 << 9), "bind.context", errno.EINVAL),  # no host tables
        (DTE | 7 << 9, "bind.context", errno.EINVAL),
        (DTE | 1 << 55, "bind.busy", errno.EBUSY),
    ],
)
def test_amd_binds_only_into_a_dte_with_host_tables(q0, rule, number):
    refused(lambda: amd_bind(amd(q0=q0)), rule, number)


def test_a_second_bind_is_busy_and_an_unbind_of_nothing_invalid():
    world = amd()
    amd_bind(world)
    bound = bytes(world.ram)

    refused(lambda: amd_bind(world), "bind.busy", errno.EBUSY)
    assert bytes(world.ram) == bound
    world.driver.unbind_gcr3_table(world.device)
    refused(lambda: world.driver.unbind_gcr3_table(world.device), "unbind.unbound", errno.EINVAL)


def test_a_device_beyond_the_device_table_has_no_context():
    world = amd(DEVTAB_BASE=DEVTAB)  # one page: 128 devices

    amd_bind(world)
    refused(lambda: world.driver.bind_gcr3_table(Device(0x80), 0x20000, 4096), "bind.context", errno.EINVAL)


def test_a_dte_in_read_only_memory_is_a_mistake_of_the_caller():
    world = amd()
    memory = Memory()
    memory.map(0, bytes(world.ram))
    driver = AmdviDriver(memory, world.driver.registers)

    with pytest.raises(UsageError, match="does not lie in writable memory"):
        driver.bind_gcr3_table(world.device, 0x20000, 4096)
    assert driver.bindings == {}


@pytest.mark.parametrize(("glx", "pasid"), [(0, 5), (0, 511), (1, 512), (2, 0xFFFFF)])
def test_a_bound_gcr3_table_translates_in_both_ledgers_and_an_unbound_one_does_not(glx, pasid):
    host = build.Memory()
    second = build.AmdV1(host)
    unit = build.AmdUnit(host)
    unit.device(0x18, second)
    guest = build.Guest(host, second)
    first = build.AmdV2(guest)
    data = guest.page()
    first.map(0x7000_0000, data)
    table = build.Gcr3Table(guest, glx)
    table.set(pasid, first)
    memory = Memory()
    memory.map_many(host.runs(), writable=True)
    driver, device = AmdviDriver(memory, unit.registers), Device(0x18)
    request = Request(0x18, 0x7000_0123, pasid=pasid, access=Access.WRITE)

    driver.bind_gcr3_table(device, table.address, (glx + 1) * 4096)
    bound = ask(driver.unit, memory, request)
    beyond = ask(driver.unit, memory, Request(0x18, 0x7000_0123, pasid=1 << 9 * (glx + 1) & 0xFFFFF))
    driver.unbind_gcr3_table(device)
    unbound = ask(driver.unit, memory, request)

    assert bound.differences == beyond.differences == unbound.differences == ()
    assert bound.fast.hpa == guest.hpa(data) + 0x123
    # the DTE, then GLX + 1 entries of the table and 4 of the guest's, each after 4 of the host's; 4 more
    assert len(bound.fast.refs) == 1 + (glx + 1 + 4) * 5 + 4
    assert beyond.fast.fault is not None
    assert unbound.fast.fault.reason is Reason.BLOCKED


def test_giov_gives_requests_without_pasid_entry_0():
    host = build.Memory()
    second = build.AmdV1(host)
    unit = build.AmdUnit(host)
    unit.device(0x18, second)
    guest = build.Guest(host, second)
    first = build.AmdV2(guest, 5)
    data = guest.page()
    first.map(0x7000_0000, data)
    table = build.Gcr3Table(guest)
    table.set(0, first)
    memory = Memory()
    memory.map_many(host.runs(), writable=True)
    driver = AmdviDriver(memory, unit.registers | {"EXT_FEATURES": EFR})

    driver.bind_gcr3_table(Device(0x18), table.address, 4096, payload(3))
    answers = ask(driver.unit, memory, Request(0x18, 0x7000_0123))

    assert answers.differences == ()
    assert answers.fast.hpa == guest.hpa(data) + 0x123


# ---------------------------------------------------------------- RISC-V

DDT = 0x10000
CAPS = 0x10 | 0xF << 8 | 0xF << 16 | 1 << 24 | 56 << 32 | 7 << 38
BARE, EXTENDED = CAPS, CAPS | 1 << 22
IOHGATP = 8 << 60 | 0xF234 << 44 | 0x40
TC = 1 | 1 << 7  # V, GADE


def riscv(tc=TC, iohgatp=IOHGATP, ta=0, fsc=0, device=None, ddtp=2, caps=BARE):
    size = 64 if caps >> 22 & 1 else 32
    registers = {"DDTP": ddtp | DDT >> 12 << 10, "CAPABILITIES": caps}
    return World(RiscvDriver, DDT + 0x18 * size, (tc, iohgatp, ta, fsc), registers, **(device or {}))


def riscv_bind(world, ptr=0x20000, size=4096, payload=b""):
    world.driver.bind_process_directory(world.device, ptr, size, payload)


@pytest.mark.parametrize("caps", [BARE, EXTENDED])
@pytest.mark.parametrize(("size", "mode"), [(4096, 1), (8192, 2), (12288, 3)])
def test_riscv_bind_writes_pdtv_and_pdtp(size, mode, caps):
    world = riscv(caps=caps)
    beside = bytes(world.ram[world.at + 32 :])

    riscv_bind(world, ptr=0xFF_FFFF_FFFF_F000, size=size)

    pdtp = mode << 60 | 0xFFF_FFFF_FFFF  # 44 bits of PPN
    assert world.context() == (TC | 1 << 5, IOHGATP, 0, pdtp)
    assert world.ram[world.at + 32 :] == beside


def test_riscv_payload_sets_dpe_and_sade():
    for flags, bits in ((1, 1 << 9), (2, 1 << 8), (3, 3 << 8)):
        world = riscv()
        riscv_bind(world, payload=payload(flags))
        assert world.context()[0] == TC | 1 << 5 | bits


def test_riscv_unbind_puts_the_former_bytes_back():
    world = riscv(caps=EXTENDED)
    before = bytes(world.ram)

    riscv_bind(world, size=12288, payload=payload(3))
    assert bytes(world.ram) != before
    world.driver.unbind_process_directory(world.device)

    assert bytes(world.ram) == before
    refused(lambda: world.driver.unbind_process_directory(world.device), "unbind.unbound", errno.EINVAL)


# as for AMD, but that a GPA may have 56 bits
RISCV_REFUSED = [
    ({"ptr": 1 << 56}, *said) if fields.get("ptr") == 1 << 52 else (fields, *said)
    for fields, *said in AMD_REFUSED
]


@pytest.mark.parametrize(("fields", "rule", "number"), RISCV_REFUSED)
def test_riscv_refuses_and_changes_nothing(fields, rule, number):
    world = riscv()
    before = bytes(world.ram)

    refused(lambda: riscv_bind(world, **fields), rule, number)

    assert bytes(world.ram) == before


@pytest.mark.parametrize("bit", [38, 39, 40])
def test_the_directory_is_as_deep_as_pd8_pd17_and_pd20_allow(bit):
    for levels in (1, 2, 3):
        world = riscv(caps=CAPS & ~(7 << 38) | 1 << bit)
        if levels == bit - 37:
            riscv_bind(world, size=levels * 4096)
        else:
            refused(lambda w=world, n=levels: riscv_bind(w, size=n * 4096), "bind.size.levels", errno.EINVAL)


def test_sade_needs_amo_hwad():
    world = riscv(caps=CAPS & ~(1 << 24))

    refused(lambda: riscv_bind(world, payload=payload(2)), "bind.flags", errno.EINVAL)
    riscv_bind(world, payload=payload(1))


@pytest.mark.parametrize(
    "lacks",
    [{"ddtp": 0}, {"ddtp": 1}, {"ddtp": 5}, {"caps": CAPS & ~(0xF << 16)}, {"device": {"pasid": False}}],
)
def test_riscv_needs_a_device_directory_and_a_second_stage(lacks):
    refused(lambda: riscv_bind(riscv(**lacks)), "bind.pasid", errno.ENODEV)


@pytest.mark.parametrize(
    ("fields", "rule", "number"),
    [
        ({"tc": 0}, "bind.context", errno.EINVAL),
        ({"iohgatp": 0}, "bind.context", errno.EINVAL),
        ({"iohgatp": IOHGATP & ~(0xF << 60)}, "bind.context", errno.EINVAL),  # Bare, whatever GSCID is
        ({"iohgatp": IOHGATP | 0xFFFF << 44, "fsc": 1}, "bind.context", errno.EINVAL),
        ({"fsc": 8 << 60 | 0x40}, "bind.context", errno.EINVAL),  # a first stage of the host's own
        ({"tc": TC | 1 << 5, "fsc": 1 << 60 | 0x40}, "bind.busy", errno.EBUSY),
    ],
)
def test_riscv_binds_only_into_a_context_with_a_second_stage_alone(fields, rule, number):
    refused(lambda: riscv_bind(riscv(**fields)), rule, number)


@pytest.mark.parametrize(
    ("caps", "ddtp", "bits"),
    [(BARE, 2, 7), (BARE, 3, 16), (BARE, 4, 24), (EXTENDED, 2, 6), (EXTENDED, 3, 15), (EXTENDED, 4, 24)],
)
def test_a_device_id_has_the_bits_of_the_directorys_levels(caps, ddtp, bits):
    """RISC-V IOMMU 1.0, 3.1: 7, 9, 8 bits of index, with 64-byte contexts 6, 9, 9."""
    world = riscv(caps=caps, ddtp=ddtp)
    device = Device(1 << bits)

    refused(lambda: world.driver.bind_process_directory(device, 0x20000, 4096), "bind.context", errno.EINVAL)


def test_a_directory_entry_that_is_not_valid_has_no_context():
    refused(lambda: riscv_bind(riscv(ddtp=3)), "bind.context", errno.EINVAL)


@pytest.mark.parametrize("caps", [BARE, EXTENDED])
@pytest.mark.parametrize("rid", [0x15, 0x2A, 0x1234, 0x7FFF, 0x8000, 0x5A_5A5A, 0xA5_A5A5, 0xFF_FFFF])
def test_the_context_of_a_device_is_where_the_walk_finds_it(caps, rid):
    host = build.Memory()
    unit = RiscvUnit(host, 3, CAPABILITIES=caps)
    second = RiscvSecondStage(host)
    at = unit.device(rid, second=second)
    memory = Memory()
    memory.map_many(host.runs(), writable=True)
    driver = RiscvDriver(memory, unit.registers)

    driver.bind_process_directory(Device(rid), 0x20000, 4096)

    assert memory.read64(at + 24) == 1 << 60 | 0x20


@pytest.mark.parametrize("caps", [BARE, EXTENDED])
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize(("bits", "process"), [(8, 5), (17, 0x1FFFF), (20, 0xFFFFF)])
def test_a_bound_process_directory_translates_and_an_unbound_one_does_not(caps, levels, bits, process):
    host = build.Memory()
    second = RiscvSecondStage(host)
    unit = RiscvUnit(host, levels, CAPABILITIES=caps)
    rid = 0x15
    unit.device(rid, second=second)
    guest = build.Guest(host, second)
    first = RiscvFirstStage(guest)
    data = guest.page()
    first.map(0x7000_0000, data)
    processes = ProcessDirectory(guest, bits)
    processes.set(process, first)
    memory = Memory()
    memory.map_many(host.runs(), writable=True)
    driver, device = RiscvDriver(memory, unit.registers), Device(rid)
    request = Request(rid, 0x7000_0123, pasid=process, access=Access.WRITE)

    driver.bind_process_directory(device, processes.address, processes.levels * 4096)
    bound = ask(driver.unit, memory, request)
    driver.unbind_process_directory(device)
    unbound = ask(driver.unit, memory, request)

    assert bound.differences == unbound.differences == ()
    assert bound.fast.hpa == guest.hpa(data) + 0x123
    assert (unbound.fast.fault.reason, unbound.fast.fault.native) == (Reason.BLOCKED, 260)


@pytest.mark.parametrize(("flags", "ok"), [(0, False), (1, True)])
def test_dpe_gives_requests_without_process_id_process_0(flags, ok):
    host = build.Memory()
    second = RiscvSecondStage(host)
    unit = RiscvUnit(host)
    unit.device(0x15, second=second)
    guest = build.Guest(host, second)
    first = RiscvFirstStage(guest)
    data = guest.page()
    first.map(0x7000_0000, data)
    processes = ProcessDirectory(guest)
    processes.set(0, first)
    memory = Memory()
    memory.map_many(host.runs(), writable=True)
    driver = RiscvDriver(memory, unit.registers)

    driver.bind_process_directory(Device(0x15), processes.address, 4096, payload(flags))
    answers = ask(driver.unit, memory, Request(0x15, 0x7000_0123))

    # without DPE such a request has no first stage: its address is a GPA, and nothing is there
    assert answers.differences == ()
    assert (answers.fast.hpa == guest.hpa(data) + 0x123) is ok
