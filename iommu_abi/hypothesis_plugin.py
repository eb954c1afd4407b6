"""The ``hypothesis`` entry point: ``st.from_type(uapi.iommufd_7_2.iommu_hwpt_alloc)`` gives valid objects.

Every program that imports Hypothesis loads this file, so it imports nothing itself: types are registered
when both Hypothesis and their generation are loaded, and strategies are made when one is asked for.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def register() -> None:
    """Hypothesis calls this when it is imported: for generations that are loaded already."""
    for name, module in list(sys.modules.items()):
        if name.startswith("iommu_abi.uapi.") and hasattr(module, "__structs__"):
            add(module)


def add(module: ModuleType) -> None:
    """Register the types of a generation; the generation calls this when it is loaded later."""
    from hypothesis import strategies as st

    for name in module.__structs__:
        st.register_type_strategy(getattr(module, name), _objects)


def _objects(cls: Any) -> Any:
    from iommu_abi import strategies

    return strategies.objects(cls)
