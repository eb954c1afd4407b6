/* SPDX-License-Identifier: MIT */
/*
 * smmuv3_config.h - the configuration of a request for smmuv3.c: what registers, STE and CD say,
 * whether that is legal, and the stages of the walk that it makes.
 *
 * Arm IHI 0070: sections 5.2 (STE, SteIllegal), 5.4 (CD, CdIllegal) and 6.3 (registers).
 */
#ifndef IOMMU_ABI_SMMUV3_CONFIG_H
#define IOMMU_ABI_SMMUV3_CONFIG_H

#include "pt_tables.h"
#include "smmuv3_pt.h"

#define FIELD(word, hi, lo) ((word) >> (lo) & (~0ull >> (63 - (hi) + (lo))))

/* ---- registers ---- */

enum { STRTAB_BASE, STRTAB_BASE_CFG, IDR0, IDR1, IDR3, IDR5, CR0, CR2, GBPA, AIDR };

#define IDR0_S2P BIT(0)
#define IDR0_S1P BIT(1)
#define IDR0_TTF32 BIT(2) /* VMSAv8-32 tables */
#define IDR0_TTF64 BIT(3)
#define IDR0_HTTU(r) FIELD(r, 7, 6)
#define IDR0_HYP BIT(9)
#define IDR0_ATS BIT(10)
#define IDR0_NS1ATS BIT(11)
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
#define IDR3_PBHA BIT(3)
#define IDR3_XNX BIT(4)
#define IDR3_MPAM BIT(7)
#define IDR3_FWB BIT(8)
#define IDR3_STT BIT(9)
#define IDR3_E0PD BIT(13)
#define IDR3_DPT BIT(15)
#define IDR3_PASIDTT BIT(16)
#define IDR3_EPAN BIT(17)
#define IDR3_S1PI BIT(18)
#define IDR3_S2PI BIT(19)
#define IDR3_S2PO BIT(20)
#define IDR3_THE BIT(21)
#define IDR3_AIE BIT(23)
#define IDR5_OAS(r) FIELD(r, 2, 0)
#define IDR5_GRAN(lg2) BIT(4 + ((lg2)-12) / 2)
#define IDR5_DS BIT(7)
#define IDR5_D128 BIT(8)
#define IDR5_VAX(r) FIELD(r, 11, 10)
#define CR0_SMMUEN BIT(0)
#define CR0_EVENTQEN BIT(2)
#define CR0_ATSCHK BIT(4)
#define CR2_E2H BIT(0)
#define CR2_RECINVSID BIT(1)
#define CR2_REC_CFG_ATS BIT(3)
#define GBPA_ABORT BIT(20)

enum {
	OAS = PT_OWN_STATE, /* bits of a physical address */
	IAS,                /* bits of an intermediate physical address (3.4) */
};

/* Bits that IDR5.OAS, CD.IPS and STE.S2PS encode (6.3.6); 56 bits need D128, which is not modelled. */
static const u8 address_bits[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };

enum { V3_0, V3_1, V3_2, V3_3, V3_4 }; /* of AIDR */

/* pt_context.flags */
enum {
	RECORDS_S1 = 1,      /* CD.R, or CD.S: a stall is always recorded */
	RECORDS_S2 = 2,      /* STE.S2R, S2S */
	STALLS_S1 = 4,       /* CD.S */
	STALLS_S2 = 8,       /* STE.S2S */
	ENTRY = 16,          /* the STE is legal */
	FITS = 32,           /* S1DSS and S1CDMax allow this SubstreamID, or that there is none */
	FETCHED = 64,        /* the CD was read and is legal */
	BYPASSES_S1 = 128,   /* by Config or S1DSS */
	AS_USER = 256,       /* PRIVCFG makes every request unprivileged */
	AS_PRIVILEGED = 512, /* PRIVCFG makes every request privileged */
	NO_TOP_BYTE = 1024,  /* TBI0; shifted by 1, TBI1 */
	E0PD = 4096,         /* E0PD0; shifted by 1, E0PD1 */
	EATS_SHIFT = 14,     /* two bits: EATS where it counts */
};

/* Features that legal tables may ask for and that are not modelled: bits of fault.detail, above S2 and
 * CLASS. */
enum {
	NO_VMSA32 = 8,
	NO_VMSA128 = 16,
	NO_INDIRECTION = 32,
	NO_OVERLAY = 64,
	NO_DPT = 128,
	NO_THE = 256,
};

/* ---- STE ---- */

#define STE_V BIT(0)
#define STE_CONFIG(ste) FIELD((ste)[0], 3, 1)
#define CONFIG_S1 1
#define CONFIG_S2 2
#define CONFIG_PASSES 4 /* or else abort */
#define STE_S1FMT(ste) FIELD((ste)[0], 5, 4)
#define STE_S1_CONTEXT(ste) ((ste)[0] & BITS(55, 6))
#define STE_S1CDMAX(ste) FIELD((ste)[0], 63, 59)
#define STE_S1DSS(ste) FIELD((ste)[1], 1, 0)
#define STE_S2HWU(ste) FIELD((ste)[1], 11, 8)
#define STE_S1PIE(ste) ((ste)[1] & BIT(24))
#define STE_S2FWB(ste) ((ste)[1] & BIT(25))
#define STE_S1MPAM(ste) ((ste)[1] & BIT(26))
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
#define STE_S2HAFT(ste) ((ste)[2] & BIT(59))
#define STE_S2PIE(ste) ((ste)[2] & BIT(60))
#define STE_S2POE(ste) ((ste)[2] & BIT(61))
#define STE_S2SL0_2(ste) FIELD((ste)[3], 2, 2)
#define STE_S2DS(ste) ((ste)[3] & BIT(3))
#define STE_S2TTB(ste) ((ste)[3])
#define STE_HARDENING(ste) ((ste)[5] & BITS(11, 9)) /* AssuredOnly, TL0, TL1 */
#define STE_VMSPTR(ste) ((ste)[5] & BITS(55, 12))
#define STE_S2POI(ste) ((ste)[7])

enum { EATS_NONE, EATS_FULL, EATS_SPLIT, EATS_DPT };
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
#define CD_HAD BIT(1)   /* words 1 and 2, with the TTB of each half */
#define CD_E0PD BIT(2)  /* the same */
#define CD_HAFT BIT(3)  /* word 1 */
#define CD_EPAN BIT(59) /* word 1 */
#define CD_AIE BIT(3)   /* word 2 */
#define CD_DS BIT(58)   /* word 2 */
#define CD_PIE BIT(59)  /* word 2 */

/* ---- what STE and CD have in common ---- */

/* 5.2 S2TG, 5.4 TG0. */
static bool has_granule(const u64 *state, unsigned int lg2)
{
	return lg2 && state[IDR5] & IDR5_GRAN(lg2);
}

/* Largest legal TxSZ or S2T0SZ (5.4 T0SZ, 5.2 S2T0SZ). */
static unsigned int max_tsz(const u64 *state, unsigned int granule_lg2)
{
	if (!(state[IDR3] & IDR3_STT))
		return 39;
	return granule_lg2 == 16 ? 47 : 48;
}

/* 5.2 S2ENDI, 5.4 ENDI: against TTENDIAN. */
static bool bad_endian(const u64 *state, bool big)
{
	u64 model = IDR0_TTENDIAN(state[IDR0]);

	return (model == 2 && big) || (model == 3 && !big);
}

/* 5.2 S2HA, S2HD, 5.4 HA, HD: beyond HTTU. */
static bool bad_flags(const u64 *state, bool sets_af, bool sets_dirty)
{
	u64 httu = IDR0_HTTU(state[IDR0]);

	return (sets_af && httu == 0) || (sets_dirty && httu < 2);
}

/* 5.2 S2S, 5.5: against STALL_MODEL. */
static bool bad_stall(const u64 *state, bool stalls)
{
	u64 model = IDR0_STALL_MODEL(state[IDR0]);

	return (model == 1 && stalls) || (model == 2 && !stalls);
}

/* Output bits of a stage: @field is CD.IPS or STE.S2PS, which OAS limits (3.4). */
static unsigned int output_bits(const u64 *state, u64 field)
{
	unsigned int bits = address_bits[field];

	return bits < state[OAS] ? bits : (unsigned int)state[OAS];
}

/* The address in TTBx or S2TTB: bits 51:4, of v3.0 47:4 (5.4 TTB0, 5.2 S2TTB). */
static u64 ttb_address(const u64 *state, u64 ttb)
{
	return ttb & (state[AIDR] == V3_0 ? BITS(47, 4) : BITS(51, 4));
}

/* Is the first table within the output of its stage? Beyond 48 bits only with 64 KiB granules or @ds, of
 * the CD or STE (5.4 TTB0, 5.2 S2TTB). */
static bool ttb_fits(u64 ttb, unsigned int granule_lg2, bool ds, unsigned int bits)
{
	if (granule_lg2 != 16 && !ds && bits > 48)
		bits = 48;
	return !(ttb >> bits);
}

/* A stage of @in_bits whose first table is of level @top. */
static struct pt_stage make_stage(const u64 *state, u64 ttb, unsigned int granule_lg2, unsigned int in_bits,
				  unsigned int top, unsigned int out_bits)
{
	unsigned int table_lg2 = in_bits - (granule_lg2 + (granule_lg2 - 3) * top) + 3;

	if (out_bits == 52 && table_lg2 < 6)
		table_lg2 = 6;
	return (struct pt_stage){
		.root = ttb & ~0ull << table_lg2,
		.in_span = ~0ull,
		.in_mask = BIT(in_bits) - 1,
		.out_last = BIT(out_bits) - 1,
		.flags = state[OAS] == 52 ? WIDE : 0,
		.top = (u8)top,
	};
}

/* Hardware manages dirty state and the flags of tables only where it manages AF (3.13; HD and HAFT need
 * HA). */
static u32 flag_handling(bool no_fault, bool sets_af, bool sets_dirty, bool sets_table_af)
{
	if (!sets_af)
		return no_fault ? AF_OK : 0;
	return AF_OK | SETS_AF | (sets_dirty ? SETS_DIRTY : 0) | (sets_table_af ? SETS_TABLE_AF : 0);
}

static bool has_haft(const u64 *state)
{
	return IDR0_HTTU(state[IDR0]) == 3;
}

/* Rules of one privilege for reads, writes, fetches, and reads of tables. INSTCFG may turn each fetch
 * into a read, or each read into a fetch (3.3.4): then both are judged by the same rule. */
#define RULE(need, forbid, never)                                \
	{                                                        \
		(u8)((need) | (forbid)), (u8)(need), (u8)(never) \
	}
#define AS_THEY_COME(r, w, x, t) \
	{                        \
		r, w, x, t       \
	}
#define AS_READS(r, w, x, t) \
	{                    \
		r, w, r, t   \
	}
#define AS_FETCHES(r, w, x, t) \
	{                      \
		x, w, x, t     \
	}

/* Index into the rules: 0 as they come, 1 as reads, 2 as fetches. INSTCFG counts with ATTR_PERMS_OVR (5.2
 * INSTCFG). */
static unsigned int instcfg_of(const u64 *state, const u64 *ste)
{
	unsigned int instcfg = state[IDR1] & IDR1_ATTR_PERMS_OVR ? (unsigned int)STE_INSTCFG(ste) : 0;

	return instcfg & 2 ? instcfg - 1 : 0;
}

/* ---- STE: stage 2 ---- */

/* Level of the first table of stage 2, counted from the leaves; -1: this granule has no such start
 * {SL0_2, SL0} (Arm ARM D8.2.8 to D8.2.10). */
static int s2_top(const u64 *state, unsigned int granule_lg2, bool ds, unsigned int sl0)
{
	if (sl0 < 3)
		return (int)sl0 + (granule_lg2 == 12);
	if (granule_lg2 == 14)
		return ds && sl0 == 3 && state[OAS] == 52 ? 3 : -1;
	if (granule_lg2 == 16)
		return -1;
	if (sl0 == 3)
		return state[IDR3] & IDR3_STT ? 0 : -1;
	return sl0 == 4 && state[OAS] == 52 ? 4 : -1;
}

/* Does an input of @bits fit a first table of level @top (5.2 S2T0SZ; Arm ARM J1.1.4.38, J1.1.4.40)? The
 * table has 2 entries at least, and is 16 concatenated tables at most (D8.2.2). */
static bool s2_bits_fit(const u64 *state, unsigned int granule_lg2, bool ds, unsigned int top,
			unsigned int bits)
{
	unsigned int stride = granule_lg2 - 3, least = granule_lg2 == 16 || ds ? 12 : 16;
	/* output bits that this level needs; 64 KiB at 2 needs 44 too, but takes more input than a smaller IAS has */
	unsigned int needed = granule_lg2 == 12 && top == 3 ? 44 : granule_lg2 == 14 && top == 2 ? 42 : 0;

	return bits <= 64 - least && bits >= 64 - max_tsz(state, granule_lg2) && bits <= state[IAS] &&
	       bits > granule_lg2 + top * stride && bits <= granule_lg2 + (top + 1) * stride + 4 &&
	       state[OAS] >= needed;
}

#define S2_ROW(how, x, table) \
	how(RULE(PT_R, 0, 0), RULE(PT_W, 0, 0), RULE(x, 0, 0), RULE(PT_R | (table), 0, 0))
#define S2_RULES(how, table)                                               \
	{                                                                  \
		S2_ROW(how, PT_X, table), S2_ROW(how, GRANT_PRIV_X, table) \
	}

static pt_rules s2_rules[3][2] = { /* [INSTCFG][S2PTW] */
				   { S2_RULES(AS_THEY_COME, 0), S2_RULES(AS_THEY_COME, GRANT_NOT_DEVICE) },
				   { S2_RULES(AS_READS, 0), S2_RULES(AS_READS, GRANT_NOT_DEVICE) },
				   { S2_RULES(AS_FETCHES, 0), S2_RULES(AS_FETCHES, GRANT_NOT_DEVICE) }
};

/* Fills c->s2 and c->f2; false: S2TG, S2TTB, S2SL0 or S2T0SZ is illegal (5.2). */
static bool s2_stage(struct pt_context *c, const u64 *ste)
{
	static const u8 granules[4] = { 12, 16, 14, 0 };
	const u64 *state = c->unit->state;
	unsigned int granule_lg2 = granules[STE_S2TG(ste)], in_bits = 64 - (unsigned int)STE_S2T0SZ(ste);
	unsigned int out_bits = output_bits(state, STE_S2PS(ste)), sl0 = (unsigned int)STE_S2SL0(ste);
	bool ds = granule_lg2 != 16 && STE_S2DS(ste) && state[IDR5] & IDR5_DS;
	u64 ttb = ttb_address(state, STE_S2TTB(ste));
	int top;

	if (!has_granule(state, granule_lg2) || !ttb_fits(ttb, granule_lg2, ds, out_bits))
		return false;
	if (ds && granule_lg2 == 12)
		sl0 |= (unsigned int)STE_S2SL0_2(ste) << 2;
	top = s2_top(state, granule_lg2, ds, sl0);
	if (top < 0 || !s2_bits_fit(state, granule_lg2, ds, (unsigned int)top, in_bits))
		return false;
	c->f2 = s2_format(granule_lg2, ds, STE_S2ENDI(ste));
	c->s2 = make_stage(state, ttb, granule_lg2, in_bits, (unsigned int)top, out_bits);
	c->s2.in_span = c->s2.in_mask;
	c->s2.rules = &s2_rules[instcfg_of(state, ste)][!!STE_S2PTW(ste)];
	c->s2.flags |= flag_handling(STE_S2AFFD(ste), STE_S2HA(ste), STE_S2HD(ste),
				     STE_S2HAFT(ste) && has_haft(state)) |
		       (state[IDR3] & IDR3_XNX ? HAS_XNX : 0) |
		       (STE_S2FWB(ste) && state[IDR3] & IDR3_FWB ? FORCES_WB : 0);
	return true;
}

/* ---- STE: legal? ---- */

/* Is the world EL1? It is where STRW does not count (5.2 STRW), or says so. */
static bool is_el1(const u64 *state, const u64 *ste)
{
	return STE_CONFIG(ste) & CONFIG_S2 || !(state[IDR0] & IDR0_HYP) || !STE_STRW(ste);
}

/* 5.2: S1P of Config; S1STALLD; S1CDMax and S1Fmt; VMSPtr or S1ContextPtr beyond OAS (3.4.3). */
static bool s1_fields_legal(const u64 *state, const u64 *ste)
{
	u64 cdmax = STE_S1CDMAX(ste), fmt = STE_S1FMT(ste), ssidsize = IDR1_SSIDSIZE(state[IDR1]);

	if (!(state[IDR0] & IDR0_S1P) || (IDR0_STALL_MODEL(state[IDR0]) && STE_S1STALLD(ste)))
		return false;
	if (ssidsize && cdmax && (cdmax > ssidsize || ((fmt == 1 || fmt == 2) && !(state[IDR0] & IDR0_CD2L))))
		return false;
	if (STE_CONFIG(ste) & CONFIG_S2)
		return !(STE_S1MPAM(ste) && state[IDR3] & IDR3_MPAM && state[AIDR] >= V3_2 &&
			 STE_VMSPTR(ste) >> state[OAS]);
	return !(STE_S1_CONTEXT(ste) >> state[OAS]);
}

/* 5.2 EATS. Without ATS the whole field is ignored; Config x00 does not come here. */
static bool eats_legal(const u64 *state, const u64 *ste)
{
	unsigned int eats = (unsigned int)STE_EATS(ste);
	bool two = STE_CONFIG(ste) == (CONFIG_PASSES | CONFIG_S1 | CONFIG_S2);
	bool stalls = STE_CONFIG(ste) & CONFIG_S2 && STE_S2S(ste);

	if (!(state[IDR0] & IDR0_ATS))
		return true;
	if (eats == EATS_SPLIT)
		return two && !stalls && !(state[IDR0] & IDR0_NS1ATS);
	if (eats == EATS_DPT && state[IDR3] & IDR3_DPT)
		return is_el1(state, ste) && !stalls;
	return !(eats == EATS_FULL && stalls);
}

/* Are overlays legal here (3.26.2, 5.2 S2POE, S2HWU), and no encoding in S2POI reserved (5.2 S2POI)? */
static bool overlays_legal(const u64 *state, const u64 *ste)
{
	if (!STE_S2PIE(ste) && (STE_S2AA64(ste) || !(state[IDR5] & IDR5_D128)))
		return false;
	if (state[IDR3] & IDR3_PBHA && STE_S2HWU(ste))
		return false;
	for (unsigned int i = 0; i < 64; i += 4)
		if ((STE_S2POI(ste) >> i & 0xb) == 1)
			return false;
	return true;
}

/* 5.2: S2P of Config; S2AA64; what AArch32 tables exclude; S2POE; S2ENDI; S2HA, S2HD, S2HAFT; S2S. The
 * fields that give the layout of the tables are s2_stage()'s. */
static bool s2_fields_legal(const u64 *state, const u64 *ste)
{
	u64 idr0 = state[IDR0], idr3 = state[IDR3];
	bool vmsa32 = !STE_S2AA64(ste) && !(state[IDR5] & IDR5_D128);

	if (!(idr0 & IDR0_S2P) || !(STE_S2AA64(ste) ? idr0 & IDR0_TTF64 : !vmsa32 || idr0 & IDR0_TTF32))
		return false;
	if (vmsa32 && (STE_S2HA(ste) || STE_S2HD(ste) || (idr3 & IDR3_FWB && STE_S2FWB(ste)) ||
		       (idr3 & IDR3_S2PI && STE_S2PIE(ste))))
		return false;
	if (idr3 & IDR3_S2PO && STE_S2POE(ste) && !overlays_legal(state, ste))
		return false;
	return !bad_endian(state, STE_S2ENDI(ste)) && !bad_flags(state, STE_S2HA(ste), STE_S2HD(ste)) &&
	       !(has_haft(state) && STE_S2HAFT(ste) && !STE_S2HA(ste)) && !bad_stall(state, STE_S2S(ste));
}

/* What stage 2 needs and is not modelled: a bit of fault.detail, or 0. */
static unsigned int s2_unmodelled(const u64 *state, const u64 *ste)
{
	u64 idr3 = state[IDR3];

	if (STE_CONFIG(ste) == CONFIG_PASSES || !(STE_CONFIG(ste) & CONFIG_S2))
		return 0;
	if (!STE_S2AA64(ste))
		return state[IDR5] & IDR5_D128 ? NO_VMSA128 : NO_VMSA32;
	if (idr3 & IDR3_S2PO && STE_S2POE(ste))
		return NO_OVERLAY;
	if (idr3 & IDR3_S2PI && STE_S2PIE(ste))
		return NO_INDIRECTION;
	return idr3 & IDR3_THE && STE_HARDENING(ste) ? NO_THE : 0;
}

/* SteIllegal (5.2.2), for V=1 and a Config that does not abort; fills c->s2 if its tables are VMSAv8-64.
 * false: C_BAD_STE. */
static bool ste_legal(struct pt_context *c, const u64 *ste)
{
	const u64 *state = c->unit->state;
	unsigned int config = (unsigned int)STE_CONFIG(ste);
	bool vmid_counts = state[IDR0] & IDR0_S2P && is_el1(state, ste);

	if (config == CONFIG_PASSES)
		return true;
	if (!eats_legal(state, ste) || (config & CONFIG_S1 && !s1_fields_legal(state, ste)))
		return false;
	/* 5.2 STRW */
	if (config == (CONFIG_PASSES | CONFIG_S1) && state[IDR0] & IDR0_HYP && STE_STRW(ste) & 1)
		return false;
	if (vmid_counts && STE_S2VMID(ste) > 255 && !(state[IDR0] & IDR0_VMID16)) /* 5.2 S2VMID */
		return false;
	if (!(config & CONFIG_S2))
		return true;
	return s2_fields_legal(state, ste) && (!STE_S2AA64(ste) || s2_stage(c, ste));
}

/* ---- CD: legal? its stage 1 ---- */

/* One half of the input: TTB0 or TTB1. */
struct half {
	unsigned int granule_lg2; /* 0: the half is disabled */
	unsigned int bits, top;
	u64 ttb;
	bool ds, drops_top_byte; /* TBI */
};

/* Fills @h from TGx, TxSZ, EPDx and TTBx; false: one of them is illegal (5.4, 5.4.1.1), which is
 * CdIllegal. */
static bool half_of(const u64 *state, const u64 *cd, bool upper, bool el2, struct half *h)
{
	static const u8 granules[2][4] = { { 12, 16, 14, 0 }, { 0, 14, 12, 16 } };
	unsigned int shift = upper ? 16 : 0, tsz = cd[0] >> shift & 63,
		     g = granules[upper][cd[0] >> (shift + 6) & 3];
	bool enabled = el2 ? !upper : !(cd[0] >> (upper ? 30 : 14) & 1);
	bool ds = g != 16 && cd[2] & CD_DS && state[IDR5] & IDR5_DS;
	unsigned int least = (g == 16 || ds) && IDR5_VAX(state[IDR5]) ? 12 : 16;

	*h = (struct half){ .drops_top_byte = cd[0] >> (upper ? 39 : 38) & 1 };
	if (!enabled)
		return true;
	h->ttb = ttb_address(state, cd[1 + upper]);
	if (!has_granule(state, g) || tsz > max_tsz(state, g) || tsz < least ||
	    !ttb_fits(h->ttb, g, ds, output_bits(state, CD_IPS(cd))))
		return false;
	h->granule_lg2 = g;
	h->ds = ds;
	h->bits = 64 - tsz;
	h->top = (h->bits - g - 1) / (g - 3);
	return true;
}

/* Has PIIP, and but for EL2 PIIU, only permissions that exist, and none that lets the privileged execute
 * what the unprivileged write (5.4 PIIU, PIIP)? */
static bool indirection_legal(const u64 *cd, bool el2)
{
	for (unsigned int i = 0; i < 48; i += 3) {
		unsigned int priv = cd[7] >> i & 7, user = cd[6] >> i & 7;

		if ((priv & 5) == 4 || (!el2 && ((user & 5) == 4 || (priv & 2 && user & 4))))
			return false;
	}
	return true;
}

/* Does the CD ask for permission indirection (3.26.1)? */
static bool indirect(const u64 *state, const u64 *ste, const u64 *cd)
{
	return state[IDR3] & IDR3_S1PI && STE_S1PIE(ste) && cd[2] & CD_PIE;
}

/* 5.4 AA64, and PIIU and PIIP of the formats that use them. */
static bool cd_format_legal(const u64 *state, const u64 *ste, const u64 *cd, bool el2, bool e2h)
{
	if (cd[0] & CD_AA64)
		return state[IDR0] & IDR0_TTF64 && (!indirect(state, ste, cd) || indirection_legal(cd, el2));
	if (state[IDR5] & IDR5_D128)
		return STE_S1PIE(ste) && !el2 && indirection_legal(cd, el2);
	return state[IDR0] & IDR0_TTF32 && !e2h;
}

/* 5.4: HA, HD, HAFT; AA64; ENDI if a half is on; S (5.5) also against S1STALLD; A (5.5); ASID. The fields
 * that give the layout of the tables are half_of()'s. */
static bool cd_fields_legal(const u64 *state, const u64 *ste, const u64 *cd, bool el2, bool e2h)
{
	u64 idr0 = state[IDR0], disabled = BIT(14) | BIT(30); /* EPD0, EPD1 */
	bool walks = el2 || (cd[0] & disabled) != disabled;
	bool vmsa32 = !(cd[0] & CD_AA64) && !(state[IDR5] & IDR5_D128);

	if (!vmsa32 && (bad_flags(state, cd[0] & CD_HA, cd[0] & CD_HD) ||
			(has_haft(state) && cd[1] & CD_HAFT && !(cd[0] & CD_HA))))
		return false;
	return cd_format_legal(state, ste, cd, el2, e2h) && !(walks && bad_endian(state, cd[0] & CD_ENDI)) &&
	       !bad_stall(state, cd[0] & CD_S) && !(cd[0] & CD_S && STE_S1STALLD(ste)) &&
	       !(idr0 & IDR0_TERM_MODEL && !(cd[0] & CD_A)) &&
	       (el2 || CD_ASID(cd) < 256 || idr0 & IDR0_ASID16);
}

/* What stage 1 needs and is not modelled: a bit of fault.detail, or 0. */
static unsigned int s1_unmodelled(const u64 *state, const u64 *ste, const u64 *cd)
{
	if (!(cd[0] & CD_AA64))
		return state[IDR5] & IDR5_D128 ? NO_VMSA128 : NO_VMSA32;
	return indirect(state, ste, cd) ? NO_INDIRECTION : 0;
}

/* CdIllegal (5.4.2), for V=1; fills @halves if their tables are VMSAv8-64. false: C_BAD_CD. @e2h:
 * EL2-E2H, which is not @el2. */
static bool cd_legal(const u64 *state, const u64 *ste, const u64 *cd, bool el2, bool e2h,
		     struct half halves[2])
{
	if (!cd_fields_legal(state, ste, cd, el2, e2h))
		return false;
	return !(cd[0] & CD_AA64) ||
	       (half_of(state, cd, false, el2, &halves[0]) && half_of(state, cd, true, el2, &halves[1]));
}

/* Rules of stage 1 by AP, PAN, EPAN and WXN (5.4; Arm ARM D8.4.1.2, J1.1.4.28). EL2 has one privilege
 * only. */
#define EL2_ROW(how, wxn) how(RULE(0, 0, 0), RULE(PT_W, 0, 0), RULE(PT_X, (wxn) ? PT_W : 0, 0), RULE(0, 0, 0))
#define USER_ROW(how, wxn)                                                                              \
	how(RULE(PT_USER, 0, 0), RULE(PT_USER | PT_W, 0, 0), RULE(PT_X, 0, (wxn) ? PT_USER | PT_W : 0), \
	    RULE(0, 0, 0))
#define PRIVILEGED_ROW(how, wxn, pan)                                                                  \
	how(RULE(0, pan, 0), RULE(PT_W, pan, 0), RULE(GRANT_PRIV_X, (wxn) ? PT_W : 0, PT_USER | PT_W), \
	    RULE(0, 0, 0))
#define EL2_RULES(how, wxn)                          \
	{                                            \
		EL2_ROW(how, wxn), EL2_ROW(how, wxn) \
	}
#define EL1_RULES(how, wxn, pan)                                  \
	{                                                         \
		USER_ROW(how, wxn), PRIVILEGED_ROW(how, wxn, pan) \
	}
#define S1_RULES(how)                                                                                     \
	{                                                                                                 \
		{ EL2_RULES(how, 0), EL2_RULES(how, 1) }, { EL1_RULES(how, 0, 0), EL1_RULES(how, 1, 0) }, \
			{ EL1_RULES(how, 0, PT_USER), EL1_RULES(how, 1, PT_USER) },                       \
			{ EL1_RULES(how, 0, PT_USER | PT_X), EL1_RULES(how, 1, PT_USER | PT_X) },         \
	}

enum { EL2, EL1, EL1_PAN, EL1_EPAN, REGIMES };

static pt_rules s1_rules[3][REGIMES][2] = { /* [INSTCFG][regime][WXN] */
					    S1_RULES(AS_THEY_COME), S1_RULES(AS_READS), S1_RULES(AS_FETCHES)
};

static unsigned int regime_of(const u64 *state, const u64 *cd, bool el2)
{
	if (el2)
		return EL2;
	if (!(cd[0] & CD_PAN))
		return EL1;
	return state[IDR3] & IDR3_EPAN && cd[1] & CD_EPAN ? EL1_EPAN : EL1_PAN;
}

#endif
