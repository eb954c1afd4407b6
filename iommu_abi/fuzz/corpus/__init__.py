"""Seeds: files from which a fuzzer starts, one directory for each thing that it feeds.

- ``blob-v1_2017``, ``blob-rfc2017`` (``blobs``) and ``walk`` (``walks``): inputs of the targets in
  tests/c, fuzz_unpack.c and fuzz_walk.c, in the form that these read
- ``STRUCT@GEN`` (``structs``): the bare bytes of every struct of every generation, for somebody's own target
- ``dictionary``: the words that fuzzers of this ABI should know

Everything follows from the seed number: the same files each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from iommu_abi.errors import UsageError
from iommu_abi.fuzz.corpus import blobs, structs, walks
from iommu_abi.fuzz.worlds import Dice
from iommu_abi.uapi.layout import Abi

#: Makes (name, bytes) of a target from dice; the number is how many of those that differ by dice alone.
Maker = Callable[[Dice, int], Iterator[tuple[str, bytes]]]


def makers(abi: Abi) -> Mapping[str, Maker]:
    """Target -> what makes its seeds. The ABI is that of bare structs."""
    return {
        **{f"blob-{generation}": partial(blobs.seeds, generation) for generation in blobs.GENERATIONS},
        "walk": walks.seeds,
        **{name: partial(structs.seeds, name, abi) for name in structs.names()},
    }


def chosen(names: Sequence[str], abi: Abi) -> Mapping[str, Maker]:
    """Targets by name or by how names begin, or with ``@GEN`` all structs of a generation; all if none.

    UsageError for a name that fits nothing.
    """
    known = makers(abi)
    found: dict[str, Maker] = {}
    for name in names:
        fits = {each: made for each, made in known.items() if _fits(each, name)}
        if not fits:
            shown = " ".join([*list(known)[:3], "STRUCT@GEN", "@GEN"])
            raise UsageError(f"unknown target {name!r}, expected one, or how some begin, of: {shown}")
        found |= fits
    return found if names else known


def _fits(target: str, name: str) -> bool:
    return target.endswith(name) if name.startswith("@") else target.startswith(name)


def seeds(targets: Mapping[str, Maker], seed: int, count: int) -> Iterator[tuple[str, str, bytes]]:
    """(target, name, bytes) of all seeds; bytes that a target has already are left out."""
    for target, make in targets.items():
        known: set[bytes] = set()
        for name, data in make(Dice(seed, target), count):
            if data not in known:
                known.add(data)
                yield target, name, data
