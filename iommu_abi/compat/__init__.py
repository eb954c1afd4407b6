"""Whether programs and kernels of two states of an ABI understand each other.

``compare(read(OLD), read(NEW))`` judges every struct and constant, in both directions, by the contract
under which the kernel takes it: a struct that begins with its size grows at the end, any other is frozen.
"""

from __future__ import annotations

from iommu_abi.compat.compare import compare
from iommu_abi.compat.from_btf import Kernel
from iommu_abi.compat.from_btf import read as of_kernel
from iommu_abi.compat.model import Model
from iommu_abi.compat.sources import kernel, read, read_bytes
from iommu_abi.compat.verdict import Compared, Finding, Report, Verdict

__all__ = [
    "Compared",
    "Finding",
    "Kernel",
    "Model",
    "Report",
    "Verdict",
    "compare",
    "kernel",
    "of_kernel",
    "read",
    "read_bytes",
]  # fmt: skip
