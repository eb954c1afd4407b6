"""Guest device table entries: ``struct iommu_hwpt_amd_guest``, the four words of a DTE.

Source: Linux 7.2, drivers/iommu/amd/nested.c. Fields: AMD IOMMU specification 48882, device table entry.
In 7.2 no ioctl reaches this code yet: HWPT_ALLOC on a vIOMMU of AMD is EOPNOTSUPP.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

from iommu_abi.drivers import field, put
from iommu_abi.errors import AbiError, Rule, UsageError
from iommu_abi.nesting import mask, words

STRUCT = "iommu_hwpt_amd_guest"
SOURCE = "Linux 7.2, amd/nested.c"
LENGTH = Rule("amdvi.nested.length", "", errno.EINVAL, "%llu bytes", SOURCE)
MODE = Rule(
    "amdvi.nested.mode", "dte[0].Mode", errno.EINVAL, "%llu: the host's tables are the host's", SOURCE
)
ROOT = Rule(
    "amdvi.nested.root", "dte[0].HostPTRoot", errno.EINVAL, "%llu: host tables are the host's", SOURCE
)
GCR3 = Rule(
    "amdvi.nested.gcr3", "dte.GCR3TRP", errno.EINVAL, "an address that is not 0, with V and GV", SOURCE
)
PAGING = Rule("amdvi.nested.paging", "dte[2].GuestPagingMode", errno.EINVAL, "0 or 1: 4 or 5 levels", SOURCE)
GLX = Rule("amdvi.nested.glx", "dte[0].GLX", errno.EINVAL, "at most %llu", SOURCE)
LEVELS = Rule(
    "amdvi.nested.levels", "dte[2].GuestPagingMode", errno.EOPNOTSUPP, "%llu: this IOMMU has 4 levels", SOURCE
)

DTE_WORDS = 4
VALID, TRANSLATION_VALID, GUEST_VALID = 1, 1 << 1, 1 << 55
#: What the guest decides: PPR, GIoV, GLX and GCR3TRP 14:12; GCR3TRP 30:15 and 51:31; GuestPagingMode.
GUESTS = (mask((52, 52), (54, 54), (57, 56), (60, 58)), mask((31, 16), (63, 43)), mask((55, 54)), 0)


@dataclass(frozen=True, slots=True)
class GuestDte:
    """A guest's entry that the host has accepted, in words."""

    words: tuple[int, ...]

    @property
    def gcr3(self) -> int:
        """Guest-physical address of the GCR3 table, from its three pieces."""
        q0, q1 = self.words[:2]
        return field(q0, 60, 58) << 12 | field(q1, 31, 16) << 15 | field(q1, 63, 43) << 31

    @property
    def domain_id(self) -> int:
        """The guest's DomainID, which the host replaces by one of its own."""
        return field(self.words[1], 15, 0)

    def physical(self, host: Sequence[int], domain_id: int) -> tuple[int, ...]:
        """The DTE that hardware gets: 4 words. ``host`` is the host's own with its v1 tables.

        GV is set whatever the guest has; ``domain_id`` is the host's for the guest's domain.
        """
        if len(host) != DTE_WORDS or not host[0] & VALID or not host[0] & TRANSLATION_VALID:
            raise UsageError("the host's DTE: expected 4 words of an entry with V and TV")
        made = [
            own & ~guests | word & guests for own, word, guests in zip(host, self.words, GUESTS, strict=True)
        ]
        made[0] |= GUEST_VALID
        made[1] = put(made[1], 15, 0, domain_id)
        return tuple(made)


def _refuse_unless_zero(rule: Rule, offset: int, value: int) -> None:
    if value:
        raise AbiError(rule, rule.field, offset, value, 0, STRUCT)


def accept(payload: bytes, *, five_levels: bool = False) -> GuestDte:
    """Check a guest's words; AbiError with the kernel's errno. ``five_levels``: EFR.GATS has them."""
    guest = GuestDte(words(payload, DTE_WORDS, LENGTH, STRUCT))
    q0, _, q2, _ = guest.words
    _refuse_unless_zero(MODE, 0, field(q0, 11, 9))
    _refuse_unless_zero(ROOT, 0, field(q0, 51, 12) << 12)
    if q0 & VALID and q0 & GUEST_VALID and not guest.gcr3:
        raise AbiError(GCR3, GCR3.field, 0, 0, 0, STRUCT)
    paging, glx = field(q2, 55, 54), field(q0, 57, 56)
    if paging > 1:
        raise AbiError(PAGING, PAGING.field, 16, paging, 0, STRUCT)
    if glx > 2:
        raise AbiError(GLX, GLX.field, 0, glx, 2, STRUCT)
    if not five_levels:
        _refuse_unless_zero(LEVELS, 16, paging)
    return guest
