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

#include "pt_vendor.h"

#define PT_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PT_LIKELY(x) __builtin_expect(!!(x), 1)

/* Where the walk is: for the trace and for faults. */
struct pt_place {
	u8 stage, level, purpose, for_level;
	u64 gpa, hpa; /* of the entry */
};

/* The cold half of the walk, in memory.c and fault.c. */
const unsigned char *pt_bytes_far(struct pt_walk *w, u64 at, u64 len);
/* Fill *w->fault. Without @has_raw the entry could not be read, or there is none. */
void pt_fault(struct pt_walk *w, unsigned int reason, const struct pt_place *at, u64 input, bool has_raw,
	      u64 raw);
/* Append an entry to the trace; change what hardware leaves in the one appended @back before. */
void pt_note(struct pt_walk *w, const struct pt_place *at, u64 raw, unsigned int len);
void pt_updated(struct pt_walk *w, unsigned int back, u64 updated);
/* Hardware cannot set the flags of this entry, but goes on: pt_vendor.output() has the last word. */
void pt_leave(struct pt_walk *w, const struct pt_place *at, u64 input, u64 raw);

PT_INLINE int pt_stop(struct pt_walk *w, unsigned int reason, const struct pt_place *at, u64 input,
		      bool has_raw, u64 raw)
{
	pt_fault(w, reason, at, input, has_raw, raw);
	return 1;
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

/* Keeps @r as the region used last. An entry of 8 bytes may begin at its first near.words bytes: it must
 * lie in the region as a whole, and not begin beyond the last physical address. */
PT_INLINE void pt_keep_near(struct pt_walk *w, const struct iommu_abi_region *r)
{
	u64 last = w->unit->state[PT_PAS_LAST];

	w->near.first = r->first;
	w->near.words = r->size < 8 ? 0 : r->size - 7;
	w->near.data = r->data;
	if (PT_UNLIKELY(r->first + (r->size - 1) > last) && w->near.words) {
		if (last < r->first)
			w->near.words = 0;
		else if (w->near.words > last - r->first)
			w->near.words = last - r->first + 1;
	}
}

PT_INLINE bool pt_read(struct pt_walk *w, const struct pt_format *f, u64 at, u64 *raw)
{
	const unsigned char *p;
	u64 off = at - w->near.first;

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

/* A stage, and its rules for this request. */
struct pt_side {
	const struct pt_stage *s;
	const struct pt_rule *rules;
};

PT_INLINE struct pt_side pt_side_of(const struct pt_walk *w, const struct pt_stage *s)
{
	return (struct pt_side){ s, s->top == PT_OFF ? NULL : (*s->rules)[w->priv] };
}

PT_INLINE bool pt_allows(const struct pt_format *f, const struct pt_rule *r, unsigned int grant)
{
	if (f->has_never && r->never && (grant & r->never) == r->never)
		return false;
	return (grant & r->look) == r->need;
}

PT_INLINE unsigned int pt_rights(const struct pt_format *f, const struct pt_rule *rules, unsigned int grant)
{
	return (pt_allows(f, &rules[PT_JUDGE_R], grant) ? PT_R : 0) |
	       (pt_allows(f, &rules[PT_JUDGE_W], grant) ? PT_W : 0) |
	       (pt_allows(f, &rules[PT_JUDGE_X], grant) ? PT_X : 0);
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
	k->grant = PT_ALL;
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

PT_INLINE int pt_use(const struct pt_format *f, const struct pt_stage *s, u64 raw, const struct pt_rule *rule,
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
	if (PT_UNLIKELY(!pt_allows(f, rule, k->grant)))
		return pt_denied(f, rule->need & ~k->grant);
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

/* PT_W if a write wants this leaf dirty, it is clean, and hardware does not set the flag. */
PT_INLINE unsigned int pt_clean_faults(const struct pt_format *f, const struct pt_stage *s, u64 raw)
{
	return (f->ad_faults || f->unsnooped) && s->ad != PT_AD_SET && f->update(raw, true, PT_W, s) != raw
		       ? PT_W
		       : 0;
}

/* By which access does hardware set flags? An access that is both (pt_format.has_both) counts as a write
 * where the rights allow one, else as a read. */
PT_INLINE unsigned int pt_kind_of(const struct pt_format *f, const struct pt_rule *rules, unsigned int access,
				  unsigned int grant)
{
	if (!f->has_both || PT_LIKELY(access != (PT_R | PT_W)))
		return access;
	return pt_allows(f, &rules[PT_JUDGE_W], grant) ? PT_W : PT_R;
}

/* @purpose, @for_level: what this stage is walked for. @judge: by which rule; @access: the flags to set. */
PT_INLINE int pt_s2(struct pt_walk *w, const struct pt_format *f, struct pt_side side, bool tracing,
		    unsigned int purpose, unsigned int for_level, u64 in, unsigned int judge,
		    unsigned int access, struct pt_result *r)
{
	const struct pt_stage *s = side.s;
	struct pt_cursor k;
	u64 raw = 0;
	int rc;

	if (s->top == PT_OFF) {
		*r = (struct pt_result){ .out = in, .size_lg2 = PT_NO_SIZE, .grant = PT_ALL };
		return 0;
	}
	if (PT_UNLIKELY(in > s->in_span))
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
		rc = pt_use(f, s, raw, &side.rules[judge], &k, r);
		if (f->update && (tracing || f->ad_faults || f->unsnooped) && rc <= 0) {
			u64 updated =
				f->update(raw, rc == PT_END, pt_kind_of(f, side.rules, access, k.grant), s);

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

/* Hardware sets flags in the stage-1 entry at @gpa: does stage 2 let it write there? @vain: hardware
 * may not set them anyway (PT_AD_UNSNOOPED), so that no entry of stage 2 becomes dirty. */
static PT_COLD int pt_dirty(struct pt_walk *w, const struct pt_format *f2, unsigned int level, u64 gpa,
			    u64 updated, bool vain)
{
	struct pt_result r = { 0 };

	if (pt_s2(w, f2, pt_side_of(w, &w->s2), false, IOMMU_ABI_FOR_S1_UPDATE, level, gpa, PT_JUDGE_W,
		  vain ? PT_R : PT_W, &r)) {
		if (w->fault->reason == IOMMU_ABI_DENIED || w->fault->reason == IOMMU_ABI_ACCESS_FLAG)
			w->fault->reason = IOMMU_ABI_UPDATE_DENIED;
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

/* pt_clean_faults() for a leaf of stage 1, in which hardware can set flags only if stage 2 lets it write
 * there. @entry: how stage 2 maps the leaf's own address. */
PT_INLINE unsigned int pt_clean_s1(const struct pt_format *f, const struct pt_stage *s,
				   const struct pt_format *f2, struct pt_side s2, u64 raw,
				   const struct pt_result *entry)
{
	if (f->update(raw, true, PT_W, s) == raw)
		return 0;
	if (s2.s->top != PT_OFF && !pt_allows(f2, &s2.rules[PT_JUDGE_W], entry->grant))
		return PT_W;
	return pt_clean_faults(f, s, raw) | entry->barred;
}

PT_INLINE int pt_s1(struct pt_walk *w, const struct pt_format *f, struct pt_side side,
		    const struct pt_format *f2, struct pt_side s2, bool tracing, struct pt_result *r)
{
	const struct pt_stage *s = side.s;
	u64 in = w->iova;
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

		if (PT_UNLIKELY(pt_s2(w, f2, s2, tracing, IOMMU_ABI_FOR_S1_ENTRY, level, gpa, PT_JUDGE_TABLE,
				      PT_R, &entry)))
			return 1;
		if (PT_UNLIKELY(!pt_read(w, f, entry.out, &raw)))
			return pt_stop(w, IOMMU_ABI_UNREADABLE,
				       PT_PLACE(IOMMU_ABI_S1, level, 0, 0, gpa, entry.out), in, false, 0);
		if (tracing)
			pt_note(w, PT_PLACE(IOMMU_ABI_S1, level, 0, 0, gpa, entry.out), raw,
				1u << f->entry_lg2);
		rc = pt_use(f, s, raw, &side.rules[w->judge], &k, r);
		updated = rc > 0 ? raw
				 : f->update(raw, rc == PT_END, pt_kind_of(f, side.rules, w->access, k.grant),
					     s);
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
			r->barred = pt_clean_s1(f, s, f2, s2, updated, &entry);
	} while (rc == PT_BELOW);
	return 0;
}

/* ---- windows ---- */

/* For pt_vendor.window: the last address that lies, as @addr does, before, in or behind the window. */
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

#endif
