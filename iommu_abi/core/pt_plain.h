/* SPDX-License-Identifier: MIT */
/*
 * pt_plain.h - the walk over plain entries: those in which nothing is to be refused, set or looked at twice.
 *
 * Nearly all entries of tables in use are plain, and a mask and a compare say so. A stage whose entries all are has the
 * result that pt_walk.h would give; where one is not, pt_walk.h begins that stage anew and alone says why it
 * stops. So there are no faults here, no traces, and no second opinion: fuzz targets hold the two together.
 */
#ifndef IOMMU_ABI_PT_PLAIN_H
#define IOMMU_ABI_PT_PLAIN_H

#include "pt_walk.h"

/* The entry at @at; false: it is not in the region used last. */
PT_INLINE bool pt_plain_read(const struct pt_walk *w, u64 at, u64 *raw)
{
	u64 off = at - w->near.first;

	if (PT_UNLIKELY(off >= w->near.words))
		return false;
	*raw = pt_load64(w->near.data + off);
	return true;
}

PT_INLINE u64 pt_plain_address(const struct pt_format *f, u64 raw)
{
	return (raw & f->plain_address) << f->plain_up;
}

/* A table of level 0, and what was granted above it. */
struct pt_bottom {
	u64 key; /* inputs of this number have it: those bits above its own */
	u64 table;
	u64 tables; /* entries of all levels above, ANDed */
};

enum { PT_NO_KEY = -1 };

PT_INLINE u64 pt_bottom_key(const struct pt_format *f, u64 in)
{
	return in >> (f->granule_lg2 + f->index_lg2);
}

/* What was read: the page's entry, those above it ANDed, its level. */
struct pt_plain_end {
	u64 tables, page;
	unsigned int level;
};

/* Down stage 2 to the entry of a page of level 0 or 1; false: an entry is not plain. */
PT_INLINE bool pt_plain_down(const struct pt_walk *w, const struct pt_format *f, const struct pt_stage *s,
			     const struct pt_plain *p, u64 in, struct pt_bottom *bottom,
			     struct pt_plain_end *end)
{
	const u64 index = ((1ull << f->index_lg2) - 1) << f->entry_lg2;
	u64 va = in & s->in_mask, tables = ~0ull, table = s->root, at, raw;
	unsigned int level = s->top, shift = pt_shift(f, s->top);

	if (PT_UNLIKELY(in > s->in_span))
		return false;
	at = table + (va >> shift & ~0ull << f->entry_lg2);
	for (; level; level--) {
		if (!pt_plain_read(w, at, &raw))
			return false;
		if (PT_UNLIKELY((raw & p->table) != p->table_is + level * f->plain_step)) {
			*end = (struct pt_plain_end){ tables, raw, level };
			return level == 1 && (raw & p->large) == p->large_is;
		}
		tables &= raw;
		shift -= f->index_lg2;
		table = pt_plain_address(f, raw);
		at = table + (va >> shift & index);
	}
	if (bottom && s->top)
		*bottom = (struct pt_bottom){ pt_bottom_key(f, in), table, tables };
	if (!pt_plain_read(w, at, &raw))
		return false;
	*end = (struct pt_plain_end){ tables, raw, 0 };
	return (raw & p->page) == p->page_is;
}

/* The same for an address near that of @bottom, as stage-1 tables often lie together. */
PT_INLINE bool pt_plain_near(const struct pt_walk *w, const struct pt_format *f, const struct pt_stage *s,
			     const struct pt_plain *p, u64 in, struct pt_bottom *bottom,
			     struct pt_plain_end *end)
{
	const u64 index = ((1ull << f->index_lg2) - 1) << f->entry_lg2;
	u64 raw;

	if (pt_bottom_key(f, in) != bottom->key)
		return pt_plain_down(w, f, s, p, in, bottom, end);
	if (PT_UNLIKELY(in > s->in_span) ||
	    !pt_plain_read(w, bottom->table + (in >> pt_shift(f, 0) & index), &raw))
		return false;
	*end = (struct pt_plain_end){ bottom->tables, raw, 0 };
	return (raw & p->page) == p->page_is;
}

PT_INLINE u64 pt_plain_out(const struct pt_format *f, const struct pt_plain_end *end, u64 in,
			   unsigned int *size_lg2)
{
	*size_lg2 = f->granule_lg2 + f->index_lg2 * end->level;
	return in ^ ((in ^ pt_plain_address(f, end->page)) & ~0ull << *size_lg2);
}

PT_INLINE unsigned int pt_plain_grant(const struct pt_format *f, const struct pt_stage *s,
				      const struct pt_plain_end *end)
{
	unsigned int grant = f->decode(end->page, end->level, s).grant;

	return s->top > end->level ? grant & f->decode(end->tables, end->level + 1, s).grant : grant;
}

/* As pt_s2() for data; false: not plain. */
PT_INLINE bool pt_plain_s2(const struct pt_walk *w, const struct pt_format *f, struct pt_side side, u64 in,
			   unsigned int judge, unsigned int access, struct pt_result *r)
{
	const struct pt_stage *s = side.s;
	struct pt_plain_end end = { 0 };
	struct pt_plain p = { 0 };

	if (s->top == PT_OFF || !f->plain(s, &side.rules[judge], access, &p) ||
	    !pt_plain_down(w, f, s, &p, in, NULL, &end))
		return false;
	r->out = pt_plain_out(f, &end, in & s->in_mask, &r->size_lg2);
	r->grant = pt_plain_grant(f, s, &end);
	r->barred = pt_clean_faults(f, s, end.page);
	return true;
}

/* As pt_s1(), which is on; @nested: stage 2 is too. false: not plain. */
PT_INLINE bool pt_plain_tables(const struct pt_walk *w, const struct pt_format *f, struct pt_side side,
			       const struct pt_format *f2, struct pt_side s2, bool nested,
			       struct pt_result *r)
{
	const u64 index = ((1ull << f->index_lg2) - 1) << f->entry_lg2;
	const struct pt_stage *s = side.s;
	struct pt_bottom bottom = { .key = (u64)PT_NO_KEY };
	struct pt_plain_end end = { .tables = ~0ull, .level = s->top }, entry = { 0 };
	unsigned int shift = pt_shift(f, s->top), lg2;
	u64 va = w->iova & s->in_mask, at = s->root + (va >> shift & ~0ull << f->entry_lg2);
	struct pt_result by = { .grant = PT_ALL };
	struct pt_plain p = { 0 }, p2 = { 0 };

	if (!f->plain(s, &side.rules[w->judge], w->access, &p) ||
	    (nested && !f2->plain(s2.s, &s2.rules[PT_JUDGE_TABLE], PT_R, &p2)) ||
	    PT_UNLIKELY(w->iova - s->in_first > s->in_span))
		return false;
	for (;; end.level--) {
		if (nested) {
			if (!pt_plain_near(w, f2, s2.s, &p2, at, &bottom, &entry))
				return false;
			at = pt_plain_out(f2, &entry, at, &lg2);
		}
		if (!pt_plain_read(w, at, &end.page))
			return false;
		if (!end.level)
			break;
		if (PT_UNLIKELY((end.page & p.table) != p.table_is + end.level * f->plain_step))
			break;
		end.tables &= end.page;
		shift -= f->index_lg2;
		at = pt_plain_address(f, end.page) + (va >> shift & index);
	}
	if (PT_UNLIKELY(end.level ? end.level > 1 || (end.page & p.large) != p.large_is
				  : (end.page & p.page) != p.page_is))
		return false;
	r->out = pt_plain_out(f, &end, va, &r->size_lg2);
	r->grant = pt_plain_grant(f, s, &end);
	r->barred = 0;
	if (w->access == PT_W)
		return true;
	if (nested) {
		by.grant = pt_plain_grant(f2, s2.s, &entry);
		by.barred = pt_clean_faults(f2, s2.s, entry.page);
	}
	r->barred = pt_clean_s1(f, s, f2, s2, end.page, &by);
	return true;
}

/* As pt_s1(); false: not plain. */
PT_INLINE bool pt_plain_s1(const struct pt_walk *w, const struct pt_format *f, struct pt_side side,
			   const struct pt_format *f2, struct pt_side s2, struct pt_result *r)
{
	if (side.s->top == PT_OFF)
		return false;
	return s2.s->top == PT_OFF ? pt_plain_tables(w, f, side, f2, s2, false, r)
				   : pt_plain_tables(w, f, side, f2, s2, true, r);
}

#endif
