/* SPDX-License-Identifier: MIT */
/*
 * vtd_context.h - root and context entries, PASID directory and entries, for vtd.c: whether they are
 * legal, and which stages they make of a request.
 *
 * Legacy mode: VT-d 4.x sections 3.4.2, 9.1-9.3; scalable mode: 3.4.3, 9.1, 9.4-9.6. ECS, the
 * extended-context mode of 2014-2018: VT-d 2.x sections 3.4.4, 3.8, 9.2, 9.4, 9.5.
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

/* The address goes out as it came in. */
static enum pt_verdict pass(struct pt_walk *w, unsigned int access)
{
	w->out->hpa = w->out->gpa = w->q->iova;
	w->out->size_lg2 = PAGE_LG2;
	w->out->access = (__u8)access;
	return PT_DONE;
}

/* pass(), but not into the interrupt range. */
static enum pt_verdict pass_checked(struct pt_walk *w, unsigned int access)
{
	if (in_interrupt_range(w->q->iova))
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, w->flags & SCALABLE ? 0x87 : 0x0e,
				      IOMMU_ABI_DEVICE);
	return pass(w, access);
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

static enum pt_verdict legacy(struct pt_walk *w)
{
	const u64 *state = w->unit->state;
	unsigned int at_type = w->q->at, tt, aw;
	u64 q[2], at, reserved;

	if (w->q->flags & IOMMU_ABI_HAS_PASID)
		return refuse_request(w, IOMMU_ABI_BLOCKED, 0x31, IOMMU_ABI_DEVICE);
	if (legacy_context(w, &at, q) == PT_FAULT)
		return PT_FAULT;
	tt = q[0] >> 2 & 3;
	aw = q[1] & 7;
	w->flags |= q[0] & BIT(1) ? FPD : 0;
	reserved = BITS(11, 4) | (tt < 2 ? state[ABOVE_HAW] : 0);
	if (!(q[0] & BIT(0)))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x02, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (q[0] & reserved || q[1] & (BIT(7) | BITS(63, 24)))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x0b, IOMMU_ABI_DEVICE, 0, at, q[0]);
	/* TT=2 wants the largest width: none above it may be supported */
	if (tt == 3 || !state[SS_LAST + aw] || (tt == 1 && !(state[ECAP] & ECAP_DT)) ||
	    (tt == 2 && (!(state[ECAP] & ECAP_PT) || CAP_SAGAW(state[CAP]) >> aw > 1)))
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x03, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (at_type != IOMMU_ABI_UNTRANSLATED && tt != 1)
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x0d, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (at_type == IOMMU_ABI_TRANSLATED)
		return pass_checked(w, PT_R | PT_W);
	if (tt == 2) {
		if (w->q->iova > state[SS_LAST + aw])
			return refuse_request(w, IOMMU_ABI_INPUT_RANGE, 0x04, IOMMU_ABI_DEVICE);
		return pass_checked(w, PT_R | PT_W);
	}
	w->report = PT_R | PT_W;
	ss_stage(w, q[0], aw, false, false);
	return PT_GO;
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
	if ((t == 2 || t > 3) && !(state[ECAP] & ECAP_PT))
		return true;
	if (q[0] & BIT(10) && !(state[ECAP] & ECAP_NEST))
		return true;
	return q[0] & BIT(11) && !(state[ECAP] & ECAP_PASID);
}

static bool ecs_context_reserved(const u64 *state, const u64 *q)
{
	bool paside = q[0] & BIT(11), neste = q[0] & BIT(10);
	bool second_stage = (q[0] >> 2 & 7) < 2 || (paside && neste);
	u64 above = state[ABOVE_HAW];

	return q[0] & (second_stage ? above : 0) || q[1] & (BITS(31, 28) | 0x88888888ull << 32) ||
	       q[2] & (BITS(11, 4) | (paside && !neste ? above : 0)) || q[3] & BITS(11, 0);
}

/* A request with PASID: the guest's PASID table, whose entries stage 2 covers with NESTE. */
static enum pt_verdict ecs_pasid(struct pt_walk *w, u64 at, const u64 *q)
{
	const u64 *state = w->unit->state;
	u64 five = state[CAP] & CAP_FL5LP ? BIT(9) : 0, entry_at, entry, above;
	bool neste = q[0] & BIT(10), priv = w->q->flags & IOMMU_ABI_PRIV;
	unsigned int t = q[0] >> 2 & 7, controls;
	struct pt_place place = { .stage = IOMMU_ABI_PASID };

	if (!(q[0] & BIT(11)) || t == 2 || (w->q->access == PT_X && !(q[1] & BIT(26))))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (w->q->pasid >= 32u << (q[2] & 15))
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (neste)
		ss_stage(w, q[0], q[1] & 7, q[1] & BIT(27), false);
	entry_at = (q[2] & BITS(63, ADDR_LO)) + w->q->pasid * 8ull;
	if (!pt_read_gpa(w, &ss, &place, entry_at, 1, &entry))
		return PT_FAULT;
	above = neste ? 0 : state[ABOVE_HAW];
	if (!(entry & BIT(0)))
		return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, &place, &entry); /* ECS has no code here */
	if (entry & ((BITS(10, 5) & ~five) | BITS(2, 1) | above))
		return pt_refuse(w, IOMMU_ABI_RESERVED, 0, &place, &entry);
	if (priv && !(entry & BIT(11)))
		return pt_refuse(w, IOMMU_ABI_BLOCKED, 0, &place, &entry);
	controls = (q[1] & BIT(5) ? FS_WPE : 0) | (q[1] & BIT(4) ? FS_NXE : 0) |
		   (q[1] & BIT(24) ? FS_SMEP : 0) | (q[1] & BIT(25) ? FS_EAF : 0) | (priv ? FS_PRIV : 0);
	w->flags |= WITH_PASID;
	w->report = q[1] & BIT(26) ? PT_R | PT_W | PT_X : PT_R | PT_W;
	fs_stage(w, entry, entry & five, controls);
	return PT_GO;
}

static enum pt_verdict ecs(struct pt_walk *w)
{
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
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return pass_checked(w, PT_R | PT_W);
	if (w->q->flags & IOMMU_ABI_HAS_PASID)
		return ecs_pasid(w, at, q);
	if (t > 1)
		return pass_checked(w, PT_R | PT_W);
	w->report = PT_R | PT_W;
	ss_stage(w, q[0], q[1] & 7, false, false);
	return PT_GO;
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

PT_INLINE bool pasid_entry_reserved(const u64 *state, const u64 *q, unsigned int pgtt)
{
	u64 above = state[ABOVE_HAW];

	return q[0] & (BITS(11, 10) | (pgtt == SECOND || pgtt == NESTED ? above : 0)) ||
	       q[1] & BITS(22, 16) || q[2] & (BITS(11, 8) | (pgtt == FIRST ? above : 0)) ||
	       (q[3] | q[4] | q[5] | q[6] | q[7]);
}

PT_INLINE bool pasid_entry_invalid(const u64 *state, const u64 *q, unsigned int pgtt)
{
	unsigned int flpm = q[2] >> 2 & 3;
	u64 need = pgtt == FIRST    ? ECAP_FLTS
		   : pgtt == SECOND ? ECAP_SLTS
		   : pgtt == NESTED ? ECAP_FLTS | ECAP_SLTS | ECAP_NEST
				    : ECAP_PT;

	if (pgtt < FIRST || pgtt > PASS_THROUGH || need & ~state[ECAP])
		return true;
	if ((pgtt == SECOND || pgtt == NESTED) && !state[SS_LAST + (q[0] >> 2 & 7)])
		return true;
	return (pgtt == FIRST || pgtt == NESTED) && (flpm > 1 || (flpm && !(state[CAP] & CAP_FL5LP)));
}

static enum pt_verdict scalable_pass_through(struct pt_walk *w)
{
	if (w->q->iova & w->unit->state[ABOVE_HAW])
		return refuse_request(w, IOMMU_ABI_INPUT_RANGE, 0x83, IOMMU_ABI_PASID);
	return pass_checked(w, w->report);
}

/* The process's part: PASID directory, PASID entry, stages. */
static enum pt_verdict scalable_process(struct pt_walk *w, u64 directory, u32 pasid, bool priv)
{
	const u64 *state = w->unit->state;
	u64 q[8], at;
	unsigned int pgtt;

	if (pasid_entry(w, directory, pasid, &at, q) == PT_FAULT)
		return PT_FAULT;
	pgtt = q[0] >> 6 & 7;
	w->flags |= q[0] & BIT(1) ? FPD : 0;
	if (PT_UNLIKELY(!(q[0] & BIT(0))))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x59, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(pasid_entry_reserved(state, q, pgtt)))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x5a, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(pasid_entry_invalid(state, q, pgtt)))
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x5b, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(w->q->access == PT_X && !(q[2] & BIT(1))))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x5c, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(priv && !(q[2] & BIT(0))))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x5d, IOMMU_ABI_PASID, 0, at, q[0]);
	w->report = q[2] & BIT(1) ? PT_R | PT_W | PT_X : PT_R | PT_W;
	if (pgtt == PASS_THROUGH)
		return scalable_pass_through(w);
	if (pgtt != SECOND)
		fs_stage(w, q[2], q[2] & BIT(2),
			 (priv ? FS_PRIV : 0) | (q[2] >> 3 & FS_WPE) | (q[2] >> 4 & FS_SMEP) |
				 (q[2] >> 2 & FS_NXE) | (q[2] >> 3 & FS_EAF));
	if (pgtt != FIRST)
		ss_stage(w, q[0], q[0] >> 2 & 7, q[0] & BIT(5), q[0] & BIT(9));
	return PT_GO;
}

static enum pt_verdict scalable(struct pt_walk *w)
{
	const u64 *state = w->unit->state;
	bool with_pasid = w->q->flags & IOMMU_ABI_HAS_PASID;
	bool priv = with_pasid ? w->q->flags & IOMMU_ABI_PRIV : false;
	bool by_context = !with_pasid && state[ECAP] & ECAP_RPS;
	u64 q[4], at, pasids;
	u32 pasid;

	if (wide_context(w, 0x39, 0x3a, &at, q) == PT_FAULT)
		return PT_FAULT;
	w->flags |= q[0] & BIT(1) ? FPD : 0;
	if (PT_UNLIKELY(!(q[0] & BIT(0))))
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x41, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(q[0] & (BITS(8, 5) | state[ABOVE_HAW]) || q[1] & BITS(63, 21) || q[2] | q[3]))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x42, IOMMU_ABI_DEVICE, 0, at, q[0]);
	pasids = 8192ull << (q[0] >> 9 & 7);
	pasid = with_pasid ? w->q->pasid : by_context ? (u32)(q[1] & BITS(19, 0)) : 0;
	if (PT_UNLIKELY(by_context && pasid >= pasids))
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0x48, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(w->q->at != IOMMU_ABI_UNTRANSLATED && !(q[0] & BIT(2))))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x44, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(with_pasid && !(q[0] & BIT(3))))
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x45, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(with_pasid && pasid >= pasids))
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0x46, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(w->q->at == IOMMU_ABI_TRANSLATED))
		return pass_checked(w, PT_R | PT_W);
	if (!with_pasid)
		priv = q[1] & BIT(20); /* RID_PRIV */
	return scalable_process(w, q[0], pasid, priv);
}

#endif
