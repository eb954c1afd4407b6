/* SPDX-License-Identifier: MIT */
/*
 * smmuv3_pt.h - VMSAv8-64 descriptors for smmuv3.c: one decoder per stage, three granules.
 *
 * Arm IHI 0070, sections 3.4 (address sizes), 3.13 (access flag and dirty state) and 7.3; the descriptors are the
 * Arm ARM's (D8.3), with and without LPA2, of both byte orders. docs/walk_smmuv3.md decides what they leave open.
 */
#ifndef IOMMU_ABI_SMMUV3_PT_H
#define IOMMU_ABI_SMMUV3_PT_H

#include "pt_walk.h"

#define DESC_VALID BIT(0)
#define DESC_TABLE BIT(1) /* in a table of level 0: a page */
#define DESC_AP1 BIT(6)   /* the unprivileged have access */
#define DESC_AP2 BIT(7)   /* read-only */
#define DESC_S2AP1 BIT(7) /* stage 2: writable */
#define DESC_AF BIT(10)
#define DESC_DBM BIT(51)
#define DESC_PXN BIT(53)
#define DESC_UXN BIT(54)
#define DESC_PXN_TABLE BIT(59)
#define DESC_UXN_TABLE BIT(60)
#define DESC_AP_TABLE0 BIT(61)
#define DESC_AP_TABLE1 BIT(62)

/* pt_stage.flags */
enum {
	WIDE = 1,  /* 52-bit addresses in 64 KiB descriptors */
	AF_OK = 2, /* a clear AF is no fault */
	SETS_AF = 4,
	SETS_DIRTY = 8,
	FLAT = 16,          /* stage 1: attributes in table descriptors are ignored */
	HAS_XNX = 32,       /* stage 2: execution by privilege */
	SETS_TABLE_AF = 64, /* HAFT */
	FORCES_WB = 128,    /* stage 2: S2FWB, Device memory is a clear bit 4 */
};

/* Grants. Stage 1: PT_USER is AP[1], PT_W that AP[2] is clear. PT_X: the unprivileged may execute. */
enum { GRANT_PRIV_X = PT_PX, GRANT_NOT_DEVICE = PT_PR };

/* The address in a descriptor (D8.3.1.1, D8.3.1.2). Bits 51:50 lie in bits 9:8 with @ds (LPA2), bits
 * 51:48 in bits 15:12 with 64 KiB granules. */
PT_INLINE u64 vmsa_address(u64 raw, const struct pt_stage *s, unsigned int granule_lg2, bool ds)
{
	if (ds)
		return (raw & BITS(49, granule_lg2)) | (raw & BITS(9, 8)) << 42;
	if (granule_lg2 == 16 && s->flags & WIDE)
		return (raw & BITS(47, 16)) | (raw & BITS(15, 12)) << 36;
	return raw & BITS(47, granule_lg2);
}

/* May a table of this level hold blocks (Arm ARM BlockDescSupported(), D8.2.8 to D8.2.10)? */
PT_INLINE bool vmsa_block(unsigned int level, const struct pt_stage *s, unsigned int granule_lg2, bool ds)
{
	if (level == 2)
		return granule_lg2 == 12 || (granule_lg2 == 14 ? ds : s->flags & WIDE);
	return level == 1 || (level == 3 && granule_lg2 == 12 && ds);
}

/* Both stages: invalid descriptors and blocks that do not exist (D8.3.1.3), then AF (IHI 0070, 3.13.1).
 * Rights are the stage's. */
PT_INLINE struct pt_entry vmsa_decode(u64 raw, unsigned int level, const struct pt_stage *s,
				      unsigned int granule_lg2, bool ds)
{
	bool block = vmsa_block(level, s, granule_lg2, ds);
	struct pt_entry e = {
		.base = vmsa_address(raw, s, granule_lg2, ds),
		.size_lg2 = granule_lg2 + (granule_lg2 - 3) * level,
	};

	if (!(raw & DESC_VALID))
		e.kind = PT_EMPTY;
	else if (raw & DESC_TABLE)
		e.kind = level ? PT_TABLE : PT_LEAF;
	else
		e.kind = block ? PT_LEAF : PT_EMPTY;
	if (e.kind == PT_LEAF) {
		e.base &= ~0ull << e.size_lg2;
		if (!(raw & DESC_AF) && !(s->flags & AF_OK))
			e.bad = IOMMU_ABI_ACCESS_FLAG;
	}
	return e;
}

/* Is the page clean: read-only, and a write makes it writable (D8.5.2)? @read_only: state of AP[2] or
 * S2AP[1]. */
PT_INLINE bool vmsa_clean(u64 raw, bool read_only, const struct pt_stage *s)
{
	return read_only && raw & DESC_DBM && s->flags & SETS_DIRTY;
}

/* Rights of stage 1: D8.4.1.2. */
PT_INLINE struct pt_entry vmsa_s1_decode(u64 raw, unsigned int level, const struct pt_stage *s,
					 unsigned int granule_lg2, bool ds)
{
	struct pt_entry e = vmsa_decode(raw, level, s, granule_lg2, ds);
	bool ro = raw & DESC_AP2;

	if (e.kind == PT_LEAF)
		e.grant = PT_R | (!ro || vmsa_clean(raw, ro, s) ? PT_W : 0) | (raw & DESC_AP1 ? PT_USER : 0) |
			  (raw & DESC_UXN ? 0 : PT_X) | (raw & DESC_PXN ? 0 : GRANT_PRIV_X);
	else if (s->flags & FLAT)
		e.grant = PT_ALL;
	else
		e.grant = PT_ALL ^
			  ((raw & DESC_AP_TABLE0 ? PT_USER : 0) | (raw & DESC_AP_TABLE1 ? PT_W : 0) |
			   (raw & DESC_UXN_TABLE ? PT_X : 0) | (raw & DESC_PXN_TABLE ? GRANT_PRIV_X : 0));
	return e;
}

static inline u64 vmsa_s1_update(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s)
{
	if (!leaf)
		return s->flags & SETS_TABLE_AF ? raw | DESC_AF : raw;
	if (!(s->flags & SETS_AF))
		return raw;
	if (access == PT_W && vmsa_clean(raw, raw & DESC_AP2, s))
		raw &= ~DESC_AP2;
	return raw | DESC_AF;
}

/* XN[1:0], bits 54:53: all may execute, the unprivileged, none, the privileged. Without XNX bit 54 alone
 * decides (D8.4.2.1). */
PT_INLINE unsigned int vmsa_s2_exec(u64 raw, bool xnx)
{
	bool xn1 = raw & BIT(54), xn0 = xnx && raw & BIT(53);

	return (xn1 ? 0 : PT_X) | (xn1 == xn0 ? GRANT_PRIV_X : 0);
}

/* Is it, by MemAttr (bits 5:2), no Device memory (D8.6.5, D8.6.6)? */
PT_INLINE unsigned int vmsa_s2_memory(u64 raw, bool forces_wb)
{
	return raw & (forces_wb ? BIT(4) : BITS(5, 4)) ? GRANT_NOT_DEVICE : 0;
}

/* Rights of stage 2: D8.4.2.1. */
PT_INLINE struct pt_entry vmsa_s2_decode(u64 raw, unsigned int level, const struct pt_stage *s,
					 unsigned int granule_lg2, bool ds)
{
	struct pt_entry e = vmsa_decode(raw, level, s, granule_lg2, ds);
	bool ro = !(raw & DESC_S2AP1);

	e.grant = PT_ALL;
	if (e.kind == PT_LEAF)
		e.grant = (raw >> 6 & PT_R) | (!ro || vmsa_clean(raw, ro, s) ? PT_W : 0) |
			  vmsa_s2_exec(raw, s->flags & HAS_XNX) | vmsa_s2_memory(raw, s->flags & FORCES_WB);
	return e;
}

static inline u64 vmsa_s2_update(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s)
{
	if (!leaf)
		return s->flags & SETS_TABLE_AF ? raw | DESC_AF : raw;
	if (!(s->flags & SETS_AF))
		return raw;
	if (access == PT_W && vmsa_clean(raw, !(raw & DESC_S2AP1), s))
		raw |= DESC_S2AP1;
	return raw | DESC_AF;
}

/* Address bits beyond the output of the stage: clear in a plain descriptor of 4 KiB granules. */
PT_INLINE u64 vmsa_beyond(const struct pt_stage *s)
{
	return BITS(47, 12) & ~s->out_last;
}

/* Plain table descriptors restrict no rights; plain pages grant what is needed as they are, not only once
 * dirty. */
static inline bool vmsa_s1_plain(const struct pt_stage *s, const struct pt_rule *rule, unsigned int access,
				 struct pt_plain *p)
{
	const u64 table_rights = DESC_AP_TABLE0 | DESC_AP_TABLE1 | DESC_UXN_TABLE | DESC_PXN_TABLE;
	u64 table = DESC_VALID | DESC_TABLE | (s->flags & SETS_TABLE_AF ? DESC_AF : 0);
	u64 set = DESC_VALID | DESC_AF | (rule->need & PT_USER ? DESC_AP1 : 0);
	u64 clear = (rule->need & PT_W ? DESC_AP2 : 0) | (rule->need & PT_X ? DESC_UXN : 0) |
		    (rule->need & GRANT_PRIV_X ? DESC_PXN : 0);

	(void)access;
	p->table = table | vmsa_beyond(s) | (s->flags & FLAT ? 0 : table_rights);
	p->table_is = table;
	p->page = p->large = set | clear | DESC_TABLE | vmsa_beyond(s);
	p->page_is = set | DESC_TABLE;
	p->large_is = set;
	return rule->look == rule->need && !rule->never;
}

/* Where tables may not lie in Device memory, only MemAttr that is Normal with and without FWB is plain. */
static inline bool vmsa_s2_plain(const struct pt_stage *s, const struct pt_rule *rule, unsigned int access,
				 struct pt_plain *p)
{
	u64 table = DESC_VALID | DESC_TABLE | (s->flags & SETS_TABLE_AF ? DESC_AF : 0);
	u64 set = DESC_VALID | DESC_AF | (rule->need & PT_R ? BIT(6) : 0) |
		  (rule->need & PT_W ? DESC_S2AP1 : 0) | (rule->need & GRANT_NOT_DEVICE ? BITS(5, 4) : 0);
	u64 clear = rule->need & (PT_X | GRANT_PRIV_X) ? BITS(54, 53) : 0;

	(void)access;
	p->table = table | vmsa_beyond(s);
	p->table_is = table;
	p->page = p->large = set | clear | DESC_TABLE | vmsa_beyond(s);
	p->page_is = set | DESC_TABLE;
	p->large_is = set;
	return true;
}

#define VMSA_FORMAT(stage, name, lg2, ds, big)                                             \
	static inline struct pt_entry stage##_##name##_decode(u64 raw, unsigned int level, \
							      const struct pt_stage *s)    \
	{                                                                                  \
		return vmsa_##stage##_decode(raw, level, s, lg2, ds);                      \
	}                                                                                  \
	static const struct pt_format stage##_##name = {                                   \
		.granule_lg2 = lg2,                                                        \
		.index_lg2 = lg2 - 3,                                                      \
		.entry_lg2 = 3,                                                            \
		.big_endian = big,                                                         \
		.checks_out = true,                                                        \
		.has_never = true,                                                         \
		.decode = stage##_##name##_decode,                                         \
		.update = vmsa_##stage##_update,                                           \
		.plain_address = BITS(47, 12),                                             \
		.plain = (lg2) == 12 && !(ds) && !(big) ? vmsa_##stage##_plain : NULL,     \
	};

/* Of both byte orders. */
#define VMSA_FORMATS(stage, name, lg2, ds)       \
	VMSA_FORMAT(stage, name, lg2, ds, false) \
	VMSA_FORMAT(stage, name##_be, lg2, ds, true)

VMSA_FORMATS(s1, 4k, 12, false)
VMSA_FORMATS(s1, 16k, 14, false)
VMSA_FORMATS(s1, 64k, 16, false)
VMSA_FORMATS(s1, 4k_ds, 12, true)
VMSA_FORMATS(s1, 16k_ds, 14, true)
VMSA_FORMATS(s2, 4k, 12, false)
VMSA_FORMATS(s2, 16k, 14, false)
VMSA_FORMATS(s2, 64k, 16, false)
VMSA_FORMATS(s2, 4k_ds, 12, true)
VMSA_FORMATS(s2, 16k_ds, 14, true)

#define VMSA_PICK(stage)                                                                                \
	PT_INLINE const struct pt_format *stage##_format(unsigned int granule_lg2, bool ds, bool big)   \
	{                                                                                               \
		static const struct pt_format *const all[5][2] = {                                      \
			{ &stage##_4k, &stage##_4k_be },         { &stage##_16k, &stage##_16k_be },     \
			{ &stage##_64k, &stage##_64k_be },       { &stage##_4k_ds, &stage##_4k_ds_be }, \
			{ &stage##_16k_ds, &stage##_16k_ds_be },                                        \
		};                                                                                      \
                                                                                                        \
		return all[(granule_lg2 - 12) / 2 + (ds && granule_lg2 != 16 ? 3 : 0)][big];            \
	}

VMSA_PICK(s1)
VMSA_PICK(s2)

#endif
