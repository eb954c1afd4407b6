/* SPDX-License-Identifier: MIT */
/*
 * vtd_request.h - where: which requests a context lets through, and how, for vtd.c.
 *
 * Requests of Device-TLBs: VT-d 5.10 section 4.2; the order of checks: 7.1.3 and Table 30; interrupts: 3.15.
 * Comments name the conditions of those tables.
 */
#ifndef IOMMU_ABI_VTD_REQUEST_H
#define IOMMU_ABI_VTD_REQUEST_H

#include "vtd_context.h"

enum {                   /* pt_walk.flags, beside RARE */
       PROCESS = 1 << 0, /* the request came to the PASID tables of scalable mode */
       JUDGED = 1 << 1,  /* say_why(): walk a translation request again, judged by the access it asked for */
};

PT_INLINE bool in_interrupt_range(u64 addr)
{
	return addr >> 20 == 0xfee;
}

PT_INLINE bool is_scalable(const struct pt_walk *w)
{
	return w->c->flags & SCALABLE;
}

/* This request ends at the context entry: the trace forgets what look_up() read behind it. */
static void before_process(struct pt_walk *w)
{
	pt_forget(w, w->c->refs[IOMMU_ABI_DEVICE]);
}

/* This request ends before any table is read: the trace is empty. */
static void before_tables(struct pt_walk *w)
{
	pt_forget(w, 0);
}

/* ---- answers without stages ---- */

/* The device gets a completion with Unsupported Request, and nothing is recorded (4.2.1). */
static PT_COLD enum pt_verdict unsupported(struct pt_walk *w)
{
	return refuse_request(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE);
}

/* Refuses an address that is not translated and lies beyond the limit for such: LGN.1, SGN.4. */
static PT_COLD enum pt_verdict too_far(struct pt_walk *w, u32 native)
{
	return refuse_request(w, IOMMU_ABI_INPUT_RANGE, native, IOMMU_ABI_DEVICE);
}

/* The address goes out as it came in. */
static enum pt_verdict pass(struct pt_walk *w, unsigned int access)
{
	w->out->hpa = w->out->gpa = w->iova;
	w->out->size_lg2 = PAGE_LG2;
	w->out->access = (__u8)access;
	return PT_DONE;
}

/* lg2 of a page of which no part is beyond @last, which is 2^n - 1. */
static unsigned int within(unsigned int lg2, u64 last)
{
	while (last_of(lg2) > last)
		lg2--;
	return lg2;
}

/* pass(), unless the address lies in the interrupt range (3.15): LGN.4, SGN.8. */
static enum pt_verdict pass_checked(struct pt_walk *w, unsigned int access)
{
	if (in_interrupt_range(w->iova))
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, is_scalable(w) ? 0x87 : 0x0e,
				      IOMMU_ABI_DEVICE);
	return pass(w, access);
}

/* The device has translated this address already: no table is read, but HAW limits it: LGN.1, SGN.4.1. */
static enum pt_verdict pass_translated(struct pt_walk *w)
{
	before_process(w);
	if (w->iova & w->unit->state[ABOVE_HAW])
		return too_far(w, is_scalable(w) ? 0x83 : 0x04);
	return pass_checked(w, PT_R | PT_W);
}

/* An untranslated request without PASID into 0xFEEx_xxxx (3.15): the same in every mode, before any table.
 * What is no interrupt message is 29h (5.1.4, Table 15). */
static PT_COLD enum pt_verdict interrupt_message(struct pt_walk *w)
{
	before_tables(w);
	if (w->q->access != PT_W) /* a request does not say whether it is a zero-length read */
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, 0x29, IOMMU_ABI_DEVICE);
	w->out->target = IOMMU_ABI_INTERRUPT;
	return pass(w, PT_W);
}

/* Has this translation request the flag No Write? A unit without NWFS ignores the flag (4.2.3). */
PT_INLINE bool no_write(const struct pt_walk *w)
{
	return w->q->access != PT_W && w->unit->state[ECAP] & ECAP_NWFS;
}

/* A translation request without PASID in the interrupt range. No table is asked: the completion grants a
 * write (S.1), and nothing where the request has No Write (S.2). */
static PT_COLD enum pt_verdict translated_interrupt(struct pt_walk *w)
{
	before_process(w);
	if (no_write(w))
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, 0, IOMMU_ABI_DEVICE);
	w->out->target = IOMMU_ABI_INTERRUPT;
	return pass(w, PT_W);
}

/* ---- as what a request is judged ---- */

/* A translation request is completed with all rights that the tables grant, whichever it asks for
 * (4.2.3). A and D are set as by a read and a write, with No Write as by a read (4.2.3.1). */
static PT_COLD void judge_translation(struct pt_walk *w)
{
	w->flags |= RARE;
	if (no_write(w))
		w->report &= (u8)~PT_W;
	if (w->flags & JUDGED)
		return;
	w->judge = PT_JUDGE_NONE;
	w->access = no_write(w) ? PT_R : PT_R | PT_W;
}

PT_INLINE void begin_stages(struct pt_walk *w)
{
	w->report = w->c->grant;
	if (PT_UNLIKELY(w->q->at != IOMMU_ABI_UNTRANSLATED))
		judge_translation(w);
}

/* Hardware takes this execute request for a read: without PASID always (9.4), with one since 4.1. */
static PT_COLD void counts_as_read(struct pt_walk *w)
{
	w->access = PT_R;
	w->judge = PT_JUDGE_R;
}

/* ---- legacy mode, ECS ---- */

/* Passes an address up to min(MGAW, AGAW) and HAW; beyond: LGN.1. */
static enum pt_verdict pass_through(struct pt_walk *w)
{
	u64 last = w->c->own[PASS_LAST];

	if (w->iova > last || w->iova & w->unit->state[ABOVE_HAW])
		return too_far(w, 0x04);
	begin_stages(w);
	if (pass_checked(w, w->report) == PT_FAULT)
		return PT_FAULT;
	w->out->size_lg2 = (__u8)within(PAGE_LG2, last);
	return PT_DONE;
}

static enum pt_verdict legacy(struct pt_walk *w)
{
	unsigned int tt;

	if (PT_UNLIKELY(!(w->c->flags & ENTRY)))
		return pt_refused(w);
	tt = w->c->entry[IOMMU_ABI_DEVICE].raw >> 2 & 3;
	if (w->q->at != IOMMU_ABI_UNTRANSLATED && tt != 1) /* LCT.5 */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x0d, IOMMU_ABI_DEVICE);
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return pass_translated(w);
	if (tt == 2)
		return pass_through(w);
	if (PT_UNLIKELY(in_interrupt_range(w->iova)))
		return translated_interrupt(w);
	begin_stages(w);
	return pt_go(w, 0);
}

/* May this request with PASID use the process's tables? PASIDE, type, ERE (19h), SRE (1Ah): 2.x, 3.6.1. */
static enum pt_verdict ecs_process_allows(struct pt_walk *w)
{
	const struct pt_context *c = w->c;
	u64 raw = c->entry[IOMMU_ABI_DEVICE].raw;

	if (!(raw & ECS_PASIDE) || ECS_T(raw) == 2)
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE);
	if (w->access == PT_X && !(c->flags & EXECUTES))
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x19, IOMMU_ABI_DEVICE);
	if (c->refusal.reason)
		return pt_refused(w);
	w->priv = w->q->flags & IOMMU_ABI_PRIV ? 1 : 0;
	if (w->priv && !(c->flags & SUPERVISES))
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x1a, IOMMU_ABI_PASID);
	begin_stages(w);
	return pt_go(w, 0);
}

static enum pt_verdict ecs(struct pt_walk *w)
{
	const struct pt_context *c = w->c;
	unsigned int t;

	if (!(c->flags & ENTRY))
		return pt_refused(w);
	t = ECS_T(c->entry[IOMMU_ABI_DEVICE].raw);
	if (w->q->at != IOMMU_ABI_UNTRANSLATED && t != 1 && t != 5) /* as LCT.5 (2.x, 3.4.4) */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x0d, IOMMU_ABI_DEVICE);
	if (w->q->at == IOMMU_ABI_TRANSLATED) {
		before_process(w);
		return c->has_pasid ? unsupported(w) : pass_translated(w); /* 2.x has none with PASID */
	}
	if (c->has_pasid)
		return ecs_process_allows(w);
	if (PT_UNLIKELY(in_interrupt_range(w->iova)))
		return translated_interrupt(w);
	if (t > 1)
		return pass_through(w);
	begin_stages(w);
	return pt_go(w, 0);
}

/* ---- scalable mode ---- */

/* Pass-through answers a translation request with the unit's largest page size (4.2.3). */
static unsigned int largest_page(const u64 *state)
{
	if (state[CAP] & CAP_FS1GP || CAP_SSLPS(state[CAP]) & 2)
		return 30;
	return CAP_SSLPS(state[CAP]) & 1 || state[ECAP] & ECAP_FSTS ? 21 : PAGE_LG2;
}

static enum pt_verdict scalable_pass_through(struct pt_walk *w)
{
	const u64 *state = w->unit->state;
	unsigned int size_lg2 = largest_page(state), apart;

	if (w->iova & state[ABOVE_HAW]) /* SGN.4.2 */
		return refuse_request(w, IOMMU_ABI_INPUT_RANGE, 0x83, IOMMU_ABI_PASID);
	begin_stages(w);
	if (pass_checked(w, w->report) == PT_FAULT)
		return PT_FAULT;
	if (w->q->at == IOMMU_ABI_UNTRANSLATED)
		return PT_DONE;
	apart = pt_apart(w->iova, 0xfee00000, 20);
	size_lg2 = size_lg2 < state[HAW] ? size_lg2 : (unsigned int)state[HAW];
	w->out->size_lg2 = (u8)(size_lg2 < apart ? size_lg2 : apart);
	return PT_DONE;
}

/* SPT.5. Before 4.1 ERE of the PASID entry allows execution; since then ECAP.ERS decides whether the request
 * is refused or counts as a read. */
static PT_COLD bool refuses_execution(struct pt_walk *w)
{
	const u64 *state = w->unit->state;

	if (state[REV] < REV_4_1)
		return !(w->c->flags & EXECUTES);
	counts_as_read(w);
	return !(state[ECAP] & ECAP_ERS);
}

/* May this request use the stages of its PASID entry? */
PT_INLINE enum pt_verdict scalable_process_allows(struct pt_walk *w)
{
	const struct pt_context *c = w->c;

	w->flags |= PROCESS;
	if (PT_UNLIKELY(c->refusal.reason))
		return pt_refused(w);
	if (PT_UNLIKELY(w->access == PT_X) && refuses_execution(w)) /* SPT.5 */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x5c, IOMMU_ABI_PASID);
	if (PT_UNLIKELY(w->priv) && !(c->flags & SUPERVISES)) /* SPT.6 */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x5d, IOMMU_ABI_PASID);
	if (PT_UNLIKELY(PGTT(c->entry[IOMMU_ABI_PASID].raw) == PASS_THROUGH))
		return scalable_pass_through(w);
	begin_stages(w);
	return pt_go(w, 0);
}

/* Passes a translated request (4.2.5), unless host permission tables would judge it (4.2.4). */
static enum pt_verdict scalable_translated(struct pt_walk *w)
{
	if (w->c->entry[IOMMU_ABI_DEVICE].raw &
	    HPTE) { /* host permission tables are not modelled: nothing passes */
		pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE);
		w->fault->recorded = 0;
		return PT_FAULT;
	}
	return pass_translated(w);
}

/* May this request name a PASID? The context entry and the unit decide. */
static enum pt_verdict scalable_allows_pasid(struct pt_walk *w)
{
	const struct pt_context *c = w->c;
	u64 raw = c->entry[IOMMU_ABI_DEVICE].raw;
	bool translated = w->q->at == IOMMU_ABI_TRANSLATED;

	if (PT_UNLIKELY(translated && w->unit->state[REV] < REV_5_0)) { /* 4.2.1 */
		before_process(w);
		return unsupported(w);
	}
	if (PT_UNLIKELY(translated && !(raw & EPTR))) /* SCT.10 */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x49, IOMMU_ABI_DEVICE);
	if (PT_UNLIKELY(!translated && !(raw & PASIDE))) /* SCT.6 */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x45, IOMMU_ABI_DEVICE);
	if (PT_UNLIKELY(c->flags & BAD_PASID)) {
		w->lone = c->flags & LONE;
		return pt_refused(w);
	}
	return PT_GO;
}

PT_INLINE enum pt_verdict scalable(struct pt_walk *w)
{
	const struct pt_context *c = w->c;
	const u64 *state = w->unit->state;
	bool untranslated = w->q->at == IOMMU_ABI_UNTRANSLATED;
	u64 raw;

	if (PT_UNLIKELY(w->access == PT_X && c->has_pasid && VER_MAJOR(state[VER]) >= 8 &&
			state[REV] >= REV_4_1)) {
		before_tables(w);
		return refuse_request(w, IOMMU_ABI_BLOCKED, 0x34, IOMMU_ABI_DEVICE); /* RTA.5 */
	}
	if (PT_UNLIKELY(!(c->flags & ENTRY)))
		return pt_refused(w);
	raw = c->entry[IOMMU_ABI_DEVICE].raw;
	/* SCT.4.3; a request that needs PASIDE gets the code of SCT.6 instead */
	if (PT_UNLIKELY((raw & (EPTR | PASIDE)) == EPTR &&
			(!c->has_pasid || w->q->at == IOMMU_ABI_TRANSLATED)))
		return pt_refuse_by(w, IOMMU_ABI_INVALID, 0x43, IOMMU_ABI_DEVICE);
	if (PT_UNLIKELY(!untranslated && !(raw & DTE))) /* SCT.5 */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x44, IOMMU_ABI_DEVICE);
	if (c->has_pasid && scalable_allows_pasid(w) == PT_FAULT)
		return PT_FAULT;
	if (PT_UNLIKELY(w->q->at == IOMMU_ABI_TRANSLATED))
		return scalable_translated(w);
	if (c->has_pasid) {
		w->priv = w->q->flags & IOMMU_ABI_PRIV ? 1 : 0;
		return scalable_process_allows(w);
	}
	if (PT_UNLIKELY(in_interrupt_range(w->iova)))
		return translated_interrupt(w);
	if (PT_UNLIKELY(w->access == PT_X))
		counts_as_read(w);
	/* RID_PRIV of the context entry says whether requests without PASID are privileged (9.4) */
	w->priv = c->flags & RID_PRIV ? 1 : 0;
	return scalable_process_allows(w);
}

#endif
