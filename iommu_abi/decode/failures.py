"""Texts of programs about ioctls of iommufd and VFIO that failed, with the reasons of the errno.

Texts: QEMU (hw/vfio/container.c, listener.c, backends/iommufd.c), rust-vmm's vfio-ioctls as
cloud-hypervisor and Firecracker print it, crosvm (devices/src/vfio.rs), DPDK (lib/eal/linux/eal_vfio.c);
libvirt, Kata and others pass QEMU's on. The kernel's own lines about them: drivers/vfio/vfio_iommu_type1.c.
"""

from __future__ import annotations

import os
import re
from functools import cache, lru_cache

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note
from iommu_abi.errors import ERRNO_NAMES, errno_name

KIND = "failure"
_MAP, _UNMAP = "VFIO_IOMMU_MAP_DMA", "VFIO_IOMMU_UNMAP_DMA"
#: What a program says -> the command that failed; the first that a line has counts.
_SAYINGS = {
    "vfio_container_dma_map(": _MAP,
    "vfio_container_dma_unmap(": _UNMAP,
    "vfio_dma_map(": _MAP,
    "vfio_dma_unmap(": _UNMAP,
    "vfio_legacy_dma_map(": _MAP,
    "VFIO_MAP_DMA": _MAP,
    "VFIO_UNMAP_DMA": _UNMAP,
    "IommuDmaMap(": _MAP,
    "IommuDmaUnmap(": _UNMAP,
    "failed to add guest memory map into iommu table": _MAP,
    "failed to remove guest memory map from iommu table": _UNMAP,
    "et up DMA remapping, error": _MAP,
    "DMA remapping failed, error": _MAP,
    "lear DMA remapping, error": _UNMAP,
    "ailed to set iommu for container": "VFIO_SET_IOMMU",
    "failed to set container's IOMMU driver type": "VFIO_SET_IOMMU",
    "et IOMMU type, error": "VFIO_SET_IOMMU",
    "ailed to set group container": "VFIO_GROUP_SET_CONTAINER",
    "failed to add vfio group into vfio container": "VFIO_GROUP_SET_CONTAINER",
    "dd VFIO group to container, error": "VFIO_GROUP_SET_CONTAINER",
    "error getting device from group": "VFIO_GROUP_GET_DEVICE_FD",
    "failed to get vfio device fd": "VFIO_GROUP_GET_DEVICE_FD",
    "iommufd_backend_map_dma": "IOMMU_IOAS_MAP",
    "iommufd_backend_unmap_dma": "IOMMU_IOAS_UNMAP",
    "error bind device fd": "VFIO_DEVICE_BIND_IOMMUFD",
    "error attach ": "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
}
_NAMED = regex(r"\b(?:IOMMU|VFIO)_[A-Z0-9_]{2,64}\b")
_LIMIT = regex(r"vfio_pin_\w{1,40}: RLIMIT_MEMLOCK \((?P<limit>\d{1,20})\) exceeded")
_VIABLE = regex(r"\bgroup (?P<group>\d{1,10}) is not viable|VFIO group is not viable|: group is not viable")
MARKS = (
    *_SAYINGS,
    "IOMMU_",
    "VFIO_",
    "RLIMIT_MEMLOCK",
    "is not viable",
)
BEGINS = r"(?!)"
HINT = regex(r"(?!)")

#: What glibc says -> the errno.
_TEXTS = {os.strerror(number): name for number, name in ERRNO_NAMES.items()}
_TEXT = regex("|".join(re.escape(text) for text in sorted(_TEXTS, key=len, reverse=True)))
_NUMBER = regex(
    r"= -(?P<returned>\d{1,4})\b|os error (?P<rust>\d{1,4})|\berrno[ =:]{1,3}-?(?P<errno>\d{1,4})"
    r"|\berror[ =:]{1,3}-?(?P<error>\d{1,4})\b|\bErr(?:no|or)\((?P<debug>\d{1,4})\)"
    r"|(?:: |\()-(?P<minus>\d{1,4})\b"
)
#: A failure whose error is on the next line; QEMU's traces end in what the call returned, which is no errno.
_WRAPPED = regex(
    rf"(?:{'|'.join(map(re.escape, _SAYINGS))}|(?:IOMMU|VFIO)_[A-Z0-9_]{{2,64}}).{{0,256}}?"
    rf"(?:{_TEXT.pattern}|= -\d{{1,4}}\b)"
)
_TRACE = regex(r"\biommufd_backend_\w{1,40} .{0,200}\(-?\d{1,4}\)\s{0,4}$")
_NAME = regex(r"\bE[A-Z0-9]{2,15}\b")
#: vfio_dma_map(container, iova, size, vaddr), and unmap without vaddr.
_HEX = "0x[0-9a-f]{1,16}"
_QEMU = regex(rf"dma_(?:un)?map\({_HEX}, (?P<iova>{_HEX}), (?P<size>{_HEX})(?:, (?P<vaddr>{_HEX}))?\)")
#: And of its trace events, which stand above the failure.
_TRACED = regex(
    rf"iommufd_backend_(?:un)?map_dma .{{0,80}}\biova=(?P<iova>{_HEX}) size=(?P<size>{_HEX})"
    rf"(?: addr=(?P<vaddr>{_HEX}))?"
)
#: What hosts reserve for themselves: first, last, whose.
_RESERVED = (
    (0xFEE00000, 0xFEEFFFFF, "which x86 hosts reserve for interrupts"),
    (0xFD00000000, 0xFFFFFFFFFF, "which AMD hosts reserve (HyperTransport)"),
    (0x8000000, 0x80FFFFF, "which Arm hosts reserve for interrupts (MSI)"),
)
#: Fewest bits of an IOVA that units of x86 and Arm hosts have.
_NARROW = 39
#: Command -> what QEMU's functions are called that may be behind it: it kept VFIO's names for iommufd.
_SAME = {
    _MAP: (_MAP,),
    _UNMAP: (_UNMAP,),
    "IOMMU_IOAS_MAP": (_MAP, "IOMMU_IOAS_MAP"),
    "IOMMU_IOAS_UNMAP": (_UNMAP, "IOMMU_IOAS_UNMAP"),
}
_SUCCEEDED = regex(r"\) = 0\b")
#: Lines between two of one failure.
NEAR = 4


@lru_cache(4096)
def _command(line: str) -> str:
    """The command that a line says failed, "" if none."""
    for saying, command in _SAYINGS.items():
        if saying in line:
            return command
    from iommu_abi.decode.strace import known

    return next((name for name in _NAMED.findall(line) if name in known()), "")


@lru_cache(4096)
def _errno(line: str) -> str:
    """The errno that a line says, "" if none: a number, a name or the text of one."""
    if _TRACE.search(line):
        return ""
    if found := _NUMBER.search(line):
        number = int(next(each for each in found.groups() if each))
        return errno_name(number) if number in ERRNO_NAMES else ""
    if found := _TEXT.search(line):
        return _TEXTS[found[0]]
    names = set(ERRNO_NAMES.values())
    return next((name for name in _NAME.findall(line) if name in names), "")


def _numbers(found: re.Match[str] | None, errno: str) -> list[str]:
    """What the numbers of a call themselves explain."""
    if not found:
        return []
    values = {name: int(text, 16) for name, text in found.groupdict().items() if text}
    facts = [", ".join(f"{name} {value:#x}" for name, value in values.items())]
    odd = [name for name, value in values.items() if value % 4096]
    if errno == "EINVAL" and odd:
        facts.append(f"{', '.join(odd)}: no multiple of 0x1000, which explains it")
    if errno == "EINVAL" and not values["size"]:
        facts.append("size is 0, which explains it")
    if values["size"] and values["iova"] + values["size"] > 1 << 64:
        facts.append("iova + size - 1 wraps around, which explains it")
    if errno == "EINVAL" and values["size"]:
        facts += _beyond(values["iova"], values["iova"] + values["size"] - 1)
    return facts


def _beyond(first: int, last: int) -> list[str]:
    """Why an IOMMU may not take a range of IOVA."""
    facts = [
        f"the range has {low:#x} to {high:#x} in it, {whose}"
        for low, high, whose in _RESERVED
        if first <= high and last >= low
    ]
    if last >> _NARROW and not last >> 64:
        facts.append(
            f"the range needs IOVA of {last.bit_length()} bits: many IOMMUs have 39 or 48"
            " (the cap line of the boot log, MGAW)"
        )
    return facts


def _traced(lines: Lines, at: int) -> Found | None:
    """The numbers of QEMU's trace event above a failure."""
    for place in range(at - 1, max(-1, at - 1 - NEAR), -1):
        if "iommufd_backend" in lines[place]:
            return lines.find(place, _TRACED)
    return None


def _other_half(lines: Lines, at: int, command: str, errno: str) -> Found | None:
    """QEMU's second line about the same failure, which has the numbers."""
    for place in range(at + 1, min(len(lines), at + 1 + NEAR)):
        found = lines.find(place, _QEMU) if "dma_" in lines[place] else None
        if found:
            whole = lines.find(place, _WRAPPED)
            same = whole is not None and _errno(whole[0]) == errno and _command(whole[0]) in _SAME[command]
            return Found(found.match, whole.at) if same and whole else None
    return None


@cache
def _why(command: str, errno: str) -> tuple[str, ...]:
    from iommu_abi.decode import commands
    from iommu_abi.uapi.layout import abi

    reasons = commands.why(command, errno, "7.2", abi("x86_64"))
    found = [
        f"{errno} if {field}: {reason}" if field else f"{errno} if {reason}" for field, reason in reasons
    ]
    return tuple(found) or (f"no reason of {errno} is known here",)


def recognise(lines: Lines, at: int) -> Note | None:
    """A failed command, or the kernel's own word about why."""
    line = lines[at]
    if "RLIMIT_MEMLOCK" in line and (found := lines.find(at, _LIMIT)):
        title = f"the memory that a process may lock is used up: RLIMIT_MEMLOCK is {found['limit']} bytes"
        why = ("VFIO_IOMMU_MAP_DMA fails with ENOMEM: what is mapped for DMA is pinned and counts",)
        look = "ulimit -l, LimitMEMLOCK= of the service, memtune/hard_limit of libvirt: all guest memory"
        return Note(KIND, title, found.at, why, look, "Linux, drivers/vfio/vfio_iommu_type1.c")
    if "viable" in line and (found := lines.find(at, _VIABLE)):
        group = f"group {found['group']}" if found.match["group"] else "the group"
        look = "/sys/kernel/iommu_groups/*/devices and the driver of each: vfio-pci, or none"
        why = ("a device of the group has a driver of the host, which would share its DMA with the guest",)
        return Note(
            KIND, f"{group} cannot be used by VFIO", found.at, why, look, "Linux, drivers/vfio/group.c"
        )
    command = _command(line)
    if not command:
        return None
    used: tuple[int, ...] = (at,)
    errno = _errno(line)
    if not errno and "iommufd_backend" in line and lines.find(at, _TRACED):
        return None  # the failure itself is said below
    if not errno:  # the text of the error may have been wrapped
        found = lines.find(at, _WRAPPED)
        done = found is None or _SUCCEEDED.search(found[0])
        errno, used = ("", used) if done or found is None else (_errno(found[0]), found.at)
    if not errno or _SUCCEEDED.search(line):
        return None
    numbers = _QEMU.search(line)
    if not numbers and command in _SAME and (half := _other_half(lines, used[-1], command, errno)):
        numbers, used = half.match, (*used, *half.at)
    elif not numbers and (traced := _traced(lines, at)):
        numbers, used = traced.match, (*traced.at, *used)
    facts = [*_numbers(numbers, errno), *_why(command, errno)]
    if "PCI BAR?" in line and errno == "EFAULT":
        facts.insert(
            0, "QEMU says it is a device's memory (BAR): only DMA from device to device is missing then"
        )
    return Note(
        KIND, f"{command} failed with {errno}", used, tuple(facts), _look(command, errno), "Linux 7.2"
    )


def _look(command: str, errno: str) -> str:
    if errno == "ENOMEM":
        return "ulimit -l (RLIMIT_MEMLOCK) of the process, and the kernel's log at that time"
    if command in (_MAP, "IOMMU_IOAS_MAP"):
        return "strace -e trace=ioctl of the program, with the struct's bytes: `iommu-abi decode` reads both"
    return "the kernel's log at that time"
