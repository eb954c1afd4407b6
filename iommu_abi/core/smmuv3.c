/* SPDX-License-Identifier: MIT */
/*
 * smmuv3.c - Arm System MMU version 3: registers, stream table, CD tables, events.
 *
 * Arm IHI 0070: sections 3.3 (stream and CD tables), 3.4 (address sizes), 3.9 and 13.6, 13.7 (ATS), 5.2
 * (STE), 5.4 (CD), 6.3 (registers) and 7.3 (events, and in 7.3.22 the order of checks). Non-secure,
 * AArch64 tables (smmuv3_pt.h); smmuv3_config.h has STE and CD. What the text leaves open is decided in
 * docs/walk_smmuv3.md.
 */
#include <string.h>

#include "pt_stages.h"
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
	[IDR3] = { "IDR3", IDR3_HAD | IDR3_XNX, false },
	[IDR5] = { "IDR5", 5 | IDR5_GRAN(12) | IDR5_GRAN(14) | IDR5_GRAN(16), false },
	[CR0] = { "CR0", CR0_SMMUEN | CR0_EVENTQEN, false },
	[CR2] = { "CR2", CR2_RECINVSID, false },
	[GBPA] = { "GBPA", 0, false },
	[AIDR] = { "AIDR", V3_1, false },
	/* known, and without influence on a translation */
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

static u64 with(u64 word, u64 bits, bool set)
{
	return set ? word | bits : word & ~bits;
}

/* Sets the features that the version or another feature implies, and clears those that it excludes
 * (6.3.1, 6.3.4, 6.3.6), so that the registers are those of a unit that can exist. */
static void complete(u64 *state)
{
	u64 *idr0 = &state[IDR0], *idr3 = &state[IDR3], *idr5 = &state[IDR5], version = state[AIDR];
	bool s1p = *idr0 & IDR0_S1P, s2p = *idr0 & IDR0_S2P;

	if (version == V3_0) {
		*idr3 &= ~(IDR3_XNX | IDR3_PBHA);
		*idr5 &= ~(IDR5_DS | BITS(11, 10));
		if (IDR5_OAS(*idr5) > 5)
			*idr5 = (*idr5 & ~7ull) | 5;
	} else {
		*idr3 |= IDR3_XNX | IDR3_HAD;
	}
	if (version >= V3_2) {
		*idr0 |= IDR0_HYP;
		*idr3 |= IDR3_FWB;
	}
	*idr3 |= (version >= V3_3 ? IDR3_E0PD : 0) | (version >= V3_4 ? IDR3_EPAN : 0);
	if (*idr3 & IDR3_DPT)
		*idr0 |= IDR0_ATS;
	if (*idr3 & IDR3_DPT || *idr5 & IDR5_D128)
		*idr0 &= ~IDR0_TTF32;
	if (*idr5 & IDR5_D128) {
		*idr0 |= IDR0_TTF64;
		*idr3 |= IDR3_S1PI | IDR3_S2PO | IDR3_AIE;
	}
	if (*idr3 & (IDR3_S2PO | IDR3_THE))
		*idr3 |= IDR3_S2PI;
	*idr0 = with(*idr0, IDR0_HYP, *idr0 & IDR0_HYP && s1p && s2p);
	*idr3 &= ~((s1p ? 0 : IDR3_HAD | IDR3_S1PI | IDR3_THE | IDR3_AIE) |
		   (s2p ? 0 : IDR3_XNX | IDR3_S2PI | IDR3_S2PO));
	if (!(*idr0 & IDR0_ATS) || !IDR1_SSIDSIZE(state[IDR1]))
		*idr3 &= ~IDR3_PASIDTT;
	*idr5 = with(*idr5, IDR5_GRAN(12), *idr5 & IDR5_GRAN(12) || *idr0 & IDR0_TTF32);
	if (!(*idr5 & (IDR5_GRAN(12) | IDR5_GRAN(14))))
		*idr5 &= ~IDR5_DS;
	if (*idr5 & IDR5_DS && !IDR5_VAX(*idr5))
		*idr5 |= BIT(10);
}

static int smmuv3_init(struct iommu_abi_unit *u, struct iommu_abi_error *err)
{
	u64 oas;

	(void)err;
	u->state[AIDR] &= 0xff;
	complete(u->state);
	oas = address_bits[IDR5_OAS(u->state[IDR5])];
	u->state[OAS] = oas;
	u->state[IAS] = u->state[IDR0] & IDR0_TTF64 ? oas : 0;
	if (u->state[IDR0] & IDR0_TTF32 && u->state[IAS] < 40)
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

/* The event of a fault to which look_up() and admit() gave none: an entry that cannot be read (7.3.3 to
 * 7.3.12), or a fault of a stage (7.3.13 to 7.3.16). */
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

/* 7.3.12 to 7.3.16: at stage 2, what it was walked for. */
static unsigned int class_of(const struct iommu_abi_fault *f)
{
	if (f->stage == IOMMU_ABI_S1)
		return f->native == F_WALK_EABT ? CLASS_TT : CLASS_IN;
	return f->purpose == IOMMU_ABI_FOR_DATA          ? CLASS_IN
	       : f->purpose == IOMMU_ABI_FOR_PASID_ENTRY ? CLASS_CD
							 : CLASS_TT;
}

/* Is it the F_ADDR_SIZE of an input beyond OAS or IAS (3.4)? No CD says whether that is recorded. */
static bool is_bypass(const struct iommu_abi_fault *f)
{
	return f->native == F_ADDR_SIZE && f->reason == IOMMU_ABI_INPUT_RANGE;
}

/* Does REC_CFG_ATS decide on the record of this ATS request's event? It does on configuration errors and
 * F_WALK_EABT (3.9.1.2), but of a translated request only on the F_WALK_EABT of a CD's walk (3.9.1.3). */
static bool is_configuration(const struct pt_walk *w, const struct iommu_abi_fault *f)
{
	if (f->native == F_WALK_EABT && w->q->at == IOMMU_ABI_TRANSLATED)
		return f->purpose == IOMMU_ABI_FOR_PASID_ENTRY;
	return f->native < F_TRANSLATION;
}

/* Is the event recorded (5.5, 7.2.1; of ATS requests 3.9.1.2 and 3.9.1.3)? */
static bool recorded(const struct pt_walk *w, const struct iommu_abi_fault *f)
{
	const u64 *state = w->unit->state;
	bool s2 = f->stage == IOMMU_ABI_S2,
	     always = f->native == F_BAD_ATS_TREQ || f->native == F_TRANSL_FORBIDDEN;

	if (f->native >= F_TRANSLATION && w->q->at == IOMMU_ABI_TRANSLATION)
		return false;
	if (f->native >= F_TRANSLATION && !is_bypass(f)) {
		if (w->c->flags & (s2 ? STALLS_S2 : STALLS_S1))
			return true; /* waits for the queue */
		return state[CR0] & CR0_EVENTQEN && w->c->flags & (s2 ? RECORDS_S2 : RECORDS_S1);
	}
	if (!(state[CR0] & CR0_EVENTQEN))
		return false;
	if (w->q->at != IOMMU_ABI_UNTRANSLATED && !always && is_configuration(w, f) &&
	    !(state[CR2] & CR2_REC_CFG_ATS))
		return false;
	if (f->native == C_BAD_STREAMID && w->q->at != IOMMU_ABI_TRANSLATED)
		return state[CR2] & CR2_RECINVSID;
	return true;
}

static void smmuv3_native(struct pt_walk *w)
{
	struct iommu_abi_fault *f = &w->out->fault;

	f->recorded = 0;
	if (f->reason == IOMMU_ABI_ABORTED)
		return;
	if (f->reason == IOMMU_ABI_INVALID && !f->native)
		return; /* not modelled: the detail says what */
	if (!f->native)
		f->native = event_of(f);
	if (f->native >= F_WALK_EABT)
		f->detail = (f->stage == IOMMU_ABI_S2) | class_of(f) << 1;
	f->recorded = recorded(w, f);
}

/* ---- stream table ---- */

/* An L1STD or STE beyond OAS is not fetched: the address is not cut (3.4.3 allows both). */
static bool within_oas(struct pt_walk *w, struct pt_place *at)
{
	if (!(at->hpa >> w->unit->state[OAS]))
		return true;
	return !pt_refuse(w, IOMMU_ABI_UNREADABLE, F_STE_FETCH, at, NULL);
}

/* Reads the L1STD (5.1) and finds the STE behind it (3.3.1); false: a fault is in *w->fault. */
static bool second_table(struct pt_walk *w, u32 sid, struct pt_place *at, u64 base, unsigned int log2size,
			 unsigned int split)
{
	unsigned int lg2 = log2size + 3 > split + 6 ? log2size + 3 - split : 6, span;
	u64 index = sid & (BIT(split) - 1), desc = 0;

	base = lg2 < 64 ? base & ~0ull << lg2 : 0;
	at->level = 1;
	at->gpa = at->hpa = base + 8 * (u64)(sid >> split);
	if (!within_oas(w, at) || !pt_read_hpa(w, IOMMU_ABI_DEVICE, 1, at->hpa, 1, &desc))
		return false;
	span = FIELD(desc, 4, 0);
	if (!span || span > 11)
		return !pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_STREAMID, at, &desc);
	if (span > split + 1)
		return !pt_refuse(w, IOMMU_ABI_RESERVED, C_BAD_STREAMID, at, &desc);
	if (index >> (span - 1))
		return !pt_refuse(w, IOMMU_ABI_RID_RANGE, C_BAD_STREAMID, at, &desc);
	at->level = 0;
	at->gpa = at->hpa = (desc & BITS(55, 6) & ~0ull << (5 + span)) + 64 * index;
	return within_oas(w, at);
}

static unsigned int split_of(u64 cfg)
{
	unsigned int split = FIELD(cfg, 10, 6);

	return split == 8 || split == 10 ? split : 6;
}

/* Finds the STE of @sid (3.3.1, 6.3.24, 6.3.25); false: a fault is in *w->fault. */
static bool find_ste(struct pt_walk *w, u32 sid, struct pt_place *at)
{
	const u64 *state = w->unit->state;
	u64 cfg = state[STRTAB_BASE_CFG], base = state[STRTAB_BASE] & BITS(55, 6);
	unsigned int log2size = FIELD(cfg, 5, 0), sidsize = IDR1_SIDSIZE(state[IDR1]);

	if ((u64)sid >> (log2size < sidsize ? log2size : sidsize)) /* 3.3.1 */
		return !pt_refuse(w, IOMMU_ABI_RID_RANGE, C_BAD_STREAMID, at, NULL);
	if (FIELD(cfg, 17, 16) == 1 && IDR0_ST_LEVEL(state[IDR0]))
		return second_table(w, sid, at, base, log2size, split_of(cfg));
	base = log2size + 6 < 64 ? base & ~0ull << (log2size + 6) : 0;
	at->gpa = at->hpa = base + 64 * (u64)sid;
	return within_oas(w, at);
}

/* ---- CD table ---- */

/* An L1CD or CD at @addr, which is an IPA if there is a stage 2; false: a fault is in *w->fault. */
static bool read_cd(struct pt_walk *w, struct pt_place *at, u64 addr, unsigned int n, u64 *q)
{
	if (w->c->f2 == &s2_4k)
		return pt_read_gpa(w, &s2_4k, at, addr, n, q);
	return pt_read_gpa(w, w->c->f2, at, addr, n, q);
}

/* An address in the aligned table of 2^@lg2 bytes. If low bits of @table are not 0, as they should be,
 * they lead to another entry of the same table; 5.2, S1Fmt, allows any. */
static u64 inside(u64 table, unsigned int lg2, u64 offset)
{
	u64 mask = ~(~0ull << lg2);

	return (table & ~mask) | ((table + offset) & mask);
}

/* Reads the CD of @ssid, valid or not, through its L1CD (5.3) if there are two levels; false: a fault is in
 * *w->fault. */
static bool find_cd(struct pt_walk *w, const u64 *ste, u32 ssid, struct pt_place *at, u64 *cd)
{
	bool many = IDR1_SSIDSIZE(w->unit->state[IDR1]) && STE_S1CDMAX(ste);
	unsigned int fmt = many ? STE_S1FMT(ste) : 0, split = fmt == 1 ? 6 : 10,
		     cdmax = many ? (unsigned int)STE_S1CDMAX(ste) : 0;
	u64 table = STE_S1_CONTEXT(ste), desc = 0;

	if (fmt == 1 || fmt == 2) {
		at->level = 1;
		table = inside(table, cdmax > split + 3 ? cdmax - split + 3 : 6, 8 * (u64)(ssid >> split));
		if (!read_cd(w, at, table, 1, &desc))
			return false;
		if (!(desc & BIT(0)))
			return !pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_SUBSTREAMID, at, &desc);
		table = desc & BITS(55, 12);
		if (fmt == 2)
			table &= ~BITS(15, 12);
		if (w->c->s2.top == PT_OFF && table >> w->unit->state[OAS]) /* 3.4.3 */
			return !pt_refuse(w, IOMMU_ABI_OUTPUT_RANGE, C_BAD_SUBSTREAMID, at, &desc);
		at->level = 0;
		return read_cd(w, at, table + 64 * (u64)(ssid & ((1u << split) - 1)), 8, cd);
	}
	return read_cd(w, at, inside(table, 6 + cdmax, 64 * (u64)ssid), 8, cd);
}

/* ---- stage 1 ---- */

/* Are rights in table descriptors ignored? By HADx of this half (5.4 HAD), by AIE of both (Arm ARM D8.6,
 * R_MJGNV). */
static bool is_flat(const u64 *state, u64 word, u64 word2)
{
	return (word & CD_HAD && state[IDR3] & IDR3_HAD) || (word2 & CD_AIE && state[IDR3] & IDR3_AIE);
}

/* Makes stage 1 of each half that is on, from its TTB. */
static void s1_stages(struct pt_context *c, const u64 *ste, const u64 *cd, const struct half halves[2],
		      bool el2)
{
	const u64 *state = c->unit->state;
	unsigned int out_bits = output_bits(state, CD_IPS(cd));
	pt_rules *rules = &s1_rules[instcfg_of(state, ste)][regime_of(state, cd, el2)][!!(cd[0] & CD_WXN)];
	u32 flags = flag_handling(cd[0] & CD_AFFD, cd[0] & CD_HA, cd[0] & CD_HD,
				  cd[1] & CD_HAFT && has_haft(state));

	for (unsigned int upper = 0; upper < 2; upper++) {
		const struct half *h = &halves[upper];
		struct pt_stage *s = &c->s1[upper];
		u64 word = cd[1 + upper];

		s->top = PT_OFF;
		if (!h->granule_lg2)
			continue;
		*s = make_stage(state, h->ttb, h->granule_lg2, h->bits, h->top, out_bits);
		s->rules = rules;
		s->flags |= flags | (is_flat(state, word, cd[2]) ? FLAT : 0);
		c->f1[upper] = s1_format(h->granule_lg2, h->ds, cd[0] & CD_ENDI);
		c->flags |= h->drops_top_byte ? NO_TOP_BYTE << upper : 0;
		c->flags |= word & CD_E0PD && state[IDR3] & IDR3_E0PD && !el2 ? E0PD << upper : 0;
	}
}

/* ---- who ---- */

/* Refuses a legal feature that this request would use and that is not modelled. @what: the bit of
 * fault.detail that names it, or 0 for none. */
static bool is_modelled(struct pt_walk *w, unsigned int what, const struct pt_place *at, const u64 *entry)
{
	if (!what)
		return true;
	pt_refuse(w, IOMMU_ABI_INVALID, 0, at, entry);
	w->fault->detail = what;
	return false;
}

/* Reads the CD of @ssid, and makes its stage 1 if V=1 and it is no CdIllegal (5.4.2). @at: of the STE. */
static void s1_on(struct pt_walk *w, struct pt_context *c, const u64 *ste, const struct pt_place *at,
		  u32 ssid)
{
	const u64 *state = c->unit->state;
	bool hyp = STE_STRW(ste) == STRW_EL2 && !(STE_CONFIG(ste) & CONFIG_S2) && state[IDR0] & IDR0_HYP;
	bool e2h = hyp && state[CR2] & CR2_E2H, el2 = hyp && !e2h;
	struct pt_place cd_at = { .stage = IOMMU_ABI_PASID };
	struct half halves[2];
	u64 cd[8];

	if (!is_modelled(w, (unsigned int)c->own[0], at, ste) || !find_cd(w, ste, ssid, &cd_at, cd))
		return;
	if (!(cd[0] & CD_V)) {
		pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_CD, &cd_at, cd);
		return;
	}
	if (!cd_legal(state, ste, cd, el2, e2h, halves)) {
		pt_refuse(w, IOMMU_ABI_INVALID, C_BAD_CD, &cd_at, cd);
		return;
	}
	pt_decides(w, c, IOMMU_ABI_PASID, cd_at.gpa, cd_at.hpa, cd[0]);
	c->process = CD_ASID(cd);
	c->flags |= FETCHED | (cd[0] & CD_R ? RECORDS_S1 : 0) | (cd[0] & CD_S ? STALLS_S1 : 0);
	if (is_modelled(w, s1_unmodelled(state, ste, cd), &cd_at, cd))
		s1_stages(c, ste, cd, halves, el2);
}

/* Do S1CDMax and S1DSS allow this SubstreamID, or that there is none (3.9, 5.2 S1DSS)? false: a fault is
 * in *w->fault. */
static bool substream_fits(struct pt_walk *w, const struct pt_context *c, const u64 *ste,
			   const struct pt_place *at, u64 cdmax)
{
	unsigned int dss = STE_S1DSS(ste);

	if (c->has_pasid && !cdmax)
		return !pt_refuse(w, IOMMU_ABI_BLOCKED, C_BAD_SUBSTREAMID, at, ste);
	if (c->pasid >> cdmax)
		return !pt_refuse(w, IOMMU_ABI_PASID_RANGE, C_BAD_SUBSTREAMID, at, ste);
	if (cdmax && (c->has_pasid ? dss == 2 && !c->pasid : dss == 0 || dss == 3))
		return !pt_refuse(w, IOMMU_ABI_BLOCKED, F_STREAM_DISABLED, at, ste);
	return true;
}

/* S1CDMax, S1DSS and the SubstreamID decide whether stage 1 translates, and by which CD (3.3.2). */
static void substream(struct pt_walk *w, struct pt_context *c, const u64 *ste, const struct pt_place *at)
{
	bool s1 = STE_CONFIG(ste) & CONFIG_S1;
	u64 cdmax = s1 && IDR1_SSIDSIZE(c->unit->state[IDR1]) ? STE_S1CDMAX(ste) : 0;

	if (!substream_fits(w, c, ste, at, cdmax))
		return;
	c->flags |= FITS;
	if (!s1 || (cdmax && !c->has_pasid && STE_S1DSS(ste) == 1))
		c->flags |= BYPASSES_S1;
	else
		s1_on(w, c, ste, at, c->pasid);
}

/* EATS as it counts (5.2 EATS): 00 without ATS and in Config 100; 10 counts with ATSCHK, 11 with ATSCHK
 * and DPT. */
static unsigned int effective_eats(const u64 *state, const u64 *ste)
{
	unsigned int eats = (unsigned int)STE_EATS(ste);

	if (STE_CONFIG(ste) == CONFIG_PASSES || !(state[IDR0] & IDR0_ATS))
		return EATS_NONE;
	if (eats == EATS_DPT && !(state[IDR3] & IDR3_DPT))
		return EATS_NONE;
	return eats & EATS_SPLIT && !(state[CR0] & CR0_ATSCHK) ? EATS_NONE : eats;
}

/* Takes what concerns all requests from a legal STE. c->own[0]: what its stage 2 needs and is not
 * modelled. */
static void stream(struct pt_context *c, const u64 *ste)
{
	const u64 *state = c->unit->state;

	c->flags |= ENTRY | effective_eats(state, ste) << EATS_SHIFT;
	if (state[IDR1] & IDR1_ATTR_PERMS_OVR && STE_PRIVCFG(ste) & 2)
		c->flags |= STE_PRIVCFG(ste) == 3 ? AS_PRIVILEGED : AS_USER;
	if (c->s2.top != PT_OFF)
		c->flags |= (STE_S2R(ste) ? RECORDS_S2 : 0) | (STE_S2S(ste) ? STALLS_S2 : 0);
	c->own[0] = s2_unmodelled(state, ste);
	c->domain = STE_S2VMID(ste);
}

static void smmuv3_look_up(struct pt_walk *w, struct pt_context *c)
{
	const u64 *state = c->unit->state;
	struct pt_place at = { .stage = IOMMU_ABI_DEVICE };
	u64 ste[8];

	if (!(state[CR0] & CR0_SMMUEN))
		return;
	if (!find_ste(w, c->rid, &at) || !pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, at.hpa, 8, ste))
		return;
	if (!(ste[0] & STE_V)) { /* 5.2.2: V, then Config, then the rest */
		pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_STE, &at, ste);
	} else if (!(STE_CONFIG(ste) & CONFIG_PASSES)) {
		pt_refuse(w, IOMMU_ABI_ABORTED, 0, &at, ste);
	} else if (!ste_legal(c, ste)) {
		pt_refuse(w, IOMMU_ABI_INVALID, C_BAD_STE, &at, ste);
	} else {
		pt_decides(w, c, IOMMU_ABI_DEVICE, at.gpa, at.hpa, ste[0]);
		stream(c, ste);
		substream(w, c, ste, &at);
	}
}

/* ---- the request: may it? ---- */

static enum pt_verdict pass(struct pt_walk *w, unsigned int access)
{
	w->out->gpa = w->iova;
	w->out->hpa = w->iova & (BIT(w->unit->state[OAS]) - 1);
	w->out->size_lg2 = 12;
	w->out->access = (__u8)access;
	return PT_DONE;
}

/* Refuses a request because of registers: no table is read, and the trace is empty. */
static enum pt_verdict refuse_at_once(struct pt_walk *w, unsigned int reason, u32 native)
{
	struct pt_place none = { .stage = IOMMU_ABI_DEVICE };

	pt_forget(w, 0);
	return pt_refuse(w, reason, native, &none, NULL);
}

/* SMMUEN=0: ATS requests are refused (3.9.1.2, 3.9.1.3), then GBPA.ABORT (6.3.14) and OAS (3.4) refuse
 * others. */
static enum pt_verdict switched_off(struct pt_walk *w)
{
	if (w->q->at == IOMMU_ABI_TRANSLATION)
		return refuse_at_once(w, IOMMU_ABI_BLOCKED, F_BAD_ATS_TREQ);
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return refuse_at_once(w, IOMMU_ABI_BLOCKED, F_TRANSL_FORBIDDEN);
	if (w->unit->state[GBPA] & GBPA_ABORT || w->iova >> w->unit->state[OAS])
		return refuse_at_once(w, IOMMU_ABI_ABORTED, 0);
	return pass(w, PT_R | PT_W | PT_X);
}

/* Does the request's PASID count? Without PASIDTT that of a translated request does not (3.9.1.3). */
static bool has_pasid(const struct pt_walk *w)
{
	if (w->q->at == IOMMU_ABI_TRANSLATED && !(w->unit->state[IDR3] & IDR3_PASIDTT))
		return false;
	return w->c->has_pasid;
}

/* ATSCHK=0: a translated request passes unchecked, on a unit that has ATS (3.9.1.3). */
static enum pt_verdict unchecked(struct pt_walk *w)
{
	if (!(w->unit->state[IDR0] & IDR0_ATS))
		return refuse_at_once(w, IOMMU_ABI_BLOCKED, F_TRANSL_FORBIDDEN);
	pt_forget(w, 0);
	return pass(w, has_pasid(w) ? PT_R | PT_W | PT_X : PT_R | PT_W);
}

/* PRIVCFG of the STE overrides what the request says (3.3.4, 5.2 PRIVCFG). */
static bool is_privileged(const struct pt_context *c, bool asked)
{
	if (PT_UNLIKELY(c->flags & (AS_USER | AS_PRIVILEGED)))
		return c->flags & AS_PRIVILEGED;
	return asked;
}

/* Refuses a feature that the STE asks for and that is not modelled, with the STE as entry although a CD
 * may have been read. @what: the bit of fault.detail that names it. */
static enum pt_verdict refuse_by_name(struct pt_walk *w, unsigned int what)
{
	const struct pt_decided *ste = &w->c->entry[IOMMU_ABI_DEVICE];
	struct pt_place at = { .stage = IOMMU_ABI_DEVICE, .gpa = ste->gpa, .hpa = ste->hpa };

	is_modelled(w, what, &at, &ste->raw);
	return PT_FAULT;
}

/* Stage 1 is off. Config 100 limits the input to OAS, any other to IAS (3.4); then stage 2, or the
 * request passes. */
static enum pt_verdict bypass(struct pt_walk *w)
{
	struct pt_place none = { .stage = IOMMU_ABI_S1 };
	const struct pt_context *c = w->c;
	const u64 *state = w->unit->state, *ste = &c->entry[IOMMU_ABI_DEVICE].raw;

	if (w->iova >> state[STE_CONFIG(ste) == CONFIG_PASSES ? OAS : IAS])
		return pt_refuse(w, IOMMU_ABI_INPUT_RANGE, F_ADDR_SIZE, &none, NULL);
	if (c->own[0])
		return refuse_by_name(w, (unsigned int)c->own[0]);
	w->s2 = c->s2;
	if (c->s2.top != PT_OFF)
		return PT_GO;
	if (w->q->at == IOMMU_ABI_UNTRANSLATED)
		return pass(w, PT_R | PT_W | PT_X);
	pass(w, PT_R | PT_W);
	w->out->hpa = w->iova; /* a completion is 1:1 (13.6.4) */
	return PT_DONE;
}

/* ATSCHK=1: the checks of a translated request in the order of 3.9.1.3. A CD must be legal; its tables
 * are not walked. */
static enum pt_verdict translated(struct pt_walk *w, unsigned int eats, bool given)
{
	const struct pt_context *c = w->c;

	if (w->unit->state[IDR3] & IDR3_PASIDTT && !(c->flags & FITS))
		return pt_refused(w);
	if (given && !(c->flags & FETCHED))
		return pt_refused(w);
	if (!given)
		pt_forget(w, c->refs[IOMMU_ABI_DEVICE]);
	w->s2 = c->s2; /* set also where the request does not go through it */
	if (eats == EATS_SPLIT)
		return bypass(w);
	if (eats == EATS_DPT)
		return refuse_by_name(w, NO_DPT);
	return pass(w, w->report);
}

/* An ATS request without a PASID counts as data and as unprivileged (13.7). */
static bool read_as_data(struct pt_walk *w, bool given)
{
	if (PT_LIKELY(w->q->at == IOMMU_ABI_UNTRANSLATED) || given)
		return false;
	w->access = w->access == PT_X ? PT_R : w->access;
	w->judge = w->access >> 1;
	return true;
}

/* Chooses the half by bit 55, of which the unused bits of the input must be copies (3.4.1; Arm ARM D8.2.4). A
 * half that is off (5.4 EPD0) and one that E0PD closes to the unprivileged (5.4 E0PD) are F_TRANSLATION. */
static enum pt_verdict halves(struct pt_walk *w)
{
	const struct pt_context *c = w->c;
	unsigned int upper = w->iova >> 55 & 1;
	const struct pt_stage *s = &c->s1[upper];
	struct pt_place none = { .stage = IOMMU_ABI_S1 };
	u64 counts = c->flags & NO_TOP_BYTE << upper ? BITS(55, 0) : ~0ull;

	if (PT_UNLIKELY(s->top == PT_OFF))
		return pt_refuse(w, IOMMU_ABI_INPUT_RANGE, F_TRANSLATION, &none, NULL);
	if (PT_UNLIKELY(((upper ? ~w->iova : w->iova) & ~s->in_mask) & counts)) {
		none.level = s->top;
		return pt_refuse(w, IOMMU_ABI_INPUT_RANGE, F_TRANSLATION, &none, NULL);
	}
	if (PT_UNLIKELY(c->flags & E0PD << upper) && !w->priv)
		return pt_refuse(w, IOMMU_ABI_PRIVILEGE, F_TRANSLATION, &none, NULL);
	return pt_go(w, upper);
}

PT_INLINE enum pt_verdict smmuv3_admit(struct pt_walk *w)
{
	const struct pt_context *c = w->c;
	const u64 *state = w->unit->state;
	unsigned int eats = c->flags >> EATS_SHIFT & 3;
	bool given, data;

	if (PT_UNLIKELY(!(state[CR0] & CR0_SMMUEN)))
		return switched_off(w);
	if (PT_UNLIKELY(w->q->at == IOMMU_ABI_TRANSLATED) && !(state[CR0] & CR0_ATSCHK))
		return unchecked(w);
	if (PT_UNLIKELY(!(c->flags & ENTRY)))
		return pt_refused(w);
	if (PT_UNLIKELY(w->q->at != IOMMU_ABI_UNTRANSLATED) && eats == EATS_NONE) /* 3.9.1.2, 3.9.1.3 */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED,
				    w->q->at == IOMMU_ABI_TRANSLATION ? F_BAD_ATS_TREQ : F_TRANSL_FORBIDDEN,
				    IOMMU_ABI_DEVICE);
	given = has_pasid(w);
	data = read_as_data(w, given);
	w->priv = is_privileged(c, !data && w->q->flags & IOMMU_ABI_PRIV);
	w->report = data ? PT_R | PT_W : PT_R | PT_W | PT_X;
	if (PT_UNLIKELY(w->q->at == IOMMU_ABI_TRANSLATED))
		return translated(w, eats, given);
	if (PT_UNLIKELY(c->refusal.reason))
		return pt_refused(w);
	return c->flags & BYPASSES_S1 ? bypass(w) : halves(w);
}

/* An L1CD covers 64 or 1024 CDs. Steps of 64 are right for both, and only slower for the larger. */
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
	.look_up = smmuv3_look_up,
	.native = smmuv3_native,
	.covers_lg2 = smmuv3_covers_lg2,
	.translate = smmuv3_translate,
	.f1 = &s1_4k,
	.f2 = &s2_4k,
};

/* ---- translation requests ---- */

/* A completion grants execution only with reading (13.7.1). */
static unsigned int granted(unsigned int rights)
{
	return rights & PT_R ? rights : rights & ~PT_X;
}

PT_INLINE int any_stages(struct pt_walk *w)
{
	const struct pt_format *f1 = w->c->f1[w->half], *f2 = w->c->f2;

	return w->trace ? pt_stages(&pt_vendor_smmuv3, f1, f2, w, true)
			: pt_stages(&pt_vendor_smmuv3, f1, f2, w, false);
}

/* Walks the stages anew, judged by @judge, setting the flags of @access. @refs: references before the
 * stages. */
static int ats_stages(struct pt_walk *w, u32 refs, unsigned int judge, unsigned int access)
{
	memset(w->out, 0, sizeof(*w->out));
	if (w->trace)
		w->trace->n = refs;
	w->judge = (u8)judge;
	w->access = (u8)access;
	return any_stages(w);
}

/* Did the walk reach a page that does not grant the right? */
static bool lacks_right(const struct iommu_abi_fault *f)
{
	return (f->reason == IOMMU_ABI_DENIED || f->reason == IOMMU_ABI_PRIVILEGE) &&
	       (f->stage == IOMMU_ABI_S1 || f->purpose == IOMMU_ABI_FOR_DATA);
}

/*
 * A translation request succeeds with any right that is left (13.7.1), so the stages are walked until one is
 * found: as a write if it wants one, which makes dirty only what both stages let it write; as a read; as a
 * write of a page that cannot be read. A stage 1 that grants nothing refuses all three, so that nothing
 * reaches stage 2 (3.9.1.2).
 */
static int ats_walk(struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;
	u32 refs = w->trace ? w->trace->n : 0;
	bool by_s2;

	if (w->access == PT_W && !ats_stages(w, refs, PT_JUDGE_W, PT_R))
		return ats_stages(w, refs, PT_JUDGE_W, PT_W);
	if (f->reason != IOMMU_ABI_OK && !lacks_right(f))
		return 1;
	if (!ats_stages(w, refs, PT_JUDGE_R, PT_R) || !lacks_right(f))
		return f->reason != IOMMU_ABI_OK;
	by_s2 = f->stage == IOMMU_ABI_S2;
	if (!ats_stages(w, refs, PT_JUDGE_W, PT_R) || !lacks_right(f))
		return f->reason != IOMMU_ABI_OK;
	if (by_s2 || f->stage == IOMMU_ABI_S1)
		return ats_stages(w, refs, PT_JUDGE_R, PT_R);
	return 1;
}

static int ats_translate(struct pt_walk *w)
{
	struct iommu_abi_translation *out = w->out;

	if (ats_walk(w))
		return 1;
	out->access = (__u8)granted(out->access);
	if ((w->c->flags >> EATS_SHIFT & 3) == EATS_SPLIT)
		out->hpa = out->gpa; /* the completion holds the IPA (13.6.3) */
	return 0;
}

/* With granules of 4 KiB in both stages, the common case, the compiler folds the formats into the walk. */
static int smmuv3_translate(struct pt_walk *w)
{
	const struct pt_vendor *v = &pt_vendor_smmuv3;
	enum pt_verdict verdict = smmuv3_admit(w);

	if (verdict != PT_GO)
		return verdict == PT_FAULT;
	if (w->q->at == IOMMU_ABI_TRANSLATION)
		return ats_translate(w);
	if (w->c->f1[w->half] == &s1_4k && w->c->f2 == &s2_4k)
		return w->trace ? pt_stages(v, &s1_4k, &s2_4k, w, true)
				: pt_stages(v, &s1_4k, &s2_4k, w, false);
	return any_stages(w);
}
