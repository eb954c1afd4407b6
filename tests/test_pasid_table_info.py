"""The plain ledger's struct pasid_table_info and payloads against docs/rules.md.

The layout is that of patch 1/9 of 27 June 2017: __u64 ptr, __u64 size, __u32 model, __u32
length, __u8 opaque[]. Blobs below are written byte by byte, not built by the code under test.
"""

from __future__ import annotations

import contextlib
import errno
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi.schemas import pasid_table_info
from iommu_abi.schemas.pasid_table_info import RuleBroken, build, check_payload, parse

ORDERS = ["<", ">"]
GENERATIONS = {"v1_2017": (0, 1), "rfc2017": (1, 2)}  # patch 1/9; the RFC has bits 0 and 1


def blob(order: str, model: int = 1, length: int = 4, tail: bytes = b"tail") -> bytes:
    return struct.pack(order + "QQII", 0x12_3456_7000, 0x1000, model, length) + tail


def broken(call: Any, *args: Any) -> tuple[str, int, str, int, int, int]:
    with pytest.raises(RuleBroken) as caught:
        call(*args)
    rule = caught.value
    return rule.rule, rule.errno, rule.field, rule.offset, rule.got, rule.want


# ---------------------------------------------------------------- the struct


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("generation", "models"), GENERATIONS.items())
def test_a_blob_has_its_fields_where_the_patch_puts_them(
    generation: str, models: tuple[int, ...], order: str
) -> None:
    for model in models:
        info = parse(generation, blob(order, model), order)

        assert (info.ptr, info.size, info.model, info.length) == (0x12_3456_7000, 0x1000, model, 4)
        assert info.opaque == b"tail"


def test_a_header_has_24_bytes_and_no_hole() -> None:
    header = pasid_table_info.header_schema("<")

    assert header.sizeof() == 24
    assert [(each.name, each.sizeof()) for each in header.subcons] == [
        ("ptr", 8),
        ("size", 8),
        ("model", 4),
        ("length", 4),
    ]


@pytest.mark.parametrize(
    ("given_", "field", "offset"),
    [
        (0, "ptr", 0),
        (7, "ptr", 0),
        (8, "size", 8),
        (15, "size", 8),
        (16, "model", 16),
        (19, "model", 16),
        (20, "length", 20),
        (23, "length", 20),
    ],
)
def test_a_truncated_header_names_the_first_field_that_is_not_there(
    given_: int, field: str, offset: int
) -> None:
    assert broken(parse, "v1_2017", blob("<")[:given_]) == (
        "pasid_table_info.truncated",
        errno.EINVAL,
        field,
        offset,
        given_,
        24,
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("generation", "model"), [("v1_2017", 2), ("rfc2017", 0), ("rfc2017", 3)])
def test_a_model_that_the_generation_does_not_know_is_einval(generation: str, model: int, order: str) -> None:
    got = broken(parse, generation, blob(order, model, length=99), order)

    assert got == ("pasid_table_info.model", errno.EINVAL, "model", 16, model, 0)


def test_a_length_beyond_the_bytes_is_einval() -> None:
    assert broken(parse, "v1_2017", blob("<", length=5)) == (
        "pasid_table_info.length",
        errno.EINVAL,
        "length",
        20,
        5,
        4,
    )


def test_bytes_that_follow_are_e2big() -> None:
    assert broken(parse, "v1_2017", blob("<", length=1)) == (
        "pasid_table_info.trailing",
        errno.E2BIG,
        "opaque",
        25,
        28,
        25,
    )


def test_lenient_takes_any_model_and_leaves_out_what_follows() -> None:
    assert parse("v1_2017", blob("<", model=9), lenient=True).opaque == b"tail"
    assert parse("v1_2017", blob("<", length=1), lenient=True).opaque == b"t"
    assert broken(lambda: parse("v1_2017", b"", lenient=True))[0] == "pasid_table_info.truncated"
    assert (
        broken(lambda: parse("v1_2017", blob("<", length=99), lenient=True))[0] == "pasid_table_info.length"
    )


@given(
    order=st.sampled_from(ORDERS),
    ptr=st.integers(0, (1 << 64) - 1),
    size=st.integers(0, (1 << 64) - 1),
    opaque=st.binary(max_size=40),
    generation=st.sampled_from(sorted(GENERATIONS)),
)
def test_parsing_what_was_built_gives_every_field_back(
    order: str, ptr: int, size: int, opaque: bytes, generation: str
) -> None:
    model = GENERATIONS[generation][0]

    built = build(generation, ptr, size, model, opaque, order)
    info = parse(generation, built, order)

    assert built == struct.pack(order + "QQII", ptr, size, model, len(opaque)) + opaque
    assert (info.ptr, info.size, info.model, info.opaque) == (ptr, size, model, opaque)


@given(st.binary(max_size=64), st.sampled_from(ORDERS))
def test_no_bytes_do_anything_but_parse_or_break_a_rule(data: bytes, order: str) -> None:
    for call in (
        lambda: parse("v1_2017", data, order),
        lambda: check_payload("vtd", data, order),
        lambda: check_payload("smmuv3", data, order),
    ):
        with contextlib.suppress(RuleBroken):
            call()


def test_a_broken_rule_reads_as_a_sentence() -> None:
    with pytest.raises(RuleBroken) as caught:
        parse("v1_2017", blob("<", length=5))

    assert str(caught.value) == "pasid_table_info.length: EINVAL: length at 20: got 0x5, want 0x4"


def test_an_unknown_generation_or_byte_order_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="ptc_v12"):
        parse("ptc_v12", b"")
    for ptr, size in ((1 << 64, 0), (-1, 0), (0, 1 << 64)):
        with pytest.raises(ValueError, match="does not fit 64 bits"):
            build("v1_2017", ptr, size, 0)
    with pytest.raises(ValueError, match="byte order"):
        parse("v1_2017", b"", "=")
    with pytest.raises(ValueError, match="no model"):
        check_payload("amd", b"")


# ---------------------------------------------------------------- the payloads


@pytest.mark.parametrize("name", ["vtd", "smmuv3"])
def test_an_empty_payload_is_valid(name: str) -> None:
    check_payload(name, b"")


def vtd(order: str = "<", version: int = 1, flags: int = 0, pat: int = 0, emt: int = 0) -> bytes:
    return struct.pack(order + "IIII", version, flags, pat, emt)


def smmuv3(
    order: str = "<", version: int = 1, s1fmt: int = 0, s1dss: int = 0, padding: bytes = b"\0\0"
) -> bytes:
    return struct.pack(order + "IBB2s", version, s1fmt, s1dss, padding)


@pytest.mark.parametrize("order", ORDERS)
def test_every_value_at_its_bound_is_valid(order: str) -> None:
    check_payload("vtd", vtd(order, flags=0x1FF, pat=0x7777_7777, emt=7), order)
    check_payload("vtd", vtd(order, emt=0, flags=0xFF) + bytes(8), order)
    check_payload("smmuv3", smmuv3(order, s1fmt=2, s1dss=2) + bytes(3), order)


EINVAL, EOPNOTSUPP = errno.EINVAL, errno.EOPNOTSUPP

# Rows of docs/rules.md in the order of checking: payload, what is expected.
PAYLOADS = [
    ("vtd", vtd()[:1], ("payload.truncated", EINVAL, "version", 0, 1, 16)),
    ("vtd", vtd()[:15], ("payload.truncated", EINVAL, "emt", 12, 15, 16)),
    ("vtd", vtd(version=2), ("payload.version", EOPNOTSUPP, "version", 0, 2, 1)),
    ("vtd", vtd(version=0, flags=0x200), ("payload.version", EOPNOTSUPP, "version", 0, 0, 1)),
    ("vtd", vtd(flags=0x201, pat=8), ("vtd.flags", EINVAL, "flags", 4, 0x201, 0x1FF)),
    ("vtd", vtd(pat=0x80, emt=8), ("vtd.pat", EINVAL, "pat", 8, 0x80, 0x7777_7777)),
    ("vtd", vtd(emt=8), ("vtd.emt", EINVAL, "emt", 12, 8, 7)),
    ("vtd", vtd(emt=1, flags=0xFF) + b"\1", ("vtd.emt.emte", EINVAL, "emt", 12, 1, 0)),
    ("vtd", vtd() + b"\0\0\5", ("payload.trailing", EINVAL, "opaque", 18, 5, 0)),
    ("smmuv3", smmuv3()[:4], ("payload.truncated", EINVAL, "s1fmt", 4, 4, 8)),
    ("smmuv3", smmuv3()[:7], ("payload.truncated", EINVAL, "padding", 6, 7, 8)),
    ("smmuv3", smmuv3(version=7), ("payload.version", EOPNOTSUPP, "version", 0, 7, 1)),
    ("smmuv3", smmuv3(s1fmt=3, s1dss=3), ("smmuv3.s1fmt", EINVAL, "s1fmt", 4, 3, 2)),
    ("smmuv3", smmuv3(s1dss=3, padding=b"\1\0"), ("smmuv3.s1dss", EINVAL, "s1dss", 5, 3, 2)),
    ("smmuv3", smmuv3(padding=b"\0\2") + b"\1", ("smmuv3.padding", EINVAL, "padding", 7, 2, 0)),
    ("smmuv3", smmuv3() + b"\0\x80", ("payload.trailing", EINVAL, "opaque", 9, 0x80, 0)),
]


@pytest.mark.parametrize(("name", "data", "expected"), PAYLOADS)
def test_a_payload_that_breaks_rules_breaks_the_first(
    name: str, data: bytes, expected: tuple[str, int, str, int, int, int]
) -> None:
    assert broken(check_payload, name, data) == expected


def test_the_byte_order_of_a_payload_counts() -> None:
    assert broken(check_payload, "vtd", vtd(">"), "<") == (
        "payload.version",
        EOPNOTSUPP,
        "version",
        0,
        1 << 24,
        1,
    )
