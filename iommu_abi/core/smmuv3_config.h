/* SPDX-License-Identifier: MIT */
/*
 * smmuv3_config.h - the configuration of a request for smmuv3.c: what registers, STE and CD say,
 * whether that is legal, and the stages of the walk that it makes.
 *
 * Arm IHI 0070: sections 5.2 (STE, SteIllegal), 5.4 (CD, CdIllegal) and 6.3 (registers).
 */
#ifndef IOMMU_ABI_SMMUV3_CONFIG_H
#define IOMMU_ABI_SMMUV3_CONFIG_H

#include "smmuv3_pt.h"

#define FIELD(word, hi, lo) ((word) >> (lo) & (~0ull >> (63 - (hi) + (lo))))

/* ---- registers ---- */

enum { STRTAB_BASE, STRTAB_BASE_CFG, IDR0, IDR1, IDR3, IDR5, CR0, CR2, GBPA };

#define IDR0_S2P BIT(0)
#define IDR0_S1P BIT(1)
#define IDR0_TTF(r) FIELD(r, 3, 2)
#define IDR0_HTTU(r) FIELD(r, 7, 6)
#define IDR0_HYP BIT(9)
#define IDR0_ATS BIT(10)
#define IDR0_ASID16 BIT(12)
#define IDR0_VMID16 BIT(18)
#define IDR0_CD2L BIT(19)
#define IDR0_TTENDIAN(r) FIELD(r, 22, 21)
#define IDR0_STALL_MODEL(r) FIELD(r, 25, 24)
#define IDR0_TERM_MODEL BIT(26)
#define IDR0_ST_LEVEL(r) FIELD(r, 28, 27)
#define IDR1_SIDSIZE(r) FIELD(r, 5, 0)
#define IDR1_SSIDSIZE(r) FIELD(r, 10, 6)
#define IDR1_ATTR_PERMS_OVR BIT(26)
#define IDR3_HAD BIT(2)
#define IDR3_XNX BIT(4)
#define IDR3_STT BIT(9)
#define IDR3_E0PD BIT(13)
#define IDR5_OAS(r) FIELD(r, 2, 0)
#define IDR5_GRAN(lg2) BIT(4 + ((lg2)-12) / 2)
#define IDR5_DS BIT(7)
#define IDR5_VAX(r) FIELD(r, 11, 10)
#define CR0_SMMUEN BIT(0)
#define CR0_EVTQEN BIT(2)
#define CR0_ATSCHK BIT(4)
#define CR2_E2H BIT(0)
#define CR2_RECINVSID BIT(1)
#define GBPA_ABORT BIT(20)

enum {
	OAS = PT_MAX_REGS, /* bits of a physical address */
	IAS,               /* of an intermediate one */
};

/* Of IDR5.OAS, CD.IPS and STE.S2PS. */
static const u8 address_bits[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };

/* ---- STE ---- */

#define STE_V BIT(0)
#define STE_CONFIG(ste) FIELD((ste)[0], 3, 1)
#define CONFIG_S1 1
#define CONFIG_S2 2
#define CONFIG_PASSES 4 /* or else abort */
#define STE_S1FMT(ste) FIELD((ste)[0], 5, 4)
#define STE_S1_CONTEXT(ste) ((ste)[0] & BITS(51, 6))
#define STE_S1CDMAX(ste) FIELD((ste)[0], 63, 59)
#define STE_S1DSS(ste) FIELD((ste)[1], 1, 0)
#define STE_S1STALLD(ste) ((ste)[1] & BIT(27))
#define STE_EATS(ste) FIELD((ste)[1], 29, 28)
#define STE_STRW(ste) FIELD((ste)[1], 31, 30)
#define STE_PRIVCFG(ste) FIELD((ste)[1], 49, 48)
#define STE_INSTCFG(ste) FIELD((ste)[1], 51, 50)
#define STE_S2VMID(ste) FIELD((ste)[2], 15, 0)
#define STE_S2T0SZ(ste) FIELD((ste)[2], 37, 32)
#define STE_S2SL0(ste) FIELD((ste)[2], 39, 38)
#define STE_S2TG(ste) FIELD((ste)[2], 47, 46)
#define STE_S2PS(ste) FIELD((ste)[2], 50, 48)
#define STE_S2AA64(ste) ((ste)[2] & BIT(51))
#define STE_S2ENDI(ste) ((ste)[2] & BIT(52))
#define STE_S2AFFD(ste) ((ste)[2] & BIT(53))
#define STE_S2PTW(ste) ((ste)[2] & BIT(54))
#define STE_S2HD(ste) ((ste)[2] & BIT(55))
#define STE_S2HA(ste) ((ste)[2] & BIT(56))
#define STE_S2S(ste) ((ste)[2] & BIT(57))
#define STE_S2R(ste) ((ste)[2] & BIT(58))
#define STE_S2TTB(ste) ((ste)[3])

enum { EATS_FULL = 1 };
enum { STRW_EL2 = 2 };

/* ---- CD ---- */

#define CD_V BIT(31)
#define CD_IPS(cd) FIELD((cd)[0], 34, 32)
#define CD_AFFD BIT(35)
#define CD_WXN BIT(36)
#define CD_PAN BIT(40)
#define CD_AA64 BIT(41)
#define CD_HD BIT(42)
#define CD_HA BIT(43)
#define CD_S BIT(44)
#define CD_R BIT(45)
#define CD_A BIT(46)
#define CD_ENDI BIT(15)
#define CD_ASID(cd) FIELD((cd)[0], 63, 48)
#define CD_HAD BIT(1)  /* words 1 and 2, with the TTB of each half */
#define CD_E0PD BIT(2) /* the same */
#define CD_HAFT BIT(3) /* word 1 */

/* ---- what STE and CD have in common ---- */

static bool has_granule(const u64 *state, unsigned int lg2)
{
	return lg2 && state[IDR5] & IDR5_GRAN(lg2);
}

/* Largest TxSZ or S2T0SZ. */
static unsigned int max_tsz(const u64 *state, unsigned int granule_lg2)
{
	if (!(state[IDR3] & IDR3_STT))
		return 39;
	return granule_lg2 == 16 ? 47 : 48;
}

static bool bad_endian(const u64 *state, bool big)
{
	u64 model = IDR0_TTENDIAN(state[IDR0]);

	return (model == 2 && big) || (model == 3 && !big);
}

static bool bad_flags(const u64 *state, bool sets_af, bool sets_dirty)
{
	u64 httu = IDR0_HTTU(state[IDR0]);

	return (sets_af && httu == 0) || (sets_dirty && httu < 2);
}

static bool bad_stall(const u64 *state, bool stalls)
{
	u64 model = IDR0_STALL_MODEL(state[IDR0]);

	return (model == 1 && stalls) || (model == 2 && !stalls);
}

/* @field: CD.IPS or STE.S2PS. */
static unsigned int output_bits(const u64 *state, u64 field)
{
	unsigned int bits = address_bits[field];

	return bits < state[OAS] ? bits : (unsigned int)state[OAS];
}

/* TTBx and S2TTB, bits 51:4. */
static bool ttb_fits(u64 ttb, unsigned int granule_lg2, unsigned int bits)
{
	if (granule_lg2 != 16 && bits > 48)
		bits = 48; /* 52 bits are for 64 KiB granules: DS is not modelled */
	return !(ttb & BITS(51, 4) >> bits << bits);
}

/* A stage of @in_bits whose first table is of level @top. */
static struct pt_stage make_stage(const u64 *state, u64 ttb, unsigned int granule_lg2, unsigned int in_bits,
				  unsigned int top, unsigned int out_bits)
{
	unsigned int table_lg2 = in_bits - (granule_lg2 + (granule_lg2 - 3) * top) + 3;

	if (out_bits == 52 && table_lg2 < 6)
		table_lg2 = 6;
	return (struct pt_stage){
		.root = ttb & BITS(51, 4) & ~0ull << table_lg2,
		.in_span = ~0ull,
		.in_mask = BIT(in_bits) - 1,
		.out_last = BIT(out_bits) - 1,
		.flags = state[OAS] == 52 ? WIDE : 0,
		.top = (u8)top,
		.grant = PT_ALL,
	};
}

static u32 flag_handling(bool no_fault, bool sets_af, bool sets_dirty)
{
	return (no_fault || sets_af ? AF_OK : 0) | (sets_af ? SETS_AF : 0) |
	       (sets_af && sets_dirty ? SETS_DIRTY : 0);
}

/* ---- STE: stage 2 ---- */

/* Level of the first table of stage 2, counted from the leaves; -1: there is no such. */
static int s2_top(const u64 *state, unsigned int granule_lg2, unsigned int sl0)
{
	if (sl0 < 3)
		return (int)sl0 + (granule_lg2 == 12);
	if (granule_lg2 == 12)
		return state[IDR3] & IDR3_STT ? 0 : -1;
	return granule_lg2 == 14 && state[IDR5] & IDR5_DS ? 3 : -1;
}

/* @bits of input fit a first table of level @top: 2 to 2^(a page's index + 4) entries. */
static bool s2_bits_fit(const u64 *state, unsigned int granule_lg2, unsigned int top, unsigned int bits)
{
	unsigned int stride = granule_lg2 - 3, least = granule_lg2 == 16 ? (state[OAS] == 52 ? 12 : 16) : 16;
	/* of output; 64 KiB at 2 would need 44 too, but takes more input than a smaller IAS has */
	unsigned int needed = granule_lg2 == 12 && top == 3 ? 44 : granule_lg2 == 14 && top == 2 ? 42 : 0;

	return bits <= 64 - least && bits >= 64 - max_tsz(state, granule_lg2) && bits <= state[IAS] &&
	       bits > granule_lg2 + top * stride && bits <= granule_lg2 + (top + 1) * stride + 4 &&
	       state[OAS] >= needed;
}

/* Fills w->s2, w->f2; false: the STE is illegal. */
static bool s2_stage(struct pt_walk *w, const u64 *ste)
{
	static const u8 granules[4] = { 12, 16, 14, 0 };
	const u64 *state = w->unit->state;
	unsigned int granule_lg2 = granules[STE_S2TG(ste)], in_bits = 64 - (unsigned int)STE_S2T0SZ(ste);
	unsigned int out_bits = output_bits(state, STE_S2PS(ste));
	int top;

	if (!has_granule(state, granule_lg2) || !ttb_fits(STE_S2TTB(ste), granule_lg2, out_bits))
		return false;
	top = s2_top(state, granule_lg2, (unsigned int)STE_S2SL0(ste));
	if (top < 0 || !s2_bits_fit(state, granule_lg2, (unsigned int)top, in_bits))
		return false;
	w->f2 = s2_format(granule_lg2);
	w->s2 = make_stage(state, STE_S2TTB(ste), granule_lg2, in_bits, (unsigned int)top, out_bits);
	w->s2.in_span = w->s2.in_mask;
	w->s2.flags |= flag_handling(STE_S2AFFD(ste), STE_S2HA(ste), STE_S2HD(ste)) |
		       (state[IDR3] & IDR3_XNX ? HAS_XNX : 0);
	return true;
}

static void s2_rules(struct pt_walk *w, const u64 *ste, bool priv)
{
	struct pt_rule *rule = w->s2.rule;
	unsigned int table = PT_R | (STE_S2PTW(ste) ? GRANT_NOT_DEVICE : 0);

	rule[PT_JUDGE_R] = (struct pt_rule)PT_NEED(PT_R, 0);
	rule[PT_JUDGE_W] = (struct pt_rule)PT_NEED(PT_W, 0);
	rule[PT_JUDGE_X] = (struct pt_rule)PT_NEED(priv ? GRANT_PRIV_X : PT_X, 0);
	rule[PT_JUDGE_TABLE] = (struct pt_rule)PT_NEED(table, 0);
}

/* ---- STE: legal? ---- */

static bool s1_fields_legal(const u64 *state, const u64 *ste)
{
	u64 cdmax = STE_S1CDMAX(ste), fmt = STE_S1FMT(ste), ssidsize = IDR1_SSIDSIZE(state[IDR1]);

	if (!(state[IDR0] & IDR0_S1P) || (IDR0_STALL_MODEL(state[IDR0]) && STE_S1STALLD(ste)))
		return false;
	if (ssidsize && cdmax && (cdmax > ssidsize || ((fmt == 1 || fmt == 2) && !(state[IDR0] & IDR0_CD2L))))
		return false;
	if (STE_CONFIG(ste) & CONFIG_S2)
		return true;
	return !(STE_S1_CONTEXT(ste) >> state[OAS]) && !(state[IDR0] & IDR0_HYP && STE_STRW(ste) & 1);
}

static bool s2_fields_legal(const u64 *state, const u64 *ste)
{
	return state[IDR0] & IDR0_S2P && STE_S2AA64(ste) && !bad_endian(state, STE_S2ENDI(ste)) &&
	       (STE_S2VMID(ste) < 256 || state[IDR0] & IDR0_VMID16) &&
	       !bad_flags(state, STE_S2HA(ste), STE_S2HD(ste)) && !bad_stall(state, STE_S2S(ste)) &&
	       !(STE_S2S(ste) && STE_EATS(ste) == EATS_FULL);
}

/* Fills w->s2; false: C_BAD_STE. */
static bool ste_legal(struct pt_walk *w, const u64 *ste)
{
	const u64 *state = w->unit->state;
	unsigned int config = (unsigned int)STE_CONFIG(ste);

	if (config == CONFIG_PASSES)
		return true;
	if (STE_EATS(ste) == 3)
		return false;
	if (config & CONFIG_S1 && !s1_fields_legal(state, ste))
		return false;
	return !(config & CONFIG_S2) || (s2_fields_legal(state, ste) && s2_stage(w, ste));
}

/* ---- CD: legal? its stage 1 ---- */

/* One half of the input: TTB0 or TTB1. */
struct half {
	unsigned int granule_lg2; /* 0: the half is disabled */
	unsigned int bits, top;
	bool drops_top_byte; /* TBI */
};

/* false: CdIllegal. */
static bool half_of(const u64 *state, const u64 *cd, bool upper, bool el2, struct half *h)
{
	static const u8 granules[2][4] = { { 12, 16, 14, 0 }, { 0, 14, 12, 16 } };
	unsigned int shift = upper ? 16 : 0, tsz = cd[0] >> shift & 63,
		     g = granules[upper][cd[0] >> (shift + 6) & 3];
	bool enabled = el2 ? !upper : !(cd[0] >> (upper ? 30 : 14) & 1);
	unsigned int least = g == 16 && IDR5_VAX(state[IDR5]) ? 12 : 16;

	*h = (struct half){ .drops_top_byte = cd[0] >> (upper ? 39 : 38) & 1 };
	if (!enabled)
		return true;
	if (!has_granule(state, g) || tsz > max_tsz(state, g) || tsz < least ||
	    !ttb_fits(cd[1 + upper], g, output_bits(state, CD_IPS(cd))))
		return false;
	h->granule_lg2 = g;
	h->bits = 64 - tsz;
	h->top = (h->bits - g - 1) / (g - 3);
	return true;
}

static bool cd_legal(const u64 *state, const u64 *ste, const u64 *cd, bool el2, struct half halves[2])
{
	u64 idr0 = state[IDR0];
	bool haft = cd[1] & CD_HAFT && !(cd[0] & CD_HA) && IDR0_HTTU(idr0) == 3;

	return cd[0] & CD_AA64 && !bad_endian(state, cd[0] & CD_ENDI) &&
	       !bad_flags(state, cd[0] & CD_HA, cd[0] & CD_HD) && !haft && !bad_stall(state, cd[0] & CD_S) &&
	       !(cd[0] & CD_S && STE_S1STALLD(ste)) && !(idr0 & IDR0_TERM_MODEL && !(cd[0] & CD_A)) &&
	       (el2 || CD_ASID(cd) < 256 || idr0 & IDR0_ASID16) &&
	       half_of(state, cd, false, el2, &halves[0]) && half_of(state, cd, true, el2, &halves[1]);
}

/* AP, PAN, WXN; in EL2 there is no other privilege. */
static void s1_rules(struct pt_stage *s, u64 cd0, bool el2, bool priv)
{
	bool wxn = cd0 & CD_WXN;
	u8 pan = cd0 & CD_PAN ? PT_USER : 0;

	if (el2) {
		s->rule[PT_JUDGE_R] = (struct pt_rule)PT_NEED(0, 0);
		s->rule[PT_JUDGE_W] = (struct pt_rule)PT_NEED(PT_W, 0);
		s->rule[PT_JUDGE_X] = (struct pt_rule)PT_NEED(PT_X, wxn ? PT_W : 0);
	} else if (priv) {
		s->rule[PT_JUDGE_R] = (struct pt_rule)PT_NEED(0, pan);
		s->rule[PT_JUDGE_W] = (struct pt_rule)PT_NEED(PT_W, pan);
		s->rule[PT_JUDGE_X] = (struct pt_rule)PT_NEED(GRANT_PRIV_X, wxn ? PT_W : 0);
		s->rule[PT_JUDGE_X].never = PT_USER | PT_W;
	} else {
		s->rule[PT_JUDGE_R] = (struct pt_rule)PT_NEED(PT_USER, 0);
		s->rule[PT_JUDGE_W] = (struct pt_rule)PT_NEED(PT_USER | PT_W, 0);
		s->rule[PT_JUDGE_X] = (struct pt_rule)PT_NEED(PT_X, 0);
		s->rule[PT_JUDGE_X].never = wxn ? PT_USER | PT_W : 0;
	}
}

/* Is the IOVA in this half, whose unused bits are copies of bit 55? */
static bool in_half(const struct half *h, u64 iova, bool upper)
{
	u64 unused = (upper ? ~iova : iova) >> h->bits << h->bits;

	return h->granule_lg2 && !(unused & (h->drops_top_byte ? BITS(55, 0) : ~0ull));
}

#endif
