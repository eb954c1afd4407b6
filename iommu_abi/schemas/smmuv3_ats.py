"""Arm SMMUv3: the completion of an ATS translation request.

Source: Arm IHI 0070, 3.9.1.2 (responses), 3.13.7 (flags), 13.6.3 to 13.6.5 (split-stage ATS, skipped
stage 1), 13.7.1 (rights that are granted).

A completion grants what the tables leave, be it less than what was asked. It is a fault only if
nothing is left to read or write.
"""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.schemas.context import Stages
from iommu_abi.schemas.table_walk import ALL_ACCESS, Found, Paging, Use, Walk, combine
from iommu_abi.schemas.vmsa import Tables
from iommu_abi.terms import Access, Translation


class Completion:
    """The stages of one request, walked for whatever they grant.

    ``read`` is the right that makes R: EXEC if the STE turns all reads into fetches.
    """

    def __init__(self, walk: Walk, iova: int, stages: Stages, read: Access) -> None:
        self.walk = walk
        self.iova = iova
        self.first = stages.first
        self.second = stages.second
        self.read = read
        self._before = list(walk.refs)

    def answer(self, writes: bool) -> Translation:
        """Answer with the rights that the stages grant; raise Stop if there is neither R nor W.

        Flags are set as for a read; a page becomes dirty only if it ``writes`` and both stages let it.
        """
        if writes and self._lets_write():
            return self._again().walk.stages(self.iova, self.first, self.second, Access.WRITE)
        return self._again()._available()

    def _again(self) -> Completion:
        """Forget the references of an earlier try."""
        self.walk.refs[:] = self._before
        return self

    def _lets_write(self) -> bool:
        """Whether the tables of both stages let the request write, dirty pages or clean ones."""
        self._mark_dirty(False)
        granted = self._again()._available().access
        self._mark_dirty(True)
        return Access.WRITE in granted

    def _mark_dirty(self, on: bool) -> None:
        for stage in (self.first, self.second):
            if isinstance(stage, Tables):
                stage.marks_dirty = on

    def _available(self) -> Translation:
        """Walk without asking for a right; a stage that leaves none ends it."""
        answer = Translation(hpa=self.iova, gpa=self.iova, size_lg2=63, access=ALL_ACCESS)
        if self.first is not None:
            found = self._stage(self.first, self.iova, answer.access)
            answer = combine(replace(answer, gpa=found.output), found)
        if self.second is not None:
            answer = combine(answer, self._stage(self.second, answer.gpa, answer.access))
        return answer

    def _stage(self, paging: Paging, address: int, left: Access) -> Found:
        """Walk one stage; if of what was ``left`` it leaves neither R nor W, the fault is that of R, or W."""
        before = list(self.walk.refs)
        found = self.walk.stage(paging, address, Use(Access.NONE))
        if not found.grants & left & (self.read | Access.WRITE):
            self.walk.refs[:] = before
            self.walk.stage(paging, address, Use(self.read if self.read in left else Access.WRITE))
        return found
