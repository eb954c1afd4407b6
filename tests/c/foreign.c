/* SPDX-License-Identifier: MIT */
/*
 * The library on a machine of another kind: reads questions, a line each, and prints the answers
 * in words that are the same on every machine. tests/foreign.py asks, and knows the answers from
 * elsewhere.
 *
 *	memory FIRST BYTES			one more region of physical memory
 *	forget					no memory
 *	unit KIND [NAME VALUE]...		the IOMMU of what follows
 *	dma RID PASID IOVA ACCESS AT PRIV	translate, with every entry that was read
 *	mappings RID PASID			enumerate
 *	create GEN PTR SIZE MODEL BYTES		a blob from values
 *	validate GEN BYTES			a blob taken apart
 *	payload MODEL BYTES			its opaque[]
 *	copy KSIZE BYTES			the rule for structs that grew
 *	bind BYTES				a blob, through the iommu_ops of a driver
 *
 * Numbers are hex. "-" are no bytes, or no PASID.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iommu_abi.h>

typedef unsigned long long ull; /* for printf(): a __u64 is unsigned long on some machines */

enum { MOST_REGIONS = 256, MOST_BYTES = 1 << 16 };

static struct iommu_abi_region regions[MOST_REGIONS];
static struct iommu_abi_mem mem = { regions, 0 };
static struct iommu_abi_unit unit;

/* ---- words of a question ---- */

static char *word(void)
{
	char *w = strtok(NULL, " \n");

	if (!w) {
		fprintf(stderr, "a question ends too early\n");
		exit(2);
	}
	return w;
}

static __u64 number(void)
{
	return strtoull(word(), NULL, 16);
}

/* In memory of its own and of exactly its size. */
static unsigned char *bytes(size_t *len)
{
	const char *digits = word();
	unsigned char *made;

	*len = *digits == '-' ? 0 : strlen(digits) / 2;
	made = calloc(*len ? *len : 1, 1);
	if (!made)
		exit(2);
	for (size_t i = 0; i < *len; i++) {
		char two[3] = { digits[2 * i], digits[2 * i + 1], 0 };

		made[i] = (unsigned char)strtoul(two, NULL, 16);
	}
	return made;
}

/* ---- words of an answer ---- */

static void print_bytes(const void *data, size_t len)
{
	const unsigned char *p = data;

	if (!len)
		putchar('-');
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
}

static void print_known(bool known, __u64 value)
{
	if (known)
		printf(" %llx", (ull)value);
	else
		printf(" -");
}

/* Not every machine has the same numbers. */
static const char *errno_name(int rc)
{
	switch (-rc) {
	case E2BIG:
		return "E2BIG";
	case EINVAL:
		return "EINVAL";
	case ENOSPC:
		return "ENOSPC";
	case EOPNOTSUPP:
		return "EOPNOTSUPP";
	}
	return "an unexpected errno";
}

static void print_error(int rc, const struct iommu_abi_error *e)
{
	printf("%s %s %s %llx %llx %llx\n", errno_name(rc), e->rule->name, *e->field ? e->field : "-",
	       (ull)e->offset, (ull)e->got, (ull)e->want);
}

/* ---- the walk ---- */

static void forget(void)
{
	while (mem.n)
		free((void *)regions[--mem.n].data);
}

static void add_memory(void)
{
	struct iommu_abi_region *r = &regions[mem.n];
	struct iommu_abi_error e;
	size_t len;

	if (mem.n++ == MOST_REGIONS)
		exit(2);
	r->first = number();
	r->data = bytes(&len);
	r->size = len;
	if (iommu_abi_mem_check(&mem, &e))
		print_error(-e.errnum, &e);
}

static void set_unit(void)
{
	struct iommu_abi_reg regs[24];
	struct iommu_abi_error e;
	const char *kind = word(), *name;
	size_t n = 0;
	int rc;

	while (n < 24 && (name = strtok(NULL, " \n"))) {
		regs[n].name = name;
		regs[n++].value = number();
	}
	rc = iommu_abi_unit_init(kind, regs, n, &e, &unit);
	if (rc)
		print_error(rc, &e);
}

static struct iommu_abi_request requester(void)
{
	struct iommu_abi_request q = { .rid = (__u32)number() };
	const char *pasid = word();

	if (*pasid != '-') {
		q.pasid = (__u32)strtoul(pasid, NULL, 16);
		q.flags = IOMMU_ABI_HAS_PASID;
	}
	return q;
}

static void print_fault(const struct iommu_abi_fault *f)
{
	printf("blocked %x %x %x %x %x %x %x %llx %llx", f->reason, f->stage, f->level, f->purpose,
	       f->for_level, f->recorded, f->native, (ull)f->detail, (ull)f->input);
	print_known(f->has_entry, f->entry_gpa);
	print_known(f->has_entry, f->entry_hpa);
	print_known(f->has_raw, f->raw);
}

static void dma(void)
{
	struct iommu_abi_request q = requester();
	struct iommu_abi_translation out;
	struct iommu_abi_trace trace;
	int rc;

	q.iova = number();
	q.access = (__u8)number();
	q.at = (__u8)number();
	q.flags |= number() ? IOMMU_ABI_PRIV : 0;
	rc = iommu_abi_translate(&unit, &mem, &q, &trace, &out);
	if (rc < 0)
		printf("senseless");
	else if (rc)
		print_fault(&out.fault);
	else
		printf("passes %llx %llx %x %x %x %llx", (ull)out.hpa, (ull)out.gpa, out.size_lg2, out.access,
		       out.target, (ull)out.detail);
	for (__u32 i = 0; rc >= 0 && i < trace.n; i++) {
		const struct iommu_abi_ref *r = &trace.refs[i];

		printf(" | %x %x %x %x %x %llx %llx %llx %llx", r->stage, r->level, r->purpose, r->for_level,
		       r->len, (ull)r->gpa, (ull)r->hpa, (ull)r->raw, (ull)r->updated);
	}
	putchar('\n');
}

/* In small portions, so that the cursor goes from call to call. */
static void list_mappings(void)
{
	struct iommu_abi_request who = requester();
	struct iommu_abi_mapping_cursor cursor = { .next = 0 };
	struct iommu_abi_mapping out[3];

	while (!cursor.done || cursor.pending) {
		long n = iommu_abi_mappings(&unit, &mem, &who, 64, &cursor, out, 3);

		if (n < 0) {
			printf("senseless\n");
			return;
		}
		for (long i = 0; i < n; i++)
			printf("%llx..%llx %llx %llx %llx %llx %llx %x %x, ", (ull)out[i].first,
			       (ull)out[i].last, (ull)out[i].gpa, (ull)out[i].hpa, (ull)out[i].detail,
			       (ull)out[i].s1_sizes, (ull)out[i].s2_sizes, out[i].access, out[i].target);
	}
	printf("end\n");
}

/* ---- blobs ---- */

static void create(void)
{
	enum iommu_abi_generation gen = (enum iommu_abi_generation)number();
	static unsigned char made[MOST_BYTES];
	struct pasid_table_info head;
	struct iommu_abi_error e;
	unsigned char *opaque;
	size_t len;
	int rc;

	head.ptr = number();
	head.size = number();
	head.model = (__u32)number();
	opaque = bytes(&len);
	head.length = (__u32)len;
	rc = iommu_abi_pasid_table_info_create(gen, &head, opaque, sizeof(made), &e, made);
	if (rc) {
		print_error(rc, &e);
	} else {
		print_bytes(made, sizeof(head) + len);
		putchar('\n');
	}
	free(opaque);
}

static void validate(void)
{
	enum iommu_abi_generation gen = (enum iommu_abi_generation)number();
	struct pasid_table_info *info;
	struct iommu_abi_error e;
	size_t len;
	unsigned char *blob = bytes(&len);
	int rc = iommu_abi_pasid_table_info_validate(gen, blob, len, &e);

	if (rc) {
		print_error(rc, &e);
	} else {
		info = malloc(len);
		if (!info || iommu_abi_pasid_table_info_unpack(gen, blob, len, len, NULL, info))
			exit(2);
		printf("%llx %llx %x %x ", (ull)info->ptr, (ull)info->size, info->model, info->length);
		print_bytes(info->opaque, info->length);
		putchar('\n');
		free(info);
	}
	free(blob);
}

static void payload(void)
{
	enum iommu_model model = (enum iommu_model)number();
	struct iommu_abi_error e;
	size_t len;
	unsigned char *opaque = bytes(&len);
	int rc = iommu_abi_payload_validate(model, opaque, len, &e);

	if (rc)
		print_error(rc, &e);
	else
		printf("good\n");
	free(opaque);
}

static void copy(void)
{
	unsigned char dst[64];
	struct iommu_abi_error e;
	size_t ksize = (size_t)number(), len;
	unsigned char *src = bytes(&len);
	int rc;

	if (ksize > sizeof(dst))
		exit(2);
	rc = iommu_abi_copy_struct_from_user(dst, ksize, src, len, &e);
	if (rc) {
		print_error(rc, &e);
	} else {
		print_bytes(dst, ksize);
		putchar('\n');
	}
	free(src);
}

/* ---- bind: a VT-d with tables of up to 8 MiB and 48 bits of address ---- */

static int driver_bind(struct iommu_domain *domain, struct device *dev, struct pasid_table_info *info)
{
	const struct iommu_abi_bind_limits host = {
		.model = IOMMU_MODEL_INTEL_VTD,
		.ptr_align = 4096,
		.ptr_last = (1ull << 48) - 1,
		.size_min = 256,
		.size_host = 8 << 20,
		.vtd_flags = IOMMU_ABI_VTD_WPE | IOMMU_ABI_VTD_NXE,
	};

	(void)dev;
	return iommu_abi_bind_check(&host, info, domain->priv);
}

static void bind_table(void)
{
	const struct iommu_ops ops = { .bind_pasid_table = driver_bind };
	struct iommu_abi_error e;
	struct iommu_domain domain = { &ops, &e };
	size_t len;
	void *info = bytes(&len); /* of calloc(): aligned for any struct */
	int rc = iommu_bind_pasid_table(&domain, NULL, info);

	if (rc)
		print_error(rc, &e);
	else
		printf("bound, unbind %s\n", errno_name(iommu_unbind_pasid_table(&domain, NULL)));
	free(info);
}

static const struct {
	const char *name;
	void (*answer)(void);
} questions[] = {
	{ "memory", add_memory }, { "forget", forget },          { "unit", set_unit },
	{ "dma", dma },           { "mappings", list_mappings }, { "create", create },
	{ "validate", validate }, { "payload", payload },        { "copy", copy },
	{ "bind", bind_table },
};

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		const char *asked = strtok(line, " \n");
		size_t i = 0;

		while (i < sizeof(questions) / sizeof(questions[0]) && strcmp(asked, questions[i].name))
			i++;
		if (i == sizeof(questions) / sizeof(questions[0]))
			return 2;
		questions[i].answer();
	}
	free(line);
	forget();
	return 0;
}
