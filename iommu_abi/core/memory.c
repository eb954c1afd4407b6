/* SPDX-License-Identifier: MIT */
/* memory.c - memory images of iommu_abi/walk.h, and how the walk finds bytes in them. */
#include "error.h"
#include "pt_walk.h"

int iommu_abi_mem_check(const struct iommu_abi_mem *mem, struct iommu_abi_error *err)
{
	u64 free_from = 0;

	for (size_t i = 0; i < mem->n; i++) {
		const struct iommu_abi_region *r = &mem->regions[i];

		if (!r->size || r->first < free_from || r->first + (r->size - 1) < r->first ||
		    (i && !free_from))
			return refuse(err, RULE_MEM_ORDER, i, r->first, free_from);
		free_from = r->first + r->size; /* 0 after the last byte of 64 bits */
	}
	return 0;
}

/* The last region that starts at or below @at, NULL if there is none. */
static const struct iommu_abi_region *region_at(const struct iommu_abi_mem *m, u64 at)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->regions[mid].first <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &m->regions[lo - 1] : NULL;
}

const void *iommu_abi_mem_find(const struct iommu_abi_mem *mem, __u64 addr, __u64 len)
{
	const struct iommu_abi_region *r = region_at(mem, addr);
	u64 off = r ? addr - r->first : 0;

	if (!r || off >= r->size || r->size - off < len)
		return NULL;
	return (const unsigned char *)r->data + off;
}

const unsigned char *pt_bytes_far(struct pt_walk *w, u64 at, u64 len)
{
	const struct iommu_abi_region *r = region_at(w->mem, at);

	if (!r || at > w->unit->state[PT_PAS_LAST] || at - r->first >= r->size ||
	    r->size - (at - r->first) < len)
		return NULL;
	pt_keep_near(w, r);
	return w->near.data + (at - r->first);
}
