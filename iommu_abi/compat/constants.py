"""The verdict on constants: macros and enumerators alike, because headers turn one into the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from iommu_abi.compat.contracts import Contracts
from iommu_abi.compat.model import Constant, Model
from iommu_abi.compat.verdict import Compared, Finding, Verdict, breaking, note

#: Words of constants that say how many there are, or which: they grow with what they count.
_LIMITS = {"LAST", "LASTP1", "MAX", "MAXLEN", "NR", "NUM", "COUNT", "CNT", "END", "NBITS"}
#: Words of constants that are several bits of the others: they grow by bits.
_COLLECTIONS = {"MASK", "ALL", "SUPPORTED", "VALID", "FLAGS"}
VERSION = re.compile(r"(?:^|_)VERSION(_\d+)?$")
_IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*_\w+")
_IOCTL_SIZE = ((1 << 13) - 1) << 16  # 14 bits on most machines, 13 on mips, powerpc and sparc

Constants = Mapping[str, Constant]


def _number(value: int) -> str:
    return f"{value:#x}" if value > 9 else str(value)


def _words(name: str) -> set[str]:
    return set(name.upper().split("_")) - {""}


def _is_count(name: str) -> bool:
    words = _words(name)
    return not _LIMITS.isdisjoint(words) or any(w.endswith("MAX") for w in words)


def _is_collection(name: str) -> bool:
    return not _COLLECTIONS.isdisjoint(_words(name))


def _is_limit(name: str) -> bool:
    return _is_count(name) or _is_collection(name)


def _has_many_bits(value: int) -> bool:
    return value & (value - 1) != 0


def _is_version(name: str) -> bool:
    return "VERSION" in _words(name)


def _is_ioctl(value: int) -> bool:
    """Whether a number has an ioctl's type byte, a character (include/uapi/asm-generic/ioctl.h)."""
    return 0x20 <= value >> 8 & 0xFF < 0x7F and value < 1 << 32


@dataclass(frozen=True)
class _Comparison:
    old: Constants
    new: Constants
    elsewhere: Constants
    unevaluated: Set[str]
    of_machines: Mapping[str, str]
    contracts: Contracts

    def subjects(self) -> Iterator[Compared]:
        renames = self._renames()
        for was in self.old.values():
            name = renames.get(was.name, was.name)
            now = self.new.get(name) or self.elsewhere.get(name)
            findings = tuple(self._kept(was, now)) if now else (self._gone(was),)
            yield Compared("constant", was.name, "", was.value, now.value if now else None, findings)
        known = {*self.old, *renames.values()}
        for now in self.new.values():
            if now.name not in known:
                yield Compared("constant", now.name, "", None, now.value, (self._added(now),))

    # ------------------------------------------------------------ names

    def _renames(self) -> dict[str, str]:
        """Old names whose words are all in exactly one of the new ones, or the other way round.

        The number has to be the same, or several names became an enumeration in their old order.
        """
        gone = [c for c in self.old.values() if not self._is_known(c.name)]
        fresh = [c for c in self.new.values() if c.name not in self.old]
        found = []
        for was in gone:
            like = [now for now in fresh if _same_words(was.name, now.name)]
            if len(like) > 1:
                like = [now for now in like if now.value == was.value]
            found += [(was, like[0])] if len(like) == 1 else []
        taken = [now.name for _, now in found]
        found = [both for both in found if taken.count(both[1].name) == 1]
        families = _families(found)
        return {was.name: now.name for was, now in found if was.value == now.value or now.group in families}

    def _is_known(self, name: str) -> bool:
        return name in self.new or name in self.elsewhere or name in self.unevaluated

    def _tells_others(self, constant: Constant) -> bool:
        """Whether it is how many others there are, or several of them; no ioctl, no command so named."""
        if "_IO" in constant.text:
            return False
        if _is_count(constant.name):
            return True
        family = [c for c in self.old.values() if c.group and c.group == constant.group]
        counts = any(_has_many_bits(c.value) and not _is_limit(c.name) for c in family)
        return _is_collection(constant.name) and not counts

    def _holder(self, value: int, among: Constant) -> str:
        """What a value means now, in the enumeration or among the ioctls where it had a meaning."""
        for c in self.new.values():
            of_one_kind = (c.group and c.group == among.group) or _is_ioctl(value)
            if c.value == value and of_one_kind and not _is_limit(c.name):
                return c.name
        return ""

    # ------------------------------------------------------------ changes

    def _kept(self, was: Constant, now: Constant) -> Iterator[Finding]:
        named = "" if was.name == now.name else f"{was.name} -> {now.name}, "
        if was.value != now.value:
            yield self._renumbered(was, now, named)
        elif "RESERVED" in _words(now.name) - _words(was.name):
            yield breaking("", "withdrawn", f"{named}only so that {_number(now.value)} is not used again")
        elif named:
            yield note("", "renamed", f"{named}the number is the same")
        if now.name not in self.new:
            yield note("", "moved", f"what the header includes has {now.name} now")

    def _renumbered(self, was: Constant, now: Constant, named: str) -> Finding:
        numbers = f"{named}{_number(was.value)} -> {_number(now.value)}"
        if _is_version(was.name):
            return note("", "version", numbers)
        if (self._tells_others(was) or _has_bits_of_others(now)) and _grew(was, now):
            return note("", "limit", f"{numbers}: it counts the others, or has their bits")
        if _is_ioctl(was.value) and not (was.value ^ now.value) & ~_IOCTL_SIZE:
            if self.contracts.lets_ioctl_grow(now):
                return note("", "ioctl size", f"{numbers}: the kernel goes by the number without the size")
            return breaking("", "renumbered", f"{numbers}: the size of its struct is part of the number")
        holder = self._holder(was.value, now)
        meaning = f": {_number(was.value)} is {holder} now" if holder else ""
        return breaking("", "renumbered", numbers + meaning)

    def _gone(self, was: Constant) -> Finding:
        if was.name in self.unevaluated:
            return note("", "not evaluable", f"{was.name} is still defined, but cannot be evaluated")
        machine = self.of_machines.get(was.name)
        if machine:
            return note("", "moved", f"asm/ of {machine} has it now")
        several = _is_count(was.name) or _has_many_bits(was.value)
        if _is_version(was.name) or (several and self._tells_others(was)):
            return note("", "withdrawn", "it tells of the others, and is none of them")
        alias = self.new.get(was.text)
        if alias and alias.value == was.value:
            return note("", "withdrawn", f"it stood for {alias.name}, which has the number as before")
        holder = self._holder(was.value, was)
        if holder:
            return breaking("", "withdrawn", f"{_number(was.value)} is {holder} now")
        reason = f"new kernels need not know {_number(was.value)}"
        return Finding("", "withdrawn", reason, Verdict.BREAKING, Verdict.COMPATIBLE)

    def _added(self, now: Constant) -> Finding:
        return note("", "added", f"old kernels do not know {_number(now.value)}")


def _same_words(was: str, now: str) -> bool:
    """INTEL_IOMMU and IOMMU_MODEL_INTEL_VTD."""
    a, b = _words(was), _words(now)
    return len(a) > 1 and len(b) > 1 and (a <= b or b <= a)


def _families(pairs: Iterable[tuple[Constant, Constant]]) -> set[str]:
    """Enumerations that took over several old names, in the order that their numbers had."""
    taken: dict[str, list[tuple[int, int]]] = {}
    for was, now in pairs:
        taken.setdefault(now.group, []).append((was.value, now.value))
    return {
        group
        for group, numbers in taken.items()
        if group and len(numbers) > 1 and [n for _, n in sorted(numbers)] == sorted(n for _, n in numbers)
    }


def _has_bits_of_others(constant: Constant) -> bool:
    """Whether a macro is several of the others: ``(A | B)``, ``~(A | B)``."""
    return "|" in constant.text and len(_IDENTIFIER.findall(constant.text)) > 1


def _grew(was: Constant, now: Constant) -> bool:
    """A count became larger, a collection has more bits, a mask without some others has fewer."""
    if not _has_bits_of_others(now) and _COLLECTIONS.isdisjoint(_words(was.name)):
        return now.value > was.value
    more, less = (now.value, was.value) if "~" not in now.text else (was.value, now.value)
    return more & less == less


def compare(old: Model, new: Model, contracts: Contracts) -> list[Compared]:
    """Every constant of both."""
    made = _Comparison(
        old.constants(),
        new.constants(),
        new.other_constants(),
        new.unevaluated,
        new.of_machines,
        contracts,
    )
    return list(made.subjects())
