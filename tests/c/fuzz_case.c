/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: one request on one image, in the form of iommu_abi/fuzz/targets/wire.py, so that
 * libFuzzer shares its corpus with the engines that ask the plain ledger.
 *
 * Here only C is asked, by coverage of its code: translations and enumerations have to end, to stay
 * inside memory, and to say the same with a trace and without.
 */
#include <errno.h>

#include "fuzz.h"
#include "iommu_abi.h"
#include "iommu_abi/mappings.h"

enum { PAGE = 4096, MAX_PAGES = 256, MAX_REGS = 32, MAX_HOLES = 16, ROOM = 24, STEPS = 1 << 14 };
enum { HAS_PASID = 1, PRIV = 2, HOLE = 1 };

/* Each page in memory of its own, so that a sanitizer sees what reads beyond it. */
static struct iommu_abi_region regions[2 * MAX_PAGES];
static unsigned char *pages[MAX_PAGES];
static size_t npages;
static unsigned long long passed, faults, refused, listed;

void fuzz_summary(void)
{
	printf("  passed %llu, faults %llu, refused %llu, mappings %llu\n", passed, faults, refused, listed);
}

static unsigned char *page_of(__u64 address)
{
	for (size_t i = 0; i < npages; i++)
		if (regions[i].first == (address & -(__u64)PAGE))
			return pages[i];
	if (npages == MAX_PAGES)
		return NULL;
	pages[npages] = calloc(1, PAGE);
	REQUIRE(pages[npages]);
	regions[npages] = (struct iommu_abi_region){ address & -(__u64)PAGE, PAGE, pages[npages] };
	return pages[npages++];
}

/* ---- the input ---- */

static size_t read_registers(const char *kind, struct input *in, __u32 given, struct iommu_abi_reg *regs)
{
	const char *name;
	size_t n = 0;

	for (size_t i = 0; (name = iommu_abi_kind_register(kind, i, NULL, NULL)) && i < MAX_REGS; i++) {
		__u64 value = take(in, 8);

		if (given >> i & 1)
			regs[n++] = (struct iommu_abi_reg){ name, value };
	}
	return n;
}

struct hole {
	__u64 first, length;
};

static size_t read_memory(struct input *in, struct hole *holes)
{
	size_t n = 0;

	while (in->size) {
		__u64 where = take(in, 8), value = take(in, 8);
		unsigned char *page;

		if ((where & 7) == HOLE) {
			if (n < MAX_HOLES)
				holes[n++] = (struct hole){ (where & ~7ull) + (value & 7),
							    1 + (value >> 3 & 0xfff) };
			continue;
		}
		page = page_of(where);
		if (!page)
			break;
		for (int i = 0; i < 8; i++)
			page[(where & 0xff8) + (size_t)i] = (unsigned char)(value >> 8 * i);
	}
	return n;
}

static int by_address(const void *a, const void *b)
{
	const struct iommu_abi_region *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* A region that a hole cuts ends before it, or begins behind it. */
static size_t cut(const struct hole *hole, size_t n)
{
	__u64 hole_last = hole->first + hole->length - 1;

	if (hole_last < hole->first)
		hole_last = ~0ull;
	for (size_t i = 0, end = n; i < end; i++) {
		struct iommu_abi_region *r = &regions[i];
		__u64 last = r->first + r->size - 1, behind = hole_last + 1;

		if (!r->size || hole->first > last || hole_last < r->first)
			continue;
		if (hole_last < last && n < 2 * MAX_PAGES)
			regions[n++] = (struct iommu_abi_region){
				behind, last - hole_last, (const unsigned char *)r->data + (behind - r->first)
			};
		r->size = hole->first > r->first ? hole->first - r->first : 0;
	}
	return n;
}

static size_t lay(const struct hole *holes, size_t nholes)
{
	size_t n = npages, kept = 0;

	for (size_t i = 0; i < nholes; i++)
		n = cut(&holes[i], n);
	for (size_t i = 0; i < n; i++)
		if (regions[i].size)
			regions[kept++] = regions[i];
	qsort(regions, kept, sizeof(*regions), by_address);
	return kept;
}

/* ---- what has to hold ---- */

static void translate(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
		      const struct iommu_abi_request *q)
{
	struct iommu_abi_translation out, again;
	struct iommu_abi_trace trace = { .n = 0 };
	int rc = iommu_abi_translate(unit, mem, q, &trace, &out);

	REQUIRE(iommu_abi_translate(unit, mem, q, NULL, &again) == rc);
	if (rc < 0) {
		REQUIRE(rc == -EINVAL);
		refused++;
		return;
	}
	REQUIRE(!memcmp(&out, &again, sizeof(out)));
	REQUIRE(!rc == !out.fault.reason);
	REQUIRE(trace.n <= IOMMU_ABI_MAX_REFS);
	for (unsigned int i = 0; i < trace.n; i++)
		REQUIRE(iommu_abi_mem_find(mem, trace.refs[i].hpa, trace.refs[i].len));
	*(rc ? &faults : &passed) += 1;
}

static void list_mappings(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
			  const struct iommu_abi_request *who)
{
	struct iommu_abi_mapping_cursor cursor = { .done = 0 };
	struct iommu_abi_mapping out[ROOM];
	long n = iommu_abi_mappings(unit, mem, who, STEPS, &cursor, out, ROOM);

	REQUIRE(n == -EINVAL || (n >= 0 && n <= ROOM));
	for (long i = 0; i < n; i++) {
		REQUIRE(out[i].first <= out[i].last);
		REQUIRE(!i || out[i - 1].last < out[i].first);
		listed++;
	}
}

static void list_contexts(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
			  const struct iommu_abi_request *who)
{
	struct iommu_abi_context_cursor cursor = { .next = who->flags & IOMMU_ABI_HAS_PASID ? who->pasid
											    : who->rid };
	struct iommu_abi_context_run out[ROOM];
	long n = iommu_abi_contexts(unit, mem, who, STEPS, &cursor, out, ROOM);

	REQUIRE(n == -EINVAL || (n >= 0 && n <= ROOM));
	for (long i = 0; i < n; i++) {
		REQUIRE(out[i].first <= out[i].last);
		REQUIRE(!i || out[i - 1].last < out[i].first);
	}
}

static const char *kind_of(unsigned int number)
{
	size_t n = 0;

	while (iommu_abi_kind(n))
		n++;
	return iommu_abi_kind(number % n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const __u32 accesses[] = { IOMMU_ABI_READ, IOMMU_ABI_WRITE, IOMMU_ABI_EXEC };
	struct input in = { data, size };
	struct iommu_abi_reg regs[MAX_REGS];
	struct iommu_abi_request q = { .iova = 0 };
	struct iommu_abi_error err;
	struct iommu_abi_unit unit;
	struct iommu_abi_mem mem = { regions, 0 };
	struct hole holes[MAX_HOLES];
	const char *kind = kind_of((unsigned int)take(&in, 1));
	unsigned int flags;
	size_t nregs;
	__u32 given;

	q.access = accesses[take(&in, 1) % 3];
	flags = (unsigned int)take(&in, 1);
	q.at = take(&in, 1) % 3;
	q.flags = (flags & HAS_PASID ? IOMMU_ABI_HAS_PASID : 0) | (flags & PRIV ? IOMMU_ABI_PRIV : 0);
	q.rid = (__u32)take(&in, 4);
	q.pasid = (__u32)take(&in, 4);
	given = (__u32)take(&in, 4);
	q.iova = take(&in, 8);
	nregs = read_registers(kind, &in, given, regs);
	if (!iommu_abi_unit_init(kind, regs, nregs, &err, &unit)) {
		mem.n = lay(holes, read_memory(&in, holes));
		translate(&unit, &mem, &q);
		list_mappings(&unit, &mem, &q);
		list_contexts(&unit, &mem, &q);
	} else {
		REQUIRE(err.rule && err.rule->name);
		refused++;
	}
	while (npages)
		free(pages[--npages]);
	return 0;
}
