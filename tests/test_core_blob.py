"""The C functions for pasid_table_info: create, pack, unpack, view, payloads, bind checks."""

from __future__ import annotations

import struct

import pytest

from iommu_abi._core import ffi, lib

GEN = lib.IOMMU_ABI_V1_2017
HEAD = struct.pack("=QQII", 0x20000, 4096, 1, 4)
WHOLE = HEAD + b"abcd"
EINVAL, E2BIG, ENOSPC, EOPNOTSUPP = 22, 7, 28, 95


def call(function, *args):
    err = ffi.new("struct iommu_abi_error *")
    return function(*args, err), err


def name(err):
    return ffi.string(err.rule.name).decode()


def head_of(data):
    return ffi.cast("struct pasid_table_info *", ffi.from_buffer(data))


def test_create_writes_header_and_tail():
    out = bytearray(28)
    head = ffi.new("struct pasid_table_info *", {"ptr": 0x20000, "size": 4096, "model": 1, "length": 4})
    err = ffi.new("struct iommu_abi_error *")

    rc = lib.iommu_abi_pasid_table_info_create(GEN, head, b"abcd", 28, err, ffi.from_buffer(out))

    assert rc == 0
    assert bytes(out) == WHOLE


# enum iommu_model: the RFC of April 2017 counts from 1, v1 of June from 0.
@pytest.mark.parametrize(
    ("generation", "models"), [(lib.IOMMU_ABI_RFC2017, (1, 2)), (lib.IOMMU_ABI_V1_2017, (0, 1))]
)
def test_a_generation_takes_its_own_two_models(generation, models):
    for model in (0, 1, 2, 3, 0xFFFFFFFF):
        blob = struct.pack("=QQII", 0, 0, model, 0)
        rc, err = call(lib.iommu_abi_pasid_table_info_validate, generation, blob, len(blob))
        assert rc == (0 if model in models else -EINVAL)
        assert rc == 0 or (name(err), err.got) == ("pasid_table_info.model", model)


@pytest.mark.parametrize("room", [0, 23, 24, 27])
def test_too_little_room_is_enospc_and_nothing_is_written(room):
    out = bytearray(28)
    err = ffi.new("struct iommu_abi_error *")
    to = ffi.from_buffer(out)

    for rc in (
        lib.iommu_abi_pasid_table_info_create(GEN, head_of(WHOLE), b"abcd", room, err, to),
        lib.iommu_abi_pasid_table_info_pack(GEN, WHOLE, 28, room, err, to),
        lib.iommu_abi_pasid_table_info_unpack(
            GEN, WHOLE, 28, room, err, ffi.cast("struct pasid_table_info *", to)
        ),
    ):
        assert rc == -ENOSPC
        assert (name(err), err.offset, err.got, err.want) == ("pasid_table_info.room", 0, room, 28)
    assert bytes(out) == bytes(28)


def test_pack_takes_a_struct_in_more_memory_than_it_needs():
    out = bytearray(28)
    err = ffi.new("struct iommu_abi_error *")

    assert lib.iommu_abi_pasid_table_info_pack(GEN, WHOLE + b"room", 32, 28, err, ffi.from_buffer(out)) == 0
    assert bytes(out) == WHOLE
    assert lib.iommu_abi_pasid_table_info_pack(GEN, WHOLE, 27, 28, err, ffi.from_buffer(out)) == -EINVAL
    assert name(err) == "pasid_table_info.length"


def test_unpack_takes_a_blob_of_any_alignment():
    buffer = ffi.new("char[]", 64)
    for shift in range(8):
        ffi.memmove(buffer + shift, WHOLE, 28)
        out = ffi.new("char[]", 32)
        to = ffi.cast("struct pasid_table_info *", out)
        rc = lib.iommu_abi_pasid_table_info_unpack(GEN, buffer + shift, 28, 28, ffi.NULL, to)
        assert rc == 0
        assert bytes(ffi.buffer(out, 28)) == WHOLE


def test_a_view_must_be_aligned_and_is_the_blob_itself():
    buffer = ffi.new("char[]", 64)
    view = ffi.new("const struct pasid_table_info **")
    err = ffi.new("struct iommu_abi_error *")
    ffi.memmove(buffer, WHOLE, 28)

    assert lib.iommu_abi_pasid_table_info_view(GEN, buffer, 28, err, view) == 0
    assert ffi.cast("void *", view[0]) == ffi.cast("void *", buffer)
    assert lib.iommu_abi_pasid_table_info_view(GEN, buffer + 1, 28, err, view) == -EINVAL
    assert name(err) == "pasid_table_info.align"


def test_err_may_be_null_everywhere():
    assert lib.iommu_abi_pasid_table_info_validate(GEN, b"", 0, ffi.NULL) == -EINVAL
    assert lib.iommu_abi_pasid_table_info_validate(GEN, ffi.NULL, 0, ffi.NULL) == -EINVAL
    assert lib.iommu_abi_payload_validate(0, b"\2", 1, ffi.NULL) == -EINVAL


def vtd(version=1, flags=0, pat=0, emt=0, more=b""):
    return struct.pack("=IIII", version, flags, pat, emt) + more


def smmu(version=1, s1fmt=0, s1dss=0, padding=b"\0\0", more=b""):
    return struct.pack("=IBB", version, s1fmt, s1dss) + padding + more


# docs/rules.md, from vtd_more D (EDK II's reserved PAT bits, EMT with EMTE) and lineage A4 (smmuv3 part)
@pytest.mark.parametrize(
    ("model", "payload", "rule", "errno", "offset", "got", "want"),
    [
        (0, vtd()[:3], "payload.truncated", EINVAL, 0, 3, 16),
        (0, vtd()[:15], "payload.truncated", EINVAL, 12, 15, 16),
        (0, vtd(version=0), "payload.version", EOPNOTSUPP, 0, 0, 1),
        (0, vtd(version=2), "payload.version", EOPNOTSUPP, 0, 2, 1),
        (0, vtd(flags=1 << 9), "vtd.flags", EINVAL, 4, 1 << 9, 0x1FF),
        (0, vtd(pat=0x8), "vtd.pat", EINVAL, 8, 8, 0x77777777),
        (0, vtd(flags=1 << 8, emt=8), "vtd.emt", EINVAL, 12, 8, 7),
        (0, vtd(emt=1), "vtd.emt.emte", EINVAL, 12, 1, 0),
        (0, vtd(more=b"\0\0\5"), "payload.trailing", EINVAL, 18, 5, 0),
        (1, smmu()[:4], "payload.truncated", EINVAL, 4, 4, 8),
        (1, smmu()[:7], "payload.truncated", EINVAL, 6, 7, 8),
        (1, smmu(version=9), "payload.version", EOPNOTSUPP, 0, 9, 1),
        (1, smmu(s1fmt=3), "smmuv3.s1fmt", EINVAL, 4, 3, 2),
        (1, smmu(s1dss=3), "smmuv3.s1dss", EINVAL, 5, 3, 2),
        (1, smmu(padding=b"\0\7"), "smmuv3.padding", EINVAL, 7, 7, 0),
        (1, smmu(more=b"\1"), "payload.trailing", EINVAL, 8, 1, 0),
    ],
)
def test_a_broken_payload_names_its_rule(model, payload, rule, errno, offset, got, want):
    rc, err = call(lib.iommu_abi_payload_validate, model, payload, len(payload))

    assert rc == -errno
    assert (name(err), err.offset, err.got, err.want) == (rule, offset, got, want)


@pytest.mark.parametrize(
    ("model", "payload"),
    [
        (0, b""),
        (1, b""),
        (0, vtd(flags=0x1FF, pat=0x77777777, emt=7, more=bytes(9))),
        (1, smmu(s1fmt=2, s1dss=2, more=bytes(3))),
    ],
)
def test_valid_payloads_are_accepted(model, payload):
    rc, _ = call(lib.iommu_abi_payload_validate, model, payload, len(payload))

    assert rc == 0


LIMITS = (0, 4096, (1 << 48) - 1, 256, 1 << 20, 0x0F, 0)


# design's order: model, length against payload, ptr, size, host's table, payload
@pytest.mark.parametrize(
    ("info", "rule"),
    [
        ((0, 3, 1, 5), "bind.model"),
        ((0, 3, 0, 5), "bind.length"),
        ((0, 3, 0, 0), "bind.ptr.zero"),
        ((0x20800, 3, 0, 0), "bind.ptr.align"),
        ((1 << 48, 3, 0, 0), "bind.ptr.range"),
        ((0x20000, 0, 0, 0), "bind.size.power"),
        ((0x20000, 768, 0, 0), "bind.size.power"),
        ((0x20000, 128, 0, 0), "bind.size.range"),
        ((0x20000, 1 << 21, 0, 0), "bind.size.host"),
    ],
)
def test_bind_checks_come_in_the_order_of_the_design(info, rule):
    ptr, size, model, length = info
    blob = struct.pack("=QQII", ptr, size, model, length) + vtd(version=7)[:length]
    limits = ffi.new("struct iommu_abi_bind_limits *", LIMITS)

    rc, err = call(lib.iommu_abi_bind_check, limits, head_of(blob))

    assert rc == -EINVAL
    assert name(err) == rule
    # the number that a rule's text speaks of; 0 where it speaks of none
    wants = {"bind.ptr.align": 4096, "bind.ptr.range": (1 << 48) - 1}
    wants |= {"bind.size.range": 256, "bind.size.host": 1 << 20, "bind.length": 16}
    if rule != "bind.model":
        assert err.want == wants.get(rule, 0)


@pytest.mark.parametrize(
    ("payload", "rule", "errno", "offset"),
    [
        (vtd(version=2), "payload.version", EOPNOTSUPP, 24),
        (vtd(pat=0x80), "vtd.pat", EINVAL, 32),
        (vtd(flags=0x10), "bind.vtd.flags", EINVAL, 28),
        (vtd(pat=7), "bind.vtd.pat", EINVAL, 32),
    ],
)
def test_bind_checks_the_payload_and_what_the_host_has(payload, rule, errno, offset):
    blob = struct.pack("=QQII", 0x20000, 4096, 0, 16) + payload
    limits = ffi.new("struct iommu_abi_bind_limits *", LIMITS)

    rc, err = call(lib.iommu_abi_bind_check, limits, head_of(blob))

    assert rc == -errno
    assert (name(err), err.offset) == (rule, offset)


def test_a_good_request_passes_with_and_without_payload():
    limits = ffi.new("struct iommu_abi_bind_limits *", LIMITS)

    for payload in (b"", vtd(flags=0x0F)):
        blob = struct.pack("=QQII", 0x20000, 1 << 20, 0, len(payload)) + payload
        rc, err = call(lib.iommu_abi_bind_check, limits, head_of(blob))
        assert (rc, err.rule, err.offset) == (0, ffi.NULL, 0)  # nothing is written
        assert lib.iommu_abi_bind_check(limits, head_of(blob), ffi.NULL) == 0


def test_a_sentence_is_cut_to_its_room_and_its_length_returned():
    _, err = call(lib.iommu_abi_pasid_table_info_validate, GEN, b"12345", 5)
    buffer = ffi.new("char[]", b"\xff" * 16)

    n = lib.iommu_abi_strerror(err, buffer, 8)

    assert ffi.string(buffer) == b"ptr at "
    whole = ffi.new("char[]", n + 1)
    assert lib.iommu_abi_strerror(err, whole, n + 1) == n
    assert ffi.string(whole) == b"ptr at offset 0: got 5 (0x5), expected at least 24 bytes"
    assert lib.iommu_abi_strerror(err, ffi.NULL, 0) == n


def test_rules_are_unique_and_have_a_source():
    rows = [lib.iommu_abi_rule_at(i) for i in range(lib.iommu_abi_rule_count())]
    names = [ffi.string(row.name).decode() for row in rows]

    assert len(set(names)) == len(names)
    assert all(ffi.string(row.source) and ffi.string(row.want) and row.errnum > 0 for row in rows)
    assert lib.iommu_abi_rule_at(len(rows)) == ffi.NULL


def test_units_refuse_registers_that_are_unknown_missing_twice_or_impossible():
    unit = ffi.new("struct iommu_abi_unit *")

    def init(kind, *regs):
        keep = [ffi.new("char[]", n.encode()) for n, _ in regs]
        rows = ffi.new("struct iommu_abi_reg[]", [(k, v) for k, (_, v) in zip(keep, regs)])
        err = ffi.new("struct iommu_abi_error *")
        rc = lib.iommu_abi_unit_init(kind, rows, len(regs), err, unit)
        assert err.want == 0  # the texts of these rules speak of no other number
        return rc, name(err) if rc else None, ffi.string(err.field).decode() if rc else None

    assert init(b"vtd", ("RTADDR", 0)) == (0, None, None)
    assert init(b"vax", ("RTADDR", 0)) == (-19, "unit.kind", "kind")
    assert init(b"vtd", ("RTADR", 0)) == (-EINVAL, "unit.register", "RTADR")
    assert init(b"vtd", ("CAP", 0)) == (-EINVAL, "unit.missing", "RTADDR")
    assert init(b"vtd", ("RTADDR", 0), ("RTADDR", 1)) == (-EINVAL, "unit.twice", "RTADDR")
    for haw in (0, 11, 53, 1 << 63):
        assert init(b"vtd", ("RTADDR", 0), ("HAW", haw)) == (-EINVAL, "unit.haw", "HAW")


def test_regions_out_of_order_overlapping_or_wrapping_are_refused():
    data = ffi.new("char[]", 64)

    def check(*regions):
        rows = ffi.new("struct iommu_abi_region[]", [(first, size, data) for first, size in regions])
        mem = ffi.new("struct iommu_abi_mem *", {"regions": rows, "n": len(regions)})
        return lib.iommu_abi_mem_check(mem, ffi.NULL)

    assert check() == 0
    assert check((0, 8), (8, 8)) == 0
    assert check(((1 << 64) - 8, 8)) == 0
    for bad in (
        [(8, 8), (0, 8)],
        [(0, 9), (8, 8)],
        [(0, 0)],
        [((1 << 64) - 8, 9)],
        [((1 << 64) - 8, 8), (0, 8)],
    ):
        assert check(*bad) == -EINVAL


# ---------------------------------------------------------------- many blobs, one behind the other


def unpack_many(blobs, room):
    heads, offsets, n = (
        ffi.new("struct pasid_table_info[]", room),
        ffi.new("__u64[]", room),
        ffi.new("size_t *"),
    )
    err = ffi.new("struct iommu_abi_error *")
    rc = lib.iommu_abi_pasid_table_info_unpack_many(GEN, blobs, len(blobs), room, err, heads, offsets, n)
    return rc, n[0], err, heads, offsets


def test_many_blobs_give_their_headers_and_where_their_opaque_bytes_begin():
    empty = struct.pack("=QQII", 7, 8, 0, 0)

    rc, n, _, heads, offsets = unpack_many(WHOLE + empty + WHOLE, 3)

    assert (rc, n) == (0, 3)
    assert [(h.ptr, h.size, h.model, h.length) for h in heads] == [
        (0x20000, 4096, 1, 4), (7, 8, 0, 0), (0x20000, 4096, 1, 4)
    ]  # fmt: skip
    assert list(offsets) == [24, 52, 76]


@pytest.mark.parametrize(
    ("tail", "rule", "offset"),
    [
        (HEAD[:23], "pasid_table_info.truncated", 28 + 20),
        (HEAD + b"abc", "pasid_table_info.length", 28 + 20),
        (struct.pack("=QQII", 0, 0, 2, 0), "pasid_table_info.model", 28 + 16),
    ],
)
def test_the_first_bad_blob_of_many_is_named_where_it_lies(tail, rule, offset):
    rc, n, err, _, _ = unpack_many(WHOLE + tail, 9)

    assert (rc, n) == (-EINVAL, 1)
    assert (name(err), err.offset) == (rule, offset)


def test_more_blobs_than_there_is_room_for():
    rc, n, err, _, _ = unpack_many(WHOLE * 3, 2)

    assert (rc, n, name(err), err.got, err.want) == (-ENOSPC, 2, "pasid_table_info.room", 2, 3)


def test_no_blobs_are_no_error():
    rc, n, *_ = unpack_many(b"", 0)

    assert (rc, n) == (0, 0)
