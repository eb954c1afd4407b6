/* SPDX-License-Identifier: MIT */
/*
 * pt_tables.h - device and PASID tables, for look_up() and admit(): entries that are read, and what they
 * refuse.
 */
#ifndef IOMMU_ABI_PT_TABLES_H
#define IOMMU_ABI_PT_TABLES_H

#include "pt_walk.h"

/* ---- reading ---- */

/* Reads @n words of the entry at @hpa, whose address in its own space is @gpa; false: a fault is in
 * *w->fault. */
PT_INLINE bool pt_read_entry(struct pt_walk *w, unsigned int stage, unsigned int level, u64 gpa, u64 hpa,
			     unsigned int n, u64 *q)
{
	u64 off = hpa - w->near.first;
	const unsigned char *p;

	if (PT_UNLIKELY(off >= w->near.words || (n > 1 && w->near.words - off <= 8 * (n - 1)))) {
		p = pt_bytes_far(w, hpa, 8 * n);
		if (!p)
			return !pt_stop(w, IOMMU_ABI_UNREADABLE, PT_PLACE(stage, level, 0, 0, gpa, hpa),
					w->iova, false, 0);
	} else {
		p = w->near.data + off;
	}
#pragma GCC unroll 8
	for (unsigned int i = 0; i < n; i++)
		q[i] = pt_load64(p + 8 * i);
	if (PT_UNLIKELY(w->trace))
		pt_note(w, PT_PLACE(stage, level, 0, 0, gpa, hpa), q[0], 8 * n);
	return true;
}

PT_INLINE bool pt_read_hpa(struct pt_walk *w, unsigned int stage, unsigned int level, u64 hpa, unsigned int n,
			   u64 *q)
{
	return pt_read_entry(w, stage, level, hpa, hpa, n, q);
}

/* The same for an entry of a PASID table in GPA, read through the context's stage 2, which is there already.
 * @at: stage and level given, the addresses are filled in for later faults. */
PT_INLINE bool pt_read_gpa(struct pt_walk *w, const struct pt_format *f2, struct pt_place *at, u64 gpa,
			   unsigned int n, u64 *q)
{
	struct pt_result r = { 0 };

	if (pt_s2(w, f2, pt_side_of(w, &w->c->s2), w->trace, IOMMU_ABI_FOR_PASID_ENTRY, at->level, gpa,
		  PT_JUDGE_TABLE, PT_R, &r))
		return false;
	at->gpa = gpa;
	at->hpa = r.out;
	return pt_read_entry(w, at->stage, at->level, gpa, r.out, n, q);
}

/* This entry decides: requests may be refused, or pass, for what it says. @raw: its first eight bytes. */
PT_INLINE void pt_decides(struct pt_walk *w, struct pt_context *c, unsigned int stage, u64 gpa, u64 hpa,
			  u64 raw)
{
	c->entry[stage] = (struct pt_decided){ gpa, hpa, raw };
	if (PT_UNLIKELY(w->trace))
		c->refs[stage] = (u8)w->trace->n;
}

/* ---- refusing ---- */

/* @raw: of the entry at which look_up() or the request stops, or NULL for none; @native: the vendor's code, 0
 * to leave it to pt_vendor.native(). In fault.c. */
void pt_fault_of_request(struct pt_walk *w, unsigned int reason, u32 native, const struct pt_place *at,
			 const u64 *raw);

/* Inline, so that the compiler sees what it returns. */
PT_INLINE enum pt_verdict pt_refuse(struct pt_walk *w, unsigned int reason, u32 native,
				    const struct pt_place *at, const u64 *raw)
{
	pt_fault_of_request(w, reason, native, at, raw);
	return PT_FAULT;
}

/* For admit(). The trace ends with the first @refs references of look_up(): the rest was not read for this
 * request. In fault.c. */
void pt_forget(struct pt_walk *w, unsigned int refs);

/* For admit(). Refuses the request for what the deciding entry of @stage says of such requests. In
 * fault.c. */
enum pt_verdict pt_refuse_by(struct pt_walk *w, unsigned int reason, u32 native, unsigned int stage);

/* For admit(). Refuses the request for what stopped look_up(). In fault.c. */
enum pt_verdict pt_refused(struct pt_walk *w);

/* ---- admitting ---- */

/* On with the stages; @half: whose stage 1, as a constant where it is always the first. */
PT_INLINE enum pt_verdict pt_go(struct pt_walk *w, unsigned int half)
{
	w->half = (u8)half;
	w->s1 = w->c->s1[half];
	w->s2 = w->c->s2;
	return PT_GO;
}

#endif
