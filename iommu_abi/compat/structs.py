"""The verdict on one struct: what became of its fields, its size and its version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi.compat.contracts import Contract
from iommu_abi.compat.fields import Pairs, overlapping, pair, place
from iommu_abi.compat.model import byte_order, is_reserved, shape, words_of
from iommu_abi.compat.verdict import Finding, Verdict, breaking, note
from iommu_abi.uapi.layout import Field, Layout

_OK, _IF_ZERO, _BREAKING = Verdict


def judge(old: Layout, new: Layout, contract: Contract, versions: str | None) -> list[Finding]:
    """Every change; ``versions`` says that the version number did not change, and is None if it did."""
    made = list(_Comparison(old, new, contract).findings())
    broken = any(f.old_program is _BREAKING for f in made)
    if broken and versions is not None and _has_version(old) and _has_version(new):
        size = f"{old.size} -> {new.size} bytes" if old.size != new.size else f"{new.size} bytes in both"
        reason = f"{versions}, {size}: nothing tells the layouts apart"
        made.append(breaking("version", "unchanged version", reason))
    return made


def _has_version(layout: Layout) -> bool:
    return any(f.name == "version" for f in layout.fields)


def _bytes(layout: Layout, f: Field) -> str:
    if f.bits is not None:
        return f"bit {f.bit_offset}" if f.bits == 1 else f"bits {f.bit_offset}-{place(f)[0] + f.bits - 1}"
    return f"offset {f.offset}"


def _names(fields: list[Field]) -> str:
    more = ", ..." if len(fields) > 4 else ""
    return ", ".join(f.name for f in fields[:4]) + more


@dataclass(frozen=True)
class _Comparison:
    old: Layout
    new: Layout
    contract: Contract

    def findings(self) -> Iterator[Finding]:
        pairs = pair(self.old, self.new)
        yield from self._size()
        for f in pairs.added:
            yield self._added(f, pairs)
        for f in pairs.withdrawn:
            yield self._withdrawn(f)
        for was, now in sorted(pairs.same + pairs.renamed, key=lambda both: place(both[1])):
            yield from self._kept(was, now)
        yield from self._spare()

    # ------------------------------------------------------------ fields in both

    def _kept(self, was: Field, now: Field) -> Iterator[Finding]:
        if place(was) != place(now):
            yield self._moved(was, now)
            return
        orders = byte_order(was.type, self.old.abi), byte_order(now.type, self.new.abi)
        types = f"{words_of(was.type)} -> {words_of(now.type)}"
        if all(orders) and orders[0] != orders[1]:
            yield breaking(now.name, "byte order", f"{types}: {orders[0]} endian, now {orders[1]}")
        elif shape(was.type) != shape(now.type):
            yield note(now.name, "type", f"{types}: the same bytes, read in another way")
        if was.name != now.name:
            yield note(
                now.name, "renamed", f"was {was.name}: the same place, and no layout says what it means"
            )

    def _moved(self, was: Field, now: Field) -> Finding:
        if place(was)[0] == place(now)[0]:
            sizes = f"{place(was)[1]} -> {place(now)[1]} bits" if was.bits or now.bits else ""
            sizes = sizes or f"{was.size} -> {now.size} bytes"
            return breaking(now.name, "resized", f"{sizes} at {_bytes(self.new, now)}")
        reason = f"{_bytes(self.old, was)} -> {_bytes(self.new, now).removeprefix('offset ')}"
        there = [f for f in overlapping(self.old, now) if f.name != was.name]
        if there:
            reason += f", where {_names(there)} was"
        return breaking(now.name, "moved", reason)

    # ------------------------------------------------------------ fields in one of them

    def _added(self, f: Field, pairs: Pairs) -> Finding:
        where = f"{words_of(f.type)} at {_bytes(self.new, f)}"
        tail = self.old.record.flexible
        if tail and f.offset >= self.old.size:
            return breaking(f.name, "inserted", f"{where}, where {tail.name}[] began")
        if f.size == 0 and f.offset >= self.old.size == self.new.size:
            return note(f.name, "flexible tail", f"{where}: the size of the struct is what it was")
        if f.offset >= self.old.size:
            return self._appended(f, where)
        there = list(overlapping(self.old, f))
        meant = [g for g in there if not is_reserved(g)]
        if meant:
            return self._on_top_of(f, where, meant, pairs)
        if f.offset + f.size > self.old.size and not self.contract.surplus:
            return breaking(f.name, "inserted", f"{where}, partly beyond the old end at {self.old.size}")
        if there:
            reason = f"{where} takes reserved bytes ({_names(there)}): programs must have zeroed them"
            if f.offset + f.size > self.old.size:
                reason += f", and bytes beyond the old end: an old kernel {self.contract.surplus}"
            return Finding(f.name, "reserved taken", reason, _IF_ZERO, _IF_ZERO)
        reason = f"{where} takes a hole: it works while programs zeroed it, which no field made them do"
        return Finding(f.name, "hole taken", reason, _IF_ZERO, _IF_ZERO)

    def _appended(self, f: Field, where: str) -> Finding:
        if not self.contract.surplus:
            return breaking(f.name, "appended", f"{where}, and {self.contract.why_frozen}")
        reason = f"{where}: an old kernel {self.contract.surplus}"
        return Finding(f.name, "appended", reason, _OK, _IF_ZERO)

    def _on_top_of(self, f: Field, where: str, meant: list[Field], pairs: Pairs) -> Finding:
        kept = {was.name for was, now in pairs.same + pairs.renamed if place(was) == place(now)}
        shares = any if f.in_union else all  # one of a union's members may have moved
        if shares(g.name in kept for g in meant):
            reason = f"{where} shares the bytes of {_names(meant)}; an old kernel takes them for that"
            return Finding(f.name, "shared", reason, _OK, _IF_ZERO)
        return breaking(f.name, "inserted", f"{where}, where {_names(meant)} was")

    def _withdrawn(self, f: Field) -> Finding:
        where = f"{words_of(f.type)} at {_bytes(self.old, f)}"
        meant = [g for g in overlapping(self.new, f) if not is_reserved(g)]
        if meant:
            return breaking(f.name, "withdrawn", f"{where}: {_names(meant)} is there now")
        if f.name.rpartition(".")[2].startswith("out_"):
            reason = f"{where} is an output: programs read back what they put there, and 0 has to mean none"
            return Finding(f.name, "withdrawn", reason, _IF_ZERO, _OK)
        reason = f"{where}: a new kernel ignores or refuses it; an old one reads 0"
        return Finding(f.name, "withdrawn", reason, _BREAKING, _IF_ZERO)

    # ------------------------------------------------------------ the whole

    def _size(self) -> Iterator[Finding]:
        was, now = self.old.size, self.new.size
        if was == now:
            return
        sizes = f"{was} -> {now} bytes"
        if not self.contract.surplus:
            yield breaking("", "size", f"{sizes}: {self.contract.why_frozen}")
        elif now > was:
            yield note("", "size", f"{sizes}: {self.contract.told}; what old programs lack counts as 0")
        else:
            reason = f"{sizes}: a new kernel {self.contract.surplus}"
            yield Finding("", "size", reason, _IF_ZERO, _OK)

    def _spare(self) -> Iterator[Finding]:
        """Holes: those that became reserved fields, and new ones."""
        for f in self.new.fields:
            end = f.offset + f.size
            if is_reserved(f) and any(at <= f.offset < end <= at + n for at, n in self.old.holes):
                reason = (
                    f"offset {f.offset} was a hole, which nothing made programs zero; a new kernel may check"
                )
                yield Finding(f.name, "hole reserved", reason, _IF_ZERO, _OK)
        for at, count in self.new.holes:
            if (at, count) not in self.old.holes:
                yield hole(at, count)


def hole(at: int, count: int) -> Finding:
    """Bytes of a new layout that no field covers."""
    return note("", "hole", f"{count} bytes at offset {at}, which nothing makes programs zero")
