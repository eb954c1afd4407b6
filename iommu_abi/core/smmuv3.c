/* SPDX-License-Identifier: MIT */
/*
 * smmuv3.c - Arm System MMU version 3: registers, stream table, CD tables, events.
 *
 * Arm IHI 0070: sections 3.3 (stream and CD tables), 5.2 (STE), 5.4 (CD), 6.3 (registers) and
 * 7.3 (events, and in 7.3.22 the order of checks). Non-secure, little-endian, AArch64 tables
 * (smmuv3_pt.h). What the text leaves open is decided in docs/walk_smmuv3.md.
 */
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

enum {
	OAS = PT_MAX_REGS, /* bits of a physical address */
	IAS,               /* of an intermediate one */
};

/* Of IDR5.OAS, CD.IPS and STE.S2PS. */
static const u8 address_bits[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };

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

static PT_COLD void fault_at(struct pt_walk *w, unsigned int reason, u32 native, const struct pt_place *at,
			     const u64 *raw)
{
	pt_fault(w, reason, at, w->q->iova, raw, raw ? *raw : 0);
	w->out->fault.native = native;
}

PT_INLINE enum pt_verdict refuse_at(struct pt_walk *w, unsigned int reason, u32 native,
				    const struct pt_place *at, const u64 *raw)
{
	fault_at(w, reason, native, at, raw);
	return PT_FAULT;
}

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
		return refuse_at(w, IOMMU_ABI_BLOCKED, F_BAD_ATS_TREQ, &none, NULL);
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return refuse_at(w, IOMMU_ABI_BLOCKED, F_TRANSL_FORBIDDEN, &none, NULL);
	if (w->unit->state[GBPA] & GBPA_ABORT)
		return refuse_at(w, IOMMU_ABI_ABORTED, 0, &none, NULL);
	return pass(w, PT_R | PT_W);
}

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

/* ---- stream table ---- */

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
		return !refuse_at(w, IOMMU_ABI_NOT_PRESENT, C_BAD_STREAMID, at, &desc);
	if (span > split + 1)
		return !refuse_at(w, IOMMU_ABI_RESERVED, C_BAD_STREAMID, at, &desc);
	if (index >> (span - 1))
		return !refuse_at(w, IOMMU_ABI_RID_RANGE, C_BAD_STREAMID, at, &desc);
	at->level = 0;
	at->gpa = at->hpa = (desc & BITS(51, 6) & ~0ull << (5 + span)) + 64 * index;
	return true;
}

/* Where is the STE? false: a fault is in w->out. */
static bool find_ste(struct pt_walk *w, struct pt_place *at)
{
	const u64 *state = w->unit->state;
	u64 cfg = state[STRTAB_BASE_CFG], base = state[STRTAB_BASE] & BITS(51, 6);
	unsigned int log2size = FIELD(cfg, 5, 0), split = FIELD(cfg, 10, 6),
		     sidsize = IDR1_SIDSIZE(state[IDR1]);

	if ((u64)w->q->rid >> (log2size < sidsize ? log2size : sidsize))
		return !refuse_at(w, IOMMU_ABI_RID_RANGE, C_BAD_STREAMID, at, NULL);
	if (FIELD(cfg, 17, 16) == 1 && IDR0_ST_LEVEL(state[IDR0]))
		return second_table(w, at, base, log2size, split == 8 || split == 10 ? split : 6);
	base = log2size + 6 < 64 ? base & ~0ull << (log2size + 6) : 0;
	at->gpa = at->hpa = base + 64 * (u64)w->q->rid;
	return true;
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
	unsigned int needed = granule_lg2 == 12 && top == 3   ? 44
			      : granule_lg2 == 14 && top == 2 ? 42
			      : granule_lg2 == 16 && top == 2 ? 44
							      : 0;

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

	if (!(state[IDR0] & IDR0_S1P))
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

	w->s2.top = PT_OFF;
	if (config == CONFIG_PASSES)
		return true;
	if (STE_EATS(ste) == 3)
		return false;
	if (config & CONFIG_S1 && !s1_fields_legal(state, ste))
		return false;
	return !(config & CONFIG_S2) || (s2_fields_legal(state, ste) && s2_stage(w, ste));
}

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
/* of word 1 + @half, for the half's TTB */
#define CD_HAD BIT(1)
#define CD_E0PD BIT(2)
#define CD_HAFT BIT(3) /* word 1 */

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
			return !refuse_at(w, IOMMU_ABI_NOT_PRESENT, C_BAD_SUBSTREAMID, at, &desc);
		table = desc & BITS(51, 12);
		if (w->s2.top == PT_OFF && table >> w->unit->state[OAS])
			return !refuse_at(w, IOMMU_ABI_OUTPUT_RANGE, C_BAD_SUBSTREAMID, at, &desc);
		ssid &= (1u << split) - 1;
		at->level = 0;
	}
	return read_cd(w, at, table + 64 * (u64)ssid, 8, cd);
}

/* ---- stage 1 ---- */

static void s1_rules(struct pt_stage *s, u64 cd0, bool el2, bool priv)
{
	bool wxn = cd0 & CD_WXN;
	u8 pan = cd0 & CD_PAN && !el2 ? PT_USER : 0;

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
		return refuse_at(w, IOMMU_ABI_INPUT_RANGE, F_TRANSLATION, &none, NULL);
	none.level = 0;
	if (word & CD_E0PD && state[IDR3] & IDR3_E0PD && !priv && !el2)
		return refuse_at(w, IOMMU_ABI_PRIVILEGE, F_TRANSLATION, &none, NULL);
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
		return refuse_at(w, IOMMU_ABI_NOT_PRESENT, C_BAD_CD, &at, cd);
	if (!cd_legal(state, ste, cd, el2, halves))
		return refuse_at(w, IOMMU_ABI_INVALID, C_BAD_CD, &at, cd);
	w->flags |= cd[0] & CD_R ? RECORDS_S1 : 0;
	return s1_stage(w, cd, halves, el2, priv);
}

static enum pt_verdict s1_off(struct pt_walk *w)
{
	struct pt_place none = { .stage = IOMMU_ABI_S1 };

	if (w->q->iova >> w->unit->state[IAS])
		return refuse_at(w, IOMMU_ABI_INPUT_RANGE, F_ADDR_SIZE, &none, NULL);
	w->s1.top = PT_OFF;
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
		return refuse_at(w, IOMMU_ABI_BLOCKED, C_BAD_SUBSTREAMID, at, ste);
	if (ssid >> cdmax)
		return refuse_at(w, IOMMU_ABI_PASID_RANGE, C_BAD_SUBSTREAMID, at, ste);
	if (cdmax && (given ? dss == 2 && !ssid : dss == 0 || dss == 3))
		return refuse_at(w, IOMMU_ABI_BLOCKED, F_STREAM_DISABLED, at, ste);
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
		return refuse_at(w, IOMMU_ABI_NOT_PRESENT, C_BAD_STE, &at, ste);
	if (!(STE_CONFIG(ste) & CONFIG_PASSES))
		return refuse_at(w, IOMMU_ABI_ABORTED, 0, &at, ste);
	if (!ste_legal(w, ste))
		return refuse_at(w, IOMMU_ABI_INVALID, C_BAD_STE, &at, ste);
	full_ats = STE_EATS(ste) == EATS_FULL && STE_CONFIG(ste) != CONFIG_PASSES;
	if (w->q->at == IOMMU_ABI_TRANSLATION && !full_ats)
		return refuse_at(w, IOMMU_ABI_BLOCKED, F_BAD_ATS_TREQ, &at, ste);
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return full_ats ? pass(w, PT_R | PT_W)
				: refuse_at(w, IOMMU_ABI_BLOCKED, F_TRANSL_FORBIDDEN, &at, ste);
	priv = override(w, ste);
	if (w->s2.top != PT_OFF) {
		w->flags |= STE_S2R(ste) ? RECORDS_S2 : 0;
		s2_rules(w, ste, priv);
	}
	w->report = PT_R | PT_W | PT_X;
	return substream(w, ste, &at, priv);
}

static int smmuv3_translate(struct pt_walk *w);

const struct pt_vendor pt_vendor_smmuv3 = {
	.name = "smmuv3",
	.rid_last = 0xffffffff,
	.regs = regs,
	.init = smmuv3_init,
	.resolve = smmuv3_resolve,
	.native = smmuv3_native,
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
