"""Makes ``import iommu_abi.uapi.GENERATION`` work: such a module is its header, so it has no file.

Thirty-nine files with the same two lines would be the other way.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

PACKAGE = "iommu_abi.uapi"


class _Generations:  # importlib.abc's classes would cost as much as all of this package's start
    def __init__(self, names: Sequence[str]) -> None:
        self.names = {f"{PACKAGE}.{name}": name for name in names}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, cast("Any", self)) if fullname in self.names else None

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual one."""

    def exec_module(self, module: ModuleType) -> None:
        from iommu_abi.uapi import _generation

        name = self.names[module.__name__]
        module.__doc__ = f"Generation {name}: cdefs/{PACKAGE.replace('.', '/')}/{name}.h."
        vars(module).update(_generation.load(name))
        plugin = sys.modules.get("iommu_abi.hypothesis_plugin")
        if plugin is not None:  # Hypothesis came first, and has not seen these types
            plugin.add(module)


def install(names: Sequence[str]) -> None:
    """Let these generations be imported; the types are made when one is."""
    sys.meta_path.append(_Generations(names))
