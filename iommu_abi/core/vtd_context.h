/* SPDX-License-Identifier: MIT */
/*
 * vtd_context.h - root and context entries, PASID directory and entries, for vtd.c: whether they are
 * legal, and which stages they make of a request.
 *
 * Legacy mode: VT-d 5.10 sections 3.4.2, 9.1, 9.3; scalable mode: 3.4.3, 9.2, 9.4-9.6; requests of
 * Device-TLBs: 4.2. ECS, the extended-context mode of 2014-2018: VT-d 2.x sections 3.4.4, 3.8, 9.2, 9.4, 9.5.
 */
#ifndef IOMMU_ABI_VTD_CONTEXT_H
#define IOMMU_ABI_VTD_CONTEXT_H

#include "vtd_pt.h"

/* ---- what resolve() shares ---- */

enum { /* pt_walk.flags */
       LEGACY = 0,
       SCALABLE = 1,
       ECS = 2,
       MODE = 3,
       FPD = 1 << 2,        /* an entry read so far suppresses fault records */
       WITH_PASID = 1 << 3, /* ECS: first stage in use */
       JUDGED = 1 << 4,     /* a translation request that was left without a right: why? */
};

PT_INLINE bool in_interrupt_range(u64 addr)
{
	return addr >> 20 == 0xfee;
}

PT_INLINE enum pt_verdict refuse_entry(struct pt_walk *w, unsigned int reason, u32 native, unsigned int stage,
				       unsigned int level, u64 at, u64 raw)
{
	struct pt_place place = { .stage = (u8)stage, .level = (u8)level, .gpa = at, .hpa = at };

	return pt_refuse(w, reason, native, &place, &raw);
}

/* The same where no entry decides. */
static PT_COLD enum pt_verdict refuse_request(struct pt_walk *w, unsigned int reason, u32 native,
					      unsigned int stage)
{
	struct pt_place place = { .stage = (u8)stage };

	pt_fault_of_request(w, reason, native, &place, NULL);
	w->out->fault.recorded = native != 0;
	return PT_FAULT;
}

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
	w->out->hpa = w->out->gpa = w->q->iova;
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
	if (in_interrupt_range(w->q->iova))
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, w->flags & SCALABLE ? 0x87 : 0x0e,
				      IOMMU_ABI_DEVICE);
	return pass(w, access);
}

/* Translated: a host address, of which nothing is looked up. */
static enum pt_verdict pass_translated(struct pt_walk *w)
{
	if (w->q->iova & w->unit->state[ABOVE_HAW])
		return too_far(w, w->flags & SCALABLE ? 0x83 : 0x04);
	return pass_checked(w, PT_R | PT_W);
}

/* Of a translation request: No Write. Without support for that flag it counts for nothing (4.2.3). */
PT_INLINE bool no_write(const struct pt_walk *w)
{
	return w->q->access != PT_W && w->unit->state[ECAP] & ECAP_NWFS;
}

/* A translation request without PASID in the interrupt range, which no table translates (S.1, S.2). */
static PT_COLD enum pt_verdict translated_interrupt(struct pt_walk *w)
{
	if (no_write(w))
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, 0, IOMMU_ABI_DEVICE);
	w->out->target = IOMMU_ABI_INTERRUPT;
	return pass(w, PT_W);
}

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

/* The stages are set: how is what they grant judged? */
PT_INLINE enum pt_verdict go(struct pt_walk *w, unsigned int report)
{
	w->report = (u8)report;
	if (PT_UNLIKELY(w->q->at != IOMMU_ABI_UNTRANSLATED))
		judge_translation(w);
	return PT_GO;
}

/* ---- legacy mode ---- */

/* Root and context entries of 16 bytes each; q receives the context. */
static enum pt_verdict legacy_context(struct pt_walk *w, u64 *at, u64 *q)
{
	const u64 *state = w->unit->state;
	u64 root = (state[RTADDR] & BITS(63, ADDR_LO)) + (w->q->rid >> 8) * 16;

	if (!pt_read_hpa(w, IOMMU_ABI_DEVICE, 1, root, 2, q))
		return PT_FAULT;
	if (!(q[0] & BIT(0)))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x01, IOMMU_ABI_DEVICE, 1, root, q[0]);
	if (q[0] & (BITS(11, 1) | state[ABOVE_HAW]) || q[1])
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x0a, IOMMU_ABI_DEVICE, 1, root, q[0]);
	*at = (q[0] & BITS(63, ADDR_LO)) + (w->q->rid & 0xff) * 16;
	return pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, *at, 2, q) ? PT_GO : PT_FAULT;
}

/* Pass-through of legacy mode and of ECS: MGAW and AGAW limit it, and no host address is above HAW. */
static enum pt_verdict pass_through(struct pt_walk *w, unsigned int aw)
{
	const u64 *state = w->unit->state;

	if (w->q->iova > state[SS_LAST + aw] || w->q->iova & state[ABOVE_HAW])
		return too_far(w, 0x04);
	go(w, PT_R | PT_W);
	if (pass_checked(w, w->report) == PT_FAULT)
		return PT_FAULT;
	w->out->size_lg2 = (__u8)within(PAGE_LG2, state[SS_LAST + aw]);
	return PT_DONE;
}

static enum pt_verdict legacy(struct pt_walk *w)
{
	const u64 *state = w->unit->state;
	unsigned int at_type = w->q->at, tt, aw;
	u64 q[2], at, reserved;

	if (w->q->flags & IOMMU_ABI_HAS_PASID)
		return refuse_request(w, IOMMU_ABI_BLOCKED, 0x31, IOMMU_ABI_DEVICE);
	if (state[RTADDR] & RTADDR_SSIRWE && state[ECAP] & ECAP_SSIRWS) /* RTA.1.4 */
		return refuse_request(w, IOMMU_ABI_INVALID, 0x30, IOMMU_ABI_DEVICE);
	if (legacy_context(w, &at, q) == PT_FAULT)
		return PT_FAULT;
	tt = q[0] >> 2 & 3;
	aw = q[1] & 7;
	w->flags |= q[0] & BIT(1) ? FPD : 0;
	reserved = BITS(11, 4) | (tt == 2 ? 0 : state[ABOVE_HAW]);
	if (!(q[0] & BIT(0)))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x02, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (q[0] & reserved || q[1] & (BIT(7) | BITS(63, 24) | state[DID_ABOVE]))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x0b, IOMMU_ABI_DEVICE, 0, at, q[0]);
	/* TT=2 wants the largest width: none above it may be supported */
	if (tt == 3 || !state[SS_LAST + aw] || (tt == 1 && !(state[ECAP] & ECAP_DT)) ||
	    (tt == 2 && (!(state[ECAP] & ECAP_PT) || CAP_SAGAW(state[CAP]) >> aw > 1)))
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x03, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (at_type != IOMMU_ABI_UNTRANSLATED && tt != 1)
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x0d, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (at_type == IOMMU_ABI_TRANSLATED)
		return pass_translated(w);
	if (tt == 2)
		return pass_through(w, aw);
	if (PT_UNLIKELY(in_interrupt_range(w->q->iova)))
		return translated_interrupt(w);
	ss_stage(w, q[0], aw, 0);
	return go(w, PT_R | PT_W);
}

/* ---- extended root and context entries: the scalable ones lie in the same places ---- */

/* q receives the 32-byte context; codes: root not present, root reserved. */
PT_INLINE enum pt_verdict wide_context(struct pt_walk *w, u32 absent, u32 reserved, u64 *at, u64 *q)
{
	const u64 *state = w->unit->state;
	/* 8 bytes for each half of a bus */
	u64 root = (state[RTADDR] & BITS(63, ADDR_LO)) + (w->q->rid >> 7) * 8;

	if (!pt_read_hpa(w, IOMMU_ABI_DEVICE, 1, root, 1, q))
		return PT_FAULT;
	if (!(q[0] & BIT(0)))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, absent, IOMMU_ABI_DEVICE, 1, root, q[0]);
	if (q[0] & (BITS(11, 1) | state[ABOVE_HAW]))
		return refuse_entry(w, IOMMU_ABI_RESERVED, reserved, IOMMU_ABI_DEVICE, 1, root, q[0]);
	*at = (q[0] & BITS(63, ADDR_LO)) + (w->q->rid & 0x7f) * 32;
	return pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, *at, 4, q) ? PT_GO : PT_FAULT;
}

/* ---- ECS ---- */

static bool ecs_context_invalid(const u64 *state, const u64 *q)
{
	unsigned int t = q[0] >> 2 & 7;

	if (t == 3 || t > 5 || !state[SS_LAST + (q[1] & 7)])
		return true;
	if ((t == 1 || t == 5) && !(state[ECAP] & ECAP_DT))
		return true;
	return (t == 2 || t > 3) && !(state[ECAP] & ECAP_PT);
}

static bool ecs_context_reserved(const u64 *state, const u64 *q)
{
	bool paside = q[0] & BIT(11), neste = q[0] & BIT(10);
	bool second_stage = (q[0] >> 2 & 7) < 2 || (paside && neste);
	u64 above = state[ABOVE_HAW];
	/* PAT: without MTS in EXTENDED_RSVD; with it each type has three bits, where PASIDs use it */
	u64 pat = paside ? 0x88888888ull << 32 : 0;

	return q[0] & (state[EXTENDED_RSVD] | (second_stage ? above : 0)) ||
	       q[1] & (state[EXTENDED_RSVD + 1] | pat) ||
	       q[2] & (BITS(11, 4) | (paside && !neste ? above : 0)) || q[3] & BITS(11, 0);
}

/* What a request with PASID finds in the context, before its PASID entry. */
static enum pt_verdict ecs_allows(struct pt_walk *w, u64 at, const u64 *q)
{
	if (!(q[0] & BIT(11)) || (q[0] >> 2 & 7) == 2)
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (w->q->access == PT_X && !(q[1] & BIT(26)))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x19, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (w->q->pasid >= 32u << (q[2] & 15))
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0, IOMMU_ABI_DEVICE, 0, at, q[0]);
	return PT_GO;
}

/* A request with PASID: the guest's PASID table, whose entries stage 2 covers with NESTE. */
static enum pt_verdict ecs_pasid(struct pt_walk *w, u64 at, const u64 *q)
{
	const u64 *state = w->unit->state;
	u64 five = state[CAP] & CAP_FS5LP ? BIT(9) : 0, entry_at, entry, above;
	bool neste = q[0] & BIT(10), priv = w->q->flags & IOMMU_ABI_PRIV;
	struct pt_place place = { .stage = IOMMU_ABI_PASID };
	unsigned int controls;

	if (ecs_allows(w, at, q) == PT_FAULT)
		return PT_FAULT;
	w->flags |= WITH_PASID;
	if (neste)
		ss_stage(w, q[0], q[1] & 7, SS_ECS | (q[1] & BIT(27) ? SS_SLEE : 0));
	entry_at = (q[2] & BITS(63, ADDR_LO)) + w->q->pasid * 8ull;
	if (!pt_read_gpa(w, &ss, &place, entry_at, 1, &entry))
		return PT_FAULT;
	above = neste ? 0 : state[ABOVE_HAW];
	if (!(entry & BIT(0)))
		return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, &place, &entry); /* ECS has no code here */
	if (entry & ((BITS(10, 5) & ~five) | BITS(2, 1) | above))
		return pt_refuse(w, IOMMU_ABI_RESERVED, 0, &place, &entry);
	if (priv && (!(entry & BIT(11)) || !(state[ECAP] & ECAP_SRS)))
		return pt_refuse(w, IOMMU_ABI_BLOCKED, 0x1a, &place, &entry);
	controls = (q[1] & BIT(5) ? FS_WPE : 0) | (q[1] & BIT(4) ? FS_NXE : 0) |
		   (q[1] & BIT(24) ? FS_SMEP : 0) | (q[1] & BIT(25) ? FS_EAF : 0) | (priv ? FS_PRIV : 0);
	fs_stage(w, entry, entry & five, controls);
	return go(w, q[1] & BIT(26) ? PT_R | PT_W | PT_X : PT_R | PT_W);
}

static enum pt_verdict ecs(struct pt_walk *w)
{
	bool with_pasid = w->q->flags & IOMMU_ABI_HAS_PASID;
	u64 q[4], at;
	unsigned int t;

	if (wide_context(w, 0x01, 0x0a, &at, q) == PT_FAULT)
		return PT_FAULT;
	t = q[0] >> 2 & 7;
	w->flags |= q[0] & BIT(1) ? FPD : 0;
	if (!(q[0] & BIT(0)))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x02, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (ecs_context_reserved(w->unit->state, q))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x0b, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (ecs_context_invalid(w->unit->state, q))
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x03, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (w->q->at != IOMMU_ABI_UNTRANSLATED && t != 1 && t != 5)
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x0d, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (w->q->at == IOMMU_ABI_TRANSLATED) /* with PASID: since 5.0 only */
		return with_pasid ? unsupported(w) : pass_translated(w);
	if (with_pasid)
		return ecs_pasid(w, at, q);
	if (PT_UNLIKELY(in_interrupt_range(w->q->iova)))
		return translated_interrupt(w);
	if (t > 1)
		return pass_through(w, q[1] & 7);
	ss_stage(w, q[0], q[1] & 7, SS_ECS);
	return go(w, PT_R | PT_W);
}

/* ---- scalable mode ---- */

enum { FIRST = 1, SECOND = 2, NESTED = 3, PASS_THROUGH = 4 };

/* Directory and PASID entry; q receives the latter. */
static enum pt_verdict pasid_entry(struct pt_walk *w, u64 directory, u32 pasid, u64 *at, u64 *q)
{
	const u64 *state = w->unit->state;
	u64 dir_at = (directory & BITS(63, ADDR_LO)) + (pasid >> 6) * 8;

	if (!pt_read_hpa(w, IOMMU_ABI_PASID, 1, dir_at, 1, q))
		return PT_FAULT;
	w->flags |= q[0] & BIT(1) ? FPD : 0;
	if (!(q[0] & BIT(0)))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x51, IOMMU_ABI_PASID, 1, dir_at, q[0]);
	if (q[0] & (BITS(11, 2) | state[ABOVE_HAW]))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x52, IOMMU_ABI_PASID, 1, dir_at, q[0]);
	*at = (q[0] & BITS(63, ADDR_LO)) + (pasid & 63) * 64;
	return pt_read_hpa(w, IOMMU_ABI_PASID, 0, *at, 8, q) ? PT_GO : PT_FAULT;
}

/* Every reserved bit is one whatever PGTT is (9.6). */
PT_INLINE bool pasid_entry_reserved(const u64 *state, const u64 *q)
{
	const u64 *reserved = &state[PASID_RSVD];

	return (q[0] & reserved[0]) | (q[1] & reserved[1]) | (q[2] & reserved[2]) | q[3] |
	       (q[4] & reserved[4]) | (q[5] & reserved[5]) | q[6] | q[7];
}

PT_INLINE bool pasid_entry_invalid(const u64 *state, const u64 *q, unsigned int pgtt)
{
	u64 last;

	if (!(state[PGTTS] >> pgtt & 1) || (q[2] >> 2 & 3) > state[FSPM_LAST])
		return true;
	if (!(pgtt & SECOND)) /* of NESTED too */
		return false;
	last = state[SS_LAST + (q[0] >> 2 & 7)];
	if (!last)
		return true;
	/* SPT.4.4; before 4.1 the second stage says so when it is asked for the table */
	return pgtt == NESTED && q[2] & BITS(63, ADDR_LO) & ~last & state[FSPTPTR_LIMITED];
}

/* The largest page of the unit: what a translation request learns of pass-through at once (4.2.3). */
static unsigned int largest_page(const u64 *state)
{
	if (state[CAP] & CAP_FS1GP || CAP_SSLPS(state[CAP]) & 2)
		return 30;
	return CAP_SSLPS(state[CAP]) & 1 || state[ECAP] & ECAP_FSTS ? 21 : PAGE_LG2;
}

static enum pt_verdict scalable_pass_through(struct pt_walk *w, unsigned int report)
{
	const u64 *state = w->unit->state;
	unsigned int size_lg2 = largest_page(state), apart;

	if (w->q->iova & state[ABOVE_HAW])
		return refuse_request(w, IOMMU_ABI_INPUT_RANGE, 0x83, IOMMU_ABI_PASID);
	go(w, report);
	if (pass_checked(w, w->report) == PT_FAULT)
		return PT_FAULT;
	if (w->q->at == IOMMU_ABI_UNTRANSLATED)
		return PT_DONE;
	apart = pt_apart(w->q->iova, 0xfee00000, 20);
	size_lg2 = size_lg2 < state[HAW] ? size_lg2 : (unsigned int)state[HAW];
	w->out->size_lg2 = (u8)(size_lg2 < apart ? size_lg2 : apart);
	return PT_DONE;
}

/* An execute request where hardware knows no such thing: without PASID (9.4), since 4.1 with one too. */
static PT_COLD void counts_as_read(struct pt_walk *w)
{
	w->access = PT_R;
	w->judge = PT_JUDGE_R;
}

/* Execution: a right until 4.1, then nothing that hardware has (SPT.5). */
static PT_COLD bool refuses_execution(struct pt_walk *w, const u64 *q)
{
	const u64 *state = w->unit->state;

	if (state[REV] < REV_4_1)
		return !(q[2] & BIT(1));
	counts_as_read(w);
	return !(state[ECAP] & ECAP_ERS);
}

static void scalable_first(struct pt_walk *w, const u64 *q, bool priv, bool unsnooped)
{
	unsigned int controls = (priv ? FS_PRIV : 0) | (q[2] >> 3 & FS_WPE) | (q[2] >> 3 & FS_EAF) |
				(unsnooped ? FS_UNSNOOPED : 0);

	if (w->unit->state[REV] < REV_4_1)
		controls |= (q[2] >> 4 & FS_SMEP) | (q[2] >> 2 & FS_NXE);
	else
		controls |= FS_NXE; /* bit 63 is ignored, as if it were a right that nobody asks for */
	fs_stage(w, q[2], q[2] & BIT(2), controls);
}

static void scalable_second(struct pt_walk *w, const u64 *q, bool unsnooped)
{
	unsigned int flags = (q[0] >> 5 & SS_SLEE) | (q[0] >> 8 & SS_SSADE) | (unsnooped ? SS_UNSNOOPED : 0);

	if (PT_UNLIKELY(w->unit->state[RTADDR] & RTADDR_SSIRWE) && w->unit->state[ECAP] & ECAP_SSIRWS)
		flags |= SS_IO;
	ss_stage(w, q[0], q[0] >> 2 & 7, flags);
}

/* The process's part: PASID directory, PASID entry, stages. */
static enum pt_verdict scalable_process(struct pt_walk *w, u64 directory, u32 pasid, bool priv)
{
	const u64 *state = w->unit->state;
	unsigned int pgtt, report;
	bool unsnooped;
	u64 q[8], at;

	if (pasid_entry(w, directory, pasid, &at, q) == PT_FAULT)
		return PT_FAULT;
	pgtt = q[0] >> 6 & 7;
	w->flags |= q[0] & BIT(1) ? FPD : 0;
	if (PT_UNLIKELY(!(q[0] & BIT(0))))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x59, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(pasid_entry_reserved(state, q)))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x5a, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(pasid_entry_invalid(state, q, pgtt)))
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x5b, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(w->access == PT_X) && refuses_execution(w, q))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x5c, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(priv && !(q[2] & BIT(0))))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x5d, IOMMU_ABI_PASID, 0, at, q[0]);
	/* ERE is reserved since 4.1; without PASID nothing is executed */
	report = q[2] & BIT(1) && w->q->flags & IOMMU_ABI_HAS_PASID ? PT_R | PT_W | PT_X : PT_R | PT_W;
	if (pgtt == PASS_THROUGH)
		return scalable_pass_through(w, report);
	unsnooped = !(q[1] & BIT(23)); /* PWSNP, which is reserved without SMPWCS */
	if (pgtt != SECOND)
		scalable_first(w, q, priv, unsnooped);
	if (pgtt != FIRST)
		scalable_second(w, q, unsnooped);
	return go(w, report);
}

enum { DTE = 1 << 2, PASIDE = 1 << 3, PRE = 1 << 4, HPTE = 1 << 5, EPTR = 1 << 6 }; /* of the context's q0 */

/* The PASID of requests without one. Without RPS the field is reserved, and 0 is what counts. */
PT_INLINE u32 rid_pasid(const u64 *q)
{
	return (u32)(q[1] & BITS(19, 0));
}

/* Fields of a context that contradict each other (SCT.4). */
static enum pt_verdict scalable_consistent(struct pt_walk *w, u64 at, const u64 *q, u64 pasids)
{
	bool with_pasid = w->q->flags & IOMMU_ABI_HAS_PASID;

	if ((q[0] & (DTE | PRE)) == PRE)
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x43, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (rid_pasid(q) >= pasids)
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0x43, IOMMU_ABI_DEVICE, 0, at, q[0]);
	/* PASIDE has a code of its own where the request needs it */
	if ((q[0] & (EPTR | PASIDE)) == EPTR && (!with_pasid || w->q->at == IOMMU_ABI_TRANSLATED))
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x43, IOMMU_ABI_DEVICE, 0, at, q[0]);
	return PT_GO;
}

/* A request with PASID, by the context and the unit. */
static enum pt_verdict scalable_allows_pasid(struct pt_walk *w, u64 at, const u64 *q, u64 pasids)
{
	const u64 *state = w->unit->state;
	bool translated = w->q->at == IOMMU_ABI_TRANSLATED;
	u32 pasid = w->q->pasid;

	if (PT_UNLIKELY(translated && state[REV] < REV_5_0))
		return unsupported(w);
	if (PT_UNLIKELY(translated && !(q[0] & EPTR)))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x49, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(!translated && !(q[0] & PASIDE)))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x45, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(pasid >= pasids))
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0x46, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(pasid == rid_pasid(q) && state[REV] >= REV_5_0)) {
		w->lone = true;
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x48, IOMMU_ABI_DEVICE, 0, at, q[0]);
	}
	if (PT_UNLIKELY(pasid > state[PSS_LAST]))
		return refuse_request(w, IOMMU_ABI_PASID_RANGE, 0x89, IOMMU_ABI_DEVICE);
	return PT_GO;
}

static enum pt_verdict scalable_translated(struct pt_walk *w, u64 at, const u64 *q)
{
	if (q[0] & HPTE) { /* host permission tables are not modelled: nothing passes */
		refuse_entry(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE, 0, at, q[0]);
		w->out->fault.recorded = 0;
		return PT_FAULT;
	}
	return pass_translated(w);
}

static enum pt_verdict scalable(struct pt_walk *w)
{
	const u64 *state = w->unit->state;
	bool with_pasid = w->q->flags & IOMMU_ABI_HAS_PASID, untranslated = !w->q->at;
	u64 q[4], at, pasids;

	if (PT_UNLIKELY(w->access == PT_X && with_pasid && VER_MAJOR(state[VER]) >= 8 &&
			state[REV] >= REV_4_1))
		return refuse_request(w, IOMMU_ABI_BLOCKED, 0x34, IOMMU_ABI_DEVICE); /* RTA.5 */
	if (wide_context(w, 0x39, 0x3a, &at, q) == PT_FAULT)
		return PT_FAULT;
	w->flags |= q[0] & BIT(1) ? FPD : 0;
	if (PT_UNLIKELY(!(q[0] & BIT(0))))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x41, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(q[0] & state[CONTEXT_RSVD] || q[1] & state[CONTEXT_RSVD + 1] || q[2] | q[3]))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x42, IOMMU_ABI_DEVICE, 0, at, q[0]);
	pasids = 8192ull << (q[0] >> 9 & 7);
	if (scalable_consistent(w, at, q, pasids) == PT_FAULT)
		return PT_FAULT;
	if (PT_UNLIKELY(!untranslated && !(q[0] & DTE)))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x44, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (with_pasid && scalable_allows_pasid(w, at, q, pasids) == PT_FAULT)
		return PT_FAULT;
	if (PT_UNLIKELY(w->q->at == IOMMU_ABI_TRANSLATED))
		return scalable_translated(w, at, q);
	if (!with_pasid && PT_UNLIKELY(in_interrupt_range(w->q->iova)))
		return translated_interrupt(w);
	if (PT_UNLIKELY(w->access == PT_X && !with_pasid))
		counts_as_read(w);
	/* Without PASID it is as privileged as the context says */
	return scalable_process(w, q[0], with_pasid ? w->q->pasid : rid_pasid(q),
				with_pasid ? w->q->flags & IOMMU_ABI_PRIV : q[1] & BIT(20));
}

#endif
