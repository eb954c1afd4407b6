"""What the kernel's headers broke, and in which release: the truth for `make header-pairs`.

``names`` are patterns of ``SUBJECT`` or ``SUBJECT.field``. A fact explains a verdict on two kernels that it
lies between. Restated from the kernel's history and from the headers of both, read side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Fact:
    """Since Linux ``since``, ``header`` has these names otherwise or no more."""

    header: str
    since: tuple[int, int]
    names: str
    what: str

    def is_about(self, header: str, name: str) -> bool:
        """Whether a verdict is what this fact says."""
        return self.header == header and any(fnmatchcase(name, each) for each in self.names.split())


FACTS = [
    Fact(
        "linux/vfio.h", (5, 18), "VFIO_DEVICE_STATE_STOP VFIO_DEVICE_STATE_RUNNING",
        "migration protocol v2: bits of a state became numbers of states, ERROR = 0, STOP = 1, RUNNING = 2",
    ),
    Fact(
        "linux/vfio.h", (6, 13), "VFIO_TYPE1_NESTING_IOMMU",
        "nesting by type 1 was never finished and was removed; 6 stays reserved",
    ),
    Fact(
        "linux/iommu.h", (5, 18),
        "iommu_inv_addr_info iommu_inv_pasid_info iommu_cache_invalidate_info iommu_gpasid_bind_data*"
        " IOMMU_INV_* IOMMU_CACHE_INV_TYPE_* IOMMU_SVA_* IOMMU_PASID_FORMAT_INTEL_VTD",
        "guest PASIDs and their invalidation left the header; no user of them was ever merged",
    ),
    Fact(
        "linux/perf_event.h", (6, 0), "__PERF_SAMPLE_CALLCHAIN_EARLY",
        "a bit that only the kernel itself set left the header; a program that sets it has had EINVAL",
    ),
    Fact(
        "linux/bpf.h", (5, 18), "bpf_sock.dst_port bpf_sk_lookup.remote_port",
        "a port in network byte order in a __u32 became a __be16 and 16 bits of padding",
    ),
    Fact(
        "linux/bpf.h", (6, 6), "bpf_list_node bpf_list_node.__opaque bpf_rb_node bpf_rb_node.__opaque",
        "opaque nodes that BPF programs embed got an owner: 8 bytes more",
    ),
    Fact(
        "linux/io_uring.h", (6, 5), "io_uring_notification_slot io_uring_notification_register",
        "left over from notification slots, which were replaced before 6.0 came out",
    ),
    Fact(
        "linux/netfilter/nf_tables.h", (6, 4), "__NFT_META_IIFTYPE",
        "NFT_META_BRI_BROUTE took its number; the kernel uses __NFT_META_IIFTYPE internally only",
    ),
    Fact(
        "linux/kvm.h", (5, 18), "kvm_run.system_event.flags",
        "flags became a union with data[], after ndata: at 40 everywhere, on i386 and m68k it was at 36",
    ),
    Fact(
        "linux/kvm.h", (6, 2), "KVM_DIRTY_LOG_PAGE_OFFSET",
        "arm64 got the ring of dirty pages, at page 64; 0 said that there is none",
    ),
    Fact("linux/kvm.h", (6, 19), "KVM_DIRTY_LOG_PAGE_OFFSET", "the same on riscv"),
    Fact(
        "linux/kvm.h", (6, 3), "kvm_memory_region KVM_SET_MEMORY_REGION KVM_SET_MEMORY_ALIAS",
        "ioctls whose code had gone years before left the header",
    ),
    Fact(
        "linux/kvm.h", (6, 9), "kvm_user_trace_setup KVM_TRC_* KVM_TRACE_* __KVM_DEPRECATED_*",
        "the header's names of KVM's own tracing left it; ftrace had replaced it in 2009",
    ),
    Fact(
        "linux/kvm.h", (6, 9), "kvm_breakpoint kvm_debug_guest KVM_DEBUG_GUEST",
        "the first way to debug a guest left the header; KVM_SET_GUEST_DEBUG had replaced it",
    ),
    Fact(
        "linux/kvm.h", (6, 9),
        "kvm_assigned_* KVM_ASSIGN_* KVM_DEASSIGN_* KVM_DEV_ASSIGN_* KVM_DEV_IRQ_*",
        "assignment of PCI devices without VFIO left the header; 4.12 had removed its code",
    ),
    Fact(
        "linux/kvm.h", (6, 9), "kvm_sev_*",
        "padding that gcc inserts on x86_64 became members, so that i386 has the same layout",
    ),
]  # fmt: skip
