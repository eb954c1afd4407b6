/* SPDX-License-Identifier: MIT */
/* error.c - the rules as data, and one sentence for a broken one. */
#include <stdio.h>

#include "error.h"
#include "iommu_abi.h"

static const struct iommu_abi_rule rules[RULE_COUNT] = {
#define RULE(id, n, f, e, w, s) [RULE_##id] = { .name = n, .field = f, .errnum = e, .want = w, .source = s },
#include "rules.h"
#undef RULE
};

size_t iommu_abi_rule_count(void)
{
	return RULE_COUNT;
}

const struct iommu_abi_rule *iommu_abi_rule_at(size_t i)
{
	return i < RULE_COUNT ? &rules[i] : NULL;
}

int refuse_field(struct iommu_abi_error *err, enum rule_id id, const char *field, u64 offset, u64 got,
		 u64 want)
{
	if (err)
		*err = (struct iommu_abi_error){
			.rule = &rules[id],
			.field = field,
			.errnum = rules[id].errnum,
			.offset = offset,
			.got = got,
			.want = want,
		};
	return -rules[id].errnum;
}

int refuse(struct iommu_abi_error *err, enum rule_id id, u64 offset, u64 got, u64 want)
{
	return refuse_field(err, id, rules[id].field, offset, got, want);
}

size_t iommu_abi_strerror(const struct iommu_abi_error *err, char *buf, size_t room)
{
	char want[160];
	int n;

	/* a row's text has at most one conversion, of the type of err->want */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(want, sizeof(want), err->rule->want, (unsigned long long)err->want);
#pragma GCC diagnostic pop
	n = snprintf(buf, room, "%s at offset %llu: got %llu (%#llx), expected %s", err->field,
		     (unsigned long long)err->offset, (unsigned long long)err->got,
		     (unsigned long long)err->got, want);
	return n < 0 ? 0 : (size_t)n;
}

const char *iommu_abi_version(void)
{
	return IOMMU_ABI_VERSION;
}
