/* SPDX-License-Identifier: MIT */
/*
 * A driver of our own: a guest's PASID table is bound through its iommu_ops, then a DMA is
 * translated and one is blocked. Compiles as C11 and C++. Build it with any of
 *
 *	cc $(iommu-abi config --cflags) example.c $(iommu-abi config --libs)
 *	cc example.c $(pkg-config --cflags --libs iommu_abi)
 *	target_link_libraries(example iommu_abi::iommu_abi)
 */
#include <stdio.h>
#include <string.h>

#include <iommu_abi.h>

/* ---- a driver: the check that all drivers share, and one table per domain ---- */

static int my_bind(struct iommu_domain *domain, struct device *dev, struct pasid_table_info *info)
{
	struct iommu_abi_bind_limits host;
	struct iommu_abi_error err;
	char why[200];
	int rc;

	(void)dev;
	memset(&host, 0, sizeof(host));
	host.model = IOMMU_MODEL_INTEL_VTD;
	host.ptr_align = 4096;
	host.ptr_last = ~0ull >> 12;
	host.size_min = 256;
	host.size_host = 8 << 20;
	rc = iommu_abi_bind_check(&host, info, &err);
	if (rc) {
		iommu_abi_strerror(&err, why, sizeof(why));
		printf("refused: %s\n", why);
		return rc;
	}
	*(__u64 *)domain->priv = info->ptr;
	return 0;
}

static int my_unbind(struct iommu_domain *domain, struct device *dev)
{
	(void)dev;
	*(__u64 *)domain->priv = 0;
	return 0;
}

static int try_bind(struct iommu_domain *domain, __u32 model)
{
	struct pasid_table_info info;

	memset(&info, 0, sizeof(info));
	info.ptr = 0x40005000;
	info.size = 4096;
	info.model = model;
	return iommu_bind_pasid_table(domain, NULL, &info);
}

/* ---- an AMD IOMMU with one device and one page, in memory of this process ---- */

static unsigned char ram[0x4000];

static void put(unsigned int at, __u64 value) /* tables are little-endian everywhere */
{
	for (int i = 0; i < 8; i++)
		ram[at + i] = (unsigned char)(value >> 8 * i);
}

static int dma(const struct iommu_abi_unit *unit, __u64 iova, struct iommu_abi_translation *out)
{
	struct iommu_abi_region region;
	struct iommu_abi_mem mem;
	struct iommu_abi_request q;

	region.first = 0x100000;
	region.size = sizeof(ram);
	region.data = ram;
	mem.regions = &region;
	mem.n = 1;
	memset(&q, 0, sizeof(q));
	q.rid = 3 << 3; /* 00:03.0 */
	q.iova = iova;
	q.access = IOMMU_ABI_WRITE;
	return iommu_abi_translate(unit, &mem, &q, NULL, out);
}

int main(void)
{
	const __u64 rights = 3ull << 61;
	struct iommu_abi_translation out;
	struct iommu_abi_unit unit;
	struct iommu_abi_reg regs[1];
	__u64 bound = 0;
	struct iommu_ops ops;
	struct iommu_domain domain;

	ops.bind_pasid_table = my_bind;
	ops.unbind_pasid_table = my_unbind;
	domain.ops = &ops;
	domain.priv = &bound;
	if (try_bind(&domain, IOMMU_MODEL_INTEL_VTD) || bound != 0x40005000)
		return 1;
	printf("bound: %#llx\n", (unsigned long long)bound);
	if (try_bind(&domain, IOMMU_MODEL_ARM_SMMU) != -EINVAL || bound != 0x40005000)
		return 1;
	if (iommu_unbind_pasid_table(&domain, NULL) || bound)
		return 1;

	put(3 * 8 * 32, rights | 0x101000 | 1 << 9 | 3); /* device table entry: one level */
	put(0x1000 + 5 * 8, rights | 0x102000 | 1);      /* page 5 -> HPA 0x102000 */
	regs[0].name = "DEVTAB_BASE";
	regs[0].value = 0x100000;
	if (iommu_abi_unit_init("amdvi", regs, 1, NULL, &unit))
		return 1;
	if (dma(&unit, 0x5123, &out) || out.hpa != 0x102123)
		return 1;
	printf("IOVA 0x5123 -> HPA %#llx\n", (unsigned long long)out.hpa);
	if (dma(&unit, 0x6123, &out) != 1 || out.fault.reason != IOMMU_ABI_NOT_PRESENT)
		return 1;
	printf("IOVA 0x6123 blocked: level %d, entry at %#llx, event %#x\n", out.fault.level,
	       (unsigned long long)out.fault.entry_hpa, out.fault.native);
	return 0;
}
