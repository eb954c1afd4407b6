/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the translation walk.
 *
 * Random tables end at their first entry. So the input does not hold tables: it chooses one of
 * six modes, whose tables are laid out here so that the request succeeds, and then says what is
 * changed: bits of registers, entries on the path of the request, other words, and which memory
 * is there at all. Page n of memory has HPA 4096 n; stage 2 maps every GPA to its low 21 bits.
 */
#include <errno.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "iommu_abi.h"

#if defined(__SANITIZE_ADDRESS__)
#define POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif
#ifdef POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum { PAGE = 4096, PAGES = 24, RAM = PAGES * PAGE };
enum { ROOT = 1, CONTEXT, DIRECTORY, PASIDS, GCR3_0, S1 = 6, S2 = 11, DATA = 17 }; /* pages */
enum { LEGACY, ECS, SCALABLE, V1, V2, NESTED, MODES };
enum { MAX_UNDO = 512, MAX_EDITS = 6 };

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

/* How requests end after the changes, by stage; the last is those that pass. */
static unsigned long long ends[IOMMU_ABI_S2 + 2];

void fuzz_summary(void)
{
	printf("  ended in: device tables %llu, PASID tables %llu, stage 1 %llu, stage 2 %llu; passed %llu\n",
	       ends[0], ends[1], ends[2], ends[3], ends[4]);
}

static void restore(void)
{
	while (undos--)
		put_raw(undo[undos].at, undo[undos].old);
	undos = 0;
}

/* ---- tables that let the request pass ---- */

struct world {
	unsigned int mode, s1_levels, s2_levels, glx, pgtt;
	bool nested, large, accessed;
	__u64 gpa; /* added to HPA in pointers of the guest */
	struct iommu_abi_request q;
	struct iommu_abi_reg regs[5];
	size_t nregs;
};

static __u64 page(unsigned int number)
{
	return (__u64)number * PAGE;
}

/* Long-mode tables: every level has a page of its own. */
static void lay_s1(const struct world *w)
{
	for (unsigned int level = w->s1_levels; level--;) {
		bool leaf = !level || (w->large && level == 1);
		size_t slot = page(S1 + level) + (w->q.iova >> (12 + 9 * level) & 511) * 8;

		put(slot, ((leaf ? level ? 0 : page(DATA) : page(S1 + level - 1)) + w->gpa) |
				  (leaf && level ? 0x87 : 7) | (w->accessed ? 0x60 : 0));
		if (leaf)
			return;
	}
}

/* Entries of both second stages: VT-d, and AMD with NextLevel. */
static __u64 s2_entry(const struct world *w, __u64 to, unsigned int next)
{
	return w->mode < V1 ? to | 7 : to | 1 | (__u64)next << 9 | 3ull << 61;
}

static void lay_s2(const struct world *w, __u64 in)
{
	for (unsigned int level = w->s2_levels - 1; level; level--)
		put(page(S2 + level) + (in >> (12 + 9 * level) & 511) * 8,
		    s2_entry(w, page(S2 + level - 1), level));
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
	/* SAGAW all, MGAW 57, SLLPS, FL1GP, FL5LP */
	reg(w, "CAP", 31ull << 8 | 56ull << 16 | 3ull << 34 | 1ull << 56 | 1ull << 60);
	/* DT, PT, SC, ECS, NEST, ERS, SRS, PASID, SMTS, SLTS, FLTS */
	reg(w, "ECAP",
	    1ull << 2 | 3ull << 6 | 1ull << 24 | 1ull << 26 | 3ull << 30 | 1ull << 40 | 1ull << 43 |
		    3ull << 46);
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

/* Whether requests enter stage 1. */
static bool guest(const struct world *w)
{
	return w->mode == ECS || w->mode > V1 || (w->mode == SCALABLE && w->pgtt & 1);
}

/* Bring an address into the range of the first stage that it meets. */
static __u64 in_range(const struct world *w, __u64 iova)
{
	unsigned int bits = guest(w) ? 12 + 9 * w->s1_levels : 12 + 9 * w->s2_levels;

	if (bits > 57)
		bits = 57;
	iova <<= 64 - bits;
	return guest(w) && w->q.pasid ? (__u64)((__s64)iova >> (64 - bits)) : iova >> (64 - bits);
}

/* One of eight requests is any, the others fit the tables. */
static void lay_request(struct input *in, struct world *w)
{
	static const __u32 most[MODES] = { 0, 511, 8191, 0, 511, 511 };
	unsigned int control = (unsigned int)take(in, 1);
	bool any = !(control & 7), pasid = w->mode != LEGACY && w->mode != V1;

	w->q.iova = take(in, 8) >> (control >> 3 & 3) * 8;
	w->q.rid = (__u32)take(in, 2);
	w->q.pasid = (__u32)take(in, 3) & 0xfffff;
	w->q.access = (__u8)(1 << take(in, 1) % 3);
	w->q.flags = (__u8)take(in, 1) & IOMMU_ABI_PRIV;
	w->q.flags |= pasid != (any && control & 32) ? IOMMU_ABI_HAS_PASID : 0;
	w->q.at = any && control & 64 ? (__u8)take(in, 1) % 3 : 0;
	if (any && control & 128)
		return;
	w->q.rid &= w->mode < V1 ? 0xffff : 127;
	w->q.pasid &= w->mode < V2 ? most[w->mode] : w->glx ? 0x3ffff : 511;
	w->q.iova = in_range(w, w->q.iova);
}

static void lay(struct input *in, struct world *w)
{
	unsigned int shape = (unsigned int)take(in, 2);

	w->mode = (unsigned int)take(in, 1) % MODES;
	w->s1_levels = 4 + (shape & 1);
	w->s2_levels = (w->mode < V1 ? 2 : 1) + (shape >> 1 & 7) % (w->mode < V1 ? 5 : 6);
	w->glx = (shape >> 4 & 3) % 3;
	w->pgtt = 1 + (shape >> 6 & 3);
	w->large = shape >> 8 & 1;
	w->accessed = shape >> 9 & 1;
	w->nested = w->mode == NESTED || (w->mode == ECS && shape >> 10 & 1) ||
		    (w->mode == SCALABLE && w->pgtt == 3);
	lay_request(in, w);
	/* a guest address with indices at the upper levels of stage 2 */
	if (w->nested)
		w->gpa = take(in, 6) & (~0ull >> (w->s2_levels > 4 ? 12 : 52 - 9 * w->s2_levels)) &
			 ~0x1fffffull;
	if (w->mode < V1)
		lay_vtd(w);
	else
		lay_amd(w);
	if (w->mode != LEGACY && w->mode != V1)
		lay_s1(w);
	lay_s2(w, w->nested ? w->gpa : w->q.iova);
}

/* ---- what is changed ---- */

static void edit(struct input *in, const struct iommu_abi_trace *path)
{
	unsigned int how = (unsigned int)take(in, 1);
	size_t at = take(in, 2) % RAM & ~7ul;
	__u64 value;

	if (how & 3 && path->n) {
		const struct iommu_abi_ref *ref = &path->refs[take(in, 1) % path->n];

		at = ref->hpa + (how >> 2 & 7) * 8 % ref->len;
	}
	value = at <= RAM - 8 ? get(at) : 0;
	switch (how >> 5 & 3) {
	case 0:
	case 1:
		value ^= 1ull << (take(in, 1) & 63);
		break;
	case 2: /* another table */
		value = (value & ~0xffffffffff000ull) | page((unsigned int)take(in, 1) % PAGES);
		break;
	default:
		value = take(in, 8);
	}
	put(at, value);
}

static void edit_registers(struct input *in, struct world *w)
{
	unsigned int count = (unsigned int)take(in, 1) & 3;

	while (count--)
		w->regs[take(in, 1) % w->nregs].value ^= 1ull << (take(in, 1) & 63);
}

/* Memory with a hole in it; the hole is poisoned. */
static size_t regions(struct input *in, struct iommu_abi_region *r, size_t *hole, size_t *gap)
{
	unsigned int control = (unsigned int)take(in, 1);

	*hole = take(in, 3) % RAM;
	*gap = control & 1 ? PAGE : 1 + take(in, 1);
	if (control & 6 || *hole + *gap >= RAM || !*hole) {
		*gap = 0;
		r[0] = (struct iommu_abi_region){ 0, RAM, ram };
		return 1;
	}
	r[0] = (struct iommu_abi_region){ 0, *hole, ram };
	r[1] = (struct iommu_abi_region){ *hole + *gap, RAM - *hole - *gap, ram + *hole + *gap };
	return 2;
}

/* ---- what has to hold ---- */

static void check_fault(const struct iommu_abi_translation *out)
{
	const struct iommu_abi_fault *f = &out->fault;

	REQUIRE(f->reason > IOMMU_ABI_OK && f->reason <= IOMMU_ABI_INTERRUPT_RANGE);
	REQUIRE(f->stage <= IOMMU_ABI_S2 && f->level < 6 && f->purpose <= IOMMU_ABI_FOR_PASID_ENTRY);
	REQUIRE(!out->hpa && !out->gpa && !out->size_lg2 && !out->access && !out->detail);
	REQUIRE(f->has_entry || (!f->entry_hpa && !f->entry_gpa && !f->has_raw));
	REQUIRE(f->has_raw || !f->raw);
}

static void check_answer(const struct iommu_abi_request *q, const struct iommu_abi_translation *out)
{
	REQUIRE(out->fault.reason == IOMMU_ABI_OK);
	REQUIRE((out->hpa & 0xfff) == (q->iova & 0xfff) && (out->gpa & 0xfff) == (q->iova & 0xfff));
	REQUIRE(out->size_lg2 >= 12 && out->size_lg2 < 64);
	REQUIRE(q->access == IOMMU_ABI_EXEC || out->access & q->access);
}

static void check_trace(const struct iommu_abi_mem *mem, const struct iommu_abi_trace *trace)
{
	REQUIRE(trace->n <= IOMMU_ABI_MAX_REFS);
	for (unsigned int i = 0; i < trace->n; i++)
		REQUIRE(iommu_abi_mem_find(mem, trace->refs[i].hpa, trace->refs[i].len));
}

static int walk(const struct world *w, const struct iommu_abi_mem *mem, struct iommu_abi_translation *out,
		struct iommu_abi_trace *trace)
{
	struct iommu_abi_translation again;
	struct iommu_abi_unit unit;
	struct iommu_abi_error err;
	int rc;

	memset(trace, 0, sizeof(*trace));
	/* HAW out of range is the only register that can be refused */
	rc = iommu_abi_unit_init(w->mode < V1 ? "vtd" : "amdvi", w->regs, w->nregs, &err, &unit);
	if (rc) {
		REQUIRE(rc == -EINVAL && !strcmp(err.rule->name, "unit.haw"));
		return rc;
	}
	rc = iommu_abi_translate(&unit, mem, &w->q, trace, out);
	REQUIRE(iommu_abi_translate(&unit, mem, &w->q, NULL, &again) == rc);
	REQUIRE(rc == 0 || rc == 1);
	REQUIRE(!memcmp(out, &again, sizeof(again)));
	if (rc)
		check_fault(out);
	else
		check_answer(&w->q, out);
	check_trace(mem, trace);
	return rc;
}

/* Requests that make no sense are refused, whatever else is there. */
static void check_senseless(const struct world *w, const struct iommu_abi_mem *mem)
{
	struct iommu_abi_translation out;
	struct iommu_abi_unit unit;
	struct world bad = *w;

	if (iommu_abi_unit_init(w->mode < V1 ? "vtd" : "amdvi", w->regs, w->nregs, NULL, &unit))
		return;
	bad.q.pasid = 1 << 20;
	REQUIRE(iommu_abi_translate(&unit, mem, &bad.q, NULL, &out) == -EINVAL);
	bad.q = w->q;
	bad.q.access = 3;
	REQUIRE(iommu_abi_translate(&unit, mem, &bad.q, NULL, &out) == -EINVAL);
	bad.q = w->q;
	bad.q.rid = 1 << 16;
	REQUIRE(iommu_abi_translate(&unit, mem, &bad.q, NULL, &out) == -EINVAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct iommu_abi_region r[2] = { { 0, RAM, ram } };
	struct iommu_abi_mem mem = { r, 1 };
	struct world w = { .nregs = 0 };
	struct iommu_abi_translation out;
	struct iommu_abi_trace path;
	unsigned int edits;
	size_t hole, gap;
	int rc;

	if (!ram) {
		ram = aligned_alloc(PAGE, RAM);
		REQUIRE(ram);
		memset(ram, 0, RAM);
		r[0].data = ram;
	}
	lay(&in, &w);
	walk(&w, &mem, &out, &path);
	edit_registers(&in, &w);
	edits = (unsigned int)take(&in, 1) % MAX_EDITS;
	while (edits--)
		edit(&in, &path);
	mem.n = regions(&in, r, &hole, &gap);
	ASAN_POISON_MEMORY_REGION(ram + hole, gap);
	/* the walk never writes */
	REQUIRE(!mprotect(ram, RAM, PROT_READ));
	rc = walk(&w, &mem, &out, &path);
	if (rc >= 0)
		ends[rc ? out.fault.stage : IOMMU_ABI_S2 + 1]++;
	check_senseless(&w, &mem);
	REQUIRE(!mprotect(ram, RAM, PROT_READ | PROT_WRITE));
	ASAN_UNPOISON_MEMORY_REGION(ram, RAM);
	restore();
	return 0;
}
