"""Hypothesis strategies for every struct of every generation: valid blobs, ones that break one rule, edges.

>>> from hypothesis import given
>>> from iommu_abi import strategies
>>> @given(strategies.valid("iommu_hwpt_alloc@iommufd_7_2"))
... def test_my_parser_takes_what_linux_takes(blob): ...
>>> @given(strategies.breaking("iommu_hwpt_alloc@iommufd_7_2"))
... def test_my_model_answers_as_linux_does(broken): assert my_model(broken.data) == -broken.errno

They follow from a struct's description (``schemas.uapi``) and the kinds and numbers of its rows (``rules``),
so a new struct has them. ``abi`` is any of the 22 (default: this machine's), ``kernel`` as in
``rules.struct()``. Hypothesis is needed: ``pip install 'iommu-abi[test]'``.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from iommu_abi.errors import UsageError
from iommu_abi.strategies import anything, boundary, guest_entries, rows, seed
from iommu_abi.strategies.rows import Broken
from iommu_abi.strategies.target import Specimen, target


def _is_seed(made: Specimen) -> bool:
    return made.struct.name == seed.STRUCT and made.generation.name in seed.MODELS


def _valid(made: Specimen, *, whole: bool = False) -> st.SearchStrategy[bytes]:
    if _is_seed(made):
        return seed.valid(made)
    if made.struct.name in guest_entries.BREAKERS:
        return guest_entries.valid(made.struct.name)
    return rows.valid(made, whole=whole)


def valid(struct: str, *, kernel: str | None = None, abi: str | None = None) -> st.SearchStrategy[bytes]:
    """Blobs that a kernel accepts as far as bytes show, of older and newer callers too.

    A struct without rules has reserved fields 0, known flags and named numbers. UsageError for an unknown
    struct, kernel or ABI.
    """
    return _valid(target(struct, kernel, abi))


def rules(struct: str, *, kernel: str | None = None, abi: str | None = None) -> dict[str, int]:
    """Rule -> errno, for every rule of a struct that bytes alone can break; 0 if it is only documented.

    Left out is what no bytes break on this ABI, such as an ID above ULONG_MAX where that has 64 bits.
    """
    made = target(struct, kernel, abi)
    if _is_seed(made):
        return dict(seed.RULES)
    found = rows.rules(made)
    for rule in guest_entries.BREAKERS.get(made.struct.name, ()):
        found[rule] = guest_entries.ERRNOS[rule]
    return found


def breaking(
    struct: str, rule: str | None = None, *, kernel: str | None = None, abi: str | None = None
) -> st.SearchStrategy[Broken]:
    """Blobs that break exactly one rule, any of :func:`rules` or the one that is named, with its errno."""
    known = rules(struct, kernel=kernel, abi=abi)
    if rule is None:
        if not known:
            raise UsageError(f"no rules are known for {struct}")
        return st.sampled_from(list(known)).flatmap(
            lambda each: breaking(struct, each, kernel=kernel, abi=abi)
        )
    if rule not in known:
        raise UsageError(f"no bytes break {rule!r} of {struct}, but: {' '.join(known) or 'none'}")
    made, number = target(struct, kernel, abi), known[rule]
    if _is_seed(made):
        return seed.breaking(made, rule).map(lambda data: Broken(data, rule, number))
    if rule in guest_entries.ERRNOS:
        return guest_entries.breaking(made.struct.name, rule).map(lambda data: Broken(data, rule, number))
    return rows.breaking(made, rule)


def boundaries(struct: str, *, kernel: str | None = None, abi: str | None = None) -> st.SearchStrategy[bytes]:
    """Blobs with fields and sizes at their edges, valid or not: 0, ends, the first unknown flag."""
    return boundary.blobs(target(struct, kernel, abi))


def blobs(struct: str, *, abi: str | None = None) -> st.SearchStrategy[bytes]:
    """Bytes that are a whole struct with any number in every field, holes 0, a tail as long as announced."""
    return anything.blobs(target(struct, None, abi))


def objects(cls: Any) -> st.SearchStrategy[Any]:
    """Valid objects of a ctypes type of ``iommu_abi.uapi``; what ``st.from_type()`` gives for it."""
    return _valid(target(f"{cls._name}@{cls._gen}"), whole=True).map(cls.unpack)


__all__ = ["Broken", "blobs", "boundaries", "breaking", "objects", "rules", "valid"]
