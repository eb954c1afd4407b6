"""Small inputs that travel with the package, so that every example runs wherever it is installed.

Pages of real guests' memory with the registers of their IOMMUs, a kernel's log, a strace log, a struct.
"""

from __future__ import annotations

from importlib.resources import files

#: File -> what it is.
FILES = {
    "pasid.elf.xz": "memory of a Linux 7.2 guest whose device 00:07.0 uses PASIDs: Intel VT-d, scalable mode",
    "pasid.json": "the registers of its IOMMU",
    "vtd.elf.xz": "memory of a Linux 6.12 guest: Intel VT-d, scalable mode, first stage",
    "vtd.json": "the registers of its IOMMU",
    "dmesg.txt": "what that guest's kernel logged: a device wrote where it may only read",
    "amd.elf.xz": "memory of a Linux 7.2 guest: AMD-Vi",
    "amd.json": "the registers of its IOMMU",
    "riscv.lime.xz": "memory of a Linux 7.2 guest with its kernel's own data: RISC-V",
    "strace.log": "an ioctl that failed, and the memory that it was given",
    "hwpt_alloc.hex": "a struct iommu_hwpt_alloc, as a program wrote it",
}

#: What to ask them, in the order of README.md.
QUESTIONS = (
    "iommu-abi translate pasid.elf.xz --config pasid.json --rid 00:07.0 --pasid 5 --iova 0x1234 --explain",
    "iommu-abi errno IOMMU_HWPT_ALLOC hwpt_alloc.hex --kernel 6.12",
    "iommu-abi decode strace.log",
    "iommu-abi decode dmesg.txt vtd.elf.xz --config vtd.json",
    "iommu-abi audit amd.elf.xz --config amd.json",
    "iommu-abi config riscv.lime.xz",
    "iommu-abi mappings pasid.elf.xz --config pasid.json --rid 00:07.0 --pasid 5",
)


def contents() -> dict[str, bytes]:
    """File -> its bytes."""
    return {name: (files(__package__) / "files" / name).read_bytes() for name in FILES}
