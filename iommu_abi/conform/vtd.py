"""Cases of VT-d: legacy, extended and scalable mode."""

from __future__ import annotations

from iommu_abi.conform.walks import ACCESS, Bits, WalkFormat, fill
from iommu_abi.inputs import InputError, Record
from iommu_abi.terms import At, Request

AT = {
    "untranslated": At.UNTRANSLATED,
    "translation_request": At.TRANSLATION,
    "translated_request": At.TRANSLATED,
    "translated": At.TRANSLATED,
}

#: What no key says, every case assumes.
_FIELDS = (
    Bits("haw", "HAW", 6, 0, absent=52),
    Bits("ND", "CAP", 2, 0, absent=6),
    Bits("mgaw", "CAP", 21, 16, minus=1),
    Bits("sslps", "CAP", 37, 34, absent=3, once="sllps"),
    Bits("FS1GP", "CAP", 56, 56, absent=1, once="FL1GP"),
    Bits("FS5LP", "CAP", 60, 60, absent=0, once="FL5LP"),
    Bits("DT", "ECAP", 2, 2, absent=1),
    Bits("PT", "ECAP", 6, 6, absent=1),
    Bits("SC", "ECAP", 7, 7, absent=1),
    Bits("ecs", "ECAP", 24, 24, absent=0),
    Bits("MTS", "ECAP", 25, 25, absent=0),
    Bits("NEST", "ECAP", 26, 26, absent=1),
    Bits("DIS", "ECAP", 27, 27, absent=0),
    Bits("PRS", "ECAP", 29, 29, absent=0),
    Bits("ERS", "ECAP", 30, 30, absent=1),
    Bits("SRS", "ECAP", 31, 31, absent=1),
    Bits("NWFS", "ECAP", 33, 33, absent=0),
    Bits("EAFS", "ECAP", 34, 34, absent=0),
    Bits("PSS", "ECAP", 39, 35, absent=19),
    Bits("PASID", "ECAP", 40, 40, absent=1),
    Bits("SMTS", "ECAP", 43, 43, absent=1),
    Bits("SSADS", "ECAP", 45, 45, absent=0, once="SLADS"),
    Bits("SSTS", "ECAP", 46, 46, absent=1, once="SLTS"),
    Bits("FSTS", "ECAP", 47, 47, absent=1, once="FLTS"),
    Bits("SMPWCS", "ECAP", 48, 48, absent=0, once="SMPWC"),
    Bits("RPS", "ECAP", 49, 49, absent=0),
    Bits("ADMS", "ECAP", 52, 52, absent=0),
    Bits("RPRIVS", "ECAP", 53, 53, absent=0),
    Bits("HPTS", "ECAP", 55, 55, absent=0),
    Bits("PTRS", "ECAP", 56, 56, absent=0),
    Bits("SSIRWS", "ECAP", 57, 57, absent=0),
    Bits("SSIRWE", "RTADDR", 7, 7, absent=0),
    Bits("tes", "GSTS", 31, 31, absent=1),
)
_TTM_WORDS = {"ECS (RTT=1)": 2}
_SAGAW = Bits("sagaw", "CAP", 12, 8)


def registers(config: Record) -> dict[str, int]:
    """Registers of a unit as ``config`` has it."""
    made = fill(config, {}, _FIELDS)
    if "sagaw" in config:
        made["CAP"] |= _SAGAW.value(config)
    else:  # every width of 3 to 5 levels that MGAW has room for
        mgaw = config.number("mgaw")
        made["CAP"] |= sum(1 << 8 + aw for aw in (1, 2, 3) if 30 + 9 * aw <= mgaw)
    ttm = config.data.get("ttm")
    mode = _TTM_WORDS[ttm] if isinstance(ttm, str) and ttm in _TTM_WORDS else config.number("ttm", last=3)
    made["RTADDR"] |= config.number("root") & ~0xFFF | mode << 10
    if "rev" in config:
        made["REV"] = revision(config)
    return made


def revision(config: Record) -> int:
    """The revision of the specification by which a case is answered: "5.10" is 0x50a."""
    text = config.text("rev")
    major, _, minor = text.partition(".")
    if not (major.isdecimal() and minor.isdecimal() and 1 <= int(major) <= 15 and int(minor) <= 255):
        raise InputError(f"{config.where}: rev: got {text!r}, expected a revision as 5.10")
    return int(major) << 8 | int(minor)


def request(asked: Record) -> Request:
    """What the device asks."""
    return Request(
        rid=asked.number("bus", last=255) << 8 | asked.number("devfn", last=255),
        iova=asked.number("iova"),
        pasid=asked.number_or_none("pasid", last=(1 << 20) - 1),
        access=asked.choice("access", ACCESS),
        priv=bool(asked.number("priv", 0, last=1)),
        at=asked.choice("at", AT, "untranslated"),
    )


_WALK = WalkFormat("vtd", registers, request)
FORMATS = {"vtd_legacy": _WALK, "vtd_ecs": _WALK, "vtd_scalable": _WALK}
