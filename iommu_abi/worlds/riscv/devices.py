"""Device contexts: controls, second stages and MSI page tables.

Vendor words as in schemas/riscv_entries.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from iommu_abi.schemas import build
from iommu_abi.terms import At, Reason, Request
from iommu_abi.worlds.dice import Unlucky
from iommu_abi.worlds.pages import direct
from iommu_abi.worlds.riscv.builder import MODES, POINTER_LG2, RW, RWX, S1, S2, Builder
from iommu_abi.worlds.spaces import ACCESSES, EXEC, READ, WRITE, Guest, place


@dataclass
class Device:
    """A device context in the making, and its second stage and MSI page table."""

    number: int
    fields: dict[str, int]
    second: build.RiscvSecondStage | None = None
    guest: Guest | None = None
    msi: build.MsiTable | None = None
    processes: build.ProcessDirectory | None = None
    first: build.RiscvFirstStage | None = None
    msi_pages: list[int] = field(default_factory=list)

    def is_msi(self, gpa: int) -> bool:
        """Whether a GPA belongs to an interrupt file."""
        return self.msi is not None and not (gpa >> 12 ^ self.msi.pattern) & ~self.msi.mask

    def finish(self, b: Builder) -> None:
        """Write it."""
        b.unit.device(self.number, self.first, self.second, self.processes, self.msi, **self.fields)


def device(b: Builder, number: int, with_second: bool) -> Device:
    """A device context with random controls, and a second stage if it has one."""
    dice, wish = b.dice, b.wish
    ats = b.need("ATS", when=dice.getrandbits(1))
    pri = ats and dice.getrandbits(1)
    fields = {"EN_ATS": ats, "EN_PRI": pri, "PRPR": pri and dice.getrandbits(1), "DTF": dice.getrandbits(1)}
    fields |= {
        "SXL": b.need("Sv32", when=b.sxl),
        "PSCID": dice.getrandbits(20),
        "GSCID": dice.getrandbits(16),
    }
    fields |= {"RCID": b.need("QOSID", when=dice.pick((0, 0, 5))), "ign_q0_31_24": dice.getrandbits(8)}
    for name, stage in (("SADE", S1), ("GADE", S2)):
        on = dice.getrandbits(1)
        if wish.reason(Reason.ACCESS_FLAG) and wish.stage(stage):
            on = 0
        if wish.reason(Reason.UPDATE_DENIED) and stage is S1:
            on = 1
        fields[name] = b.need("AMO_HWAD", when=on)
    made = Device(number, fields)
    if with_second:
        fields["T2GPA"] = b.need("T2GPA", when=ats and int(dice.chance(0.3)))
        second_stage(b, made)
    return made


def second_stage(b: Builder, made: Device) -> None:
    """Give a device a second stage, guest memory, and perhaps an MSI page table."""
    dice = b.dice
    name = MODES[b.levels(S2, b.gxl)]
    b.need(f"{name}x4")
    second = build.RiscvSecondStage(b.host, name)
    lg2 = min(second.page_lg2(second.levels) + second.root_lg2, 34 if b.sxl else POINTER_LG2)
    sizes = [b.leaf(second, S2, min(lg2, b.pas) - 2, data=False) for _ in range(2)]
    made.second, made.guest = second, Guest(b.host, second, lg2, sizes)
    updates = made.fields["SADE"] or b.wish.reason(Reason.UPDATE_DENIED)
    made.guest.access = RW if updates else dice.pick((READ, RW, RWX))
    row = b.wish.row
    about_msi = row is not None and row.stage is S2 and row.level == 0
    if b.extended and dice.chance(0.8 if about_msi else 0.5):
        mask = sum({1 << dice.randrange(20) for _ in range(dice.randrange(1, 7))})
        pattern = dice.getrandbits(lg2 - 12)
        made.msi = build.MsiTable(b.host, mask, pattern)


def ask(b: Builder, made: Device, request: Request) -> None:
    """Add a request; with ATS it may be a translation request, or if it meets nothing a translated one."""
    at = At.UNTRANSLATED
    if made.fields["EN_ATS"]:
        translated = () if b.wish.row or made.fields.get("T2GPA") else (At.TRANSLATED,)
        at = b.dice.pick((At.UNTRANSLATED, At.UNTRANSLATED, At.TRANSLATION, *translated))
    b.requests.append(replace(request, at=at))


def map_second(b: Builder, made: Device) -> None:
    """Map a page for a request that enters the second stage, and use it."""
    dice, second, guest = b.dice, made.second, made.guest
    assert second is not None
    assert guest is not None
    out_lg2 = 34 if b.gxl else POINTER_LG2
    for _ in range(100):
        size = b.leaf(second, S2, min(guest.lg2, out_lg2))
        target, iova = direct(dice, out_lg2, size), dice.address(guest.lg2, size)
        access = dice.pick((RWX, RWX, RW, READ | EXEC, READ, EXEC))
        if made.is_msi(iova + target.offset):
            continue
        if place(second, iova, target.page, size, access, **b.attributes(second, made.fields["GADE"])):
            asked = dice.pick([each for each in ACCESSES if each in access])
            ask(b, made, Request(made.number, iova + target.offset, None, asked))
            return
    raise Unlucky


def interrupt_file(b: Builder, made: Device) -> int:
    """A guest page of an interrupt file, or of a memory-resident one."""
    dice, msi = b.dice, made.msi
    assert msi is not None
    page = msi.pattern & ~msi.mask
    for bit in range(msi.mask.bit_length()):
        page |= dice.getrandbits(1) << bit & msi.mask
    gpa = page << 12
    assert made.guest is not None
    if gpa >> made.guest.lg2:
        raise Unlucky
    if dice.chance(0.5):
        msi.basic(gpa, dice.address(POINTER_LG2, 12))
    else:
        b.need("MSI_MRIF")
        mrif = dice.address(POINTER_LG2, 9)
        msi.mrif(gpa, mrif, dice.address(POINTER_LG2, 12), dice.getrandbits(11))
    return gpa


def use_msi(b: Builder, made: Device) -> None:
    """A request of a device without first stage to an interrupt file."""
    iova = interrupt_file(b, made) | b.dice.offset()
    ask(b, made, Request(made.number, iova, None, b.dice.pick((READ, WRITE))))
