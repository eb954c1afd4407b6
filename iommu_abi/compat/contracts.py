"""By what right a struct may grow: who tells the kernel how many bytes of it there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from iommu_abi.compat.model import Constant, Model, size_field
from iommu_abi.errors import UsageError
from iommu_abi.uapi.layout import Field, Layout

SIZED = "size first"
ELEMENT = "array element"
FROZEN = "frozen"
ARGUMENT = "size as argument"
IOCTL = "size in the ioctl"
ATTRIBUTE = "netlink attribute"
CONTEXT = "BPF context"
NEGOTIATED = "negotiated"
MEMBER = "member of a union"

_E2BIG = "refuses surplus bytes that are not zero (E2BIG)"
#: What a kernel does with bytes that it does not know, where a member does not say it.
_ON_SURPLUS = {
    ARGUMENT: _E2BIG,
    IOCTL: "takes as many bytes as it knows",
    ATTRIBUTE: "takes as many bytes as it knows: an attribute has a length",
    CONTEXT: "refuses a program that reads what it does not know",
    NEGOTIATED: "has said which version or features it has, and knows how much that is",
    MEMBER: "takes it with the bytes that follow it in the union",
}
_WHY_FROZEN = {
    ELEMENT: "the distance of an array's elements may not change",
    FROZEN: "nothing that is known tells the struct's size",
}

#: Structs of Linux whose size is told beside them, with the code that says so.
_KNOWN = (
    (ARGUMENT, "clone_args"),  # kernel/fork.c: copy_clone_args_from_user()
    (ARGUMENT, "open_how"),  # fs/open.c: openat2()
    (ARGUMENT, "mount_attr statmount"),  # fs/namespace.c: mount_setattr(), statmount()
    (ARGUMENT, "xattr_args file_attr"),  # fs/xattr.c: setxattrat(), fs/file_attr.c: file_setattr()
    (ARGUMENT, "landlock_ruleset_attr"),  # security/landlock/syscalls.c: copy_min_struct_from_user()
    # kernel/bpf/syscall.c: bpf(), bpf_check_uarg_tail_zero(); info_len, iter_info_len
    (ARGUMENT, "bpf_attr bpf_prog_info bpf_map_info bpf_btf_info bpf_link_info bpf_iter_link_info"),
    (ARGUMENT, "bpf_tunnel_key bpf_xfrm_state"),  # net/core/filter.c: bpf_skb_get_tunnel_key()
    # optlen: net/ipv4/tcp.c, net/mptcp/sockopt.c, net/xdp/xsk.c
    (ARGUMENT, "tcp_info tcp_zerocopy_receive mptcp_info xdp_statistics xdp_umem_reg"),
    (IOCTL, "pidfd_info mnt_ns_info"),  # fs/pidfs.c, fs/nsfs.c: extensible_ioctl_valid()
    # net/core/filter.c: is_valid_access() and convert_ctx_access() of each
    (CONTEXT, "__sk_buff xdp_md sk_msg_md sk_reuseport_md bpf_sock bpf_tcp_sock bpf_sock_addr bpf_sock_ops"),
    (CONTEXT, "bpf_sockopt bpf_sk_lookup bpf_sysctl bpf_flow_keys"),
    (ATTRIBUTE, "rtnl_link_stats rtnl_link_stats64"),  # net/core/rtnetlink.c: IFLA_STATS64
    (ATTRIBUTE, "taskstats"),  # kernel/taskstats.c: TASKSTATS_TYPE_STATS
    (ARGUMENT, "ptrace_syscall_info"),  # kernel/ptrace.c: ptrace_get_syscall_info()
    (ARGUMENT, "xsk_tx_metadata"),  # net/xdp/xdp_umem.c: tx_metadata_len
    (NEGOTIATED, "fuse_uring_cmd_req"),  # fs/fuse/dev_uring.c: 80 bytes of the SQE
    (MEMBER, "v4l2_meta_format"),  # include/uapi/linux/videodev2.h: v4l2_format.fmt has 200 bytes
)
KNOWN = {tag: how for how, tags in _KNOWN for tag in tags.split()}
#: The same by their names.
_FAMILIES = (
    (NEGOTIATED, re.compile(r"fuse_\w+_(in|out)")),  # fs/fuse/inode.c: FUSE_INIT, FUSE_COMPAT_*_SIZE
    (NEGOTIATED, re.compile(r"virtio_\w+_config")),  # VIRTIO 1.3, 2.5: fields come with features
    (ATTRIBUTE, re.compile(r"tc_\w+_x?stats")),  # net/core/gen_stats.c: gnet_stats_copy_app()
    (ARGUMENT, re.compile(r"drm_amdgpu_info_\w+")),  # drivers/gpu/drm/amd/amdgpu/amdgpu_kms.c: return_size
)

_SIZE_VERSION = re.compile(r"(\w+)_SIZE_VER\d+")
_STRUCT = re.compile(r"\b(?:struct|union) (\w+)")


@dataclass(frozen=True)
class Contract:
    """Its name in a report; what an old kernel does with bytes it does not know, empty if none may come."""

    name: str
    surplus: str = ""

    @property
    def is_of_one_abi(self) -> bool:
        """A BPF program is compiled for one machine, whatever runs it."""
        return self.name == CONTEXT

    @property
    def told(self) -> str:
        """How the kernel knows the size of a struct that may grow."""
        return "it begins with its size" if self.name == SIZED else "the kernel is told it"

    @property
    def why_frozen(self) -> str:
        """Why the struct may not grow."""
        return _WHY_FROZEN[self.name]


def _of_member(name: str, member: Field) -> Contract:
    surplus = "ignores surplus bytes" if member.name == "argsz" else _E2BIG
    return Contract(name, surplus)


def _words(name: str) -> set[str]:
    return set(name.lower().split("_"))


@dataclass(frozen=True)
class Contracts:
    """Those of two models. ``extensible`` says of structs which field has the size, or ``arg``."""

    elements: Set[str]
    versioned: tuple[set[str], ...]
    drm: Set[str]
    extensible: Mapping[str, str]

    def of(self, old: Layout, new: Layout) -> Contract:
        """By what right a struct may change."""
        tag = new.record.tag or ""
        if tag in self.extensible:
            return self._given(tag, old, new)
        if tag in self.elements:
            return Contract(ELEMENT)
        before, now = size_field(old), size_field(new)
        if before and now and (before.name, before.offset) == (now.name, now.offset):
            return _of_member(SIZED if now.offset == 0 else f"size at {now.offset}", now)
        name = self._beside(tag)
        return Contract(name, _ON_SURPLUS.get(name, ""))

    def _given(self, tag: str, old: Layout, new: Layout) -> Contract:
        how = self.extensible[tag]
        if how == "arg":
            return Contract(ARGUMENT, _ON_SURPLUS[ARGUMENT])
        found = [f for layout in (old, new) for f in layout.fields if f.name == how]
        if len(found) != 2:
            raise UsageError(f"--extensible {tag}={how}: struct {tag} has no field {how} in both")
        return _of_member(f"size in {how}", found[1])

    def _beside(self, tag: str) -> str:
        if tag in KNOWN:
            return KNOWN[tag]
        if any(words <= _words(tag) for words in self.versioned):
            return ARGUMENT
        if tag in self.drm:
            return IOCTL
        return next((how for how, names in _FAMILIES if names.fullmatch(tag)), FROZEN)

    def lets_ioctl_grow(self, constant: Constant) -> bool:
        """Whether a kernel knows the ioctl whatever size is in its number."""
        tags = _STRUCT.findall(constant.text)
        return any(self._grows_by_ioctl(tag) for tag in tags)

    def _grows_by_ioctl(self, tag: str) -> bool:
        return tag in self.extensible or self._beside(tag) == IOCTL


def contracts(old: Model, new: Model, extensible: Mapping[str, str]) -> Contracts:
    """What both models and the user say."""
    constants = [*old.constants().values(), *new.constants().values()]
    names = (_SIZE_VERSION.fullmatch(c.name) for c in constants)
    return Contracts(
        old.elements() | new.elements(),
        tuple(_words(match[1]) for match in names if match),
        set(_drm(constants)),
        extensible,
    )


def _drm(constants: Iterable[Constant]) -> Iterable[str]:
    """Structs of DRM's ioctls: drm_ioctl() takes the size from the number (drivers/gpu/drm/drm_ioctl.c)."""
    for c in constants:
        if "DRM_IO" in c.text:
            yield from _STRUCT.findall(c.text)
