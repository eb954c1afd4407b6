"""Cases of guest entries handed to iommufd: accepted and made into what, or refused with which errno."""

from __future__ import annotations

import struct
from typing import Any

from iommu_abi.conform.cases import Case, Outcome
from iommu_abi.drivers import field
from iommu_abi.errors import AbiError, errno_name
from iommu_abi.inputs import to_number
from iommu_abi.nesting import amdvi, smmuv3

#: The host's own STE: valid, stage 2.
_HOST_STE = (smmuv3.VALID | smmuv3.STAGE_2 << 1, *[0] * 7)


def _rejected(error: AbiError) -> Outcome:
    return Outcome({"result": "reject", "errno": errno_name(error.rule.errno), "why": str(error)})


def _smmuv3(case: Case) -> Outcome:
    where = f"{case.input.where}: ste"
    words = [to_number(word, where) for word in case.input.items("ste")]
    try:
        guest = smmuv3.accept(struct.pack(f"<{len(words)}Q", *words))
    except AbiError as error:
        return _rejected(error)
    word0 = guest.physical(_HOST_STE)[0]
    return Outcome({"result": "ok", "physical_config": field(word0, 3, 1)})


def _amdvi(case: Case) -> Outcome:
    words: list[Any] = [case.input.number(f"gdte_q{i}", absent=0 if i == 3 else None) for i in range(4)]
    try:
        amdvi.accept(struct.pack("<4Q", *words))
    except AbiError as error:
        return _rejected(error)
    return Outcome({"result": "ok"})


FORMATS = {"smmuv3_iommufd": _smmuv3, "amd_iommufd": _amdvi}
