"""compat's verdicts on random structs that begin with their size, against a simulation of the call.

The simulated program fills the fields that it knows and leaves everything else zero; the simulated kernel
takes the struct as copy_struct_from_user() does (lib/usercopy.c: absent bytes are zero, surplus bytes that
are not zero are E2BIG), and refuses reserved fields that are not zero.
"""

from __future__ import annotations

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from iommu_abi import compat
from iommu_abi.compat import Model, Verdict
from iommu_abi.uapi import layout

SIZE = layout.Member("size", layout.SCALARS["__u32"])
TYPES = [layout.SCALARS[name] for name in ("__u8", "__u16", "__u32", "__aligned_u64")]
NAMES = ("a", "b", "c", "d", "e", "reserved1", "reserved2")

members = st.lists(
    st.builds(layout.Member, st.sampled_from(NAMES), st.sampled_from(TYPES)),
    max_size=6,
    unique_by=lambda m: m.name,
)
abis = st.sampled_from(list(layout.ABIS.values()))
#: What a test says does not depend on how busy the machine is.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def some(*given):
    """Members by name and type: ``("a", "__u32")``."""
    return [layout.Member(name, layout.SCALARS[kind]) for name, kind in given]


def record(*parts):
    return layout.Record("struct", "op", (SIZE, *parts))


def model(made):
    return Model("test", layout.Declarations({"op": made}, {}))


def is_reserved(name):
    return name.startswith("reserved")


def call(program, kernel):
    """Whether a kernel gets what a program means: every field, and nothing else."""
    written = {
        f.name: bytes([n + 1]) * f.size for n, f in enumerate(program.fields) if not is_reserved(f.name)
    }
    data = bytearray(program.size)
    for f in program.fields:
        data[f.offset : f.offset + f.size] = written.get(f.name, bytes(f.size))
    if any(data[kernel.size :]):
        return False  # E2BIG
    taken = bytes(data[: kernel.size]).ljust(kernel.size, b"\0")
    got = {f.name: taken[f.offset : f.offset + f.size] for f in kernel.fields}
    return set(written) <= set(got) and all(
        value == written.get(name, bytes(len(value))) for name, value in got.items()
    )


def subject(old, new, abi):
    (found,) = compat.compare(model(old), model(new), abi).subjects
    return found


# A field over reserved bytes and over the old end, where a kernel reads zeros on both sides of it.
@example(
    some(("reserved1", "__u32"), ("reserved2", "__u8")), some(("a", "__aligned_u64")), layout.ABIS["x86_64"]
)
@example(some(("reserved1", "__u8")), some(("a", "__u32"), ("b", "__aligned_u64")), layout.ABIS["m68k"])
@example(some(("a", "__u8")), some(("a", "__u8"), ("b", "__u8"), ("c", "__u32")), layout.ABIS["m68k"])
@calm
@given(members, members, abis)
def test_old_programs_break_where_the_simulated_call_does(old_members, new_members, abi):
    old, new = record(*old_members), record(*new_members)
    found = subject(old, new, abi)
    assume(not any(f.change in ("renamed", "ABIs differ") for f in found.findings))

    works = call(layout.layout(old, abi), layout.layout(new, abi))

    assert (found.old_program is not Verdict.BREAKING) == works, found.findings


@calm
@given(members, abis)
def test_a_struct_compared_with_itself_has_no_findings(parts, abi):
    assert subject(record(*parts), record(*parts), abi).findings == ()


@calm
@given(members, st.sampled_from(TYPES), abis)
def test_appending_never_breaks_and_inserting_always_does(parts, kind, abi):
    more = layout.Member("new", kind)
    room = layout.Member("filled", layout.Array(layout.SCALARS["__u8"], 7))
    assume(any(not is_reserved(part.name) for part in parts))

    appended = subject(record(*parts), record(*parts, more), abi)
    inserted = subject(record(*parts), record(room, *parts), abi)

    assume(not any(f.change == "ABIs differ" for f in appended.findings))
    assert appended.verdict is not Verdict.BREAKING
    assert appended.new_program is Verdict.COMPATIBLE_IF_ZERO
    assert inserted.old_program is inserted.new_program is Verdict.BREAKING
