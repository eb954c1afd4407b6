"""Worlds of a RISC-V IOMMU: first stage, second stage, and one behind the other; MSI page tables.

Vendor words as in schemas/riscv_entries.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iommu_abi.schemas import build
from iommu_abi.terms import Access, Reason, Request
from iommu_abi.worlds.dice import Dice, Unlucky
from iommu_abi.worlds.pages import Destination, direct, through
from iommu_abi.worlds.riscv.builder import MODES, PASID, POINTER_LG2, RW, RWX, S1, S2, Builder
from iommu_abi.worlds.riscv.devices import (
    Device,
    ask,
    device,
    interrupt_file,
    map_second,
    use_msi,
)
from iommu_abi.worlds.spaces import ACCESSES, EXEC, READ, Guest, place
from iommu_abi.worlds.world import Wish, World

# ---------------------------------------------------------------- first stage


@dataclass
class Process:
    """Who uses a first stage: a process, or the device itself."""

    device: Device
    pasid: int | None
    fields: Mapping[str, int]

    def may(self, dice: Dice) -> tuple[bool, bool]:
        """A request's mode, and whose page it uses: privileged, user's."""
        priv = bool(self.pasid is not None and self.fields["ENS"] and dice.chance(0.5))
        return priv, not priv or bool(self.fields["SUM"] and dice.chance(0.5))

    def asks(self, granted: Access, priv: bool, user: bool) -> list[Access]:
        """What succeeds; supervisors never execute a user's page."""
        return [each for each in ACCESSES if each in granted and not (priv and user and each is EXEC)]


def first_stage(b: Builder, space: build.Space, hardware: int) -> build.RiscvFirstStage:
    """First-stage tables."""
    name = MODES[b.levels(S1, b.sxl)]
    b.need(name)
    return build.RiscvFirstStage(space, name, accessed=not hardware or b.dice.chance(0.5))


def use_first(b: Builder, first: build.RiscvFirstStage, process: Process) -> None:
    """Map pages, and use them; perhaps one leads to an interrupt file."""
    for _ in range(b.dice.pick((1, 2, 2))):
        map_first(b, first, process, None)
    if process.device.msi is not None and (b.dice.chance(0.5) or b.wish.stage(S2)):
        map_first(b, first, process, interrupt_file(b, process.device))


def map_first(b: Builder, first: build.RiscvFirstStage, process: Process, gpa: int | None) -> None:
    """Map a page that holds ``gpa``, or any, and use it."""
    dice, made = b.dice, process.device
    for _ in range(100):
        size = b.leaf(first, S1, 32 if b.sxl else POINTER_LG2)
        target = target_of(b, made, size) if gpa is None else interrupt_target(dice, gpa, size)
        if target is None:
            continue
        access = dice.pick((RWX, RWX, RW, READ | EXEC, READ, EXEC))
        priv, user = process.may(dice)
        asked = process.asks(access & target.access, priv, user)
        iova = canonical(dice, first, size)
        leaf = {"U": int(user)} | b.attributes(first, made.fields["SADE"])
        if asked and place(first, iova, target.page, size, access, **leaf):
            request = Request(made.number, iova + target.offset, process.pasid, dice.pick(asked), priv)
            ask(b, made, request)
            return
    raise Unlucky


def target_of(b: Builder, made: Device, size: int) -> Destination | None:
    """Where a page of the first stage leads; None if there is no room for its size."""
    if made.second is None or made.guest is None:
        return direct(b.dice, 34 if b.sxl else POINTER_LG2, size)
    if size > made.guest.lg2:
        return None
    second = made.second
    size2 = b.leaf(second, S2, min(made.guest.lg2, 34 if b.gxl else POINTER_LG2))
    access = b.dice.pick((RWX, RWX, RW, READ | EXEC, READ))
    fields = b.attributes(second, made.fields["GADE"])
    target = through(made.guest, size, size2, access, **fields)
    return None if made.is_msi(target.page + target.offset) else target


def interrupt_target(dice: Dice, gpa: int, size: int) -> Destination:
    """The page of that size that holds an interrupt file."""
    page = gpa & -1 << size
    return Destination(page, gpa - page | dice.offset(), RW)


def canonical(dice: Dice, first: build.RiscvFirstStage, size: int) -> int:
    """An address that a first stage takes."""
    bits = first.page_lg2(first.levels)
    if first.mode.narrow:
        return dice.address(bits, size)
    address = dice.address(bits - 1, size)
    return address if dice.chance(0.5) else address | (1 << 64) - (1 << bits - 1)


def process_directory(b: Builder, made: Device, space: build.Space) -> None:
    """A process directory with one or two processes, and requests without process_id."""
    dice, wish = b.dice, b.wish
    bits = dice.pick((8, 17, 20))
    if wish.row and wish.row.stage is PASID:
        bits = dice.pick((8, 17, 20)[wish.row.level :])
    if wish.reason(Reason.PASID_RANGE):
        bits = dice.pick((8, 17))
    b.need(f"PD{bits}")
    made.processes = build.ProcessDirectory(space, bits)
    made.fields["DPE"] = dice.getrandbits(1)
    for number in {dice.pick((0, (1 << bits) - 1, dice.getrandbits(bits))) for _ in range(dice.pick((1, 2)))}:
        if isinstance(space, Guest):
            space.elsewhere(wish)
        first = first_stage(b, space, made.fields["SADE"])
        fields = {"ENS": dice.getrandbits(1), "SUM": dice.getrandbits(1), "PSCID": dice.getrandbits(20)}
        made.processes.set(number, first, **fields)
        without = number == 0 and made.fields["DPE"] and dice.chance(0.5)
        use_first(b, first, Process(made, None if without else number, fields))


def translate_first(b: Builder, made: Device) -> None:
    """Give a device a first stage of its own, or a process directory."""
    space = b.host if made.guest is None else made.guest
    wish = b.wish
    needs_directory = wish.stage(PASID) or wish.reason(Reason.PASID_RANGE)
    # a device without processes has users only, whose pages are theirs
    if needs_directory or b.dice.chance(0.6):
        process_directory(b, made, space)
        return
    first = first_stage(b, space, made.fields["SADE"])
    made.first = first
    use_first(b, first, Process(made, None, {}))


# ---------------------------------------------------------------- worlds


def bare(b: Builder, made: Device) -> None:
    """A request that meets no stage."""
    iova = b.dice.number(64)
    ask(b, made, Request(made.number, iova, None, b.dice.pick(ACCESSES), b.dice.chance(0.5)))


def stage_1(dice: Dice, wish: Wish) -> World:
    """Devices with a first stage, and some that have none."""
    b = Builder(dice, wish)
    for number in b.devices():
        made = device(b, number, with_second=False)
        if not wish.row and dice.chance(0.1):
            bare(b, made)
        else:
            translate_first(b, made)
        made.finish(b)
    return b.world("riscv-s1")


def stage_2(dice: Dice, wish: Wish) -> World:
    """Devices with a second stage alone."""
    b = Builder(dice, wish)
    for number in b.devices():
        made = device(b, number, with_second=True)
        for _ in range(dice.pick((1, 2))):
            map_second(b, made)
        if made.msi is not None:
            use_msi(b, made)
        made.finish(b)
    return b.world("riscv-s2")


def nested(dice: Dice, wish: Wish) -> World:
    """Devices with a first stage behind a second."""
    b = Builder(dice, wish)
    for number in b.devices():
        made = device(b, number, with_second=True)
        translate_first(b, made)
        made.finish(b)
    return b.world("riscv-nested")


WORLDS = {"riscv-s1": stage_1, "riscv-s2": stage_2, "riscv-nested": nested}
