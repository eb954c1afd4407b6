"""What the proposed attach_pasid_table checks, in its order, and what the SMMUv3 driver then does.

Source: "SMMUv3 Nested Stage Setup", v4 to RFC v16, and its VFIO part v8 to v13. Nothing of it was merged.
The carriers' inner argsz is independent of their own since v11.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EFAULT, EINVAL, ENODEV

from iommu_abi.rules.predicates import (
    either_of,
    given_up_to,
    is_,
    one_of,
    readable,
    readable_up_to,
    some_of,
    where,
    zero,
)
from iommu_abi.rules.row import Check, Row, Rows, State

_CORE = "SMMUv3 Nested Stage Setup v15, drivers/iommu/iommu.c"
_DRIVER = "SMMUv3 Nested Stage Setup v15, arm-smmu-v3.c"
_core = Rows("iommu_pasid_table_config", _CORE)
_driver = Rows("iommu_pasid_table_config", _DRIVER)
SMMUV3, TRANSLATE = 1, 1
_SMMUV3 = where("format", is_(SMMUV3))


def _driver_rows(member: str, *version: Row) -> tuple[Row, ...]:
    """The SMMUv3 driver's checks; ``member`` is its part of the struct."""
    return (
        _driver("format", EINVAL, is_(SMMUV3), "%llu, SMMUV3", name="smmuv3"),
        *version,
        _driver(f"{member}.version", EINVAL, is_(1), "%llu"),
        State("", EINVAL, "the domain belongs to no SMMU yet, or is not nested"),
        State("config", EINVAL, "TRANSLATE while a table is attached"),
        _driver(
            "pasid_bits",
            EINVAL,
            zero,
            "%llu: one context descriptor only",
            when=where("config", is_(TRANSLATE)),
        ),
    )


_NO_DRIVER = State("", ENODEV, "the IOMMU's driver cannot attach")
_BY_USER: tuple[Row, ...] = (
    _NO_DRIVER,
    _core("", EFAULT, readable_up_to("vendor_data", start=True), "%llu bytes in memory", name="read"),
    _core("argsz", EINVAL, given_up_to("vendor_data", start=True), "at least %llu"),
    _core("version", EINVAL, is_(1), "%llu"),
    _core("argsz", EINVAL, given_up_to("vendor_data.smmuv3"), "at least %llu", name="smmuv3", when=_SMMUV3),
    _core("", EFAULT, readable, "%llu bytes in memory", name="rest"),
    _core("config", EINVAL, one_of(1, 2, 3), "TRANSLATE (1), BYPASS (2) or ABORT (3)"),
    *_driver_rows("vendor_data.smmuv3"),
    _core("padding", EINVAL, zero, "0", name="documented", enforced=False),
)
_V4: tuple[Row, ...] = (
    _NO_DRIVER,
    *_driver_rows("smmuv3", _driver("version", EINVAL, is_(1), "%llu")),
    _driver("config", EINVAL, one_of(1, 2, 3), "TRANSLATE (1), BYPASS (2) or ABORT (3)"),
    _core("padding", EINVAL, zero, "0", name="documented", enforced=False),
)

# ---------------------------------------------------------------- carriers

SET, UNSET = 1, 2


def _carrier(struct: str, version: str, least: str, *checks: Check) -> tuple[Row, ...]:
    row = Rows(struct, f"SMMUv3 Nested Stage Setup (VFIO part) {version}")
    return (
        row("", EFAULT, readable_up_to(least), "%llu bytes in memory", name="read"),
        row("argsz", EINVAL, given_up_to(least), "at least %llu"),
        *checks,
    )


def _flags(struct: str, version: str, *numbers: int) -> Check:
    want = "0" if numbers == (0,) else "exactly one of 1 and 2"
    return Rows(struct, f"SMMUv3 Nested Stage Setup (VFIO part) {version}")(
        "flags", EINVAL, one_of(*numbers), want
    )


_TABLE = "vfio_iommu_type1_set_pasid_table"
_CONFIG = "config"
_THEN = State(_CONFIG, EINVAL, "what attaching iommu_pasid_table_config answers, see there")


def _set_table(version: str, least: str, broken: Check) -> tuple[Row, ...]:
    return (*_carrier(_TABLE, version, least, broken), _THEN)


def _row(version: str) -> Rows:
    return Rows(_TABLE, f"SMMUv3 Nested Stage Setup (VFIO part) {version}")


_MSI = "vfio_iommu_type1_set_msi_binding"
_SET_MSI = (
    *_carrier(_MSI, "v9 to v13", "size", _flags(_MSI, "v9 to v13", SET, UNSET)),
    State("", ENODEV, "the IOMMU's driver cannot bind MSIs"),
)
_V8 = {
    name: (*_carrier(name, "v8", least, _flags(name, "v8", 0)), then)
    for name, least, then in (
        ("vfio_iommu_type1_attach_pasid_table", _CONFIG, _THEN),
        ("vfio_iommu_type1_cache_invalidate", "info", State("info", EINVAL, "what invalidating answers")),
    )
}

#: Generation -> struct -> rows.
GENERATIONS: Mapping[str, Mapping[str, tuple[Row, ...]]] = {
    "ptc_v4": {"iommu_pasid_table_config": _V4},
    "ptc_v12": {"iommu_pasid_table_config": _BY_USER},
    "ptc_v14": {"iommu_pasid_table_config": _BY_USER},
    "vfio_ptc_v8": _V8,
    "vfio_ptc_v9": {
        _TABLE: _set_table(
            "v9", _CONFIG, _row("v9")("flags", EINVAL, some_of(SET | UNSET), "SET (1), UNSET (2) or both")
        ),
        _MSI: _SET_MSI,
    },
    "vfio_ptc_v11": {
        _TABLE: _set_table(
            "v11", "flags",
            _row("v11")("flags", EINVAL, either_of(SET | UNSET), "one of SET (1) and UNSET (2)"),
        ),
        _MSI: _SET_MSI,
    },
    "vfio_ptc_v12": {
        _TABLE: _set_table("v13", "flags", _flags(_TABLE, "v13", SET, UNSET)),
        _MSI: _SET_MSI,
    },
}  # fmt: skip
