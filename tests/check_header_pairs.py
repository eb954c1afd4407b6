"""compat on real header pairs: every BREAKING has its fact. `make header-pairs`, for the trees are large."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor

from header_pairs.facts import FACTS, Fact
from header_pairs.trees import Pair, Tree, pairs, trees

from iommu_abi import compat
from iommu_abi.compat import Verdict

LEAST = 100


def broken(pair: Pair) -> list[tuple[str, str]]:
    """What compat says breaks, by name, with its reason."""
    models = [compat.read(str(tree.path / pair.header)) for tree in (pair.old, pair.new)]
    report = compat.compare(*models)
    return [
        (f"{subject.name}.{f.field}".rstrip("."), f"{f.change}: {f.reason}")
        for subject in report.subjects
        for f in subject.findings
        if Verdict.BREAKING in (f.old_program, f.new_program)
    ]


def explains(fact: Fact, pair: Pair, name: str) -> bool:
    """Whether a fact happened between two kernels, to this name."""
    return pair.old.kernel < fact.since <= pair.new.kernel and fact.is_about(pair.header, name)


def test_every_break_of_real_headers_is_a_fact_and_every_fact_is_seen():
    found: list[Tree] = trees()
    asked = list(pairs(found))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        verdicts = dict(zip(asked, pool.map(broken, asked)))
    unexplained, seen = [], set()
    for pair, breaks in verdicts.items():
        for name, reason in breaks:
            why = [fact for fact in FACTS if explains(fact, pair, name)]
            seen.update(why)
            if not why:
                unexplained.append(f"{pair.header}, {pair.old} -> {pair.new}: {name}: {reason}")

    print(f"{len(asked)} pairs of {', '.join(map(str, found))}: {sum(map(bool, verdicts.values()))} break")
    assert len(asked) >= LEAST, f"{len(asked)} pairs, of {[str(tree) for tree in found]}"
    assert not unexplained, "\n".join(unexplained)
    assert [fact for fact in FACTS if fact not in seen] == []
