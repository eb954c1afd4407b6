"""Trees of the kernel's headers, and which header of which two are compared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

#: Those that the pairs are made of: first what is compared for its own sake, then netlink's.
HEADERS = [
    *(f"linux/{name}.h" for name in (
        "iommufd", "vfio", "iommu", "perf_event", "landlock", "bpf", "kvm", "fuse", "btrfs", "io_uring",
        "vhost", "vhost_types",
    )),
    "drm/drm.h", "drm/drm_mode.h",
    *(f"linux/{name}.h" for name in (
        "netlink", "rtnetlink", "if_link", "if_addr", "neighbour", "genetlink", "netlink_diag",
        "net_namespace", "netfilter/nfnetlink", "netfilter/nf_tables", "taskstats", "ethtool_netlink",
        "devlink",
    )),
]  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """A directory with ``linux/`` and ``drm/``; ``source`` is who made it."""

    source: str
    path: Path

    @property
    def kernel(self) -> tuple[int, int]:
        """``(6, 12)``."""
        text = (self.path / "linux/version.h").read_text()
        code = int(re.findall(r"LINUX_VERSION_CODE (\d+)", text)[0])
        return code >> 16, code >> 8 & 255

    def __str__(self) -> str:
        return f"{self.source} {self.kernel[0]}.{self.kernel[1]}"


@dataclass(frozen=True)
class Pair:
    """One header in two trees of one source, the older first."""

    header: str
    old: Tree
    new: Tree


def trees() -> list[Tree]:
    """Those named in HEADER_TREES, as ``source=directory``."""
    words = (word.partition("=") for word in os.environ.get("HEADER_TREES", "").split())
    return [Tree(source, Path(path)) for source, _, path in words]


def pairs(found: list[Tree]) -> Iterator[Pair]:
    """Every header in each two trees of one source that follow one another."""
    for header in HEADERS:
        for source in sorted({tree.source for tree in found}):
            having = [tree for tree in found if tree.source == source and (tree.path / header).is_file()]
            for old, new in pairwise(sorted(having, key=lambda tree: tree.kernel)):
                yield Pair(header, old, new)
