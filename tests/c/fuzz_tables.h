/* SPDX-License-Identifier: MIT */
/*
 * Memory for the walk's fuzz target, and tables in it that let a request pass: in one of eight
 * modes, with the numbers of levels and other choices from the input.
 *
 * Page n of memory has HPA 4096 n; stage 2 maps every GPA to its low 21 bits.
 */
#ifndef FUZZ_TABLES_H
#define FUZZ_TABLES_H

#include "fuzz.h"
#include "iommu_abi.h"

enum { PAGE = 4096, PAGES = 24, RAM = PAGES * PAGE };
enum { ROOT = 1, CONTEXT, DIRECTORY, PASIDS, GCR3_0, S1 = 6, S2 = 11, DATA = 17 }; /* pages */
enum { WIDE_ROOT = 20 };                                                           /* 16 KiB, aligned */
enum { LEGACY, ECS, SCALABLE, V1, V2, NESTED, SMMU, RISCV, MODES };
enum { MAX_UNDO = 512 };

static unsigned char *ram;
static struct {
	size_t at;
	__u64 old;
} undo[MAX_UNDO];
static size_t undos;

static __u64 get(size_t at)
{
	__u64 value;

	memcpy(&value, ram + at, 8);
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(value) : value;
}

static void put_raw(size_t at, __u64 value)
{
	value = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(value) : value;
	memcpy(ram + at, &value, 8);
}

static void put(size_t at, __u64 value)
{
	if (at > RAM - 8 || undos == MAX_UNDO)
		return;
	undo[undos].at = at;
	undo[undos++].old = get(at);
	put_raw(at, value);
}

static inline void restore(void)
{
	while (undos--)
		put_raw(undo[undos].at, undo[undos].old);
	undos = 0;
}

/* ---- tables that let the request pass ---- */

struct world {
	unsigned int mode, s1_levels, s2_levels, glx, pgtt;
	bool nested, large, accessed, guest, two_level;
	__u64 gpa; /* added to HPA in pointers of the guest */
	struct iommu_abi_request q;
	struct iommu_abi_reg regs[6];
	size_t nregs;
};

static __u64 page(unsigned int number)
{
	return (__u64)number * PAGE;
}

/* An entry of stage 1: of a table, or the page or block that the request reaches. */
static __u64 s1_entry(const struct world *w, __u64 to, unsigned int level, bool leaf)
{
	if (w->mode == SMMU)
		return to | (leaf ? 1 << 10 | 1 << 6 | (level ? 1 : 3) : 3);
	if (w->mode == RISCV)
		return to >> 2 | (leaf ? 0xdf : 1);
	return to | (leaf && level ? 0x87 : 7) | (w->accessed ? 0x60 : 0);
}

/* Every level has a page of its own. */
static void lay_s1(const struct world *w)
{
	for (unsigned int level = w->s1_levels; level--;) {
		bool leaf = !level || (w->large && level == 1);
		size_t slot = page(S1 + level) + (w->q.iova >> (12 + 9 * level) & 511) * 8;

		put(slot, s1_entry(w, (leaf ? level ? 0 : page(DATA) : page(S1 + level - 1)) + w->gpa, level,
				   leaf));
		if (leaf)
			return;
	}
}

/* An entry of stage 2; @next: 0 for a page (AMD has it as NextLevel). */
static __u64 s2_entry(const struct world *w, __u64 to, unsigned int next)
{
	if (w->mode == SMMU)
		return to | 3 | (next ? 0 : 1 << 10 | 3 << 6 | 0xf << 2);
	if (w->mode == RISCV)
		return to >> 2 | (next ? 1 : 0xdf);
	return w->mode < V1 ? to | 7 : to | 1 | (__u64)next << 9 | 3ull << 61;
}

static void lay_s2(const struct world *w, __u64 in)
{
	for (unsigned int level = w->s2_levels - 1; level; level--) {
		bool wide = w->mode == RISCV && level == w->s2_levels - 1;

		put(page(wide ? WIDE_ROOT : S2 + level) + (in >> (12 + 9 * level) & (wide ? 2047 : 511)) * 8,
		    s2_entry(w, page(S2 + level - 1), level));
	}
	for (unsigned int i = 0; i < PAGES; i++)
		put(page(S2) + i * 8, s2_entry(w, page(i), 0));
	/* what requests without stage 1 and large pages of it reach */
	put(page(S2) + (w->q.iova >> 12 & 511) * 8, s2_entry(w, page(w->q.iova >> 12 & 511), 0));
}

static void reg(struct world *w, const char *name, __u64 value)
{
	w->regs[w->nregs++] = (struct iommu_abi_reg){ name, value };
}

static void vtd_registers(struct world *w, unsigned int ttm)
{
	reg(w, "RTADDR", page(ROOT) | ttm << 10);
	/* ND 6, SAGAW all, MGAW 57, SLLPS, FL1GP, FL5LP */
	reg(w, "CAP", 6 | 31ull << 8 | 56ull << 16 | 3ull << 34 | 1ull << 56 | 1ull << 60);
	/* DT, PT, SC, ECS, NEST, ERS, SRS, PASID, SMTS, SLTS, FLTS, SMPWCS */
	reg(w, "ECAP",
	    1ull << 2 | 3ull << 6 | 1ull << 24 | 1ull << 26 | 3ull << 30 | 1ull << 40 | 1ull << 43 |
		    7ull << 46);
	reg(w, "HAW", 52);
}

static void lay_vtd(struct world *w)
{
	__u64 root = page(ROOT) + (w->mode == LEGACY ? (w->q.rid >> 8) * 16 : (w->q.rid >> 7) * 8);
	__u64 context = page(CONTEXT) + (w->mode == LEGACY ? (w->q.rid & 0xff) * 16 : (w->q.rid & 0x7f) * 32);
	unsigned int aw = w->s2_levels - 2, five = w->s1_levels - 4;
	__u64 second = page(S2 + w->s2_levels - 1), first = page(S1 + w->s1_levels - 1) + w->gpa;

	vtd_registers(w, w->mode == LEGACY ? 0 : w->mode == ECS ? 2 : 1);
	put(root, page(CONTEXT) | 1);
	if (w->mode == LEGACY) {
		put(context, second | 1);
		put(context + 8, aw);
	} else if (w->mode == ECS) {
		/* PASIDE, NESTE; T=0; WPE, NXE, ERE; PTS 4: 512 entries, one page */
		put(context, second | 1 | 1 << 11 | (w->nested ? 1 << 10 : 0));
		put(context + 8, aw | 3 << 4 | 1 << 26);
		put(context + 16, (page(PASIDS) + w->gpa) | 4);
		put(page(PASIDS) + (w->q.pasid & 511) * 8, first | 1 | 1 << 11 | five << 9);
	} else {
		__u64 entry = page(PASIDS) + (w->q.pasid & 63) * 64;

		put(context, page(DIRECTORY) | 1 | 3 << 2);
		put(page(DIRECTORY) + (w->q.pasid >> 6 & 511) * 8, page(PASIDS) | 1);
		put(entry, second | 1 | aw << 2 | w->pgtt << 6);
		put(entry + 8, 1 << 23); /* PWSNP */
		put(entry + 16, first | 3 | five << 2 | 3 << 4);
	}
}

static void lay_amd(struct world *w)
{
	__u64 dte = page(ROOT) + (w->q.rid & 127) * 32, gcr3 = page(DIRECTORY) + w->gpa;
	bool guest = w->mode != V1;

	reg(w, "DEVTAB_BASE", page(ROOT));
	reg(w, "CONTROL", 1 | 1ull << 16 | 1ull << 58);
	/* NXSup, GTSup, HATS 2, GATS 1, GLXSup 2, PASmax 19, GIoSup */
	reg(w, "EXT_FEATURES", 3 << 3 | 2 << 10 | 1 << 12 | 2 << 14 | 19ull << 32 | 1ull << 48);
	put(dte, 3 | (w->mode == V2 ? 0 : page(S2 + w->s2_levels - 1) | w->s2_levels << 9) | 3ull << 61 |
			 (guest ? 1ull << 55 | (__u64)w->glx << 56 | (gcr3 >> 12 & 7) << 58 : 0));
	put(dte + 8, 1ull << 32 | (guest ? (gcr3 >> 15 & 0xffff) << 16 | gcr3 >> 31 << 43 : 0));
	put(dte + 16, (__u64)(w->s1_levels - 4) << 54);
	for (unsigned int level = w->glx + 1; guest && level--;) {
		__u64 to = level ? page(DIRECTORY + w->glx - level + 1) : page(S1 + w->s1_levels - 1);

		put(page(DIRECTORY + w->glx - level) + (w->q.pasid >> 9 * level & 511) * 8,
		    (to + w->gpa) | 1);
	}
}

static void lay_smmu(struct world *w)
{
	__u64 ste = page(ROOT), cd = page(DIRECTORY), second = page(S2 + w->s2_levels - 1);
	__u64 config = 4 + w->guest + 2 * (w->nested || !w->guest);

	reg(w, "STRTAB_BASE", page(ROOT));
	/* 64 streams, in two levels or linear */
	reg(w, "STRTAB_BASE_CFG", 6 | (w->two_level ? 6 << 6 | 1 << 16 : 0));
	/* S2P, S1P, TTF, HTTU, ATS, ASID16, VMID16, CD2L, TTENDIAN, ST_LEVEL; 4 KiB, 48 bits */
	reg(w, "IDR0", 0xb | 2 << 6 | 1 << 10 | 1 << 12 | 1 << 18 | 1 << 19 | 2 << 21 | 1 << 27);
	reg(w, "IDR1", 32 | 20 << 6);
	reg(w, "IDR5", 5 | 1 << 4);
	if (w->two_level) {
		put(ste, page(CONTEXT) | 7);
		put(cd, (page(PASIDS) + w->gpa) | 1);
		ste = page(CONTEXT);
		cd = page(PASIDS);
	}
	ste += (w->q.rid & 63) * 64;
	cd += (w->q.pasid & 63) * 64;
	put(ste, 1 | config << 1 | (w->two_level ? 1 << 4 : 0) | (page(DIRECTORY) + w->gpa) | 6ull << 59);
	put(ste + 8, 2 | 1 << 28);
	put(ste + 16, (52ull - 9 * w->s2_levels) << 32 | (__u64)(w->s2_levels - 2) << 38 | 5ull << 48 |
			      1ull << 51 | 1ull << 58);
	put(ste + 24, second);
	/* T0SZ, EPD1, V, IPS, AA64, R, A */
	put(cd, (52 - 9 * w->s1_levels) | 1u << 30 | 1u << 31 | 5ull << 32 | 1ull << 41 | 3ull << 45);
	put(cd + 8, page(S1 + w->s1_levels - 1) + w->gpa);
}

static void lay_riscv(struct world *w)
{
	__u64 dc = page(ROOT) + (w->q.rid & 63) * 64, first = page(S1 + w->s1_levels - 1) + w->gpa;
	__u64 fsc = (__u64)(w->s1_levels + 5) << 60 | first >> 12;

	reg(w, "DDTP", (w->two_level ? 3 : 2) | page(ROOT) >> 2);
	/* what a unit has by default */
	reg(w, "CAPABILITIES",
	    0x10 | 0xfull << 8 | 3ull << 14 | 0xfull << 16 | 0x1full << 22 | 56ull << 32 | 7ull << 38);
	if (w->two_level) {
		put(page(ROOT) + (w->q.rid >> 6 & 511) * 8, page(CONTEXT) >> 2 | 1);
		dc += page(CONTEXT) - page(ROOT);
	}
	/* V, EN_ATS; PDTV, with PD8 */
	put(dc, 3 | (w->guest && w->large ? 1 << 5 : 0));
	if (w->nested || !w->guest)
		put(dc + 8, (__u64)(w->s2_levels + 5) << 60 | WIDE_ROOT);
	if (!w->guest)
		return;
	if (!w->large) {
		put(dc + 24, fsc);
		return;
	}
	put(dc + 24, 1ull << 60 | (page(DIRECTORY) + w->gpa) >> 12);
	put(page(DIRECTORY) + (w->q.pasid & 255) * 16, 7);
	put(page(DIRECTORY) + (w->q.pasid & 255) * 16 + 8, fsc);
}

/* Whether addresses of the stage that requests enter have a sign. */
static bool is_signed(const struct world *w)
{
	return w->guest && (w->mode == RISCV || (w->mode != SMMU && w->q.pasid));
}

/* Bring an address into the range of the first stage that it meets. */
static __u64 in_range(const struct world *w, __u64 iova)
{
	unsigned int bits = w->guest ? 12 + 9 * w->s1_levels : 12 + 9 * w->s2_levels;

	if (bits > 57)
		bits = 57;
	iova <<= 64 - bits;
	return is_signed(w) ? (__u64)((__s64)iova >> (64 - bits)) : iova >> (64 - bits);
}

/* Whether requests of a mode may have a PASID. */
static bool takes_pasid(const struct world *w)
{
	if (w->mode == RISCV)
		return w->guest && w->large;
	return w->mode == SMMU ? w->guest : w->mode != LEGACY && w->mode != V1;
}

/* One of eight requests is any, the others fit the tables. */
static void lay_request(struct input *in, struct world *w)
{
	static const __u32 most[MODES] = { 0, 511, 8191, 0, 511, 511, 63, 255 };
	unsigned int control = (unsigned int)take(in, 1);
	bool any = !(control & 7), pasid = takes_pasid(w);

	w->q.iova = take(in, 8) >> (control >> 3 & 3) * 8;
	w->q.rid = (__u32)take(in, 2);
	w->q.pasid = (__u32)take(in, 3) & 0xfffff;
	w->q.access = (__u8)(1 << take(in, 1) % 3);
	w->q.flags = (__u8)take(in, 1) & IOMMU_ABI_PRIV;
	w->q.flags |= pasid != (any && control & 32) ? IOMMU_ABI_HAS_PASID : 0;
	w->q.at = any && control & 64 ? (__u8)take(in, 1) % 3 : 0;
	if (any && control & 128)
		return;
	w->q.rid &= w->mode < V1 ? 0xffff : w->mode < SMMU || w->two_level ? 127 : 63;
	if (w->mode == SMMU)
		w->q.rid &= 63;
	w->q.pasid &= (w->mode == V2 || w->mode == NESTED) && w->glx ? 0x3ffff : most[w->mode];
	/* S1DSS makes CD 0 that of requests without SubstreamID */
	if (w->mode == SMMU && !w->q.pasid)
		w->q.flags &= (__u8)~IOMMU_ABI_HAS_PASID;
	w->q.iova = in_range(w, w->q.iova);
}

/* Tables that let w->q pass. */
static void lay_passing(struct world *w)
{
	if (w->mode < V1)
		lay_vtd(w);
	else if (w->mode < SMMU)
		lay_amd(w);
	else if (w->mode == SMMU)
		lay_smmu(w);
	else
		lay_riscv(w);
	if (w->guest)
		lay_s1(w);
	lay_s2(w, w->nested ? w->gpa : w->q.iova);
}

static inline void lay(struct input *in, struct world *w)
{
	unsigned int shape = (unsigned int)take(in, 2);

	w->mode = (unsigned int)take(in, 1) % MODES;
	w->s1_levels = 4 + (shape & 1);
	w->s2_levels = (w->mode < V1 ? 3 : 1) + (shape >> 1 & 7) % (w->mode < V1 ? 3 : 6);
	w->glx = (shape >> 4 & 3) % 3;
	w->pgtt = 1 + (shape >> 6 & 3);
	w->large = shape >> 8 & 1;
	w->accessed = shape >> 9 & 1;
	w->two_level = shape >> 11 & 1;
	w->guest = w->mode == ECS || w->mode == V2 || w->mode == NESTED ||
		   (w->mode == SCALABLE && w->pgtt & 1) || (w->mode >= SMMU && shape >> 12 & 3);
	w->nested = w->mode == NESTED || (w->mode == ECS && shape >> 10 & 1) ||
		    (w->mode == SCALABLE && w->pgtt == 3) || (w->mode >= SMMU && w->guest && shape >> 10 & 1);
	if (w->mode == SMMU) {
		w->s1_levels = 2 + (shape & 3) % 3;
		w->s2_levels = 2 + (shape >> 2 & 3) % 3;
	} else if (w->mode == RISCV) {
		w->s1_levels = 3 + (shape & 3) % 3;
		w->s2_levels = 3 + (shape >> 2 & 3) % 3;
	}
	lay_request(in, w);
	/* a guest address with indices at the upper levels of stage 2 */
	if (w->nested)
		w->gpa = take(in, 6) & (~0ull >> (w->s2_levels > 4 ? 12 : 52 - 9 * w->s2_levels)) &
			 ~0x1fffffull;
	lay_passing(w);
}

#endif
