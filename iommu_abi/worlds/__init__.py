"""Worlds: tables of an IOMMU, its registers, and requests that succeed, made at random; and what breaks them.

- ``world``, with a package for each kind of IOMMU: what is built. ``dice`` choose, ``spaces`` is the memory,
  ``pages`` what is mapped in it
- ``mutate``, ``free``, ``aimed`` and each kind's aims: changes to an ``image`` of a world, at random or for
  a way to fail
- ``ways`` and each kind's ways: what can be reached and what cannot; ``coverage`` for all
- ``plans``: a case from (seed, plan, attempt); ``formats``: the kinds. To add one, begin there

Everything follows from the names of the dice. What the ledgers say to a world is not asked here.
"""

from __future__ import annotations
