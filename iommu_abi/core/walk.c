/* SPDX-License-Identifier: MIT */
/* walk.c - the public half of iommu_abi/walk.h, and the cold half of pt_walk.h. */
#include <string.h>

#include "error.h"
#include "pt_walk.h"

/* ---- memory ---- */

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

static void keep_near(struct pt_walk *w, const struct iommu_abi_region *r)
{
	w->near.first = r->first;
	w->near.words = r->size < 8 ? 0 : r->size - 7;
	w->near.data = r->data;
}

const unsigned char *pt_bytes_far(struct pt_walk *w, u64 at, u64 len)
{
	const struct iommu_abi_region *r = region_at(w->mem, at);

	if (!r || at - r->first >= r->size || r->size - (at - r->first) < len)
		return NULL;
	keep_near(w, r);
	return w->near.data + (at - r->first);
}

/* ---- trace and faults ---- */

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

	w->out->fault = (struct iommu_abi_fault){
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
	pt_fault(w, reason, at, w->q->iova, raw, raw ? *raw : 0);
	w->out->fault.native = native;
}

void pt_leave(struct pt_walk *w, const struct pt_place *at, u64 input, u64 raw)
{
	if (w->unset.reason)
		return;
	pt_fault(w, IOMMU_ABI_UPDATE_DENIED, at, input, true, raw);
	w->unset = w->out->fault;
	w->out->fault = (struct iommu_abi_fault){ 0 };
}

/* ---- kinds and units ---- */

#define FORMAT(name) extern const struct pt_vendor pt_vendor_##name;
#include "formats.h"
#undef FORMAT

static const struct pt_vendor *const vendors[] = {
#define FORMAT(name) &pt_vendor_##name,
#include "formats.h"
#undef FORMAT
};

enum { VENDORS = sizeof(vendors) / sizeof(vendors[0]) };

static const struct pt_vendor *vendor_of(const char *kind)
{
	for (size_t i = 0; i < VENDORS; i++)
		if (!strcmp(vendors[i]->name, kind))
			return vendors[i];
	return NULL;
}

const char *iommu_abi_kind(size_t i)
{
	return i < VENDORS ? vendors[i]->name : NULL;
}

const char *iommu_abi_kind_register(const char *kind, size_t i, __u64 *value, int *required)
{
	const struct pt_vendor *v = vendor_of(kind);
	const struct pt_reg *r = v ? v->regs : NULL;

	while (r && r->name && i--)
		r++;
	if (!r || !r->name)
		return NULL;
	if (value)
		*value = r->value;
	if (required)
		*required = r->required;
	return r->name;
}

int iommu_abi_unit_init(const char *kind, const struct iommu_abi_reg *regs, size_t n,
			struct iommu_abi_error *err, struct iommu_abi_unit *unit)
{
	const struct pt_vendor *v = vendor_of(kind);
	u32 seen = 0;

	if (!v)
		return refuse(err, RULE_UNIT_KIND, 0, 0, 0);
	memset(unit, 0, sizeof(*unit));
	unit->vendor = v;
	for (size_t i = 0; v->regs[i].name; i++)
		unit->state[i] = v->regs[i].value;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (v->regs[k].name && strcmp(v->regs[k].name, regs[i].name))
			k++;
		if (!v->regs[k].name)
			return refuse_field(err, RULE_UNIT_UNKNOWN, regs[i].name, i, regs[i].value, 0);
		if (seen >> k & 1)
			return refuse_field(err, RULE_UNIT_TWICE, v->regs[k].name, i, regs[i].value, 0);
		seen |= 1u << k;
		unit->state[k] = regs[i].value;
	}
	for (size_t k = 0; v->regs[k].name; k++)
		if (v->regs[k].required && !(seen >> k & 1))
			return refuse_field(err, RULE_UNIT_MISSING, v->regs[k].name, 0, 0, 0);
	return v->init(unit, err);
}

/* ---- translation ---- */

bool pt_sensible(const struct iommu_abi_request *q, const struct pt_vendor *v)
{
	if (q->access != IOMMU_ABI_READ && q->access != IOMMU_ABI_WRITE && q->access != IOMMU_ABI_EXEC)
		return false;
	if (q->at > IOMMU_ABI_TRANSLATED || q->flags & ~(IOMMU_ABI_HAS_PASID | IOMMU_ABI_PRIV))
		return false;
	return q->pasid < 1u << 20 && q->rid <= v->rid_last;
}

void pt_open(struct pt_walk *w, const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
	     const struct iommu_abi_request *q, struct iommu_abi_trace *trace,
	     struct iommu_abi_translation *out)
{
	w->unit = unit;
	w->mem = mem;
	w->q = q;
	w->trace = trace;
	w->out = out;
	if (mem->n)
		keep_near(w, &mem->regions[0]);
	else
		w->near.words = 0;
}

int iommu_abi_translate(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
			const struct iommu_abi_request *request, struct iommu_abi_trace *trace,
			struct iommu_abi_translation *out)
{
	const struct pt_vendor *v = unit->vendor;
	struct pt_walk w;

	if (!pt_sensible(request, v))
		return -EINVAL;
	pt_open(&w, unit, mem, request, trace, out);
	if (trace)
		trace->n = 0;
	pt_begin(&w, v);
	if (!v->translate(&w))
		return 0;
	v->native(&w);
	*out = (struct iommu_abi_translation){ .fault = out->fault };
	return 1;
}
