/* SPDX-License-Identifier: MIT */
/*
 * riscv.c - RISC-V IOMMU.
 *
 * RISC-V IOMMU Architecture Specification 1.0: "In-memory data structures" (DDT, device
 * context, PDT, process context, MSI page table), "In-memory queues" (causes, iotval2),
 * registers; the reference model (RM) for the order of checks. Page tables: the privileged
 * specification as RM restates it. docs/walk_riscv.md decides what these leave open.
 */
#include <string.h>

#include "error.h"
#include "pt_stages.h"
#include "riscv_context.h"

/* ---- registers ---- */

static const struct pt_reg regs[] = {
	[DDTP] = { "DDTP", 0, true },
	[CAPABILITIES] = { "CAPABILITIES",
			   0x10 | CAP_SV32 | CAP_SV39 | CAP_SV48 | CAP_SV57 | CAP_SVRSW60T59B | CAP_SVPBMT |
				   CAP_SV32X4 | CAP_SV39X4 | CAP_SV48X4 | CAP_SV57X4 | CAP_MSI_FLAT |
				   CAP_MSI_MRIF | CAP_AMO_HWAD | CAP_ATS | CAP_T2GPA | 56ull << 32 | CAP_PD8 |
				   CAP_PD17 | CAP_PD20,
			   false },
	[FCTL] = { "FCTL", 0, false },
	/* no register: whether fctl.GXL can be written, which makes SXL a choice */
	[GXL_WRITABLE] = { "GXL_WRITABLE", 0, false },
	/* known, and without influence on a translation */
	{ "CQB", 0, false },
	{ "FQB", 0, false },
	{ "PQB", 0, false },
	{ "IPSR", 0, false },
	{ NULL, 0, false },
};

/* MGPAW: the widest guest-physical address (device-context fields, msi_addr_mask). */
static unsigned int guest_address_bits(u64 cap)
{
	return cap & CAP_SV57X4   ? 59
	       : cap & CAP_SV48X4 ? 50
	       : cap & CAP_SV39X4 ? 41
	       : cap & CAP_SV32X4 ? 34
				  : CAP_PAS(cap);
}

static int riscv_init(struct iommu_abi_unit *u, struct iommu_abi_error *err)
{
	u64 *sv64 = &u->state[SV64_RSVD], *sv32 = &u->state[SV32_RSVD];
	u64 cap = u->state[CAPABILITIES], always = BITS(58, 54);
	u64 gpa_last = BIT(guest_address_bits(cap)) - 1;

	if (u->state[FCTL] & FCTL_BE) /* "Endianness": not modelled */
		return refuse(err, RULE_UNIT_ENDIAN, FCTL, u->state[FCTL], 0);
	if (!(cap & CAP_SVRSW60T59B))
		always |= BITS(60, 59);
	u->state[PT_PAS_LAST] = BIT(CAP_PAS(cap)) - 1; /* PAS has 6 bits */
	u->state[MSI_PAGES] = gpa_last >> 12;
	for (unsigned int level = 0; level < PT_MAX_LEVELS; level++) {
		sv64[level] = always | PBMT | NAPOT | TABLE_FLAGS;
		sv64[PT_MAX_LEVELS + level] = always | (cap & CAP_SVPBMT ? 0 : PBMT) | (level ? NAPOT : 0);
		sv32[level] = TABLE_FLAGS;
		sv32[PT_MAX_LEVELS + level] = 0;
	}
	return 0;
}

/* ---- causes: "In-memory queues", fault queue ---- */

enum {
	ALL_DISALLOWED = 256,
	DDT_LOAD,
	DDT_NOT_VALID,
	DDT_MISCONFIGURED,
	TYPE_DISALLOWED,
	MSI_LOAD,
	MSI_NOT_VALID,
	MSI_MISCONFIGURED,
	PDT_LOAD = 265,
	PDT_NOT_VALID,
	PDT_MISCONFIGURED,
	DDT_CORRUPTED,
	INTERNAL = 272,
	MSI_WRITE,
};

/* Causes that come in threes, for fetch, read and write: the fetch's. */
enum { ACCESS_FAULT = 1, PAGE_FAULT = 12, GUEST_PAGE_FAULT = 20 };

static u32 cause_by_access(const struct pt_walk *w, u32 fetch)
{
	u32 read = fetch == ACCESS_FAULT ? 5 : fetch + 1;

	return w->q->access == PT_X ? fetch : w->q->access == PT_R ? read : read + 2;
}

static u32 cause_of_context(const struct iommu_abi_fault *f)
{
	bool pasid = f->stage == IOMMU_ABI_PASID;

	switch (f->reason) {
	case IOMMU_ABI_UNREADABLE:
		return pasid ? PDT_LOAD : DDT_LOAD;
	case IOMMU_ABI_NOT_PRESENT:
		return pasid ? PDT_NOT_VALID : DDT_NOT_VALID;
	case IOMMU_ABI_RESERVED:
	case IOMMU_ABI_INVALID:
		return pasid ? PDT_MISCONFIGURED : DDT_MISCONFIGURED;
	default:
		return TYPE_DISALLOWED;
	}
}

static u32 cause_of_stage(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	if (f->reason == IOMMU_ABI_UNREADABLE)
		return f->purpose == IOMMU_ABI_FOR_PASID_ENTRY ? PDT_LOAD : cause_by_access(w, ACCESS_FAULT);
	return cause_by_access(w, f->stage == IOMMU_ABI_S2 ? GUEST_PAGE_FAULT : PAGE_FAULT);
}

/* iotval2 of a guest page fault: the GPA; bit 0: the walk itself wanted it, bits 1:0 = 3: to set A or D. */
static u64 iotval2(const struct iommu_abi_fault *f)
{
	unsigned int implicit = f->purpose == IOMMU_ABI_FOR_DATA        ? 0
				: f->purpose == IOMMU_ABI_FOR_S1_UPDATE ? 3
									: 1;

	return (f->input & ~3ull) | implicit;
}

/* DTF suppresses the records of all other causes. */
static bool recorded_with_dtf(u32 cause)
{
	return (cause >= ALL_DISALLOWED && cause <= DDT_MISCONFIGURED) || cause == DDT_CORRUPTED ||
	       cause == INTERNAL || cause == MSI_WRITE;
}

/* A translation request that ends so is completed without rights, and nothing is recorded ("ATS
 * handling"). */
static bool silent_for_ats(u32 cause)
{
	return (cause >= PAGE_FAULT && cause <= GUEST_PAGE_FAULT + 3) || cause == MSI_NOT_VALID ||
	       cause == PDT_NOT_VALID;
}

static void riscv_native(struct pt_walk *w)
{
	struct iommu_abi_fault *f = &w->out->fault;
	bool of_stage = f->stage == IOMMU_ABI_S1 || f->stage == IOMMU_ABI_S2;

	if (w->flags & BIG_ENDIAN_S1) {
		f->recorded = 0;
		return;
	}
	if (!f->native)
		f->native = of_stage ? cause_of_stage(w) : cause_of_context(f);
	if (f->native >= GUEST_PAGE_FAULT && f->native <= GUEST_PAGE_FAULT + 3)
		f->detail = iotval2(f);
	if (w->c->flags & DTF && !recorded_with_dtf(f->native))
		f->recorded = 0;
	if (w->q->at == IOMMU_ABI_TRANSLATION && silent_for_ats(f->native))
		f->recorded = 0;
}

/* ---- MSI page table: numbers are steps of "Process to translate addresses of MSIs" ---- */

enum { MSI_TABLE, MSI_TABLE_MASK, MSI_TABLE_PATTERN }; /* pt_context.own */

/* Step 5: the bits of @value under @mask, closed up. */
static u64 extract(u64 value, u64 mask)
{
	u64 out = 0;

	for (u64 bit = 1; mask; bit <<= 1, mask &= mask - 1)
		if (value & mask & -mask)
			out |= bit;
	return out;
}

/* Bits in which the number of @page differs from msi_addr_pattern; 0: the page is an interrupt file's
 * (steps 1 to 4). */
static u64 msi_apart(const struct pt_walk *w, u64 page)
{
	return (page ^ w->c->own[MSI_TABLE_PATTERN]) & ~w->c->own[MSI_TABLE_MASK] & w->unit->state[MSI_PAGES];
}

static enum pt_verdict refuse_msi(struct pt_walk *w, unsigned int reason, u32 cause,
				  const struct pt_place *at, u64 gpa, const u64 *raw)
{
	pt_fault(w, reason, at, gpa, raw, raw ? *raw : 0);
	w->fault->native = cause;
	return PT_FAULT;
}

/* Steps 13 and 14. */
static bool msi_reserved(const u64 *entry, bool mrif)
{
	if (!mrif)
		return entry[0] & (BITS(9, 3) | BITS(62, 54));
	return entry[0] & (BITS(6, 3) | BITS(62, 54)) || entry[1] & (BITS(59, 54) | BITS(63, 61));
}

/* Fills the answer from a valid entry: a page (step 13), or an MRIF (step 14). */
static void msi_target(struct pt_walk *w, u64 gpa, const u64 *entry, bool mrif)
{
	struct iommu_abi_translation *out = w->out;

	out->size_lg2 = 12;
	out->access &= PT_R | PT_W;
	if (!mrif) {
		out->hpa = TABLE_OF_ENTRY(entry[0]) | (gpa & 0xfff);
		return;
	}
	out->target = IOMMU_ABI_MRIF;
	out->hpa = (entry[0] & BITS(53, 7)) << 2; /* bits 55:9 of the address */
	out->detail = TABLE_OF_ENTRY(entry[1]) | (entry[1] >> 60 & 1) << 10 | (entry[1] & BITS(9, 0));
}

static enum pt_verdict msi_translate(struct pt_walk *w, u64 gpa)
{
	struct pt_place at = { .stage = IOMMU_ABI_S2 };
	u64 page = gpa >> 12, counts = w->unit->state[MSI_PAGES], entry[2];
	unsigned int mode;

	w->alias = page & ~counts;
	at.hpa = PAGE_OF_PPN(w->c->own[MSI_TABLE]) | extract(page, w->c->own[MSI_TABLE_MASK] & counts) * 16;
	at.gpa = at.hpa;
	if (!pt_read_hpa(w, IOMMU_ABI_S2, 0, at.hpa, 2, entry)) /* steps 6, 7 */
		return refuse_msi(w, IOMMU_ABI_UNREADABLE, MSI_LOAD, &at, gpa, NULL);
	mode = entry[0] >> 1 & 3;
	if (!(entry[0] & BIT(0))) /* step 9 */
		return refuse_msi(w, IOMMU_ABI_NOT_PRESENT, MSI_NOT_VALID, &at, gpa, entry);
	if (!(mode & 1) || entry[0] & BIT(63)) /* step 12, and 10: C=1 as the reference model has it */
		return refuse_msi(w, IOMMU_ABI_RESERVED, MSI_MISCONFIGURED, &at, gpa, entry);
	if (mode == 1 && !(w->unit->state[CAPABILITIES] & CAP_MSI_MRIF)) /* step 14 */
		return refuse_msi(w, IOMMU_ABI_INVALID, MSI_MISCONFIGURED, &at, gpa, entry);
	if (msi_reserved(entry, mode == 1))
		return refuse_msi(w, IOMMU_ABI_RESERVED, MSI_MISCONFIGURED, &at, gpa, entry);
	if (w->access == PT_X && w->q->at != IOMMU_ABI_TRANSLATION) /* step 15 */
		return refuse_msi(w, IOMMU_ABI_DENIED, ACCESS_FAULT, &at, gpa, entry);
	msi_target(w, gpa, entry, mode == 1);
	return PT_DONE;
}

static enum pt_verdict riscv_intercept(struct pt_walk *w, u64 gpa)
{
	if (!(w->flags & MSI) || msi_apart(w, gpa >> 12))
		return PT_GO;
	return msi_translate(w, gpa);
}

/* ---- who ---- */

/* May the device send this process_id? Step 7 of "Process to translate an IOVA". */
static unsigned int process_allowed(const struct pt_context *c, const u64 *dc)
{
	static const u8 width[] = { 20, 8, 17, 20 };

	if (!c->has_pasid)
		return IOMMU_ABI_OK;
	if (!(dc[TC] & TC_PDTV))
		return IOMMU_ABI_BLOCKED;
	return c->pasid >> width[MODE(dc[FSC]) & 3] ? IOMMU_ABI_PASID_RANGE : IOMMU_ABI_OK;
}

/* Makes the stages of a legal device context: steps 10 to 16 of "Process to translate an IOVA". Byte
 * order by SBE is not modelled where it would matter: refused. */
static void stages(struct pt_walk *w, struct pt_context *c, const u64 *dc, const struct pt_place *at)
{
	bool pdtv = dc[TC] & TC_PDTV, uses_pdt = pdtv && MODE(dc[FSC]) && (dc[TC] & TC_DPE || c->has_pasid);

	second_stage(c, dc);
	if (dc[TC] & TC_SBE && (uses_pdt || (!pdtv && MODE(dc[FSC])))) {
		c->flags |= BIG_ENDIAN_S1;
		pt_refuse(w, IOMMU_ABI_INVALID, 0, at, dc);
	} else if (uses_pdt) {
		process(w, c, dc);
	} else if (!pdtv) {
		c->process = PC_PSCID(dc[TA]);
		first_stage(c, dc[TC], dc[FSC], false);
	}
}

/* Takes what @dc says of its device ("Process to locate the Device-context", 8 to 10); false: the context
 * is refused. */
static bool with_dc(struct pt_walk *w, struct pt_context *c, const u64 *dc, const struct pt_place *at)
{
	const u64 *state = c->unit->state;
	u64 cap = state[CAPABILITIES];
	unsigned int reason;

	if (dc[TC] & TC_DTF)
		c->flags |= DTF;
	if (!(dc[TC] & BIT(0)))
		return !pt_refuse(w, IOMMU_ABI_NOT_PRESENT, 0, at, dc);
	if (dc_reserved(dc, cap))
		return !pt_refuse(w, IOMMU_ABI_RESERVED, 0, at, dc);
	if (!dc_legal(state, dc))
		return !pt_refuse(w, IOMMU_ABI_INVALID, 0, at, dc);
	pt_decides(w, c, IOMMU_ABI_DEVICE, at->gpa, at->hpa, dc[TC]);
	c->flags |= ENTRY;
	c->domain = GSCID(dc[IOHGATP]);
	reason = process_allowed(c, dc);
	if (reason)
		return !pt_refuse(w, reason, 0, at, dc);
	c->flags |= TAKES;
	if (cap & CAP_MSI_FLAT && MODE(dc[MSIPTP])) {
		memcpy(c->own, &dc[MSIPTP], sizeof(c->own));
		c->flags |= MSI;
	}
	stages(w, c, dc, at);
	return true;
}

/* Steps 1 to 6 of "Process to translate an IOVA". */
static void riscv_look_up(struct pt_walk *w, struct pt_context *c)
{
	struct pt_place at = { .stage = IOMMU_ABI_DEVICE };
	u64 ddtp = c->unit->state[DDTP], dc[DC_WORDS] = { 0 };

	switch (ddtp & 15) {
	case 0:
		pt_refuse(w, IOMMU_ABI_ABORTED, ALL_DISALLOWED, &at, NULL);
		break;
	case 1:
		c->flags = BARE;
		break;
	case 2:
	case 3:
	case 4:
		if (find_dc(w, c->rid, &at, dc) == PT_GO)
			with_dc(w, c, dc, &at);
		break;
	default:
		pt_refuse(w, IOMMU_ABI_INVALID, ALL_DISALLOWED, &at, NULL);
	}
}

/* ---- the request: may it? ---- */

static enum pt_verdict pass(struct pt_walk *w)
{
	w->out->hpa = w->out->gpa = w->iova;
	w->out->size_lg2 = 12;
	w->out->access = PT_R | PT_W | PT_X;
	return PT_DONE;
}

/* Step 2: Bare passes untranslated requests alone. */
static enum pt_verdict bare(struct pt_walk *w)
{
	struct pt_place none = { .stage = IOMMU_ABI_DEVICE };

	return w->q->at == IOMMU_ABI_UNTRANSLATED ? pass(w) : pt_refuse(w, IOMMU_ABI_BLOCKED, 0, &none, NULL);
}

/* Steps 8 and 9: a translated request has a GPA with T2GPA, else an SPA, which passes. No process context
 * is read. */
static enum pt_verdict translated(struct pt_walk *w)
{
	pt_forget(w, w->c->refs[IOMMU_ABI_DEVICE]);
	if (!(w->c->entry[IOMMU_ABI_DEVICE].raw & TC_T2GPA))
		return pass(w);
	w->s2 = w->c->s2;
	return PT_GO;
}

/* The request's part of "Process to translate an IOVA". */
PT_INLINE enum pt_verdict riscv_admit(struct pt_walk *w)
{
	const struct pt_context *c = w->c;

	w->report = PT_R | PT_W | PT_X;
	if (PT_UNLIKELY(c->flags & BARE))
		return bare(w);
	if (PT_UNLIKELY(!(c->flags & ENTRY)))
		return pt_refused(w);
	/* step 7: EN_ATS before the process_id */
	if (PT_UNLIKELY(w->q->at != IOMMU_ABI_UNTRANSLATED) && !(c->entry[IOMMU_ABI_DEVICE].raw & TC_EN_ATS))
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_DEVICE);
	if (PT_UNLIKELY(!(c->flags & TAKES)))
		return pt_refused(w);
	w->flags = c->flags & MSI;
	if (PT_UNLIKELY(w->q->at == IOMMU_ABI_TRANSLATED))
		return translated(w);
	if (w->q->at == IOMMU_ABI_TRANSLATION)
		w->judge = w->access == PT_X ? PT_JUDGE_NONE_X : PT_JUDGE_NONE;
	if (PT_UNLIKELY(c->refusal.reason)) {
		w->flags |= c->flags & BIG_ENDIAN_S1;
		return pt_refused(w);
	}
	w->priv = c->has_pasid && w->q->flags & IOMMU_ABI_PRIV;
	if (PT_UNLIKELY(c->flags & USERS_ONLY) && w->priv) /* step 15 */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, 0, IOMMU_ABI_PASID);
	return pt_go(w, 0);
}

/* Cuts the page size, so that no part of the page is an interrupt file or a GPA that stage 2 does not
 * take. */
static u8 size_of_answer(const struct pt_walk *w)
{
	const struct iommu_abi_translation *out = w->out;
	u64 apart = !(w->flags & MSI) ? 0 : msi_apart(w, out->gpa >> 12);
	unsigned int lg2 = out->size_lg2;

	if (apart && lg2 > 75 - (unsigned int)__builtin_clzll(apart))
		lg2 = 75 - (unsigned int)__builtin_clzll(apart);
	if (w->s2.top != PT_OFF && lg2 > 34 && w->s2.in_span < BIT(34))
		lg2 = 34;
	return (u8)lg2;
}

static enum pt_verdict riscv_output(struct pt_walk *w)
{
	struct iommu_abi_translation *out = w->out;

	if (out->size_lg2 > 12)
		out->size_lg2 = size_of_answer(w);
	if (w->q->at != IOMMU_ABI_TRANSLATION)
		return PT_GO;
	if (w->c->entry[IOMMU_ABI_DEVICE].raw & TC_T2GPA)
		out->hpa = out->gpa;
	if (!(out->access & PT_R)) /* an ATS completion grants X only with R */
		out->access &= PT_W;
	return PT_GO;
}

/* The first page number from @page on that is an interrupt file's. Only bits in @counts are compared; ~0:
 * no such page has the bits of @page above them. */
static u64 next_msi_page(u64 page, u64 pattern, u64 mask, u64 counts)
{
	u64 off = (page ^ pattern) & ~mask & counts, bit, free;

	if (!off)
		return page;
	bit = BIT(63 - __builtin_clzll(off));
	if (page & bit) { /* the pattern has 0 here: carry into a free bit above */
		free = mask & counts & ~page & ~(bit - 1);
		if (!free)
			return ~0ull;
		bit = free & -free;
	}
	return ((page | bit) & ~(bit - 1)) | (pattern & ~mask & (bit - 1));
}

static u64 riscv_window(const struct pt_walk *w, u64 addr)
{
	u64 page = addr >> 12, counts = w->unit->state[MSI_PAGES], next;

	if (!(w->flags & MSI))
		return ~0ull;
	next = next_msi_page(page, w->c->own[MSI_TABLE_PATTERN], w->c->own[MSI_TABLE_MASK], counts);
	if (next == ~0ull)
		return addr | counts << 12 | 0xfff;
	return next == page ? addr | 0xfff : (next << 12) - 1;
}

static unsigned int riscv_covers_lg2(const struct pt_walk *w, unsigned int stage, unsigned int level)
{
	if (stage == IOMMU_ABI_PASID)
		return 9 * level - 1;
	return (w->unit->state[CAPABILITIES] & CAP_MSI_FLAT ? 6 : 7) + 9 * (level - 1);
}

static int riscv_translate(struct pt_walk *w);

const struct pt_vendor pt_vendor_riscv = {
	.name = "riscv",
	.rid_last = 0xffffff,
	.regs = regs,
	.init = riscv_init,
	.look_up = riscv_look_up,
	.intercept = riscv_intercept,
	.output = riscv_output,
	.native = riscv_native,
	.window = riscv_window,
	.covers_lg2 = riscv_covers_lg2,
	.translate = riscv_translate,
	.f1 = &sv64,
	.f2 = &sv64,
};

/* Sv39 to Sv57, the common case, are folded into the walk. Where a stage is Sv32, the formats are read by
 * pointer. */
static int riscv_translate(struct pt_walk *w)
{
	const struct pt_vendor *v = &pt_vendor_riscv;
	enum pt_verdict verdict = riscv_admit(w);
	const struct pt_format *f1 = w->c->f1[0], *f2 = w->c->f2;

	if (verdict != PT_GO)
		return verdict == PT_FAULT;
	if (f1 != &sv64 || f2 != &sv64)
		return pt_stages(v, f1, f2, w, w->trace);
	return w->trace ? pt_stages(v, &sv64, &sv64, w, true) : pt_stages(v, &sv64, &sv64, w, false);
}
