/* SPDX-License-Identifier: MIT */
/*
 * One VT-d scalable nested 4x4 read with PASID, N times: what `make bench` counts the instructions of.
 * First-stage tables lie at GPA = HPA + 1 TiB; A and D are set, so that no update is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommu_abi.h"

enum { RAM = 1 << 24, PAGE = 4096, DATA = 0x800000 };

static const __u64 GPA = 1ull << 40, IOVA = 0x7f1234567123ull;
static unsigned char ram[RAM];
static __u64 next_page = 0x10000;

static __u64 page(void)
{
	next_page += PAGE;
	return next_page;
}

static void put(__u64 at, __u64 value)
{
	memcpy(ram + at, &value, 8);
}

static __u64 get(__u64 at)
{
	__u64 value;

	memcpy(&value, ram + at, 8);
	return value;
}

static void map(__u64 root, __u64 in, __u64 out, __u64 rights, __u64 pointers)
{
	__u64 at = root;

	for (int shift = 39; shift > 12; shift -= 9) {
		__u64 entry = at + (in >> shift & 511) * 8;

		if (!get(entry))
			put(entry, (page() + pointers) | rights);
		at = (get(entry) & 0xffffffffff000ull) - pointers;
	}
	put(at + (in >> 12 & 511) * 8, (out & ~0xfffull) | rights);
}

int main(int argc, char **argv)
{
	__u64 fs = page(), first = next_page, last, ss, root, context, directory, table;
	struct iommu_abi_region region = { 0, RAM, ram };
	struct iommu_abi_mem mem = { &region, 1 };
	struct iommu_abi_request q = {
		.iova = IOVA, .rid = 0x10, .pasid = 5, .access = IOMMU_ABI_READ, .flags = IOMMU_ABI_HAS_PASID
	};
	struct iommu_abi_translation out;
	struct iommu_abi_error err;
	struct iommu_abi_unit unit;
	struct iommu_abi_reg reg = { "RTADDR", 0 };
	long n = argc > 1 ? atol(argv[1]) : 1;
	int blocked = 0;

	map(fs, IOVA, DATA + GPA, 0x67, GPA);
	last = next_page;
	ss = page(), root = page(), context = page(), directory = page(), table = page();
	for (__u64 p = first; p <= last; p += PAGE)
		map(ss, p + GPA, p, 3, 0);
	map(ss, DATA + GPA, DATA, 3, 0);
	put(root, context | 1);
	put(context + 0x10 * 32, directory | 1 | 1 << 3);
	put(directory, table | 1);
	put(table + 5 * 64, ss | 1 | 3 << 6 | 2 << 2);
	put(table + 5 * 64 + 16, (fs + GPA) | 1 << 5);
	reg.value = root | 1 << 10;
	if (iommu_abi_unit_init("vtd", &reg, 1, &err, &unit))
		return 2;
	while (n--)
		blocked += iommu_abi_translate(&unit, &mem, &q, NULL, &out);
	printf("%#llx\n", out.hpa);
	return blocked || out.hpa != (DATA | (IOVA & 0xfff));
}
