"""Drivers: what they check, in which order, and what they write into host memory.

VT-d: bits of the extended context entry (VT-d 2.x 9.4, EDK II's header of 2017 agrees); T before and after a
bind as Linux 4.x's intel_iommu_enable_pasid. SMMUv3: STE of Arm IHI 0070 5.2.
"""

from __future__ import annotations

import errno
import itertools
import struct
from functools import partial

import pytest

from iommu_abi import Access, Device, Domain, Memory, Reason, Request, UsageError, walk
from iommu_abi.drivers.smmuv3 import Smmuv3Driver
from iommu_abi.drivers.vtd import VtdDriver
from iommu_abi.errors import AbiError
from iommu_abi.ledgers import compare
from iommu_abi.schemas import build, plain_walk
from iommu_abi.terms import Stage
from iommu_abi.uapi import v1_2017

INFO = v1_2017.pasid_table_info
ROOT, CONTEXTS, SLPT = 0x1000, 0x2000, 0x5000
CONTEXT_3 = CONTEXTS + 0x18 * 32
ECAP = 1 << 24 | 1 << 26 | 1 << 40 | 19 << 35 | 1 << 6 | 1 << 2  # ECS, NEST, PASID, PSS, PT, DT
CAP = 47 << 16 | 4 << 8 | 6  # 48 bits, ND: 16
ALL = 1 << 25 | 1 << 34 | 1 << 30 | 1 << 31 | 1 << 29  # MTS, EAFS, ERS, SRS, PRS


class Vtd:
    """One bus with one context for 00:03.0."""

    def __init__(self, q0=SLPT | 1, q1=2, ecap=ECAP, **device):
        self.ram = bytearray(0x10000)
        self.memory = Memory()
        self.memory.map(0, self.ram, writable=True)
        self.memory.write64(ROOT, CONTEXTS | 1)
        self.put(q0, q1, 0, 0)
        self.driver = VtdDriver(self.memory, {"RTADDR": ROOT | 2 << 10, "CAP": CAP, "ECAP": ecap})
        self.domain, self.device = Domain(self.driver), Device(0x18, **device)

    def put(self, *words):
        self.ram[CONTEXT_3 : CONTEXT_3 + 32] = struct.pack("<4Q", *words)

    def context(self):
        return struct.unpack_from("<4Q", self.ram, CONTEXT_3)

    def bind(self, **fields):
        self.domain.bind_pasid_table(self.device, INFO(**{"ptr": 0x20000, "size": 4096} | fields))


def refused(call, rule, number):
    with pytest.raises(OSError, match=r".") as caught:
        call()
    assert (caught.value.rule.name, caught.value.errno) == (rule, number)


@pytest.mark.parametrize(("size", "pts"), [(256, 0), (512, 1), (4096, 4), (8 << 20, 15)])
def test_vtd_bind_writes_pasidptr_pts_paside_and_neste(size, pts):
    world = Vtd()

    world.bind(size=size)

    assert world.context() == (SLPT | 1 | 1 << 10 | 1 << 11, 2, 0x20000 | pts, 0)


@pytest.mark.parametrize(
    ("before", "ats", "after"), [(0, False, 0), (1, True, 1), (2, False, 4), (2, True, 5)]
)
def test_vtd_bind_keeps_or_converts_the_translation_type(before, ats, after):
    world = Vtd(q0=SLPT | 1 | before << 2, ats=ats)

    world.bind()

    assert world.context()[0] >> 2 & 7 == after


@pytest.mark.parametrize(
    ("flag", "bit"),
    [
        ("WPE", 5), ("NXE", 4), ("SMEP", 24), ("PGE", 3), ("EAFE", 25),
        ("ERE", 26), ("SLEE", 27), ("CD", 6), ("EMTE", 7),
    ],
)  # fmt: skip
def test_vtd_payload_flags_become_bits_of_the_context(flag, bit):
    flags = ["WPE", "NXE", "SMEP", "PGE", "EAFE", "ERE", "SLEE", "CD", "EMTE"]
    world = Vtd(ecap=ECAP | ALL)

    world.bind(opaque=struct.pack("=IIII", 1, 1 << flags.index(flag), 0, 0))

    assert world.context()[1] == 2 | 1 << bit


def test_vtd_pat_emt_and_pre_are_written():
    world = Vtd(ecap=ECAP | ALL, pri=True)

    world.bind(opaque=struct.pack("=IIII", 1, 1 << 8, 0x12345670, 6))

    q0, q1, _, _ = world.context()
    assert (q0 >> 5 & 7, q0 >> 9 & 1, q1 >> 32) == (6, 1, 0x12345670)


def test_vtd_unbind_puts_the_former_bytes_back():
    world = Vtd(q0=SLPT | 1 | 2 << 2, q1=2 | 0x77 << 8)
    before = bytes(world.ram)

    world.bind()
    assert bytes(world.ram) != before
    world.domain.unbind_pasid_table(world.device)

    assert bytes(world.ram) == before


# design: model, length, ptr, size, host's table, payload, no PASID, already bound
@pytest.mark.parametrize(
    ("fields", "rule", "number"),
    [
        ({"model": 1}, "bind.model", errno.EINVAL),
        ({"opaque": b"\1\0\0\0"}, "bind.length", errno.EINVAL),
        ({"ptr": 0}, "bind.ptr.zero", errno.EINVAL),
        ({"ptr": 0x20010}, "bind.ptr.align", errno.EINVAL),
        ({"ptr": 1 << 48}, "bind.ptr.range", errno.EINVAL),
        ({"size": 768}, "bind.size.power", errno.EINVAL),
        ({"size": 128}, "bind.size.range", errno.EINVAL),
        ({"size": 16 << 20}, "bind.size.host", errno.EINVAL),
        ({"opaque": struct.pack("=IIII", 2, 0, 0, 0)}, "payload.version", errno.EOPNOTSUPP),
        ({"opaque": struct.pack("=IIII", 1, 1 << 4, 0, 0)}, "bind.vtd.flags", errno.EINVAL),
        ({"opaque": struct.pack("=IIII", 1, 0, 1, 0)}, "bind.vtd.pat", errno.EINVAL),
    ],
)
def test_a_refused_request_changes_nothing(fields, rule, number):
    world = Vtd()
    before = bytes(world.ram)

    refused(lambda: world.bind(**fields), rule, number)

    assert bytes(world.ram) == before


# struct pasid_table_info: ptr 0, size 8, model 16, length 20, opaque 24; the payload's flags at 4, pat at 8
@pytest.mark.parametrize(
    ("fields", "offset"),
    [
        ({"model": 1}, 16),
        ({"opaque": b"\1\0\0\0"}, 20),
        ({"ptr": 0}, 0),
        ({"ptr": 0x20010}, 0),
        ({"ptr": 1 << 48}, 0),
        ({"size": 768}, 8),
        ({"size": 128}, 8),
        ({"size": 16 << 20}, 8),
        ({"opaque": struct.pack("=IIII", 2, 0, 0, 0)}, 24),
        ({"opaque": struct.pack("=IIII", 1, 1 << 4, 0, 0)}, 28),
        ({"opaque": struct.pack("=IIII", 1, 0, 1, 0)}, 32),
    ],
)
def test_a_refusal_has_the_offset_of_the_field(fields, offset):
    with pytest.raises(AbiError) as caught:
        Vtd().bind(**fields)

    assert caught.value.offset == offset


def test_state_is_checked_after_the_request():
    world = Vtd(pasid=False)

    refused(lambda: world.bind(size=3), "bind.size.power", errno.EINVAL)
    refused(world.bind, "bind.pasid", errno.ENODEV)
    refused(lambda: world.domain.unbind_pasid_table(world.device), "unbind.unbound", errno.EINVAL)


def test_a_second_bind_is_busy_and_a_second_unbind_invalid():
    world = Vtd()
    world.bind()
    bound = bytes(world.ram)

    refused(world.bind, "bind.busy", errno.EBUSY)
    assert bytes(world.ram) == bound
    world.domain.unbind_pasid_table(world.device)
    refused(lambda: world.domain.unbind_pasid_table(world.device), "unbind.unbound", errno.EINVAL)


@pytest.mark.parametrize("missing", [24, 26, 40])
def test_vtd_needs_ecs_nesting_and_pasid(missing):
    world = Vtd(ecap=ECAP & ~(1 << missing))

    refused(world.bind, "bind.pasid", errno.ENODEV)


@pytest.mark.parametrize(
    ("q0", "q1", "rule"),
    [
        (0, 2, "bind.context"),  # not present
        (1, 2, "bind.context"),  # no second stage set up
        (SLPT | 1, 1, "bind.context"),  # an address width that SAGAW lacks
        (SLPT | 1 | 3 << 2, 2, "bind.context"),  # reserved T
        (SLPT | 1 | 4 << 2, 2, "bind.context"),  # T=4 without PASIDE contradicts itself
        (SLPT | 1 | 4 << 2 | 1 << 11, 2, "bind.busy"),
        # VT-d 2.x 3.6.1: what the walk refuses is not set up
        (SLPT | 1, 2 | 1 << 28, "bind.context"),  # reserved
        (SLPT | 1 | 1 << 52, 2, "bind.context"),  # SLPTPTR above HAW
    ],
)
def test_vtd_binds_only_into_a_context_that_the_host_has_set_up(q0, q1, rule):
    world = Vtd(q0=q0, q1=q1)

    refused(world.bind, rule, errno.EBUSY if rule == "bind.busy" else errno.EINVAL)


@pytest.mark.parametrize(
    ("widths", "width", "mgaw", "last"),
    [(6, 1, 48, 1 << 39), (6, 2, 48, 1 << 48), (6, 2, 46, 1 << 46), (4, 2, 57, 1 << 48)],
)
@pytest.mark.parametrize("size", [256, 4096, 8 << 20])
def test_a_vtd_table_ends_below_the_limit_of_its_contexts_second_stage(widths, width, mgaw, last, size):
    # VT-d 2.x 3.8.1: every input of the second stage is at most min(MGAW, AGAW of the context's own AW)
    world = Vtd(q1=width)
    world.driver = VtdDriver(
        world.memory, {"RTADDR": ROOT | 2 << 10, "CAP": mgaw - 1 << 16 | widths << 8 | 6, "ECAP": ECAP}
    )
    world.domain = Domain(world.driver)
    fits = last - size & -4096

    refused(lambda: world.bind(ptr=fits + 4096, size=size), "bind.ptr.range", errno.EINVAL)
    world.bind(ptr=fits, size=size)

    assert world.context()[2] & -4096 == fits


def test_vtd_without_device_tlbs_never_gets_type_5():
    # T=5 wants ECAP.DT: the walk would refuse the whole context
    world = Vtd(q0=SLPT | 1 | 2 << 2, ecap=ECAP & ~4, ats=True)

    world.bind()

    assert world.context()[0] >> 2 & 7 == 4


def test_the_upper_half_of_a_bus_has_its_own_table():
    world = Vtd()
    world.memory.write64(ROOT + 8, 0x4001)
    world.ram[0x4000 + 0x10 * 32 : 0x4000 + 0x10 * 32 + 16] = struct.pack("<QQ", SLPT | 1, 2)

    world.domain.bind_pasid_table(Device(0x90), INFO(ptr=0x20000, size=4096))

    assert struct.unpack_from("<Q", world.ram, 0x4000 + 0x10 * 32)[0] & 1 << 10


def test_a_context_in_read_only_memory_is_a_mistake_of_the_caller():
    world = Vtd()
    memory = Memory()
    memory.map(0, bytes(world.ram))
    driver = VtdDriver(memory, {"RTADDR": ROOT | 2 << 10, "CAP": CAP, "ECAP": ECAP})

    with pytest.raises(UsageError, match="does not lie in writable memory"):
        Domain(driver).bind_pasid_table(Device(0x18), INFO(ptr=0x20000, size=4096))
    assert driver.bindings == {}


@pytest.mark.parametrize(("pss", "limit"), [(0, 256), (3, 256), (4, 256), (5, 512), (19, 8 << 20)])
def test_the_vtd_host_table_is_what_pss_allows_and_never_below_256_bytes(pss, limit):
    # vtd_more E: PTS=0 is 32 entries, the least that hardware can be told about
    world = Vtd(ecap=ECAP & ~(31 << 35) | pss << 35)

    world.bind(size=limit)
    world.domain.unbind_pasid_table(world.device)

    refused(lambda: world.bind(size=2 * limit), "bind.size.host", errno.EINVAL)


def test_a_bound_table_translates_and_an_unbound_one_does_not():
    host = build.Memory()
    second = build.VtdSecondStage(host)
    unit = build.VtdExtended(host)
    unit.context(0x18, second)
    guest = build.Guest(host, second)
    first = build.VtdFirstStage(guest)
    data = guest.page()
    first.map(0x7000_0000, data)
    table = build.ExtendedPasidTable(guest)
    table.set(5, first)
    memory = Memory()
    memory.map_many(host.runs(), writable=True)
    driver = VtdDriver(memory, unit.registers)
    domain, device = Domain(driver), Device(0x18)
    request = Request(0x18, 0x7000_0123, pasid=5, access=Access.WRITE)

    domain.bind_pasid_table(device, INFO(ptr=table.address, size=table.length))
    answer = driver.translate(request, trace=True)
    domain.unbind_pasid_table(device)

    # ECS with NESTE: root, context, PASID entry (4 + 1), 24 for the nested walk = 31 references
    assert (answer.hpa, len(answer.refs)) == (guest.hpa(data) + 0x123, 31)
    assert driver.translate(request).fault.reason is Reason.BLOCKED


# ---------------------------------------------------------------- SMMUv3

STE_5 = 0x2000 + 5 * 64
IDR0 = 3 | 1 << 19 | 1 << 27  # both stages, two levels of CDs and STEs
CONFIG_S2 = 1 | 0b110 << 1
TTB = 0x9000


class Smmu:
    """A linear stream table with one stage-2 STE for StreamID 5."""

    def __init__(
        self, word0=CONFIG_S2, word1=1 << 44, idr0=3 | 1 << 19 | 1 << 27, ssidsize=14, cfg=4, **more
    ):
        self.ram = bytearray(0x10000)
        self.memory = Memory()
        self.memory.map(0, self.ram, writable=True)
        self.ram[STE_5 : STE_5 + 32] = struct.pack("<4Q", word0, word1, 0x1234, TTB)
        registers = {
            "STRTAB_BASE": 0x2000 | 1 << 62,
            "STRTAB_BASE_CFG": cfg,
            "IDR0": idr0,
            "IDR1": ssidsize << 6 | 16,
            "IDR5": 0x75,
        } | more
        self.driver = Smmuv3Driver(self.memory, registers)
        self.domain, self.device = Domain(self.driver), Device(5)

    def ste(self):
        return struct.unpack_from("<4Q", self.ram, STE_5)

    def bind(self, s1fmt=0, s1dss=0, **fields):
        opaque = struct.pack("=IBBH", 1, s1fmt, s1dss, 0) if s1fmt or s1dss else b""
        values = {"ptr": 0x20000, "size": 4096, "model": 1, "opaque": opaque} | fields
        self.domain.bind_pasid_table(self.device, INFO(**values))


def test_smmuv3_bind_turns_stage_2_into_nested():
    world = Smmu()

    world.bind()

    word0, word1, word2, word3 = world.ste()
    assert (word0 & 1, word0 >> 1 & 7, word0 >> 4 & 3, word0 >> 59) == (1, 0b111, 0, 6)
    assert word0 & 0x00FFFFFFFFFFFFC0 == 0x20000
    assert (word1, word2, word3) == (1 << 44, 0x1234, TTB)


def test_smmuv3_payload_sets_s1fmt_and_s1dss():
    world = Smmu()

    world.bind(s1fmt=2, s1dss=1, size=64 << 14)

    word0, word1, _, _ = world.ste()
    assert (word0 >> 4 & 3, word0 >> 59, word1) == (2, 14, 1 << 44 | 1)


def test_smmuv3_unbind_puts_the_former_bytes_back():
    world = Smmu()
    before = bytes(world.ram)

    world.bind()
    world.domain.unbind_pasid_table(world.device)

    assert bytes(world.ram) == before


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"model": 0}, "bind.model"),
        ({"size": 32}, "bind.size.range"),
        ({"size": 100}, "bind.size.power"),
        ({"ptr": 64 << 15, "size": 64 << 15}, "bind.size.host"),
        ({"ptr": 0x20800}, "bind.ptr.align"),  # a linear table is aligned to its size
        ({"ptr": 0x20000, "size": 64 << 12}, "bind.ptr.align"),
        ({"ptr": 0x20020, "s1fmt": 1}, "bind.ptr.align"),
        ({"s1fmt": 3}, "smmuv3.s1fmt"),
        ({"s1dss": 3}, "smmuv3.s1dss"),
    ],
)
def test_smmuv3_refuses_and_changes_nothing(fields, rule):
    world = Smmu()
    before = bytes(world.ram)

    refused(lambda: world.bind(**fields), rule, errno.EINVAL)

    assert bytes(world.ram) == before


def test_a_two_level_ptr_is_aligned_to_its_first_level():
    # 2^14 CDs with 64-CD leaves: 256 descriptors of 8 bytes, 2 KiB
    world = Smmu()

    refused(lambda: world.bind(ptr=0x20400, size=64 << 14, s1fmt=1), "bind.ptr.align", errno.EINVAL)
    world.bind(ptr=0x20800, size=64 << 14, s1fmt=1)

    assert world.ste()[0] & 0x00FFFFFFFFFFFFC0 == 0x20800


@pytest.mark.parametrize(
    ("word0", "idr0", "rule", "number"),
    [
        (0, 3, "bind.context", errno.EINVAL),
        (1 | 0b101 << 1, 3, "bind.context", errno.EINVAL),  # stage 1 of the host's own
        (1 | 0b111 << 1, 3, "bind.busy", errno.EBUSY),
        (CONFIG_S2, 2, "bind.pasid", errno.ENODEV),
        (CONFIG_S2, 1, "bind.pasid", errno.ENODEV),
    ],
)
def test_smmuv3_binds_only_into_a_stage_2_ste_of_an_smmu_with_both_stages(word0, idr0, rule, number):
    world = Smmu(word0=word0, idr0=idr0)

    refused(world.bind, rule, number)


def test_smmuv3_without_substreams_or_two_level_tables_says_so():
    refused(Smmu(ssidsize=0).bind, "bind.size.host", errno.EINVAL)
    refused(lambda: Smmu(idr0=3).bind(s1fmt=1), "bind.context", errno.EINVAL)


def test_a_stream_beyond_the_table_has_no_context():
    world = Smmu(cfg=2)  # four entries

    refused(world.bind, "bind.context", errno.EINVAL)


def test_two_level_stream_tables_are_followed():
    world = Smmu(cfg=1 << 16 | 6 << 6 | 8)
    # StreamID 5 is in the first descriptor: 2^(4-1) = 8 entries at 0x3000
    world.memory.write64(0x2000, 0x3000 | 4)
    world.ram[0x3000 + 5 * 64 : 0x3000 + 5 * 64 + 8] = struct.pack("<Q", CONFIG_S2)

    world.bind()

    assert struct.unpack_from("<Q", world.ram, 0x3000 + 5 * 64)[0] >> 1 & 7 == 0b111
    refused(
        lambda: world.domain.bind_pasid_table(Device(8), INFO(ptr=0x20000, size=4096, model=1)),
        "bind.context",
        22,
    )


@pytest.mark.parametrize("split", [None, 5, 6, 8, 10])
@pytest.mark.parametrize("base", [0x2000, 0x27C0, 1 << 47 | 0x2000, 1 << 48 | 0x2000])
def test_the_ste_lies_where_the_walk_reads_it(split, base):
    # Arm IHI 0070, 6.3.24 (aligned to the literal LOG2SIZE), 6.3.25 (SIDSIZE, SPLIT), 5.1 (Span), 3.4.3 (OAS)
    ram, high = bytearray(0x40000), bytearray(0x40000)
    for memory in (ram, high):  # words that are L1STDs of any span and, for this test, STEs
        for at in range(0, len(memory), 8):
            struct.pack_into("<Q", memory, at, 0x4FC0 | (at >> 3) * 3 % 13)
    found = 0
    for sidsize, size in itertools.product((3, 8, 32), (2, 7, 8, 11)):
        cfg = size | (0 if split is None else 1 << 16 | split << 6)
        world = Smmu(cfg=cfg, STRTAB_BASE=base, IDR1=14 << 6 | sidsize)
        world.memory = world.driver.memory = Memory()
        world.memory.map(0, ram)
        world.memory.map(1 << 47, high)
        for sid in (0, 1, 5, 7, 8, 63, 64, 70, 127, 128, 255, 256, 300, 1023, 1 << 14):
            answer = world.driver.translate(Request(sid, 0x1000), trace=True)
            steps = [ref.hpa for ref in answer.refs if ref.stage is Stage.DEVICE and ref.level == 0]
            if steps:
                assert world.driver.context_address(Device(sid)) == steps[0]
                found += 1
            else:
                refused(partial(world.driver.context_address, Device(sid)), "bind.context", errno.EINVAL)
    assert bool(found) == (base < 1 << 48)


@pytest.mark.parametrize("s1fmt", [0, 1])
def test_a_bound_cd_table_translates_and_an_unbound_one_does_not(s1fmt):
    host = build.Memory()
    second = build.SmmuStage2(host)
    unit = build.SmmuUnit(host)
    unit.device(5, None, second)
    guest = build.Guest(host, second)
    first = build.SmmuStage1(guest)
    data = guest.page()
    first.map(0x7000_0000, data)
    table = build.CdTable(guest, cdmax=8, fmt=s1fmt)
    table.set(70, first)
    memory = Memory()
    memory.map_many(host.runs(), writable=True)
    defaults = {name: value for name, value in walk.registers("smmuv3").items() if value is not None}
    driver = Smmuv3Driver(memory, defaults | unit.registers)
    domain, device = Domain(driver), Device(5)
    request = Request(5, 0x7000_0123, pasid=70, access=Access.WRITE)
    opaque = struct.pack("=IBBH", 1, s1fmt, 0, 0)

    assert driver.translate(request).fault.native == 0x08  # C_BAD_SUBSTREAMID: stage 1 is off
    domain.bind_pasid_table(device, INFO(ptr=table.address, size=64 << 8, model=1, opaque=opaque))
    answer = driver.translate(request, trace=True)
    slow = plain_walk.translate("smmuv3", driver.registers, memory.read, request)
    domain.unbind_pasid_table(device)

    # STE, per level of CD table 4 + 1, 24 for the nested walk
    assert compare(answer, slow) == ()
    assert (answer.hpa, len(answer.refs)) == (guest.hpa(data) + 0x123, 30 + 5 * s1fmt)
    assert driver.translate(request).fault.native == 0x08
