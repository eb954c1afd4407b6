"""``pasid_table_info`` among the rules: its own are kept twice, and asked of :mod:`.both_ledgers`."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EINVAL

from iommu_abi.rules.row import Row, State

STRUCT = "pasid_table_info"
#: Rules about what a newer kernel might accept.
LENIENT = (f"{STRUCT}.model", f"{STRUCT}.trailing")

_REFUSED = State("", EINVAL, "the IOMMU's driver has no bind_pasid_table, or refuses: docs/drivers.md")
#: Generation -> struct -> what a kernel checks beyond its own rules.
GENERATIONS: Mapping[str, Mapping[str, tuple[Row, ...]]] = {
    name: {STRUCT: (_REFUSED,)} for name in ("rfc2017", "v1_2017")
}
