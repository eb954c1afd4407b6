"""The ``pytest11`` entry point: the fixture ``assert_abi``. Every run of pytest loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from iommu_abi.testing import AssertAbi


@pytest.fixture(scope="session")
def assert_abi() -> AssertAbi:
    """Compare blobs, layouts and errnos with the Linux IOMMU user API: see iommu_abi.testing.AssertAbi."""
    from iommu_abi.testing import AssertAbi

    return AssertAbi()
