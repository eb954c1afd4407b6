/* SPDX-License-Identifier: MIT */
/* translate.c - one request: who asks, and where it goes. */
#include <errno.h>

#include "pt_request.h"

bool pt_sensible(const struct iommu_abi_request *q, const struct pt_vendor *v)
{
	if (q->access != IOMMU_ABI_READ && q->access != IOMMU_ABI_WRITE && q->access != IOMMU_ABI_EXEC)
		return false;
	if (q->at > IOMMU_ABI_TRANSLATED || q->flags & ~(IOMMU_ABI_HAS_PASID | IOMMU_ABI_PRIV))
		return false;
	return q->pasid < 1u << 20 && q->rid <= v->rid_last;
}

/* A request of w->c; @w is open. */
static int answer(struct pt_walk *w, const struct iommu_abi_request *q, struct iommu_abi_translation *out)
{
	const struct pt_vendor *v = w->unit->vendor;

	pt_begin(w, q, out);
	if (!v->translate(w))
		return 0;
	v->native(w);
	*out = (struct iommu_abi_translation){ .fault = out->fault };
	return 1;
}

int iommu_abi_translate(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
			const struct iommu_abi_request *request, struct iommu_abi_trace *trace,
			struct iommu_abi_translation *out)
{
	struct pt_context c;
	struct pt_walk w;

	if (!pt_sensible(request, unit->vendor))
		return -EINVAL;
	pt_open(&w, unit, mem, trace);
	pt_look_up(&w, &c, request->rid, request->pasid, request->flags & IOMMU_ABI_HAS_PASID);
	return answer(&w, request, out);
}
