"""How Rust tells the ABIs apart: conditions of a target, and numbers that depend on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from iommu_abi.gen.facts import Fact

_LITTLE, BIG = 'target_endian = "little"', 'target_endian = "big"'
_32, _64 = 'target_pointer_width = "32"', 'target_pointer_width = "64"'


def _target(arch: str, *more: str) -> str:
    conditions = ", ".join((f'target_arch = "{arch}"', *more))
    return f"all({conditions})" if more else conditions


#: ABI -> the condition of a target of rustc that has it.
TARGETS: Mapping[str, str] = {
    "x86_64": _target("x86_64", _64),
    "x32": _target("x86_64", _32),
    "i386": _target("x86"),
    "aarch64": _target("aarch64", _LITTLE),
    "aarch64_be": _target("aarch64", BIG),
    "arm": _target("arm", _LITTLE),
    "armeb": _target("arm", BIG),
    "riscv64": _target("riscv64"),
    "riscv32": _target("riscv32"),
    "powerpc64": _target("powerpc64", BIG),
    "powerpc64le": _target("powerpc64", _LITTLE),
    "powerpc": _target("powerpc"),
    "s390x": _target("s390x"),
    "mips": _target("mips", BIG),
    "mipsel": _target("mips", _LITTLE),
    "mips64": _target("mips64", BIG, _64),
    "mips64n32": _target("mips64", BIG, _32),
    "sparc64": _target("sparc64"),
    "sparc": _target("sparc"),
    "loongarch64": _target("loongarch64"),
    "hexagon": _target("hexagon"),
    "m68k": _target("m68k"),
}


def any_of(abis: Iterable[str]) -> str:
    """The condition of a target that has one of these ABIs."""
    conditions = [TARGETS[abi] for abi in abis]
    return conditions[0] if len(conditions) == 1 else f"any({', '.join(conditions)})"


def _on(abi: str) -> str:
    return f"ON_{abi.upper()}"


def conditions(abis: Sequence[str]) -> Iterator[str]:
    """A constant for each ABI whose numbers are others than those of most."""
    if abis:
        yield "\n".join(f"const {_on(abi)}: bool = cfg!({TARGETS[abi]});" for abi in abis)


def number(fact: Fact) -> str:
    """The number, or one chosen by the constants of :func:`conditions`."""
    *others, most = fact.groups()
    usual = fact.values[most[0]]
    chosen = [f"if {' || '.join(map(_on, group))} {{ {fact.values[group[0]]} }} else" for group in others]
    return " ".join([*chosen, f"{{ {usual} }}"]) if chosen else str(usual)
