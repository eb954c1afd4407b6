"""Faults of IOMMUs that this program does not read: named and counted, never left out in silence."""

from __future__ import annotations

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note

#: Driver of Linux -> a word of its fault lines, and what such a line looks like.
DRIVERS = {
    "rk_iommu": ("rk_iommu", r"rk_iommu \S{1,64}: {1,4}(?:Page fault|Bus error|Unexpected page fault)"),
    "exynos-sysmmu": ("exynos-sysmmu", r"exynos-sysmmu \S{1,64}:.{0,80}(?:FAULT|fault)"),
    "mtk-iommu": ("mtk-iommu", r"mtk-iommu(?:-v1)? \S{1,64}: fault type="),
    "apple-dart": ("apple-dart", r"apple-dart \S{1,64}: .{0,40}\bfault\b"),
    "ipmmu-vmsa": ("ipmmu", r"ipmmu-vmsa \S{1,64}: (?:Unhandled fault|Multiple TLB hits|Page table)"),
    "sun50i-iommu": ("sun50i-iommu", r"sun50i-iommu \S{1,64}:.{0,40}(?:[Pp]age fault|invalid|[Ff]ault)"),
    "omap-iommu": ("omap-iommu", r"omap-iommu \S{1,64}:.{0,40}(?:iommu fault|errs:0x|fault)"),
    "msm_iommu": ("msm_iommu", r"msm_iommu.{0,80}(?:Unexpected IOMMU page fault|Fault occurred in context)"),
    "qcom-iommu": ("qcom-iommu", r"qcom-iommu-ctx \S{1,64}: Unhandled context fault"),
    "tegra-mc": ("tegra-mc", r"tegra-mc \S{1,64}:.{0,80}(?:SMMU|page fault|EMEM address)"),
    "sprd-iommu": ("sprd-iommu", r"sprd-iommu \S{1,64}:.{0,60}fault"),
    "fsl-pamu": ("fsl-pamu", r"fsl-pamu.{0,60}access violation"),
    "s390 zpci": ("zpci: ", r"zpci: .{0,40}(?:[Ee]rror|event 0x)"),
}
#: A driver of an IOMMU, but of none that other modules read.
_DRIVER = (
    r"(?<![\w-])(?!(?:arm-smmu|arm-smmu-v3|riscv.iommu|virtio.iommu|iommu|dmar) )"
    r"(?P<driver>[\w-]{0,24}(?:iommu|smmu|sysmmu|dart|tegra-mc)[\w-]{0,16}) \S{1,64}: "
)
_OTHER = regex(_DRIVER + r".{0,96}?\b(?:[Ff]ault|FAULT)\b")
_FINDS = {name: regex(pattern) for name, (_, pattern) in DRIVERS.items()}
MARKS = (*(mark for mark, _ in DRIVERS.values()), "-iommu ", "_iommu ", "iommu: ", "mmu: ", "dart: ")
BEGINS = _DRIVER.replace("?P<driver>", "?:")
HINT = regex("|".join(f"(?:{pattern})" for _, pattern in DRIVERS.values()))


def recognise(lines: Lines, at: int) -> Note | None:
    """The driver whose fault this is."""
    found = lines.find(at, HINT) or lines.find(at, _OTHER)
    if not found:
        return None
    known = (name for name, pattern in _FINDS.items() if pattern.match(found[0]))
    name = next(known, None) or found["driver"]
    title = f"a fault of {name}, which this program does not read"
    return Note(name, title, found.at, look=f"the documentation of {name}", read=False)
