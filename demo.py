"""June 2017: a guest hands its PASID table to the host's IOMMU, and one DMA is translated twice."""

from __future__ import annotations

from iommu_abi import Device, Domain, Memory, Request, Stage
from iommu_abi.drivers.vtd import VtdDriver
from iommu_abi.schemas import build, in_words
from iommu_abi.uapi.v1_2017 import IOMMU_MODEL_ARM_SMMU, IOMMU_MODEL_INTEL_VTD, pasid_table_info

NIC, PASID, GVA = 0x18, 5, 0x7F12_3456_7000  # device 00:03.0; a process; a buffer of that process

# The host: a second stage (GPA -> HPA) and an extended context entry for the device.
host = build.Memory()
second = build.VtdSecondStage(host)
unit = build.VtdExtended(host)
unit.context(NIC, second)

# The guest: a PASID table and first-stage tables (GVA -> GPA), all of it in guest memory.
guest = build.Guest(host, second)
first = build.VtdFirstStage(guest)
buffer = guest.page()
guest.write(buffer, b"hello from the guest")
first.map(GVA, buffer)
table = build.ExtendedPasidTable(guest, entries=64)
table.set(PASID, first)

# What the guest's virtual IOMMU sends down: the seed's struct, byte for byte.
info = pasid_table_info(ptr=table.address, size=table.length, model=IOMMU_MODEL_INTEL_VTD)
print(f"the blob      {info.pack().hex(' ', 8)}")
print(f"              {info}")

# The host's driver checks it, and binds it.
memory = Memory()
memory.map_many(host.runs(), writable=True)
driver = VtdDriver(memory, unit.registers)
domain, device = Domain(driver), Device(NIC)
dma = Request(rid=NIC, pasid=PASID, iova=GVA + 6)
print(f"before bind   {driver.translate(dma).fault}")
domain.bind_pasid_table(device, info)

# One DMA. Each entry of the guest's tables lies at a GPA, so that reading it is four references more.
answer = driver.translate(dma, trace=True)
for ref, entry in in_words.explain("vtd", unit.registers, answer.refs, memory.read):
    indent = "      " if ref.stage is Stage.S2 else "  "
    where = f"GPA {ref.gpa:#x}" if ref.stage in (Stage.PASID, Stage.S1) else f"HPA {ref.hpa:#x}"
    print(f"{indent}{entry.name:<{34 - len(indent)}} {where:<18} {ref.raw:#x}")
print(f"after bind    GVA {dma.iova:#x} -> GPA {answer.gpa:#x} -> HPA {answer.hpa:#x}")
print(f"              {len(answer.refs)} references; there lies {memory.read(answer.hpa, 14)!r}")

# What the driver refuses, and with which errno.
domain.unbind_pasid_table(device)
for change in ({"model": IOMMU_MODEL_ARM_SMMU}, {"size": 1 << 24}):
    try:
        domain.bind_pasid_table(
            device, pasid_table_info(**{"ptr": table.address, "size": table.length} | change)
        )
    except OSError as refusal:
        print(f"refused       {refusal}")
