/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the translation walk.
 *
 * Random tables end at their first entry. So the input does not hold tables: it chooses one of
 * eight modes, whose tables fuzz_tables.h lays out so that the request succeeds, and then says
 * what is changed: bits of registers, entries on the path of the request, other words, and which
 * memory is there at all.
 */
#include <errno.h>
#include <sys/mman.h>

#include "fuzz_tables.h"

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

enum { MAX_EDITS = 6 };

static const char *kind(const struct world *w)
{
	return w->mode < V1 ? "vtd" : w->mode < SMMU ? "amdvi" : w->mode == SMMU ? "smmuv3" : "riscv";
}

/* How requests end after the changes, by stage; the last is those that pass. */
static unsigned long long ends[IOMMU_ABI_S2 + 2];

void fuzz_summary(void)
{
	printf("  ended in: device tables %llu, PASID tables %llu, stage 1 %llu, stage 2 %llu; passed %llu\n",
	       ends[0], ends[1], ends[2], ends[3], ends[4]);
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

/*
 * Whether the rights of the answer cover the request. A translation request succeeds with what remains of its
 * rights (VT-d 4.2.3, SMMUv3 13.7; RISC-V's may be none); an STE may turn a read into a fetch.
 */
static bool covered(const struct world *w, const struct iommu_abi_translation *out)
{
	if (w->mode == RISCV && w->q.at)
		return true;
	if ((w->mode < V1 || w->mode == SMMU) && w->q.at == IOMMU_ABI_TRANSLATION)
		return out->access;
	if (w->mode == SMMU && w->q.access == IOMMU_ABI_READ)
		return true;
	return w->q.access == IOMMU_ABI_EXEC || out->access & w->q.access;
}

static void check_answer(const struct world *w, const struct iommu_abi_translation *out)
{
	const struct iommu_abi_request *q = &w->q;

	REQUIRE(out->fault.reason == IOMMU_ABI_OK);
	REQUIRE((out->gpa & 0xfff) == (q->iova & 0xfff));
	/* a memory-resident interrupt file is named as a whole */
	REQUIRE(out->target == IOMMU_ABI_MRIF || (out->hpa & 0xfff) == (q->iova & 0xfff));
	REQUIRE(out->size_lg2 >= 12 && out->size_lg2 < 64);
	REQUIRE(covered(w, out));
}

static void check_trace(const struct iommu_abi_mem *mem, const struct iommu_abi_trace *trace)
{
	REQUIRE(trace->n <= IOMMU_ABI_MAX_REFS);
	for (unsigned int i = 0; i < trace->n; i++)
		REQUIRE(iommu_abi_mem_find(mem, trace->refs[i].hpa, trace->refs[i].len));
}

/* By handle the answer is the same, and the references are those of the context and those behind it. */
static void check_handle(const struct world *w, const struct iommu_abi_unit *unit,
			 const struct iommu_abi_mem *mem, int rc, const struct iommu_abi_translation *out,
			 const struct iommu_abi_trace *trace)
{
	static struct iommu_abi_trace before, behind;
	struct iommu_abi_translation again;
	struct iommu_abi_context context;
	const __u32 flags = w->q.flags & IOMMU_ABI_HAS_PASID;
	size_t n;

	REQUIRE(!iommu_abi_context_init(unit, mem, w->q.rid, w->q.pasid, flags, &before, &context));
	REQUIRE(iommu_abi_translate_in(&context, mem, &w->q, &behind, &again) == rc);
	REQUIRE(!memcmp(out, &again, sizeof(again)));
	n = trace->n - behind.n;
	REQUIRE(behind.n <= trace->n && n <= before.n);
	REQUIRE(!memcmp(trace->refs, before.refs, n * sizeof(*trace->refs)));
	REQUIRE(!memcmp(trace->refs + n, behind.refs, behind.n * sizeof(*trace->refs)));
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
	rc = iommu_abi_unit_init(kind(w), w->regs, w->nregs, &err, &unit);
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
		check_answer(w, out);
	check_trace(mem, trace);
	check_handle(w, &unit, mem, rc, out, trace);
	return rc;
}

/* Requests that make no sense are refused, whatever else is there. */
static void check_senseless(const struct world *w, const struct iommu_abi_mem *mem)
{
	struct iommu_abi_translation out;
	struct iommu_abi_unit unit;
	struct world bad = *w;

	if (iommu_abi_unit_init(kind(w), w->regs, w->nregs, NULL, &unit))
		return;
	bad.q.pasid = 1 << 20;
	REQUIRE(iommu_abi_translate(&unit, mem, &bad.q, NULL, &out) == -EINVAL);
	bad.q = w->q;
	bad.q.access = 3;
	REQUIRE(iommu_abi_translate(&unit, mem, &bad.q, NULL, &out) == -EINVAL);
	bad.q = w->q;
	bad.q.at = 3;
	REQUIRE(iommu_abi_translate(&unit, mem, &bad.q, NULL, &out) == -EINVAL);
	bad.q = w->q;
	bad.q.flags = 4;
	REQUIRE(iommu_abi_translate(&unit, mem, &bad.q, NULL, &out) == -EINVAL);
	bad.q = w->q;
	if (w->mode == SMMU) /* whose requesters have all 32 bits */
		return;
	bad.q.rid = w->mode == RISCV ? 1 << 24 : 1 << 16;
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
