"""What a message says, in the words of all vendors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from iommu_abi.decode.patterns import regex
from iommu_abi.terms import Access, Request, Stage

_BDF = regex(r"(?:([0-9a-fA-F]{4,8}):)?(?:0x)?([0-9a-fA-F]{1,2}):(?:0x)?([0-9a-fA-F]{1,2})\.(?:0x)?([0-7])")
_HEX = regex(r"(?:0[xX])?([0-9a-fA-F]{1,16})")
#: What people put in place of digits that they do not show, and terminals in place of what they cut.
_HIDDEN = regex(r"(?=.{0,64}[xX?*#_~…]|.{0,64}\.\.|.{0,40}>$)[0-9a-fA-FxX?*#_~….<>]{1,40}")

#: What people write in place of a device: DDDD:bb:dd.f. No device is above 1f, no function above 7.
_PLACEHOLDER = regex(r"(?:\w{4}:)?[a-zA-Z]{2}:[a-zA-Z]{2}\.[a-zA-Z]")

UNSAID = "the line does not say it"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code of a vendor: its name, what it means, and whose table it is about (None: any)."""

    name: str
    text: str
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One fault. What the kernel did not print is None.

    ``lines`` are positions in the input; ``extra`` is what only this vendor says; ``look`` is what to look
    at next.
    ``dma`` is False where the address is not one that a device asked for.
    """

    kind: str
    code: int
    meaning: Meaning
    source: str
    lines: tuple[int, ...]
    rid: int | None = None
    device: str = ""
    pasid: int | None = None
    address: int | None = None
    access: Access | None = None
    priv: bool | None = None
    extra: tuple[tuple[str, str], ...] = ()
    look: str = ""
    dma: bool = True

    @property
    def request(self) -> Request | None:
        """The DMA to walk again, as a read where the line does not say; None if there is none in the line."""
        if self.rid is None or self.address is None or not self.dma:
            return None
        access = self.access or Access.READ
        return Request(self.rid, self.address, self.pasid, access, priv=bool(self.priv))

    @property
    def same(self) -> Report:
        """Equal for faults that differ in their time only."""
        return replace(self, lines=())

    @property
    def block(self) -> Report:
        """Equal for faults of one flood: the same device, reason and access."""
        return replace(self, lines=(), address=None, extra=())


@dataclass(frozen=True, slots=True)
class Note:
    """What a message says that is no fault of a request: lost faults, failed commands, registers.

    ``lost`` is how many messages are missing, ``read`` is False for what is named and not read. ``fault``
    is one of a request after all, without the reason and stage that a Report has.
    """

    kind: str
    title: str
    lines: tuple[int, ...]
    facts: tuple[str, ...] = ()
    look: str = ""
    source: str = ""
    lost: int = 0
    read: bool = True
    fault: bool = False

    @property
    def same(self) -> Note:
        """Equal for messages that differ in their time only."""
        return replace(self, lines=())


def bdf(text: str) -> int:
    """``[SSSS:]BB:DD.F`` as a requester ID; ValueError if it is none."""
    found = _BDF.fullmatch(text)
    if not found or int(found[3], 16) > 31:
        raise ValueError(text)
    return int(found[2], 16) << 8 | int(found[3], 16) << 3 | int(found[4])


def device(text: str) -> int | None:
    """A requester ID, None where the digits are hidden; ValueError if it is neither."""
    if re.fullmatch(r"[0-9a-fA-FxX?*#_:.]{4,20}", text) and re.search(r"[XxYy?*#_]", text.replace("0x", "")):
        return None
    if _PLACEHOLDER.fullmatch(text):
        return None
    return bdf(text)


def number(text: str) -> int | None:
    """A hexadecimal number, None where digits are hidden; ValueError otherwise: none is invented."""
    found = _HEX.fullmatch(text)
    if found:
        return int(found[1], 16)
    shown = text.removeprefix("0x")
    if len(shown) > 1 and _HIDDEN.fullmatch(shown):
        return None
    raise ValueError(text)


def meaning(known: Mapping[int, Meaning], code: int) -> Meaning:
    """What a code means; unknown ones say so."""
    return known.get(code) or Meaning("", "a code that this version of the tables does not name")
