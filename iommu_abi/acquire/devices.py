"""The devices that a kernel's IOMMUs serve: each is in an IOMMU group.

Their names, drivers and groups, and what hangs on them, which is what people know them by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from iommu_abi.acquire.kernel import MOST_OF_A_LIST, Kernel, Object
from iommu_abi.acquire.units import Device
from iommu_abi.errors import ImageError

WANTED = ("iommu_group_kset", "iommu_group_release")
_PCI = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])")
_MOST_IDS = 64
#: What nobody knows a device by.
_LESSER = re.compile(r"(?:wakeup|ptp|hwmon|i2c-|gpiochip)\d+|.*:.*")


def _kset(kernel: Kernel) -> int:
    """The set of all groups: by its symbol, or by what points to the function that ends a group."""
    if place := kernel.symbol("iommu_group_kset"):
        return kernel.space.word(place)
    release = kernel.symbol("iommu_group_release")
    ktype = kernel.types.member(kernel.struct("kobj_type"), "release")
    of_object = kernel.types.member(kernel.struct("kobject"), "ktype")
    kset = kernel.types.member(kernel.struct("kobject"), "kset")
    if release and ktype and of_object and kset:
        for place in islice(kernel.pointers(release), 16):
            type_at = kernel.space.in_image(place - ktype.place)
            for user in kernel.pointers(type_at):
                found = kernel.memory.read64(user - of_object.place + kset.place)
                if found and kernel.space.physical(found) is not None:
                    return found
    return 0


def _groups(kernel: Kernel) -> Iterator[Object]:
    kset = _kset(kernel)
    if kset:
        for each in kernel.list(kernel.object("kset", kset).place("list"), "kobject", "entry"):
            yield kernel.containing("iommu_group", "kobj", each.address)


def _children(kernel: Kernel, device: Object) -> Iterator[Object]:
    """The devices below one."""
    private = device.object("p")
    if private and private.has("klist_children"):
        head = private.place("klist_children.k_list")
        for node in kernel.list(head, "klist_node", "n_node"):
            below = kernel.containing("device_private", "knode_parent", node.address)
            if child := below.object("device"):
                yield child


def _label(kernel: Kernel, device: Object) -> str:
    """The name of what hangs on a device: of those of virtio what hangs on that."""
    names = []
    for child in _children(kernel, device):
        name = child.text("kobj.name")
        if re.fullmatch(r"virtio\d+", name):
            name = next((each.text("kobj.name") for each in _children(kernel, child)), name)
        if name and not _LESSER.fullmatch(name):
            names.append(name)
        if len(names) >= 16:
            break
    return names[0] if names else ""


def _ids(device: Object, name: str) -> tuple[tuple[int, ...], int]:
    """The IDs that an IOMMU knows a device by, and its PCI segment."""
    found = _PCI.fullmatch(name)
    segment = int(found[1], 16) if found else 0
    specified = device.object("iommu.fwspec") if device.number("iommu", 0) else None
    if specified and (count := specified.number("num_ids", 0)):
        place = specified.place("ids")
        words = device.kernel.space
        return tuple(words.word(place + 4 * i, 4) for i in range(min(count, _MOST_IDS))), segment
    if not found:
        return (), 0
    return (int(found[2], 16) << 8 | int(found[3], 16) << 3 | int(found[4]),), segment


def _device(kernel: Kernel, device: Object, group: int) -> Device:
    name = device.text("kobj.name")
    ids, segment = _ids(device, name)
    driver = device.text("driver.name") if device.number("driver", 0) else ""
    try:
        label = _label(kernel, device)
    except ImageError:  # a page that is not there: a name is not worth more
        label = ""
    return Device(name, ids, segment, label, driver, group)


def find(kernel: Kernel) -> Iterator[tuple[int, Device, Object]]:
    """(address of the iommu_device, the device, its struct)."""
    count = 0
    for group in _groups(kernel):
        number = group.number("id")
        for entry in kernel.list(group.place("devices"), "group_device", "list"):
            device = entry.object("dev")
            count += 1
            if device is None or count > MOST_OF_A_LIST:
                return
            if device.number("iommu", 0):
                yield device.number("iommu.iommu_dev", 0), _device(kernel, device, number), device
