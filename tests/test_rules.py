"""For every rule a blob that breaks exactly it, and the errno that the kernel gives.

Expected: the sources that each row names (Linux 7.2 and 5.10, the posted series), condition by condition;
which errno a condition gives is written here a second time, from those sources.
"""

from __future__ import annotations

import errno
from typing import Any

import pytest
from cli_support import run, sentence

from iommu_abi import rules
from iommu_abi.errors import AbiError, UsageError, errno_name
from iommu_abi.rules import iommufd, kernels, linux_iommu, ptc
from iommu_abi.schemas import uapi

X86, I386 = uapi.abi("x86_64"), uapi.abi("i386")
U64, U32 = (1 << 64) - 1, (1 << 32) - 1

TABLE = {"version": 1, "format": 1, "config": 1}
#: Struct -> fields of a blob that breaks no rule; all others are 0, size or argsz that of the struct.
VALID: dict[str, dict[str, Any]] = {
    "iommu_destroy": {"id": 1},
    "iommu_ioas_iova_ranges": {"ioas_id": 1, "num_iovas": 1},
    "iommu_ioas_allow_iovas": {"ioas_id": 1},
    "iommu_ioas_map": {"flags": 6, "ioas_id": 1, "length": 0x1000},
    "iommu_ioas_map_file": {"flags": 2, "ioas_id": 1, "length": 0x1000},
    "iommu_ioas_copy": {"flags": 4, "src_ioas_id": 1, "dst_ioas_id": 2, "length": 0x1000},
    "iommu_ioas_unmap": {"ioas_id": 1, "length": 0x1000},
    "iommu_ioas_noiommu_get_pa": {"ioas_id": 1, "length": 0x1000},
    "iommu_hw_info": {"dev_id": 1},
    "iommu_hwpt_alloc": {"dev_id": 1, "pt_id": 2},
    "iommu_hwpt_set_dirty_tracking": {"hwpt_id": 1},
    "iommu_hwpt_get_dirty_bitmap": {"hwpt_id": 1, "page_size": 4096, "length": 0x1000},
    "iommu_hwpt_invalidate": {"hwpt_id": 1},
    "iommu_viommu_alloc": {"type": 1, "dev_id": 1, "hwpt_id": 2},
    "iommu_vdevice_alloc": {"viommu_id": 1, "dev_id": 2},
    "iommu_veventq_alloc": {"type": 1, "veventq_depth": 1, "viommu_id": 1},
    "iommu_hw_queue_alloc": {"type": 1, "length": 0x1000, "viommu_id": 1},
    "iommu_hwpt_vtd_s1": {"addr_width": 48},
    "iommu_viommu_arm_smmuv3_invalidate": {"cmd": 0x10},
    "iommu_hwpt_page_response": {"cookie": 1},
    "iommu_cache_invalidate_info": {"version": 1, "cache": 1, "granularity": 2},
    "iommu_gpasid_bind_data": {"version": 1, "format": 1},
    "iommu_page_response": {"version": 1},
    "iommu_pasid_table_config@ptc_v4": {**TABLE, "smmuv3.version": 1},
    "iommu_pasid_table_config@ptc_v12": {**TABLE, "vendor_data.smmuv3.version": 1},
    "iommu_pasid_table_config@ptc_v14": {**TABLE, "vendor_data.smmuv3.version": 1},
    "vfio_iommu_type1_set_pasid_table": {"flags": 1},
    "vfio_iommu_type1_dma_map": {"flags": 3, "size": 0x1000},
    "vfio_iommu_type1_dma_unmap": {"size": 0x1000},
    "vfio_irq_set": {"flags": 0x21, "count": 1},
    "vfio_device_attach_iommufd_pt": {"pt_id": 1},
    "vfio_bitmap": {"pgsize": 4096, "size": 8},
    "vfio_iommu_type1_dirty_bitmap": {"flags": 1},
    "vfio_iommu_type1_dirty_bitmap_get": {"size": 0x1000, "bitmap.pgsize": 4096, "bitmap.size": 8},
    "vfio_pci_hot_reset": {"count": 1},
    "vfio_device_ioeventfd": {"flags": 1, "fd": 5},
    "vfio_device_feature": {"flags": 1 << 18},
    "vfio_device_feature_dma_logging_control": {"num_ranges": 1},
    "vfio_device_feature_dma_logging_report": {"page_size": 4096},
    "vfio_device_feature_dma_buf": {"nr_ranges": 1},
    "vfio_device_feature_zpci_err": {"data": 8},
    "vfio_iommu_type1_set_msi_binding": {"flags": 2},
}

E, OP, OV, EFAULT = errno.EINVAL, errno.EOPNOTSUPP, errno.EOVERFLOW, errno.EFAULT
NONE = errno.ENOENT
FIXED = {"flags": 3}
#: subject, what is changed, the rule without its struct, errno
BYTES = [
    *(
        (name, {field: value}, f"{field}.object", number)
        for name, field, number in (
            ("iommu_destroy", "id", NONE),
            ("iommu_ioas_iova_ranges", "ioas_id", NONE),
            ("iommu_ioas_allow_iovas", "ioas_id", NONE),
            ("iommu_ioas_map", "ioas_id", NONE),
            ("iommu_ioas_map_file", "ioas_id", NONE),
            ("iommu_ioas_copy", "src_ioas_id", NONE),
            ("iommu_ioas_copy", "dst_ioas_id", NONE),
            ("iommu_ioas_unmap", "ioas_id", NONE),
            ("iommu_ioas_noiommu_get_pa", "ioas_id", NONE),
            ("iommu_hw_info", "dev_id", NONE),
            ("iommu_hwpt_alloc", "dev_id", NONE),
            ("iommu_hwpt_alloc", "pt_id", E),
            ("iommu_hwpt_set_dirty_tracking", "hwpt_id", NONE),
            ("iommu_hwpt_get_dirty_bitmap", "hwpt_id", NONE),
            ("iommu_hwpt_invalidate", "hwpt_id", NONE),
            ("iommu_viommu_alloc", "dev_id", NONE),
            ("iommu_viommu_alloc", "hwpt_id", NONE),
            ("iommu_vdevice_alloc", "viommu_id", NONE),
            ("iommu_vdevice_alloc", "dev_id", NONE),
            ("iommu_veventq_alloc", "viommu_id", NONE),
            ("iommu_hw_queue_alloc", "viommu_id", NONE),
        )
        for value in (0, 1 << 31)
    ),
    ("iommu_option", {"option_id": 1}, "object_id.object", NONE),
    ("iommu_vfio_ioas", {"op": 1}, "ioas_id.object", NONE),
    ("iommu_hwpt_alloc", {"flags": 4}, "fault_id.object", NONE),
    ("iommu_hwpt_alloc", {"flags": 1, "data_type": 1, "data_len": 24}, "flags.data", OP),
    ("iommu_ioas_iova_ranges", {"num_iovas": 0}, "num_iovas", errno.EMSGSIZE),
    ("iommu_ioas_map", {"user_va": U64 - 0xFFE}, "user_va", OV),
    ("iommu_ioas_map", {"length": 0}, "length.some", E),
    ("iommu_ioas_map", {**FIXED, "length": U64 - 0xFFE}, "length.pages", E),
    ("iommu_ioas_map", {"length": 1 << 63}, "length.half", OV),
    ("iommu_ioas_map_file", {"fd": U32}, "fd", errno.EBADF),
    ("iommu_ioas_map_file", {"length": 0}, "length.some", E),
    ("iommu_ioas_map_file", {"start": U64 - 0xFFE}, "start.end", OV),
    ("iommu_ioas_map_file", {**FIXED, "length": U64 - 0xFFE}, "length.pages", E),
    ("iommu_ioas_map_file", {"length": 1 << 63}, "length.half", OV),
    ("iommu_ioas_copy", {"length": 0}, "length.some", E),
    ("iommu_ioas_copy", {"src_iova": U64}, "src_iova", OV),
    ("iommu_ioas_copy", {"src_iova": U64 - 0xFFE}, "src_iova.end", OV),
    ("iommu_ioas_copy", {"length": 1 << 63}, "length.half", OV),
    ("iommu_ioas_unmap", {"length": 0}, "length.some", E),
    ("iommu_ioas_unmap", {"iova": U64 - 0xFFE}, "iova.end", OV),
    ("iommu_hwpt_get_dirty_bitmap@iommufd_7_2", {"iova": 0x1000, "length": 0}, "length", OV),
    ("iommu_hwpt_get_dirty_bitmap", {"length": 0}, "length.some", E),
    # drivers/iommu/iommufd/ioas.c of 7.3, iommufd_ioas_noiommu_get_pa()
    ("iommu_ioas_noiommu_get_pa", {"flags": 1}, "flags", OP),
    ("iommu_ioas_noiommu_get_pa", {"__reserved": 1}, "__reserved", OP),
    ("iommu_ioas_noiommu_get_pa", {"length": 0}, "length.some", E),
    ("iommu_ioas_noiommu_get_pa", {"iova": U64}, "iova", OV),
    ("iommu_hwpt_get_dirty_bitmap", {"iova": 0x800}, "iova.pages", E),
    ("iommu_hwpt_get_dirty_bitmap", {"length": 0x1800}, "iova.pages", E),
    ("iommu_hwpt_page_response", {"cookie": 0}, "cookie", E),
    ("iommu_ioas_alloc", {"flags": 1}, "flags", OP),
    ("iommu_ioas_iova_ranges", {"__reserved": 1}, "__reserved", OP),
    ("iommu_ioas_allow_iovas", {"__reserved": 1 << 31}, "__reserved", OP),
    ("iommu_ioas_map", {"flags": 8 | 2}, "flags", OP),
    ("iommu_ioas_map", {"__reserved": 1}, "__reserved", OP),
    ("iommu_ioas_map", {"iova": U64}, "iova", OV),
    ("iommu_ioas_map", {"length": U64}, "length", OV),
    ("iommu_ioas_map", {"flags": 1}, "flags.access", E),
    ("iommu_ioas_map", {**FIXED, "iova": U64 - 1, "length": 3}, "iova.end", OV),
    ("iommu_ioas_map_file", {"flags": 16 | 2}, "flags", OP),
    ("iommu_ioas_map_file", {"iova": U64}, "iova", OV),
    ("iommu_ioas_map_file", {"length": U64}, "length", OV),
    ("iommu_ioas_map_file", {"flags": 0}, "flags.access", E),
    ("iommu_ioas_map_file", {**FIXED, "iova": U64 - 1, "length": 3}, "iova.end", OV),
    ("iommu_ioas_copy", {"flags": 8 | 2}, "flags", OP),
    ("iommu_ioas_copy", {"length": U64}, "length", OV),
    ("iommu_ioas_copy", {"dst_iova": U64}, "dst_iova", OV),
    ("iommu_ioas_copy", {"flags": 0}, "flags.access", E),
    ("iommu_ioas_copy", {**FIXED, "dst_iova": U64 - 1, "length": 3}, "dst_iova.end", OV),
    ("iommu_ioas_unmap", {"iova": U64, "length": 1}, "iova", OV),
    ("iommu_ioas_unmap", {"iova": 1, "length": U64}, "length", OV),
    ("iommu_option", {"__reserved": 1}, "__reserved", OP),
    ("iommu_option", {"option_id": 2}, "option_id", OP),
    ("iommu_option", {"op": 2}, "op", OP),
    ("iommu_option", {"object_id": 1}, "object_id.rlimit_mode", OP),
    ("iommu_option", {"val64": 2}, "val64", E),
    ("iommu_ioas_change_process", {"__reserved": 1}, "__reserved", OP),
    ("iommu_vfio_ioas", {"__reserved": 1}, "__reserved", OP),
    ("iommu_vfio_ioas", {"op": 3}, "op", OP),
    ("iommu_hw_info", {"flags": 2}, "flags", OP),
    ("iommu_hw_info", {"__reserved": 1 << 16}, "__reserved", OP),
    ("iommu_hwpt_alloc", {"__reserved": 1}, "__reserved", OP),
    ("iommu_hwpt_alloc", {"data_len": 1}, "data_len", E),
    ("iommu_hwpt_alloc", {"data_type": 1}, "data_len", E),
    ("iommu_hwpt_alloc", {"flags": 16}, "flags", OP),
    ("iommu_hwpt_alloc", {"flags": 5}, "flags.fault", OP),
    ("iommu_hwpt_set_dirty_tracking", {"flags": 2}, "flags", OP),
    ("iommu_hwpt_get_dirty_bitmap", {"flags": 2}, "flags", OP),
    ("iommu_hwpt_get_dirty_bitmap", {"__reserved": 1}, "__reserved", OP),
    ("iommu_hwpt_get_dirty_bitmap", {"iova": U64, "length": 2}, "length", OV),
    ("iommu_hwpt_get_dirty_bitmap", {"page_size": 0}, "page_size", E),
    ("iommu_hwpt_invalidate", {"__reserved": 1}, "__reserved", OP),
    ("iommu_hwpt_invalidate", {"entry_num": 1, "entry_len": 16}, "data_uptr", E),
    ("iommu_hwpt_invalidate", {"entry_num": 1, "data_uptr": 8}, "entry_len", E),
    ("iommu_hwpt_invalidate", {"entry_num": 1, "data_uptr": 8, "entry_len": 4097}, "entry_len.page", E),
    ("iommu_hwpt_invalidate", {"entry_num": 1 << 20, "data_uptr": 8, "entry_len": 16}, "entry_num", E),
    ("iommu_viommu_alloc", {"flags": 1}, "flags", OP),
    ("iommu_viommu_alloc", {"type": 0}, "type", OP),
    ("iommu_veventq_alloc", {"flags": 1}, "flags", OP),
    ("iommu_veventq_alloc", {"__reserved": 1}, "__reserved", OP),
    ("iommu_veventq_alloc", {"type": 0}, "type", OP),
    ("iommu_veventq_alloc", {"veventq_depth": 0}, "veventq_depth", E),
    ("iommu_veventq_alloc", {"veventq_depth": (1 << 19) + 1}, "veventq_depth.most", E),
    ("iommu_hw_queue_alloc", {"flags": 1}, "flags", OP),
    ("iommu_hw_queue_alloc", {"type": 0}, "type", OP),
    ("iommu_hw_queue_alloc", {"length": 0}, "length", E),
    ("iommu_hw_queue_alloc", {"nesting_parent_iova": U64, "length": 2}, "length.end", OV),
    ("iommu_fault_alloc", {"flags": 1}, "flags", OP),
    ("iommu_hwpt_vtd_s1", {"addr_width": 39}, "addr_width", E),
    ("iommu_hwpt_vtd_s1_invalidate", {"flags": 2}, "flags", OP),
    ("iommu_hwpt_vtd_s1_invalidate", {"__reserved": 1}, "__reserved", OP),
    ("iommu_hwpt_vtd_s1_invalidate", {"addr": 0x800}, "addr", E),
    ("iommu_hwpt_vtd_s1_invalidate", {"addr": 0x1000, "npages": U64}, "npages", E),
    ("iommu_viommu_arm_smmuv3_invalidate", {"cmd": 0x04}, "cmd", errno.EIO),
    ("iommu_hwpt_page_response", {"code": 2}, "code", E),
    ("vfio_device_bind_iommufd", {"flags": 2}, "flags", E),
    ("vfio_device_bind_iommufd", {"iommufd": U32}, "iommufd", E),
    ("vfio_device_attach_iommufd_pt", {"argsz": 11}, "argsz", E),
    ("vfio_device_attach_iommufd_pt", {"flags": 2}, "flags", E),
    ("vfio_device_attach_iommufd_pt", {"flags": 1, "argsz": 12}, "argsz.pasid", E),
    ("vfio_device_attach_iommufd_pt", {"pt_id": 0}, "pt_id.object", NONE),
    ("vfio_device_attach_iommufd_pt", {"pt_id": U32}, "pt_id.object", NONE),
    ("vfio_device_detach_iommufd_pt", {"argsz": 7}, "argsz", E),
    ("vfio_device_detach_iommufd_pt", {"flags": 2}, "flags", E),
    ("vfio_device_detach_iommufd_pt", {"flags": 1, "argsz": 8}, "argsz.pasid", E),
    # drivers/vfio/vfio_iommu_type1.c of 7.2: vfio_iommu_type1_map_dma(), vfio_dma_do_map()
    ("vfio_iommu_type1_dma_map", {"argsz": 31}, "argsz", E),
    ("vfio_iommu_type1_dma_map", {"flags": 8 | 1}, "flags.known", E),
    ("vfio_iommu_type1_dma_map", {"size": 0}, "size.some", E),
    ("vfio_iommu_type1_dma_map", {"iova": U64 - 0xFFF, "size": 0x2000}, "iova.end", OV),
    ("vfio_iommu_type1_dma_map", {"iova": U64}, "iova.end", OV),
    ("vfio_iommu_type1_dma_map", {"vaddr": U64 - 0xFFF, "size": 0x2000}, "vaddr.end", OV),
    ("vfio_iommu_type1_dma_map", {"flags": 0}, "flags.access", E),
    ("vfio_iommu_type1_dma_map", {"flags": 4 | 1}, "flags.access", E),
    ("vfio_iommu_type1_dma_map", {"flags": 7}, "flags.access", E),
    ("vfio_iommu_type1_dma_map", {"size": 0x1800}, "size.page", E),
    ("vfio_iommu_type1_dma_map", {"iova": 0x800}, "iova.page", E),
    ("vfio_iommu_type1_dma_map", {"vaddr": 1}, "vaddr.page", E),
    # the same, vfio_iommu_type1_unmap_dma(), vfio_dma_do_unmap(): GET_DIRTY_BITMAP 1, ALL 2, VADDR 4
    ("vfio_iommu_type1_dma_unmap", {"argsz": 23}, "argsz", E),
    ("vfio_iommu_type1_dma_unmap", {"flags": 8}, "flags.known", E),
    ("vfio_iommu_type1_dma_unmap", {"flags": 3}, "flags.bitmap_all", E),
    ("vfio_iommu_type1_dma_unmap", {"flags": 5}, "flags.bitmap_vaddr", E),
    ("vfio_iommu_type1_dma_unmap", {"iova": 0x10}, "iova.page", E),
    ("vfio_iommu_type1_dma_unmap", {"flags": 2, "iova": 0x1000, "size": 0}, "iova.all", E),
    ("vfio_iommu_type1_dma_unmap", {"flags": 2}, "size.all", E),
    ("vfio_iommu_type1_dma_unmap", {"size": 0}, "size.some", E),
    ("vfio_iommu_type1_dma_unmap", {"size": 0xFFF}, "size.page", E),
    ("vfio_iommu_type1_dma_unmap", {"iova": U64 - 0xFFF, "size": 0x2000}, "iova.end", OV),
    ("vfio_iommu_type1_info", {"argsz": 15}, "argsz", E),
    # drivers/vfio/vfio_main.c, vfio_set_irqs_validate_and_prepare(): NONE 1, BOOL 2, EVENTFD 4
    ("vfio_region_info", {"argsz": 31}, "argsz", E),
    ("vfio_irq_info", {"argsz": 15}, "argsz", E),
    ("vfio_irq_set", {"argsz": 19}, "argsz", E),
    ("vfio_irq_set", {"start": 1, "count": U32 - 1}, "start.end", E),
    ("vfio_irq_set", {"start": U32, "count": 0}, "start.end", E),
    ("vfio_irq_set", {"flags": 0x41}, "flags.known", E),
    ("vfio_irq_set", {"flags": 0x20}, "flags.data", E),
    ("vfio_irq_set", {"flags": 0x23}, "flags.none_bool", E),
    ("vfio_irq_set", {"flags": 0x25}, "flags.none_eventfd", E),
    ("vfio_irq_set", {"flags": 0x26}, "flags.bool_eventfd", E),
    ("vfio_irq_set", {"flags": 0x22}, "argsz.bools", E),
    ("vfio_irq_set", {"flags": 0x24}, "argsz.eventfds", E),
    # vfio_iommu_type1.c of 6.12 and 5.10: every range that ends too late is EINVAL, and VADDR came with 5.12
    ("vfio_iommu_type1_dma_map@vfio_6_12", {"iova": U64 - 0xFFF, "size": 0x2000}, "iova.wraps", E),
    ("vfio_iommu_type1_dma_map@vfio_6_12", {"vaddr": U64 - 0xFFF, "size": 0x2000}, "vaddr.wraps", E),
    ("vfio_iommu_type1_dma_map@vfio_5_10", {"flags": 0}, "flags.rights", E),
    ("vfio_iommu_type1_dma_map@vfio_5_10", {"flags": 5}, "flags.known", E),
    ("vfio_iommu_type1_dma_unmap@vfio_6_12", {"iova": U64 - 0xFFF, "size": 0x2000}, "iova.wraps", E),
    ("vfio_iommu_type1_dma_unmap@vfio_5_10", {"flags": 2}, "flags.known", E),
    ("vfio_iommu_type1_dma_unmap@vfio_4_19", {"flags": 1}, "flags.known", E),
    # the same of 7.2: verify_bitmap_size(), vfio_iommu_type1_dirty_pages(): START 1, STOP 2, GET_BITMAP 4
    ("vfio_iommu_type1_dma_unmap", {"flags": 1}, "argsz.bitmap", E),
    ("vfio_bitmap", {"pgsize": 0}, "pgsize.some", E),
    ("vfio_bitmap", {"size": 0}, "size.some", E),
    ("vfio_bitmap", {"size": 0x10000001}, "size.most", E),
    ("vfio_bitmap", {"pgsize": 0x800}, "pgsize.page", E),
    ("vfio_iommu_type1_dirty_bitmap", {"argsz": 7}, "argsz", E),
    ("vfio_iommu_type1_dirty_bitmap", {"flags": 9}, "flags.one", E),
    ("vfio_iommu_type1_dirty_bitmap", {"flags": 0}, "flags.one", E),
    ("vfio_iommu_type1_dirty_bitmap", {"flags": 3}, "flags.one", E),
    ("vfio_iommu_type1_dirty_bitmap", {"flags": 4}, "argsz.get", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"size": 0}, "size.some", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"iova": U64 - 0xFFF, "size": 0x2000}, "iova.end", OV),
    ("vfio_iommu_type1_dirty_bitmap_get@vfio_6_12", {"iova": U64 - 0xFFF}, "iova.wraps", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"iova": 0x800}, "iova.page", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"size": 0x1800}, "size.page", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"bitmap.pgsize": 0}, "bitmap.pgsize.some", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"bitmap.pgsize": 0x1800}, "bitmap.pgsize.page", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"bitmap.size": 0}, "bitmap.size.bits", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"bitmap.size": 1 << 29}, "bitmap.size.most", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"bitmap.size": 7}, "bitmap.size.bits", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"size": 65 << 12}, "bitmap.size.bits", E),
    ("vfio_iommu_type1_dirty_bitmap_get", {"bitmap.pgsize": 0x10000}, "bitmap.size.bits", E),
    # group.c, pci/vfio_pci_core.c, pci/vfio_pci_rdwr.c of 7.2; a reset of no group was EINVAL up to 6.5
    ("vfio_group_status", {"argsz": 7}, "argsz", E),
    ("vfio_device_info", {"argsz": 15}, "argsz", E),
    ("vfio_pci_hot_reset_info", {"argsz": 11}, "argsz", E),
    ("vfio_pci_hot_reset", {"argsz": 11}, "argsz", E),
    ("vfio_pci_hot_reset", {"flags": 1}, "flags", E),
    ("vfio_pci_hot_reset@vfio_6_3", {"count": 0}, "count", E),
    ("vfio_device_ioeventfd", {"argsz": 27}, "argsz", E),
    ("vfio_device_ioeventfd", {"flags": 0x11}, "flags.one", E),
    ("vfio_device_ioeventfd", {"flags": 3}, "flags.one", E),
    ("vfio_device_ioeventfd", {"flags": 8}, "flags.wide", E),
    ("vfio_device_ioeventfd", {"fd": U32 - 1}, "fd", E),
    ("vfio_device_ioeventfd", {"offset": 6 << 40}, "offset", E),
    ("vfio_device_bind_iommufd@vfio_6_12", {"argsz": 15}, "argsz", E),
    # vfio_main.c, vfio_ioctl_device_feature(), and vfio_check_feature() of include/linux/vfio.h, of 7.2:
    # GET 1 << 16, SET 1 << 17, PROBE 1 << 18
    ("vfio_device_feature", {"argsz": 7}, "argsz", E),
    ("vfio_device_feature", {"flags": 1 << 19}, "flags.known", E),
    ("vfio_device_feature", {"flags": 3 << 16 | 2}, "flags.both", E),
    ("vfio_device_feature", {"flags": 1 << 18 | 14}, "flags.feature", errno.ENOTTY),
    ("vfio_device_feature@vfio_6_3", {"flags": 1 << 18 | 10}, "flags.feature", errno.ENOTTY),
    ("vfio_device_feature@vfio_5_10", {"flags": 1 << 18 | 1}, "flags.feature", errno.ENOTTY),
    ("vfio_device_feature", {"flags": 6 << 16 | 1}, "flags.get", E),
    ("vfio_device_feature", {"flags": 5 << 16}, "flags.set", E),
    ("vfio_device_feature", {"flags": 2}, "flags.op", E),
    *(
        ("vfio_device_feature", {"flags": op << 16 | number}, f"argsz.{data}", E)
        for number, op, data in (
            (0, 2, "token"),
            (1, 1, "migration"),
            (2, 1, "mig_state"),
            (2, 2, "mig_state"),
            (4, 2, "low_power_entry_with_wakeup"),
            (6, 2, "dma_logging_control"),
            (8, 1, "dma_logging_report"),
            (9, 1, "mig_data_size"),
            (10, 2, "bus_master"),
            (11, 1, "dma_buf"),
            (13, 1, "zpci_err"),
        )
    ),
    ("vfio_device_feature_zpci_err", {"data": 0}, "data", E),
    ("vfio_device_low_power_entry_with_wakeup", {"wakeup_eventfd": U32}, "wakeup_eventfd", E),
    ("vfio_device_feature_dma_logging_control", {"num_ranges": 0}, "num_ranges", E),
    ("vfio_device_feature_dma_logging_control", {"num_ranges": 257}, "num_ranges.most", errno.E2BIG),
    ("vfio_device_feature_dma_logging_range", {"iova": U64, "length": 1}, "iova.end", OV),
    ("vfio_device_feature_dma_logging_report", {"page_size": 0x800}, "page_size", E),
    ("vfio_device_feature_dma_logging_report", {"page_size": 0x3000}, "page_size.power", E),
    ("vfio_device_feature_dma_logging_report", {"iova": U64 - 0xFFF, "length": 0x1000}, "iova.end", OV),
    ("vfio_device_feature_bus_master", {"op": 2}, "op", E),
    ("vfio_device_feature_dma_buf", {"nr_ranges": 0}, "nr_ranges", E),
    ("vfio_device_feature_dma_buf", {"flags": 1}, "flags", E),
    ("vfio_device_feature_dma_buf", {"region_index": 6}, "region_index", errno.ENODEV),
    ("vfio_precopy_info", {"argsz": 23}, "argsz", E),
    ("iommu_cache_invalidate_info", {"argsz": 15}, "argsz", E),
    ("iommu_cache_invalidate_info", {"argsz": 31, "granularity": 1}, "argsz.pasid", E),
    ("iommu_cache_invalidate_info", {"argsz": 55}, "argsz.addr", E),
    ("iommu_cache_invalidate_info", {"version": 2}, "version", E),
    ("iommu_cache_invalidate_info", {"cache": 9}, "cache", E),
    ("iommu_cache_invalidate_info", {"granularity": 3}, "granularity", E),
    ("iommu_cache_invalidate_info", {"cache": 4}, "cache.addr", E),
    ("iommu_cache_invalidate_info", {"granu.addr_info.flags": 8}, "granu.addr_info.flags", E),
    (
        "iommu_cache_invalidate_info",
        {"granularity": 1, "granu.pasid_info.flags": 4},
        "granu.pasid_info.flags",
        E,
    ),
    ("iommu_cache_invalidate_info", {"granularity": 0, "cache": 2}, "cache.domain", E),
    ("iommu_cache_invalidate_info", {"padding": 1 << 40}, "padding", E),
    ("iommu_gpasid_bind_data", {"argsz": 55}, "argsz", E),
    ("iommu_gpasid_bind_data", {"version": 0}, "version", E),
    ("iommu_gpasid_bind_data", {"format": 2}, "format", E),
    ("iommu_gpasid_bind_data", {"flags": 2}, "flags", E),
    ("iommu_gpasid_bind_data", {"padding": 1}, "padding", E),
    ("iommu_page_response", {"version": 2}, "version", E),
    ("iommu_page_response", {"flags": 2}, "flags", E),
    ("iommu_pasid_table_config@ptc_v4", {"format": 2}, "format.smmuv3", E),
    ("iommu_pasid_table_config@ptc_v4", {"version": 2}, "version", E),
    ("iommu_pasid_table_config@ptc_v4", {"smmuv3.version": 2}, "smmuv3.version", E),
    ("iommu_pasid_table_config@ptc_v4", {"pasid_bits": 1}, "pasid_bits", E),
    ("iommu_pasid_table_config@ptc_v4", {"config": 4}, "config", E),
    *(
        (f"iommu_pasid_table_config@{gen}", change, rule, E)
        for gen, least in (("ptc_v12", 28), ("ptc_v14", 24))
        for change, rule in (
            ({"argsz": least - 1}, "argsz"),
            ({"version": 2}, "version"),
            ({"argsz": least + 7}, "argsz.smmuv3"),
            ({"config": 0}, "config"),
            ({"format": 2}, "format.smmuv3"),
            ({"vendor_data.smmuv3.version": 2}, "vendor_data.smmuv3.version"),
            ({"pasid_bits": 1}, "pasid_bits"),
        )
    ),
    ("vfio_iommu_type1_attach_pasid_table@vfio_ptc_v8", {"argsz": 39}, "argsz", E),
    ("vfio_iommu_type1_attach_pasid_table@vfio_ptc_v8", {"flags": 1}, "flags", E),
    ("vfio_iommu_type1_cache_invalidate@vfio_ptc_v8", {"argsz": 55}, "argsz", E),
    ("vfio_iommu_type1_cache_invalidate@vfio_ptc_v8", {"flags": 1}, "flags", E),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v9", {"argsz": 39}, "argsz", E),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v9", {"flags": 4}, "flags", E),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v11", {"argsz": 7}, "argsz", E),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v11", {"flags": 3}, "flags", E),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v12", {"argsz": 7}, "argsz", E),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v12", {"flags": 5}, "flags", E),
    *(
        (f"vfio_iommu_type1_set_msi_binding@{gen}", change, rule, E)
        for gen in ("vfio_ptc_v9", "vfio_ptc_v11", "vfio_ptc_v12")
        for change, rule in (({"argsz": 31}, "argsz"), ({"flags": 3}, "flags"))
    ),
]
#: Rows about ULONG_MAX of the kernel, which 64 bits never pass: rule -> errno.
ONLY_ON_32_BITS = {
    "iommu_vdevice_alloc.virt_id": E,
    "vfio_iommu_type1_dma_map.size.room": E,
    "vfio_iommu_type1_dma_map.vaddr.room": E,
    "vfio_iommu_type1_dma_unmap.size.room": E,
    "vfio_iommu_type1_dma_map.size.fits": OV,
    "vfio_iommu_type1_dma_map.vaddr.fits": OV,
    "vfio_iommu_type1_dma_unmap.size.fits": OV,
    "vfio_iommu_type1_dirty_bitmap_get.size.fits": OV,
    "vfio_device_feature_dma_logging_range.iova.fits": OV,
    "vfio_device_feature_dma_logging_report.iova.fits": OV,
}
#: subject, what is changed, bytes that are in memory, rule
MEMORY = [
    ("vfio_device_attach_iommufd_pt", {}, 11, "read"),
    ("vfio_device_attach_iommufd_pt", {"flags": 1}, 12, "rest"),
    ("vfio_device_detach_iommufd_pt", {}, 7, "read"),
    ("vfio_device_detach_iommufd_pt", {"flags": 1}, 8, "rest"),
    ("vfio_iommu_type1_dma_map", {}, 31, "read"),
    ("vfio_iommu_type1_dma_unmap", {}, 23, "read"),
    ("vfio_iommu_type1_info", {}, 15, "read"),
    ("vfio_region_info", {}, 31, "read"),
    ("vfio_irq_info", {}, 15, "read"),
    ("vfio_irq_set", {}, 19, "read"),
    ("vfio_irq_set", {"flags": 0x22, "argsz": 21}, 20, "bools"),
    ("vfio_irq_set", {"flags": 0x24, "argsz": 24}, 20, "eventfds"),
    ("vfio_iommu_type1_dma_unmap", {"flags": 1, "argsz": 48}, 24, "rest"),
    ("vfio_iommu_type1_dirty_bitmap", {}, 7, "read"),
    ("vfio_iommu_type1_dirty_bitmap", {"flags": 4, "argsz": 48}, 8, "rest"),
    ("vfio_group_status", {}, 7, "read"),
    ("vfio_device_info", {}, 15, "read"),
    ("vfio_pci_hot_reset_info", {}, 11, "read"),
    ("vfio_pci_hot_reset", {}, 11, "read"),
    ("vfio_device_ioeventfd", {}, 27, "read"),
    ("vfio_device_bind_iommufd@vfio_6_12", {}, 15, "read"),
    ("vfio_precopy_info", {}, 23, "read"),
    ("vfio_device_feature", {}, 7, "read"),
    *(
        ("vfio_device_feature", {"flags": op << 16 | number, "argsz": 40}, 8, data)
        for number, op, data in (
            (0, 2, "token"), (1, 1, "migration"), (2, 2, "mig_state"), (4, 2, "low_power_entry_with_wakeup"),
            (6, 2, "dma_logging_control"), (8, 1, "dma_logging_report"), (9, 1, "mig_data_size"),
            (10, 2, "bus_master"), (11, 1, "dma_buf"), (13, 1, "zpci_err"),
        )
    ),
    ("iommu_cache_invalidate_info", {}, 15, "read"),
    ("iommu_cache_invalidate_info", {}, 55, "rest"),
    ("iommu_gpasid_bind_data", {}, 55, "read"),
    ("iommu_gpasid_bind_data", {}, 71, "rest"),
    ("iommu_pasid_table_config@ptc_v12", {}, 27, "read"),
    ("iommu_pasid_table_config@ptc_v12", {}, 39, "rest"),
    ("iommu_pasid_table_config@ptc_v14", {}, 23, "read"),
    ("iommu_pasid_table_config@ptc_v14", {}, 31, "rest"),
    ("vfio_iommu_type1_attach_pasid_table@vfio_ptc_v8", {}, 39, "read"),
    ("vfio_iommu_type1_cache_invalidate@vfio_ptc_v8", {}, 55, "read"),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v9", {}, 39, "read"),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v11", {}, 7, "read"),
    ("vfio_iommu_type1_set_pasid_table@vfio_ptc_v12", {}, 7, "read"),
    *(
        (f"vfio_iommu_type1_set_msi_binding@vfio_ptc_v{n}", {}, 31, "read") for n in (9, 11, 12)
    ),
]  # fmt: skip


def poke(subject: rules.Subject, changes: dict[str, Any], abi: uapi.Abi) -> bytes:
    """A valid blob with these fields changed; each value goes to the field's bytes as they are."""
    struct = subject.generation.struct(subject.struct)
    data = bytearray(uapi.layout(struct, abi).size)
    first = struct.fields[0].name
    valid = VALID.get(f"{subject.struct}@{subject.generation.name}") or VALID.get(subject.struct, {})
    values = {**({first: len(data)} if first in ("size", "argsz") else {}), **valid, **changes}
    leaves = {leaf.path: leaf for leaf in uapi.leaves(struct, abi)}
    for path, value in values.items():
        leaf = leaves[path]
        data[leaf.offset : leaf.offset + leaf.size] = value.to_bytes(
            leaf.size, "little" if abi.order == "<" else "big"
        )
    return bytes(data)


SUBJECTS = sorted({row[0] for row in BYTES} | {row[0] for row in MEMORY} | {"iommu_destroy"})


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_valid_blob_is_accepted(name: str) -> None:
    subject = rules.struct(name)
    found = rules.answer(subject, poke(subject, {}, X86), X86)

    assert (found.error, found.documented) == (None, ())


@pytest.mark.parametrize(("name", "changes", "rule", "number"), BYTES)
def test_a_blob_that_breaks_one_rule_gets_its_errno(
    name: str, changes: dict[str, Any], rule: str, number: int
) -> None:
    subject = rules.struct(name)
    error = rules.answer(subject, poke(subject, changes, X86), X86).error

    assert error is not None
    assert (error.rule.name, errno_name(error.rule.errno)) == (f"{subject.struct}.{rule}", errno_name(number))
    leaves = {leaf.path: leaf.offset for leaf in uapi.leaves(subject.generation.struct(subject.struct), X86)}
    assert error.offset == leaves[error.field]


def test_big_endian_callers_get_the_same_answers() -> None:
    big = uapi.abi("aarch64_be")
    for name, changes, rule, _ in BYTES:
        subject = rules.struct(name)
        if rule in ("cmd", "__reserved", "padding"):  # whose bytes are no number of the machine's
            continue
        error = rules.answer(subject, poke(subject, changes, big), big).error
        assert error is not None
        assert error.rule.name == f"{subject.struct}.{rule}"


@pytest.mark.parametrize(("name", "changes", "size", "rule"), MEMORY)
def test_memory_that_ends_too_early_is_efault(
    name: str, changes: dict[str, Any], size: int, rule: str
) -> None:
    subject = rules.struct(name)
    error = rules.answer(subject, poke(subject, changes, X86)[:size], X86).error

    assert error is not None
    assert (error.rule.name, error.rule.errno, error.got) == (f"{subject.struct}.{rule}", EFAULT, size)


def test_every_rule_has_a_blob_that_breaks_it() -> None:
    tested = {f"{row[0].partition('@')[0]}.{row[2]}" for row in BYTES}
    tested |= {f"{row[0].partition('@')[0]}.{row[3]}" for row in MEMORY}
    tested |= {f"{name.partition('@')[0]}.{rule}" for name, rule, _ in DOCUMENTED} | {
        *ONLY_ON_32_BITS,
    }
    tables = [
        iommufd.COMMANDS,
        iommufd.DATA,
        *kernels.VFIO,
        linux_iommu.STRUCTS,
        *ptc.GENERATIONS.values(),
    ]
    for table in tables:
        for rows in table.values():
            names = {row.rule.name for row in rows if isinstance(row, rules.Check)}
            assert names <= tested


def test_every_row_has_a_source() -> None:
    for table in (iommufd.COMMANDS, iommufd.DATA, *kernels.VFIO, linux_iommu.STRUCTS):
        for rows in table.values():
            assert all(row.rule.source for row in rows if isinstance(row, rules.Check))


def test_every_command_of_7_3_has_rules() -> None:
    commands = uapi.GENERATIONS["iommufd_7_3"].ioctls.values()

    assert {ioctl.struct for ioctl in commands} == set(iommufd.COMMANDS)


# ---------------------------------------------------------------- documented and not enforced

#: semantics of 7.2: the header says "must be 0", or names flags, and nobody looks
DOCUMENTED = [
    ("iommu_hwpt_alloc", "__reserved2.documented", {"__reserved2": 1}),
    ("iommu_viommu_alloc", "__reserved.documented", {"__reserved": 1}),
    ("iommu_hwpt_set_dirty_tracking", "__reserved.documented", {"__reserved": 1}),
    ("iommu_hwpt_vtd_s1", "__reserved.documented", {"__reserved": 1}),
    ("iommu_hwpt_vtd_s1", "flags.documented", {"flags": 8}),
    ("iommu_pasid_table_config@ptc_v14", "padding.documented", {"padding": 1}),
]


@pytest.mark.parametrize(("name", "rule", "changes"), DOCUMENTED)
def test_what_is_only_documented_is_accepted_and_named(name: str, rule: str, changes: dict[str, Any]) -> None:
    subject = rules.struct(name)
    found = rules.answer(subject, poke(subject, changes, X86), X86)

    assert found.error is None
    assert [each.rule.name for each in found.documented] == [f"{subject.struct}.{rule}"]


# ---------------------------------------------------------------- size first


def command(name: str, kernel: str = "7.3") -> rules.Subject:
    found = rules.command(name, kernel)
    assert found is not None
    return found


def refused(subject: rules.Subject, data: bytes, abi: uapi.Abi = X86) -> AbiError:
    error = rules.answer(subject, data, abi).error
    assert error is not None
    return error


@pytest.mark.parametrize("name", sorted(uapi.GENERATIONS["iommufd_7_3"].ioctls))
def test_the_size_of_every_command_is_checked_as_main_c_does(name: str) -> None:
    subject = command(name)
    data = poke(subject, {}, X86)
    ioctl = subject.generation.ioctls[name]
    leaves = {
        leaf.path: leaf.offset + leaf.size
        for leaf in uapi.leaves(uapi.get(subject.struct, "iommufd_7_3"), X86)
    }
    least = leaves[ioctl.least]

    assert refused(subject, data[:3]).rule.errno == EFAULT
    assert refused(subject, (least - 1).to_bytes(4, "little") + data[4:]).rule.errno == E
    assert refused(subject, data[:-1]).rule.errno == EFAULT
    longer = (len(data) + 8).to_bytes(4, "little") + data[4:]
    assert rules.answer(subject, longer + bytes(8), X86).error is None
    tail = refused(subject, longer + bytes(7) + b"\1")
    assert (tail.rule.errno, tail.offset, tail.got) == (errno.E2BIG, len(data) + 7, 1)
    shortest = least.to_bytes(4, "little") + data[4:least]
    assert rules.answer(subject, shortest, X86).error is None


def test_a_kernel_that_knows_less_refuses_what_it_does_not_know() -> None:
    newer = poke(command("IOMMU_VIOMMU_ALLOC"), {"data_len": 16}, X86)

    assert rules.answer(command("IOMMU_VIOMMU_ALLOC", "7.2"), newer, X86).error is None
    assert refused(command("IOMMU_VIOMMU_ALLOC", "6.13"), newer).rule.errno == errno.E2BIG
    pasid = poke(command("IOMMU_HWPT_ALLOC"), {"flags": 8}, X86)
    assert rules.answer(command("IOMMU_HWPT_ALLOC", "6.13"), pasid, X86).error is None
    assert refused(command("IOMMU_HWPT_ALLOC", "6.12"), pasid).rule.errno == OP


def test_only_7_2_and_7_3_have_an_order_of_checks_that_is_known() -> None:
    for kernel in ("6.3", "6.12", "6.13", "6.19"):
        found = rules.answer(command("IOMMU_DESTROY", kernel), bytes([8, 0, 0, 0, 1, 0, 0, 0]), X86)
        assert any("order of checks is that of Linux 7.2" in note for note in found.notes)
    for kernel in ("7.2", "7.3"):
        found = rules.answer(command("IOMMU_DESTROY", kernel), bytes([8, 0, 0, 0, 1, 0, 0, 0]), X86)
        assert found.notes == ()


def test_a_command_that_a_kernel_does_not_have_is_none_of_its_own() -> None:
    assert rules.command("IOMMU_HWPT_ALLOC", "6.3") is None
    with pytest.raises(UsageError, match="no known kernel has an ioctl 'IOMMU_NOTHING'"):
        rules.command("IOMMU_NOTHING")


def test_an_id_beyond_ulong_max_is_refused_by_32_bit_kernels_only() -> None:
    subject = command("IOMMU_VDEVICE_ALLOC")
    data = poke(subject, {"virt_id": 1 << 32}, X86)

    assert rules.answer(subject, data, X86).error is None
    assert refused(subject, data, I386).rule.name == "iommu_vdevice_alloc.virt_id"


@pytest.mark.parametrize("rule", [rule for rule in ONLY_ON_32_BITS if rule.startswith("vfio")])
def test_a_kernel_of_32_bits_takes_no_vfio_number_beyond_its_addresses(rule: str) -> None:
    """vfio_iommu_type1.c and vfio_main.c hold size_t, unsigned long and ULONG_MAX against the 64 bits."""
    name, field, kind = rule.rsplit(".", 2)
    subject = rules.struct(name, "6.12" if kind == "room" else "7.2")
    error = refused(subject, poke(subject, {field: 1 << 32}, I386), I386)

    assert (error.rule.name, error.rule.errno) == (rule, ONLY_ON_32_BITS[rule])


@pytest.mark.parametrize(
    "changes",
    [
        {"iova": 0x7FFFFFFFF000, "vaddr": 0x7F0000000000, "size": 0x10000},
        {"iova": U64 - 0xFFF, "size": 0x1000},  # the last page: iova + size - 1 is the last address
        {"flags": 4, "vaddr": 0x1000},
    ],
)
def test_what_vfio_of_7_2_may_map_is_accepted(changes: dict[str, int]) -> None:
    subject = rules.struct("vfio_iommu_type1_dma_map")
    assert rules.answer(subject, poke(subject, changes, X86), X86).error is None


def test_all_of_a_container_is_unmapped_by_all_without_a_range() -> None:
    subject = rules.struct("vfio_iommu_type1_dma_unmap")
    for flags in (2, 6):  # ALL, ALL and VADDR
        data = poke(subject, {"flags": flags, "size": 0}, X86)
        assert rules.answer(subject, data, X86).error is None


def test_data_behind_a_pointer_has_exactly_its_length() -> None:
    for name, number in (("iommu_hwpt_vtd_s1", E), ("iommu_hwpt_arm_smmuv3", E), ("iommu_hwpt_amd_guest", E)):
        subject = rules.struct(name)
        size = uapi.layout(uapi.get(name, "iommufd_7_2"), X86).size
        for wrong in (size - 1, size + 8):
            assert refused(subject, bytes(wrong)).rule.errno == number
    assert refused(rules.struct("iommu_hwpt_page_response"), bytes(9)).rule.errno == errno.ESPIPE


def test_guest_entries_are_checked_as_the_drivers_do() -> None:
    ste = rules.struct("iommu_hwpt_arm_smmuv3")

    assert refused(ste, bytes([0x03]) + bytes(15)).rule.errno == errno.EIO  # V, Config 1
    assert rules.answer(ste, bytes(16), X86).error is None


def test_the_seed_is_checked_by_both_ledgers() -> None:
    subject = rules.struct("pasid_table_info@v1_2017")

    assert rules.answer(subject, bytes(24), X86).error is None
    assert refused(subject, bytes(16) + b"\2" + bytes(7)).rule.name == "pasid_table_info.model"


def test_refusals_of_state_that_come_before_are_listed() -> None:
    subject = command("IOMMU_HWPT_ALLOC")
    found = rules.answer(subject, poke(subject, {"flags": 16}, X86), X86)

    assert [(s.field, errno_name(s.errno)) for s in found.before] == [
        ("dev_id", "ENOENT"),
        ("pt_id", "EINVAL"),
        ("pt_id", "EINVAL"),
    ]


def test_misuse_names_what_is_known() -> None:
    for kernel, why in (
        ("six", "expected a number such as 6.12"),
        ("2.6", "from 3.0 on"),
        ("6.20", "there was no 6.20"),
    ):
        with pytest.raises(UsageError, match=why):
            rules.command("IOMMU_DESTROY", kernel)
    with pytest.raises(UsageError, match="no rules are known for iommu_iova_range@iommufd_7_3"):
        rules.struct("iommu_iova_range")
    with pytest.raises(UsageError, match=r"iommufd_6_3 is not the generation of kernel 7\.2, but of: 6\.3"):
        rules.struct("iommu_destroy@iommufd_6_3", "7.2")
    with pytest.raises(UsageError, match="STRUCT@GENERATION"):
        rules.struct("iommu_pasid_table_config")


# ---------------------------------------------------------------- the command


def test_the_command_says_what_where_and_why(capsys: Any, monkeypatch: Any) -> None:
    hex_text = b"0c000000 01000000 00000000\n"

    done = run(capsys, "errno", "IOMMU_IOAS_ALLOC", stdin=hex_text, monkeypatch=monkeypatch)
    assert done.status == 1
    assert "EOPNOTSUPP: Linux 7.3 refuses iommu_ioas_alloc@iommufd_7_3" in done.out
    assert "iommu_ioas_alloc.flags at offset 4: got 1, expected no flags but 0x0" in done.out
    assert "source: Linux 7.2, drivers/iommu/iommufd/ioas.c" in done.out


def test_the_command_as_json(capsys: Any, monkeypatch: Any, tmp_path: Any) -> None:
    (tmp_path / "blob").write_bytes(bytes([12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]))

    done = run(capsys, "errno", "0x3b81", tmp_path / "blob", "--kernel", "6.3", "--json", "--in", "raw")
    assert done.status == 1
    assert done.json["refused"] == {
        "errno": "EOPNOTSUPP",
        "number": 95,
        "rule": "iommu_ioas_alloc.flags",
        "field": "flags",
        "offset": 4,
        "got": 1,
        "expected": "no flags but 0x0",
        "source": "Linux 7.2, drivers/iommu/iommufd/ioas.c",
    }
    assert (done.json["kernel"], done.json["ioctl"]) == ("6.3", "IOMMU_IOAS_ALLOC")
    assert "6.3's own is not known" in done.json["notes"][0]


def test_an_accepted_blob_is_exit_0_and_misuse_2(capsys: Any, monkeypatch: Any) -> None:
    destroy = b"08000000 01000000"

    done = run(capsys, "errno", "iommu_destroy", "-", stdin=destroy, monkeypatch=monkeypatch)
    assert (done.status, "ENOENT id: no object has this ID" in done.out) == (0, True)
    done = run(
        capsys, "errno", "IOMMU_VIOMMU_ALLOC", "--kernel", "6.12", stdin=destroy, monkeypatch=monkeypatch
    )
    assert (done.status, done.out) == (1, "ENOTTY: Linux 6.12 has no IOMMU_VIOMMU_ALLOC\n")
    done = run(capsys, "errno", "iommu_destroy", "--kernel", "new", stdin=destroy, monkeypatch=monkeypatch)
    assert (done.status, "expected a number such as 6.12" in sentence(done)) == (2, True)
    done = run(capsys, "errno", "iommu_destroy", "--abi", "vax", stdin=destroy, monkeypatch=monkeypatch)
    assert (done.status, "unknown ABI" in sentence(done)) == (2, True)


def test_the_rules_of_a_command_are_listed_in_their_order(capsys: Any) -> None:
    done = run(capsys, "errno", "IOMMU_HWPT_ALLOC", "--rules", "--json")

    listed = [(row["kind"], row["field"], row["errno"]) for row in done.json["rules"]]
    assert done.status == 0
    assert listed[:5] == [
        ("bytes", "__reserved", "EOPNOTSUPP"),
        ("bytes", "data_len", "EINVAL"),
        ("bytes", "dev_id", "ENOENT"),
        ("state", "dev_id", "ENOENT"),
        ("bytes", "pt_id", "EINVAL"),
    ]
    assert listed[-1] == ("documented only", "__reserved2", "EOPNOTSUPP")
    assert "refused unless, or when" in run(capsys, "errno", "iommu_option", "--rules").out


#: command, bytes, answer: what strangers sent
REPORTED = [
    # length 0; user_va + length beyond 2^64; length 0 twice; ID 0
    ("IOMMU_IOAS_MAP", "28000000 07000000 01000000 00000000 000000000000007f", "EINVAL"),
    ("IOMMU_IOAS_MAP", "28000000 07000000 01000000 00000000 00f0ffffffffffff 0020", "EOVERFLOW"),
    ("IOMMU_IOAS_UNMAP", "18000000 01000000 0010", "EINVAL"),
    ("IOMMU_IOAS_COPY", "28000000 07000000 01000000 01000000", "EINVAL"),
    ("IOMMU_DESTROY", "08000000", "ENOENT"),
]  # fmt: skip


@pytest.mark.parametrize(("command_", "text", "number"), REPORTED)
def test_what_bytes_alone_decide_is_refused(
    command_: str, text: str, number: str, capsys: Any, monkeypatch: Any
) -> None:
    data = bytes.fromhex(text)
    zeros = " 00" * (data[0] - len(data))
    done = run(capsys, "errno", command_, stdin=f"{text}{zeros}".encode(), monkeypatch=monkeypatch)

    assert done.status == 1
    assert done.out.startswith(f"{number}: Linux 7.3 refuses ")


def test_rules_are_listed_without_placeholders(capsys: Any) -> None:
    for subject in (
        *sorted(uapi.GENERATIONS["iommufd_7_2"].ioctls),
        "iommu_gpasid_bind_data",
        "iommu_pasid_table_config@ptc_v14",
        "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
    ):
        for row in run(capsys, "errno", subject, "--rules", "--json").json["rules"]:
            assert "%" not in row.get("expected", "")
            assert not {"N", "N,"} & set(row.get("expected", "").split())
    assert "expected no flags but 0x7" in run(capsys, "errno", "IOMMU_IOAS_MAP", "--rules").out

    def expected(*words: str) -> set[str]:
        rows = run(capsys, "errno", *words, "--rules", "--json").json["rules"]
        return {row.get("expected") for row in rows}

    assert "less than ULONG_MAX, 0xffffffffffffffff" in expected("IOMMU_IOAS_MAP")
    assert "less than ULONG_MAX, 0xffffffff" in expected("IOMMU_IOAS_MAP", "--abi", "i386")
    assert "no flags but 0xf" in expected("IOMMU_HWPT_ALLOC")
    assert "no flags but 0x7" in expected("IOMMU_HWPT_ALLOC", "--kernel", "6.12")


#: asked, answers: 6.19 is followed by 7.0; of two that are as near the newer
NEAREST = [
    ("4.9", "4.19"), ("4.12", "4.19"), ("5.4", "5.10"), ("5.15", "5.16"),
    ("6.2", "6.3"), ("6.6", "6.3"), ("6.8", "6.12"), ("6.12.95", "6.12"),
    ("6.16", "6.19"), ("6.18-rc3", "6.19"), ("7.0", "6.19"), ("v7.1", "7.2"), ("7.3", "7.3"), ("7.9", "7.3"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "table"), NEAREST)
def test_a_kernel_without_a_table_gets_the_nearest_one_s(asked: str, table: str) -> None:
    assert rules.nearest(asked) == table


def test_that_another_kernel_answers_is_said(capsys: Any, monkeypatch: Any) -> None:
    destroy = b"08000000 01000000"
    note = "note: no table of Linux 6.6's own is known: this is that of 6.3, the nearest"

    done = run(capsys, "errno", "iommu_destroy", "--kernel", "6.6", stdin=destroy, monkeypatch=monkeypatch)
    assert "0: Linux 6.3 accepts the bytes" in done.out
    assert note in done.out
    done = run(capsys, "errno", "IOMMU_HWPT_ALLOC", "--kernel", "6.6", stdin=destroy, monkeypatch=monkeypatch)
    assert done.out == f"ENOTTY: Linux 6.3 has no IOMMU_HWPT_ALLOC\n{note}\n"
    assert note in run(capsys, "errno", "IOMMU_DESTROY", "--kernel", "6.6", "--rules").out
    done = run(
        capsys, "errno", "IOMMU_DESTROY", "--kernel", "6.12.95", stdin=destroy, monkeypatch=monkeypatch
    )
    assert "no table" not in done.out
