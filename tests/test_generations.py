"""Both ledgers on every struct of every generation: C declarations and ctypes against construct.

Each was written from the texts without the other. Here a struct, constant or command that one of them
lacks is a failure, and so is a byte that they read differently.
"""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iommu_abi import ioctl, uapi
from iommu_abi.schemas import uapi as plain
from iommu_abi.schemas.uapi.blobs import build, parse
from iommu_abi.uapi import layout as fast_layout
from iommu_abi.uapi._generation import declarations

STRUCTS = [(gen, name) for gen in uapi.GENERATIONS for name in uapi.generation(gen).__structs__]
HOST = plain.abi(fast_layout.host().name)


def test_both_ledgers_have_the_same_generations_and_structs() -> None:
    assert set(uapi.GENERATIONS) == set(plain.GENERATIONS)
    for gen in uapi.GENERATIONS:
        assert set(uapi.generation(gen).__structs__) == set(plain.GENERATIONS[gen].structs), gen


@pytest.mark.parametrize("gen", uapi.GENERATIONS)
def test_both_ledgers_give_the_same_numbers_to_the_same_names(gen: str) -> None:
    module = uapi.generation(gen)
    values = plain.GENERATIONS[gen].enums.values()
    found = {name: n for each in values for name, n in {**each.names, **each.bounds}.items()}
    found |= {name: ioctl.number(name, gen, HOST.name) for name in plain.GENERATIONS[gen].ioctls}
    if gen.startswith("vfio_sva"):  # whose format numbers are those of <linux/iommu.h>
        found.pop("IOMMU_PASID_FORMAT_INTEL_VTD", None)

    assert {name: getattr(module, name, None) for name in found} == found


@pytest.mark.parametrize("gen", uapi.GENERATIONS)
def test_no_enumerator_of_a_c_enumeration_is_missing_in_the_plain_ledger(gen: str) -> None:
    """Where the plain ledger has some names of a C enumeration it has them all."""
    values = plain.GENERATIONS[gen].enums
    for tag, enum in declarations(gen).enums.items():
        if tag in values:
            assert {**values[tag].names, **values[tag].bounds} == dict(enum.constants), tag


@pytest.mark.parametrize(("gen", "name"), STRUCTS)
def test_both_ledgers_place_every_field_alike_on_every_abi(gen: str, name: str) -> None:
    struct = plain.get(name, gen)
    for abi in fast_layout.ABIS:
        fast = uapi.layout_of(f"{name}@{gen}", abi)
        made = plain.layout(struct, plain.abi(abi))
        places = {leaf.path: (leaf.offset, leaf.size) for leaf in plain.leaves(struct, plain.abi(abi))}

        assert (made.size, made.align) == (fast.size, fast.align), abi
        assert places == {f.name: (f.offset, f.size) for f in fast.fields}, abi


@st.composite
def blobs(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """Any bytes that are a blob of any struct of this machine; what belongs to no field is 0."""
    gen, name = draw(st.sampled_from(STRUCTS))
    struct = plain.get(name, gen)
    size = plain.layout(struct, HOST).size
    tail = draw(st.binary(max_size=6)) if struct.tail else b""
    tail *= plain.element_size(struct.tail, HOST) if struct.tail else 1
    data, used = bytearray(draw(st.binary(min_size=size, max_size=size))), bytearray(size)
    for leaf in plain.leaves(struct, HOST):
        bit = isinstance(leaf.field.type, plain.Integer) and leaf.field.type.kind == "bit"
        used[leaf.offset : leaf.offset + leaf.size] = bytes([1 if bit else 0xFF]) * leaf.size
        if struct.tail and leaf.path == struct.tail.length:
            data[leaf.offset : leaf.offset + leaf.size] = len(tail).to_bytes(leaf.size, "little")
    return gen, name, bytes(byte & mask for byte, mask in zip(data, used)) + tail


def same(fast: Any, slow: Any) -> bool:
    """Equal, whatever kind of sequence or struct each ledger has."""
    if isinstance(slow, dict):
        return all(same(getattr(fast, name), value) for name, value in slow.items() if name != "_io")
    if isinstance(slow, int):
        return bool(fast == slow)
    return len(fast) == len(slow) and all(same(a, b) for a, b in zip(fast, slow))


@settings(max_examples=1000)
@given(blobs())
def test_c_ctypes_and_construct_read_and_write_the_same_bytes(blob: tuple[str, str, bytes]) -> None:
    gen, name, data = blob
    struct = plain.get(name, gen)

    fast = getattr(uapi.generation(gen), name).unpack(data, strict=False)
    slow = parse(struct, data, HOST)

    assert same(fast, slow)
    assert fast.pack() == build(struct, slow, HOST) == data
    assert ctypes.sizeof(fast) == len(data)
