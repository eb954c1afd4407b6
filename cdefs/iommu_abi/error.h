/* SPDX-License-Identifier: MIT */
/*
 * Errors and rules.
 *
 * A function of this library that can refuse returns 0 or a negative errno, and fills a
 * struct iommu_abi_error when it is given one (NULL is allowed everywhere). An error is
 * about arguments, registers or a blob. What table bytes in memory do to a translation
 * is never an error: it is a fault, see walk.h.
 */
#ifndef IOMMU_ABI_ERROR_H
#define IOMMU_ABI_ERROR_H

#include "iommu_abi/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct iommu_abi_rule - the identity of one check
 * @name: stable and unique, "struct.field" with a suffix where a field has several rules
 * @field: the field or register that is looked at; "" if that differs from case to case
 * @errnum: the errno a kernel would return, positive
 * @want: what is expected, as the end of a sentence: "expected ..."; one %llu or %#llx
 *	in it stands for &struct iommu_abi_error.want
 * @source: patch, specification section or kernel file that states the rule;
 *	"ours" where the project decided
 *
 * Rules are static data: never freed, never changed, readable by any thread.
 */
struct iommu_abi_rule {
	const char *name;
	const char *field;
	int errnum;
	const char *want;
	const char *source;
};

/**
 * struct iommu_abi_error - why a call was refused
 * @rule: the broken rule; meaningful only after a call that returned a negative errno
 * @field: the field that is meant: @rule->field, or the first one that is missing
 * @errnum: positive errno; the call returned its negative
 * @offset: where the field starts in the blob, bytes; 0 if there is no blob
 * @got: the value that was found
 * @want: the number in @rule->want, 0 where it has none
 */
struct iommu_abi_error {
	const struct iommu_abi_rule *rule;
	const char *field;
	int errnum;
	__u64 offset;
	__u64 got;
	__u64 want;
};

/**
 * iommu_abi_rule_count() - how many rules the library has
 * iommu_abi_rule_at() - rule number @i, in the order in which they are checked;
 *	NULL if @i is out of range
 */
IOMMU_ABI_API size_t iommu_abi_rule_count(void);
IOMMU_ABI_API const struct iommu_abi_rule *iommu_abi_rule_at(size_t i);

/**
 * iommu_abi_strerror() - one sentence for an error
 * @err: filled by a call that returned a negative errno
 * @buf: receives the sentence, always terminated if @room > 0
 * @room: bytes at @buf
 *
 * Return: the length of the whole sentence without its NUL, as snprintf() counts it.
 */
IOMMU_ABI_API size_t iommu_abi_strerror(const struct iommu_abi_error *err, char *buf, size_t room);

#ifdef __cplusplus
}
#endif
#endif
