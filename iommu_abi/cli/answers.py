"""Requests, translations and faults in words and in JSON."""

from __future__ import annotations

from iommu_abi.cli import words
from iommu_abi.cli.output import hex_or_none
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Request, Stage, Target, Translation
from iommu_abi.vendors import KINDS, vendor_of

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
STAGES = {Stage.DEVICE: "device table", Stage.PASID: "PASID table", Stage.S1: "stage 1", Stage.S2: "stage 2"}
#: IOMMUs of which faults are decoded, and no tables walked -> what their codes are called.
_OTHER_CODES = {"smmuv2": "SMMUv2 fault", "virtio": "virtio-iommu fault"}

REASONS = {
    Reason.NOT_PRESENT: "not present",
    Reason.RESERVED: "reserved bits or encoding",
    Reason.INVALID: "invalid: asks for what the IOMMU lacks, or contradicts itself",
    Reason.UNREADABLE: "unreadable: the image has no memory there",
    Reason.DENIED: "the rights do not cover this access",
    Reason.PRIVILEGE: "privilege: a user's request and a supervisor's page, or the reverse",
    Reason.INPUT_RANGE: "input out of range",
    Reason.OUTPUT_RANGE: "output out of range",
    Reason.ACCESS_FLAG: "accessed or dirty flag clear, and hardware does not set it",
    Reason.UPDATE_DENIED: "stage 2 does not let hardware set A/D flags in a stage-1 entry",
    Reason.BLOCKED: "this kind of request is switched off",
    Reason.PASID_RANGE: "PASID outside its table",
    Reason.RID_RANGE: "requester outside the device table",
    Reason.ABORTED: "configured to refuse every request",
    Reason.INTERRUPT_RANGE: "an address where writes are interrupts",
}
PURPOSES = {
    Purpose.S1_ENTRY: "to read a stage-1 entry of level {}",
    Purpose.S1_UPDATE: "to set A/D in a stage-1 entry of level {}",
    Purpose.PASID_ENTRY: "to read a PASID-table entry of level {}",
}


def size_text(size_lg2: int) -> str:
    """``12`` -> ``4 KiB``."""
    return f"{1 << size_lg2 % 10} {UNITS[size_lg2 // 10]}"


def bytes_text(count: int) -> str:
    """``4096`` -> ``4 KiB``, ``26746880`` -> ``25.5 MiB``."""
    unit = max(0, count.bit_length() - 1) // 10
    number = f"{count / (1 << 10 * unit):.1f}".removesuffix(".0")
    return f"{number} {UNITS[unit]}"


def request_text(request: Request) -> str:
    """Who wants what: ``00:03.0 PASID 5 read 0x1000``."""
    parts = [words.name_of_requester(request.rid)]
    if request.pasid is not None:
        parts.append(f"PASID {request.pasid}")
    if request.priv:
        parts.append("privileged")
    if request.at is not At.UNTRANSLATED:
        parts.append("translation request" if request.at is At.TRANSLATION else "translated")
    return " ".join([*parts, str(request.access.name).lower(), f"{request.iova:#x}"])


def purpose_text(purpose: Purpose, level: int) -> str:
    """What stage 2 was walked for, "" for the data itself."""
    return PURPOSES[purpose].format(level) if purpose in PURPOSES else ""


def _entry_text(fault: Fault) -> str:
    if fault.entry_hpa is None:
        return "no entry"
    where = f"HPA {fault.entry_hpa:#x}"
    if fault.entry_gpa not in (None, fault.entry_hpa):
        where = f"GPA {fault.entry_gpa:#x} (HPA {fault.entry_hpa:#x})"
    return f"entry at {where}" + (f" = {fault.raw:#x}" if fault.raw is not None else ", not readable")


def _detail_text(kind: str, detail: int) -> str:
    bits = vendor_of(kind).details
    if not bits or detail >> len(bits):
        return f"{detail:#x}"
    return " ".join(name for i, name in enumerate(bits) if detail >> i & 1)


def code_text(kind: str) -> str:
    """What a vendor calls the number of a fault; "code" where nobody knows."""
    return vendor_of(kind).code if kind in KINDS else _OTHER_CODES.get(kind, "code")


def fault_text(kind: str, fault: Fault) -> str:
    """What stopped the walk, where, and the vendor's code."""
    place = f"{STAGES[fault.stage]} level {fault.level}"
    purpose = purpose_text(fault.purpose, fault.for_level)
    if purpose:
        place += f" ({purpose}, GPA {fault.input:#x})"
    code = f"{code_text(kind)} {fault.native:#x}" if fault.native else "no code"
    if fault.detail:
        code += f" with {_detail_text(kind, fault.detail)}"
    quiet = "" if fault.recorded else ", not recorded"
    return f"{REASONS.get(fault.reason, fault.reason.name)}: {place}, {_entry_text(fault)}, {code}{quiet}"


def answer_text(kind: str, request: Request, answer: Translation, *, left_out: bool = False) -> str:
    """The whole answer in one line. ``left_out``: the dump lacks the bytes of the target."""
    who = request_text(request)
    if answer.fault is not None:
        return f"{who} blocked: {fault_text(kind, answer.fault)}"
    if answer.target is Target.INTERRUPT:
        return f"{who} -> interrupt: no memory is reached"
    via = f" via GPA {answer.gpa:#x}" if answer.gpa not in (request.iova, answer.hpa) else ""
    mrif = " in an MSI's MRIF" if answer.target is Target.MRIF else ""
    rights = f"({size_text(answer.size_lg2)}, {answer.access})"
    missing = "; its bytes are not in the dump" if left_out else ""
    return f"{who} -> HPA {answer.hpa:#x}{mrif}{via} {rights}{missing}"


# ---------------------------------------------------------------- JSON


def _word(member: Stage | Reason | Purpose | Target | At) -> str:
    return member.name.lower()


def request_json(request: Request) -> dict[str, object]:
    """The request as it was understood."""
    return {
        "rid": f"{request.rid:#x}",
        "pasid": request.pasid,
        "iova": f"{request.iova:#x}",
        "access": str(request.access.name).lower(),
        "priv": request.priv,
        "at": _word(request.at),
    }


def fault_json(fault: Fault) -> dict[str, object]:
    """A fault; ``native`` is null where the vendor has no code."""
    return {
        "reason": _word(fault.reason),
        "native": f"{fault.native:#x}" if fault.native else None,
        "stage": _word(fault.stage),
        "level": fault.level,
        "input": f"{fault.input:#x}",
        "entry_gpa": hex_or_none(fault.entry_gpa),
        "entry_hpa": hex_or_none(fault.entry_hpa),
        "raw": hex_or_none(fault.raw),
        "purpose": _word(fault.purpose),
        "for_level": fault.for_level,
        "recorded": fault.recorded,
        "detail": f"{fault.detail:#x}",
    }


def answer_json(answer: Translation) -> dict[str, object]:
    """Whether it is ok, with hpa or the fault; an interrupt is not ok and no fault."""
    if answer.fault is not None:
        return {"ok": False, **fault_json(answer.fault)}
    if answer.target is Target.INTERRUPT:
        return {"ok": False, "target": "interrupt"}
    return {
        "ok": True,
        "hpa": f"{answer.hpa:#x}",
        "page_size": answer.page_size,
        "access": str(answer.access) if answer.access is not Access.NONE else "",
        "gpa": f"{answer.gpa:#x}",
        "target": _word(answer.target),
        "detail": f"{answer.detail:#x}",
    }


def dump_json(*, left_out: bool) -> dict[str, object]:
    """``in_dump`` is there, and false, if the dump left out the bytes of the target."""
    return {"in_dump": False} if left_out else {}
