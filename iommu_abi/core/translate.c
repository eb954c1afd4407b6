/* SPDX-License-Identifier: MIT */
/* translate.c - one request: who asks, and where it goes. */
#include <errno.h>

#include "iommu_abi/context.h"
#include "pt_request.h"

enum { PASIDS = 1 << 20 };

bool pt_sensible(const struct iommu_abi_request *q, const struct pt_vendor *v)
{
	if (q->access != IOMMU_ABI_READ && q->access != IOMMU_ABI_WRITE && q->access != IOMMU_ABI_EXEC)
		return false;
	if (q->at > IOMMU_ABI_TRANSLATED || q->flags & ~(IOMMU_ABI_HAS_PASID | IOMMU_ABI_PRIV))
		return false;
	return q->pasid < PASIDS && q->rid <= v->rid_last;
}

/* A request of w->c; @w is open. */
PT_INLINE int answer(struct pt_walk *w, const struct iommu_abi_request *q, struct iommu_abi_translation *out)
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

/* ---- by handle ---- */

_Static_assert(sizeof(struct pt_context) <= sizeof(((struct iommu_abi_context *)0)->state),
	       "struct iommu_abi_context is too small");

int iommu_abi_context_init(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem, __u32 rid,
			   __u32 pasid, __u32 flags, struct iommu_abi_trace *trace,
			   struct iommu_abi_context *context)
{
	const struct pt_vendor *v = unit->vendor;
	struct pt_context c = { 0 };
	struct pt_walk w;

	if (rid > v->rid_last || flags & ~(__u32)IOMMU_ABI_HAS_PASID || (flags && pasid >= PASIDS))
		return -EINVAL;
	pt_open(&w, unit, mem, trace);
	pt_look_up(&w, &c, rid, pasid, flags);
	*context = (struct iommu_abi_context){
		.unit = unit,
		.rid = c.rid,
		.pasid = c.pasid,
		.flags = flags,
		.domain = c.domain,
		.process = c.process,
	};
	memcpy(context->state, &c, sizeof(c));
	return 0;
}

static bool is_of(const struct pt_context *c, const struct iommu_abi_request *q)
{
	bool has_pasid = q->flags & IOMMU_ABI_HAS_PASID;

	return q->rid == c->rid && has_pasid == c->has_pasid && (!has_pasid || q->pasid == c->pasid);
}

int iommu_abi_translate_in(const struct iommu_abi_context *context, const struct iommu_abi_mem *mem,
			   const struct iommu_abi_request *request, struct iommu_abi_trace *trace,
			   struct iommu_abi_translation *out)
{
	const struct pt_context *c = (const struct pt_context *)context->state;
	struct pt_walk w;

	if (!pt_sensible(request, c->unit->vendor) || !is_of(c, request))
		return -EINVAL;
	pt_open(&w, c->unit, mem, trace);
	w.c = c;
	return answer(&w, request, out);
}
