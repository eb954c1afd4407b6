"""QEMU's emulated IOMMUs as a black box against the C walk, on random tables. `make peers`.

``qtest`` speaks to a QEMU, ``machine`` lets its devices do DMA, one module for each IOMMU
(``vtd``, ``amdvi``, ``smmuv3``, ``riscv``) programs it and makes tables, ``mutate`` breaks them,
``compare`` asks both sides, ``*_departures`` say where QEMU is known not to follow the
specification and what it does instead. Every mode runs on every QEMU here that has it.
"""

from __future__ import annotations
