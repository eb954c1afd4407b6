/* SPDX-License-Identifier: MIT */
/*
 * amdvi.c - AMD I/O Virtualization Technology.
 *
 * AMD IOMMU specification (48882), sections 2.2.2 (device table entry), 2.2.3 (host page tables, v1), 2.2.6
 * (guest page tables, v2, and the GCR3 table), 2.5 (events). The document itself was not at hand: bits and
 * orders come through Linux, QEMU, VirtualBox, illumos and FreeBSD; docs/text_amd.md says which of them says
 * what. A section at a check is the one that they cite. What they leave open is decided in docs/walk.md, section
 * "AMD-Vi"; such a check says "ours".
 */
#include "pt_stages.h"
#include "pt_tables.h"
#include "x86_pt.h"

#define ADDR BITS(51, 12)

/* ---- registers ---- */

enum { DEVTAB_BASE, CONTROL, EXT_FEATURES, EXT_FEATURES2 };

#define CONTROL_IOMMU_EN BIT(0)
#define CONTROL_GT_EN BIT(16)
#define CONTROL_GD_UPDATE_DIS BIT(48)
#define CONTROL_GA_UPDATE_DIS BIT(54)
#define CONTROL_GCR3TRP_MODE BIT(58)

#define EFR_NX_SUP BIT(3)
#define EFR_GT_SUP BIT(4)
#define EFR_HATS(e) ((unsigned int)((e) >> 10 & 3))
#define EFR_GATS(e) ((unsigned int)((e) >> 12 & 3))
#define EFR_GLX_SUP(e) ((unsigned int)((e) >> 14 & 3))
#define EFR_PAS_MAX(e) ((unsigned int)((e) >> 32 & 31))
#define EFR_GIO_SUP BIT(48)
#define EFR_EPH_SUP BIT(50)
#define EFR2_GCR3TRP_MODE BIT(3)

static const struct pt_reg regs[] = {
	[DEVTAB_BASE] = { "DEVTAB_BASE", 0, true },
	[CONTROL] = { "CONTROL", CONTROL_IOMMU_EN | CONTROL_GT_EN | CONTROL_GCR3TRP_MODE, false },
	[EXT_FEATURES] = { "EXT_FEATURES",
			   EFR_NX_SUP | EFR_GT_SUP | 2ull << 10 | 2ull << 14 | 19ull << 32 | EFR_GIO_SUP |
				   EFR_EPH_SUP,
			   false },
	[EXT_FEATURES2] = { "EXT_FEATURES2", EFR2_GCR3TRP_MODE, false },
	/* known, and without influence on a translation */
	{ "CMDBUF_BASE", 0, false },
	{ "EVTLOG_BASE", 0, false },
	{ "STATUS", 0, false },
	{ "EXCL_BASE", 0, false },
	{ "EXCL_LIMIT", 0, false },
	{ NULL, 0, false },
};

enum {
	V1_RSVD = PT_OWN_STATE, /* [leaf][level] */
	V2_RSVD = V1_RSVD + 2 * PT_MAX_LEVELS,
	DTE_RSVD = V2_RSVD + 2 * PT_MAX_LEVELS, /* [word], of the first two */
};

/* Reserved bits of a v1 entry that points to a table, and of a page's. */
#define V1_TABLE_HIGH BITS(60, 52)
#define V1_LEAF_HIGH BITS(58, 52)

static int amdvi_init(struct iommu_abi_unit *u, struct iommu_abi_error *err)
{
	u64 *v1 = &u->state[V1_RSVD], *v2 = &u->state[V2_RSVD];
	u64 efr = u->state[EXT_FEATURES], nx = efr & EFR_NX_SUP ? 0 : BIT(63);

	(void)err;
	/* 2.2.2: GV, GLX, GCR3TRP are reserved without GTSup, GIoV without GIoSup, PPR and GPRP without EPHSup */
	u->state[DTE_RSVD] = BITS(6, 2) | BIT(63) | (efr & EFR_GT_SUP ? 0 : BITS(60, 55)) |
			     (efr & EFR_GIO_SUP ? 0 : BIT(54)) | (efr & EFR_EPH_SUP ? 0 : BITS(53, 52));
	u->state[DTE_RSVD + 1] = BIT(42) | (efr & EFR_GT_SUP ? 0 : BITS(31, 16));
	for (unsigned int level = 0; level < PT_MAX_LEVELS; level++) {
		v1[level] = V1_TABLE_HIGH;
		/* AMD's level 6 has no leaves (2.2.3): reserve bit 0, which every entry in use has set */
		v1[PT_MAX_LEVELS + level] = V1_LEAF_HIGH | (level == 5 ? BIT(0) : 0);
		v2[level] = nx;
		v2[PT_MAX_LEVELS + level] = nx | (level > 2 ? BIT(7) : level ? BITS(11 + 9 * level, 13) : 0);
	}
	return 0;
}

/* ---- paging entries ---- */

enum { AD_A = 1, AD_D = 2 }; /* pt_stage.flags: flags that the hardware keeps */

/* 2.2.3: PR, then NextLevel, which must be below this level; 0 and 7 are pages. */
static inline struct pt_entry v1_decode(u64 raw, unsigned int level, const struct pt_stage *s)
{
	unsigned int next = raw >> 9 & 7;
	struct pt_entry e = {
		.base = raw & ADDR,
		.kind = next && next != 7 ? PT_TABLE : PT_LEAF,
		.size_lg2 = 12 + 9 * level,
		.next = next - 1,
		.grant = raw >> 61 & (PT_R | PT_W),
	};

	(void)s;
	if (!(raw & BIT(0))) {
		e.kind = PT_EMPTY;
	} else if (next == 7) {
		/* the lowest clear bit of the address names the size: bit k, 2^(k+1) bytes */
		e.size_lg2 = (unsigned int)__builtin_ctzll(~(raw >> 12) | BIT(40)) + 13;
		if (e.size_lg2 <= 12 + 9 * level || e.size_lg2 >= 21 + 9 * level || e.size_lg2 > 52)
			e.bad = IOMMU_ABI_RESERVED;
	} else if (next > level && next) {
		e.bad = IOMMU_ABI_RESERVED; /* AMD counts this level as level + 1 */
	}
	return e;
}

static inline u64 v1_update(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s)
{
	return raw | (s->flags & AD_A ? BIT(5) : 0) |
	       (s->flags & AD_D && leaf && access == PT_W ? BIT(6) : 0);
}

/* Plain table entries name the next level and skip none; plain pages have NextLevel 0. */
static inline bool v1_plain(const struct pt_stage *s, const struct pt_rule *rule, unsigned int access,
			    struct pt_plain *p)
{
	u64 must = BIT(0) | (u64)rule->need << 61;

	(void)access;
	p->table = s->rsvd[0][1] | 7 << 9 | must;
	p->page = s->rsvd[1][0] | 7 << 9 | must;
	p->large = s->rsvd[1][1] | 7 << 9 | must;
	p->table_is = p->page_is = p->large_is = must;
	return !(rule->need & ~(PT_R | PT_W));
}

static inline bool v2_plain(const struct pt_stage *s, const struct pt_rule *rule, unsigned int access,
			    struct pt_plain *p)
{
	return x86_plain(s, rule, s->flags & AD_A ? BIT(5) : 0,
			 access == PT_W && s->flags & AD_D ? BIT(6) : 0, p);
}

static const struct pt_format v1 = {
	.granule_lg2 = 12,
	.index_lg2 = 9,
	.entry_lg2 = 3,
	.skips = true,
	.has_rsvd = true,
	.decode = v1_decode,
	.update = v1_update,
	.plain_address = ADDR,
	.plain_step = BIT(9),
	.plain = v1_plain,
};
static const struct pt_format v2 = {
	.granule_lg2 = 12,
	.index_lg2 = 9,
	.entry_lg2 = 3,
	.has_rsvd = true,
	.decode = x86_decode,
	.update = v1_update, /* A and D lie in the same bits */
	.plain_address = ADDR,
	.plain = v2_plain,
};

/* ---- events ---- */

enum {
	ILLEGAL_DEV_TABLE_ENTRY = 1,
	IO_PAGE_FAULT,
	DEV_TAB_HARDWARE_ERROR,
	PAGE_TAB_HARDWARE_ERROR,
	INVALID_DEVICE_REQUEST = 8,
};

enum {
	FLAG_GN = 1,
	FLAG_NX = 2,
	FLAG_US = 4,
	FLAG_PR = 16,
	FLAG_RW = 32,
	FLAG_PE = 64,
	FLAG_RZ = 128,
	FLAG_TR = 256
};

enum {            /* pt_context.flags */
       OFF = 1,   /* the unit translates nothing */
       ENTRY = 2, /* the DTE is legal */
       IOTLB = 4, /* DTE.I: the device may use ATS */
       SA = 8,    /* DTE.SA: no page faults are recorded. SE suppresses only later ones */
};

/* Was RESERVED for reserved bits (RZ=1)? Or for a NextLevel or page size that does not exist (RZ=0,
 * 2.2.3)? */
static bool by_reserved_bits(const struct iommu_abi_fault *f)
{
	unsigned int next = f->raw >> 9 & 7;

	if (f->stage != IOMMU_ABI_S2)
		return true;
	return f->raw & (next && next != 7 ? V1_TABLE_HIGH : V1_LEAF_HIGH);
}

/* The flags of an IO_PAGE_FAULT (2.5), shifted down to bit 0. */
static u64 event_flags(const struct pt_walk *w)
{
	const struct iommu_abi_fault *f = &w->out->fault;
	bool denied = f->reason == IOMMU_ABI_DENIED || f->reason == IOMMU_ABI_PRIVILEGE ||
		      f->reason == IOMMU_ABI_UPDATE_DENIED;
	bool absent = f->reason == IOMMU_ABI_NOT_PRESENT || f->reason == IOMMU_ABI_ABORTED ||
		      f->reason == IOMMU_ABI_RID_RANGE ||
		      (f->reason == IOMMU_ABI_INPUT_RANGE && !f->has_entry);

	return (f->stage == IOMMU_ABI_S1 || f->stage == IOMMU_ABI_PASID ? FLAG_GN : 0) |
	       (f->reason == IOMMU_ABI_DENIED && w->q->access == PT_X ? FLAG_NX : 0) |
	       (f->reason == IOMMU_ABI_PRIVILEGE ? FLAG_US : 0) | (absent ? 0 : FLAG_PR) |
	       (w->q->access == PT_W ? FLAG_RW : 0) | (denied ? FLAG_PE : 0) |
	       (f->reason == IOMMU_ABI_RESERVED && by_reserved_bits(f) ? FLAG_RZ : 0) |
	       (w->q->at == IOMMU_ABI_TRANSLATION ? FLAG_TR : 0);
}

/* A page fault of a translation request makes no event, for the completion tells the device; but for user and
 * supervisor, and for a DeviceID beyond the table (2.1.3.2). */
static bool silent_for_ats(const struct pt_walk *w)
{
	unsigned int reason = w->out->fault.reason;

	return w->q->at == IOMMU_ABI_TRANSLATION && reason != IOMMU_ABI_PRIVILEGE &&
	       reason != IOMMU_ABI_RID_RANGE;
}

static void amdvi_native(struct pt_walk *w)
{
	struct iommu_abi_fault *f = &w->out->fault;

	if (!f->native)
		f->native = f->reason == IOMMU_ABI_UNREADABLE ? PAGE_TAB_HARDWARE_ERROR : IO_PAGE_FAULT;
	if (f->native != IO_PAGE_FAULT)
		return;
	f->detail = event_flags(w);
	if (w->c->flags & SA || silent_for_ats(w))
		f->recorded = 0;
}

/* ---- stages ---- */

static void host_stage(struct pt_context *c, const u64 *dte, unsigned int mode)
{
	static pt_rules rules = {
		{ PT_NEED(PT_R, 0), PT_NEED(PT_W, 0), PT_NEED(PT_R, 0), PT_NEED(PT_R, 0) },
		{ PT_NEED(PT_R, 0), PT_NEED(PT_W, 0), PT_NEED(PT_R, 0), PT_NEED(PT_R, 0) },
	};
	unsigned int had = dte[0] >> 7 & 3;

	if (!mode)
		return;
	c->s2 = (struct pt_stage){
		.root = dte[0] & ADDR,
		.in_span = mode == 6 ? ~0ull : BIT(12 + 9 * mode) - 1,
		.in_mask = ~0ull,
		.rsvd = (const u64(*)[PT_MAX_LEVELS]) & c->unit->state[V1_RSVD],
		.rules = &rules,
		.flags = (had & 1 ? AD_A : 0) | (had == 3 ? AD_D : 0),
		.top = (u8)(mode - 1),
	};
}

#define GUEST_RULES(user, execute)                                                                  \
	{                                                                                           \
		PT_NEED(user, 0), PT_NEED((user) | PT_W, 0), PT_NEED((user) | (execute), 0), { 0 }, \
		{                                                                                   \
			0                                                                           \
		}                                                                                   \
	}

static void guest_stage(struct pt_context *c, u64 root, bool five)
{
	static pt_rules rules[2] = { /* [NX] */
				     { GUEST_RULES(PT_USER, 0), GUEST_RULES(0, 0) },
				     { GUEST_RULES(PT_USER, PT_X), GUEST_RULES(0, PT_X) }
	};
	const u64 *state = c->unit->state;
	u64 control = state[CONTROL];
	unsigned int bits = five ? 57 : 48;
	bool canonical = c->pasid;

	c->s1[0] = (struct pt_stage){
		.root = root & ADDR,
		.in_first = canonical ? ~0ull << (bits - 1) : 0,
		.in_span = BIT(bits) - 1,
		.in_mask = BIT(bits) - 1,
		.rsvd = (const u64(*)[PT_MAX_LEVELS]) & state[V2_RSVD],
		.rules = &rules[!!(state[EXT_FEATURES] & EFR_NX_SUP)],
		.flags = (control & CONTROL_GA_UPDATE_DIS ? 0 : AD_A) |
			 (control & CONTROL_GD_UPDATE_DIS ? 0 : AD_D),
		.top = five ? 4 : 3,
	};
}

/* ---- device table, GCR3 table: who ---- */

/* Walks the GCR3 table (2.2.6) for this PASID and makes stage 1 of the root that it finds; false:
 * refused. Its reserved bits, and what makes the fields of the DTE illegal, are ours. */
static bool guest(struct pt_walk *w, struct pt_context *c, const u64 *dte, const struct pt_place *dte_at)
{
	const u64 *state = c->unit->state;
	unsigned int glx = dte[0] >> 56 & 3, paging = dte[2] >> 54 & 3;
	u64 table =
		(dte[0] >> 58 & 7) << 12 | (dte[1] >> 16 & 0xffff) << 15 | (dte[1] >> 43 & 0x1fffff) << 31;
	bool spa = !(state[CONTROL] & CONTROL_GCR3TRP_MODE);
	struct pt_place at = { .stage = IOMMU_ABI_PASID };
	u32 pasid = c->pasid;
	u64 entry = 0;

	if (!(state[CONTROL] & CONTROL_GT_EN) || glx == 3 || glx > EFR_GLX_SUP(state[EXT_FEATURES]) ||
	    paging > 1 || (paging && !EFR_GATS(state[EXT_FEATURES])))
		return !pt_refuse(w, IOMMU_ABI_INVALID, ILLEGAL_DEV_TABLE_ENTRY, dte_at, dte);
	/* ours: IO_PAGE_FAULT for both limits. PASmax may be 31, and no u32 may be shifted by 32 */
	if (pasid >> 9 * (glx + 1) || (u64)pasid >> (EFR_PAS_MAX(state[EXT_FEATURES]) + 1))
		return !pt_refuse(w, IOMMU_ABI_PASID_RANGE, IO_PAGE_FAULT, dte_at, dte);
	for (unsigned int level = glx + 1; level--;) {
		u64 e = table + (pasid >> 9 * level & 511) * 8;

		at.level = (u8)level;
		at.gpa = at.hpa = e;
		if (spa && level == glx ? !pt_read_hpa(w, at.stage, level, e, 1, &entry)
					: !pt_read_gpa(w, &v1, &at, e, 1, &entry))
			return false;
		if (!(entry & BIT(0)))
			return !pt_refuse(w, IOMMU_ABI_NOT_PRESENT, IO_PAGE_FAULT, &at, &entry);
		if (entry & (BITS(11, 1) | BITS(63, 52)))
			return !pt_refuse(w, IOMMU_ABI_RESERVED, IO_PAGE_FAULT, &at, &entry);
		table = entry & ADDR;
	}
	guest_stage(c, table, paging);
	/* ours: a fetch needs DTE.IR too */
	if (state[EXT_FEATURES] & EFR_NX_SUP && c->grant & PT_R)
		c->grant |= PT_X;
	return true;
}

/* Makes the stages of a DTE with V=1 and TV=1; false: refused for its Mode (2.2.2), or for a PASID with
 * GV=0 (ours). */
static bool stages(struct pt_walk *w, struct pt_context *c, const u64 *dte, const struct pt_place *at)
{
	unsigned int mode = dte[0] >> 9 & 7, hats = EFR_HATS(c->unit->state[EXT_FEATURES]);
	bool gv = dte[0] & BIT(55);

	c->grant = dte[0] >> 61 & (PT_R | PT_W); /* IR, IW */
	c->domain = dte[1] & 0xffff;
	c->process = gv ? c->pasid : 0;
	if (mode == 7 || (mode && (hats == 3 || mode > hats + 4)))
		return !pt_refuse(w, IOMMU_ABI_INVALID, IO_PAGE_FAULT, at, dte);
	if (c->has_pasid && !gv)
		return !pt_refuse(w, IOMMU_ABI_BLOCKED, INVALID_DEVICE_REQUEST, at, dte);
	host_stage(c, dte, mode);
	return !(gv && (c->has_pasid || dte[0] & BIT(54))) || guest(w, c, dte, at);
}

enum { VALID = 1 << 0, TRANSLATES = 1 << 1 }; /* DTE: V, TV */

/* Reads the DTE (3.4.1, 2.2.2); false: beyond the table, unreadable, or reserved bits with V=1. */
static bool find_dte(struct pt_walk *w, struct pt_context *c, struct pt_place *at, u64 *dte)
{
	const u64 *state = c->unit->state;
	u64 bytes = ((state[DEVTAB_BASE] & 0x1ff) + 1) << 12;

	if (c->rid * 32ull >= bytes)
		return !pt_refuse(w, IOMMU_ABI_RID_RANGE, IO_PAGE_FAULT, at, NULL);
	at->gpa = at->hpa = (state[DEVTAB_BASE] & ADDR) + c->rid * 32ull;
	if (!pt_read_hpa(w, IOMMU_ABI_DEVICE, 0, at->hpa, 4, dte)) {
		w->fault->native = DEV_TAB_HARDWARE_ERROR;
		return false;
	}
	if (!(dte[0] & VALID))
		return true;
	c->flags = dte[1] & BIT(34) ? SA : 0;
	if (dte[0] & state[DTE_RSVD] || dte[1] & state[DTE_RSVD + 1])
		return !pt_refuse(w, IOMMU_ABI_RESERVED, ILLEGAL_DEV_TABLE_ENTRY, at, dte);
	return true;
}

static void amdvi_look_up(struct pt_walk *w, struct pt_context *c)
{
	struct pt_place at = { .stage = IOMMU_ABI_DEVICE };
	u64 dte[4];

	if (!(c->unit->state[CONTROL] & CONTROL_IOMMU_EN)) {
		c->flags = OFF;
		return;
	}
	if (!find_dte(w, c, &at, dte))
		return;
	pt_decides(w, c, IOMMU_ABI_DEVICE, at.gpa, at.hpa, dte[0]);
	c->flags |= ENTRY | (dte[1] & BIT(32) ? IOTLB : 0);
	if (dte[0] & VALID && dte[0] & TRANSLATES)
		stages(w, c, dte, &at);
}

/* ---- the request: may it? ---- */

/* Lets the request through untranslated. The trace keeps its first @refs references: up to the DTE, or
 * none. */
static enum pt_verdict pass(struct pt_walk *w, unsigned int access, unsigned int refs)
{
	pt_forget(w, refs);
	w->out->hpa = w->out->gpa = w->iova;
	w->out->size_lg2 = 12;
	w->out->access = (__u8)access;
	return PT_DONE;
}

/* A request without PASID in the interrupt range (2.1.2): a write is a message for interrupt remapping,
 * anything else is refused. Before the DTE is read: ours. */
static enum pt_verdict interrupt_message(struct pt_walk *w)
{
	struct pt_place none = { .stage = IOMMU_ABI_DEVICE };

	if (w->q->access == PT_W && w->q->at != IOMMU_ABI_TRANSLATION) {
		w->out->target = IOMMU_ABI_INTERRUPT;
		return pass(w, PT_W, 0);
	}
	pt_forget(w, 0);
	return pt_refuse(w, IOMMU_ABI_INTERRUPT_RANGE, INVALID_DEVICE_REQUEST, &none, NULL);
}

/* The interrupt range (2.1.2): requests without PASID reach no memory there, whatever the tables say. */
#define INTERRUPTS 0xfee00000ull
#define INTERRUPTS_LG2 20

/* May the device ask for translations (DTE.I, V and TV must be 1), or use translated addresses (I and V)?
 * 2.2.2. */
static bool ats_allowed(const struct pt_walk *w, u64 dte)
{
	if (w->q->at == IOMMU_ABI_UNTRANSLATED)
		return true;
	if (!(dte & VALID) || !(w->c->flags & IOTLB))
		return false;
	return w->q->at == IOMMU_ABI_TRANSLATED || dte & TRANSLATES;
}

PT_INLINE enum pt_verdict amdvi_admit(struct pt_walk *w)
{
	const struct pt_context *c = w->c;
	unsigned int refs;
	u64 dte;

	if (c->flags & OFF)
		return pass(w, PT_R | PT_W, 0);
	if (w->iova >> INTERRUPTS_LG2 == INTERRUPTS >> INTERRUPTS_LG2 && !c->has_pasid)
		return interrupt_message(w);
	if (!(c->flags & ENTRY))
		return pt_refused(w);
	dte = c->entry[IOMMU_ABI_DEVICE].raw;
	refs = c->refs[IOMMU_ABI_DEVICE];
	if (!ats_allowed(w, dte)) /* 2.2.2, I */
		return pt_refuse_by(w, IOMMU_ABI_BLOCKED, INVALID_DEVICE_REQUEST, IOMMU_ABI_DEVICE);
	if (!(dte & VALID))
		return pass(w, PT_R | PT_W, refs);
	if (!(dte & TRANSLATES)) /* 2.2.2, TV */
		return pt_refuse_by(w, IOMMU_ABI_ABORTED, IO_PAGE_FAULT, IOMMU_ABI_DEVICE);
	if (w->q->at == IOMMU_ABI_TRANSLATED)
		return pass(w, PT_R | PT_W, refs);
	if (!(c->grant & (w->access == PT_W ? PT_W : PT_R))) /* 2.2.2, IR and IW: before Mode */
		return pt_refuse_by(w, IOMMU_ABI_DENIED, IO_PAGE_FAULT, IOMMU_ABI_DEVICE);
	if (c->refusal.reason)
		return pt_refused(w);
	if (c->s1[0].top == PT_OFF && c->s2.top == PT_OFF)
		return pass(w, c->grant, refs);
	w->priv = !(~w->q->flags & (IOMMU_ABI_PRIV | IOMMU_ABI_HAS_PASID));
	w->report = c->grant;
	return pt_go(w, 0);
}

static enum pt_verdict amdvi_output(struct pt_walk *w)
{
	struct iommu_abi_translation *out = w->out;

	if (PT_UNLIKELY(out->size_lg2 > INTERRUPTS_LG2) && !(w->q->flags & IOMMU_ABI_HAS_PASID)) {
		unsigned int apart = pt_apart(w->iova, INTERRUPTS, INTERRUPTS_LG2);

		if (apart < out->size_lg2)
			out->size_lg2 = (u8)apart;
	}
	return PT_GO;
}

static u64 amdvi_window(const struct pt_walk *w, u64 addr)
{
	(void)w;
	return pt_beside(addr, INTERRUPTS, INTERRUPTS | (BIT(INTERRUPTS_LG2) - 1));
}

/* The device table has one level; each level of GCR3 tables takes 9 bits of the PASID. */
static unsigned int amdvi_covers_lg2(const struct pt_walk *w, unsigned int stage, unsigned int level)
{
	(void)w;
	(void)stage;
	return 9 * level;
}

static int amdvi_translate(struct pt_walk *w);

const struct pt_vendor pt_vendor_amdvi = {
	.name = "amdvi",
	.rid_last = 0xffff,
	.regs = regs,
	.init = amdvi_init,
	.look_up = amdvi_look_up,
	.output = amdvi_output,
	.native = amdvi_native,
	.window = amdvi_window,
	.covers_lg2 = amdvi_covers_lg2,
	.translate = amdvi_translate,
	.f1 = &v2,
	.f2 = &v1,
};

PT_TRANSLATE(amdvi, v2, v1)
