"""Cases of VT-d: legacy, extended and scalable mode."""

from __future__ import annotations

from iommu_abi.conform.walks import ACCESS, Bits, WalkFormat, fill
from iommu_abi.inputs import Record
from iommu_abi.terms import At, Request

AT = {
    "untranslated": At.UNTRANSLATED,
    "translation_request": At.TRANSLATION,
    "translated_request": At.TRANSLATED,
    "translated": At.TRANSLATED,
}

_FIELDS = (
    Bits("haw", "HAW", 6, 0, absent=52),
    Bits("mgaw", "CAP", 21, 16, minus=1),
    Bits("sllps", "CAP", 37, 34, absent=3),
    Bits("FL1GP", "CAP", 56, 56, absent=1),
    Bits("FL5LP", "CAP", 60, 60, absent=0),
    Bits("DT", "ECAP", 2, 2, absent=1),
    Bits("PT", "ECAP", 6, 6, absent=1),
    Bits("SC", "ECAP", 7, 7, absent=1),
    Bits("ecs", "ECAP", 24, 24, absent=0),
    Bits("NEST", "ECAP", 26, 26, absent=1),
    Bits("ERS", "ECAP", 30, 30, absent=1),
    Bits("SRS", "ECAP", 31, 31, absent=1),
    Bits("RPS", "ECAP", 49, 49, absent=0),
)
#: TES; PSS 19, PASID, SMTS, SLTS, FLTS
_ASSUMED = {"GSTS": 1 << 31, "ECAP": 19 << 35 | 1 << 40 | 1 << 43 | 1 << 46 | 1 << 47}
_TTM_WORDS = {"ECS (RTT=1)": 2}
_SAGAW = Bits("sagaw", "CAP", 12, 8)


def registers(config: Record) -> dict[str, int]:
    """Registers of a unit as ``config`` has it; what no key says, every case assumes."""
    made = fill(config, _ASSUMED, _FIELDS)
    if "sagaw" in config:
        made["CAP"] |= _SAGAW.value(config)
    else:  # every width of 3 to 5 levels that MGAW has room for
        mgaw = config.number("mgaw")
        made["CAP"] |= sum(1 << 8 + aw for aw in (1, 2, 3) if 30 + 9 * aw <= mgaw)
    ttm = config.data.get("ttm")
    mode = _TTM_WORDS[ttm] if isinstance(ttm, str) and ttm in _TTM_WORDS else config.number("ttm", last=3)
    made["RTADDR"] = config.number("root") & ~0xFFF | mode << 10
    return made


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
