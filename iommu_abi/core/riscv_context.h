/* SPDX-License-Identifier: MIT */
/*
 * riscv_context.h - device and process directory for riscv.c: whether contexts are legal, and the
 * stages that they make.
 *
 * RISC-V IOMMU Architecture Specification 1.0, "In-memory data structures": DDT, device context,
 * PDT, process context; the reference model for the order of checks.
 */
#ifndef IOMMU_ABI_RISCV_CONTEXT_H
#define IOMMU_ABI_RISCV_CONTEXT_H

#include "pt_tables.h"
#include "riscv_pt.h"

/* pt_context.flags */
enum {
	BARE = 1,           /* ddtp: untranslated requests pass */
	ENTRY = 2,          /* the DC is legal */
	TAKES = 4,          /* the DC allows this process_id, or that there is none */
	DTF = 8,            /* DC.tc.DTF: few faults are recorded */
	MSI = 16,           /* own[] describes an MSI page table; in pt_walk.flags: this request uses it */
	BIG_ENDIAN_S1 = 32, /* SBE=1, which is not modelled; in pt_walk.flags: this refused the request */
	USERS_ONLY = 64,    /* PC.ta.ENS is clear */
};

/* ---- device directory ---- */

/* The words of a device context; the last four with MSI_FLAT only. */
enum { TC, IOHGATP, TA, FSC, MSIPTP, MSI_MASK, MSI_PATTERN, DC_WORDS = 8 };

#define TC_EN_ATS BIT(1)
#define TC_EN_PRI BIT(2)
#define TC_T2GPA BIT(3)
#define TC_DTF BIT(4)
#define TC_PDTV BIT(5)
#define TC_PRPR BIT(6)
#define TC_GADE BIT(7)
#define TC_SADE BIT(8)
#define TC_DPE BIT(9)
#define TC_SBE BIT(10)
#define TC_SXL BIT(11)

#define GSCID(iohgatp) ((u32)((iohgatp) >> 44 & 0xffff))
#define MODE(word) ((unsigned int)((word) >> 60))
#define DIRECTORY_RSVD (BITS(9, 1) | BITS(63, 54))

/* "Device-context configuration checks", 1. Bits 31:24 of tc are custom (as the reference model). */
static bool dc_reserved(const u64 *dc, u64 cap)
{
	u64 ta = BITS(11, 0) | BITS(39, 32) | (cap & CAP_QOSID ? 0 : BITS(63, 40));

	if (dc[TC] & (BITS(23, 12) | BITS(63, 32)) || dc[TA] & ta || dc[FSC] & BITS(59, 44))
		return true;
	if (!(cap & CAP_MSI_FLAT))
		return false;
	return dc[MSIPTP] & BITS(59, 44) || (dc[MSI_MASK] | dc[MSI_PATTERN]) & BITS(63, 52) || dc[7];
}

/* Is the mode of iosatp Bare, or one that the IOMMU has (check 8 to 11, and of a process context)? */
static bool iosatp_known(u64 word, bool sxl, u64 cap)
{
	unsigned int mode = MODE(word);

	if (sxl)
		return !mode || (mode == 8 && cap & CAP_SV32);
	return !mode || (mode >= 8 && mode <= 10 && cap & CAP_SV39 << (mode - 8));
}

/* Checks 13 to 15 and 17. */
static bool iohgatp_known(u64 word, bool gxl, u64 cap)
{
	unsigned int mode = MODE(word);

	if (!mode)
		return true;
	if (word & 3) /* the root is aligned to 16 KiB */
		return false;
	if (gxl)
		return mode == 8 && cap & CAP_SV32X4;
	return mode >= 8 && mode <= 10 && cap & CAP_SV39X4 << (mode - 8);
}

/* Checks 8 to 11. */
static bool pdtp_known(u64 word, u64 cap)
{
	unsigned int mode = MODE(word);

	return !mode || (mode <= 3 && cap & CAP_PD8 << (mode - 1));
}

/* "Device-context configuration checks", by their numbers there; 1 is dc_reserved(). */
static bool dc_legal(const u64 *state, const u64 *dc)
{
	u64 cap = state[CAPABILITIES], tc = dc[TC];
	bool gxl = state[FCTL] & FCTL_GXL, sxl = tc & TC_SXL;

	/* 2 to 7 */
	if (tc & (TC_EN_ATS | TC_EN_PRI | TC_PRPR) && !(cap & CAP_ATS))
		return false;
	if (tc & (TC_EN_PRI | TC_T2GPA) && !(tc & TC_EN_ATS))
		return false;
	if (tc & TC_T2GPA && (!(cap & CAP_T2GPA) || !MODE(dc[IOHGATP])))
		return false;
	if (tc & TC_PRPR && !(tc & TC_EN_PRI))
		return false;
	if (tc & TC_DPE && !(tc & TC_PDTV)) /* 12 */
		return false;
	if (tc & (TC_SADE | TC_GADE) && !(cap & CAP_AMO_HWAD)) /* 18 */
		return false;
	/* 19, 21: fctl.BE is 0 here. With END it can be written, and software may choose SBE */
	if (tc & TC_SBE && !(cap & CAP_END))
		return false;
	if ((sxl && !gxl && !state[GXL_WRITABLE]) || (!sxl && gxl)) /* 20 */
		return false;
	if (!iohgatp_known(dc[IOHGATP], gxl, cap))
		return false;
	if (!(tc & TC_PDTV ? pdtp_known(dc[FSC], cap) : iosatp_known(dc[FSC], sxl, cap)))
		return false;
	/* 16. Below the list: msiptp wants a second stage, which is recommended and our choice */
	if (!(cap & CAP_MSI_FLAT))
		return true;
	return !MODE(dc[MSIPTP]) || (MODE(dc[MSIPTP]) == 1 && MODE(dc[IOHGATP]));
}

/* Reads the device context of @rid by "Process to locate the Device-context"; @at is where it lies.
 * Before that, step 5 of "Process to translate an IOVA": a device_id that is too wide. */
static enum pt_verdict find_dc(struct pt_walk *w, u32 rid, struct pt_place *at, u64 *dc)
{
	const u64 *state = w->unit->state;
	bool ext = state[CAPABILITIES] & CAP_MSI_FLAT;
	unsigned int first = ext ? 6 : 7, mode = state[DDTP] & 15, top = mode - 2;
	u64 table = TABLE_OF_ENTRY(state[DDTP]), entry;

	/* with three levels no device_id is too wide: they hold 24 bits */
	if (top < 2 && rid >> (first + 9 * top))
		return pt_refuse(w, IOMMU_ABI_RID_RANGE, 0, at, NULL);
	for (unsigned int level = top; level; level--) {
		at->level = (u8)level;
		at->gpa = at->hpa = table + (rid >> (first + 9 * (level - 1)) & 511) * 8;
		if (!pt_read_hpa(w, IOMMU_ABI_DEVICE, level, at->hpa, 1, &entry))
			return PT_FAULT;
		if (!(entry & BIT(0))) /* cause 258 */
			return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, at, &entry);
		if (entry & DIRECTORY_RSVD) /* cause 259 */
			return pt_refuse(w, IOMMU_ABI_RESERVED, 0, at, &entry);
		table = TABLE_OF_ENTRY(entry);
	}
	at->level = 0;
	at->gpa = at->hpa = table + (rid & (BIT(first) - 1)) * (ext ? 64 : 32);
	return pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, at->hpa, ext ? DC_WORDS : 4, dc) ? PT_GO : PT_FAULT;
}

/* ---- stages ---- */

/* Input that is wider than the mode takes, or with SXL=1 than 34 bits, is a guest page fault. */
static void second_stage(struct pt_context *c, const u64 *dc)
{
#define GUEST_RULES                                                                                       \
	{                                                                                                 \
		[PT_JUDGE_R] = PT_NEED(PT_R | PT_USER, 0), [PT_JUDGE_W] = PT_NEED(PT_W | PT_USER, 0),     \
		[PT_JUDGE_X] = PT_NEED(PT_X | PT_USER, 0), [PT_JUDGE_TABLE] = PT_NEED(PT_R | PT_USER, 0), \
		[PT_JUDGE_NONE] = PT_NEED(PT_USER, 0), [PT_JUDGE_NONE_X] = PT_NEED(PT_USER, 0),           \
	}
	static pt_rules rules = { GUEST_RULES, GUEST_RULES };
	const u64 *state = c->unit->state;
	bool gxl = state[FCTL] & FCTL_GXL;
	unsigned int mode = MODE(dc[IOHGATP]), bits = gxl ? 34 : 41 + 9 * (mode - 8);

	if (!mode)
		return;
	c->f2 = gxl ? &sv32 : &sv64;
	c->s2 = (struct pt_stage){
		.root = PAGE_OF_PPN(dc[IOHGATP]),
		/* a guest of 32 bits has no GPA above bit 33, whatever the tables could take */
		.in_span = BIT(dc[TC] & TC_SXL ? 34 : bits) - 1,
		.in_mask = BIT(bits) - 1,
		.rsvd = (const u64(*)[PT_MAX_LEVELS]) & state[gxl ? SV32_RSVD : SV64_RSVD],
		.rules = &rules,
		.top = (u8)(gxl ? 1 : mode - 6),
		.ad = dc[TC] & TC_GADE ? PT_AD_SET : PT_AD_FAULT,
	};
}

/* Users need U=1. A supervisor reads and writes pages with U=1 only with SUM, and never executes them. */
#define USER_RULES                                                                                    \
	{                                                                                             \
		[PT_JUDGE_R] = PT_NEED(PT_R | PT_USER, 0), [PT_JUDGE_W] = PT_NEED(PT_W | PT_USER, 0), \
		[PT_JUDGE_X] = PT_NEED(PT_X | PT_USER, 0), [PT_JUDGE_NONE] = PT_NEED(PT_USER, 0),     \
		[PT_JUDGE_NONE_X] = PT_NEED(PT_USER, 0),                                              \
	}
#define SUPERVISOR_RULES(data)                                                             \
	{                                                                                  \
		[PT_JUDGE_R] = PT_NEED(PT_R, data), [PT_JUDGE_W] = PT_NEED(PT_W, data),    \
		[PT_JUDGE_X] = PT_NEED(PT_X, PT_USER), [PT_JUDGE_NONE] = PT_NEED(0, data), \
		[PT_JUDGE_NONE_X] = PT_NEED(0, PT_USER),                                   \
	}

/* Input that is not canonical, or of Sv32 not of 32 bits, is a page fault (privileged specification). */
static void first_stage(struct pt_context *c, u64 tc, u64 iosatp, bool sum)
{
	static pt_rules rules[2] = { /* [SUM] */
				     { USER_RULES, SUPERVISOR_RULES(PT_USER) },
				     { USER_RULES, SUPERVISOR_RULES(0) }
	};
	bool sxl = tc & TC_SXL;
	unsigned int mode = MODE(iosatp), bits = sxl ? 32 : 39 + 9 * (mode - 8);

	if (!mode)
		return;
	c->f1[0] = sxl ? &sv32 : &sv64;
	c->s1[0] = (struct pt_stage){
		.root = PAGE_OF_PPN(iosatp),
		.in_first = sxl ? 0 : -BIT(bits - 1), /* canonical */
		.in_span = BIT(bits) - 1,
		.in_mask = BIT(bits) - 1,
		.rsvd = (const u64(*)[PT_MAX_LEVELS]) & c->unit->state[sxl ? SV32_RSVD : SV64_RSVD],
		.rules = &rules[sum],
		.top = (u8)(sxl ? 1 : mode - 6),
		.ad = tc & TC_SADE ? PT_AD_SET : PT_AD_FAULT,
	};
}

/* ---- process directory ---- */

#define PC_ENS BIT(1)
#define PC_SUM BIT(2)
#define PC_PSCID(ta) ((u32)((ta) >> 12 & BITS(19, 0)))

/* Reads the process context of @pasid by "Process to locate the Process-context"; its tables lie in GPA
 * where stage 2 is on. */
static enum pt_verdict find_pc(struct pt_walk *w, u64 pdtp, u32 pasid, struct pt_place *at, u64 *pc)
{
	u64 table = PAGE_OF_PPN(pdtp), entry;

	at->stage = IOMMU_ABI_PASID;
	for (unsigned int level = MODE(pdtp) - 1; level; level--) {
		at->level = (u8)level;
		if (!pt_read_gpa(w, w->c->f2, at, table + (pasid >> (9 * level - 1) & 511) * 8, 1, &entry))
			return PT_FAULT;
		if (!(entry & BIT(0))) /* 266; steps 4 to 9 */
			return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, at, &entry);
		if (entry & DIRECTORY_RSVD) /* 267 */
			return pt_refuse(w, IOMMU_ABI_RESERVED, 0, at, &entry);
		table = TABLE_OF_ENTRY(entry);
	}
	at->level = 0;
	return pt_read_gpa(w, w->c->f2, at, table + (pasid & 255) * 16, 2, pc) ? PT_GO : PT_FAULT;
}

/* "Process to locate the Process-context", 10 to 12, and the process context's configuration checks:
 * makes stage 1. */
static void process(struct pt_walk *w, struct pt_context *c, const u64 *dc)
{
	struct pt_place at = { 0 };
	u64 pc[2];

	if (find_pc(w, dc[FSC], c->pasid, &at, pc) == PT_FAULT)
		return;
	if (!(pc[0] & BIT(0))) {
		pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, &at, pc);
	} else if (pc[0] & (BITS(11, 3) | BITS(63, 32)) || pc[1] & BITS(59, 44)) {
		pt_refuse(w, IOMMU_ABI_RESERVED, 0, &at, pc);
	} else if (!iosatp_known(pc[1], dc[TC] & TC_SXL, c->unit->state[CAPABILITIES])) {
		pt_refuse(w, IOMMU_ABI_INVALID, 0, &at, pc);
	} else {
		pt_decides(w, c, IOMMU_ABI_PASID, at.gpa, at.hpa, pc[0]);
		c->flags |= pc[0] & PC_ENS ? 0 : USERS_ONLY;
		c->process = PC_PSCID(pc[0]);
		first_stage(c, dc[TC], pc[1], pc[0] & PC_SUM);
	}
}

#endif
