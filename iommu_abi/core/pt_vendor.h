/* SPDX-License-Identifier: MIT */
/*
 * pt_vendor.h - what a vendor says to the walk that all of them share. The interface document of core/:
 * read it first, then pt_context.h and pt_format.h.
 *
 * A translation has three parts. look_up(): who is it? From registers, device and PASID tables to a
 * context. admit(): may this request use it, and how? Then the stages (pt_walk.h), which know no vendor.
 * To add a format: core/X.c with a struct pt_vendor at the bottom, and what CONTRIBUTING.md lists.
 *
 * Where the oddities of the four vendors plug in
 *
 *	AMD level skip				pt_entry.next, pt_format.skips
 *	AMD next-level 7, RISC-V NAPOT		pt_entry.size_lg2 above the level's own size
 *	AMD DTE.IR/IW				pt_context.grant
 *	AMD level 6, x4 and concatenated roots	pt_stage.in_mask: the root's index is the rest
 *	canonical halves			pt_stage.in_first: one range around 0
 *	Arm TTB0/TTB1, TBI			pt_context.s1[], pt_walk.half, pt_stage.in_mask
 *	4K, 16K, 64K granules			a const pt_format each, from one decoder
 *	Arm address size faults			pt_stage.out_last, pt_format.checks_out
 *	RISC-V Sv32				pt_format.entry_lg2 = 2
 *	U/S, SMEP, PAN, SUM, WXN, WPE, SLEE	pt_stage.rules: rights needed and forbidden, by privilege
 *	S2PTW, RISC-V ATS requests		PT_JUDGE_TABLE, PT_JUDGE_NONE
 *	superpage support, alignment, HAW, XD	pt_stage.rsvd[][]: masks per kind and level
 *	A/D, EA, HTTU, SADE, SLADE, HAD		pt_format.update(), pt_stage.ad
 *	RISC-V checks after the rights		pt_entry.late
 *	ECS, CD, GCR3, PDT tables in GPA	look_up() reads them by pt_read_gpa()
 *	VT-d RID_PASID, Arm S1DSS, GIoV, DPE	look_up() chooses the entry
 *	privilege, execution, ATS, interrupts	admit()
 *	RISC-V MSI page tables			intercept(), instead of the final stage 2
 *	RISC-V physical address size		PT_PAS_LAST
 *	interrupt range of the output		output(), after it
 *	numeric codes, FPD, SE/SA, DTF		native(), cold
 */
#ifndef IOMMU_ABI_PT_VENDOR_H
#define IOMMU_ABI_PT_VENDOR_H

#include "pt_context.h"

/* iommu_abi_unit.state: registers, the last physical address, and what init() makes of them. */
enum { PT_MAX_REGS = 23, PT_PAS_LAST = PT_MAX_REGS, PT_OWN_STATE };

/**
 * struct pt_walk - a request on its way
 * @near: the region used last; @near.words: offsets at which 8 bytes fit, 0 if there are none
 * @unit, @mem: where
 * @trace: NULL: none
 * @c: whose request it is. During look_up() the context that it fills
 * @fault: where a fault goes: to the answer, or the context's refusal
 * @iova: of the request; 0 during look_up(), which knows nothing of what follows
 * @q, @out: the request and its answer
 * @s1, @s2: the stages that it goes through, copied (cheaper than a pointer in each loop); off until admit()
 *	lets it
 * @half: of pt_context.s1 and f1
 * @refs: references in @trace before this walk
 * @flags: the vendor's, of the request
 * @access, @judge: as what the request sets flags and is judged; pt_begin() sets what it asks for
 * @priv: which of pt_stage.rules
 * @report: rights that the answer may show
 * @s1_lg2, @s2_lg2: page sizes; 0: the walk stopped before the stage's page, PT_NO_SIZE: the stage is off
 * @granted: rights that the entries of stage 2 granted up to the one that stopped it
 * @unset: of the first entry whose flags stay clear: PT_AD_UNSNOOPED
 * @alias: intercept() ignored bits of the GPA
 * @lone: the request was refused for this PASID, and no other PASID would be
 */
struct pt_walk {
	struct {
		u64 first, words;
		const unsigned char *data;
	} near;
	const struct iommu_abi_unit *unit;
	const struct iommu_abi_mem *mem;
	struct iommu_abi_trace *trace;
	const struct pt_context *c;
	struct iommu_abi_fault *fault;
	u64 iova;
	const struct iommu_abi_request *q;
	struct iommu_abi_translation *out;
	struct pt_stage s1, s2;
	u32 refs, flags;
	u8 half, priv, report, s1_lg2, s2_lg2, granted;
	bool alias, lone;
	u8 access, judge;
	struct iommu_abi_fault unset;
};

/*
 * How X_admit(w), of each vendor X, ends: go on with the stages, answer now from *out, or a fault in *fault.
 * Its checks come in the hardware's order: those of the request alone; then the refusal of w->c, if the
 * device entry was not found legal; then what the device entry says of such requests; then the refusal, if
 * it is one of the PASID table; then what the PASID entry says. Who stops or passes a request at an entry
 * makes the trace end there (pt_refuse_by(), pt_forget()), for look_up() may have read more. Before PT_GO:
 * pt_go(), w->report, and where they are not as the request says w->priv, w->access and w->judge.
 */
enum pt_verdict { PT_GO, PT_DONE, PT_FAULT };

/**
 * struct pt_reg - a register that a unit is described by; in the order of the unit's state[]
 * @value: what is assumed when it is not given
 */
struct pt_reg {
	const char *name;
	u64 value;
	bool required;
};

/**
 * struct pt_vendor - hooks; NULL where a vendor has none
 * @name: as iommu_abi_kind() gives it
 * @rid_last: the highest requester
 * @regs: ends with a NULL name; at most PT_MAX_REGS
 * @init: registers in u->state[] -> numbers behind them, from PT_OWN_STATE on, and PT_PAS_LAST, which is
 *	all ones before. 0, or a negative errno with *err filled
 * @look_up: registers and tables -> *c, of which unit, rid, pasid and has_pasid are given, stages are off,
 *	formats the vendor's, and all flags 0. Goes on for as long as any request could; what stops it is put
 *	into c->refusal by pt_refuse() and the like. Notes every reference. Must not use w->q and w->out
 * @translate: may this request use w->c, and how? Then the stages; 1: a fault in w->out. PT_TRANSLATE(X, ...)
 *	writes it from X_admit() (below)
 * @intercept: may answer for the GPA in place of the final stage 2. PT_DONE: has, and narrowed *out as stage 2 would
 * @output: looks at the final address: PT_GO or PT_FAULT
 * @native: sets native, detail and recorded of a fault
 * @window: last address that translate(), intercept() and output() treat like @addr
 * @covers_lg2: of device or PASID tables (@stage) above level 0: lg2 of the requesters or PASIDs behind an entry
 * @f1, @f2: formats of a context until look_up() chooses others
 */
struct pt_vendor {
	const char *name;
	u32 rid_last;
	const struct pt_reg *regs;
	int (*init)(struct iommu_abi_unit *u, struct iommu_abi_error *err);
	void (*look_up)(struct pt_walk *w, struct pt_context *c);
	int (*translate)(struct pt_walk *w);
	enum pt_verdict (*intercept)(struct pt_walk *w, u64 gpa);
	enum pt_verdict (*output)(struct pt_walk *w);
	void (*native)(struct pt_walk *w);
	u64 (*window)(const struct pt_walk *w, u64 addr);
	unsigned int (*covers_lg2)(const struct pt_walk *w, unsigned int stage, unsigned int level);
	const struct pt_format *f1, *f2;
};

#endif
