"""Assertions in C: does a header say of the user API what a generation says?

The file is compiled against the header and never run. Each line asserts one fact, sizeof, offsetof, an
enumerator or the number of an ioctl, so that the compiler names the line of what differs. Where ABIs
differ, the macros by which compilers tell the machine choose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from iommu_abi import uapi
from iommu_abi.errors import UsageError
from iommu_abi.gen.facts import Fact, of_constants, rare
from iommu_abi.uapi.layout import ABIS, Abi, Record, abi, layout

#: ABI -> how a compiler that makes code for it is told. In C, ``__ILP32__`` is x32 where it is x86_64.
MACHINES: Mapping[str, str] = {
    "x86_64": "defined(__x86_64__) && !defined(__ILP32__)",
    "x32": "defined(__x86_64__) && defined(__ILP32__)",
    "i386": "defined(__i386__)",
    "aarch64": "defined(__aarch64__) && !defined(__AARCH64EB__)",
    "aarch64_be": "defined(__aarch64__) && defined(__AARCH64EB__)",
    "arm": "defined(__arm__) && !defined(__ARMEB__)",
    "armeb": "defined(__arm__) && defined(__ARMEB__)",
    "riscv64": "defined(__riscv) && __riscv_xlen == 64",
    "riscv32": "defined(__riscv) && __riscv_xlen == 32",
    "powerpc64": "defined(__powerpc64__) && !defined(__LITTLE_ENDIAN__)",
    "powerpc64le": "defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)",
    "powerpc": "defined(__powerpc__) && !defined(__powerpc64__)",
    "s390x": "defined(__s390x__)",
    "mips": "defined(__mips__) && defined(__MIPSEB__) && _MIPS_SIM == 1",
    "mipsel": "defined(__mips__) && defined(__MIPSEL__) && _MIPS_SIM == 1",
    "mips64": "defined(__mips__) && defined(__MIPSEB__) && _MIPS_SIM == 3",
    "mips64n32": "defined(__mips__) && defined(__MIPSEB__) && _MIPS_SIM == 2",
    "sparc64": "defined(__sparc__) && defined(__arch64__)",
    "sparc": "defined(__sparc__) && !defined(__arch64__)",
    "loongarch64": "defined(__loongarch__) && __loongarch_grlen == 64",
    "hexagon": "defined(__hexagon__)",
    "m68k": "defined(__m68k__)",
}

#: Beginning of a generation's name -> the kernel's header that has it.
_MERGED = {
    "iommufd_": "<linux/iommufd.h>", "vfio_6": "<linux/vfio.h>", "vfio_7": "<linux/vfio.h>",
    "linux_": "<linux/iommu.h>",
}  # fmt: skip

_HEAD = """\
/*
 * Does a header agree with {what}? Compile this as C11 or C++11, there is nothing to run.
 * Made by iommu-abi gen c-asserts: do not edit.
 */
#include <stddef.h>
{includes}

#ifdef __cplusplus
#define _Static_assert static_assert
#endif"""


def header(generation: str) -> str:
    """What to include: the kernel's header, or ours of what was never merged."""
    for start, name in _MERGED.items():
        if generation.startswith(start):
            return name
    return f'"iommu_abi/uapi/{generation}.h"'


def facts(generation: str, structs: Iterable[str] = (), abis: Iterable[str] = ABIS) -> list[Fact]:
    """What there is to assert about a generation, or about these structs, their values and their commands.

    UsageError names what is known if a struct or ABI is not.
    """
    declared = uapi.declarations(generation)
    on = [abi(name) for name in abis]
    wanted = set(structs)
    for name in wanted:
        uapi.resolve(f"{name}@{generation}")
    found = [
        fact
        for tag, record in declared.records.items()
        if not wanted or tag in wanted
        for fact in _of_record(tag, record, on)
    ]
    return [*found, *of_constants(generation, on, wanted)]


def _of_record(tag: str, record: Record, on: Sequence[Abi]) -> Iterator[Fact]:
    about = f"{record.kind} {tag}"
    made = {each.name: layout(record, each) for each in on}
    yield Fact(about, f"sizeof({about})", {name: found.size for name, found in made.items()})
    for fields in zip(*(found.fields for found in made.values())):
        if fields[0].bits is None:  # a bit field has no address
            offsets = {name: field.offset for name, field in zip(made, fields)}
            yield Fact(about, f"offsetof({about}, {fields[0].name})", offsets)


def text(generations: Mapping[str, Sequence[Fact]], includes: Sequence[str]) -> str:
    """The C file that asserts the facts of some generations about the headers that it includes.

    UsageError if two generations have a name in common: C has one namespace.
    """
    owners: dict[str, str] = {}
    for name, found in generations.items():
        for expression in {fact.expression for fact in found}:
            other = owners.setdefault(expression, name)
            if other != name:
                raise UsageError(f"{expression} is in {other} and in {name}: they need a file each")
    everything = [fact for found in generations.values() for fact in found]
    lines = [_HEAD.format(what=", ".join(generations), includes="\n".join(f"#include {i}" for i in includes))]
    lines += _machines(everything)
    for about, run in groupby(everything, lambda fact: fact.about):
        lines += ["", f"/* {about} */", *_assertions(run)]
    return "\n".join(lines) + "\n"


def _on(abi: str) -> str:
    return f"IOMMU_ABI_ON_{abi.upper()}"


def _machines(everything: Sequence[Fact]) -> Iterator[str]:
    """A macro for each ABI whose numbers are others than those of most, and one for all that are known."""
    others = rare(everything)
    if not others:
        return
    yield from (f"#if {MACHINES[name]}\n#define {_on(name)}\n#endif" for name in others)
    known = " || \\\n    ".join(f"({MACHINES[name]})" for name in everything[0].values)
    yield f"#if {known}\n#define IOMMU_ABI_KNOWN\n#endif"


def _assertions(found: Iterable[Fact]) -> Iterator[str]:
    """The facts; those that follow each other and differ between the same ABIs under one condition."""
    for split, run in groupby(found, Fact.groups):
        together = list(run)
        for number, group in enumerate(split):
            if len(split) > 1:
                yield _condition(number, group, last=number == len(split) - 1)
            yield from (_line(fact, fact.values[group[0]]) for fact in together)
        if len(split) > 1:
            yield "#endif"


def _condition(number: int, group: Sequence[str], *, last: bool) -> str:
    macros = ["IOMMU_ABI_KNOWN"] if last else map(_on, group)
    return f"#{'elif' if number else 'if'} {' || '.join(f'defined({macro})' for macro in macros)}"


def _line(fact: Fact, value: int) -> str:
    number = str(value) if value < 1 << 12 else f"{value:#x}"
    equal = f"{fact.expression} == {number}"
    return f'_Static_assert({equal}, "{equal}");'
