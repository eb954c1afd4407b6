"""The strategies of iommu_abi.strategies, and what they show about every struct and every rule.

Every struct goes round between C, construct and ctypes; for every rule there are blobs that break exactly it,
with their errno. Expected errnos: tests/test_rules.py (conditions of the kernel, one by one), docs/rules.md
for the seed, and what is written here from the sources that it names. The checks of ``rules`` make no blob:
see strategies/domain.py.
"""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cffi import FFI
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from test_rules import BYTES, DOCUMENTED, MEMORY, ONLY_ON_32_BITS

from iommu_abi import AbiError, UsageError, errno_name, rules, strategies, uapi
from iommu_abi.errors import Rule
from iommu_abi.nesting import amdvi, smmuv3
from iommu_abi.rules import iommufd, kernels, linux_iommu, ptc
from iommu_abi.rules.row import Check, View
from iommu_abi.schemas import uapi as schemas
from iommu_abi.schemas.uapi.blobs import build, parse
from iommu_abi.strategies import boundary
from iommu_abi.strategies.domain import Domain
from iommu_abi.strategies.plan import about_size
from iommu_abi.strategies.target import target
from iommu_abi.structs.kind import kind
from iommu_abi.structs.unpack import unpack
from iommu_abi.uapi import layout
from iommu_abi.uapi.copy_struct import copy_struct_from_user

_FFI = FFI()
ROOT = Path(__file__).resolve().parent.parent
HOST = schemas.abi(layout.host().name)
WITH_STRUCTS = [gen.name for gen in schemas.GENERATIONS.values() if gen.structs]
FOREIGN = ("i386", "m68k", "hexagon", "powerpc", "s390x", "x32")
EVERY = [f"{name}@{gen.name}" for gen in schemas.GENERATIONS.values() for name in gen.structs]


def few(examples: int) -> Any:
    """Many structs, so few examples of each; the same in every run."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


# ---------------------------------------------------------------- C <-> construct <-> ctypes


def at(value: Any, path: str) -> Any:
    """A member by its path: of construct's containers, of ctypes objects and of cffi's."""
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def plain(value: Any) -> Any:
    """A number, or a list of them; a pointer of C is a number."""
    if isinstance(value, _FFI.CData) and _FFI.typeof(value).kind == "pointer":
        return int(_FFI.cast("uintptr_t", value))
    return value if isinstance(value, int) else [int(each) for each in value]


def c_number(field: schemas.Field, value: Any) -> Any:
    """What C, to which little-endian words are only integers, sees of a field."""
    kind = field.type
    if sys.byteorder == "little" or not isinstance(kind, schemas.Integer) or not kind.order:
        return value

    def turned(number: int) -> int:
        return int.from_bytes(number.to_bytes(kind.size, "little"), "big")

    return turned(value) if isinstance(value, int) else [turned(number) for number in value]


def put(owner: Any, path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for name in outer:
        owner = getattr(owner, name)
    if isinstance(value, int):
        pointer = isinstance(getattr(owner, last), _FFI.CData)
        setattr(owner, last, _FFI.cast("void *", value) if pointer else value)
    else:
        for i, number in enumerate(value):
            getattr(owner, last)[i] = number


@pytest.mark.parametrize("name", EVERY)
def test_c_construct_and_ctypes_read_and_write_the_same_bytes(name: str) -> None:
    tag, gen = name.split("@")
    struct = schemas.get(tag, gen)
    cls = getattr(uapi.generation(gen), tag)
    ffi = import_module(f"iommu_abi.uapi._{gen}").ffi
    leaves = [leaf for leaf in schemas.leaves(struct, HOST) if not leaf.field.flexible]

    @few(4)
    @given(strategies.blobs(name))
    def round_trip(data: bytes) -> None:
        parsed = parse(struct, data, HOST)
        assert build(struct, parsed, HOST) == data

        made = cls.unpack(data, strict=False)
        assert made.pack() == data
        memory = ffi.new("unsigned char[]", data)
        in_c = ffi.cast(f"struct {tag} *", memory)
        again = cls.unpack(bytes(len(data)), strict=False) if struct.tail is None else None
        blank = ffi.new("unsigned char[]", len(data))
        for leaf in leaves:
            value = plain(at(parsed, leaf.path))
            assert plain(at(made, leaf.path)) == value
            assert plain(at(in_c, leaf.path)) == c_number(leaf.field, value)
            put(ffi.cast(f"struct {tag} *", blank), leaf.path, c_number(leaf.field, value))
            if again is not None:
                put(again, leaf.path, value)
        head = ffi.sizeof(f"struct {tag}")
        assert bytes(ffi.buffer(blank))[:head] == data[:head]
        assert again is None or again.pack() == data

    round_trip()


def read_by_layout(field: layout.Field, data: bytes, order: str) -> Any:
    """What the layout engine, which read the C header, says a field holds."""
    if field.bits is not None:
        assert field.bit_offset is not None
        bit = field.bit_offset % 8
        return data[field.offset] >> (bit if order == "little" else 7 - bit) & ((1 << field.bits) - 1)
    type_ = field.type.item if isinstance(field.type, layout.Array) else field.type
    count = field.type.count if isinstance(field.type, layout.Array) else 1
    size = field.size // (count or 1)
    signed = isinstance(type_, layout.Scalar) and type_.signed
    swapped = type_.byteorder if isinstance(type_, layout.Scalar) and type_.byteorder else order
    raw = [data[at : at + size] for at in range(field.offset, field.offset + field.size, size)]
    numbers = [int.from_bytes(each, swapped, signed=signed) for each in raw]  # type: ignore[arg-type]
    return numbers if isinstance(field.type, layout.Array) else numbers[0]


@pytest.mark.parametrize("gen", WITH_STRUCTS)
def test_on_foreign_abis_construct_and_the_layout_engine_read_the_same(gen: str) -> None:
    names = [name for name in EVERY if name.endswith(f"@{gen}")]

    @few(4 * len(names))
    @given(st.data())
    def compare(data: st.DataObject) -> None:
        name, abi = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(FOREIGN))
        bytes_ = data.draw(strategies.blobs(name, abi=abi))
        machine, made = schemas.abi(abi), uapi.layout_of(name, abi)
        parsed = parse(schemas.get(*name.split("@")), bytes_, machine)
        for field in made.fields:
            if field.size:
                assert plain(at(parsed, field.name)) == read_by_layout(field, bytes_, made.abi.byteorder)

    compare()


# ---------------------------------------------------------------- from_type()


@pytest.mark.parametrize("gen", WITH_STRUCTS)
def test_from_type_gives_valid_objects_of_every_type(gen: str) -> None:
    module = uapi.generation(gen)

    @few(3 * len(module.__structs__))
    @given(st.data())
    def valid(data: st.DataObject) -> None:
        cls = getattr(module, data.draw(st.sampled_from(module.__structs__)))
        made = data.draw(st.from_type(cls))
        assert made._name == cls._name
        assert cls.unpack(made.pack()) == made
        for name, value in made.items():
            if name.endswith("reserved"):
                assert not (value if isinstance(value, int) else any(value)), name

    valid()


def test_plugins_load_neither_the_core_nor_each_other() -> None:
    code = (
        "import sys, {0}; assert 'iommu_abi.{1}' in sys.modules, 'the entry point is not installed'\n"
        "heavy = ('iommu_abi._core', 'iommu_abi.uapi', 'construct', '{2}')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    for names in (
        ("hypothesis", "hypothesis_plugin", "pytest"),
        ("iommu_abi.pytest_plugin", "pytest_plugin", "hypothesis"),
    ):
        done = subprocess.run([sys.executable, "-c", code.format(*names)], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    "order", ["hypothesis, iommu_abi.uapi.v1_2017", "iommu_abi.uapi.v1_2017, hypothesis"]
)
def test_types_are_registered_whichever_is_imported_first(order: str) -> None:
    code = (
        f"import {order}\n"
        "from hypothesis import strategies as st; from iommu_abi.uapi import v1_2017\n"
        "print(st.from_type(v1_2017.pasid_table_info))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "pasid_table_info@v1_2017" in done.stdout, done.stderr


# ---------------------------------------------------------------- what kernels accept


def subjects() -> list[tuple[str, str | None]]:
    """(STRUCT@GENERATION, kernel) of everything that has rules."""
    merged = [
        (f"{name}@{gen}", kernel)
        for kernel, gens in kernels.KERNELS.items()
        for gen in gens
        for name in kernels.with_rules(schemas.GENERATIONS[gen])
    ]
    known = {gen for gens in kernels.KERNELS.values() for gen in gens}
    return merged + [
        (f"{name}@{gen.name}", None)
        for gen in schemas.GENERATIONS.values()
        if gen.name not in known
        for name in kernels.with_rules(gen)
    ]


SUBJECTS = subjects()


def answer(name: str, kernel: str | None, data: bytes, abi: str = HOST.name) -> rules.Answer:
    return rules.answer(rules.struct(name, kernel), data, schemas.abi(abi))


@pytest.mark.parametrize(("name", "kernel"), SUBJECTS)
def test_valid_blobs_are_accepted(name: str, kernel: str | None) -> None:
    @few(6)
    @given(strategies.valid(name, kernel=kernel))
    def accepted(data: bytes) -> None:
        found = answer(name, kernel, data)
        assert (found.error, found.documented) == (None, ())

    accepted()


@few(300)
@given(st.data())
def test_valid_blobs_of_foreign_abis_are_accepted(data: st.DataObject) -> None:
    name, kernel = data.draw(st.sampled_from(SUBJECTS))
    abi = data.draw(st.sampled_from(FOREIGN))
    bytes_ = data.draw(strategies.valid(name, kernel=kernel, abi=abi))

    found = answer(name, kernel, bytes_, abi)
    assert (found.error, found.documented) == (None, ())


@few(300)
@given(st.data())
def test_blobs_at_the_edges_get_an_answer(data: st.DataObject) -> None:
    name, kernel = data.draw(st.sampled_from(SUBJECTS))
    abi = data.draw(st.sampled_from((HOST.name, *FOREIGN)))

    found = answer(name, kernel, data.draw(strategies.boundaries(name, kernel=kernel, abi=abi)), abi)
    assert found.error is None or found.error.rule.source


def test_the_edges_are_what_each_kernel_knows_last_and_does_not_know_first() -> None:
    # Linux 7.2: IOMMU_HWPT_ALLOC_PASID, 8, is the last flag and 6.12 does not have it; the least size is 24
    for gen, known in (("iommufd_6_12", 7), ("iommufd_7_2", 15)):
        made = target(f"iommu_hwpt_alloc@{gen}", None, "x86_64")
        ends = {0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF}
        assert {*ends, known, known + 1, 2, 4, 8} == set(boundary.numbers(made, "flags"))
        assert {0, 1, 0xFF, 0x0100_0000} <= set(boundary.numbers(made, "__reserved"))
        assert boundary.sizes(made) == [0, 23, 24, 25, 47, 48, 49, 56]


# ---------------------------------------------------------------- one rule broken


#: Linux 7.2, iommufd/main.c: get_user() of the size, the least size, copy_struct_from_user(); data behind
#: pointers: include/linux/iommufd.h; responses: eventq.c. By the last part of the rule's name.
SIZES = {
    "read": errno.EFAULT,
    "size": errno.EINVAL,
    "argsz": errno.EINVAL,
    "tail": errno.E2BIG,
    "rest": errno.EFAULT,
    "length": errno.EINVAL,
    "count": errno.ESPIPE,
}
#: arm-smmu-v3-iommufd.c and amd/nested.c of Linux 7.2
GUEST_ENTRIES = {
    smmuv3.BITS.name: errno.EIO,
    smmuv3.CONFIG.name: errno.EIO,
    smmuv3.EATS.name: errno.EIO,
    amdvi.MODE.name: errno.EINVAL,
    amdvi.ROOT.name: errno.EINVAL,
    amdvi.GCR3.name: errno.EINVAL,
    amdvi.PAGING.name: errno.EINVAL,
    amdvi.GLX.name: errno.EINVAL,
    amdvi.LEVELS.name: errno.EOPNOTSUPP,
}


@cache
def expected_errnos() -> dict[str, int]:
    """Rule -> errno, 0 if it is only documented; from outside, see the head of this file."""
    table = dict(GUEST_ENTRIES)
    for row in (ROOT / "docs/rules.md").read_text().splitlines():
        found = re.match(r"\| ([\w.]+) \| (E\w+) \|", row)
        if found:
            table[found[1]] = getattr(errno, found[2])
    for name, _, rule, number in BYTES:
        table[f"{name.partition('@')[0]}.{rule}"] = number
    for name, _, _, rule in MEMORY:
        table[f"{name.partition('@')[0]}.{rule}"] = errno.EFAULT
    for name, rule, _ in DOCUMENTED:
        table[f"{name.partition('@')[0]}.{rule}"] = 0
    return {**table, **ONLY_ON_32_BITS}


def expected_errno(rule: str) -> int:
    found = expected_errnos().get(rule)
    return SIZES[rule.rsplit(".", 1)[1]] if found is None else found


def first_broken(name: str, kernel: str | None, data: bytes, abi: str) -> tuple[str, int]:
    """The rule that the kernel stops at and its errno, or the one that is only documented and 0."""
    if name.startswith("pasid_table_info@"):
        try:
            unpack(kind(name, layout.abi(abi)), data, payload=True)
        except AbiError as error:
            return error.rule.name, error.rule.errno
        return "none", 0
    found = answer(name, kernel, data, abi)
    if found.error is None:
        (only,) = found.documented
        return only.rule.name, 0
    return found.error.rule.name, found.error.rule.errno


def others_broken(name: str, kernel: str | None, broken: strategies.Broken, abi: str) -> set[str]:
    """The rows that the bytes break beside the one, each asked by itself."""
    subject, machine = rules.struct(name, kernel), schemas.abi(abi)
    struct = subject.generation.struct(subject.struct)
    checks = [row for row in subject.rows if isinstance(row, Check)]
    own = next((row for row in checks if row.rule.name == broken.rule), None)
    if own is None or about_size(own):
        return set()  # of sizes that are wrong first_broken() says which comes first
    order = "little" if machine.order == "<" else "big"
    first = struct.fields[0].name in ("size", "argsz")
    announced = int.from_bytes(broken.data[:4], order) if first else len(broken.data)  # type: ignore[arg-type]
    view = View(struct, subject.generation, machine, broken.data, announced)
    return {row.rule.name for row in checks if row is not own and row.error(view)}


def newest_of_each_rule() -> list[Any]:
    """(subject, kernel, rule), each rule of a struct once, on the newest kernel or in the newest proposal."""
    found = {
        (name.partition("@")[0], rule): (name, kernel, rule)
        for name, kernel in SUBJECTS
        for rule in strategies.rules(name, kernel=kernel)
    }
    return [pytest.param(*each, id=f"{each[0]}-{each[2]}") for each in found.values()]


def check_broken(name: str, kernel: str | None, broken: strategies.Broken, abi: str = HOST.name) -> None:
    assert broken.errno == expected_errno(broken.rule)
    assert first_broken(name, kernel, broken.data, abi) == (broken.rule, broken.errno)
    assert others_broken(name, kernel, broken, abi) == set()


@pytest.mark.parametrize(("name", "kernel", "rule"), newest_of_each_rule())
def test_every_rule_is_broken_alone_and_gives_its_errno(name: str, kernel: str | None, rule: str) -> None:
    @few(6)
    @given(strategies.breaking(name, rule, kernel=kernel))
    def alone(broken: strategies.Broken) -> None:
        assert broken.rule == rule
        check_broken(name, kernel, broken)

    alone()


@few(600)
@given(st.data())
def test_rules_are_broken_alone_on_every_kernel_and_foreign_abis(data: st.DataObject) -> None:
    name, kernel = data.draw(st.sampled_from(SUBJECTS))
    abi = data.draw(st.sampled_from((HOST.name, *FOREIGN)))
    assume(strategies.rules(name, kernel=kernel, abi=abi))

    check_broken(name, kernel, data.draw(strategies.breaking(name, kernel=kernel, abi=abi)), abi)


def all_rows() -> set[str]:
    tables = [
        iommufd.COMMANDS,
        iommufd.DATA,
        *kernels.VFIO,
        linux_iommu.STRUCTS,
        *ptc.GENERATIONS.values(),
    ]
    return {
        row.rule.name for table in tables for rows in table.values() for row in rows if isinstance(row, Check)
    }


def test_every_row_has_blobs_that_break_it() -> None:
    made = {rule for name, kernel in SUBJECTS for rule in strategies.rules(name, kernel=kernel, abi="x86_64")}
    on_32_bits = {
        rule for name, kernel in SUBJECTS for rule in strategies.rules(name, kernel=kernel, abi="i386")
    }

    assert len(all_rows()) > 120
    assert all_rows() - made == ONLY_ON_32_BITS.keys()
    assert all_rows() <= on_32_bits


#: Rules of core/rules.h that are not about the bytes of the seed's struct or of a caller's: start -> reason.
NOT_ABOUT_BYTES = {
    "pasid_table_info.room": "room in the caller's arrays: tests/test_types.py",
    "pasid_table_info.align": "where a buffer lies in memory: tests/test_core_blob.py",
    "struct.truncated": "of every struct, by its bindings: tests/test_uapi.py, any struct",
    "struct.trailing": "of every struct, by its bindings: tests/test_uapi.py, any struct",
    "bind.": "the device and the IOMMU that are bound: tests/test_drivers.py",
    "unbind.": "whether something is bound: tests/test_drivers.py",
    "mem.": "regions of memory: tests/test_memory.py",
    "unit.": "registers of an IOMMU: tests of the formats",
}


def test_every_rule_of_the_core_is_broken_by_bytes_or_has_a_reason_not_to_be() -> None:
    text = (ROOT / "iommu_abi/core/rules.h").read_text()
    declared = set(re.findall(r'^RULE\(\w+, "([\w.]+)"', text, re.M))
    made = set(strategies.rules("pasid_table_info@v1_2017")) | {"copy_struct.tail"}

    assert made <= declared
    for rule in declared - made:
        assert any(rule == each or (each[-1] == "." and rule.startswith(each)) for each in NOT_ABOUT_BYTES), (
            rule
        )


def test_every_rule_of_guest_entries_is_broken_or_is_the_length_that_iommufd_checks_before() -> None:
    for module in (smmuv3, amdvi):
        declared = {value.name for value in vars(module).values() if isinstance(value, Rule)}
        made = set(strategies.rules(f"{module.STRUCT}@iommufd_7_2"))
        assert declared - made == {module.LENGTH.name}
        assert f"{module.STRUCT}.length" in made


def test_a_newer_callers_surplus_is_what_copy_struct_from_user_refuses() -> None:
    @few(20)
    @given(strategies.breaking("iommu_ioas_alloc@iommufd_7_2", "copy_struct.tail"))
    def refused(broken: strategies.Broken) -> None:
        with pytest.raises(AbiError) as caught:
            copy_struct_from_user(broken.data, 12)
        assert caught.value.rule.errno == broken.errno

    refused()


def test_misuse_names_what_is_known() -> None:
    with pytest.raises(
        UsageError, match=r"no bytes break 'iommu_destroy\.flags' .* but: iommu_destroy\.read"
    ):
        strategies.breaking("iommu_destroy", "iommu_destroy.flags")
    with pytest.raises(UsageError, match="no rules are known for iommu_iova_range"):
        strategies.breaking("iommu_iova_range")
    with pytest.raises(UsageError, match=r"unknown struct 'iommu_hwpt_aloc', .* iommu_hwpt_alloc"):
        strategies.valid("iommu_hwpt_aloc")
    with pytest.raises(UsageError, match="unknown ABI 'vax'"):
        strategies.blobs("iommu_destroy", abi="vax")


# ---------------------------------------------------------------- the numbers behind them


_masks = st.integers(0, 255)


@few(300)
@given(
    st.integers(0, 100), st.integers(100, 255), _masks, _masks, _masks, _masks, st.integers(1, 5), st.data()
)
def test_a_domain_draws_what_brute_force_finds(
    low: int, high: int, ones: int, zeros: int, some: int, holes: int, step: int, data: st.DataObject
) -> None:
    made = Domain(0, 255).narrow(low=low, high=high, ones=ones & 3, zeros=zeros & 0xC0)
    made = made.narrow(some=some, holes=holes, step=step)
    right = [
        n
        for n in range(low, high + 1)
        if n & (ones & 3) == ones & 3
        and not n & zeros & 0xC0
        and (not some or n & some)
        and (not holes or n & holes != holes)
        and n % step == 0
    ]

    assert [n for n in range(256) if n in made] == right
    assert right or not made.among
    if len(right) > 20:
        assert data.draw(made.numbers()) in right


def test_errnos_have_names() -> None:
    assert {errno_name(number)[0] for number in set(expected_errnos().values()) - {0}} == {"E"}


def test_rows_about_a_field_that_a_generation_lacks_ask_nothing() -> None:
    """Linux 6.12 knows no PASID here (vfio_device_detach_iommufd_pt ends with flags): flag 1 is unknown."""
    name, data = "vfio_device_detach_iommufd_pt@vfio_6_12", bytes([8, 0, 0, 0, 1, 0, 0, 0])
    subject = rules.struct(name, "6.12")
    view = View(subject.generation.struct(subject.struct), subject.generation, HOST, data, 8)

    broken = [row.rule.name for row in subject.rows if isinstance(row, Check) and row.error(view)]

    assert broken == ["vfio_device_detach_iommufd_pt.flags"]
