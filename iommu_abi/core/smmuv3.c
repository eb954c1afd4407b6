/* SPDX-License-Identifier: MIT */
/*
 * smmuv3.c - Arm System MMU version 3: registers, stream table, CD tables, events.
 *
 * Arm IHI 0070: sections 3.3 (stream and CD tables), 5.2 (STE), 5.4 (CD), 6.3 (registers) and
 * 7.3 (events, and in 7.3.22 the order of checks). Non-secure, little-endian, AArch64 tables
 * (smmuv3_pt.h); smmuv3_config.h has STE and CD. What the text leaves open is decided in docs/walk_smmuv3.md.
 */
#include "smmuv3_config.h"

/* ---- registers ---- */

static const struct pt_reg regs[] = {
	[STRTAB_BASE] = { "STRTAB_BASE", 0, true },
	[STRTAB_BASE_CFG] = { "STRTAB_BASE_CFG", 0, true },
	[IDR0] = { "IDR0",
		   IDR0_S2P | IDR0_S1P | 2ull << 2 | IDR0_ATS | IDR0_ASID16 | IDR0_VMID16 | IDR0_CD2L |
			   2ull << 21 | 1ull << 27,
		   false },
	[IDR1] = { "IDR1", 32 | 20ull << 6, false },
	[IDR3] = { "IDR3", IDR3_HAD, false },
	[IDR5] = { "IDR5", 5 | IDR5_GRAN(12) | IDR5_GRAN(14) | IDR5_GRAN(16), false },
	[CR0] = { "CR0", CR0_SMMUEN | CR0_EVTQEN, false },
	[CR2] = { "CR2", CR2_RECINVSID, false },
	[GBPA] = { "GBPA", 0, false },
	/* known, and without influence on a translation */
	{ "AIDR", 1, false },
	{ "IDR2", 0, false },
	{ "IDR4", 0, false },
	{ "IIDR", 0, false },
	{ "CR0ACK", 0, false },
	{ "CR1", 0, false },
	{ "GERROR", 0, false },
	{ "CMDQ_BASE", 0, false },
	{ "EVENTQ_BASE", 0, false },
	{ NULL, 0, false },
};

static int smmuv3_init(struct iommu_abi_unit *u, struct iommu_abi_error *err)
{
	u64 ttf = IDR0_TTF(u->state[IDR0]), oas = address_bits[IDR5_OAS(u->state[IDR5])];

	(void)err;
	u->state[OAS] = oas;
	u->state[IAS] = ttf & 2 ? oas : 0;
	if (ttf & 1 && u->state[IAS] < 40)
		u->state[IAS] = 40;
	return 0;
}

/* ---- events ---- */

enum {
	C_BAD_STREAMID = 0x02,
	F_STE_FETCH = 0x03,
	C_BAD_STE = 0x04,
	F_BAD_ATS_TREQ = 0x05,
	F_STREAM_DISABLED = 0x06,
	F_TRANSL_FORBIDDEN = 0x07,
	C_BAD_SUBSTREAMID = 0x08,
	F_CD_FETCH = 0x09,
	C_BAD_CD = 0x0a,
	F_WALK_EABT = 0x0b,
	F_TRANSLATION = 0x10,
	F_ADDR_SIZE = 0x11,
	F_ACCESS = 0x12,
	F_PERMISSION = 0x13,
};

enum { CLASS_CD, CLASS_TT, CLASS_IN };

enum { RECORDS_S1 = 1, RECORDS_S2 = 2 }; /* pt_walk.flags: CD.R, STE.S2R */

/* What resolve() has not named yet: entries that cannot be read, and the faults of both stages. */
static u32 event_of(const struct iommu_abi_fault *f)
{
	switch (f->reason) {
	case IOMMU_ABI_UNREADABLE:
		return f->stage == IOMMU_ABI_DEVICE  ? F_STE_FETCH
		       : f->stage == IOMMU_ABI_PASID ? F_CD_FETCH
						     : F_WALK_EABT;
	case IOMMU_ABI_NOT_PRESENT:
	case IOMMU_ABI_INPUT_RANGE:
		return F_TRANSLATION;
	case IOMMU_ABI_OUTPUT_RANGE:
		return F_ADDR_SIZE;
	case IOMMU_ABI_ACCESS_FLAG:
		return F_ACCESS;
	default:
		return F_PERMISSION;
	}
}

static unsigned int class_of(const struct iommu_abi_fault *f)
{
	if (f->stage == IOMMU_ABI_S1)
		return f->native == F_WALK_EABT ? CLASS_TT : CLASS_IN;
	return f->purpose == IOMMU_ABI_FOR_DATA          ? CLASS_IN
	       : f->purpose == IOMMU_ABI_FOR_PASID_ENTRY ? CLASS_CD
							 : CLASS_TT;
}

static bool recorded(const struct pt_walk *w, const struct iommu_abi_fault *f)
{
	if (w->q->at == IOMMU_ABI_TRANSLATION && f->native != F_BAD_ATS_TREQ)
		return false;
	if (f->native == C_BAD_STREAMID)
		return w->unit->state[CR2] & CR2_RECINVSID;
	if (f->native >= F_TRANSLATION)
		return w->flags & (f->stage == IOMMU_ABI_S2 ? RECORDS_S2 : RECORDS_S1);
	return true;
}

static void smmuv3_native(struct pt_walk *w)
{
	struct iommu_abi_fault *f = &w->out->fault;

	if (f->reason == IOMMU_ABI_ABORTED) {
		f->recorded = 0;
		return;
	}
	if (!f->native)
		f->native = event_of(f);
	if (f->native >= F_WALK_EABT)
		f->detail = (f->stage == IOMMU_ABI_S2) | class_of(f) << 1;
	f->recorded = recorded(w, f);
}

/* ---- requests that no stage translates ---- */

static enum pt_verdict pass(struct pt_walk *w, unsigned int access)
{
	w->out->gpa = w->q->iova;
	w->out->hpa = w->q->iova & (BIT(w->unit->state[OAS]) - 1);
	w->out->size_lg2 = 12;
	w->out->access = (__u8)access;
	return PT_DONE;
}

static enum pt_verdict switched_off(struct pt_walk *w)
{
	struct pt_place none = { .stage = IOMMU_ABI_DEVICE };

	if (w->q->at == IOMMU_ABI_TRANSLATION)
		return pt_refuse(w, IOMMU_ABI_BLOCKED, F_BAD_ATS_TREQ, &none, NULL);
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return pt_refuse(w, IOMMU_ABI_BLOCKED, F_TRANSL_FORBIDDEN, &none, NULL);
	if (w->unit->state[GBPA] & GBPA_ABORT)
		return pt_refuse(w, IOMMU_ABI_ABORTED, 0, &none, NULL);
	return pass(w, PT_R | PT_W);
}

/* ---- stream table ---- */

/* Through the level 1 table to the STEs; false: a fault is in w->out. */
static bool second_table(struct pt_walk *w, struct pt_place *at, u64 base, unsigned int log2size,
			 unsigned int split)
{
	unsigned int lg2 = log2size + 3 > split + 6 ? log2size + 3 - split : 6, span;
	u64 index = w->q->rid & (BIT(split) - 1), desc = 0;

	base = lg2 < 64 ? base & ~0ull << lg2 : 0;
	at->level = 1;
	at->gpa = at->hpa = base + 8 * (u64)(w->q->rid >> split);
	if (!pt_read_hpa(w, IOMMU_ABI_DEVICE, 1, at->hpa, 1, &desc))
		return false;
	span = FIELD(desc, 4, 0);
	if (!span || span > 11)
		return !pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_STREAMID, at, &desc);
	if (span > split + 1)
		return !pt_refuse(w, IOMMU_ABI_RESERVED, C_BAD_STREAMID, at, &desc);
	if (index >> (span - 1))
		return !pt_refuse(w, IOMMU_ABI_RID_RANGE, C_BAD_STREAMID, at, &desc);
	at->level = 0;
	at->gpa = at->hpa = (desc & BITS(51, 6) & ~0ull << (5 + span)) + 64 * index;
	return true;
}

static unsigned int split_of(u64 cfg)
{
	unsigned int split = FIELD(cfg, 10, 6);

	return split == 8 || split == 10 ? split : 6;
}

/* Where is the STE? false: a fault is in w->out. */
static bool find_ste(struct pt_walk *w, struct pt_place *at)
{
	const u64 *state = w->unit->state;
	u64 cfg = state[STRTAB_BASE_CFG], base = state[STRTAB_BASE] & BITS(51, 6);
	unsigned int log2size = FIELD(cfg, 5, 0), sidsize = IDR1_SIDSIZE(state[IDR1]);

	if ((u64)w->q->rid >> (log2size < sidsize ? log2size : sidsize))
		return !pt_refuse(w, IOMMU_ABI_RID_RANGE, C_BAD_STREAMID, at, NULL);
	if (FIELD(cfg, 17, 16) == 1 && IDR0_ST_LEVEL(state[IDR0]))
		return second_table(w, at, base, log2size, split_of(cfg));
	base = log2size + 6 < 64 ? base & ~0ull << (log2size + 6) : 0;
	at->gpa = at->hpa = base + 64 * (u64)w->q->rid;
	return true;
}

/* ---- CD table ---- */

/* An L1CD or CD at @addr, which is an IPA if there is a stage 2; false: a fault is in w->out. */
static bool read_cd(struct pt_walk *w, struct pt_place *at, u64 addr, unsigned int n, u64 *q)
{
	if (w->f2 == &s2_4k)
		return pt_read_gpa(w, &s2_4k, at, addr, n, q);
	return pt_read_gpa(w, w->f2, at, addr, n, q);
}

/* Reads the CD of @ssid, valid or not; false: a fault is in w->out. */
static bool find_cd(struct pt_walk *w, const u64 *ste, u32 ssid, struct pt_place *at, u64 *cd)
{
	bool many = IDR1_SSIDSIZE(w->unit->state[IDR1]) && STE_S1CDMAX(ste);
	unsigned int fmt = many ? STE_S1FMT(ste) : 0, split = fmt == 1 ? 6 : 10;
	u64 table = STE_S1_CONTEXT(ste), desc = 0;

	if (fmt == 1 || fmt == 2) {
		at->level = 1;
		if (!read_cd(w, at, table + 8 * (u64)(ssid >> split), 1, &desc))
			return false;
		if (!(desc & BIT(0)))
			return !pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_SUBSTREAMID, at, &desc);
		table = desc & BITS(51, 12);
		if (w->s2.top == PT_OFF && table >> w->unit->state[OAS])
			return !pt_refuse(w, IOMMU_ABI_OUTPUT_RANGE, C_BAD_SUBSTREAMID, at, &desc);
		ssid &= (1u << split) - 1;
		at->level = 0;
	}
	return read_cd(w, at, table + 64 * (u64)ssid, 8, cd);
}

/* ---- stage 1 ---- */

/* The half that serves the input becomes stage 1. */
static enum pt_verdict s1_stage(struct pt_walk *w, const u64 *cd, const struct half halves[2], bool el2,
				bool priv)
{
	const u64 *state = w->unit->state;
	bool upper = w->q->iova >> 55 & 1;
	const struct half *h = &halves[upper];
	struct pt_place none = { .stage = IOMMU_ABI_S1, .level = (u8)h->top };
	u64 word = cd[1 + upper];

	if (!in_half(h, w->q->iova, upper))
		return pt_refuse(w, IOMMU_ABI_INPUT_RANGE, F_TRANSLATION, &none, NULL);
	none.level = 0;
	if (word & CD_E0PD && state[IDR3] & IDR3_E0PD && !priv && !el2)
		return pt_refuse(w, IOMMU_ABI_PRIVILEGE, F_TRANSLATION, &none, NULL);
	w->f1 = s1_format(h->granule_lg2);
	w->s1 = make_stage(state, word, h->granule_lg2, h->bits, h->top, output_bits(state, CD_IPS(cd)));
	w->s1.flags |= flag_handling(cd[0] & CD_AFFD, cd[0] & CD_HA, cd[0] & CD_HD) |
		       (word & CD_HAD && state[IDR3] & IDR3_HAD ? FLAT : 0);
	s1_rules(&w->s1, cd[0], el2, priv);
	return PT_GO;
}

static enum pt_verdict s1_on(struct pt_walk *w, const u64 *ste, u32 ssid, bool priv)
{
	const u64 *state = w->unit->state;
	struct pt_place at = { .stage = IOMMU_ABI_PASID };
	struct half halves[2];
	u64 cd[8];
	bool el2 = STE_STRW(ste) == STRW_EL2 && !(STE_CONFIG(ste) & CONFIG_S2) && state[IDR0] & IDR0_HYP &&
		   !(state[CR2] & CR2_E2H);

	if (!find_cd(w, ste, ssid, &at, cd))
		return PT_FAULT;
	if (!(cd[0] & CD_V))
		return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_CD, &at, cd);
	if (!cd_legal(state, ste, cd, el2, halves))
		return pt_refuse(w, IOMMU_ABI_INVALID, C_BAD_CD, &at, cd);
	w->flags |= cd[0] & CD_R ? RECORDS_S1 : 0;
	return s1_stage(w, cd, halves, el2, priv);
}

static enum pt_verdict s1_off(struct pt_walk *w)
{
	struct pt_place none = { .stage = IOMMU_ABI_S1 };

	if (w->q->iova >> w->unit->state[IAS])
		return pt_refuse(w, IOMMU_ABI_INPUT_RANGE, F_ADDR_SIZE, &none, NULL);
	return w->s2.top == PT_OFF ? pass(w, PT_R | PT_W | PT_X) : PT_GO;
}

/* ---- the request ---- */

/* What INSTCFG and PRIVCFG make of the request; @return privileged? */
static bool override(struct pt_walk *w, const u64 *ste)
{
	bool priv = w->q->flags & IOMMU_ABI_PRIV;

	if (!(w->unit->state[IDR1] & IDR1_ATTR_PERMS_OVR))
		return priv;
	if (STE_INSTCFG(ste) & 2 && w->access != PT_W)
		w->access = STE_INSTCFG(ste) == 3 ? PT_X : PT_R;
	w->judge = w->access >> 1;
	return STE_PRIVCFG(ste) & 2 ? STE_PRIVCFG(ste) == 3 : priv;
}

/* S1CDMax, S1DSS and the SubstreamID choose stage 1, or none. */
static enum pt_verdict substream(struct pt_walk *w, const u64 *ste, const struct pt_place *at, bool priv)
{
	bool on = STE_CONFIG(ste) & CONFIG_S1, given = w->q->flags & IOMMU_ABI_HAS_PASID;
	u64 cdmax = on && IDR1_SSIDSIZE(w->unit->state[IDR1]) ? STE_S1CDMAX(ste) : 0;
	unsigned int dss = STE_S1DSS(ste);
	u32 ssid = given ? w->q->pasid : 0;

	if (given && !cdmax)
		return pt_refuse(w, IOMMU_ABI_BLOCKED, C_BAD_SUBSTREAMID, at, ste);
	if (ssid >> cdmax)
		return pt_refuse(w, IOMMU_ABI_PASID_RANGE, C_BAD_SUBSTREAMID, at, ste);
	if (cdmax && (given ? dss == 2 && !ssid : dss == 0 || dss == 3))
		return pt_refuse(w, IOMMU_ABI_BLOCKED, F_STREAM_DISABLED, at, ste);
	if (!on || (cdmax && !given && dss == 1))
		return s1_off(w);
	return s1_on(w, ste, ssid, priv);
}

static enum pt_verdict smmuv3_resolve(struct pt_walk *w)
{
	const u64 *state = w->unit->state;
	struct pt_place at = { .stage = IOMMU_ABI_DEVICE };
	bool full_ats, priv;
	u64 ste[8];

	if (!(state[CR0] & CR0_SMMUEN))
		return switched_off(w);
	if (w->q->at == IOMMU_ABI_TRANSLATED && !(state[CR0] & CR0_ATSCHK))
		return pass(w, PT_R | PT_W);
	if (!find_ste(w, &at) || !pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, at.hpa, 8, ste))
		return PT_FAULT;
	if (!(ste[0] & STE_V))
		return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_STE, &at, ste);
	if (!(STE_CONFIG(ste) & CONFIG_PASSES))
		return pt_refuse(w, IOMMU_ABI_ABORTED, 0, &at, ste);
	if (!ste_legal(w, ste))
		return pt_refuse(w, IOMMU_ABI_INVALID, C_BAD_STE, &at, ste);
	full_ats = STE_EATS(ste) == EATS_FULL && STE_CONFIG(ste) != CONFIG_PASSES;
	if (w->q->at == IOMMU_ABI_TRANSLATION && !full_ats)
		return pt_refuse(w, IOMMU_ABI_BLOCKED, F_BAD_ATS_TREQ, &at, ste);
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return full_ats ? pass(w, PT_R | PT_W)
				: pt_refuse(w, IOMMU_ABI_BLOCKED, F_TRANSL_FORBIDDEN, &at, ste);
	priv = override(w, ste);
	if (w->s2.top != PT_OFF) {
		w->flags |= STE_S2R(ste) ? RECORDS_S2 : 0;
		s2_rules(w, ste, priv);
	}
	w->report = PT_R | PT_W | PT_X;
	return substream(w, ste, &at, priv);
}

/* A second-level CD table has 64 or 1024 CDs; to count in 64s is right for both. */
static unsigned int smmuv3_covers_lg2(const struct pt_walk *w, unsigned int stage, unsigned int level)
{
	(void)level;
	return stage == IOMMU_ABI_PASID ? 6 : split_of(w->unit->state[STRTAB_BASE_CFG]);
}

static int smmuv3_translate(struct pt_walk *w);

const struct pt_vendor pt_vendor_smmuv3 = {
	.name = "smmuv3",
	.rid_last = 0xffffffff,
	.regs = regs,
	.init = smmuv3_init,
	.resolve = smmuv3_resolve,
	.native = smmuv3_native,
	.covers_lg2 = smmuv3_covers_lg2,
	.translate = smmuv3_translate,
	.f1 = &s1_4k,
	.f2 = &s2_4k,
};

/* 4 KiB in both stages is worth a walk of its own. */
static int smmuv3_translate(struct pt_walk *w)
{
	const struct pt_vendor *v = &pt_vendor_smmuv3;
	enum pt_verdict verdict = smmuv3_resolve(w);

	if (verdict != PT_GO)
		return verdict == PT_FAULT;
	if (w->f1 == &s1_4k && w->f2 == &s2_4k)
		return w->trace ? pt_stages(v, &s1_4k, &s2_4k, w, true)
				: pt_stages(v, &s1_4k, &s2_4k, w, false);
	return w->trace ? pt_stages(v, w->f1, w->f2, w, true) : pt_stages(v, w->f1, w->f2, w, false);
}
