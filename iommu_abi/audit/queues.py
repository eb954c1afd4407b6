"""What registers point to beside tables: queues and interrupt remapping tables, by kind of IOMMU.

A register that is 0 was not given, or is not in use. Which there are, the vendors' records say.
"""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.vendors import vendor_of
from iommu_abi.walk import Unit

#: Bytes of a queue that are looked at; registers may claim 128 GiB.
MOST = 1 << 26


def queues(unit: Unit) -> Iterator[tuple[str, int, int]]:
    """What it is ("IQA, the invalidation queue"), its address and its bytes."""
    for queue in vendor_of(unit.kind).queues:
        value = unit.registers.get(queue.register, 0)
        if queue.address(value):
            yield f"{queue.register}, the {queue.what}", queue.address(value), min(queue.size(value), MOST)
