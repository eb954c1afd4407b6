"""The kinds of findings: a row each."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.IntEnum):
    """How much a finding matters, most first."""

    SERIOUS = 0
    NOTABLE = 1
    MINOR = 2


@dataclass(frozen=True, slots=True)
class FindingKind:
    """A kind of finding: its name in JSON, how much it matters, what it is, and why that matters."""

    name: str
    severity: Severity
    title: str
    why: str


OFF = FindingKind(
    "translation-off", Severity.SERIOUS,
    "the IOMMU is off", "every device reaches all memory by physical addresses",
)  # fmt: skip
PASSES = FindingKind(
    "pass-through", Severity.SERIOUS,
    "requests pass untranslated", "they reach all memory, the IOMMU's tables too",
)  # fmt: skip
TABLE_WRITABLE = FindingKind(
    "table-writable", Severity.SERIOUS,
    "a device can write what the IOMMU reads", "with that it can map what it likes",
)  # fmt: skip
TABLE_READABLE = FindingKind(
    "table-readable", Severity.NOTABLE,
    "a device can read what the IOMMU reads", "it learns where everything lies",
)  # fmt: skip
GUEST_TABLE = FindingKind(
    "guest-table", Severity.MINOR,
    "a guest's device reaches the guest's own tables", "the guest harms itself alone: stage 2 still holds",
)  # fmt: skip
TRANSLATED = FindingKind(
    "ats-unchecked", Severity.NOTABLE,
    "ATS is on, and translated addresses are not checked", "a device that lies reaches all memory",
)  # fmt: skip
SHARED = FindingKind(
    "shared", Severity.NOTABLE,
    "devices of different domains reach the same pages", "one sees or changes the other's data",
)  # fmt: skip
SHARED_DEVICE = FindingKind(
    "shared-device", Severity.MINOR,
    "devices of different domains reach the same addresses outside of memory",
    "an interrupt doorbell needs that; another device does not",
)  # fmt: skip
EXECUTABLE_PASID = FindingKind(
    "write-execute-pasid", Severity.NOTABLE,
    "a PASID may write and execute", "PCIe requests with PASID can ask to execute",
)  # fmt: skip
EXECUTABLE = FindingKind(
    "write-execute", Severity.MINOR,
    "a device may write and execute", "PCIe requests without PASID cannot ask to execute; other devices can",
)  # fmt: skip
RESERVED = FindingKind(
    "malformed", Severity.NOTABLE,
    "reserved bits or encodings in an entry", "the IOMMU refuses what goes through it",
)  # fmt: skip
BAD_ROOT = FindingKind(
    "bad-root", Severity.NOTABLE,
    "a root leads to no table", "zero, outside of memory, or where the image has none",
)  # fmt: skip
BAD_POINTER = FindingKind(
    "bad-pointer", Severity.NOTABLE,
    "an entry leads outside of memory", "no table there, or beyond the implemented width",
)  # fmt: skip
UNFINISHED = FindingKind(
    "unfinished", Severity.NOTABLE,
    "the tables hold more than was looked at", "what was not looked at may hold more findings",
)  # fmt: skip

#: Most serious first: the order of reports.
KINDS = (
    OFF,
    PASSES,
    TABLE_WRITABLE,
    TABLE_READABLE,
    TRANSLATED,
    SHARED,
    EXECUTABLE_PASID,
    RESERVED,
    BAD_ROOT,
    BAD_POINTER,
    UNFINISHED,
    EXECUTABLE,
    SHARED_DEVICE,
    GUEST_TABLE,
)
