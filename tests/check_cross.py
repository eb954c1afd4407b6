"""Structs x ABIs against the kernels' own headers: `make cross`, for ziglang is large.

The newest ziglang brings the headers of Linux 7.2. CROSS_HEADERS names directories with linux/ of other
kernels, `make cross-history` fetches those of 4.19 to 6.19; one of each kernel is asked. Both machines' words
are compared on every fact: sizes, alignments, offsets, enumerators, flags, ioctl numbers.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import witness
from rich.console import Console
from rich.table import Table

from iommu_abi import compat, uapi
from iommu_abi.compat import compiler
from iommu_abi.gen import c_asserts
from iommu_abi.uapi import layout

M68K = json.loads((Path(__file__).parent / "data/layouts.json").read_text())["kernels"]

_GIVEN = [witness.bundled(), *map(witness.Headers, map(Path, os.environ.get("CROSS_HEADERS", "").split()))]
HEADERS = [
    each for kernel, each in {h.kernel: h for h in reversed(_GIVEN)}.items() if kernel in witness.KERNELS
]


def _m68k(kernel: str, header: str, struct: str) -> str:
    """What gcc says for m68k, which LLVM in the wheel has no target for."""
    found = next((each for name, each in M68K.items() if name.startswith(f"{kernel}.")), {"headers": {}})
    rows = found["headers"].get(header, {"structs": {}})["structs"].get(struct)
    if rows is None:
        return "-"
    group = next(group for group in rows["layouts"] if "m68k" in group["arches"])
    equal = uapi.layout_of(f"{struct}@{GEN_OF[kernel, header]}", "m68k").size == group["size"]
    return str(group["size"]) + ("" if equal else "!")


GEN_OF = {(kernel, header): gen for kernel, gens in witness.KERNELS.items() for gen, header in gens.items()}


def _print(headers: witness.Headers, found: dict[tuple[str, str], list[witness.Difference]]) -> int:
    """Sizes by struct and ABI, a "!" where any fact of the struct differs; the number of those."""
    wrongs = 0
    made = Table(box=None)
    made.add_column("struct")
    for number in range(1, len(witness.TARGETS) + 2):
        made.add_column(str(number), justify="right", min_width=2)
    for gen, header in witness.KERNELS[headers.kernel].items():
        for struct in uapi.generation(gen).__structs__:
            cells = [_m68k(headers.kernel, header, struct)]
            for abi in witness.TARGETS:
                size = uapi.layout_of(f"{struct}@{gen}", abi).size
                wrong = any(struct in each.what for each in found[gen, abi])
                cells.insert(-1, f"{size}!" if wrong else str(size))
            wrongs += sum(cell.endswith("!") for cell in cells)
            made.add_row(f"{struct}@{gen}", *cells)
    names = [*witness.TARGETS, "m68k"]
    made.title = f"Linux {headers.kernel}: {made.row_count} structs x {len(names)} ABIs, {wrongs} differences"
    console = Console(width=170, highlight=False)
    console.print(made)
    console.print("ABIs: " + ", ".join(f"{i} {name}" for i, name in enumerate(names, 1)))
    console.print(
        f"witnesses: 1 to {len(witness.TARGETS)} the kernel's header as clang of ziglang compiles it; "
        f"{len(names)} sizes by gcc, in layouts.json (- where it has none); the 8 ABIs of layouts.json are "
        "compared with it by the default tests\n"
    )
    return wrongs


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: headers.kernel)
def test_the_kernels_own_headers_say_what_we_say(headers, capsys):
    found = witness.all_differences(witness.kernels_headers(headers), headers)

    with capsys.disabled():
        print()
        wrongs = _print(headers, found)
    assert wrongs == 0
    assert [each for differences in found.values() for each in differences] == []


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: headers.kernel)
def test_no_struct_of_the_kernels_header_is_missing(headers):
    for gen, header in witness.KERNELS[headers.kernel].items():
        if header != "vfio.h":  # of which we have what concerns the IOMMU
            assert headers.structs(header) == set(uapi.generation(gen).__structs__)


def _changed(report: compat.Report) -> list[str]:
    """Of what both have: our generations have only that part of vfio.h which concerns the IOMMU."""
    return [s.name for s in report.subjects if s.was is not None and s.findings]


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: headers.kernel)
def test_compat_finds_no_change_from_a_generation_to_its_kernels_header(headers):
    for gen, header in witness.KERNELS[headers.kernel].items():
        report = compat.compare(compat.read(gen), compat.read(str(headers.path / "linux" / header)))

        assert _changed(report) == []
        assert len(report.subjects) > 30


def test_compat_reads_headers_with_ziglang_where_there_is_no_other_compiler(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    compiler.command.cache_clear()
    path = witness.bundled().path / "linux/iommufd.h"

    report = compat.compare(compat.read("iommufd_7_2"), compat.read(str(path)))

    compiler.command.cache_clear()
    assert _changed(report) == []
    assert len(report.subjects) == 37 + 99


LP64 = "x86_64 aarch64 aarch64_be riscv64 powerpc64 powerpc64le s390x mips64 sparc64 loongarch64"
BIG = "aarch64_be armeb powerpc64 powerpc s390x mips mips64 mips64n32 sparc64 sparc m68k"


@pytest.mark.parametrize(
    ("condition", "where"),
    [  # the psABI of each: data models and byte orders; GCC's manual: predefined names
        ("defined(__s390x__)", "on s390x"),
        ("__BITS_PER_LONG == 64", f"on {LP64}"),
        ("__SIZEOF_POINTER__ == 8", f"on {LP64}"),
        ("__SIZEOF_LONG__ == 4", f"on all but {LP64}"),
        ("defined(__BIG_ENDIAN_BITFIELD)", f"on {BIG}"),
        ("__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__", f"on {BIG}"),
        ("defined(__x86_64__)", "on x86_64 x32"),
        ("defined(__x86_64__) && defined(__ILP32__)", "on x32"),
        ("defined(__i386__) || defined(__sparc__) || defined(__m68k__)", "on i386 sparc64 sparc m68k"),
        ("defined(__arm__)", "on arm armeb"),
        ("defined(__hexagon__)", "on hexagon"),
        ("defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)", "on powerpc64le"),
    ],
)
def test_compat_knows_on_which_abis_a_condition_holds(tmp_path, condition, where):
    head = "#include <linux/types.h>\n#include <asm/byteorder.h>\n#include <asm/bitsperlong.h>\n"
    text = f"struct s {{\n#if {condition}\n%s b;\n#endif\n__u16 a;\n}};\n"
    paths = [tmp_path / "old.h", tmp_path / "new.h"]
    for path, width in zip(paths, ("__u16", "__u32")):
        path.write_text(head + text % width)

    report = compat.compare(*(compat.read(str(path)) for path in paths))

    resized = [f.reason for s in report.subjects for f in s.findings if f.change == "resized"]
    assert resized == [f"2 -> 4 bytes at offset 0, {where}"]
    assert not any("not compared" in text for text in report.notes)


def test_compat_has_the_layouts_of_each_abis_own_headers():
    # epoll_event is packed where __x86_64__ is (linux/eventpoll.h); 12 bytes where 8-byte integers need no 8
    read = compat.read(str(witness.bundled().path / "linux/eventpoll.h"))
    sizes = {abi.name: read.compile_for(abi).layout("epoll_event", abi).size for abi in layout.ABIS.values()}

    assert {name for name, size in sizes.items() if size == 12} == {"x86_64", "x32", "i386", "m68k"}
    assert set(sizes.values()) == {12, 16}


def test_compat_compiles_what_each_machine_has_of_its_own():
    # sixteen registers of eight bytes on s390x (asm/kvm.h), eighteen on x86-64
    read = compat.read(str(witness.bundled().path / "linux/kvm.h"))
    sizes = {}
    for name in ("x86_64", "s390x", "i386"):
        model = read.compile_for(layout.ABIS[name])
        sizes[name] = model.layout("kvm_regs", layout.ABIS[name]).size

    assert read.depends
    assert sizes == {"x86_64": 144, "s390x": 128, "i386": 144}


def test_our_headers_compile_to_our_layouts_on_every_abi(capsys):
    found = witness.all_differences(witness.own_headers())

    with capsys.disabled():
        differences = sum(map(len, found.values()))
        print(
            f"\nour {len(uapi.GENERATIONS)} headers on {len(witness.TARGETS)} ABIs: {differences} differences"
        )
    assert [each for differences in found.values() for each in differences] == []


def test_the_witness_sees_a_struct_that_grew():
    # control: 6.13 against the header of 7.2, in which iommu_viommu_alloc has 40 bytes and not 24
    found = witness.differences("iommufd_6_13", "#include <linux/iommufd.h>", "s390x")

    assert witness.Difference("iommufd_6_13", "s390x", "sizeof iommu_viommu_alloc", 24, 40) in found


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: headers.kernel)
@pytest.mark.parametrize("abi", witness.TARGETS)
def test_generated_assertions_hold_on_the_kernels_own_headers(headers, abi, tmp_path):
    for gen, header in witness.KERNELS[headers.kernel].items():
        text = c_asserts.text({gen: c_asserts.facts(gen)}, [f"<linux/{header}>"])

        assert witness.compile_c(text, abi, tmp_path / "x.o", headers) == "", gen


@pytest.mark.parametrize("abi", ["i386", "mips64n32", "powerpc64le", "s390x"])
def test_generated_assertions_choose_by_machine(abi, tmp_path):
    # control: what is asserted on the machine's own ABI is asserted, what belongs to another's is refused
    gen, include = "ptc_v12", '"iommu_abi/uapi/ptc_v12.h"'
    other = "x86_64" if abi == "i386" else "i386"

    assert (
        witness.compile_c(c_asserts.text({gen: c_asserts.facts(gen)}, [include]), abi, tmp_path / "x.o") == ""
    )
    wrong = c_asserts.text({gen: c_asserts.facts(gen, (), [other])}, [include])
    assert "static assertion failed" in witness.compile_c(wrong, abi, tmp_path / "x.o")


def test_the_abis_are_all_but_one():
    assert set(layout.ABIS) - set(witness.TARGETS) == {"m68k"}
