"""What this package wants to know of a vendor's IOMMU, in one record; and who has which modules.

The record of a kind is the module KIND here. What only one vendor's code can do is a module KIND of the
package that needs it (``schemas/KIND.py``, ``conform/KIND.py``, ``decode/KIND.py``, ...), which
:func:`modules` finds. So the kinds are listed once, in :data:`KINDS`, and for C in ``core/formats.h``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from iommu_abi.terms import Access, Fault, Stage

#: Kind of IOMMU -> its name in ``meta.json``; in the order in which they are asked and reported.
KINDS = {"vtd": "vtd", "amdvi": "amd", "smmuv3": "smmuv3", "riscv": "riscv"}


@dataclass(frozen=True, slots=True)
class Queue:
    """A register that points to something beside tables: in ``address`` and ``size`` bytes, by its value."""

    register: str
    what: str
    address: Callable[[int], int]
    size: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Departure:
    """Where QEMU is known to log ``logged`` for what is one of ``codes`` by the vendor's text.

    ``stage`` and ``access`` None: of any; ``zero_entry``: only of an entry that is all 0.
    """

    name: str
    logged: int
    codes: tuple[int, ...]
    text: str
    stage: Stage | None = None
    access: Access | None = None
    zero_entry: bool = False

    def covers(self, logged: int, fault: Fault, access: Access) -> bool:
        """Is this what QEMU does to a request with this fault?"""
        return (
            logged == self.logged
            and fault.native in self.codes
            and self.stage in (None, fault.stage)
            and self.access in (None, access)
            and not (self.zero_entry and fault.raw)
        )


@dataclass(frozen=True, slots=True)
class Vendor:
    """One kind of IOMMU.

    ``code`` is what the vendor calls the number of a fault; ``code_key`` its key in the fault records of a
    capture; ``details`` the names of the bits of a fault's detail, from bit 0 up. ``switch``: the register
    that switches translation on.
    """

    code: str
    code_key: str
    switch: str
    queues: tuple[Queue, ...] = ()
    details: tuple[str, ...] = ()
    departures: tuple[Departure, ...] = ()


@cache
def vendor_of(kind: str) -> Vendor:
    """The record of a kind; ValueError if there is none of that name."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind of IOMMU {kind!r}")
    found: Vendor = importlib.import_module(f"{__name__}.{kind}").VENDOR
    return found


def modules(package: str) -> tuple[ModuleType, ...]:
    """The modules of vendors in a package, as in ``modules("iommu_abi.conform")``; not each has one."""
    return tuple(found for kind in KINDS if (found := _module(f"{package}.{kind}")) is not None)


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def kind_of(word: str) -> str:
    """The kind that ``meta.json`` means by a word; the word itself if that is none."""
    return next((kind for kind, name in KINDS.items() if word in (kind, name)), word)
