"""Engines: where inputs come from. Each is a class in a module of its own, by the tool that it uses."""

from __future__ import annotations

from iommu_abi.errors import UsageError
from iommu_abi.fuzz.engines.by_atheris import ByAtheris
from iommu_abi.fuzz.engines.by_hypothesis import ByHypothesis
from iommu_abi.fuzz.engines.by_libfuzzer import ByLibFuzzer
from iommu_abi.fuzz.engines.engine import Engine

ENGINES: dict[str, Engine] = {each.name: each for each in (ByHypothesis(), ByLibFuzzer(), ByAtheris())}


def chosen(name: str) -> list[Engine]:
    """One by its name; for "auto" all that can work here. UsageError says what is missing."""
    if name != "auto":
        missing = ENGINES[name].missing()
        if missing:
            raise UsageError(f"--engine {name}: it needs {missing}")
        return [ENGINES[name]]
    found = [engine for engine in ENGINES.values() if not engine.missing()]
    if not found:
        raise UsageError(f"no engine can work here: hypothesis needs {ENGINES['hypothesis'].missing()}")
    return found


__all__ = ["ENGINES", "Engine", "chosen"]
