"""virtio-iommu: wire layouts, statuses, accesses; and a naive model that counts single pages.

Facts: VIRTIO 1.2, 5.13.6 and its device requirements; sizes and numbers as in Linux's
include/uapi/linux/virtio_iommu.h. Requests are written here with struct, not with the schemas.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from iommu_abi.errors import UsageError
from iommu_abi.schemas import virtio as wire
from iommu_abi.terms import Access, Target
from iommu_abi.virtio import Blocked, BlockedBy, Config, Feature, Reached, Reserved, ReservedFor, VirtioIommu

OK, UNSUPP, INVAL, RANGE, NOENT = 0, 2, 4, 5, 6
READ, WRITE, MMIO = 1, 2, 4
LAST = 2**64 - 1
BYTES = Config(page_size_mask=LAST)  # granularity of one byte, as in the specification's examples
EP, OTHER, NOBODY = 8, 9, 99


def attach(domain, endpoint, flags=0, reserved=bytes(4)):
    return struct.pack("<B3xIII4s", 1, domain, endpoint, flags, reserved)


def detach(domain, endpoint):
    return struct.pack("<B3xII8x", 2, domain, endpoint)


def map_(domain, first, last, phys, flags=READ | WRITE):
    return struct.pack("<B3xIQQQI", 3, domain, first, last, phys, flags)


def unmap(domain, first, last):
    return struct.pack("<B3xIQQ4x", 4, domain, first, last)


def probe(endpoint):
    return struct.pack("<B3xI64x", 5, endpoint)


def status(device, request):
    """Status of a request; the tail is all that is written."""
    answer = device.handle(request)
    assert answer[1:] == bytes(3)
    return answer[0]


def device(*requests, endpoints=None, **how):
    made = VirtioIommu({EP: (), OTHER: ()} if endpoints is None else endpoints, **how)
    for request in requests:
        assert status(made, request) == OK
    return made


# ---------------------------------------------------------------- wire


@pytest.mark.parametrize(
    ("name", "size"), [("ATTACH", 24), ("DETACH", 24), ("MAP", 40), ("UNMAP", 32), ("PROBE", 76)]
)
def test_requests_have_the_sizes_of_the_kernel_header(name, size):
    assert wire.REQUESTS[name].sizeof() + wire.TAIL.sizeof() == size


def test_other_structs_have_the_sizes_of_the_kernel_header():
    sizes = [each.sizeof() for each in (wire.HEAD, wire.TAIL, wire.PROPERTY, wire.RESV_MEM, wire.FAULT)]

    assert sizes == [4, 4, 4, 24, 24]


def test_every_field_lies_where_the_kernel_header_has_it():
    asked = wire.MAP.parse(bytes([3, 0, 0, 0]) + struct.pack("<IQQQI", 1, 2, 3, 4, 5))
    assert (asked.head.type, asked.domain, asked.virt_start, asked.virt_end) == (3, 1, 2, 3)
    assert (asked.phys_start, asked.flags) == (4, 5)
    asked = wire.UNMAP.parse(unmap(1, 2, 3))
    assert (asked.domain, asked.virt_start, asked.virt_end) == (1, 2, 3)
    asked = wire.ATTACH.parse(attach(1, 2, 3, b"abcd"))
    assert (asked.domain, asked.endpoint, asked.flags, asked.reserved) == (1, 2, 3, b"abcd")
    assert wire.DETACH.build({"head": {"type": 2}, "domain": 1, "endpoint": 2}) == detach(1, 2)
    assert wire.PROBE.build({"head": {"type": 5}, "endpoint": 7}) == probe(7)


@pytest.mark.parametrize(
    "request_", [attach(1, EP), detach(1, EP), map_(1, 0, 0xFFF, 0), unmap(1, 0, 1), probe(EP)]
)
def test_a_request_that_is_too_small_is_returned_unwritten(request_):
    made = device()
    for cut in range(len(request_)):
        assert made.handle(request_[:cut], 4 + 512) == b""
    assert made.handle(request_, 3) == b""
    assert made.domains == {}


@pytest.mark.parametrize("kind", [0, 6, 255])
def test_a_request_of_an_unknown_type_is_returned_unwritten(kind):
    assert device().handle(bytes([kind]) + bytes(100)) == b""


def test_a_request_of_a_feature_that_is_off_is_returned_unwritten():
    made = device(attach(1, EP), features=Feature(0))

    assert [made.handle(r, 600) for r in (map_(1, 0, 0xFFF, 0), unmap(1, 0, 0xFFF), probe(EP))] == [b""] * 3


def test_the_reserved_bytes_of_the_head_are_ignored():
    assert status(device(), b"\1\xff\xff\xff" + attach(1, EP)[4:]) == OK


@given(st.binary(max_size=90), st.integers(0, 600))
def test_any_bytes_get_no_answer_or_one_that_fits(data, room):
    made = device(attach(1, EP), map_(1, 0, 0xFFF, 0))

    answer = made.handle(data, room)

    assert len(answer) <= room
    assert not answer or answer[-4] in (OK, UNSUPP, INVAL, RANGE, NOENT)


# ---------------------------------------------------------------- attach, detach


def test_attach_checks_reserved_flags_and_endpoint():
    made = device()

    assert status(made, attach(1, EP, reserved=b"\0\0\1\0")) == INVAL
    assert status(made, attach(1, EP, flags=2)) == INVAL
    assert status(made, attach(1, NOBODY, flags=2)) == INVAL  # QEMU: flags first
    assert status(made, attach(1, NOBODY)) == NOENT
    assert made.domains == {}


def test_bypass_is_an_unknown_flag_without_its_feature():
    assert status(device(features=Feature.MAP_UNMAP), attach(1, EP, flags=1)) == INVAL
    assert status(device(), attach(1, EP, flags=1)) == OK


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
def test_a_domain_is_a_bypass_domain_for_all_or_none(first, second):
    made = device(attach(1, EP, first), attach(2, OTHER))

    assert status(made, attach(1, OTHER, second)) == INVAL
    assert status(made, attach(1, EP, second)) == INVAL
    assert made.domains[1].endpoints == {EP}
    assert made.domains[2].endpoints == {OTHER}  # a refused request changes nothing


def test_attaching_elsewhere_detaches_and_an_empty_domain_ceases_to_exist():
    made = device(attach(1, EP), map_(1, 0, 0xFFF, 0), attach(2, EP))

    assert list(made.domains) == [2]
    assert status(made, map_(1, 0, 0xFFF, 0)) == NOENT
    assert status(made, attach(1, EP)) == OK
    assert isinstance(made.translate(EP, 0), Blocked)  # the new domain 1 is empty


def test_attaching_again_to_the_same_domain_keeps_its_mappings():
    made = device(attach(1, EP), map_(1, 0, 0xFFF, 0), attach(1, EP))

    assert isinstance(made.translate(EP, 0), Reached)


def test_detach_wants_the_endpoints_own_domain():
    made = device(attach(1, EP), attach(2, OTHER))

    assert status(made, detach(1, NOBODY)) == NOENT
    assert status(made, detach(3, EP)) == INVAL
    assert status(made, detach(2, EP)) == INVAL
    assert status(made, detach(1, EP)) == OK
    assert status(made, detach(1, EP)) == INVAL
    assert list(made.domains) == [2]


def test_endpoints_of_one_domain_share_its_mappings():
    made = device(attach(1, EP), attach(1, OTHER), map_(1, 0x1000, 0x1FFF, 0x9000))

    assert made.translate(EP, 0x1234) == made.translate(OTHER, 0x1234) == Reached(0x9234, Access(7))
    assert status(made, detach(1, EP)) == OK
    assert made.translate(EP, 0x1234) == Blocked(BlockedBy.DOMAIN, EP, 0x1234, Access.READ)
    assert made.translate(OTHER, 0x1234) == Reached(0x9234, Access(7))


def test_domains_outside_the_range_are_refused():
    config = Config(domain_range=(2, 5))
    made = device(features=Feature.DOMAIN_RANGE, config=config)

    assert [status(made, attach(n, EP)) for n in (1, 2, 5, 6)] == [RANGE, OK, OK, RANGE]
    assert status(device(config=config), attach(1, EP)) == OK  # not without the feature


# ---------------------------------------------------------------- map, unmap


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (map_(1, 0x3000, 0x4FFF, 0x200000), OK),
        (map_(1, 0x3000, 0x3FFF, 0, flags=0), OK),
        (map_(1, 0x3000, 0x3FFF, 0, flags=MMIO), OK),
        (map_(1, 0x3000, 0x3FFF, 0, flags=8), INVAL),
        (map_(7, 0x3000, 0x3FFF, 0, flags=8), INVAL),  # QEMU: flags first
        (map_(7, 0x3000, 0x3FFF, 0), NOENT),
        (map_(3, 0x3000, 0x3FFF, 0), INVAL),  # a bypass domain
        (map_(1, 0x3800, 0x3FFF, 0), RANGE),
        (map_(1, 0x3000, 0x37FF, 0), RANGE),
        (map_(1, 0x3000, 0x3FFF, 0x800), RANGE),
        (map_(1, 0x3000, 0x4000, 0), RANGE),  # the end is inclusive
        (map_(1, 0x3000, 0x2FFF, 0), RANGE),
        (map_(1, 0x3000, 0x4FFF, 2**64 - 0x1000), RANGE),
        (map_(1, 0x3000, LAST, 0x3000), OK),
        (map_(1, 0x3000, LAST, 0x4000), RANGE),
        (map_(1, 0x0000, 0x1FFF, 0), INVAL),  # overlaps
        (map_(1, 0x2000, 0x3FFF, 0), INVAL),
        (map_(1, 0x0000, LAST, 0), INVAL),
        (map_(1, 0x1000, 0x2FFF, 0x100000), INVAL),  # also if it is the same
        (unmap(7, 0, 1), NOENT),
        (unmap(3, 0, 1), INVAL),
        (unmap(1, 0x1000, 0x1FFF), RANGE),
        (unmap(1, 0x2000, 0x2FFF), RANGE),
        (unmap(1, 0x1001, LAST), RANGE),
        (unmap(1, 0x1000, 0x0FFF), RANGE),
        (unmap(1, 0x1000, 0x2FFF), OK),
        (unmap(1, 0x0001, 0x5001), OK),
        (unmap(1, 0x8000, 0x8000), OK),
    ],
)
def test_status_of_map_and_unmap(request_, expected):
    made = device(attach(1, EP), map_(1, 0x1000, 0x2FFF, 0x100000), attach(3, OTHER, flags=1))
    before = list(made.domains[1].mappings)

    assert status(made, request_) == expected
    assert expected == OK or made.domains[1].mappings == before


def test_mmio_is_an_unknown_flag_without_its_feature():
    made = device(attach(1, EP), features=Feature.MAP_UNMAP)

    assert status(made, map_(1, 0, 0xFFF, 0, MMIO)) == INVAL


def test_mappings_stay_inside_the_input_range():
    config = Config(input_range=(0x1000, 0x4FFF))
    made = device(attach(1, EP), features=Feature.MAP_UNMAP | Feature.INPUT_RANGE, config=config)

    assert status(made, map_(1, 0, 0x1FFF, 0)) == RANGE
    assert status(made, map_(1, 0x4000, 0x5FFF, 0)) == RANGE
    assert status(made, map_(1, 0x1000, 0x4FFF, 0)) == OK


@pytest.mark.parametrize(
    ("maps", "range_", "expected", "left"),
    [
        ([], (0, 4), OK, []),
        ([(0, 9)], (0, 9), OK, []),
        ([(0, 4), (5, 9)], (0, 9), OK, []),
        ([(0, 9)], (0, 4), RANGE, [(0, 9)]),
        ([(0, 4), (5, 9)], (0, 4), OK, [(5, 9)]),
        ([(0, 4)], (0, 9), OK, []),
        ([(0, 4), (10, 14)], (0, 14), OK, []),
    ],
)
def test_the_specifications_examples_of_unmap(maps, range_, expected, left):
    """VIRTIO 1.2, 5.13.6.6: examples (1) to (7)."""
    made = device(attach(1, EP), *(map_(1, *each, 0) for each in maps), config=BYTES)

    assert status(made, unmap(1, *range_)) == expected
    assert [(each.first, each.last) for each in made.domains[1].mappings] == left


def test_an_unmap_that_would_split_one_mapping_removes_none():
    made = device(attach(1, EP), map_(1, 0, 4, 0), map_(1, 5, 9, 0), config=BYTES)

    assert status(made, unmap(1, 0, 7)) == RANGE
    assert len(made.domains[1].mappings) == 2


# ---------------------------------------------------------------- properties

RESERVED = Reserved(0x8000, 0x8FFF)
MSI = Reserved(0xFEE0_0000, 0xFEEF_FFFF, ReservedFor.MSI)


def test_probe_lists_properties_and_pads_with_zeros():
    made = device(endpoints={EP: (RESERVED, MSI)}, config=Config(probe_size=64))

    answer = made.handle(probe(EP), 64 + 4)

    head = struct.pack("<HHB3x", 1, 20, 0) + struct.pack("<QQ", 0x8000, 0x8FFF)
    assert answer[:24] == head
    assert answer[24:48] == struct.pack("<HHB3xQQ", 1, 20, 1, 0xFEE0_0000, 0xFEEF_FFFF)
    assert answer[48:] == bytes(16) + bytes(4)


def test_probe_of_an_unknown_endpoint_or_with_too_little_room_writes_no_property():
    made = device(endpoints={EP: (RESERVED,)}, config=Config(probe_size=64))

    assert made.handle(probe(NOBODY), 68) == bytes(64) + bytes([NOENT, 0, 0, 0])
    assert made.handle(probe(EP), 67) == bytes(63) + bytes([INVAL, 0, 0, 0])
    assert made.handle(probe(EP), 4) == bytes([INVAL, 0, 0, 0])
    assert len(made.handle(probe(EP), 1000)) == 68


def test_properties_must_fit_probe_size():
    with pytest.raises(UsageError, match="endpoint 8: its properties have 24 bytes"):
        VirtioIommu({EP: (RESERVED,)}, config=Config(probe_size=23))
    with pytest.raises(UsageError, match="page_size_mask: got 0"):
        VirtioIommu({}, config=Config(page_size_mask=0))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, 0x7FFF, OK),
        (0, 0x8000, INVAL),
        (0x8800, 0x8800, INVAL),
        (0x8FFF, 0x9999, INVAL),
        (0x9000, 0x9999, OK),
    ],
)
def test_a_byte_of_a_reserved_range_is_enough(first, last, expected):
    made = device(attach(1, EP), endpoints={EP: (RESERVED,)}, config=BYTES)

    assert status(made, map_(1, first, last, 0)) == expected


def test_reserved_ranges_of_any_endpoint_of_a_domain_cannot_be_mapped():
    made = device(attach(1, EP), attach(1, OTHER), endpoints={EP: (), OTHER: (RESERVED,)})

    assert status(made, map_(1, 0x7000, 0x8FFF, 0)) == INVAL
    assert status(made, map_(1, 0x7000, 0x7FFF, 0)) == OK
    assert status(made, detach(1, OTHER)) == OK
    assert status(made, map_(1, 0x8000, 0x8FFF, 0)) == OK
    assert status(made, attach(1, OTHER)) == UNSUPP  # properties that do not fit


# ---------------------------------------------------------------- accesses


@pytest.mark.parametrize(
    ("features", "config", "attached", "reached"),
    [
        (Feature(0), False, None, False),
        (Feature(0), True, None, False),  # the field counts only with BYPASS_CONFIG
        (Feature.BYPASS, False, None, True),
        (Feature.BYPASS_CONFIG, True, None, True),
        (Feature.BYPASS_CONFIG | Feature.BYPASS, False, None, False),
        (Feature.BYPASS_CONFIG, False, 1, True),
        (Feature.BYPASS_CONFIG, True, 0, False),
        (Feature.BYPASS, False, 0, False),
    ],
)
def test_bypass_mode(features, config, attached, reached):
    requests = [] if attached is None else [attach(1, EP, flags=attached)]
    made = device(*requests, features=features, config=Config(bypass=config))

    found = made.translate(EP, 0x1234, Access.WRITE)

    by = BlockedBy.DOMAIN if attached is None else BlockedBy.MAPPING
    assert found == (Reached(0x1234, Access(7)) if reached else Blocked(by, EP, 0x1234, Access.WRITE))


def test_the_driver_may_write_the_bypass_field():
    made = device()
    made.bypass = True

    assert isinstance(made.translate(EP, 0), Reached)


@pytest.mark.parametrize("flags", range(4))
@pytest.mark.parametrize("access", [Access.READ, Access.WRITE, Access.EXEC, Access.READ | Access.WRITE])
def test_rights(flags, access):
    made = device(attach(1, EP), map_(1, 0x1000, 0x1FFF, 0x9000, flags))
    allowed = (Access.READ | Access.EXEC if flags & READ else Access.NONE) | (
        Access.WRITE if flags & WRITE else Access.NONE
    )

    found = made.translate(EP, 0x1FFF, access)

    if access & ~allowed:
        assert found == Blocked(BlockedBy.MAPPING, EP, 0x1FFF, access)
    else:
        assert found == Reached(0x9FFF, allowed)


@pytest.mark.parametrize("requests", [[], [attach(1, EP)]])
def test_reserved_ranges_block_and_msi_ranges_are_interrupts(requests):
    made = device(*requests, endpoints={EP: (RESERVED, MSI)})

    assert made.translate(EP, 0x8FFF) == Blocked(BlockedBy.MAPPING, EP, 0x8FFF, Access.READ)
    found = made.translate(EP, 0xFEE0_0010, Access.WRITE)
    assert found == Reached(0xFEE0_0010, Access.WRITE, Target.INTERRUPT)


def test_in_bypass_mode_every_access_passes():
    """VIRTIO 1.2, 5.13.6: all accesses from an endpoint in bypass mode are allowed."""
    made = device(attach(1, EP, flags=1), endpoints={EP: (RESERVED, MSI)})

    assert made.translate(EP, 0x8FFF) == Reached(0x8FFF, Access(7))


def test_an_endpoint_of_another_device_is_a_mistake_of_the_caller():
    with pytest.raises(UsageError, match="endpoint 99: not of this device"):
        device().translate(NOBODY, 0)


@pytest.mark.parametrize(
    ("access", "flags"), [(Access.READ, 0x101), (Access.WRITE, 0x102), (Access.EXEC, 0x104)]
)
def test_a_fault_report(access, flags):
    report = Blocked(BlockedBy.MAPPING, EP, 0x1234_5678_9ABC, access).pack()

    assert report == struct.pack("<B3xII4xQ", 2, flags, EP, 0x1234_5678_9ABC)


# ---------------------------------------------------------------- against a naive model

PAGE = 0x1000
PAGES = 12
ENDPOINTS = (1, 2, 3)
domains = st.integers(1, 3)
endpoints = st.sampled_from((*ENDPOINTS, 4))
pages = st.integers(0, PAGES - 1)


class Naive(RuleBasedStateMachine):
    """Domains as dictionaries of single pages; what a page belongs to is the number of its MAP."""

    def __init__(self):
        super().__init__()
        self.device = VirtioIommu(dict.fromkeys(ENDPOINTS, ()))
        self.of: dict[int, int] = {}  # endpoint -> domain
        self.bypass: dict[int, bool] = {}
        self.tables: dict[int, dict[int, tuple[int, int, int]]] = {}
        self.count = 0

    def drop_empty(self):
        for domain in set(self.tables) - set(self.of.values()):
            del self.tables[domain], self.bypass[domain]

    @rule(domain=domains, endpoint=endpoints, flags=st.sampled_from([0, 0, 0, 1, 2]))
    def attach(self, domain, endpoint, flags):
        if flags > 1:
            expected = INVAL
        elif endpoint not in ENDPOINTS:
            expected = NOENT
        elif domain in self.tables and self.bypass[domain] != bool(flags):
            expected = INVAL
        else:
            expected = OK
            self.of[endpoint] = domain
            self.tables.setdefault(domain, {})
            self.bypass[domain] = bool(flags)
            self.drop_empty()
        assert status(self.device, attach(domain, endpoint, flags)) == expected

    @rule(domain=domains, endpoint=endpoints)
    def detach(self, domain, endpoint):
        if endpoint not in ENDPOINTS:
            expected = NOENT
        elif self.of.get(endpoint) != domain:
            expected = INVAL
        else:
            expected = OK
            del self.of[endpoint]
            self.drop_empty()
        assert status(self.device, detach(domain, endpoint)) == expected

    @rule(domain=domains, first=pages, length=st.integers(1, 4), phys=pages, flags=st.integers(0, 3))
    def map(self, domain, first, length, phys, flags):
        wanted = range(first, first + length)
        if domain not in self.tables:
            expected = NOENT
        elif self.bypass[domain] or any(page in self.tables[domain] for page in wanted):
            expected = INVAL
        else:
            expected = OK
            self.count += 1
            self.tables[domain].update({page: (phys + page - first, flags, self.count) for page in wanted})
        request = map_(domain, first * PAGE, (first + length) * PAGE - 1, phys * PAGE, flags)
        assert status(self.device, request) == expected

    @rule(domain=domains, first=pages, length=st.integers(1, PAGES))
    def unmap(self, domain, first, length):
        inside = range(first, first + length)
        if domain not in self.tables:
            expected = NOENT
        elif self.bypass[domain]:
            expected = INVAL
        else:
            table = self.tables[domain]
            gone = {table[page][2] for page in inside if page in table}
            whole = [page for page, (_, _, number) in table.items() if number in gone]
            expected = OK if all(page in inside for page in whole) else RANGE
            if expected == OK:
                for page in whole:
                    del table[page]
        request = unmap(domain, first * PAGE, (first + length) * PAGE - 1)
        assert status(self.device, request) == expected

    @rule(
        endpoint=st.sampled_from(ENDPOINTS), page=st.integers(0, PAGES + 4), offset=st.integers(0, PAGE - 1),
        access=st.sampled_from([Access.READ, Access.WRITE]),
    )  # fmt: skip
    def translate(self, endpoint, page, offset, access):
        found = self.device.translate(endpoint, page * PAGE + offset, access)
        if endpoint not in self.of:
            assert found == Blocked(BlockedBy.DOMAIN, endpoint, page * PAGE + offset, access)
            return
        domain = self.of[endpoint]
        to, flags, _ = self.tables[domain].get(page, (0, 0, 0))
        if self.bypass[domain]:
            to, flags = page, 3
        if flags & {Access.READ: READ, Access.WRITE: WRITE}[access]:
            assert isinstance(found, Reached)
            assert found.address == to * PAGE + offset
        else:
            assert found == Blocked(BlockedBy.MAPPING, endpoint, page * PAGE + offset, access)


TestNaive = Naive.TestCase
TestNaive.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
