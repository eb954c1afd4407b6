"""RISC-V IOMMU: the causes of faults, and which of them are recorded.

Source: RISC-V IOMMU Architecture Specification 1.0, 4.2 (fault queue).
"""

from __future__ import annotations

from iommu_abi.terms import Access, Purpose

#: No cause of the text's: what this walk does not model.
NOT_MODELLED = 0
INSTRUCTION_ACCESS_FAULT = 1
ALL_DISALLOWED = 256
DDT_LOAD, DDT_NOT_VALID, DDT_MISCONFIGURED = 257, 258, 259
TYPE_DISALLOWED = 260
MSI_LOAD, MSI_NOT_VALID, MSI_MISCONFIGURED = 261, 262, 263
PDT_LOAD, PDT_NOT_VALID, PDT_MISCONFIGURED = 265, 266, 267

# Of an access: which of the three, the access that was asked says, whatever the walk was about.
ACCESS_FAULTS = {Access.EXEC: 1, Access.READ: 5, Access.WRITE: 7}
PAGE_FAULTS = {Access.EXEC: 12, Access.READ: 13, Access.WRITE: 15}
GUEST_PAGE_FAULTS = {Access.EXEC: 20, Access.READ: 21, Access.WRITE: 23}
#: The stages name the causes of reads.
ACCESS_FAULT, PAGE_FAULT, GUEST_PAGE_FAULT = (
    causes[Access.READ] for causes in (ACCESS_FAULTS, PAGE_FAULTS, GUEST_PAGE_FAULTS)
)

#: Recorded whatever DTF says.
UNSUPPRESSED = frozenset((256, 257, 258, 259, 268, 272, 273))
#: Translation requests that end so are answered with no rights, and not recorded.
NO_RIGHTS = frozenset((*PAGE_FAULTS.values(), *GUEST_PAGE_FAULTS.values(), MSI_NOT_VALID, PDT_NOT_VALID))

#: Bits 1:0 of iotval2: what a guest page fault was for.
IMPLICIT = {Purpose.DATA: 0, Purpose.S1_ENTRY: 1, Purpose.PASID_ENTRY: 1, Purpose.S1_UPDATE: 3}


def as_asked(cause: int, access: Access) -> int:
    """Return the cause for the access that was asked, of one that the stages named."""
    named = {ACCESS_FAULT: ACCESS_FAULTS, PAGE_FAULT: PAGE_FAULTS, GUEST_PAGE_FAULT: GUEST_PAGE_FAULTS}
    return named[cause][access] if cause in named else cause
