/* SPDX-License-Identifier: MIT */
/*
 * pt_walk.h - the walk. Included by each vendor's file and instantiated there with const
 * formats, so that the compiler folds geometry and decoding into it.
 *
 * One stage is a loop over levels that only ever goes down, so it ends after at most
 * PT_MAX_LEVELS entries whatever they hold. A stage-1 entry lies at an address that
 * stage 2 translates: pt_s1() reads each entry through pt_s2().
 */
#ifndef IOMMU_ABI_PT_WALK_H
#define IOMMU_ABI_PT_WALK_H

#include <string.h>

#include "pt.h"

#define PT_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PT_LIKELY(x) __builtin_expect(!!(x), 1)

/* A pt_rule: rights that must be granted, and rights that must not. */
#define PT_NEED(need_, forbid_)                           \
	{                                                 \
		(u8)((need_) | (forbid_)), (u8)(need_), 0 \
	}

/* Where the walk is: for the trace and for faults. */
struct pt_place {
	u8 stage, level, purpose, for_level;
	u64 gpa, hpa; /* of the entry */
};

/* The cold half of the walk, in walk.c. */
const unsigned char *pt_bytes_far(struct pt_walk *w, u64 at, u64 len);
/* Fill w->out->fault. Without @has_raw the entry could not be read, or there is none. */
void pt_fault(struct pt_walk *w, unsigned int reason, const struct pt_place *at, u64 input, bool has_raw,
	      u64 raw);
/* Append an entry to the trace; change what hardware leaves in the one appended @back before. */
void pt_note(struct pt_walk *w, const struct pt_place *at, u64 raw, unsigned int len);
void pt_updated(struct pt_walk *w, unsigned int back, u64 updated);

/* The same for resolve(), where the input is the request's. @raw: of the entry, or NULL for none;
 * @native: the vendor's code, 0 to leave it to pt_vendor.native(). */
void pt_fault_of_request(struct pt_walk *w, unsigned int reason, u32 native, const struct pt_place *at,
			 const u64 *raw);

/* Inline, so that the compiler sees what it returns. */
PT_INLINE enum pt_verdict pt_refuse(struct pt_walk *w, unsigned int reason, u32 native,
				    const struct pt_place *at, const u64 *raw)
{
	pt_fault_of_request(w, reason, native, at, raw);
	return PT_FAULT;
}

PT_INLINE int pt_stop(struct pt_walk *w, unsigned int reason, const struct pt_place *at, u64 input,
		      bool has_raw, u64 raw)
{
	pt_fault(w, reason, at, input, has_raw, raw);
	return 1;
}

/* Hardware cannot set the flags of this entry, but goes on: pt_vendor.output() has the last word. In walk.c. */
void pt_leave(struct pt_walk *w, const struct pt_place *at, u64 input, u64 raw);

/* Begin with a request, which may change between walks: pt_begin() before each, which has both stages off
 * until the vendor fills them. In walk.c. */
bool pt_sensible(const struct iommu_abi_request *q, const struct pt_vendor *v);
void pt_open(struct pt_walk *w, const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
	     const struct iommu_abi_request *q, struct iommu_abi_trace *trace,
	     struct iommu_abi_translation *out);

PT_INLINE void pt_begin(struct pt_walk *w, const struct pt_vendor *v)
{
	w->f1 = v->f1;
	w->f2 = v->f2;
	w->s1.top = w->s2.top = PT_OFF;
	w->s1_lg2 = w->s2_lg2 = 0;
	w->pas_last = ~0ull;
	w->flags = 0;
	w->alias = w->lone = false;
	w->unset.reason = 0;
	w->access = w->q->access;
	w->judge = (u8)(w->q->access >> 1);
	memset(w->out, 0, sizeof(*w->out));
}

/* ---- memory ---- */

/* A load of any alignment that happens once, although others may write meanwhile. */
struct pt_word64 {
	u64 v;
} __attribute__((packed, may_alias));
struct pt_word32 {
	u32 v;
} __attribute__((packed, may_alias));

PT_INLINE u64 pt_load64(const void *p)
{
	u64 v = ((const volatile struct pt_word64 *)p)->v;

	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(v) : v;
}

PT_INLINE u64 pt_load32(const void *p)
{
	u32 v = ((const volatile struct pt_word32 *)p)->v;

	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap32(v) : v;
}

PT_INLINE bool pt_read(struct pt_walk *w, const struct pt_format *f, u64 at, u64 *raw)
{
	const unsigned char *p;
	u64 off = at - w->near.first;

	if (f->checks_pas && PT_UNLIKELY(at > w->pas_last))
		return false;
	if (PT_UNLIKELY(off >= w->near.words)) {
		p = pt_bytes_far(w, at, 1u << f->entry_lg2);
		if (!p)
			return false;
	} else {
		p = w->near.data + off;
	}
	*raw = f->entry_lg2 == 2 ? pt_load32(p) : pt_load64(p);
	if (f->big_endian)
		*raw = __builtin_bswap64(*raw);
	return true;
}

/* ---- one stage ---- */

struct pt_cursor {
	u64 va; /* bits of the input that are translated */
	u64 at; /* address of the entry that is next */
	unsigned int level, grant;
	unsigned int shift; /* of va, for the byte offset of an entry in a table of this level */
};

struct pt_result {
	u64 out;
	unsigned int size_lg2, grant;
	unsigned int barred; /* PT_W where a write needs a flag that stays clear */
};

enum { PT_NO_SIZE = 63 }; /* of a stage that is off */

PT_INLINE bool pt_allows(const struct pt_format *f, const struct pt_stage *s, unsigned int grant,
			 unsigned int judge)
{
	const struct pt_rule *r = &s->rule[judge];

	if (f->has_never && r->never && (grant & r->never) == r->never)
		return false;
	return (grant & r->look) == r->need;
}

PT_INLINE unsigned int pt_rights(const struct pt_format *f, const struct pt_stage *s, unsigned int grant)
{
	return (pt_allows(f, s, grant, PT_JUDGE_R) ? PT_R : 0) |
	       (pt_allows(f, s, grant, PT_JUDGE_W) ? PT_W : 0) |
	       (pt_allows(f, s, grant, PT_JUDGE_X) ? PT_X : 0);
}

PT_INLINE unsigned int pt_shift(const struct pt_format *f, unsigned int level)
{
	return f->granule_lg2 + f->index_lg2 * level - f->entry_lg2;
}

PT_INLINE void pt_start(const struct pt_format *f, const struct pt_stage *s, u64 in, struct pt_cursor *k)
{
	k->va = in & s->in_mask;
	k->level = s->top;
	k->shift = pt_shift(f, s->top);
	k->grant = s->grant;
	/* the root's index is whatever is left above the tables below it */
	k->at = s->root + (k->va >> k->shift & ~0ull << f->entry_lg2);
}

/* What one entry means for the walk: go on below, the end, or a reason to stop. */
enum { PT_BELOW = -1, PT_END = 0 };

/* Down to the table at @base: of the next level, or of one that the entry names. */
PT_INLINE int pt_descend(const struct pt_format *f, u64 base, unsigned int next, struct pt_cursor *k)
{
	const u64 index = (1ull << f->index_lg2) - 1;
	unsigned int above = k->shift;

	k->shift = f->skips ? pt_shift(f, next) : k->shift - f->index_lg2;
	k->level = f->skips ? next : k->level - 1;
	/* index bits of levels that are left out must be 0 */
	if (f->skips && PT_UNLIKELY(above - k->shift > f->index_lg2) &&
	    (k->va >> f->entry_lg2 & (~(~0ull << above))) >> k->shift >> f->index_lg2)
		return IOMMU_ABI_INPUT_RANGE;
	k->at = base + (k->va >> k->shift & index << f->entry_lg2);
	return PT_BELOW;
}

PT_INLINE int pt_denied(const struct pt_format *f, unsigned int missing)
{
	if (f->user_last)
		return missing == PT_USER ? IOMMU_ABI_PRIVILEGE : IOMMU_ABI_DENIED;
	return missing & PT_USER ? IOMMU_ABI_PRIVILEGE : IOMMU_ABI_DENIED;
}

PT_INLINE int pt_use(const struct pt_format *f, const struct pt_stage *s, u64 raw, unsigned int judge,
		     struct pt_cursor *k, struct pt_result *r)
{
	struct pt_entry e = f->decode(raw, k->level, s);

	if (PT_UNLIKELY(e.kind == PT_EMPTY))
		return IOMMU_ABI_NOT_PRESENT;
	if (f->has_rsvd && PT_UNLIKELY(raw & s->rsvd[e.kind == PT_LEAF][k->level]))
		return IOMMU_ABI_RESERVED;
	if (f->checks_out && PT_UNLIKELY(e.base > s->out_last))
		return IOMMU_ABI_OUTPUT_RANGE;
	if (PT_UNLIKELY(e.bad))
		return e.bad;
	k->grant &= e.grant;
	if (e.kind == PT_TABLE)
		return pt_descend(f, e.base, e.next, k);
	if (PT_UNLIKELY(!pt_allows(f, s, k->grant, judge)))
		return pt_denied(f, s->rule[judge].need & ~k->grant);
	if (PT_UNLIKELY(e.late))
		return e.late;
	/* the page's address, and below its size the input's bits */
	r->out = k->va ^ ((k->va ^ e.base) & ~0ull << e.size_lg2);
	r->size_lg2 = e.size_lg2;
	r->grant = k->grant;
	r->barred = 0;
	return PT_END;
}

#define PT_PLACE(st, lv, pu, fl, g, h)                    \
	(&(const struct pt_place){ .stage = (u8)(st),     \
				   .level = (u8)(lv),     \
				   .purpose = (u8)(pu),   \
				   .for_level = (u8)(fl), \
				   .gpa = (g),            \
				   .hpa = (h) })

/* PT_W if this leaf must be dirty for a write, is not, and hardware does not make it so. */
PT_INLINE unsigned int pt_clean_faults(const struct pt_format *f, const struct pt_stage *s, u64 raw)
{
	return (f->ad_faults || f->unsnooped) && s->ad != PT_AD_SET && f->update(raw, true, PT_W, s) != raw
		       ? PT_W
		       : 0;
}

/* The flags that a page of these rights needs: with pt_format.has_both an access may be of two kinds. */
PT_INLINE unsigned int pt_kind_of(const struct pt_format *f, const struct pt_stage *s, unsigned int access,
				  unsigned int grant)
{
	if (!f->has_both || PT_LIKELY(access != (PT_R | PT_W)))
		return access;
	return pt_allows(f, s, grant, PT_JUDGE_W) ? PT_W : PT_R;
}

/* @purpose, @for_level: what this stage is walked for. @judge: by which rule; @access: the flags to set. */
PT_INLINE int pt_s2(struct pt_walk *w, const struct pt_format *f, bool tracing, unsigned int purpose,
		    unsigned int for_level, u64 in, unsigned int judge, unsigned int access,
		    struct pt_result *r)
{
	const struct pt_stage *s = &w->s2;
	struct pt_cursor k;
	u64 raw = 0;
	int rc;

	if (s->top == PT_OFF) {
		*r = (struct pt_result){ .out = in, .size_lg2 = PT_NO_SIZE, .grant = PT_ALL };
		return 0;
	}
	if (PT_UNLIKELY(in - s->in_first > s->in_span))
		return pt_stop(w, IOMMU_ABI_INPUT_RANGE,
			       PT_PLACE(IOMMU_ABI_S2, s->top, purpose, for_level, 0, 0), in, false, 0);
	pt_start(f, s, in, &k);
	do {
		unsigned int level = k.level;
		u64 at = k.at;

		if (PT_UNLIKELY(!pt_read(w, f, at, &raw)))
			return pt_stop(w, IOMMU_ABI_UNREADABLE,
				       PT_PLACE(IOMMU_ABI_S2, level, purpose, for_level, at, at), in, false,
				       0);
		if (tracing)
			pt_note(w, PT_PLACE(IOMMU_ABI_S2, level, purpose, for_level, at, at), raw,
				1u << f->entry_lg2);
		rc = pt_use(f, s, raw, judge, &k, r);
		if (f->update && (tracing || f->ad_faults || f->unsnooped) && rc <= 0) {
			u64 updated = f->update(raw, rc == PT_END, pt_kind_of(f, s, access, k.grant), s);

			if (f->ad_faults && updated != raw && s->ad == PT_AD_FAULT)
				rc = IOMMU_ABI_ACCESS_FLAG;
			else if (f->unsnooped && updated != raw && s->ad == PT_AD_UNSNOOPED)
				pt_leave(w, PT_PLACE(IOMMU_ABI_S2, level, purpose, for_level, at, at), in,
					 raw);
			else if (tracing)
				pt_updated(w, 0, updated);
			if (rc == PT_END)
				r->barred = pt_clean_faults(f, s, raw);
		}
		if (PT_UNLIKELY(rc > 0)) {
			w->granted = (u8)k.grant;
			return pt_stop(w, (unsigned int)rc,
				       PT_PLACE(IOMMU_ABI_S2, level, purpose, for_level, at, at), in, true,
				       raw);
		}
	} while (rc == PT_BELOW);
	return 0;
}

/* Hardware sets flags in the stage-1 entry at @gpa: does stage 2 let that write through? @vain: it fails
 * all the same. */
static PT_COLD int pt_dirty(struct pt_walk *w, const struct pt_format *f2, unsigned int level, u64 gpa,
			    u64 updated, bool vain)
{
	struct pt_result r = { 0 };

	if (pt_s2(w, f2, false, IOMMU_ABI_FOR_S1_UPDATE, level, gpa, PT_JUDGE_W, vain ? PT_R : PT_W, &r)) {
		if (w->out->fault.reason == IOMMU_ABI_DENIED || w->out->fault.reason == IOMMU_ABI_ACCESS_FLAG)
			w->out->fault.reason = IOMMU_ABI_UPDATE_DENIED;
		return 1;
	}
	if (w->trace && !vain) {
		pt_updated(w, 0, updated);
		if (f2->update && w->s2.top != PT_OFF) {
			/* the write also dirties the stage-2 leaf, which was read just before */
			u32 n = w->trace->n;
			u64 leaf = n >= 2 && n <= IOMMU_ABI_MAX_REFS ? w->trace->refs[n - 2].updated : 0;

			pt_updated(w, 1, f2->update(leaf, true, PT_W, &w->s2));
		}
	}
	return 0;
}

/* The same for a leaf of stage 1, whose flags hardware can set only where stage 2 lets it. @entry: how
 * stage 2 maps the leaf itself. */
PT_INLINE unsigned int pt_clean_s1(struct pt_walk *w, const struct pt_format *f, const struct pt_format *f2,
				   u64 raw, const struct pt_result *entry)
{
	if (f->update(raw, true, PT_W, &w->s1) == raw)
		return 0;
	if (w->s2.top != PT_OFF && !pt_allows(f2, &w->s2, entry->grant, PT_JUDGE_W))
		return PT_W;
	return pt_clean_faults(f, &w->s1, raw) | entry->barred;
}

PT_INLINE int pt_s1(struct pt_walk *w, const struct pt_format *f, const struct pt_format *f2, bool tracing,
		    struct pt_result *r)
{
	const struct pt_stage *s = &w->s1;
	u64 in = w->q->iova;
	struct pt_cursor k;
	u64 raw = 0;
	int rc;

	if (s->top == PT_OFF) {
		*r = (struct pt_result){ .out = in, .size_lg2 = PT_NO_SIZE, .grant = PT_ALL };
		return 0;
	}
	if (PT_UNLIKELY(in - s->in_first > s->in_span))
		return pt_stop(w, IOMMU_ABI_INPUT_RANGE, PT_PLACE(IOMMU_ABI_S1, s->top, 0, 0, 0, 0), in,
			       false, 0);
	pt_start(f, s, in, &k);
	do {
		unsigned int level = k.level;
		u64 gpa = k.at, updated;
		struct pt_result entry = { 0 };

		if (PT_UNLIKELY(pt_s2(w, f2, tracing, IOMMU_ABI_FOR_S1_ENTRY, level, gpa, PT_JUDGE_TABLE,
				      PT_R, &entry)))
			return 1;
		if (PT_UNLIKELY(!pt_read(w, f, entry.out, &raw)))
			return pt_stop(w, IOMMU_ABI_UNREADABLE,
				       PT_PLACE(IOMMU_ABI_S1, level, 0, 0, gpa, entry.out), in, false, 0);
		if (tracing)
			pt_note(w, PT_PLACE(IOMMU_ABI_S1, level, 0, 0, gpa, entry.out), raw,
				1u << f->entry_lg2);
		rc = pt_use(f, s, raw, w->judge, &k, r);
		updated =
			rc > 0 ? raw : f->update(raw, rc == PT_END, pt_kind_of(f, s, w->access, k.grant), s);
		if (f->ad_faults && updated != raw && s->ad == PT_AD_FAULT)
			rc = IOMMU_ABI_ACCESS_FLAG;
		if (PT_UNLIKELY(rc > 0))
			return pt_stop(w, (unsigned int)rc,
				       PT_PLACE(IOMMU_ABI_S1, level, 0, 0, gpa, entry.out), in, true, raw);
		if (PT_UNLIKELY(updated != raw)) {
			bool vain = f->unsnooped && s->ad == PT_AD_UNSNOOPED;

			if (pt_dirty(w, f2, level, gpa, updated, vain))
				return 1;
			if (vain)
				pt_leave(w, PT_PLACE(IOMMU_ABI_S1, level, 0, 0, gpa, entry.out), in, raw);
		}
		if (rc == PT_END && w->access != PT_W)
			r->barred = pt_clean_s1(w, f, f2, updated, &entry);
	} while (rc == PT_BELOW);
	return 0;
}

/* ---- device and PASID tables ---- */

/* @n words of an entry, of which @hpa and @gpa are the addresses; false: a fault is in w->out. */
PT_INLINE bool pt_read_entry(struct pt_walk *w, unsigned int stage, unsigned int level, u64 gpa, u64 hpa,
			     unsigned int n, u64 *q)
{
	u64 off = hpa - w->near.first;
	const unsigned char *p;

	if (PT_UNLIKELY(hpa > w->pas_last))
		return !pt_stop(w, IOMMU_ABI_UNREADABLE, PT_PLACE(stage, level, 0, 0, gpa, hpa), w->q->iova,
				false, 0);
	if (PT_UNLIKELY(off >= w->near.words || (n > 1 && w->near.words - off <= 8 * (n - 1)))) {
		p = pt_bytes_far(w, hpa, 8 * n);
		if (!p)
			return !pt_stop(w, IOMMU_ABI_UNREADABLE, PT_PLACE(stage, level, 0, 0, gpa, hpa),
					w->q->iova, false, 0);
	} else {
		p = w->near.data + off;
	}
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

/* The same for an entry of a PASID table in GPA, read through the stage 2 that w->s2 describes
 * already. @at: stage and level given, the addresses are filled in for later faults. */
PT_INLINE bool pt_read_gpa(struct pt_walk *w, const struct pt_format *f2, struct pt_place *at, u64 gpa,
			   unsigned int n, u64 *q)
{
	struct pt_result r = { 0 };

	if (pt_s2(w, f2, w->trace, IOMMU_ABI_FOR_PASID_ENTRY, at->level, gpa, PT_JUDGE_TABLE, PT_R, &r))
		return false;
	at->gpa = gpa;
	at->hpa = r.out;
	return pt_read_entry(w, at->stage, at->level, gpa, r.out, n, q);
}

/* For pt_vendor.window: the last address on the same side of a window's edges. */
PT_INLINE u64 pt_beside(u64 addr, u64 first, u64 last)
{
	return addr < first ? first - 1 : addr <= last ? last : ~0ull;
}

/* lg2 of the largest aligned block around @addr without the window of 2^@lg2 bytes at @first; at least @lg2.
 * @addr lies outside it. */
PT_INLINE unsigned int pt_apart(u64 addr, u64 first, unsigned int lg2)
{
	u64 apart = (addr ^ first) >> lg2;

	return lg2 + 63 - (unsigned int)__builtin_clzll(apart | 1);
}

/* ---- the whole job ---- */

/* What lies behind resolve(). */
PT_INLINE int pt_stages(const struct pt_vendor *v, const struct pt_format *f1, const struct pt_format *f2,
			struct pt_walk *w, bool tracing)
{
	struct iommu_abi_translation *out = w->out;
	enum pt_verdict verdict = PT_GO;
	struct pt_result r1 = { 0 }, r2 = { 0 };

	if (PT_UNLIKELY(pt_s1(w, f1, f2, tracing, &r1)))
		return 1;
	w->s1_lg2 = (u8)r1.size_lg2;
	out->gpa = r1.out;
	out->access = w->report & (u8)~r1.barred;
	if (w->s1.top != PT_OFF)
		out->access &= pt_rights(f1, &w->s1, r1.grant);
	out->size_lg2 = (u8)r1.size_lg2;
	if (v->intercept)
		verdict = v->intercept(w, r1.out);
	if (verdict == PT_FAULT)
		return 1;
	if (verdict == PT_GO) {
		unsigned int access = w->access;

		if (f2->has_both && PT_UNLIKELY(access == (PT_R | PT_W)) && !(out->access & PT_W))
			access = PT_R;
		if (PT_UNLIKELY(pt_s2(w, f2, tracing, IOMMU_ABI_FOR_DATA, 0, r1.out, w->judge, access, &r2)))
			return 1;
		w->s2_lg2 = (u8)r2.size_lg2;
		out->hpa = r2.out;
		out->access &= (u8)~r2.barred;
		if (w->s2.top != PT_OFF)
			out->access &= pt_rights(f2, &w->s2, r2.grant);
		if (r2.size_lg2 < out->size_lg2)
			out->size_lg2 = (u8)r2.size_lg2;
	}
	if (out->size_lg2 == PT_NO_SIZE)
		out->size_lg2 = 12;
	return v->output && v->output(w) == PT_FAULT;
}

PT_INLINE int pt_translate(const struct pt_vendor *v, const struct pt_format *f1, const struct pt_format *f2,
			   struct pt_walk *w, bool tracing)
{
	enum pt_verdict verdict = v->resolve(w);

	if (PT_UNLIKELY(verdict != PT_GO))
		return verdict == PT_FAULT;
	return pt_stages(v, f1, f2, w, tracing);
}

#define PT_TRANSLATE(vendor, f1, f2)                                                     \
	static int vendor##_translate(struct pt_walk *w)                                 \
	{                                                                                \
		return w->trace ? pt_translate(&pt_vendor_##vendor, &f1, &f2, w, true)   \
				: pt_translate(&pt_vendor_##vendor, &f1, &f2, w, false); \
	}

#endif
