/* SPDX-License-Identifier: MIT */
/* error.h - rules by number, and the one function that fills an error. */
#ifndef IOMMU_ABI_CORE_ERROR_H
#define IOMMU_ABI_CORE_ERROR_H

#include <errno.h>

#include "int.h"
#include "iommu_abi/error.h"

enum rule_id {
#define RULE(id, name, field, errnum, want, source) RULE_##id,
#include "rules.h"
#undef RULE
	RULE_COUNT
};

/* Fill @err, which may be NULL, and return the rule's errno, negative. */
int refuse(struct iommu_abi_error *err, enum rule_id id, u64 offset, u64 got, u64 want);

/* The same for a blob that ends inside a field: @field is named instead of the rule's. */
int refuse_field(struct iommu_abi_error *err, enum rule_id id, const char *field, u64 offset, u64 got,
		 u64 want);

#endif
