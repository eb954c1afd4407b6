/* SPDX-License-Identifier: MIT */
/*
 * How often does an enumeration read device tables, and which requests does a context refuse?
 *
 * Each table is a region of memory of its own, so that the core looks for it anew whenever the one that it
 * read before was another; the linker leads those look-ups through here (--wrap), where they are counted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iommu_abi.h"

enum { PAGE = 4096, ROOT = 0, CONTEXT, TOP, MIDDLE, LEAVES, TABLES, RID = 0x18 };

static unsigned char tables[TABLES][PAGE];
static unsigned int found[TABLES];

struct pt_walk;
const unsigned char *__real_pt_bytes_far(struct pt_walk *w, __u64 at, __u64 len);
const unsigned char *__wrap_pt_bytes_far(struct pt_walk *w, __u64 at, __u64 len);

const unsigned char *__wrap_pt_bytes_far(struct pt_walk *w, __u64 at, __u64 len)
{
	if (at / (2 * PAGE) < TABLES)
		found[at / (2 * PAGE)]++;
	return __real_pt_bytes_far(w, at, len);
}

static __u64 address(unsigned int table)
{
	return table * 2ull * PAGE;
}

static void put(unsigned int table, size_t index, __u64 value)
{
	for (int i = 0; i < 8; i++)
		tables[table][index * 8 + (size_t)i] = (unsigned char)(value >> 8 * i);
}

/* VT-d legacy mode: every second page of 2 MiB is mapped, each to another place. */
static void lay(void)
{
	put(ROOT, 0, address(CONTEXT) | 1);
	put(CONTEXT, RID * 2, address(TOP) | 1);
	put(CONTEXT, RID * 2 + 1, 1); /* 39 bits */
	put(TOP, 0, address(MIDDLE) | 3);
	put(MIDDLE, 0, address(LEAVES) | 3);
	for (__u64 i = 0; i < 512; i += 2)
		put(LEAVES, i, (0x1000000 + i * 7 * PAGE) | 3);
}

static long count_mappings(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem)
{
	struct iommu_abi_request who = { .rid = RID };
	struct iommu_abi_mapping_cursor cursor = { .next = 0 };
	struct iommu_abi_mapping out[300];

	return iommu_abi_mappings(unit, mem, &who, 100000, &cursor, out, 300);
}

static int of_another(const struct iommu_abi_context *context, const struct iommu_abi_mem *mem,
		      struct iommu_abi_request q)
{
	struct iommu_abi_translation out;

	return iommu_abi_translate_in(context, mem, &q, NULL, &out) == -EINVAL;
}

int main(void)
{
	struct iommu_abi_region regions[TABLES];
	struct iommu_abi_mem mem = { regions, TABLES };
	/* MGAW and SAGAW 39 bits, ND 6 */
	const struct iommu_abi_reg regs[] = { { "RTADDR", 0 }, { "CAP", 38ull << 16 | 2 << 8 | 6 } };
	struct iommu_abi_context context, copy;
	struct iommu_abi_translation out;
	struct iommu_abi_trace trace;
	struct iommu_abi_unit unit;
	struct iommu_abi_request q = { .rid = RID, .iova = 0x2123, .access = IOMMU_ABI_READ };

	for (unsigned int i = 0; i < TABLES; i++)
		regions[i] = (struct iommu_abi_region){ address(i), PAGE, tables[i] };
	lay();
	if (iommu_abi_unit_init("vtd", regs, 2, NULL, &unit))
		return 1;
	printf("mappings %ld, ", count_mappings(&unit, &mem));
	printf("context table found %u times, leaf table more than 500 times: %d\n", found[CONTEXT],
	       found[LEAVES] > 500);

	if (iommu_abi_context_init(&unit, &mem, RID, 0, 0, &trace, &context))
		return 1;
	printf("look-up: %u references\n", trace.n);
	memset(found, 0, sizeof(found));
	copy = context;
	if (iommu_abi_translate_in(&copy, &mem, &q, &trace, &out))
		return 1;
	printf("by handle: %#llx, %u references, context table found %u times\n", (unsigned long long)out.hpa,
	       trace.n, found[CONTEXT]);

	q.rid++;
	printf("another rid: %d, ", of_another(&context, &mem, q));
	q.rid = RID;
	q.flags = IOMMU_ABI_HAS_PASID;
	printf("with PASID: %d, ", of_another(&context, &mem, q));
	printf("a rid of 17 bits: %d, ", iommu_abi_context_init(&unit, &mem, 1 << 16, 0, 0, NULL, &context));
	printf("a PASID of 21 bits: %d, ",
	       iommu_abi_context_init(&unit, &mem, RID, 1 << 20, IOMMU_ABI_HAS_PASID, NULL, &context));
	printf("an unknown flag: %d\n",
	       iommu_abi_context_init(&unit, &mem, RID, 0, IOMMU_ABI_PRIV, NULL, &context));
	return 0;
}
