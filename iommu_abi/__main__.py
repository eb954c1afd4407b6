"""``python -m iommu_abi`` is ``iommu-abi``."""

from __future__ import annotations

import sys

from iommu_abi.cli import main

if __name__ == "__main__":
    sys.exit(main())
