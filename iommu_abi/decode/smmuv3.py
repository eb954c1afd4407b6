"""arm-smmu-v3 events: the four words that all kernels print, and the lines that Linux 6.15 adds.

(drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c.) Records and codes: Arm SMMUv3 specification (IHI 0070) 7.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from iommu_abi.decode.report import Meaning, Report, follow, meaning
from iommu_abi.terms import Access, Stage

KIND, SOURCE = "smmuv3", "Arm SMMUv3 specification 7.3"

MEANINGS = {
    0x01: Meaning("F_UUT", "an upstream transaction of an unsupported kind"),
    0x02: Meaning("C_BAD_STREAMID", "the StreamID is beyond the stream table", Stage.DEVICE),
    0x03: Meaning("F_STE_FETCH", "the stream table entry could not be read", Stage.DEVICE),
    0x04: Meaning("C_BAD_STE", "the stream table entry is invalid or illegal", Stage.DEVICE),
    0x05: Meaning("F_BAD_ATS_TREQ", "an ATS request, and ATS is off for this stream", Stage.DEVICE),
    0x06: Meaning("F_STREAM_DISABLED", "a request without SubstreamID, which S1DSS refuses", Stage.DEVICE),
    0x07: Meaning("F_TRANSL_FORBIDDEN", "a translated request, which the stream may not make", Stage.DEVICE),
    0x08: Meaning("C_BAD_SUBSTREAMID", "the SubstreamID is beyond the CD table", Stage.PASID),
    0x09: Meaning("F_CD_FETCH", "the context descriptor could not be read", Stage.PASID),
    0x0A: Meaning("C_BAD_CD", "the context descriptor is invalid or illegal", Stage.PASID),
    0x0B: Meaning("F_WALK_EABT", "a translation table entry could not be read"),
    0x10: Meaning("F_TRANSLATION", "an invalid descriptor, or an address that the stage does not take"),
    0x11: Meaning("F_ADDR_SIZE", "an address beyond the output size"),
    0x12: Meaning("F_ACCESS", "the access flag is clear, and hardware does not set it"),
    0x13: Meaning("F_PERMISSION", "the permissions do not cover this access"),
    0x20: Meaning("F_TLB_CONFLICT", "a conflict in the TLB"),
    0x21: Meaning("F_CFG_CONFLICT", "a conflict in the configuration cache"),
    0x24: Meaning("E_PAGE_REQUEST", "a hint that pages will be wanted"),
    0x25: Meaning("F_VMS_FETCH", "the VMS could not be read"),
}
CLASSES = ("CD fetch", "stage-1 table walk", "the input address", "reserved")
#: Whose record holds an input address and what kind of access it was.
WITH_ADDRESS = (0x01, 0x05, 0x07, 0x0B, 0x10, 0x11, 0x12, 0x13)
TRANSLATION = range(0x0B, 0x14)  # those that say stage and class

_UNIT = r"arm-smmu-v3 (?P<unit>\S+):\s+"
_HEAD = re.compile(_UNIT + r"event (?P<code>0x[0-9a-f]+) received:")
_WORD = re.compile(_UNIT + r"(0x[0-9a-f]{16})\s*$")
_NAMED = re.compile(
    _UNIT + r"event: (?P<name>\w+) client: (?P<client>.+?) sid: (?P<sid>\w+) ssid: (?P<ssid>\w+)"
    r"(?: iova: (?P<iova>\w+) ipa: (?P<ipa>\w+))?"
)
_DETAIL = re.compile(
    _UNIT
    + r'(?P<priv>priv|unpriv) (?P<what>inst|data) (?P<rw>read|write) (?P<stage>s1|s2) "(?P<class>[^"]*)"'
)
HINT = re.compile(r"arm-smmu-v3 \S+:\s+event")
NEAR = 12  # lines of one event, with others between


def _device(sid: int) -> str:
    return f"StreamID {sid:#x}"


def _record(words: Sequence[int], lines: tuple[int, ...]) -> Report:
    code, sid, flags = words[0] & 0xFF, words[0] >> 32, words[1]
    ssid = words[0] >> 12 & 0xFFFFF if words[0] >> 11 & 1 else None
    known = meaning(MEANINGS, code)
    access, priv, address, extra = None, None, None, []
    if code in WITH_ADDRESS:
        read = Access.EXEC if flags >> 34 & 1 else Access.READ
        access, priv, address = read if flags >> 35 & 1 else Access.WRITE, bool(flags >> 33 & 1), words[2]
    if code in TRANSLATION:
        stage2 = flags >> 39 & 1
        known = Meaning(known.name, known.text, Stage.S2 if stage2 else Stage.S1)
        extra.append(("class", CLASSES[flags >> 40 & 3]))
        if stage2:
            extra.append(("IPA", f"{words[3] & 0xFFFFFFFFFF000:#x}"))
        if flags >> 31 & 1:
            extra.append(("stalled", f"STAG {flags & 0xFFFF:#x}"))
    return Report(
        KIND, code, known, SOURCE, lines, sid, _device(sid), ssid, address, access, priv, tuple(extra)
    )


def _named(found: re.Match[str], at: int, detail: tuple[int, re.Match[str]] | None) -> Report | None:
    code = next((code for code, m in MEANINGS.items() if m.name == found["name"]), None)
    if code is None:
        return None
    known = MEANINGS[code]
    lines: tuple[int, ...] = (at,)
    access, priv, extra = None, None, [("client", found["client"])]
    if detail:
        place, text = detail
        read = Access.EXEC if text["what"] == "inst" else Access.READ
        access, priv, lines = (
            read if text["rw"] == "read" else Access.WRITE,
            text["priv"] == "priv",
            (at, place),
        )
        known = Meaning(known.name, known.text, Stage.S2 if text["stage"] == "s2" else Stage.S1)
        extra.append(("class", text["class"]))
        if text["stage"] == "s2" and found["ipa"]:
            extra.append(("IPA", found["ipa"]))
    sid, ssid = int(found["sid"], 0), int(found["ssid"], 0)
    address = int(found["iova"], 0) if found["iova"] else None
    return Report(
        KIND, code, known, SOURCE, lines, sid, _device(sid), ssid or None, address, access, priv, tuple(extra)
    )


def recognise(lines: Sequence[str], at: int) -> Report | None:
    """The words of an event, with the decoded lines that repeat them; or decoded lines alone."""
    named, head = _NAMED.search(lines[at]), _HEAD.search(lines[at])
    if named:
        return _named(named, at, next(iter(follow(lines, at, _DETAIL, 3)), None))
    if not head:
        return None
    ends = [i for i, _ in follow(lines, at, _HEAD, NEAR)][:1] or [at + 1 + NEAR]
    near = lines[: ends[0]]
    words = [m for m in follow(near, at, _WORD, NEAR) if m[1]["unit"] == head["unit"]][:4]
    if len(words) < 4:
        return None
    used = [at, *(i for i, _ in words)]
    for pattern in (_NAMED, _DETAIL):
        used += [i for i, _ in follow(near, used[-1], pattern, 3)][:1]
    return _record([int(m[2], 16) for _, m in words], tuple(used))
