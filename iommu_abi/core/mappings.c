/* SPDX-License-Identifier: MIT */
/*
 * mappings.c - the public half of iommu_abi/mappings.h: enumeration by asking the walk.
 *
 * Translate one address, find out how far around it the answer must hold, go on behind
 * that. Nothing is kept but the address, so that hostile tables cost time and nothing
 * else, and the caller says how much of it per call.
 *
 * How far an answer holds: to the end of what the entry at which the walk ended stands for,
 * in each stage; to the edge of a window that the vendor names; and never across a power of
 * two, counted from 0 or from the top, because every limit of an input range is one.
 */
#include <errno.h>

#include "iommu_abi/mappings.h"
#include "pt_request.h"

/* ---- how far ---- */

PT_INLINE u64 least(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* Bytes behind @at up to the end of its aligned block. */
PT_INLINE u64 in_block(u64 at, unsigned int lg2)
{
	return lg2 > 63 ? ~at : ~at & ((1ull << lg2) - 1);
}

/* Bytes behind @at up to the next power of two, in the upper half up to its negative. */
static u64 in_width(u64 at)
{
	if (!(at >> 12) || !(~at >> 12))
		return in_block(at, 12);
	if (!(at >> 63))
		return in_block(at, 63 - (unsigned int)__builtin_clzll(at));
	return ~at - (1ull << (63 - __builtin_clzll(~at)));
}

/* The format of stage 1 for the half that this request's IOVA lies in. */
PT_INLINE const struct pt_format *f1_of(const struct pt_walk *w)
{
	return w->c->f1[w->half];
}

PT_INLINE unsigned int entry_covers(const struct pt_format *f, unsigned int level)
{
	return f->granule_lg2 + f->index_lg2 * level;
}

/* lg2 of the bytes that one entry of a leaf covers: a page larger than that has several entries. */
static unsigned int leaf_covers(const struct pt_format *f, unsigned int size_lg2)
{
	return entry_covers(f, (size_lg2 - f->granule_lg2) / f->index_lg2);
}

/* Bytes behind @gpa, the output of stage 1, that stage 2 treats like @gpa. */
static u64 in_s2(const struct pt_walk *w, u64 gpa, bool blocked)
{
	const struct iommu_abi_fault *f = &w->out->fault;
	u64 width = in_width(gpa);

	if (w->s2_lg2 && w->s2_lg2 != PT_NO_SIZE)
		return least(width, in_block(gpa, leaf_covers(w->c->f2, w->s2_lg2)));
	if (blocked && f->has_entry)
		return least(width, in_block(gpa, entry_covers(w->c->f2, f->level)));
	if (!blocked && !w->s2_lg2) /* intercepted */
		return least(width, in_block(gpa, w->out->size_lg2));
	return width;
}

/* Bytes behind the request's IOVA that the walk treats like it. */
static u64 alike(const struct pt_walk *w, bool blocked)
{
	const struct iommu_abi_translation *out = w->out;
	const struct iommu_abi_fault *f = &out->fault;
	const struct pt_vendor *v = w->unit->vendor;
	u64 iova = w->q->iova, n = in_width(iova);

	if (v->window)
		n = least(n, v->window(w, iova) - iova);
	if (!w->s1_lg2) { /* the walk ended before or in stage 1 */
		if (blocked && f->stage == IOMMU_ABI_S1 && f->has_entry)
			return least(n, in_block(iova, entry_covers(f1_of(w), f->level)));
		if (blocked && f->stage == IOMMU_ABI_S2 && f->purpose != IOMMU_ABI_FOR_PASID_ENTRY)
			return least(n, in_block(iova, entry_covers(f1_of(w), f->for_level)));
		return n;
	}
	if (w->s1_lg2 != PT_NO_SIZE)
		n = least(n, in_block(iova, leaf_covers(f1_of(w), w->s1_lg2)));
	n = least(n, in_s2(w, out->gpa, blocked));
	if (v->window)
		n = least(n, v->window(w, out->gpa) - out->gpa);
	if (v->window && w->s2_lg2)
		n = least(n, v->window(w, out->hpa) - out->hpa);
	return n;
}

/* Is this IOVA an alias, which differs from the one that is listed only in bits that are ignored? */
static bool is_alias(const struct pt_walk *w)
{
	u64 iova = w->q->iova, ignored = ~w->s1.in_mask;

	if (w->alias)
		return w->s1_lg2 == PT_NO_SIZE;
	if (!w->s1_lg2 && !w->out->fault.reason && w->out->hpa != iova)
		return true; /* nothing is translated, and the output width cuts bits off */
	return w->s1.top != PT_OFF && (iova & ignored) && (~iova & ignored);
}

/* ---- asking ---- */

static bool depends_on_access(unsigned int reason)
{
	switch (reason) {
	case IOMMU_ABI_NOT_PRESENT:
	case IOMMU_ABI_RESERVED:
	case IOMMU_ABI_UNREADABLE:
	case IOMMU_ABI_INPUT_RANGE:
	case IOMMU_ABI_OUTPUT_RANGE:
		return false;
	}
	return true;
}

/* A requester, and the walks of its requests. */
struct asking {
	struct pt_walk w;
	struct pt_context c;
	struct iommu_abi_request q;
	struct iommu_abi_translation answer;
	struct iommu_abi_trace *looked_up,
		*trace; /* references of look_up(), and of all walks of a step; or NULL */
};

static void ask(struct asking *a, const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
		struct iommu_abi_trace *looked_up, struct iommu_abi_trace *trace)
{
	a->looked_up = looked_up;
	a->trace = trace;
	pt_open(&a->w, unit, mem, trace);
}

/* Read the tables, once for all walks of this requester. */
static void look_up(struct asking *a)
{
	a->w.trace = a->looked_up;
	if (a->looked_up)
		a->looked_up->n = 0;
	pt_look_up(&a->w, &a->c, a->q.rid, a->q.pasid, a->q.flags & IOMMU_ABI_HAS_PASID);
	a->w.trace = a->trace;
}

/* A walk's references begin with those of look_up(), although it does not read these again. */
static void repeat(struct asking *a)
{
	struct iommu_abi_trace *t = a->trace;

	a->w.refs = t->n;
	for (u32 i = 0; i < a->looked_up->n; i++, t->n++)
		if (t->n < IOMMU_ABI_MAX_REFS)
			t->refs[t->n] = a->looked_up->refs[i];
}

/* Walk as read, write, execute, until one passes. @same: bytes behind the IOVA for which this holds. */
static bool probe(struct asking *a, u64 *same)
{
	const struct pt_vendor *v = a->w.unit->vendor;

	*same = ~0ull;
	for (unsigned int access = IOMMU_ABI_READ; access <= IOMMU_ABI_EXEC; access <<= 1) {
		bool blocked;

		a->q.access = (__u8)access;
		pt_begin(&a->w, &a->q, &a->answer);
		if (a->trace)
			repeat(a);
		blocked = v->translate(&a->w) != 0;
		if (is_alias(&a->w)) {
			*same = in_width(a->q.iova);
			return false;
		}
		*same = least(*same, alike(&a->w, blocked));
		if (!blocked)
			return true;
		if (!depends_on_access(a->answer.fault.reason))
			return false;
	}
	return false;
}

/* ---- mappings ---- */

PT_INLINE u64 sizes(unsigned int lg2)
{
	return lg2 && lg2 != PT_NO_SIZE ? 1ull << lg2 : 0;
}

static struct iommu_abi_mapping mapping_of(const struct pt_walk *w, u64 same)
{
	const struct iommu_abi_translation *out = w->out;

	return (struct iommu_abi_mapping){
		.first = w->q->iova,
		.last = w->q->iova + same,
		.gpa = out->gpa,
		.hpa = out->hpa,
		.detail = out->detail,
		.s1_sizes = sizes(w->s1_lg2),
		.s2_sizes = sizes(w->s2_lg2),
		.access = out->access,
		.target = out->target,
	};
}

/* Extends @run by @m, if @m continues it without a break; false: it does not. */
static bool joins(struct iommu_abi_mapping *run, const struct iommu_abi_mapping *m, bool by_size)
{
	u64 len = m->first - run->first;

	if (by_size && (run->s1_sizes != m->s1_sizes || run->s2_sizes != m->s2_sizes))
		return false;
	if (run->last + 1 != m->first || run->gpa + len != m->gpa || run->hpa + len != m->hpa ||
	    run->access != m->access || run->target != m->target || run->target != IOMMU_ABI_MEMORY)
		return false;
	run->last = m->last;
	run->s1_sizes |= m->s1_sizes;
	run->s2_sizes |= m->s2_sizes;
	return true;
}

long iommu_abi_mappings(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
			const struct iommu_abi_request *who, size_t steps, struct iommu_abi_mapping_cursor *c,
			struct iommu_abi_mapping *out, size_t n)
{
	struct asking a;
	size_t found = 0;

	a.q = *who;
	a.q.access = IOMMU_ABI_READ;
	if (!pt_sensible(&a.q, unit->vendor))
		return -EINVAL;
	ask(&a, unit, mem, NULL, NULL);
	look_up(&a);
	while (!c->done && steps-- && found < n) {
		u64 same;

		a.q.iova = c->next;
		if (probe(&a, &same) && a.answer.target != IOMMU_ABI_INTERRUPT) {
			struct iommu_abi_mapping m = mapping_of(&a.w, same);

			if (!c->pending || !joins(&c->run, &m, c->by_size)) {
				if (c->pending)
					out[found++] = c->run;
				c->run = m;
				c->pending = 1;
			}
		}
		c->next = a.q.iova + same + 1;
		c->done = !c->next;
	}
	if (c->done && c->pending && found < n) {
		out[found++] = c->run;
		c->pending = 0;
	}
	return (long)found;
}

/* ---- contexts ---- */

static u8 state_of(const struct pt_walk *w, bool passed)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	if (passed)
		return w->s1.top == PT_OFF && w->s2.top == PT_OFF ? IOMMU_ABI_PASSES : IOMMU_ABI_TRANSLATES;
	if (f->stage == IOMMU_ABI_S1 || (f->stage == IOMMU_ABI_S2 && f->purpose != IOMMU_ABI_FOR_PASID_ENTRY))
		return IOMMU_ABI_TRANSLATES;
	if (f->stage == IOMMU_ABI_S2 || f->reason == IOMMU_ABI_RESERVED || f->reason == IOMMU_ABI_INVALID ||
	    f->reason == IOMMU_ABI_UNREADABLE || f->reason == IOMMU_ABI_OUTPUT_RANGE)
		return IOMMU_ABI_BROKEN;
	return IOMMU_ABI_REFUSES;
}

/* The last ID that the entry covers at which the walk ended. @table: whose IDs, DEVICE or PASID. */
static u64 last_id(const struct pt_walk *w, unsigned int table, u64 id)
{
	const struct iommu_abi_fault *f = &w->out->fault;
	const struct pt_vendor *v = w->unit->vendor;
	unsigned int level = 0;

	if (f->reason && f->stage == table && f->has_entry)
		level = f->level;
	else if (f->reason && f->stage == IOMMU_ABI_S2 && f->purpose == IOMMU_ABI_FOR_PASID_ENTRY &&
		 table == IOMMU_ABI_PASID)
		level = f->for_level;
	return level ? id | ((1ull << v->covers_lg2(w, table, level)) - 1) : id;
}

/* Has this ID no context? *@rest: nor has any above it. */
static bool absent(const struct pt_walk *w, unsigned int table, bool *rest)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	*rest = f->reason == IOMMU_ABI_PASID_RANGE || (f->reason == IOMMU_ABI_RID_RANGE && !f->has_entry);
	return *rest || f->reason == IOMMU_ABI_RID_RANGE ||
	       (f->reason == IOMMU_ABI_NOT_PRESENT && f->stage == table);
}

/* Extends @run by @next, if the entries of both cannot be read. */
static bool goes_on(struct iommu_abi_context_run *run, const struct iommu_abi_context_run *next)
{
	const struct iommu_abi_fault *a = &run->fault, *b = &next->fault;

	if (run->last + 1 != next->first || run->state != next->state || a->reason != IOMMU_ABI_UNREADABLE ||
	    b->reason != a->reason || a->stage != b->stage || a->level != b->level)
		return false;
	run->last = next->last;
	return true;
}

/* To whose tables does an entry of this stage and purpose belong: DEVICE, PASID or S1, which stands for
 * both stages? */
static unsigned int owner_of(unsigned int stage, unsigned int purpose)
{
	if (stage == IOMMU_ABI_S2)
		return purpose == IOMMU_ABI_FOR_PASID_ENTRY ? IOMMU_ABI_PASID : IOMMU_ABI_S1;
	return stage;
}

/* Did a walk come to the PASID table? Its first entry may be unreadable, and then in no trace. */
static bool came_to_pasids(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;
	const struct iommu_abi_trace *t = w->trace;

	for (u32 i = 0; i < t->n && i < IOMMU_ABI_MAX_REFS; i++)
		if (owner_of(t->refs[i].stage, t->refs[i].purpose) == IOMMU_ABI_PASID)
			return true;
	return f->reason && owner_of(f->stage, f->purpose) == IOMMU_ABI_PASID;
}

static u64 last_of(unsigned int table, const struct pt_vendor *v)
{
	return table == IOMMU_ABI_PASID ? (1u << 20) - 1 : v->rid_last;
}

/* Walks for the ID at @c->next and moves the cursor on; true: it has a context, which serves all IDs up
 * to *@last. */
static bool next_id(struct asking *a, unsigned int table, struct iommu_abi_context_cursor *c, bool *passed,
		    u64 *last)
{
	bool pasids = table == IOMMU_ABI_PASID, found = false, rest = false;
	u64 same, id_last = last_of(table, a->w.unit->vendor);

	*(pasids ? &a->q.pasid : &a->q.rid) = (u32)c->next;
	if (a->trace)
		a->trace->n = 0;
	look_up(a);
	*passed = probe(a, &same);
	*last = least(*passed ? c->next : last_id(&a->w, table, c->next), id_last);
	if (*passed)
		a->answer.fault.reason = IOMMU_ABI_OK;
	if (pasids && !a->w.lone && !came_to_pasids(&a->w))
		rest = c->next; /* no PASID table was read, so all PASIDs are alike; but 0 may be special */
	else
		found = *passed || !absent(&a->w, table, &rest);
	c->next = *last + 1;
	c->done = rest || *last >= id_last;
	return found;
}

long iommu_abi_contexts(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
			const struct iommu_abi_request *who, size_t steps, struct iommu_abi_context_cursor *c,
			struct iommu_abi_context_run *out, size_t n)
{
	const struct pt_vendor *v = unit->vendor;
	bool pasids = who->flags & IOMMU_ABI_HAS_PASID;
	unsigned int table = pasids ? IOMMU_ABI_PASID : IOMMU_ABI_DEVICE;
	struct iommu_abi_trace looked_up, trace;
	struct asking a;
	size_t found = 0;

	a.q = *who;
	a.q.iova = 0;
	*(pasids ? &a.q.pasid : &a.q.rid) = 0;
	a.q.access = IOMMU_ABI_READ;
	if (!pt_sensible(&a.q, v))
		return -EINVAL;
	if (c->next > last_of(table, v)) /* there are no such IDs */
		c->done = 1;
	ask(&a, unit, mem, pasids ? &looked_up : NULL, pasids ? &trace : NULL);
	while (!c->done && steps-- && found < n) {
		struct iommu_abi_context_run now = { .first = (u32)c->next };
		bool passed;
		u64 last;

		if (!next_id(&a, table, c, &passed, &last))
			continue;
		now.last = (u32)last;
		now.state = state_of(&a.w, passed);
		if (now.state >= IOMMU_ABI_REFUSES) {
			v->native(&a.w);
			now.fault = a.answer.fault;
		}
		if (!found || !goes_on(&out[found - 1], &now))
			out[found++] = now;
	}
	return (long)found;
}

/* ---- the tables themselves ---- */

/* Is the entry malformed for every requester? Entries of device and PASID tables are
 * iommu_abi_contexts()'s. */
static bool entry_is_bad(const struct iommu_abi_fault *f)
{
	if (f->stage == IOMMU_ABI_S2 && f->purpose != IOMMU_ABI_FOR_DATA)
		return f->purpose == IOMMU_ABI_FOR_S1_ENTRY; /* S1 tables where S2 maps none */
	if (f->stage != IOMMU_ABI_S1 && f->stage != IOMMU_ABI_S2)
		return false;
	return f->reason == IOMMU_ABI_RESERVED || f->reason == IOMMU_ABI_INVALID ||
	       f->reason == IOMMU_ABI_UNREADABLE || f->reason == IOMMU_ABI_OUTPUT_RANGE;
}

/* Appends to @out the entries of this walk whose page the walk before did not visit. */
static size_t new_pages(const struct iommu_abi_trace *t, unsigned int of, struct iommu_abi_table_cursor *c,
			const struct iommu_abi_table *place, struct iommu_abi_table *out)
{
	size_t found = 0;

	for (u32 i = 0; i < t->n && i < IOMMU_ABI_MAX_REFS; i++) {
		u64 page = t->refs[i].hpa >> 12;

		if (owner_of(t->refs[i].stage, t->refs[i].purpose) != of || c->seen[i] == page + 1)
			continue;
		c->seen[i] = page + 1;
		out[found] = *place;
		out[found++].ref = t->refs[i];
	}
	return found;
}

long iommu_abi_tables(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
		      const struct iommu_abi_request *who, unsigned int of, size_t steps,
		      struct iommu_abi_table_cursor *c, struct iommu_abi_table *out, size_t n)
{
	const struct pt_vendor *v = unit->vendor;
	struct iommu_abi_trace looked_up, trace;
	struct asking a;
	size_t found = 0;

	a.q = *who;
	a.q.access = IOMMU_ABI_READ;
	if (of != IOMMU_ABI_S1)
		a.q.iova = 0;
	if (!pt_sensible(&a.q, v) || of > IOMMU_ABI_S1 ||
	    (of == IOMMU_ABI_PASID && !(a.q.flags & IOMMU_ABI_HAS_PASID)) || n <= IOMMU_ABI_MAX_REFS)
		return -EINVAL;
	if (of != IOMMU_ABI_S1 && c->at.next > last_of(of, v))
		c->at.done = 1;
	ask(&a, unit, mem, &looked_up, &trace);
	if (of == IOMMU_ABI_S1)
		look_up(&a);
	while (!c->at.done && steps-- && n - found > IOMMU_ABI_MAX_REFS) {
		struct iommu_abi_table place = { .first = c->at.next };
		bool passed;

		if (of == IOMMU_ABI_S1) {
			trace.n = 0;
			a.q.iova = c->at.next;
			passed = probe(&a, &place.last);
			place.last += a.q.iova;
			c->at.next = place.last + 1;
			c->at.done = !c->at.next;
		} else {
			next_id(&a, of, &c->at, &passed, &place.last);
		}
		found += new_pages(&trace, of, c, &place, out + found);
		if (of == IOMMU_ABI_S1 && !passed && entry_is_bad(&a.answer.fault)) {
			v->native(&a.w);
			place.fault = a.answer.fault;
			out[found++] = place;
		}
	}
	return (long)found;
}
