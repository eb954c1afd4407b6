"""Seeds: files from which a fuzzer starts, one directory for each thing that it feeds.

- the targets of :mod:`iommu_abi.fuzz.targets`, from whose seeds a campaign starts; those of ``blob-v1_2017``
  and ``blob-rfc2017`` have names (``blobs``). tests/c/fuzz_case.c and fuzz_unpack.c read the same
- ``STRUCT@GEN`` (``structs``): the bare bytes of every struct of every generation, for somebody's own target
- ``dictionary``: the words that fuzzers of this ABI should know

Everything follows from the seed number: the same files each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from iommu_abi.errors import UsageError
from iommu_abi.fuzz.corpus import blobs, structs
from iommu_abi.fuzz.targets import FuzzTarget, all_targets
from iommu_abi.names import unknown
from iommu_abi.uapi.layout import Abi
from iommu_abi.worlds.dice import Dice

#: Makes (name, bytes) of a target from dice; the number is how many of those that differ by dice alone.
Maker = Callable[[Dice, int], Iterator[tuple[str, bytes]]]


def makers(abi: Abi) -> Mapping[str, Maker]:
    """Target -> what makes its seeds. The ABI is that of bare structs."""
    return {
        **{name: partial(_of_target, target) for name, target in all_targets().items()},
        **{f"blob-{generation}": partial(blobs.seeds, generation) for generation in blobs.GENERATIONS},
        **{name: partial(structs.seeds, name, abi) for name in structs.names()},
    }


def _of_target(target: FuzzTarget, dice: Dice, count: int) -> Iterator[tuple[str, bytes]]:
    """The seeds of a target of ``iommu-abi fuzz``; each of ``count`` times others."""
    for i in range(count):
        yield from ((f"seed-{i}-{number:03}", data) for number, data in enumerate(target.seeds(dice)))


def chosen(names: Sequence[str], abi: Abi) -> Mapping[str, Maker]:
    """Targets by name or by how names begin, or with ``@GEN`` all structs of a generation; all if none.

    UsageError for a name that fits nothing.
    """
    known = makers(abi)
    found: dict[str, Maker] = {}
    for name in names:
        fits = {each: made for each, made in known.items() if each == name or _fits(each, name, known)}
        if not fits:
            raise UsageError(unknown("target", name, known, "targets of fuzz --list, STRUCT@GEN, @GEN"))
        found |= fits
    return found if names else known


def _fits(target: str, name: str, known: Mapping[str, Maker]) -> bool:
    """Whether a name that is no target's means this one too."""
    if name in known:
        return False
    return target.endswith(name) if name.startswith("@") else target.startswith(name)


def seeds(targets: Mapping[str, Maker], seed: int, count: int) -> Iterator[tuple[str, str, bytes]]:
    """(target, name, bytes) of all seeds; bytes that a target has already are left out."""
    for target, make in targets.items():
        known: set[bytes] = set()
        for name, data in make(Dice(seed, target), count):
            if data not in known:
                known.add(data)
                yield target, name, data
