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

#include "riscv_pt.h"

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

#define MODE(word) ((unsigned int)((word) >> 60))
#define DIRECTORY_RSVD (BITS(9, 1) | BITS(63, 54))

static bool dc_reserved(const u64 *dc, u64 cap)
{
	u64 ta = BITS(11, 0) | BITS(39, 32) | (cap & CAP_QOSID ? 0 : BITS(63, 40));

	if (dc[TC] & (BITS(23, 12) | BITS(63, 32)) || dc[TA] & ta || dc[FSC] & BITS(59, 44))
		return true;
	if (!(cap & CAP_MSI_FLAT))
		return false;
	return dc[MSIPTP] & BITS(59, 44) || (dc[MSI_MASK] | dc[MSI_PATTERN]) & BITS(63, 52) || dc[7];
}

/* A mode of iosatp: Bare or one that the IOMMU has. */
static bool iosatp_known(u64 word, bool sxl, u64 cap)
{
	unsigned int mode = MODE(word);

	if (sxl)
		return !mode || (mode == 8 && cap & CAP_SV32);
	return !mode || (mode >= 8 && mode <= 10 && cap & CAP_SV39 << (mode - 8));
}

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

static bool pdtp_known(u64 word, u64 cap)
{
	unsigned int mode = MODE(word);

	return !mode || (mode <= 3 && cap & CAP_PD8 << (mode - 1));
}

/* "Device-context configuration checks". */
static bool dc_legal(const u64 *state, const u64 *dc)
{
	u64 cap = state[CAPABILITIES], tc = dc[TC];
	bool gxl = state[FCTL] & FCTL_GXL, sxl = tc & TC_SXL;

	if (tc & (TC_EN_ATS | TC_EN_PRI | TC_PRPR) && !(cap & CAP_ATS))
		return false;
	if (tc & (TC_EN_PRI | TC_T2GPA) && !(tc & TC_EN_ATS))
		return false;
	if (tc & TC_T2GPA && (!(cap & CAP_T2GPA) || !MODE(dc[IOHGATP])))
		return false;
	if (tc & TC_PRPR && !(tc & TC_EN_PRI))
		return false;
	if (tc & TC_DPE && !(tc & TC_PDTV))
		return false;
	if (tc & (TC_SADE | TC_GADE) && !(cap & CAP_AMO_HWAD))
		return false;
	/* fctl.BE is 0; with END it can be written, and SBE is a choice */
	if (tc & TC_SBE && !(cap & CAP_END))
		return false;
	if ((sxl && !gxl && !state[GXL_WRITABLE]) || (!sxl && gxl))
		return false;
	if (!iohgatp_known(dc[IOHGATP], gxl, cap))
		return false;
	if (!(tc & TC_PDTV ? pdtp_known(dc[FSC], cap) : iosatp_known(dc[FSC], sxl, cap)))
		return false;
	if (!(cap & CAP_MSI_FLAT))
		return true;
	return !MODE(dc[MSIPTP]) || (MODE(dc[MSIPTP]) == 1 && MODE(dc[IOHGATP]));
}

/* From ddtp to the device context, whose address is left in @at. */
static enum pt_verdict find_dc(struct pt_walk *w, struct pt_place *at, u64 *dc)
{
	const u64 *state = w->unit->state;
	bool ext = state[CAPABILITIES] & CAP_MSI_FLAT;
	unsigned int first = ext ? 6 : 7, mode = state[DDTP] & 15, top = mode - 2;
	u64 table = TABLE_OF_ENTRY(state[DDTP]), entry;
	u32 rid = w->q->rid;

	/* three levels hold 24 bits, which no device_id exceeds */
	if (top < 2 && rid >> (first + 9 * top))
		return pt_refuse(w, IOMMU_ABI_RID_RANGE, 0, at, NULL);
	for (unsigned int level = top; level; level--) {
		at->level = (u8)level;
		at->gpa = at->hpa = table + (rid >> (first + 9 * (level - 1)) & 511) * 8;
		if (!pt_read_hpa(w, IOMMU_ABI_DEVICE, level, at->hpa, 1, &entry))
			return PT_FAULT;
		if (!(entry & BIT(0)))
			return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, at, &entry);
		if (entry & DIRECTORY_RSVD)
			return pt_refuse(w, IOMMU_ABI_RESERVED, 0, at, &entry);
		table = TABLE_OF_ENTRY(entry);
	}
	at->level = 0;
	at->gpa = at->hpa = table + (rid & (BIT(first) - 1)) * (ext ? 64 : 32);
	return pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, at->hpa, ext ? DC_WORDS : 4, dc) ? PT_GO : PT_FAULT;
}

/* ---- stages ---- */

static void second_stage(struct pt_walk *w, const u64 *dc)
{
	bool gxl = w->unit->state[FCTL] & FCTL_GXL;
	unsigned int mode = MODE(dc[IOHGATP]), bits = gxl ? 34 : 41 + 9 * (mode - 8);

	if (!mode)
		return;
	w->f2 = gxl ? &sv32 : &sv64;
	w->s2 = (struct pt_stage){
		.root = PAGE_OF_PPN(dc[IOHGATP]),
		/* a guest of 32 bits has no GPA above bit 33, whatever the tables could take */
		.in_span = BIT(dc[TC] & TC_SXL ? 34 : bits) - 1,
		.in_mask = BIT(bits) - 1,
		.rsvd = (const u64(*)[PT_MAX_LEVELS]) & w->unit->state[gxl ? SV32_RSVD : SV64_RSVD],
		.top = (u8)(gxl ? 1 : mode - 6),
		.grant = PT_ALL,
		.ad = dc[TC] & TC_GADE ? PT_AD_SET : PT_AD_FAULT,
		.rule = {
			[PT_JUDGE_R] = PT_NEED(PT_R | PT_USER, 0),
			[PT_JUDGE_W] = PT_NEED(PT_W | PT_USER, 0),
			[PT_JUDGE_X] = PT_NEED(PT_X | PT_USER, 0),
			[PT_JUDGE_TABLE] = PT_NEED(PT_R | PT_USER, 0),
			[PT_JUDGE_NONE] = PT_NEED(PT_USER, 0),
		},
	};
}

/* @priv: the request is a supervisor's; @sum: who may read and write users' pages. */
static void first_stage(struct pt_walk *w, u64 tc, u64 iosatp, bool priv, bool sum)
{
	bool sxl = tc & TC_SXL;
	unsigned int mode = MODE(iosatp), bits;
	u64 half;
	u8 user = priv ? 0 : PT_USER, not_user = priv ? PT_USER : 0, data = sum ? 0 : not_user;

	if (!mode)
		return;
	bits = sxl ? 32 : 39 + 9 * (mode - 8);
	half = sxl ? BIT(32) : BIT(bits - 1);
	w->f1 = sxl ? &sv32 : &sv64;
	w->s1 = (struct pt_stage){
		.root = PAGE_OF_PPN(iosatp),
		.in_first = !sxl && w->q->iova >> 63 ? -half : 0,
		.in_span = half - 1,
		.in_mask = BIT(bits) - 1,
		.rsvd = (const u64(*)[PT_MAX_LEVELS]) & w->unit->state[sxl ? SV32_RSVD : SV64_RSVD],
		.top = (u8)(sxl ? 1 : mode - 6),
		.grant = PT_ALL,
		.ad = tc & TC_SADE ? PT_AD_SET : PT_AD_FAULT,
		.rule = {
			[PT_JUDGE_R] = PT_NEED(PT_R | user, data),
			[PT_JUDGE_W] = PT_NEED(PT_W | user, data),
			[PT_JUDGE_X] = PT_NEED(PT_X | user, not_user),
			[PT_JUDGE_NONE] = PT_NEED(user, w->access == PT_X ? not_user : data),
		},
	};
}

/* ---- process directory ---- */

#define PC_ENS BIT(1)
#define PC_SUM BIT(2)

/* The process context of @pasid; its tables lie in GPA where stage 2 is on. */
static enum pt_verdict find_pc(struct pt_walk *w, u64 pdtp, u32 pasid, struct pt_place *at, u64 *pc)
{
	u64 table = PAGE_OF_PPN(pdtp), entry;

	at->stage = IOMMU_ABI_PASID;
	for (unsigned int level = MODE(pdtp) - 1; level; level--) {
		at->level = (u8)level;
		if (!pt_read_gpa(w, w->f2, at, table + (pasid >> (9 * level - 1) & 511) * 8, 1, &entry))
			return PT_FAULT;
		if (!(entry & BIT(0)))
			return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, at, &entry);
		if (entry & DIRECTORY_RSVD)
			return pt_refuse(w, IOMMU_ABI_RESERVED, 0, at, &entry);
		table = TABLE_OF_ENTRY(entry);
	}
	at->level = 0;
	return pt_read_gpa(w, w->f2, at, table + (pasid & 255) * 16, 2, pc) ? PT_GO : PT_FAULT;
}

static enum pt_verdict process(struct pt_walk *w, const u64 *dc)
{
	bool priv = w->q->flags & IOMMU_ABI_HAS_PASID && w->q->flags & IOMMU_ABI_PRIV;
	u32 pasid = w->q->flags & IOMMU_ABI_HAS_PASID ? w->q->pasid : 0;
	struct pt_place at = { 0 };
	u64 pc[2];

	if (find_pc(w, dc[FSC], pasid, &at, pc) == PT_FAULT)
		return PT_FAULT;
	if (!(pc[0] & BIT(0)))
		return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, &at, pc);
	if (pc[0] & (BITS(11, 3) | BITS(63, 32)) || pc[1] & BITS(59, 44))
		return pt_refuse(w, IOMMU_ABI_RESERVED, 0, &at, pc);
	if (!iosatp_known(pc[1], dc[TC] & TC_SXL, w->unit->state[CAPABILITIES]))
		return pt_refuse(w, IOMMU_ABI_INVALID, 0, &at, pc);
	if (priv && !(pc[0] & PC_ENS))
		return pt_refuse(w, IOMMU_ABI_BLOCKED, 0, &at, pc);
	first_stage(w, dc[TC], pc[1], priv, pc[0] & PC_SUM);
	return PT_GO;
}

#endif
