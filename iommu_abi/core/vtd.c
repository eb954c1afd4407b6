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
#include "vtd_context.h"

/* ---- registers ---- */

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
