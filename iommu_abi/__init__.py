"""The Linux IOMMU user API and the tables behind it, byte for byte.

>>> import iommu_abi
>>> info = iommu_abi.uapi.v1_2017.pasid_table_info(ptr=0x20000, size=4096, model=0)
>>> memory = iommu_abi.Memory.open("vmcore.elf.xz")
>>> unit = iommu_abi.Unit("vtd", {"RTADDR": 0x4eae400, "CAP": ..., "ECAP": ...})
>>> unit.translate(memory, iommu_abi.Request(rid=0x18, pasid=5, iova=0x1000))
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if find_spec("iommu_abi._core") is None:  # a checkout that was not built
    raise ImportError(
        "iommu_abi's compiled core is missing; in a checkout run: make demo, or pip install -e ."
    )

from iommu_abi import contract

if TYPE_CHECKING:
    from iommu_abi import uapi
    from iommu_abi.errors import (
        AbiError,
        Error,
        ImageError,
        Rule,
        TranslationFault,
        UsageError,
        errno_name,
    )
    from iommu_abi.iommu import Device, Domain, IommuOps
    from iommu_abi.memory import Memory
    from iommu_abi.terms import (
        Access,
        At,
        Fault,
        Purpose,
        Reason,
        Ref,
        Request,
        Stage,
        Target,
        Translation,
    )
    from iommu_abi.walk import Context, Unit

    __version__: str

# imported when first used: a program that only packs blobs need not load what reads ELF files, and pytest
# and Hypothesis, which load the plugins in this package, need not load the C core
_HOMES = {
    "errors": "AbiError Error ImageError Rule TranslationFault UsageError errno_name",
    "iommu": "Device Domain IommuOps",
    "memory": "Memory",
    "terms": "Access At Fault Purpose Reason Ref Request Stage Target Translation",
    "walk": "Context Unit",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "uapi":
        return import_module("iommu_abi.uapi")
    if name == "__version__":
        return _version()
    if name not in _HOME:
        raise AttributeError(f"module 'iommu_abi' has no attribute {name!r}")
    value = getattr(import_module(f"iommu_abi.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def _keeps_contract(struct: str, generation: str, abi: str, data: bytes) -> None:
    from iommu_abi import structs
    from iommu_abi.structs.unpack import check
    from iommu_abi.uapi import layout

    check(structs.StructKind(struct, generation, layout.abi(abi)), data)


contract.check = _keeps_contract


def _version() -> str:
    from iommu_abi import _core

    version: str = _core.ffi.string(_core.lib.iommu_abi_version()).decode()
    return version


def get_include() -> str:
    """Directory of the public C headers: compile with ``-I`` and ``-DCONFIG_IOMMU_API``."""
    return str(Path(__file__).resolve().parent / "include")


def get_library_dir() -> str:
    """Directory of libiommu_abi.a, libiommu_abi.so and their pkg-config and CMake files."""
    return str(Path(__file__).resolve().parent / "lib")


__all__ = [
    "AbiError",
    "Access",
    "At",
    "Context",
    "Device",
    "Domain",
    "Error",
    "Fault",
    "ImageError",
    "IommuOps",
    "Memory",
    "Purpose",
    "Reason",
    "Ref",
    "Request",
    "Rule",
    "Stage",
    "Target",
    "Translation",
    "TranslationFault",
    "Unit",
    "UsageError",
    "errno_name",
    "get_include",
    "get_library_dir",
    "uapi",
]
