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
       PROCESS = 1 << 0, /* it came to the PASID tables of scalable mode */
       JUDGED = 1 << 1,  /* a translation request that was left without a right: why? */
};

PT_INLINE bool in_interrupt_range(u64 addr)
{
	return addr >> 20 == 0xfee;
}

PT_INLINE bool is_scalable(const struct pt_walk *w)
{
	return w->c->flags & SCALABLE;
}

/* What was read behind the context entry does not count; nor the context entry. */
static void before_process(struct pt_walk *w)
{
	pt_forget(w, w->c->refs[IOMMU_ABI_DEVICE]);
}

static void before_tables(struct pt_walk *w)
{
	pt_forget(w, 0);
}

/* ---- answers without stages ---- */

/* The device is told Unsupported Request, and nobody else (4.2.1). */
static PT_COLD enum pt_verdict unsupported(struct pt_walk *w)
{
	return refuse_request(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE);
}

/* An address beyond a limit where no table translates. */
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

/* pass(), but not into the interrupt range. */
static enum pt_verdict pass_checked(struct pt_walk *w, unsigned int access)
{
	if (in_interrupt_range(w->iova))
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, is_scalable(w) ? 0x87 : 0x0e,
				      IOMMU_ABI_DEVICE);
	return pass(w, access);
}

/* Translated: a host address, of which nothing is looked up. */
static enum pt_verdict pass_translated(struct pt_walk *w)
{
	before_process(w);
	if (w->iova & w->unit->state[ABOVE_HAW])
		return too_far(w, is_scalable(w) ? 0x83 : 0x04);
	return pass_checked(w, PT_R | PT_W);
}

/* An untranslated request without PASID into 0xFEEx_xxxx (3.15): no mode and no table matters. */
static PT_COLD enum pt_verdict interrupt_message(struct pt_walk *w)
{
	before_tables(w);
	if (w->q->access != PT_W) /* whether it is a zero-length read is not known here */
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, 0x29, IOMMU_ABI_DEVICE);
	w->out->target = IOMMU_ABI_INTERRUPT;
	return pass(w, PT_W);
}

/* Of a translation request: No Write. Without support for that flag it counts for nothing (4.2.3). */
PT_INLINE bool no_write(const struct pt_walk *w)
{
	return w->q->access != PT_W && w->unit->state[ECAP] & ECAP_NWFS;
}

/* A translation request without PASID in the interrupt range, which no table translates (S.1, S.2). */
static PT_COLD enum pt_verdict translated_interrupt(struct pt_walk *w)
{
	before_process(w);
	if (no_write(w))
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, 0, IOMMU_ABI_DEVICE);
	w->out->target = IOMMU_ABI_INTERRUPT;
	return pass(w, PT_W);
}

/* ---- how it counts ---- */

/* A translation request is granted what there is, whatever it wants, and counts as a read and a write
 * for the flags of the tables (4.2.3). */
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

/* An execute request where hardware knows no such thing: without PASID (9.4), since 4.1 with one too. */
static PT_COLD void counts_as_read(struct pt_walk *w)
{
	w->access = PT_R;
	w->judge = PT_JUDGE_R;
}

/* ---- legacy mode, ECS ---- */

/* MGAW and AGAW limit it, and no host address is above HAW. */
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
	if (w->q->at != IOMMU_ABI_UNTRANSLATED && tt != 1)
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

/* A request with PASID. */
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
	if (w->q->at != IOMMU_ABI_UNTRANSLATED && t != 1 && t != 5)
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x0d, IOMMU_ABI_DEVICE);
	if (w->q->at == IOMMU_ABI_TRANSLATED) {
		before_process(w);
		return c->has_pasid ? unsupported(w) : pass_translated(w); /* with PASID: since 5.0 only */
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

/* The largest page of the unit: what a translation request learns of pass-through at once (4.2.3). */
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

	if (w->iova & state[ABOVE_HAW])
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

/* Execution: a right until 4.1, then nothing that hardware has (SPT.5). */
static PT_COLD bool refuses_execution(struct pt_walk *w)
{
	const u64 *state = w->unit->state;

	if (state[REV] < REV_4_1)
		return !(w->c->flags & EXECUTES);
	counts_as_read(w);
	return !(state[ECAP] & ECAP_ERS);
}

/* The process's part: what its PASID entry says. */
PT_INLINE enum pt_verdict scalable_process_allows(struct pt_walk *w)
{
	const struct pt_context *c = w->c;

	w->flags |= PROCESS;
	if (PT_UNLIKELY(c->refusal.reason))
		return pt_refused(w);
	if (PT_UNLIKELY(w->access == PT_X) && refuses_execution(w))
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x5c, IOMMU_ABI_PASID);
	if (PT_UNLIKELY(w->priv) && !(c->flags & SUPERVISES))
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x5d, IOMMU_ABI_PASID);
	if (PT_UNLIKELY(PGTT(c->entry[IOMMU_ABI_PASID].raw) == PASS_THROUGH))
		return scalable_pass_through(w);
	begin_stages(w);
	return pt_go(w, 0);
}

/* What the context entry says of translated requests (SCT.7). */
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

/* A request with PASID, by the context entry and the unit. */
static enum pt_verdict scalable_allows_pasid(struct pt_walk *w)
{
	const struct pt_context *c = w->c;
	u64 raw = c->entry[IOMMU_ABI_DEVICE].raw;
	bool translated = w->q->at == IOMMU_ABI_TRANSLATED;

	if (PT_UNLIKELY(translated && w->unit->state[REV] < REV_5_0)) {
		before_process(w);
		return unsupported(w);
	}
	if (PT_UNLIKELY(translated && !(raw & EPTR)))
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0x49, IOMMU_ABI_DEVICE);
	if (PT_UNLIKELY(!translated && !(raw & PASIDE)))
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
	/* SCT.4; PASIDE has a code of its own where the request needs it */
	if (PT_UNLIKELY((raw & (EPTR | PASIDE)) == EPTR &&
			(!c->has_pasid || w->q->at == IOMMU_ABI_TRANSLATED)))
		return pt_refuse_by(w, IOMMU_ABI_INVALID, 0x43, IOMMU_ABI_DEVICE);
	if (PT_UNLIKELY(!untranslated && !(raw & DTE)))
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
	/* without PASID it is as privileged as the context says */
	w->priv = c->flags & RID_PRIV ? 1 : 0;
	return scalable_process_allows(w);
}

#endif
