/* SPDX-License-Identifier: MIT */
/*
 * vtd_pt.h - registers, paging entries and the stages that they make, for vtd.c.
 *
 * Paging entries: VT-d 5.10 sections 3.6-3.8, 3.10, 9.7 and 9.8; what older revisions have besides is
 * said where it is. Registers: 11.4.1-11.4.5.
 */
#ifndef IOMMU_ABI_VTD_PT_H
#define IOMMU_ABI_VTD_PT_H

#include "pt_tables.h"
#include "x86_pt.h"

enum { ADDR_LO = 12, ADDR_HI = 51, PAGE_LG2 = 12, INDEX_LG2 = 9 };

/* ---- registers ---- */

enum { RTADDR, CAP, ECAP, GSTS, HAW, REV, VER, NREGS = REV + 5 };

#define RTADDR_SSIRWE BIT(7)

#define CAP_ND(c) ((unsigned int)((c)&7))
#define CAP_MGAW(c) ((unsigned int)((c) >> 16 & 63) + 1)
#define CAP_SAGAW(c) ((unsigned int)((c) >> 8 & 14)) /* bits 0 and 4 are reserved */
#define CAP_SSLPS(c) ((unsigned int)((c) >> 34 & 15))
#define CAP_FS1GP BIT(56)
#define CAP_FS5LP BIT(60)

#define ECAP_DT BIT(2)
#define ECAP_PT BIT(6)
#define ECAP_SC BIT(7)
#define ECAP_ECS BIT(24)
#define ECAP_MTS BIT(25)
#define ECAP_NEST BIT(26)
#define ECAP_DIS BIT(27)
#define ECAP_PRS BIT(29)
#define ECAP_ERS BIT(30)
#define ECAP_SRS BIT(31)
#define ECAP_NWFS BIT(33)
#define ECAP_EAFS BIT(34)
#define ECAP_PSS(e) ((unsigned int)((e) >> 35 & 31))
#define ECAP_PASID BIT(40)
#define ECAP_SMTS BIT(43)
#define ECAP_SSADS BIT(45)
#define ECAP_SSTS BIT(46)
#define ECAP_FSTS BIT(47)
#define ECAP_SMPWCS BIT(48)
#define ECAP_RPS BIT(49)
#define ECAP_ADMS BIT(52)
#define ECAP_RPRIVS BIT(53)
#define ECAP_HPTS BIT(55)
#define ECAP_PTRS BIT(56)
#define ECAP_SSIRWS BIT(57)

#define GSTS_TES BIT(31)

#define VER_MAJOR(v) ((unsigned int)((v) >> 4 & 15))

/* Revisions of the specification that changed what hardware does; the text's history dates them. */
enum { REV_3_2 = 0x302, REV_3_4 = 0x304, REV_4_0 = 0x400, REV_4_1 = 0x401, REV_5_0 = 0x500 };

/* Indices of unit.state behind the registers: what vtd_init() derives from them. */
enum {
	ABOVE_HAW = PT_OWN_STATE, /* pointer bits that are reserved */
	DID_ABOVE,                /* bits of a DID that are reserved, as in a context's q1 */
	SS_LAST,                  /* [AW]: highest input of a second stage; 0: not supported */
	SS_RSVD = SS_LAST + 8,    /* [leaf][level] */
	SS_RSVD_ECS = SS_RSVD + 2 * PT_MAX_LEVELS,  /* the same in 2.x, which has a bit more */
	FS_RSVD = SS_RSVD_ECS + 2 * PT_MAX_LEVELS,  /* [XD is a bit][leaf][level] */
	CONTEXT_RSVD = FS_RSVD + 4 * PT_MAX_LEVELS, /* [q]: a scalable context */
	EXTENDED_RSVD = CONTEXT_RSVD + 2,           /* [q]: an extended context */
	PASID_RSVD = EXTENDED_RSVD + 2,             /* [q]: a scalable PASID entry */
	PGTTS = PASID_RSVD + 6,                     /* bits: types of translation that there are */
	FSPM_LAST,                                  /* the highest paging mode of a first stage */
	FSPTPTR_LIMITED,                            /* all ones: SPT.4.4 is a fault */
	PSS_LAST,                                   /* the highest PASID of a request */
	STATE_END,
};

_Static_assert(STATE_END <= sizeof(((struct iommu_abi_unit *)0)->state) / 8, "unit state too small");

PT_INLINE u64 last_of(unsigned int lg2)
{
	return lg2 > 63 ? ~0ull : BIT(lg2) - 1;
}

/* ---- paging entries ---- */

/*
 * pt_stage.flags. FS_: bits that hardware sets in each first-stage entry it uses (3.6.2). SS_SLEE: execution
 * wants X. SS_SSADE: hardware keeps A and D (3.7.2), and reading a first-stage entry wants W too (3.8.1).
 * SS_IO: SSIRWE, the rights are bits 61 and 62 (9.8). SS_ECS: reserved bits are those of 2.x. SS_UNSNOOPED:
 * hardware may not set flags (3.10).
 */
enum {
	FS_A = 1 << 5,
	FS_D = 1 << 6,
	FS_EA = 1 << 10,
	SS_SLEE = 1,
	SS_SSADE = 2,
	SS_IO = 4,
	SS_ECS = 8,
	SS_UNSNOOPED = 16
};

static inline u64 fs_update(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s)
{
	return raw | s->flags | (leaf && access & PT_W ? FS_D : 0);
}

/* 3.7, 9.8: R=W=0 is no entry; PS (7) makes a page above level 0. */
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

/* With SSIRWE rights are bits 61 and 62 instead of 0 and 1 (9.8). */
static inline struct pt_entry ss_decode_rare(u64 raw, unsigned int level, const struct pt_stage *s)
{
	if (s->flags & SS_IO)
		raw = (raw & ~3ull) | (raw >> 61 & 3);
	return ss_decode(raw, level, s);
}

static inline u64 ss_update(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s)
{
	if (!(s->flags & SS_SSADE))
		return raw;
	return raw | BIT(8) | (leaf && access == PT_W ? BIT(9) : 0);
}

static inline bool fs_plain(const struct pt_stage *s, const struct pt_rule *rule, unsigned int access,
			    struct pt_plain *p)
{
	return x86_plain(s, rule, s->flags, access == PT_W ? FS_D : 0, p);
}

static inline bool ss_plain(const struct pt_stage *s, const struct pt_rule *rule, unsigned int access,
			    struct pt_plain *p)
{
	(void)access;
	p->table = s->rsvd[0][1] | BIT(7) | rule->need;
	p->table_is = p->page_is = rule->need;
	p->page = s->rsvd[1][0] | rule->need;
	p->large = s->rsvd[1][1] | BIT(7) | rule->need;
	/* without large pages no entry may pass for one: none is all ones */
	p->large_is = s->rsvd[1][1] & BIT(7) ? ~0ull : BIT(7) | rule->need;
	return rule->need & (PT_R | PT_W);
}

/* What all tables have in common. */
#define VTD_TABLES .granule_lg2 = PAGE_LG2, .index_lg2 = INDEX_LG2, .entry_lg2 = 3, .has_rsvd = true

/* fs and ss serve most requests; fs_rare and ss_rare also those with ATS, SSADE or SSIRWE, and are slower. */
static const struct pt_format fs = {
	VTD_TABLES,
	.unsnooped = true,
	.decode = x86_decode,
	.update = fs_update,
	.plain_address = BITS(ADDR_HI, ADDR_LO),
	.plain = fs_plain,
};
static const struct pt_format ss = {
	VTD_TABLES,
	.decode = ss_decode,
	.plain_address = BITS(ADDR_HI, ADDR_LO),
	.plain = ss_plain,
};
static const struct pt_format fs_rare = {
	VTD_TABLES, .unsnooped = true, .has_both = true, .decode = x86_decode, .update = fs_update,
};
static const struct pt_format ss_rare = {
	VTD_TABLES, .unsnooped = true, .has_both = true, .decode = ss_decode_rare, .update = ss_update,
};

/* ---- stages ---- */

enum { /* pt_context.flags */
       LEGACY = 0,
       SCALABLE = 1,
       ECS = 2,
       NO_MODE = 3, /* reserved, or one that the unit lacks */
       OFF = 4,     /* TES=0 */
       MODE = 7,
       ENTRY = 1 << 3,     /* the context entry is legal */
       FPD = 1 << 4,       /* a root or context entry suppresses fault records */
       FPD_PASID = 1 << 5, /* an entry of the PASID tables suppresses them */
       BAD_PASID = 1 << 6, /* the context entry refuses this PASID; LONE: no other one */
       LONE = 1 << 7,
       EXECUTES = 1 << 8,   /* ERE of the context entry (ECS) or PASID entry */
       SUPERVISES = 1 << 9, /* SRE of the PASID entry */
       RID_PRIV = 1 << 10,  /* requests without PASID are privileged */
       RARE = 1 << 11,      /* in pt_walk.flags too: walk by fs_rare and ss_rare */
};

/* The rules of a second stage (3.7.1, 3.8.1): read, write, execute, reading a first-stage entry. */
#define SS_RULES(execute, table)                                                            \
	{                                                                                   \
		PT_NEED(PT_R, 0), PT_NEED(PT_W, 0), PT_NEED(execute, 0), PT_NEED(table, 0), \
	}
/* The same for both privileges. */
#define SS_BOTH(execute, table)                                     \
	{                                                           \
		SS_RULES(execute, table), SS_RULES(execute, table), \
	}

static pt_rules ss_rules[4] = {
	[0] = SS_BOTH(PT_R, PT_R),
	[SS_SLEE] = SS_BOTH(PT_R | PT_X, PT_R),
	[SS_SSADE] = SS_BOTH(PT_R, PT_R | PT_W),
	[SS_SLEE | SS_SSADE] = SS_BOTH(PT_R | PT_X, PT_R | PT_W),
};

/* Input beyond min(MGAW, AGAW) is refused (3.7). */
PT_INLINE void ss_stage(struct pt_context *c, u64 root, unsigned int aw, unsigned int flags)
{
	const u64 *state = c->unit->state;
	struct pt_stage *s = &c->s2;

	s->root = root & BITS(63, ADDR_LO);
	s->in_span = state[SS_LAST + aw];
	s->in_mask = BIT(30 + 9 * aw) - 1; /* at most 57 bits: ss_last() refuses wider ones */
	s->rsvd = (const u64(*)[PT_MAX_LEVELS]) & state[flags & SS_ECS ? SS_RSVD_ECS : SS_RSVD];
	s->rules = &ss_rules[flags & 3];
	s->flags = flags;
	s->top = (u8)(aw + 1);
	s->ad = PT_AD_SET;
	if (PT_UNLIKELY(flags & (SS_SSADE | SS_IO) || s->in_span < last_of(PAGE_LG2)))
		c->flags |= RARE;
	if (PT_UNLIKELY(flags & SS_SSADE) && flags & SS_UNSNOOPED)
		s->ad = PT_AD_UNSNOOPED;
}

/* Controls of a first stage; WPE and SMEP together are the index into fs_rules. */
enum { FS_WPE = 1, FS_SMEP = 2, FS_NXE = 4, FS_EAF = 8, FS_UNSNOOPED = 16 };

/* 3.6.1: a user needs U/S at every level, a write R/W; supervisors need R/W with WPE only. In the order
 * of enum pt_judge. */
#define USER                                                                                        \
	{                                                                                           \
		PT_NEED(PT_USER, 0), PT_NEED(PT_USER | PT_W, 0), PT_NEED(PT_USER | PT_X, 0), { 0 }, \
			PT_NEED(PT_USER, 0)                                                         \
	}
#define SUPERVISOR(write, no_execute)                                        \
	{                                                                    \
		PT_NEED(0, 0), PT_NEED(write, 0), PT_NEED(PT_X, no_execute), \
	}

static pt_rules fs_rules[4] = {
	[0] = { USER, SUPERVISOR(0, 0) },
	[FS_WPE] = { USER, SUPERVISOR(PT_W, 0) },
	[FS_SMEP] = { USER, SUPERVISOR(0, PT_USER) },
	[FS_WPE | FS_SMEP] = { USER, SUPERVISOR(PT_W, PT_USER) },
};

/* Input that is not canonical for the number of levels is refused, before any entry is read (3.6). */
PT_INLINE void fs_stage(struct pt_context *c, u64 root, bool five, unsigned int controls)
{
	const u64 *rsvd = &c->unit->state[controls & FS_NXE ? FS_RSVD + 2 * PT_MAX_LEVELS : FS_RSVD];
	struct pt_stage *s = &c->s1[0];
	unsigned int bits = five ? 57 : 48;

	s->root = root & BITS(63, ADDR_LO);
	s->in_first = ~0ull << (bits - 1);
	s->in_span = s->in_mask = BIT(bits) - 1;
	s->rsvd = (const u64(*)[PT_MAX_LEVELS])rsvd;
	s->rules = &fs_rules[controls & (FS_WPE | FS_SMEP)];
	s->flags = controls & FS_EAF ? FS_A | FS_EA : FS_A;
	s->top = five ? 4 : 3;
	s->ad = controls & FS_UNSNOOPED ? PT_AD_UNSNOOPED : PT_AD_SET;
}

#endif
