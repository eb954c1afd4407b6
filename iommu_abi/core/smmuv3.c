/* SPDX-License-Identifier: MIT */
/*
 * smmuv3.c - Arm System MMU version 3: registers, stream table, CD tables, events.
 *
 * Arm IHI 0070: sections 3.3 (stream and CD tables), 3.4 (address sizes), 3.9 and 13.6, 13.7 (ATS), 5.2
 * (STE), 5.4 (CD), 6.3 (registers) and 7.3 (events, and in 7.3.22 the order of checks). Non-secure,
 * AArch64 tables (smmuv3_pt.h); smmuv3_config.h has STE and CD. What the text leaves open is decided in
 * docs/walk_smmuv3.md.
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

/* What must be there, and what cannot, by the other registers (6.3.1, 6.3.4, 6.3.6). */
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

/* The S1 fault of an input beyond OAS or IAS comes before any CD. */
static bool is_bypass(const struct iommu_abi_fault *f)
{
	return f->native == F_ADDR_SIZE && f->reason == IOMMU_ABI_INPUT_RANGE;
}

/* 3.9.1.2; and 3.9.1.3, by which the walk of a translated request's data counts as an ordinary one. */
static bool is_configuration(const struct pt_walk *w, const struct iommu_abi_fault *f)
{
	if (f->native == F_WALK_EABT && w->q->at == IOMMU_ABI_TRANSLATED)
		return f->purpose == IOMMU_ABI_FOR_PASID_ENTRY;
	return f->native < F_TRANSLATION;
}

/* 5.5, 7.2.1; of ATS 3.9.1.2 and 3.9.1.3. */
static bool recorded(const struct pt_walk *w, const struct iommu_abi_fault *f)
{
	const u64 *state = w->unit->state;
	bool s2 = f->stage == IOMMU_ABI_S2,
	     always = f->native == F_BAD_ATS_TREQ || f->native == F_TRANSL_FORBIDDEN;

	if (f->native >= F_TRANSLATION && w->q->at == IOMMU_ABI_TRANSLATION)
		return false;
	if (f->native >= F_TRANSLATION && !is_bypass(f)) {
		if (w->flags & (s2 ? STALLS_S2 : STALLS_S1))
			return true; /* waits for the queue */
		return state[CR0] & CR0_EVENTQEN && w->flags & (s2 ? RECORDS_S2 : RECORDS_S1);
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
	if (w->flags & UNMODELLED) {
		f->native = 0;
		f->detail = w->own[0];
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
	if (w->unit->state[GBPA] & GBPA_ABORT || w->q->iova >> w->unit->state[OAS])
		return pt_refuse(w, IOMMU_ABI_ABORTED, 0, &none, NULL);
	return pass(w, PT_R | PT_W | PT_X);
}

/* ---- stream table ---- */

/* 3.4.3: an L1STD or STE beyond OAS is not fetched; the address is not truncated. */
static bool within_oas(struct pt_walk *w, struct pt_place *at)
{
	if (!(at->hpa >> w->unit->state[OAS]))
		return true;
	return !pt_refuse(w, IOMMU_ABI_UNREADABLE, F_STE_FETCH, at, NULL);
}

/* Through the level 1 table to the STEs; false: a fault is in w->out. */
static bool second_table(struct pt_walk *w, struct pt_place *at, u64 base, unsigned int log2size,
			 unsigned int split)
{
	unsigned int lg2 = log2size + 3 > split + 6 ? log2size + 3 - split : 6, span;
	u64 index = w->q->rid & (BIT(split) - 1), desc = 0;

	base = lg2 < 64 ? base & ~0ull << lg2 : 0;
	at->level = 1;
	at->gpa = at->hpa = base + 8 * (u64)(w->q->rid >> split);
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

/* Where is the STE? false: a fault is in w->out. */
static bool find_ste(struct pt_walk *w, struct pt_place *at)
{
	const u64 *state = w->unit->state;
	u64 cfg = state[STRTAB_BASE_CFG], base = state[STRTAB_BASE] & BITS(55, 6);
	unsigned int log2size = FIELD(cfg, 5, 0), sidsize = IDR1_SIDSIZE(state[IDR1]);

	if ((u64)w->q->rid >> (log2size < sidsize ? log2size : sidsize))
		return !pt_refuse(w, IOMMU_ABI_RID_RANGE, C_BAD_STREAMID, at, NULL);
	if (FIELD(cfg, 17, 16) == 1 && IDR0_ST_LEVEL(state[IDR0]))
		return second_table(w, at, base, log2size, split_of(cfg));
	base = log2size + 6 < 64 ? base & ~0ull << (log2size + 6) : 0;
	at->gpa = at->hpa = base + 64 * (u64)w->q->rid;
	return within_oas(w, at);
}

/* ---- CD table ---- */

/* An L1CD or CD at @addr, which is an IPA if there is a stage 2; false: a fault is in w->out. */
static bool read_cd(struct pt_walk *w, struct pt_place *at, u64 addr, unsigned int n, u64 *q)
{
	if (w->f2 == &s2_4k)
		return pt_read_gpa(w, &s2_4k, at, addr, n, q);
	return pt_read_gpa(w, w->f2, at, addr, n, q);
}

/* In a table of 2^@lg2 bytes: low bits of @table, RES0, only choose another entry (5.2, S1Fmt, allows any). */
static u64 inside(u64 table, unsigned int lg2, u64 offset)
{
	u64 mask = ~(~0ull << lg2);

	return (table & ~mask) | ((table + offset) & mask);
}

/* Reads the CD of @ssid, valid or not; false: a fault is in w->out. */
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
		if (w->s2.top == PT_OFF && table >> w->unit->state[OAS])
			return !pt_refuse(w, IOMMU_ABI_OUTPUT_RANGE, C_BAD_SUBSTREAMID, at, &desc);
		at->level = 0;
		return read_cd(w, at, table + 64 * (u64)(ssid & ((1u << split) - 1)), 8, cd);
	}
	return read_cd(w, at, inside(table, 6 + cdmax, 64 * (u64)ssid), 8, cd);
}

/* ---- stage 1 ---- */

/* Without hierarchical permissions: HADx, and AIE of both halves (Arm ARM D8.6, R_MJGNV). */
static bool is_flat(const u64 *state, u64 word, u64 word2)
{
	return (word & CD_HAD && state[IDR3] & IDR3_HAD) || (word2 & CD_AIE && state[IDR3] & IDR3_AIE);
}

/* The half that serves the input becomes stage 1. */
static enum pt_verdict s1_stage(struct pt_walk *w, const u64 *cd, const struct half halves[2], bool el2,
				bool priv, unsigned int instcfg)
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
	w->f1 = s1_format(h->granule_lg2, h->ds, cd[0] & CD_ENDI);
	w->s1 = make_stage(state, h->ttb, h->granule_lg2, h->bits, h->top, output_bits(state, CD_IPS(cd)));
	w->s1.flags |= flag_handling(cd[0] & CD_AFFD, cd[0] & CD_HA, cd[0] & CD_HD,
				     cd[1] & CD_HAFT && has_haft(state)) |
		       (is_flat(state, word, cd[2]) ? FLAT : 0);
	s1_rules(&w->s1, cd, el2, priv, state[IDR3] & IDR3_EPAN);
	override_rules(&w->s1, instcfg);
	return PT_GO;
}

/* Refuses by name what would be used and is not modelled; @what: a bit of fault.detail, or 0. */
static bool is_modelled(struct pt_walk *w, unsigned int what, const struct pt_place *at, const u64 *entry)
{
	if (!what)
		return true;
	w->flags |= UNMODELLED;
	w->own[0] = what;
	return !pt_refuse(w, IOMMU_ABI_INVALID, 0, at, entry);
}

/* A legal CD and what became of it. */
struct context {
	struct pt_place at;
	u64 cd[8];
	struct half halves[2];
	bool el2;
};

/* The CD of @ssid; false: a fault is in w->out. @at: of the STE. */
static bool fetch_cd(struct pt_walk *w, const u64 *ste, const struct pt_place *at, u32 ssid,
		     struct context *c)
{
	const u64 *state = w->unit->state;
	bool hyp = STE_STRW(ste) == STRW_EL2 && !(STE_CONFIG(ste) & CONFIG_S2) && state[IDR0] & IDR0_HYP;
	bool e2h = hyp && state[CR2] & CR2_E2H;

	c->at = (struct pt_place){ .stage = IOMMU_ABI_PASID };
	c->el2 = hyp && !e2h;
	if (!is_modelled(w, s2_unmodelled(state, ste), at, ste) || !find_cd(w, ste, ssid, &c->at, c->cd))
		return false;
	if (!(c->cd[0] & CD_V))
		return !pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_CD, &c->at, c->cd);
	if (!cd_legal(state, ste, c->cd, c->el2, e2h, c->halves))
		return !pt_refuse(w, IOMMU_ABI_INVALID, C_BAD_CD, &c->at, c->cd);
	return true;
}

static enum pt_verdict s1_on(struct pt_walk *w, const u64 *ste, const struct pt_place *at, u32 ssid,
			     bool priv)
{
	const u64 *state = w->unit->state;
	struct context c;

	if (!fetch_cd(w, ste, at, ssid, &c) || !is_modelled(w, s1_unmodelled(state, ste, c.cd), &c.at, c.cd))
		return PT_FAULT;
	w->flags |= (c.cd[0] & CD_R ? RECORDS_S1 : 0) | (c.cd[0] & CD_S ? STALLS_S1 : 0);
	return s1_stage(w, c.cd, c.halves, c.el2, priv, instcfg_of(state, ste));
}

/* Config 100 is measured by OAS, else an IPA by IAS (3.4). @at: of the STE. */
static enum pt_verdict s1_off(struct pt_walk *w, const u64 *ste, const struct pt_place *at)
{
	struct pt_place none = { .stage = IOMMU_ABI_S1 };
	const u64 *state = w->unit->state;

	if (w->q->iova >> state[STE_CONFIG(ste) == CONFIG_PASSES ? OAS : IAS])
		return pt_refuse(w, IOMMU_ABI_INPUT_RANGE, F_ADDR_SIZE, &none, NULL);
	if (!is_modelled(w, s2_unmodelled(state, ste), at, ste))
		return PT_FAULT;
	if (w->s2.top != PT_OFF)
		return PT_GO;
	if (w->q->at == IOMMU_ABI_UNTRANSLATED)
		return pass(w, PT_R | PT_W | PT_X);
	pass(w, PT_R | PT_W);
	w->out->hpa = w->q->iova; /* a completion is 1:1 (13.6.4) */
	return PT_DONE;
}

/* ---- the request ---- */

/* Is the PASID one of this request? Translated ones without PASIDTT have none (3.9.1.3). */
static bool has_pasid(const struct pt_walk *w)
{
	if (w->q->at == IOMMU_ABI_TRANSLATED && !(w->unit->state[IDR3] & IDR3_PASIDTT))
		return false;
	return w->q->flags & IOMMU_ABI_HAS_PASID;
}

/* As the request says, or PRIVCFG. */
static bool is_privileged(const struct pt_walk *w, const u64 *ste, bool asked)
{
	if (!(w->unit->state[IDR1] & IDR1_ATTR_PERMS_OVR) || !(STE_PRIVCFG(ste) & 2))
		return asked;
	return STE_PRIVCFG(ste) == 3;
}

/* EATS, where it counts: 01 and 11 are full ATS, 10 needs ATSCHK. */
static unsigned int effective_eats(const u64 *state, const u64 *ste)
{
	unsigned int eats = (unsigned int)STE_EATS(ste);

	if (STE_CONFIG(ste) == CONFIG_PASSES || !(state[IDR0] & IDR0_ATS))
		return EATS_NONE;
	if (eats == EATS_DPT && !(state[IDR3] & IDR3_DPT))
		return EATS_NONE;
	return eats & EATS_SPLIT && !(state[CR0] & CR0_ATSCHK) ? EATS_NONE : eats;
}

/* S1CDMax, S1DSS and the SubstreamID: do they agree? false: a fault is in w->out. */
static bool substream_fits(struct pt_walk *w, const u64 *ste, const struct pt_place *at, bool given,
			   u64 cdmax)
{
	u32 ssid = given ? w->q->pasid : 0;
	unsigned int dss = STE_S1DSS(ste);

	if (given && !cdmax)
		return !pt_refuse(w, IOMMU_ABI_BLOCKED, C_BAD_SUBSTREAMID, at, ste);
	if (ssid >> cdmax)
		return !pt_refuse(w, IOMMU_ABI_PASID_RANGE, C_BAD_SUBSTREAMID, at, ste);
	if (cdmax && (given ? dss == 2 && !ssid : dss == 0 || dss == 3))
		return !pt_refuse(w, IOMMU_ABI_BLOCKED, F_STREAM_DISABLED, at, ste);
	return true;
}

static u64 cdmax_of(const struct pt_walk *w, const u64 *ste)
{
	bool on = STE_CONFIG(ste) & CONFIG_S1;

	return on && IDR1_SSIDSIZE(w->unit->state[IDR1]) ? STE_S1CDMAX(ste) : 0;
}

/* They choose stage 1, or none. */
static enum pt_verdict substream(struct pt_walk *w, const u64 *ste, const struct pt_place *at, bool given,
				 bool priv)
{
	u64 cdmax = cdmax_of(w, ste);

	if (!substream_fits(w, ste, at, given, cdmax))
		return PT_FAULT;
	if (!(STE_CONFIG(ste) & CONFIG_S1) || (cdmax && !given && STE_S1DSS(ste) == 1))
		return s1_off(w, ste, at);
	return s1_on(w, ste, at, given ? w->q->pasid : 0, priv);
}

/* A translated request that is checked: of stage 1 only the context is looked at (3.9.1.3). */
static enum pt_verdict translated(struct pt_walk *w, const u64 *ste, const struct pt_place *at, bool given)
{
	const u64 *state = w->unit->state;
	unsigned int eats = effective_eats(state, ste);
	struct context c;

	if (state[IDR3] & IDR3_PASIDTT && !substream_fits(w, ste, at, given, cdmax_of(w, ste)))
		return PT_FAULT;
	if (given && !fetch_cd(w, ste, at, w->q->pasid, &c))
		return PT_FAULT;
	if (eats == EATS_SPLIT)
		return s1_off(w, ste, at);
	return is_modelled(w, eats == EATS_DPT ? NO_DPT : 0, at, ste) ? pass(w, w->report) : PT_FAULT;
}

/* Any ATS? false: a fault is in w->out. */
static bool ats_allowed(struct pt_walk *w, const u64 *ste, const struct pt_place *at)
{
	u32 event = w->q->at == IOMMU_ABI_TRANSLATION ? F_BAD_ATS_TREQ : F_TRANSL_FORBIDDEN;

	if (effective_eats(w->unit->state, ste) == EATS_NONE)
		return !pt_refuse(w, IOMMU_ABI_BLOCKED, event, at, ste);
	return true;
}

/* ATS without a PASID is data and unprivileged (13.7). */
static bool read_as_data(struct pt_walk *w, bool given)
{
	if (w->q->at == IOMMU_ABI_UNTRANSLATED || given)
		return false;
	w->access = w->access == PT_X ? PT_R : w->access;
	w->judge = w->access >> 1;
	return true;
}

/* Beyond a legal STE. */
static enum pt_verdict follow(struct pt_walk *w, const u64 *ste, const struct pt_place *at)
{
	bool given = has_pasid(w), data = read_as_data(w, given);
	bool priv = is_privileged(w, ste, !data && w->q->flags & IOMMU_ABI_PRIV);

	if (w->q->at != IOMMU_ABI_UNTRANSLATED && !ats_allowed(w, ste, at))
		return PT_FAULT;
	w->report = data ? PT_R | PT_W : PT_R | PT_W | PT_X;
	if (w->s2.top != PT_OFF) {
		w->flags |= (STE_S2R(ste) ? RECORDS_S2 : 0) | (STE_S2S(ste) ? STALLS_S2 : 0);
		s2_rules(w, ste, priv);
	}
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return translated(w, ste, at, given);
	if (effective_eats(w->unit->state, ste) == EATS_SPLIT)
		w->flags |= SPLIT;
	return substream(w, ste, at, given, priv);
}

static enum pt_verdict smmuv3_resolve(struct pt_walk *w)
{
	const u64 *state = w->unit->state;
	struct pt_place at = { .stage = IOMMU_ABI_DEVICE };
	u64 ste[8];

	if (!(state[CR0] & CR0_SMMUEN))
		return switched_off(w);
	if (w->q->at == IOMMU_ABI_TRANSLATED && !(state[IDR0] & IDR0_ATS) && !(state[CR0] & CR0_ATSCHK))
		return pt_refuse(w, IOMMU_ABI_BLOCKED, F_TRANSL_FORBIDDEN, &at, NULL);
	if (w->q->at == IOMMU_ABI_TRANSLATED && !(state[CR0] & CR0_ATSCHK))
		return pass(w, has_pasid(w) ? PT_R | PT_W | PT_X : PT_R | PT_W);
	if (!find_ste(w, &at) || !pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, at.hpa, 8, ste))
		return PT_FAULT;
	if (!(ste[0] & STE_V))
		return pt_refuse(w, IOMMU_ABI_NOT_PRESENT, C_BAD_STE, &at, ste);
	if (!(STE_CONFIG(ste) & CONFIG_PASSES))
		return pt_refuse(w, IOMMU_ABI_ABORTED, 0, &at, ste);
	if (!ste_legal(w, ste))
		return pt_refuse(w, IOMMU_ABI_INVALID, C_BAD_STE, &at, ste);
	return follow(w, ste, &at);
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

/* ---- translation requests ---- */

/* A completion grants execution only with reading (13.7.1). */
static unsigned int granted(unsigned int rights)
{
	return rights & PT_R ? rights : rights & ~PT_X;
}

/* Once more behind resolve(), judged as @judge, with the flags that @access sets. */
static int ats_stages(struct pt_walk *w, u32 refs, unsigned int judge, unsigned int access)
{
	const struct pt_vendor *v = &pt_vendor_smmuv3;

	memset(w->out, 0, sizeof(*w->out));
	if (w->trace)
		w->trace->n = refs;
	w->judge = (u8)judge;
	w->access = (u8)access;
	return w->trace ? pt_stages(v, w->f1, w->f2, w, true) : pt_stages(v, w->f1, w->f2, w, false);
}

/* Is it the page itself that lacks the right? */
static bool lacks_right(const struct iommu_abi_fault *f)
{
	return (f->reason == IOMMU_ABI_DENIED || f->reason == IOMMU_ABI_PRIVILEGE) &&
	       (f->stage == IOMMU_ABI_S1 || f->purpose == IOMMU_ABI_FOR_DATA);
}

/* Any right is an answer: a write first, which dirties only what it may write; then a read; then a write of
 * what cannot be read.
 * A stage 1 that grants nothing has refused both, so that nothing reaches stage 2 (3.9.1.2). */
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
	if (w->flags & SPLIT)
		out->hpa = out->gpa; /* the completion holds the IPA (13.6.3) */
	return 0;
}

/* 4 KiB in both stages is worth a walk of its own. */
static int smmuv3_translate(struct pt_walk *w)
{
	const struct pt_vendor *v = &pt_vendor_smmuv3;
	enum pt_verdict verdict = smmuv3_resolve(w);

	if (verdict != PT_GO)
		return verdict == PT_FAULT;
	if (w->q->at == IOMMU_ABI_TRANSLATION)
		return ats_translate(w);
	if (w->f1 == &s1_4k && w->f2 == &s2_4k)
		return w->trace ? pt_stages(v, &s1_4k, &s2_4k, w, true)
				: pt_stages(v, &s1_4k, &s2_4k, w, false);
	return w->trace ? pt_stages(v, w->f1, w->f2, w, true) : pt_stages(v, w->f1, w->f2, w, false);
}
