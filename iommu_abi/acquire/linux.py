"""The IOMMUs of a Linux kernel: the drivers' own objects, by ``iommu_device_list``.

Kernels without symbols of data (CONFIG_KALLSYMS_ALL is off) do not say where that list is: then the
drivers' objects are found by what points to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import ModuleType

from iommu_abi.acquire import devices, kernel, smmuv3
from iommu_abi.acquire.kernel import MOST_OF_A_LIST, Kernel, Object
from iommu_abi.acquire.units import Acquired, Device, Found
from iommu_abi.errors import ImageError
from iommu_abi.memory import Memory
from iommu_abi.vendors import modules

#: Places that may be a driver's operations.
_MOST_OPS = 16
LIST = "iommu_device_list"
VENDORS = modules("iommu_abi.acquire")
WANTED = frozenset([LIST, "viommu_ops", *devices.WANTED, *(name for each in VENDORS for name in each.WANTED)])

Behind = tuple[tuple[Device, Object], ...]


def _registered(kernel: Kernel) -> Iterator[tuple[Object, ModuleType | None]]:
    """Each struct iommu_device, and the vendor of its driver."""
    vendors = {place: each for each in VENDORS for place in kernel.symbols.get(each.OPS, ())}
    head = kernel.symbol(LIST)
    if head is not None:
        for each in kernel.list(head, "iommu_device", "list"):
            yield each, vendors.get(each.number("ops"))
        return
    for vendor in VENDORS:
        for ops in sorted(set(_ops(kernel, vendor)))[:_MOST_OPS]:
            for each in _pointing(kernel, ops):
                yield each, vendor


def _ops(kernel: Kernel, vendor: ModuleType) -> Iterator[int]:
    """Addresses of the driver's operations: a table in the kernel's image with its probe_device()."""
    if known := kernel.symbols.get(vendor.OPS):
        yield from known
        return
    member = kernel.types.member(kernel.struct("iommu_ops"), "probe_device")
    if member is None:
        return
    for function in kernel.symbols.get(vendor.PROBE, ()):
        for place in kernel.pointers(function):
            at = place - member.place
            address = kernel.space.in_image(at)
            if kernel.space.physical(address) == at:
                yield address


def _pointing(kernel: Kernel, ops: int) -> Iterator[Object]:
    """Each iommu_device with these operations: its neighbour in the list must lead back to it."""
    number = kernel.struct("iommu_device")
    node, member = kernel.types.member(number, "list"), kernel.types.member(number, "ops")
    if not node or not member:
        return
    seen = set()
    for place in kernel.pointers(ops):
        at = place - member.place + node.place
        after = kernel.memory.read64(at)
        before = kernel.space.read((after or 0) + 8, 8) if after else None
        address = int.from_bytes(before or b"", "little")
        if address and address not in seen and kernel.space.physical(address) == at:
            seen.add(address)
            yield Object(kernel, number, "iommu_device", address - node.place)


def _driver_of(each: Object) -> str:
    """The name of the driver of the device that an IOMMU is."""
    return each.text("dev.parent.driver.name") if _leads(each, "dev", "parent", "driver") else ""


def _leads(each: Object, *members: str) -> bool:
    return all(each.number(".".join(members[: i + 1]), 0) for i in range(len(members)))


def _unit(kernel: Kernel, each: Object, vendor: ModuleType, behind: Behind) -> Found:
    name, member, having = vendor.STRUCT
    thing = kernel.containing(name, member, each.address, having)
    made: Found = vendor.found(kernel, thing, behind)
    own = tuple(sorted((device for device, _ in behind), key=lambda d: (d.segment, d.ids, d.name)))
    segments = {device.segment for device in own}
    segment = made.segment or (segments.pop() if len(segments) == 1 else 0)
    how = f"struct {name} at {thing.address:#x}, registered as an IOMMU in the kernel's list"
    return replace(made, devices=own, segment=segment, evidence=(how, *made.evidence))


def _behind(found: Sequence[tuple[int, Device, Object]], each: Object) -> Behind:
    return tuple((device, thing) for unit, device, thing in found if unit == each.address)


def of_kernel(kernel: Kernel) -> Acquired:
    """The units of a kernel; ImageError if there are none."""
    notes: list[str] = []
    units: list[Found] = []
    try:
        served = list(devices.find(kernel))
    except ImageError as error:
        served = []
        notes.append(f"the devices are not known: {error}")
    for count, (each, vendor) in enumerate(_registered(kernel)):
        if count >= MOST_OF_A_LIST:
            break
        driver = _driver_of(each)
        if vendor is None or (vendor is smmuv3 and driver != smmuv3.DRIVER):
            kind = driver or (
                "virtio-iommu" if each.number("ops") in kernel.symbols.get("viommu_ops", ()) else ""
            )
            notes.append(f"an IOMMU whose tables are not read here: {kind or 'of an unknown driver'}")
            continue
        try:
            units.append(_unit(kernel, each, vendor, _behind(served, each)))
        except ImageError as error:
            notes.append(f"an IOMMU of {vendor.OPS} that cannot be read: {error}")
    if not units:
        why = f": {notes[0]}" if notes else ", its drivers have registered none"
        raise ImageError(f"Linux {kernel.info.release}: no IOMMU in it{why}")
    return Acquired(f"Linux {kernel.info.release}", tuple(units), tuple(notes), lists_all=True)


def acquire(memory: Memory) -> Acquired:
    """The units of the kernel in an image; ImageError says in one sentence why there are none."""
    why = "no VMCOREINFO of a Linux kernel in it, which would lead to its IOMMUs"
    for each in kernel.find(memory, WANTED):
        if isinstance(each, ImageError):
            why = str(each)
            continue
        try:
            return of_kernel(each)
        except ImageError as error:
            why = str(error)
    raise ImageError(why)
