"""The types of a kernel in an image, and those of its modules, as its own ABI."""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi import btf
from iommu_abi.acquire import kernel
from iommu_abi.acquire.addresses import architecture
from iommu_abi.acquire.kernel import Kernel
from iommu_abi.compat import Kernel as Types
from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory
from iommu_abi.uapi.layout import ABIS

#: The list of modules with types of their own (kernel/bpf/btf.c).
_MODULES = "btf_modules"


def _modules(found: Kernel) -> Iterator[bytes]:
    head = found.symbol(_MODULES)
    for each in found.list(head, "btf_module", "list") if head else ():
        types = each.object("btf")
        size = types.number("data_size") if types else 0
        if types and 0 < size <= btf.MOST and (data := found.space.read(types.number("data"), size)):
            yield data


def acquire(memory: Memory, label: str) -> Types:
    """The types; ImageError says in one sentence why there are none."""
    why = "no VMCOREINFO of a Linux kernel in it, which would lead to its types"
    for each in kernel.find(memory, frozenset([_MODULES])):
        if isinstance(each, ImageError):
            why = str(each)
            continue
        modules: list[bytes] = []
        notes = []
        try:
            modules += _modules(each)
        except ImageError as error:
            notes.append(f"{label}: the types of its modules are not known: {error}")
        return Types(
            f"{label} (Linux {each.info.release})",
            ABIS[architecture(each.info)],
            each.types.data,
            tuple(modules),
            tuple(notes),
        )
    raise ImageError(f"{label}: {why}")
