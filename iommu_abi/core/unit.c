/* SPDX-License-Identifier: MIT */
/* unit.c - kinds of IOMMU, and units described by their registers. */
#include <string.h>

#include "error.h"
#include "pt_vendor.h"

#define FORMAT(name) extern const struct pt_vendor pt_vendor_##name;
#include "formats.h"
#undef FORMAT

static const struct pt_vendor *const vendors[] = {
#define FORMAT(name) &pt_vendor_##name,
#include "formats.h"
#undef FORMAT
};

enum { VENDORS = sizeof(vendors) / sizeof(vendors[0]) };

static const struct pt_vendor *vendor_of(const char *kind)
{
	for (size_t i = 0; i < VENDORS; i++)
		if (!strcmp(vendors[i]->name, kind))
			return vendors[i];
	return NULL;
}

const char *iommu_abi_kind(size_t i)
{
	return i < VENDORS ? vendors[i]->name : NULL;
}

const char *iommu_abi_kind_register(const char *kind, size_t i, __u64 *value, int *required)
{
	const struct pt_vendor *v = vendor_of(kind);
	const struct pt_reg *r = v ? v->regs : NULL;

	while (r && r->name && i--)
		r++;
	if (!r || !r->name)
		return NULL;
	if (value)
		*value = r->value;
	if (required)
		*required = r->required;
	return r->name;
}

int iommu_abi_unit_init(const char *kind, const struct iommu_abi_reg *regs, size_t n,
			struct iommu_abi_error *err, struct iommu_abi_unit *unit)
{
	const struct pt_vendor *v = vendor_of(kind);
	u32 seen = 0;

	if (!v)
		return refuse(err, RULE_UNIT_KIND, 0, 0, 0);
	memset(unit, 0, sizeof(*unit));
	unit->vendor = v;
	unit->state[PT_PAS_LAST] = ~0ull;
	for (size_t i = 0; v->regs[i].name; i++)
		unit->state[i] = v->regs[i].value;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (v->regs[k].name && strcmp(v->regs[k].name, regs[i].name))
			k++;
		if (!v->regs[k].name)
			return refuse_field(err, RULE_UNIT_UNKNOWN, regs[i].name, i, regs[i].value, 0);
		if (seen >> k & 1)
			return refuse_field(err, RULE_UNIT_TWICE, v->regs[k].name, i, regs[i].value, 0);
		seen |= 1u << k;
		unit->state[k] = regs[i].value;
	}
	for (size_t k = 0; v->regs[k].name; k++)
		if (v->regs[k].required && !(seen >> k & 1))
			return refuse_field(err, RULE_UNIT_MISSING, v->regs[k].name, 0, 0, 0);
	return v->init(unit, err);
}
