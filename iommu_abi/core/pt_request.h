/* SPDX-License-Identifier: MIT */
/*
 * pt_request.h - from a request to its walk: pt_open() once for memory, pt_look_up() once for each requester,
 * pt_begin() before each walk.
 */
#ifndef IOMMU_ABI_PT_REQUEST_H
#define IOMMU_ABI_PT_REQUEST_H

#include <stddef.h>
#include <string.h>

#include "pt_walk.h"

/* Has the request only values that iommu_abi_translate() takes, for a unit of this vendor? In translate.c. */
bool pt_sensible(const struct iommu_abi_request *q, const struct pt_vendor *v);

PT_INLINE void pt_open(struct pt_walk *w, const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
		       struct iommu_abi_trace *trace)
{
	w->unit = unit;
	w->mem = mem;
	w->trace = trace;
	if (PT_LIKELY(mem->n))
		pt_keep_near(w, &mem->regions[0]);
	else
		w->near.words = 0;
	if (trace)
		trace->n = 0;
}

/* Who: fill @c for this requester. */
PT_INLINE void pt_look_up(struct pt_walk *w, struct pt_context *c, u32 rid, u32 pasid, bool has_pasid)
{
	const struct pt_vendor *v = w->unit->vendor;

	c->unit = w->unit;
	c->rid = rid;
	c->pasid = has_pasid ? pasid : 0;
	c->has_pasid = has_pasid;
	c->flags = c->domain = c->process = 0;
	c->f1[0] = v->f1;
	c->f2 = v->f2;
	c->s1[0].top = c->s2.top = PT_OFF;
	c->refusal.reason = IOMMU_ABI_OK;
	w->c = c;
	w->fault = &c->refusal;
	w->iova = 0;
	w->priv = 0;
	v->look_up(w, c);
}

/* Where: a request of w->c, before each pt_vendor.translate(). */
PT_INLINE void pt_begin(struct pt_walk *w, const struct iommu_abi_request *q,
			struct iommu_abi_translation *out)
{
	w->q = q;
	w->iova = q->iova;
	w->out = out;
	w->fault = &out->fault;
	w->s1.top = w->s2.top = PT_OFF;
	w->refs = w->flags = 0;
	w->half = w->priv = w->report = w->s1_lg2 = w->s2_lg2 = w->granted = 0;
	w->alias = w->lone = false;
	w->unset.reason = IOMMU_ABI_OK;
	w->access = q->access;
	w->judge = (u8)(q->access >> 1);
	/* hpa and gpa stay as they are: whoever lets the request pass sets them */
	memset((char *)out + offsetof(struct iommu_abi_translation, detail), 0,
	       sizeof(*out) - offsetof(struct iommu_abi_translation, detail));
}

#endif
