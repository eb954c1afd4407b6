/* SPDX-License-Identifier: MIT */
/* pt_stages.h - the stages of a request that admit() let through, and what comes of them. */
#ifndef IOMMU_ABI_PT_STAGES_H
#define IOMMU_ABI_PT_STAGES_H

#include "pt_plain.h"

/* Walks the stages that admit() chose, stage 1 first, and fills *w->out; 1: a fault is in *w->out. */
PT_INLINE int pt_stages(const struct pt_vendor *v, const struct pt_format *f1, const struct pt_format *f2,
			struct pt_walk *w, bool tracing)
{
	struct iommu_abi_translation *out = w->out;
	struct pt_side s1 = pt_side_of(w, &w->s1), s2 = pt_side_of(w, &w->s2);
	struct pt_result r1 = { 0 }, r2 = { 0 };
	unsigned int rights, size_lg2, access;

	if (!(f1->plain && f2->plain && !tracing && pt_plain_s1(w, f1, s1, f2, s2, &r1)) &&
	    PT_UNLIKELY(pt_s1(w, f1, s1, f2, s2, tracing, &r1)))
		return 1;
	w->s1_lg2 = (u8)r1.size_lg2;
	rights = w->report & ~r1.barred;
	if (s1.s->top != PT_OFF)
		rights &= pt_rights(f1, s1.rules, r1.grant);
	out->gpa = r1.out;
	if (v->intercept) {
		enum pt_verdict verdict;

		out->access = (u8)rights;
		out->size_lg2 = r1.size_lg2 == PT_NO_SIZE ? 12 : (u8)r1.size_lg2;
		verdict = v->intercept(w, r1.out);
		if (PT_UNLIKELY(verdict != PT_GO))
			return verdict == PT_FAULT || (v->output && v->output(w) == PT_FAULT);
	}
	access = w->access;
	if (f2->has_both && PT_UNLIKELY(access == (PT_R | PT_W)) && !(rights & PT_W))
		access = PT_R;
	if (!(f2->plain && !tracing && pt_plain_s2(w, f2, s2, r1.out, w->judge, access, &r2)) &&
	    PT_UNLIKELY(pt_s2(w, f2, s2, tracing, IOMMU_ABI_FOR_DATA, 0, r1.out, w->judge, access, &r2)))
		return 1;
	w->s2_lg2 = (u8)r2.size_lg2;
	rights &= ~r2.barred;
	if (s2.s->top != PT_OFF)
		rights &= pt_rights(f2, s2.rules, r2.grant);
	size_lg2 = r1.size_lg2 < r2.size_lg2 ? r1.size_lg2 : r2.size_lg2;
	out->hpa = r2.out;
	out->access = (u8)rights;
	out->size_lg2 = size_lg2 == PT_NO_SIZE ? 12 : (u8)size_lg2;
	return v->output && v->output(w) == PT_FAULT;
}

#define PT_TRANSLATE(vendor, f1, f2)                                                  \
	static int vendor##_translate(struct pt_walk *w)                              \
	{                                                                             \
		enum pt_verdict verdict = vendor##_admit(w);                          \
                                                                                      \
		if (PT_UNLIKELY(verdict != PT_GO))                                    \
			return verdict == PT_FAULT;                                   \
		return w->trace ? pt_stages(&pt_vendor_##vendor, &f1, &f2, w, true)   \
				: pt_stages(&pt_vendor_##vendor, &f1, &f2, w, false); \
	}

#endif
