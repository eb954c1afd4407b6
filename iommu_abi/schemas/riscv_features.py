"""RISC-V IOMMU: capabilities and fctl, and what they make of a device context.

Source: RISC-V IOMMU Architecture Specification 1.0: 3.1.3 (device contexts), 5 (registers).
"""

from __future__ import annotations

from iommu_abi.schemas import riscv_entries as rv
from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.riscv_tables import MODES, Mode
from iommu_abi.schemas.table_walk import PAGE_LG2

#: What is assumed of a unit of which only ddtp is known.
DEFAULT_CAPABILITIES = rv.CAPABILITIES.value(
    version=0x10,
    **dict.fromkeys(("Sv32", "Sv39", "Sv48", "Sv57", "Sv32x4", "Sv39x4", "Sv48x4", "Sv57x4"), 1),
    **dict.fromkeys(("MSI_FLAT", "MSI_MRIF", "AMO_HWAD", "ATS", "T2GPA", "PD8", "PD17", "PD20"), 1),
    Svpbmt=1,
    Svrsw60t59b=1,
    PAS=56,
)


class Features:
    """Capabilities and fctl, and what they make of a device context."""

    def __init__(self, capabilities: int, fctl: int, gxl_writable: int) -> None:
        self.capabilities = rv.CAPABILITIES.of(capabilities)
        self.gxl = rv.FCTL.of(fctl).GXL
        self.gxl_writable = bool(gxl_writable)
        if rv.FCTL.of(fctl).BE:
            raise ValueError("register FCTL: big-endian tables (BE=1) are not modelled")

    @property
    def context(self) -> Layout:
        """The layout of device contexts."""
        return rv.EXTENDED_DC if self.capabilities.MSI_FLAT else rv.DC

    @property
    def guest_page_bits(self) -> int:
        """Return the bits of a guest's page numbers that there are: those below MGPAW (3.1.3.6)."""
        widths = {"Sv57x4": 59, "Sv48x4": 50, "Sv39x4": 41, "Sv32x4": 34}
        width = next((widths[name] for name in widths if self.capabilities[name]), self.capabilities.PAS)
        return (1 << max(width - PAGE_LG2, 0)) - 1

    def first_mode(self, sxl: int, mode: int) -> Mode | None:
        """Return the format that iosatp.MODE names; None if the unit has none of that number."""
        found = MODES.get((sxl, mode))
        return found if found and self.capabilities[found.name] else None

    def second_mode(self, mode: int) -> Mode | None:
        """Return the same for iohgatp.MODE."""
        found = MODES.get((self.gxl, mode))
        return found if found and self.capabilities[f"{found.name}x4"] else None

    def reserved(self, dc: Fields) -> bool:
        """Whether reserved bits of a device context are set."""
        if self.context.has_reserved_bits(dc):
            return True
        return not self.capabilities.QOSID and bool(dc.RCID or dc.MCID)

    def misconfigured(self, dc: Fields) -> bool:
        """Whether it asks for what the unit lacks, or contradicts itself."""
        return any(
            (
                self._requests_misconfigured(dc),
                dc.DPE and not dc.PDTV,
                (dc.SADE or dc.GADE) and not self.capabilities.AMO_HWAD,
                dc.SBE and not self.capabilities.END,  # fctl.BE is 0, and cannot be written without END
                self._sxl_misconfigured(dc.SXL),
                self._second_misconfigured(dc),
                self._first_misconfigured(dc),
                self._msi_misconfigured(dc),
            )
        )

    def _requests_misconfigured(self, dc: Fields) -> bool:
        return any(
            (
                (dc.EN_ATS or dc.EN_PRI or dc.PRPR) and not self.capabilities.ATS,
                dc.T2GPA and not self.capabilities.T2GPA,
                (dc.EN_PRI or dc.T2GPA) and not dc.EN_ATS,
                dc.PRPR and not dc.EN_PRI,
                dc.T2GPA and dc.iohgatp_MODE == 0,
            )
        )

    def _sxl_misconfigured(self, sxl: int) -> bool:
        if self.gxl:
            return not sxl
        return bool(sxl and not self.gxl_writable)

    def _second_misconfigured(self, dc: Fields) -> bool:
        if dc.iohgatp_MODE == 0:
            return False
        return self.second_mode(dc.iohgatp_MODE) is None or dc.iohgatp_PPN % (1 << 14) != 0

    def _first_misconfigured(self, dc: Fields) -> bool:
        if dc.fsc_MODE == 0:
            return False
        if dc.PDTV:
            name = {rv.PD8: "PD8", rv.PD17: "PD17", rv.PD20: "PD20"}.get(dc.fsc_MODE)
            return name is None or not self.capabilities[name]
        return self.first_mode(dc.SXL, dc.fsc_MODE) is None

    def _msi_misconfigured(self, dc: Fields) -> bool:
        if not self.capabilities.MSI_FLAT:
            return False
        return dc.msiptp_MODE > rv.MSI_FLAT or (dc.msiptp_MODE != rv.MSI_OFF and dc.iohgatp_MODE == 0)
