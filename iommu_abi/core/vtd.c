/* SPDX-License-Identifier: MIT */
/*
 * vtd.c - Intel Virtualization Technology for Directed I/O.
 *
 * Legacy mode: VT-d 4.x sections 3.4.2, 3.7, 9.1-9.3, 9.8; scalable mode: 3.4.3, 3.6-3.8,
 * 9.1, 9.4-9.8; fault reasons: 7.1. ECS, the extended-context mode of 2014-2018 for which
 * bind_pasid_table was made: VT-d 2.x sections 3.4.4, 3.8, 9.2, 9.4, 9.5. What the texts
 * leave open is decided in docs/walk.md, section "Intel VT-d".
 */
#include <errno.h>

#include "error.h"
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

static const struct pt_reg regs[] = {
	[RTADDR] = { "RTADDR", 0, true },
	[CAP] = { "CAP", 47ull << 16 | 4ull << 8 | 3ull << 34 | CAP_FL1GP, false },
	[ECAP] = { "ECAP",
		   ECAP_DT | ECAP_PT | ECAP_SC | ECAP_ECS | ECAP_NEST | ECAP_ERS | ECAP_SRS | 19ull << 35 |
			   ECAP_PASID | ECAP_SMTS | ECAP_SLTS | ECAP_FLTS,
		   false },
	[GSTS] = { "GSTS", GSTS_TES, false },
	[HAW] = { "HAW", 52, false },
	/* known, and without influence on a translation */
	{ "VER", 0, false },
	{ "FSTS", 0, false },
	{ "IQA", 0, false },
	{ "IRTA", 0, false },
	{ NULL, 0, false },
};

/* What init() makes of them. */
enum {
	ABOVE_HAW = PT_MAX_REGS,               /* pointer bits that are reserved */
	SS_LAST,                               /* [AW]: highest input of a second stage; 0: not in SAGAW */
	SS_RSVD = SS_LAST + 8,                 /* [leaf][level] */
	FS_RSVD = SS_RSVD + 2 * PT_MAX_LEVELS, /* [NXE][leaf][level] */
	STATE_END = FS_RSVD + 4 * PT_MAX_LEVELS,
};

_Static_assert(STATE_END <= sizeof(((struct iommu_abi_unit *)0)->state) / 8, "unit state too small");

static void reserved_bits(u64 *leaf, u64 *table, u64 common, u64 leaf_only, u64 table_only,
			  unsigned int align_lo, unsigned int large)
{
	for (unsigned int level = 0; level < PT_MAX_LEVELS; level++) {
		table[level] = common | table_only;
		leaf[level] = common | leaf_only;
		if (!level)
			continue;
		if (level > 2 || !(large >> (level - 1) & 1))
			leaf[level] |= BIT(7); /* no page of this size */
		else
			leaf[level] |= BITS(PAGE_LG2 + INDEX_LG2 * level - 1, align_lo);
	}
}

PT_INLINE u64 last_of(unsigned int lg2)
{
	return lg2 > 63 ? ~0ull : BIT(lg2) - 1;
}

/* Address width code @aw: 30 + 9 * aw bits, of which MGAW may cut some off. */
static u64 ss_last(u64 cap, unsigned int aw)
{
	unsigned int agaw = 30 + 9 * aw, mgaw = CAP_MGAW(cap);

	return CAP_SAGAW(cap) >> aw & 1 ? last_of(agaw < mgaw ? agaw : mgaw) : 0;
}

static int vtd_init(struct iommu_abi_unit *u, struct iommu_abi_error *err)
{
	u64 *s = u->state, haw = s[HAW], out;

	if (haw < ADDR_LO || haw > ADDR_HI + 1)
		return refuse(err, RULE_UNIT_HAW, 0, haw, 0);
	out = haw > ADDR_HI ? 0 : BITS(ADDR_HI, haw);
	s[ABOVE_HAW] = BITS(63, haw);
	for (unsigned int aw = 0; aw < 5; aw++)
		s[SS_LAST + aw] = ss_last(s[CAP], aw);
	reserved_bits(&s[SS_RSVD + PT_MAX_LEVELS], &s[SS_RSVD], out,
		      (s[ECAP] & ECAP_SC ? 0 : BIT(11)) | (s[ECAP] & ECAP_DT ? 0 : BIT(62)),
		      BIT(11) | BIT(62), 12, CAP_SLLPS(s[CAP]));
	for (unsigned int nxe = 0; nxe < 2; nxe++) {
		u64 *fs = &s[FS_RSVD + 2 * nxe * PT_MAX_LEVELS];

		reserved_bits(fs + PT_MAX_LEVELS, fs, out | (nxe ? 0 : BIT(63)), 0, 0, 13,
			      s[CAP] & CAP_FL1GP ? 3 : 1);
	}
	return 0;
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
	w->s2.ad = PT_AD_SET;
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
	w->s1.ad = PT_AD_SET;
	memcpy(w->s1.rule, fs_rules[controls & 7], sizeof(w->s1.rule));
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
	w->s1.top = PT_OFF;
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
	else
		w->s2.top = PT_OFF;
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
	w->s1.top = PT_OFF;
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
	if (pgtt == SECOND)
		w->s1.top = PT_OFF;
	else
		fs_stage(w, q[2], q[2] & BIT(2),
			 (priv ? FS_PRIV : 0) | (q[2] >> 3 & FS_WPE) | (q[2] >> 4 & FS_SMEP) |
				 (q[2] >> 2 & FS_NXE) | (q[2] >> 3 & FS_EAF));
	if (pgtt == FIRST)
		w->s2.top = PT_OFF;
	else
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

/* ---- the hooks ---- */

/* A request without PASID into 0xFEEx_xxxx is an interrupt message (3.14), whatever the mode. */
static enum pt_verdict interrupt_message(struct pt_walk *w)
{
	/* TTM may be one that is no mode */
	if (w->q->at == IOMMU_ABI_TRANSLATION)
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE,
				      (w->flags & MODE) == SCALABLE ? 0x87 : 0x0e, IOMMU_ABI_DEVICE);
	w->out->target = IOMMU_ABI_INTERRUPT;
	return pass(w, w->q->access == PT_W ? PT_W : PT_R);
}

static enum pt_verdict vtd_resolve(struct pt_walk *w)
{
	const u64 *state = w->unit->state;
	unsigned int ttm = state[RTADDR] >> 10 & 3;

	w->flags = ttm;
	if (PT_UNLIKELY(in_interrupt_range(w->q->iova) && !(w->q->flags & IOMMU_ABI_HAS_PASID)))
		return interrupt_message(w);
	if (PT_UNLIKELY(!(state[GSTS] & GSTS_TES))) {
		if (w->q->at == IOMMU_ABI_TRANSLATION)
			return refuse_request(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE);
		return pass(w, PT_R | PT_W);
	}
	switch (ttm) {
	case LEGACY:
		return legacy(w);
	case SCALABLE:
		if (!(state[ECAP] & ECAP_SMTS))
			break;
		return scalable(w);
	case ECS:
		if (!(state[ECAP] & ECAP_ECS))
			break;
		return ecs(w);
	default:
		return refuse_request(w, IOMMU_ABI_ABORTED, 0, IOMMU_ABI_DEVICE);
	}
	return refuse_request(w, IOMMU_ABI_INVALID, 0x30, IOMMU_ABI_DEVICE);
}

static enum pt_verdict vtd_output(struct pt_walk *w)
{
	if (PT_UNLIKELY(in_interrupt_range(w->out->hpa)))
		return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, w->flags & SCALABLE ? 0x87 : 0x0e,
				      w->s2.top != PT_OFF ? IOMMU_ABI_S2 : IOMMU_ABI_S1);
	return PT_GO;
}

static u64 vtd_window(const struct pt_walk *w, u64 addr)
{
	(void)w;
	return pt_beside(addr, 0xfee00000, 0xfeefffff);
}

/* 64 PASIDs to a table; root entries have 128 devices each, in legacy mode 256. */
static unsigned int vtd_covers_lg2(const struct pt_walk *w, unsigned int stage, unsigned int level)
{
	(void)level;
	return stage == IOMMU_ABI_PASID ? 6 : (w->flags & MODE) == LEGACY ? 8 : 7;
}

/* ---- fault reasons (7.1) ---- */

/* What was denied: a table read is a read and an A/D update a write, whatever the request. */
static unsigned int denied_access(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	if (f->stage != IOMMU_ABI_S2 || f->purpose == IOMMU_ABI_FOR_DATA)
		return w->q->access;
	return f->purpose == IOMMU_ABI_FOR_S1_UPDATE ? PT_W : PT_R;
}

/* Legacy codes, which ECS uses for its second stage too. */
static u32 native_legacy(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	switch (f->reason) {
	case IOMMU_ABI_INPUT_RANGE:
		return 0x04;
	case IOMMU_ABI_NOT_PRESENT:
	case IOMMU_ABI_DENIED:
	case IOMMU_ABI_UPDATE_DENIED:
		return denied_access(w) == PT_W ? 0x05 : 0x06;
	case IOMMU_ABI_UNREADABLE:
		return !(w->flags & MODE) && f->level == w->s2.top ? 0x03 : 0x07;
	case IOMMU_ABI_RESERVED:
		return 0x0c;
	}
	return 0;
}

static u32 native_scalable_s1(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	switch (f->reason) {
	case IOMMU_ABI_UNREADABLE:
		return f->level == w->s1.top ? 0x73 : 0x70;
	case IOMMU_ABI_NOT_PRESENT:
		return 0x71;
	case IOMMU_ABI_RESERVED:
		return 0x72;
	case IOMMU_ABI_INPUT_RANGE:
		return 0x80;
	case IOMMU_ABI_PRIVILEGE:
		return 0x81;
	case IOMMU_ABI_DENIED:
		return w->q->access == PT_X ? 0x82 : 0x85; /* what is present can be read */
	}
	return 0;
}

static u32 native_scalable_s2(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;
	bool data = f->purpose == IOMMU_ABI_FOR_DATA, top = f->for_level == w->s1.top;

	switch (f->reason) {
	case IOMMU_ABI_UNREADABLE:
		return f->level == w->s2.top ? 0x7b : 0x78;
	case IOMMU_ABI_NOT_PRESENT:
		return 0x79;
	case IOMMU_ABI_RESERVED:
		return 0x7a;
	case IOMMU_ABI_INPUT_RANGE:
		return data ? 0x84 : top ? 0x73 : 0x74;
	case IOMMU_ABI_UPDATE_DENIED:
		return 0x77;
	case IOMMU_ABI_DENIED:
		if (!data)
			return top ? 0x75 : 0x76;
		return w->q->access == PT_X ? 0x82 : w->q->access == PT_W ? 0x85 : 0x86;
	}
	return 0;
}

/* Tables that cannot be read; the rest of their faults bring their codes. */
static u32 native_unreadable(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	if (f->stage == IOMMU_ABI_PASID)
		return w->flags & SCALABLE ? (f->level ? 0x50 : 0x58) : 0;
	if (w->flags & SCALABLE)
		return f->level ? 0x38 : 0x40;
	return f->level ? 0x08 : 0x09;
}

/* Codes that FPD does not suppress: raised before an entry with FPD could be read. */
static bool always_recorded(u32 native)
{
	switch (native) {
	case 0x01:
	case 0x08:
	case 0x09:
	case 0x0a:
	case 0x30:
	case 0x31:
	case 0x38:
	case 0x39:
	case 0x3a:
	case 0x40:
	case 0x50:
	case 0x58:
		return true;
	}
	return false;
}

static void vtd_native(struct pt_walk *w)
{
	struct iommu_abi_fault *f = &w->out->fault;

	if (f->native || f->reason == IOMMU_ABI_BLOCKED || f->reason == IOMMU_ABI_ABORTED)
		; /* resolve() has said it */
	else if (f->stage == IOMMU_ABI_S1)
		f->native = w->flags & SCALABLE ? native_scalable_s1(w) : 0;
	else if (f->stage == IOMMU_ABI_S2)
		f->native = w->flags & SCALABLE ? native_scalable_s2(w) : native_legacy(w);
	else if (f->reason == IOMMU_ABI_UNREADABLE)
		f->native = native_unreadable(w);
	if (w->flags & FPD && !always_recorded(f->native))
		f->recorded = 0;
}

static int vtd_translate(struct pt_walk *w);

const struct pt_vendor pt_vendor_vtd = {
	.name = "vtd",
	.rid_last = 0xffff,
	.regs = regs,
	.init = vtd_init,
	.resolve = vtd_resolve,
	.output = vtd_output,
	.native = vtd_native,
	.window = vtd_window,
	.covers_lg2 = vtd_covers_lg2,
	.translate = vtd_translate,
	.f1 = &fs,
	.f2 = &ss,
};

PT_TRANSLATE(vtd, fs, ss)
