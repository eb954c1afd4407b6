/* SPDX-License-Identifier: MIT */
/*
 * vtd.c - Intel Virtualization Technology for Directed I/O.
 *
 * Sections are those of VT-d 5.10. Legacy mode: 3.4.2, 3.7, 9.1, 9.3, 9.8; scalable mode: 3.4.3, 3.6-3.8,
 * 9.2, 9.4-9.8; Device-TLBs: 4.2; fault reasons: 7.1, Table 30. What older revisions have besides depends on
 * REV, a number that software is not shown. ECS, the extended-context mode of 2014-2018 for which
 * bind_pasid_table was made: VT-d 2.x sections 3.4.4, 3.8, 9.2, 9.4, 9.5, whatever REV says. What the texts
 * leave open is decided in docs/walk.md, section "Intel VT-d".
 */
#include <errno.h>

#include "error.h"
#include "pt_request.h"
#include "pt_stages.h"
#include "vtd_request.h"

/* ---- registers ---- */

static const struct pt_reg regs[] = {
	[RTADDR] = { "RTADDR", 0, true },
	[CAP] = { "CAP", 47ull << 16 | 4ull << 8 | 3ull << 34 | CAP_FS1GP | 6, false },
	[ECAP] = { "ECAP",
		   ECAP_DT | ECAP_PT | ECAP_SC | ECAP_ECS | ECAP_NEST | ECAP_ERS | ECAP_SRS | 19ull << 35 |
			   ECAP_PASID | ECAP_SMTS | ECAP_SSTS | ECAP_FSTS | ECAP_SMPWCS,
		   false },
	[GSTS] = { "GSTS", GSTS_TES, false },
	[HAW] = { "HAW", 52, false },
	[REV] = { "REV", REV_4_0, false },
	[VER] = { "VER", 0, false },
	/* known, and without influence on a translation */
	{ "FSTS", 0, false },
	{ "IQA", 0, false },
	{ "IRTA", 0, false },
	{ NULL, 0, false },
};

/* Fills the masks of reserved bits: @common to all entries, @leaf_only, @table_only. Bit k of @large: the
 * unit has pages at level k + 1, whose address bits from @align_lo up to the page size must be 0. */
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

/* The last input of a second stage whose width code is @aw: min(MGAW, AGAW) (3.7), AGAW being 30 + 9 * aw
 * bits. 0: SAGAW lacks that width. */
static u64 ss_last(u64 cap, unsigned int aw)
{
	unsigned int agaw = 30 + 9 * aw, mgaw = CAP_MGAW(cap);

	return CAP_SAGAW(cap) >> aw & 1 ? last_of(agaw < mgaw ? agaw : mgaw) : 0;
}

/* Paging entries (9.7, 9.8). */
static void paging_entries(u64 *s)
{
	u64 above = s[ABOVE_HAW] & BITS(ADDR_HI, ADDR_LO), snp = s[ECAP] & ECAP_SC ? 0 : BIT(11);
	bool io = s[RTADDR] & RTADDR_SSIRWE && s[ECAP] & ECAP_SSIRWS;
	u64 tm = s[ECAP] & ECAP_DT ? 0 : BIT(62); /* transient mapping, of leaves, until 3.2 */
	u64 *ss = &s[SS_RSVD], *ecs = &s[SS_RSVD_ECS];

	reserved_bits(ecs + PT_MAX_LEVELS, ecs, above, snp | tm, BIT(11) | BIT(62), 12, CAP_SSLPS(s[CAP]));
	reserved_bits(ss + PT_MAX_LEVELS, ss, above,
		      snp | (s[REV] < REV_3_2 ? tm
			     : io             ? 0
					      : BIT(62)),
		      BIT(11) | (io ? 0 : BIT(62)), 12, CAP_SSLPS(s[CAP]));
	for (unsigned int nxe = 0; nxe < 2; nxe++) {
		u64 *fs = &s[FS_RSVD + 2 * nxe * PT_MAX_LEVELS];

		reserved_bits(fs + PT_MAX_LEVELS, fs, above | (nxe ? 0 : BIT(63)), 0, 0, 13,
			      s[CAP] & CAP_FS1GP ? 3 : 1);
	}
}

/* Fields of an entry that are reserved unless the unit has certain capabilities (11.4.3). */
struct needs {
	u64 bits;
	u64 ecap; /* bits of ECAP, of which the fields need all */
};

static u64 lacking(u64 ecap, const struct needs *needs, size_t n)
{
	u64 reserved = 0;

	for (size_t i = 0; i < n; i++)
		reserved |= needs[i].ecap & ~ecap ? needs[i].bits : 0;
	return reserved;
}

#define LACKING(ecap, needs) lacking(ecap, needs, sizeof(needs) / sizeof((needs)[0]))

/* Scalable contexts (9.4). */
static void scalable_contexts(u64 *s)
{
	static const struct needs q0[] = {
		{ BIT(2), ECAP_DT },    /* DTE */
		{ BIT(3), ECAP_PASID }, /* PASIDE */
		{ BIT(4), ECAP_PRS },   /* PRE */
		{ BIT(5), ECAP_HPTS },  /* HPTE */
		{ BIT(6), ECAP_PTRS },  /* EPTR */
	};
	static const struct needs q1[] = {
		{ BITS(19, 0), ECAP_RPS }, /* RID_PASID */
		{ BIT(20), ECAP_RPRIVS },  /* RID_PRIV */
	};

	s[CONTEXT_RSVD] = BITS(8, 7) | s[ABOVE_HAW] | LACKING(s[ECAP], q0);
	s[CONTEXT_RSVD + 1] = BITS(63, 21) | LACKING(s[ECAP], q1);
}

/* Extended contexts (2.x, 9.4). */
static void extended_contexts(u64 *s)
{
	static const struct needs q0[] = {
		{ BITS(7, 5), ECAP_MTS }, /* EMT */
		{ BIT(8), ECAP_DIS },     /* DINVE */
		{ BIT(9), ECAP_PRS },     /* PRE */
		{ BIT(10), ECAP_NEST },   /* NESTE */
		{ BIT(11), ECAP_PASID },  /* PASIDE */
	};
	static const struct needs q1[] = {
		{ BITS(7, 6), ECAP_MTS },   /* CD, EMTE */
		{ BIT(25), ECAP_EAFS },     /* EAFE */
		{ BIT(26), ECAP_ERS },      /* ERE */
		{ BITS(63, 32), ECAP_MTS }, /* PAT */
	};

	s[EXTENDED_RSVD] = LACKING(s[ECAP], q0);
	s[EXTENDED_RSVD + 1] = BITS(31, 28) | s[DID_ABOVE] | LACKING(s[ECAP], q1);
}

/* Which PGTT and FSPM may a PASID entry choose? What it may not is SPT.4. */
static void pasid_choices(u64 *s)
{
	static const struct needs pgtt[] = {
		{ BIT(FIRST), ECAP_FSTS },
		{ BIT(SECOND), ECAP_SSTS },
		{ BIT(NESTED), ECAP_FSTS | ECAP_SSTS | ECAP_NEST },
		{ BIT(PASS_THROUGH), ECAP_PT },
	};

	s[PGTTS] = BITS(PASS_THROUGH, FIRST) & ~LACKING(s[ECAP], pgtt);
	s[FSPM_LAST] = s[CAP] & CAP_FS5LP ? 1 : 0;
	s[FSPTPTR_LIMITED] = s[REV] >= REV_4_1 ? ~0ull : 0;
}

/* Reserved bits of PASID entries (9.6). */
static void pasid_entries(u64 *s)
{
	static const struct needs q0[] = {
		{ BIT(9), ECAP_SSTS | ECAP_SSADS }, /* SSADE */
		{ BITS(63, ADDR_LO), ECAP_SSTS },   /* SSPTPTR */
	};
	static const struct needs q1[] = {
		{ BIT(23), ECAP_SMPWCS },                  /* PWSNP */
		{ BITS(26, 25) | BITS(63, 32), ECAP_MTS }, /* CD, EMTE, PAT */
	};
	static const struct needs q2[] = {
		{ BIT(0), ECAP_SRS },                          /* SRE */
		{ BITS(4, 2) | BITS(63, ADDR_LO), ECAP_FSTS }, /* FSPM, WPE, FSPTPTR */
		{ BIT(7), ECAP_EAFS },                         /* EAFE */
	};
	u64 *r = &s[PASID_RSVD], above = s[ABOVE_HAW], did = s[DID_ABOVE] >> 8;
	bool hpt = s[ECAP] & ECAP_HPTS;

	r[0] = BITS(11, 10) | above | LACKING(s[ECAP], q0);
	r[1] = BITS(22, 16) | did | LACKING(s[ECAP], q1);
	r[2] = BITS(11, 8) | above | LACKING(s[ECAP], q2);
	r[4] = hpt ? BITS(11, 3) | above : ~0ull;
	r[5] = hpt ? BITS(63, 16) | did : ~0ull;
	if (s[REV] >= REV_3_4)                                            /* until then EMT, PWT, PCD */
		r[1] |= BITS(31, 27) | (s[ECAP] & ECAP_SC ? 0 : BIT(24)); /* PGSNP */
	if (s[REV] >= REV_4_1) {
		r[0] |= BIT(5) | (s[ECAP] & ECAP_SSTS ? 0 : BITS(4, 2)); /* SLEE; AW */
		r[2] |= BIT(1);                                          /* ERE */
	}
}

static int vtd_init(struct iommu_abi_unit *u, struct iommu_abi_error *err)
{
	u64 *s = u->state, haw = s[HAW];
	unsigned int did_bits;

	if (haw < ADDR_LO || haw > ADDR_HI + 1) /* pointers are bits 51:12 (chapter 9) */
		return refuse(err, RULE_UNIT_HAW, 0, haw, 0);
	if (s[REV] < 0x100 || s[REV] > 0xfff) /* ours */
		return refuse(err, RULE_UNIT_REV, 0, s[REV], 0);
	s[ABOVE_HAW] = BITS(63, haw);
	did_bits = 4 + 2 * CAP_ND(s[CAP]);
	s[DID_ABOVE] = did_bits < 16 ? BITS(15, did_bits) << 8 : 0;
	for (unsigned int aw = 0; aw < 5; aw++)
		s[SS_LAST + aw] = ss_last(s[CAP], aw);
	paging_entries(s);
	scalable_contexts(s);
	extended_contexts(s);
	s[PSS_LAST] = s[ECAP] & ECAP_PASID && s[REV] >= REV_5_0 ? last_of(ECAP_PSS(s[ECAP]) + 1) : ~0ull;
	pasid_choices(s);
	pasid_entries(s);
	return 0;
}

/* ---- the hooks ---- */

static void vtd_look_up(struct pt_walk *w, struct pt_context *c)
{
	const u64 *state = c->unit->state;
	unsigned int ttm = state[RTADDR] >> 10 & 3;

	c->flags = ttm;
	if (PT_UNLIKELY(!(state[GSTS] & GSTS_TES))) {
		c->flags = OFF;
	} else if (ttm == SCALABLE && state[ECAP] & ECAP_SMTS) {
		scalable_context(w, c);
	} else if (ttm == LEGACY) {
		legacy_context(w, c);
	} else if (ttm == ECS && state[ECAP] & ECAP_ECS) {
		ecs_context(w, c);
	} else { /* RTA.4: abort mode (3.4.4); RTA.1: a mode that the unit lacks */
		bool aborts = ttm == NO_MODE && state[ECAP] & ECAP_ADMS;

		c->flags = NO_MODE;
		refuse_request(w, aborts ? IOMMU_ABI_ABORTED : IOMMU_ABI_INVALID, aborts ? 0x33 : 0x30,
			       IOMMU_ABI_DEVICE);
	}
}

/* TES=0: requests of Device-TLBs are unsupported (4.2.1), all others pass. A PASID is ignored (3.1). */
static PT_COLD enum pt_verdict remapping_off(struct pt_walk *w)
{
	if (w->q->at != IOMMU_ABI_UNTRANSLATED)
		return unsupported(w);
	if (in_interrupt_range(w->iova))
		return interrupt_message(w);
	return pass(w, PT_R | PT_W);
}

PT_INLINE enum pt_verdict vtd_admit(struct pt_walk *w)
{
	unsigned int mode;

	if (PT_UNLIKELY(in_interrupt_range(w->iova)) && w->q->at == IOMMU_ABI_UNTRANSLATED &&
	    !w->c->has_pasid)
		return interrupt_message(w);
	mode = w->c->flags & MODE;
	if (PT_LIKELY(mode == SCALABLE))
		return scalable(w);
	if (mode == LEGACY)
		return legacy(w);
	if (mode == ECS)
		return ecs(w);
	return mode == OFF ? remapping_off(w) : pt_refused(w);
}

/* Cuts the page size, so that no part of the page is an interrupt address (3.15) or beyond the second
 * stage. */
static PT_COLD void cut_page(struct pt_walk *w)
{
	unsigned int lg2 = w->out->size_lg2, apart = pt_apart(w->out->hpa, 0xfee00000, 20);

	lg2 = apart < lg2 ? apart : lg2;
	if (!(w->q->flags & IOMMU_ABI_HAS_PASID)) {
		apart = pt_apart(w->iova, 0xfee00000, 20);
		lg2 = apart < lg2 ? apart : lg2;
	}
	if (w->s2.top != PT_OFF)
		lg2 = within(lg2, w->s2.in_span);
	w->out->size_lg2 = (__u8)lg2;
}

/* The output lies in the interrupt range (3.15): SGN.8, LGN.4. */
static PT_COLD enum pt_verdict to_interrupts(struct pt_walk *w)
{
	return refuse_request(w, IOMMU_ABI_INTERRUPT_RANGE, is_scalable(w) ? 0x87 : 0x0e,
			      w->s2.top != PT_OFF ? IOMMU_ABI_S2 : IOMMU_ABI_S1);
}

static inline enum pt_verdict vtd_output(struct pt_walk *w)
{
	if (PT_UNLIKELY(in_interrupt_range(w->out->hpa)))
		return to_interrupts(w);
	if (PT_UNLIKELY(w->unset.reason)) {
		w->out->fault = w->unset;
		return PT_FAULT;
	}
	if (w->out->size_lg2 > PAGE_LG2)
		cut_page(w);
	return PT_GO;
}

static u64 vtd_window(const struct pt_walk *w, u64 addr)
{
	(void)w;
	return pt_beside(addr, 0xfee00000, 0xfeefffff);
}

/* A PASID directory entry covers 64 PASIDs, half a root entry 128 devices; in legacy mode a root entry
 * 256. */
static unsigned int vtd_covers_lg2(const struct pt_walk *w, unsigned int stage, unsigned int level)
{
	(void)level;
	return stage == IOMMU_ABI_PASID ? 6 : (w->c->flags & MODE) == LEGACY ? 8 : 7;
}

/* ---- fault reasons (7.1; at each code its condition in Table 30) ---- */

/* Which access did stage 2 deny? Reading a first-stage entry is a read and updating it a write, whatever the
 * request is. */
static unsigned int denied_access(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	if (f->stage != IOMMU_ABI_S2 || f->purpose == IOMMU_ABI_FOR_DATA)
		return w->q->access;
	return f->purpose == IOMMU_ABI_FOR_S1_UPDATE ? PT_W : PT_R;
}

/* Second stage of legacy mode, and of ECS, which has the same codes. */
static u32 native_legacy(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	switch (f->reason) {
	case IOMMU_ABI_INPUT_RANGE:
		return 0x04; /* LGN.1.1 */
	case IOMMU_ABI_NOT_PRESENT:
	case IOMMU_ABI_DENIED:
	case IOMMU_ABI_UPDATE_DENIED:
		return denied_access(w) == PT_W ? 0x05 : 0x06; /* LGN.2, LGN.3 */
	case IOMMU_ABI_UNREADABLE:
		return !w->c->has_pasid && f->level == w->s2.top ? 0x03 : 0x07; /* LCT.4.3, LSS.1 */
	case IOMMU_ABI_RESERVED:
		return 0x0c; /* LSS.2 */
	}
	return 0;
}

static u32 native_scalable_s1(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	switch (f->reason) {
	case IOMMU_ABI_UNREADABLE:
		return f->level == w->s1.top ? 0x73 : 0x70; /* SFS.4, SFS.1 */
	case IOMMU_ABI_NOT_PRESENT:
		return 0x71; /* SFS.2 */
	case IOMMU_ABI_RESERVED:
		return 0x72; /* SFS.3 */
	case IOMMU_ABI_UPDATE_DENIED:
		return 0x90; /* SFS.9 */
	case IOMMU_ABI_INPUT_RANGE:
		return 0x80; /* SGN.1 */
	case IOMMU_ABI_PRIVILEGE:
		return 0x81; /* SGN.2 */
	case IOMMU_ABI_DENIED:
		return w->access == PT_X ? 0x82 : 0x85; /* SGN.3 (up to 4.0), SGN.6; reads are never denied */
	}
	return 0;
}

/* The rights of the second stage lack what is needed. Since 5.0 rights with neither R nor W are SSS.2. */
static u32 native_denied(const struct pt_walk *w, bool data, bool top)
{
	if (!(w->granted & (PT_R | PT_W)) && w->unit->state[REV] >= REV_5_0)
		return 0x79;
	if (data)
		return w->access == PT_X ? 0x82 : w->access == PT_W ? 0x85 : 0x86; /* SGN.3, SGN.6, SGN.7 */
	if (w->granted & PT_R)
		return 0x77;      /* SFS.8: with SSADE, reading a table wants W (3.8.1) */
	return top ? 0x75 : 0x76; /* SFS.6, SFS.7 */
}

static u32 native_scalable_s2(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;
	bool data = f->purpose == IOMMU_ABI_FOR_DATA, top = f->for_level == w->s1.top;

	switch (f->reason) {
	case IOMMU_ABI_UNREADABLE:
		return f->level == w->s2.top ? 0x7b : 0x78; /* SSS.4, SSS.1 */
	case IOMMU_ABI_NOT_PRESENT:
		return 0x79; /* SSS.2 */
	case IOMMU_ABI_RESERVED:
		return 0x7a; /* SSS.3 */
	case IOMMU_ABI_INPUT_RANGE:
		if (data) /* SGN.5, SFS.5 */
			return w->s1.top == PT_OFF || w->unit->state[REV] < REV_4_1 ? 0x84 : 0x74;
		return top ? 0x73 : 0x74; /* SFS.4, SFS.5 */
	case IOMMU_ABI_UPDATE_DENIED:
		return f->purpose == IOMMU_ABI_FOR_S1_UPDATE ? 0x77 : 0x7c; /* SFS.8, SSS.5 */
	case IOMMU_ABI_DENIED:
		return native_denied(w, data, top);
	}
	return 0;
}

/* Device and PASID tables that cannot be read; look_up() has given their other faults a code. */
static u32 native_unreadable(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	if (f->stage == IOMMU_ABI_PASID)
		return is_scalable(w) ? (f->level ? 0x50 : 0x58) : 0; /* SPD.1, SPT.1 */
	if (is_scalable(w))
		return f->level ? 0x38 : 0x40; /* SRT.1, SCT.1 */
	return f->level ? 0x08 : 0x09;         /* LRT.1, LCT.1 */
}

/* Table 30 has these as not qualified: FPD does not suppress them, for no entry with FPD was read yet. */
static bool always_recorded(u32 native)
{
	switch (native) {
	case 0x01:
	case 0x08:
	case 0x09:
	case 0x0a:
	case 0x29:
	case 0x30:
	case 0x31:
	case 0x33:
	case 0x34:
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

/* A translation request that ends so gets a completion without rights, and nothing is recorded (7.1.2,
 * Table 30). */
static bool recoverable(u32 native)
{
	switch (native) {
	case 0x04 ... 0x06:
	case 0x19: /* ECS */
	case 0x1a:
	case 0x51:
	case 0x59:
	case 0x5c:
	case 0x5d:
	case 0x70 ... 0x77:
	case 0x79:
	case 0x80 ... 0x86:
	case 0x90:
		return true;
	}
	return false;
}

/* Has an entry that this request came to the bit FPD (7.1.1)? */
static bool suppressed(const struct pt_walk *w)
{
	return w->c->flags & FPD || (w->c->flags & FPD_PASID && w->flags & PROCESS);
}

static void vtd_native(struct pt_walk *w)
{
	struct iommu_abi_fault *f = &w->out->fault;

	if (f->native || f->reason == IOMMU_ABI_BLOCKED)
		; /* look_up() or admit() has said it */
	else if (f->stage == IOMMU_ABI_S1)
		f->native = is_scalable(w) ? native_scalable_s1(w) : 0;
	else if (f->stage == IOMMU_ABI_S2)
		f->native = is_scalable(w) ? native_scalable_s2(w) : native_legacy(w);
	else if (f->reason == IOMMU_ABI_UNREADABLE)
		f->native = native_unreadable(w);
	if (suppressed(w) && !always_recorded(f->native))
		f->recorded = 0;
	if (w->q->at == IOMMU_ABI_TRANSLATION && recoverable(f->native))
		f->recorded = 0;
}

static int vtd_translate(struct pt_walk *w);

const struct pt_vendor pt_vendor_vtd = {
	.name = "vtd",
	.rid_last = 0xffff,
	.regs = regs,
	.init = vtd_init,
	.look_up = vtd_look_up,
	.output = vtd_output,
	.native = vtd_native,
	.window = vtd_window,
	.covers_lg2 = vtd_covers_lg2,
	.translate = vtd_translate,
	.f1 = &fs,
	.f2 = &ss,
};

/* Does the page that a translation request would get hold the interrupt range? SGN.8.2, since 4.1. */
static bool page_has_interrupts(const struct pt_walk *w)
{
	return w->q->at == IOMMU_ABI_TRANSLATION && is_scalable(w) && w->out->size_lg2 > 20 &&
	       w->unit->state[REV] >= REV_4_1 && !((w->out->hpa ^ 0xfee00000) >> w->out->size_lg2);
}

/* vtd_output() for walks by fs_rare and ss_rare. A translation request without any right fails for that
 * first. */
static enum pt_verdict rare_output(struct pt_walk *w)
{
	if (!w->out->access && !(w->flags & JUDGED))
		return PT_GO;
	return page_has_interrupts(w) ? to_interrupts(w) : vtd_output(w);
}

static const struct pt_vendor rare = { .output = rare_output };

static PT_COLD int rare_stages(struct pt_walk *w)
{
	if (pt_stages(&rare, &fs_rare, &ss_rare, w, w->trace))
		return 1;
	cut_page(w);
	return 0;
}

/* A translation request that no right is left for fails as the access that it asks for would (4.2.3):
 * walk again, judged by that access. @refs: references in the trace before the stages. */
static PT_COLD int say_why(struct pt_walk *w, u32 refs)
{
	u32 before = w->refs;

	pt_begin(w, w->q, w->out);
	w->refs = before;
	w->flags = JUDGED;
	if (w->trace)
		w->trace->n = refs;
	return vtd_translate(w);
}

static PT_COLD int translate_rarely(struct pt_walk *w)
{
	u32 refs = w->trace ? w->trace->n : 0;
	int blocked = rare_stages(w);

	return !blocked && !w->out->access && !(w->flags & JUDGED) ? say_why(w, refs) : blocked;
}

static int vtd_translate(struct pt_walk *w)
{
	enum pt_verdict verdict = vtd_admit(w);

	if (PT_UNLIKELY(verdict != PT_GO))
		return verdict == PT_FAULT;
	if (PT_UNLIKELY((w->flags | w->c->flags) & RARE))
		return translate_rarely(w);
	return w->trace ? pt_stages(&pt_vendor_vtd, &fs, &ss, w, true)
			: pt_stages(&pt_vendor_vtd, &fs, &ss, w, false);
}
