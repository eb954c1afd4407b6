/* SPDX-License-Identifier: MIT */
/*
 * vtd_context.h - who: root and context entries, PASID directory and entries, for vtd.c: whether they are
 * legal, and which stages they make.
 *
 * Legacy mode: VT-d 5.10 sections 3.4.2, 9.1, 9.3; scalable mode: 3.4.3, 9.2, 9.4-9.6. ECS, the
 * extended-context mode of 2014-2018: VT-d 2.x sections 3.4.4, 3.8, 9.2, 9.4, 9.5.
 */
#ifndef IOMMU_ABI_VTD_CONTEXT_H
#define IOMMU_ABI_VTD_CONTEXT_H

#include "vtd_pt.h"

/* Index into pt_context.own: the last address that pass-through takes. */
enum { PASS_LAST };

/* Refuses at the entry at @at; always false, with which look_up() ends. */
PT_INLINE bool refuse_entry(struct pt_walk *w, unsigned int reason, u32 native, unsigned int stage,
			    unsigned int level, u64 at, u64 raw)
{
	struct pt_place place = { .stage = (u8)stage, .level = (u8)level, .gpa = at, .hpa = at };

	pt_refuse(w, reason, native, &place, &raw);
	return false;
}

/* Refuses for what registers or the request say: the fault names no entry. */
static PT_COLD enum pt_verdict refuse_request(struct pt_walk *w, unsigned int reason, u32 native,
					      unsigned int stage)
{
	struct pt_place place = { .stage = (u8)stage };

	pt_fault_of_request(w, reason, native, &place, NULL);
	w->fault->recorded = native != 0;
	return PT_FAULT;
}

/*
 * The functions of each mode read its tables and fill *c; false: an entry refuses, as *w->fault says. A
 * comment at a check names its condition in Table 30 (7.1.3); the entry's own section says which fields are
 * reserved and which values are legal.
 */

/* ---- legacy mode ---- */

/* Reads root entry (9.1) and context entry (9.3), 16 bytes each; q receives the latter. */
static bool legacy_entry(struct pt_walk *w, const struct pt_context *c, u64 *at, u64 *q)
{
	const u64 *state = c->unit->state;
	u64 root = (state[RTADDR] & BITS(63, ADDR_LO)) + (c->rid >> 8) * 16;

	if (!pt_read_hpa(w, IOMMU_ABI_DEVICE, 1, root, 2, q))
		return false;
	if (!(q[0] & BIT(0))) /* LRT.2 */
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x01, IOMMU_ABI_DEVICE, 1, root, q[0]);
	if (q[0] & (BITS(11, 1) | state[ABOVE_HAW]) || q[1]) /* LRT.3 */
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x0a, IOMMU_ABI_DEVICE, 1, root, q[0]);
	*at = (q[0] & BITS(63, ADDR_LO)) + (c->rid & 0xff) * 16;
	return pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, *at, 2, q);
}

/* Takes what all requests need from a legal context entry of legacy mode or ECS. */
static void decides(struct pt_walk *w, struct pt_context *c, u64 at, const u64 *q)
{
	pt_decides(w, c, IOMMU_ABI_DEVICE, at, at, q[0]);
	c->flags |= ENTRY;
	c->domain = q[1] >> 8 & 0xffff;
	c->grant = PT_R | PT_W;
	c->own[PASS_LAST] = c->unit->state[SS_LAST + (q[1] & 7)];
}

static bool legacy_context(struct pt_walk *w, struct pt_context *c)
{
	const u64 *state = c->unit->state;
	unsigned int tt, aw;
	u64 q[2], at, reserved;

	if (c->has_pasid) /* RTA.2 */
		return !refuse_request(w, IOMMU_ABI_BLOCKED, 0x31, IOMMU_ABI_DEVICE);
	if (state[RTADDR] & RTADDR_SSIRWE && state[ECAP] & ECAP_SSIRWS) /* RTA.1.4 */
		return !refuse_request(w, IOMMU_ABI_INVALID, 0x30, IOMMU_ABI_DEVICE);
	if (!legacy_entry(w, c, &at, q))
		return false;
	tt = q[0] >> 2 & 3;
	aw = q[1] & 7;
	c->flags |= q[0] & BIT(1) ? FPD : 0;
	reserved = BITS(11, 4) | (tt == 2 ? 0 : state[ABOVE_HAW]);
	if (!(q[0] & BIT(0))) /* LCT.2 */
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x02, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (q[0] & reserved || q[1] & (BIT(7) | BITS(63, 24) | state[DID_ABOVE])) /* LCT.3 */
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x0b, IOMMU_ABI_DEVICE, 0, at, q[0]);
	/* LCT.4; AW of TT=2 must be the largest that SAGAW has (9.3) */
	if (tt == 3 || !state[SS_LAST + aw] || (tt == 1 && !(state[ECAP] & ECAP_DT)) ||
	    (tt == 2 && (!(state[ECAP] & ECAP_PT) || CAP_SAGAW(state[CAP]) >> aw > 1)))
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x03, IOMMU_ABI_DEVICE, 0, at, q[0]);
	decides(w, c, at, q);
	if (tt != 2)
		ss_stage(c, q[0], aw, 0);
	return true;
}

/* ---- extended root and context entries: the scalable ones lie in the same places ---- */

/* Reads half a root entry (9.2) and the context entry, of which q receives 32 bytes. @absent and
 * @reserved are this mode's codes for SRT.2 and SRT.3. */
PT_INLINE bool wide_entry(struct pt_walk *w, const struct pt_context *c, u32 absent, u32 reserved, u64 *at,
			  u64 *q)
{
	const u64 *state = c->unit->state;
	/* 8 bytes for each half of a bus */
	u64 root = (state[RTADDR] & BITS(63, ADDR_LO)) + (c->rid >> 7) * 8;

	if (!pt_read_hpa(w, IOMMU_ABI_DEVICE, 1, root, 1, q))
		return false;
	if (!(q[0] & BIT(0))) /* SRT.2 */
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, absent, IOMMU_ABI_DEVICE, 1, root, q[0]);
	if (q[0] & (BITS(11, 1) | state[ABOVE_HAW])) /* SRT.3 */
		return refuse_entry(w, IOMMU_ABI_RESERVED, reserved, IOMMU_ABI_DEVICE, 1, root, q[0]);
	*at = (q[0] & BITS(63, ADDR_LO)) + (c->rid & 0x7f) * 32;
	return pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, *at, 4, q);
}

/* ---- ECS ---- */

/* The fields T (type) and PASIDE of a context entry (2.x, 9.4). */
#define ECS_T(q0) ((unsigned int)((q0) >> 2 & 7))
#define ECS_PASIDE BIT(11)

/* A reserved type, one that the IOMMU lacks (2.x, 3.4.4), or a width that it lacks (9.4). */
static bool ecs_context_invalid(const u64 *state, const u64 *q)
{
	unsigned int t = ECS_T(q[0]);

	if (t == 3 || t > 5 || !state[SS_LAST + (q[1] & 7)])
		return true;
	if ((t == 1 || t == 5) && !(state[ECAP] & ECAP_DT))
		return true;
	return (t == 2 || t > 3) && !(state[ECAP] & ECAP_PT);
}

/* By capability (2.x, 9.4); which fields depend on which is partly ours: docs/walk.md, "ECS". */
static bool ecs_context_reserved(const u64 *state, const u64 *q)
{
	bool paside = q[0] & ECS_PASIDE, neste = q[0] & BIT(10);
	bool second_stage = ECS_T(q[0]) < 2 || (paside && neste);
	u64 above = state[ABOVE_HAW];
	/* Without MTS, EXTENDED_RSVD has all of PAT. With it each type has three bits, and PASIDE makes them count */
	u64 pat = paside ? 0x88888888ull << 32 : 0;

	return q[0] & (state[EXTENDED_RSVD] | (second_stage ? above : 0)) ||
	       q[1] & (state[EXTENDED_RSVD + 1] | pat) ||
	       q[2] & (BITS(11, 4) | (paside && !neste ? above : 0)) || q[3] & BITS(11, 0);
}

/* Reads the entry of the guest's PASID table (2.x, 9.5), which lies in GPA with NESTE (2.x, 3.8). */
static bool ecs_process(struct pt_walk *w, struct pt_context *c, u64 at, const u64 *q)
{
	const u64 *state = c->unit->state;
	u64 five = state[CAP] & CAP_FS5LP ? BIT(9) : 0, entry_at, entry, above;
	bool neste = q[0] & BIT(10);
	struct pt_place place = { .stage = IOMMU_ABI_PASID };
	unsigned int controls;

	if (c->pasid >= 32u << (q[2] & 15)) /* beyond the size that the context entry says */
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (neste)
		ss_stage(c, q[0], q[1] & 7, SS_ECS | (q[1] & BIT(27) ? SS_SLEE : 0));
	entry_at = (q[2] & BITS(63, ADDR_LO)) + c->pasid * 8ull;
	if (!pt_read_gpa(w, &ss, &place, entry_at, 1, &entry))
		return false;
	above = neste ? 0 : state[ABOVE_HAW];
	if (!(entry & BIT(0))) /* no text that is public gives a code */
		return !pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, &place, &entry);
	if (entry & ((BITS(10, 5) & ~five) | BITS(2, 1) | above)) /* 2.x, 9.5 */
		return !pt_refuse(w, IOMMU_ABI_RESERVED, 0, &place, &entry);
	pt_decides(w, c, IOMMU_ABI_PASID, place.gpa, place.hpa, entry);
	c->process = c->pasid;
	c->flags |= entry & BIT(11) && state[ECAP] & ECAP_SRS ? SUPERVISES : 0;
	controls = (q[1] & BIT(5) ? FS_WPE : 0) | (q[1] & BIT(4) ? FS_NXE : 0) |
		   (q[1] & BIT(24) ? FS_SMEP : 0) | (q[1] & BIT(25) ? FS_EAF : 0);
	fs_stage(c, entry, entry & five, controls);
	return true;
}

static bool ecs_context(struct pt_walk *w, struct pt_context *c)
{
	const u64 *state = c->unit->state;
	u64 q[4], at = 0;
	unsigned int t;

	if (!wide_entry(w, c, 0x01, 0x0a, &at, q))
		return false;
	t = ECS_T(q[0]);
	c->flags |= q[0] & BIT(1) ? FPD : 0;
	if (!(q[0] & BIT(0))) /* as LCT.2; below as LCT.3 and LCT.4 */
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x02, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (ecs_context_reserved(state, q))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x0b, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (ecs_context_invalid(state, q))
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x03, IOMMU_ABI_DEVICE, 0, at, q[0]);
	decides(w, c, at, q);
	if (!c->has_pasid) {
		if (t < 2)
			ss_stage(c, q[0], q[1] & 7, SS_ECS);
		return true;
	}
	if (q[1] & BIT(26)) {
		c->flags |= EXECUTES;
		c->grant |= PT_X;
	}
	return q[0] & ECS_PASIDE && t != 2 && ecs_process(w, c, at, q);
}

/* ---- scalable mode ---- */

enum { FIRST = 1, SECOND = 2, NESTED = 3, PASS_THROUGH = 4 };

#define PGTT(q0) ((unsigned int)((q0) >> 6 & 7))

/* Reads PASID directory entry (9.5) and PASID entry (9.6); q receives the latter. */
static bool pasid_entry(struct pt_walk *w, struct pt_context *c, u64 directory, u32 pasid, u64 *at, u64 *q)
{
	const u64 *state = c->unit->state;
	u64 dir_at = (directory & BITS(63, ADDR_LO)) + (pasid >> 6) * 8;

	if (!pt_read_hpa(w, IOMMU_ABI_PASID, 1, dir_at, 1, q))
		return false;
	c->flags |= q[0] & BIT(1) ? FPD_PASID : 0;
	if (!(q[0] & BIT(0))) /* SPD.2 */
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x51, IOMMU_ABI_PASID, 1, dir_at, q[0]);
	if (q[0] & (BITS(11, 2) | state[ABOVE_HAW])) /* SPD.3 */
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x52, IOMMU_ABI_PASID, 1, dir_at, q[0]);
	*at = (q[0] & BITS(63, ADDR_LO)) + (pasid & 63) * 64;
	return pt_read_hpa(w, IOMMU_ABI_PASID, 0, *at, 8, q);
}

/* A bit that is reserved is so for every PGTT, also in fields that this PGTT ignores (9.6). */
PT_INLINE bool pasid_entry_reserved(const u64 *state, const u64 *q)
{
	const u64 *reserved = &state[PASID_RSVD];

	return (q[0] & reserved[0]) | (q[1] & reserved[1]) | (q[2] & reserved[2]) | q[3] |
	       (q[4] & reserved[4]) | (q[5] & reserved[5]) | q[6] | q[7];
}

/* PGTT, FSPM (of every PGTT), AW (of SECOND and NESTED) that the IOMMU lacks: SPT.4. */
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
	/* SPT.4.4. Before 4.1 this is no fault of the entry: the second stage refuses the table's address */
	return pgtt == NESTED && q[2] & BITS(63, ADDR_LO) & ~last & state[FSPTPTR_LIMITED];
}

static void scalable_first(struct pt_context *c, const u64 *q, bool unsnooped)
{
	unsigned int controls = (q[2] >> 4 & FS_WPE) | (q[2] >> 4 & FS_EAF) | (unsnooped ? FS_UNSNOOPED : 0);

	if (c->unit->state[REV] < REV_4_1)
		controls |= (q[2] >> 5 & FS_SMEP) | (q[2] >> 3 & FS_NXE);
	else
		controls |= FS_NXE; /* bit 63 is ignored (9.7): as a right that no request needs */
	fs_stage(c, q[2], q[2] & BIT(2), controls);
}

static void scalable_second(struct pt_context *c, const u64 *q, bool unsnooped)
{
	const u64 *state = c->unit->state;
	unsigned int flags = (q[0] >> 5 & SS_SLEE) | (q[0] >> 8 & SS_SSADE) | (unsnooped ? SS_UNSNOOPED : 0);

	if (PT_UNLIKELY(state[RTADDR] & RTADDR_SSIRWE) && state[ECAP] & ECAP_SSIRWS)
		flags |= SS_IO;
	ss_stage(c, q[0], q[0] >> 2 & 7, flags);
}

/* Reads the PASID tables for @pasid and makes the stages that its entry asks for. */
PT_INLINE bool scalable_process(struct pt_walk *w, struct pt_context *c, u64 directory, u32 pasid)
{
	const u64 *state = c->unit->state;
	unsigned int pgtt;
	bool unsnooped;
	u64 q[8], at;

	if (!pasid_entry(w, c, directory, pasid, &at, q))
		return false;
	pgtt = PGTT(q[0]);
	c->flags |= (q[0] & BIT(1) ? FPD_PASID : 0) | (q[2] & BIT(0) ? SUPERVISES : 0) |
		    (q[2] & BIT(1) ? EXECUTES : 0);
	if (PT_UNLIKELY(!(q[0] & BIT(0)))) /* SPT.2 */
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x59, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(pasid_entry_reserved(state, q))) /* SPT.3 */
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x5a, IOMMU_ABI_PASID, 0, at, q[0]);
	if (PT_UNLIKELY(pasid_entry_invalid(state, q, pgtt))) /* SPT.4 */
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x5b, IOMMU_ABI_PASID, 0, at, q[0]);
	pt_decides(w, c, IOMMU_ABI_PASID, at, at, q[0]);
	c->domain = q[1] & 0xffff;
	c->process = pasid;
	/* ERE is reserved since 4.1; without PASID nothing is executed */
	c->grant = q[2] & BIT(1) && c->has_pasid ? PT_R | PT_W | PT_X : PT_R | PT_W;
	unsnooped = !(q[1] & BIT(23)); /* PWSNP, which is reserved without SMPWCS */
	if (pgtt & FIRST)
		scalable_first(c, q, unsnooped);
	if (pgtt & SECOND)
		scalable_second(c, q, unsnooped);
	return true;
}

enum { DTE = 1 << 2, PASIDE = 1 << 3, PRE = 1 << 4, HPTE = 1 << 5, EPTR = 1 << 6 }; /* of the context's q0 */

/* The PASID entry that serves requests without PASID (3.4.3). Without RPS the field is reserved, so it is
 * 0. */
PT_INLINE u32 rid_pasid(const u64 *q)
{
	return (u32)(q[1] & BITS(19, 0));
}

/* Do PDTS, RID_PASID and ECAP.PSS allow this PASID? */
static bool scalable_takes_pasid(struct pt_walk *w, struct pt_context *c, u64 at, const u64 *q, u64 pasids)
{
	const u64 *state = c->unit->state;

	if (PT_UNLIKELY(c->pasid >= pasids)) /* SCT.7 */
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0x46, IOMMU_ABI_DEVICE, 0, at, q[0]);
	if (PT_UNLIKELY(c->pasid == rid_pasid(q) && state[REV] >= REV_5_0)) { /* SCT.9 */
		c->flags |= LONE;
		return refuse_entry(w, IOMMU_ABI_BLOCKED, 0x48, IOMMU_ABI_DEVICE, 0, at, q[0]);
	}
	if (PT_UNLIKELY(c->pasid > state[PSS_LAST])) /* SGN.10 */
		return !refuse_request(w, IOMMU_ABI_PASID_RANGE, 0x89, IOMMU_ABI_DEVICE);
	return true;
}

PT_INLINE bool scalable_context(struct pt_walk *w, struct pt_context *c)
{
	const u64 *state = c->unit->state;
	u64 q[4], at, pasids;

	if (!wide_entry(w, c, 0x39, 0x3a, &at, q))
		return false;
	c->flags |= (q[0] & BIT(1) ? FPD : 0) | (q[1] & BIT(20) ? RID_PRIV : 0);
	if (PT_UNLIKELY(!(q[0] & BIT(0)))) /* SCT.2 */
		return refuse_entry(w, IOMMU_ABI_NOT_PRESENT, 0x41, IOMMU_ABI_DEVICE, 0, at, q[0]);
	/* SCT.3 */
	if (PT_UNLIKELY(q[0] & state[CONTEXT_RSVD] || q[1] & state[CONTEXT_RSVD + 1] || q[2] | q[3]))
		return refuse_entry(w, IOMMU_ABI_RESERVED, 0x42, IOMMU_ABI_DEVICE, 0, at, q[0]);
	/* SCT.4: PRE wants DTE, and RID_PASID must lie in the directory. What depends on the request: scalable() */
	if ((q[0] & (DTE | PRE)) == PRE)
		return refuse_entry(w, IOMMU_ABI_INVALID, 0x43, IOMMU_ABI_DEVICE, 0, at, q[0]);
	pasids = 8192ull << (q[0] >> 9 & 7);
	if (rid_pasid(q) >= pasids) /* SCT.4 */
		return refuse_entry(w, IOMMU_ABI_PASID_RANGE, 0x43, IOMMU_ABI_DEVICE, 0, at, q[0]);
	pt_decides(w, c, IOMMU_ABI_DEVICE, at, at, q[0]);
	c->flags |= ENTRY;
	if (c->has_pasid && !scalable_takes_pasid(w, c, at, q, pasids)) {
		c->flags |= BAD_PASID;
		return false;
	}
	if (c->has_pasid && !(q[0] & PASIDE))
		return false;
	return scalable_process(w, c, q[0], c->has_pasid ? c->pasid : rid_pasid(q));
}

#endif
