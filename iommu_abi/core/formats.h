/* SPDX-License-Identifier: MIT */
/* formats.h - the formats that there are; one line each, in the order of iommu_abi_kind(). */
FORMAT(vtd)
FORMAT(amdvi)
FORMAT(riscv)
FORMAT(smmuv3)
