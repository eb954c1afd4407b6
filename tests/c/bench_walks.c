/* SPDX-License-Identifier: MIT */
/*
 * Walks of which `make bench` counts the instructions: `bench_walks N ROW [trace]` makes one N times, and
 * without a row the names are printed. The tables are those of fuzz_tables.h, with 4 KiB pages.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_tables.h"

enum { RID = 0x10, PASID = 5, IOVA = 0x1234567 };

static const struct row {
	const char *name, *kind;
	struct world w;
	bool pasid;
} rows[] = {
#define LEVELS .s1_levels = 4, .s2_levels = 4
#define TWO_STAGES LEVELS, .guest = 1, .nested = 1, .accessed = 1, .gpa = 1ull << 40
	{ "vtd-nested", "vtd", { .mode = SCALABLE, .pgtt = 3, TWO_STAGES }, true },
	{ "vtd-first", "vtd", { .mode = SCALABLE, .pgtt = 1, LEVELS, .guest = 1, .accessed = 1 }, true },
	{ "vtd-second", "vtd", { .mode = SCALABLE, .pgtt = 2, LEVELS }, true },
	{ "vtd-legacy", "vtd", { .mode = LEGACY, LEVELS }, false },
	{ "vtd-ecs-nested", "vtd", { .mode = ECS, TWO_STAGES }, true },
	{ "amd-v1", "amdvi", { .mode = V1, LEVELS }, false },
	{ "amd-v2", "amdvi", { .mode = V2, LEVELS, .glx = 1, .guest = 1, .accessed = 1 }, true },
	{ "amd-nested", "amdvi", { .mode = NESTED, .glx = 1, TWO_STAGES }, true },
	{ "smmu-s1", "smmuv3", { .mode = SMMU, LEVELS, .guest = 1 }, true },
	{ "smmu-s2", "smmuv3", { .mode = SMMU, LEVELS }, false },
	{ "smmu-nested", "smmuv3", { .mode = SMMU, TWO_STAGES }, true },
	{ "riscv-s1", "riscv", { .mode = RISCV, LEVELS, .guest = 1 }, false },
	{ "riscv-s2", "riscv", { .mode = RISCV, LEVELS }, false },
	{ "riscv-nested", "riscv", { .mode = RISCV, TWO_STAGES, .large = 1 }, true },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

void fuzz_summary(void)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	return 0;
}

/* 0 if all pass and reach what was mapped. */
static int walk(const struct row *row, long n, bool traced)
{
	struct iommu_abi_region region = { 0, RAM, ram };
	struct iommu_abi_mem mem = { &region, 1 };
	struct iommu_abi_translation out = { 0 };
	struct iommu_abi_trace trace;
	struct iommu_abi_unit unit;
	struct world w = row->w;
	int blocked = 0;

	w.q = (struct iommu_abi_request){ .iova = IOVA,
					  .rid = RID,
					  .pasid = row->pasid ? PASID : 0,
					  .access = IOMMU_ABI_READ,
					  .flags = row->pasid ? IOMMU_ABI_HAS_PASID : 0 };
	lay_passing(&w);
	if (iommu_abi_unit_init(row->kind, w.regs, w.nregs, NULL, &unit))
		return 2;
	while (n--)
		blocked |= iommu_abi_translate(&unit, &mem, &w.q, traced ? &trace : NULL, &out);
	return blocked || out.hpa % PAGE != IOVA % PAGE;
}

int main(int argc, char **argv)
{
	ram = calloc(1, RAM);
	for (size_t i = 0; i < ROWS; i++) {
		if (argc < 3)
			puts(rows[i].name);
		else if (!strcmp(argv[2], rows[i].name))
			return walk(&rows[i], atol(argv[1]), argc > 3);
	}
	return argc < 3 ? 0 : 2;
}
