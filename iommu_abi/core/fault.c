/* SPDX-License-Identifier: MIT */
/* fault.c - the cold half of pt_walk.h and pt_tables.h: traces and faults. */
#include "pt_tables.h"

void pt_note(struct pt_walk *w, const struct pt_place *at, u64 raw, unsigned int len)
{
	struct iommu_abi_trace *t = w->trace;

	if (t->n < IOMMU_ABI_MAX_REFS)
		t->refs[t->n] = (struct iommu_abi_ref){
			.gpa = at->gpa,
			.hpa = at->hpa,
			.raw = raw,
			.updated = raw,
			.stage = at->stage,
			.level = at->level,
			.purpose = at->purpose,
			.for_level = at->for_level,
			.len = (__u8)len,
		};
	t->n++;
}

void pt_updated(struct pt_walk *w, unsigned int back, u64 updated)
{
	struct iommu_abi_trace *t = w->trace;

	if (t->n > back && t->n <= IOMMU_ABI_MAX_REFS)
		t->refs[t->n - 1 - back].updated = updated;
}

void pt_fault(struct pt_walk *w, unsigned int reason, const struct pt_place *at, u64 input, bool has_raw,
	      u64 raw)
{
	bool has_entry = has_raw || reason == IOMMU_ABI_UNREADABLE;

	*w->fault = (struct iommu_abi_fault){
		.reason = (__u8)reason,
		.stage = at->stage,
		.level = at->level,
		.purpose = at->purpose,
		.for_level = at->for_level,
		.recorded = 1,
		.has_entry = has_entry,
		.has_raw = has_raw,
		.input = input,
		.raw = raw,
		.entry_gpa = has_entry ? at->gpa : 0,
		.entry_hpa = has_entry ? at->hpa : 0,
	};
}

void pt_fault_of_request(struct pt_walk *w, unsigned int reason, u32 native, const struct pt_place *at,
			 const u64 *raw)
{
	pt_fault(w, reason, at, w->iova, raw, raw ? *raw : 0);
	w->fault->native = native;
}

void pt_forget(struct pt_walk *w, unsigned int refs)
{
	if (w->trace && w->trace->n > w->refs + refs)
		w->trace->n = w->refs + refs;
}

enum pt_verdict pt_refuse_by(struct pt_walk *w, unsigned int reason, u32 native, unsigned int stage)
{
	const struct pt_decided *entry = &w->c->entry[stage];
	struct pt_place at = { .stage = (u8)stage, .gpa = entry->gpa, .hpa = entry->hpa };

	pt_forget(w, w->c->refs[stage]);
	return pt_refuse(w, reason, native, &at, &entry->raw);
}

enum pt_verdict pt_refused(struct pt_walk *w)
{
	*w->fault = w->c->refusal;
	if (w->fault->stage == IOMMU_ABI_DEVICE || w->fault->stage == IOMMU_ABI_PASID)
		w->fault->input = w->iova;
	return PT_FAULT;
}

void pt_leave(struct pt_walk *w, const struct pt_place *at, u64 input, u64 raw)
{
	if (w->unset.reason)
		return;
	pt_fault(w, IOMMU_ABI_UPDATE_DENIED, at, input, true, raw);
	w->unset = *w->fault;
	*w->fault = (struct iommu_abi_fault){ 0 };
}
