"""Hypothesis draws how inputs are made: which way, and the number from which its choices come."""

from __future__ import annotations

import time
import warnings
from importlib.util import find_spec

from iommu_abi.fuzz.campaign.session import Session
from iommu_abi.fuzz.engines.engine import Engine
from iommu_abi.fuzz.engines.ways import WAYS, Way
from iommu_abi.worlds.dice import Dice

#: Inputs of one example: drawing many at once costs a tenth of drawing them one by one.
INPUTS = 32
#: Examples of one run of Hypothesis.
EXAMPLES = 50


class ByHypothesis(Engine):
    """Works everywhere, for every target."""

    name = "hypothesis"
    share = 3.0  # it knows the structure of inputs, and asks both ledgers at once

    def missing(self) -> str:
        """Hypothesis is no dependency of the package itself."""
        return "" if find_spec("hypothesis") else "the package hypothesis (pip install 'iommu-abi[fuzz]')"

    def work(self, session: Session, seed: str, seconds: float) -> None:
        """Run Hypothesis until time is over."""
        end, run = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            _examples(session, Dice(seed, run).getrandbits(64), end)
            run += 1


def _examples(session: Session, seed: int, end: float) -> None:
    import hypothesis
    from hypothesis import strategies as st

    steps = st.tuples(st.sampled_from(WAYS), st.integers(0, (1 << 64) - 1))

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.lists(steps, min_size=INPUTS, max_size=INPUTS))
    def examples(drawn: list[tuple[Way, int]]) -> None:
        for way, number in drawn:
            if time.monotonic() >= end:
                return
            session.try_(session.make(way, session, Dice(number)))

    with warnings.catch_warnings():  # about examples that take long: they are watched elsewhere
        warnings.simplefilter("ignore")
        examples()
