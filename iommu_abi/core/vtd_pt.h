/* SPDX-License-Identifier: MIT */
/*
 * vtd_pt.h - registers, paging entries and the stages that they make, for vtd.c.
 *
 * Paging entries: VT-d 4.x sections 3.6, 3.7, 9.7 and 9.8.
 */
#ifndef IOMMU_ABI_VTD_PT_H
#define IOMMU_ABI_VTD_PT_H

#include "pt_walk.h"

enum { ADDR_LO = 12, ADDR_HI = 51, PAGE_LG2 = 12, INDEX_LG2 = 9 };

/* ---- registers ---- */

enum { RTADDR, CAP, ECAP, GSTS, HAW, NREGS = HAW + 5 };

#define CAP_MGAW(c) ((unsigned int)((c) >> 16 & 63) + 1)
#define CAP_SAGAW(c) ((unsigned int)((c) >> 8 & 31))
#define CAP_SLLPS(c) ((unsigned int)((c) >> 34 & 15))
#define CAP_FL1GP BIT(56)
#define CAP_FL5LP BIT(60)

#define ECAP_DT BIT(2)
#define ECAP_PT BIT(6)
#define ECAP_SC BIT(7)
#define ECAP_ECS BIT(24)
#define ECAP_NEST BIT(26)
#define ECAP_ERS BIT(30)
#define ECAP_SRS BIT(31)
#define ECAP_PASID BIT(40)
#define ECAP_SMTS BIT(43)
#define ECAP_SLTS BIT(46)
#define ECAP_FLTS BIT(47)
#define ECAP_RPS BIT(49)

#define GSTS_TES BIT(31)

/* What init() makes of them. */
enum {
	ABOVE_HAW = PT_MAX_REGS,               /* pointer bits that are reserved */
	SS_LAST,                               /* [AW]: highest input of a second stage; 0: not in SAGAW */
	SS_RSVD = SS_LAST + 8,                 /* [leaf][level] */
	FS_RSVD = SS_RSVD + 2 * PT_MAX_LEVELS, /* [NXE][leaf][level] */
	STATE_END = FS_RSVD + 4 * PT_MAX_LEVELS,
};

_Static_assert(STATE_END <= sizeof(((struct iommu_abi_unit *)0)->state) / 8, "unit state too small");

PT_INLINE u64 last_of(unsigned int lg2)
{
	return lg2 > 63 ? ~0ull : BIT(lg2) - 1;
}

/* ---- paging entries ---- */

enum { FS_EAFE = 1, SS_SLADE = 1 }; /* pt_stage.flags */

static inline struct pt_entry fs_decode(u64 raw, unsigned int level, const struct pt_stage *s)
{
	(void)s;
	return (struct pt_entry){
		.base = raw & BITS(ADDR_HI, ADDR_LO),
		.kind = !(raw & BIT(0))          ? PT_EMPTY
			: !level || raw & BIT(7) ? PT_LEAF
						 : PT_TABLE,
		.size_lg2 = PAGE_LG2 + INDEX_LG2 * level,
		.grant = PT_R | (raw & PT_W) | (~raw >> 61 & PT_X) | (raw << 1 & PT_USER),
	};
}

static inline u64 fs_update(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s)
{
	return raw | BIT(5) | (s->flags & FS_EAFE ? BIT(10) : 0) | (leaf && access == PT_W ? BIT(6) : 0);
}

static inline struct pt_entry ss_decode(u64 raw, unsigned int level, const struct pt_stage *s)
{
	(void)s;
	return (struct pt_entry){
		.base = raw & BITS(ADDR_HI, ADDR_LO),
		.kind = !(raw & (PT_R | PT_W))   ? PT_EMPTY
			: !level || raw & BIT(7) ? PT_LEAF
						 : PT_TABLE,
		.size_lg2 = PAGE_LG2 + INDEX_LG2 * level,
		.grant = raw & (PT_R | PT_W | PT_X),
	};
}

static inline u64 ss_update(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s)
{
	if (!(s->flags & SS_SLADE))
		return raw;
	return raw | BIT(8) | (leaf && access == PT_W ? BIT(9) : 0);
}

static const struct pt_format fs = {
	.granule_lg2 = PAGE_LG2,
	.index_lg2 = INDEX_LG2,
	.entry_lg2 = 3,
	.has_rsvd = true,
	.decode = fs_decode,
	.update = fs_update,
};
static const struct pt_format ss = {
	.granule_lg2 = PAGE_LG2,
	.index_lg2 = INDEX_LG2,
	.entry_lg2 = 3,
	.has_rsvd = true,
	.decode = ss_decode,
	.update = ss_update,
};

/* ---- stages ---- */

static const struct pt_rule ss_rules[2][PT_JUDGES] = {
	/* [SLEE] */
	{ PT_NEED(PT_R, 0), PT_NEED(PT_W, 0), PT_NEED(PT_R, 0), PT_NEED(PT_R, 0) },
	{ PT_NEED(PT_R, 0), PT_NEED(PT_W, 0), PT_NEED(PT_R | PT_X, 0), PT_NEED(PT_R, 0) },
};

PT_INLINE void ss_stage(struct pt_walk *w, u64 root, unsigned int aw, bool slee, bool slade)
{
	const u64 *state = w->unit->state;

	w->s2.root = root & BITS(63, ADDR_LO);
	w->s2.in_first = 0;
	w->s2.in_span = state[SS_LAST + aw];
	w->s2.in_mask = last_of(30 + 9 * aw);
	w->s2.rsvd = (const u64(*)[PT_MAX_LEVELS]) & state[SS_RSVD];
	w->s2.flags = slade ? SS_SLADE : 0;
	w->s2.top = (u8)(aw + 1);
	w->s2.grant = PT_ALL;
	memcpy(w->s2.rule, ss_rules[slee], sizeof(w->s2.rule));
}

/* First-stage controls: the low three choose the rules. */
enum { FS_PRIV = 1, FS_WPE = 2, FS_SMEP = 4, FS_NXE = 8, FS_EAF = 16 };

/* For read, write, execute: a user needs U/S everywhere; R/W binds supervisors with WPE only. */
#define USER                                                                                \
	{                                                                                   \
		PT_NEED(PT_USER, 0), PT_NEED(PT_USER | PT_W, 0), PT_NEED(PT_USER | PT_X, 0) \
	}
#define SUPERVISOR(write, no_execute)                                       \
	{                                                                   \
		PT_NEED(0, 0), PT_NEED(write, 0), PT_NEED(PT_X, no_execute) \
	}

static const struct pt_rule fs_rules[8][PT_JUDGES] = {
	[0] = USER,
	[FS_WPE] = USER,
	[FS_SMEP] = USER,
	[FS_WPE | FS_SMEP] = USER,
	[FS_PRIV] = SUPERVISOR(0, 0),
	[FS_PRIV | FS_WPE] = SUPERVISOR(PT_W, 0),
	[FS_PRIV | FS_SMEP] = SUPERVISOR(0, PT_USER),
	[FS_PRIV | FS_WPE | FS_SMEP] = SUPERVISOR(PT_W, PT_USER),
};

PT_INLINE void fs_stage(struct pt_walk *w, u64 root, bool five, unsigned int controls)
{
	const u64 *rsvd = &w->unit->state[controls & FS_NXE ? FS_RSVD + 2 * PT_MAX_LEVELS : FS_RSVD];
	unsigned int bits = five ? 57 : 48;
	u64 half = BIT(bits - 1);
	bool upper = w->q->iova >> 63;

	w->s1.root = root & BITS(63, ADDR_LO);
	w->s1.in_first = upper ? -half : 0;
	w->s1.in_span = half - 1;
	w->s1.in_mask = 2 * half - 1;
	w->s1.rsvd = (const u64(*)[PT_MAX_LEVELS])rsvd;
	w->s1.flags = controls & FS_EAF ? FS_EAFE : 0;
	w->s1.top = five ? 4 : 3;
	w->s1.grant = PT_ALL;
	memcpy(w->s1.rule, fs_rules[controls & 7], sizeof(w->s1.rule));
}

#endif
