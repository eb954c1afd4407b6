/* SPDX-License-Identifier: MIT */
/*
 * riscv_pt.h - registers and page table entries, for riscv.c.
 *
 * RISC-V IOMMU Architecture Specification 1.0, registers; page tables: the privileged specification
 * as the reference model restates it. docs/walk_riscv.md decides what these leave open.
 */
#ifndef IOMMU_ABI_RISCV_PT_H
#define IOMMU_ABI_RISCV_PT_H

#include "pt_walk.h"

#define PAGE_OF_PPN(field) (((field)&BITS(43, 0)) << 12)
#define TABLE_OF_ENTRY(entry) PAGE_OF_PPN((entry) >> 10)

/* ---- registers ---- */

enum { DDTP, CAPABILITIES, FCTL, GXL_WRITABLE };

#define CAP_SV32 BIT(8)
#define CAP_SV39 BIT(9)
#define CAP_SV48 BIT(10)
#define CAP_SV57 BIT(11)
#define CAP_SVRSW60T59B BIT(14)
#define CAP_SVPBMT BIT(15)
#define CAP_SV32X4 BIT(16)
#define CAP_SV39X4 BIT(17)
#define CAP_SV48X4 BIT(18)
#define CAP_SV57X4 BIT(19)
#define CAP_MSI_FLAT BIT(22)
#define CAP_MSI_MRIF BIT(23)
#define CAP_AMO_HWAD BIT(24)
#define CAP_ATS BIT(25)
#define CAP_T2GPA BIT(26)
#define CAP_END BIT(27)
#define CAP_PAS(c) ((unsigned int)((c) >> 32 & 63))
#define CAP_PD8 BIT(38)
#define CAP_PD17 BIT(39)
#define CAP_PD20 BIT(40)
#define CAP_QOSID BIT(41)

#define FCTL_BE BIT(0)
#define FCTL_GXL BIT(2)

enum {
	SV64_RSVD = PT_OWN_STATE, /* [leaf][level] */
	SV32_RSVD = SV64_RSVD + 2 * PT_MAX_LEVELS,
	MSI_PAGES = SV32_RSVD + 2 * PT_MAX_LEVELS, /* bits of a page number below MGPAW: others are ignored */
};

/* In an entry that points to a table these must be 0: D, A and U. */
#define TABLE_FLAGS (BIT(7) | BIT(6) | BIT(4))
#define PBMT BITS(62, 61)
#define NAPOT BIT(63)

/* ---- page table entries ---- */

enum { MAY_SET_D = PT_W << 1 }; /* W of a raw entry */

/* Steps 3 and 4 of the privileged specification's walk; misalignment (step 6) is found after the rights are
 * judged (step 5), which are those of the leaf alone. @index_lg2: index bits of a level. */
PT_INLINE struct pt_entry decode(u64 raw, unsigned int level, unsigned int index_lg2)
{
	u64 below = BIT(index_lg2 * level) - 1; /* PPN bits that a superpage leaves 0 */
	struct pt_entry e = {
		.base = TABLE_OF_ENTRY(raw),
		.kind = !(raw & BIT(0))    ? PT_EMPTY
			: raw & BITS(3, 1) ? PT_LEAF
					   : PT_TABLE,
		.size_lg2 = 12 + index_lg2 * level,
		.grant = PT_ALL,
	};

	if (e.kind == PT_TABLE) {
		e.bad = level ? 0 : IOMMU_ABI_RESERVED;
	} else if (e.kind == PT_LEAF) {
		e.grant = raw >> 1 & (PT_R | PT_W | PT_X | PT_USER);
		if ((e.grant & (PT_R | PT_W)) == PT_W)
			e.bad = IOMMU_ABI_RESERVED;
		if (raw >> 10 & below)
			e.late = IOMMU_ABI_RESERVED;
	}
	return e;
}

/* Svpbmt: 3 is reserved. Svnapot: N only at level 0, with PPN[3:0] = 8, is a page of 64 KiB. */
static inline struct pt_entry sv64_decode(u64 raw, unsigned int level, const struct pt_stage *s)
{
	struct pt_entry e = decode(raw, level, 9);

	(void)s;
	if ((raw & PBMT) == PBMT)
		e.bad = IOMMU_ABI_RESERVED;
	if (raw & NAPOT && !level && e.kind == PT_LEAF) {
		e.size_lg2 = 16;
		if ((raw >> 10 & 15) != 8)
			e.late = IOMMU_ABI_RESERVED;
	}
	return e;
}

static inline struct pt_entry sv32_decode(u64 raw, unsigned int level, const struct pt_stage *s)
{
	(void)s;
	return decode(raw, level, 10);
}

static inline u64 update(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s)
{
	(void)s;
	if (!leaf)
		return raw;
	return raw | BIT(6) | (access == PT_W && raw & MAY_SET_D ? BIT(7) : 0);
}

/* Entries with PBMT or N, and pages that can only be executed, go through pt_walk.h. */
static inline bool sv64_plain(const struct pt_stage *s, const struct pt_rule *rule, unsigned int access,
			      struct pt_plain *p)
{
	u64 is = BIT(0) | BIT(1) | (u64)rule->need << 1 | BIT(6) | (access == PT_W ? BIT(7) : 0);
	u64 mask = (u64)rule->look << 1 | is | PBMT | NAPOT;

	p->table = s->rsvd[0][1] | BITS(3, 0);
	p->table_is = BIT(0);
	p->page = s->rsvd[1][0] | mask;
	p->large = s->rsvd[1][1] | mask | BITS(18, 10);
	p->page_is = p->large_is = is;
	return rule->need & (PT_R | PT_W | PT_X);
}

static const struct pt_format sv64 = {
	.granule_lg2 = 12,
	.index_lg2 = 9,
	.entry_lg2 = 3,
	.has_rsvd = true,
	.ad_faults = true,
	.user_last = true,
	.decode = sv64_decode,
	.update = update,
	.plain_address = BITS(53, 10),
	.plain_up = 2,
	.plain = sv64_plain,
};
static const struct pt_format sv32 = {
	.granule_lg2 = 12,
	.index_lg2 = 10,
	.entry_lg2 = 2,
	.has_rsvd = true,
	.ad_faults = true,
	.user_last = true,
	.decode = sv32_decode,
	.update = update,
};

#endif
