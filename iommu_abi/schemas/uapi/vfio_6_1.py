"""Migration of devices, version 2, and low power: what a feature of a device has as its data, 6.1 and 6.3.

Source: <linux/vfio.h> of these kernels.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import Use, aligned_u64, enumeration, flags, reserved, s32, struct, u32
from iommu_abi.schemas.uapi.generation import Ioctl
from iommu_abi.schemas.uapi.vfio_4_19 import ARGSZ, BASE
from iommu_abi.schemas.uapi.vfio_5_10 import VFIO_5_16

_STATES = ("ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING", "RUNNING_P2P")

VFIO_6_1 = VFIO_5_16.then(
    "vfio_6_1",
    "<linux/vfio.h> of Linux 6.1",
    structs=[
        struct(
            "vfio_device_feature_migration",
            aligned_u64("flags", "", values="VFIO_MIGRATION", use=Use.OUT),
        ),
        struct(
            "vfio_device_feature_mig_state",
            u32("device_state", "", values="vfio_device_mig_state", use=Use.BOTH),
            s32("data_fd", "file of the state, -1 for none", use=Use.OUT),
        ),
        struct(
            "vfio_device_low_power_entry_with_wakeup",
            s32("wakeup_eventfd"),
            reserved("reserved", type_=u32),
        ),
        struct(
            "vfio_device_feature_dma_logging_control",
            aligned_u64("page_size", "wanted; what is used", use=Use.BOTH),
            u32("num_ranges", "elements"),
            reserved("__reserved", type_=u32),
            aligned_u64("ranges", "user pointer to vfio_device_feature_dma_logging_range"),
        ),
        struct("vfio_device_feature_dma_logging_range", aligned_u64("iova"), aligned_u64("length", "bytes")),
        struct(
            "vfio_device_feature_dma_logging_report",
            aligned_u64("iova"),
            aligned_u64("length", "bytes"),
            aligned_u64("page_size", "bytes for each bit"),
            aligned_u64("bitmap", "user pointer"),
        ),
    ],
    enums=[
        flags("VFIO_MIGRATION", "VFIO_MIGRATION_STOP_COPY", "VFIO_MIGRATION_P2P"),
        enumeration("vfio_device_mig_state", *(f"VFIO_DEVICE_STATE_{name}" for name in _STATES)),
    ],
)

_STATES_6_3 = VFIO_6_1.enums["vfio_device_mig_state"].and_also(
    VFIO_DEVICE_STATE_PRE_COPY=6, VFIO_DEVICE_STATE_PRE_COPY_P2P=7
)

VFIO_6_3 = VFIO_6_1.then(
    "vfio_6_3",
    "<linux/vfio.h> of Linux 6.3",
    structs=[
        struct(
            "vfio_precopy_info",
            ARGSZ,
            u32("flags", "0", use=Use.OUT),
            aligned_u64("initial_bytes", use=Use.OUT),
            aligned_u64("dirty_bytes", use=Use.OUT),
        ),
        struct(
            "vfio_device_feature_mig_data_size",
            aligned_u64("stop_copy_length", "bytes", use=Use.OUT),
        ),
    ],
    enums=[VFIO_6_1.enums["VFIO_MIGRATION"].and_also(VFIO_MIGRATION_PRE_COPY=1 << 2), _STATES_6_3],
    ioctls=[Ioctl("VFIO_MIG_GET_PRECOPY_INFO", BASE + 21, "vfio_precopy_info", "dirty_bytes")],
)
