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

/* Bits of an entry that are reserved where a unit lacks what they are for. */
struct needs {
	u64 bits;
	u64 ecap; /* all of these */
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

/* What PASID entries of scalable mode may choose (SPT.4). */
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

/* The bits of them that are reserved (9.6). */
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
	if (s[REV] >= REV_3_4)                                            /* were EMT, PWT, PCD */
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

	if (haw < ADDR_LO || haw > ADDR_HI + 1)
		return refuse(err, RULE_UNIT_HAW, 0, haw, 0);
	if (s[REV] < 0x100 || s[REV] > 0xfff)
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
	} else {
		bool aborts = ttm == NO_MODE && state[ECAP] & ECAP_ADMS;

		c->flags = NO_MODE;
		refuse_request(w, aborts ? IOMMU_ABI_ABORTED : IOMMU_ABI_INVALID, aborts ? 0x33 : 0x30,
			       IOMMU_ABI_DEVICE);
	}
}

/* TES=0 (4.2.1). A PASID counts for nothing (3.1). */
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

/* The page must not reach into ranges that have another answer: interrupts, and beyond the second stage. */
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

/* 64 PASIDs to a table; root entries have 128 devices each, in legacy mode 256. */
static unsigned int vtd_covers_lg2(const struct pt_walk *w, unsigned int stage, unsigned int level)
{
	(void)level;
	return stage == IOMMU_ABI_PASID ? 6 : (w->c->flags & MODE) == LEGACY ? 8 : 7;
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
		return !w->c->has_pasid && f->level == w->s2.top ? 0x03 : 0x07;
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
	case IOMMU_ABI_UPDATE_DENIED:
		return 0x90;
	case IOMMU_ABI_INPUT_RANGE:
		return 0x80;
	case IOMMU_ABI_PRIVILEGE:
		return 0x81;
	case IOMMU_ABI_DENIED:
		return w->access == PT_X ? 0x82 : 0x85; /* what is present can be read */
	}
	return 0;
}

/* Of rights that lack something: neither reading nor writing, since 5.0, is SSS.2. */
static u32 native_denied(const struct pt_walk *w, bool data, bool top)
{
	if (!(w->granted & (PT_R | PT_W)) && w->unit->state[REV] >= REV_5_0)
		return 0x79;
	if (data)
		return w->access == PT_X ? 0x82 : w->access == PT_W ? 0x85 : 0x86;
	if (w->granted & PT_R)
		return 0x77; /* SSADE: tables must be writable */
	return top ? 0x75 : 0x76;
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
		if (data)
			return w->s1.top == PT_OFF || w->unit->state[REV] < REV_4_1 ? 0x84 : 0x74;
		return top ? 0x73 : 0x74;
	case IOMMU_ABI_UPDATE_DENIED:
		return f->purpose == IOMMU_ABI_FOR_S1_UPDATE ? 0x77 : 0x7c;
	case IOMMU_ABI_DENIED:
		return native_denied(w, data, top);
	}
	return 0;
}

/* Tables that cannot be read; the rest of their faults bring their codes. */
static u32 native_unreadable(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;

	if (f->stage == IOMMU_ABI_PASID)
		return is_scalable(w) ? (f->level ? 0x50 : 0x58) : 0;
	if (is_scalable(w))
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

/* What a Device-TLB learns from a completion without rights, and software not at all (7.1.2, Table 30). */
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

/* By FPD of an entry that this request came to. */
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

/* A translation request gets a page, of which no byte may be an interrupt (SGN.8.2, since 4.1). */
static bool page_has_interrupts(const struct pt_walk *w)
{
	return w->q->at == IOMMU_ABI_TRANSLATION && is_scalable(w) && w->out->size_lg2 > 20 &&
	       w->unit->state[REV] >= REV_4_1 && !((w->out->hpa ^ 0xfee00000) >> w->out->size_lg2);
}

/* The same where more can be asked. That no right remains comes first. */
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

/* A translation request that is left without a right fails as the access fails that it wants (4.2.3). @refs:
 * those before the stages. */
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
