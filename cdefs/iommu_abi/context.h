/* SPDX-License-Identifier: MIT */
/*
 * Who, then where: a requester's context, looked up once, for any number of its requests.
 *
 * iommu_abi_translate() reads device and PASID tables for each request. A context is what it found
 * there: the stages, rights and refusals of one requester, or of one PASID of it.
 */
#ifndef IOMMU_ABI_CONTEXT_H
#define IOMMU_ABI_CONTEXT_H

#include "iommu_abi/walk.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct iommu_abi_context - a requester as registers and tables describe it
 * @unit: its IOMMU; borrowed: must stay where it is, unchanged, for as long as the context is used
 * @rid: requester
 * @pasid: 0 without IOMMU_ABI_HAS_PASID
 * @flags: IOMMU_ABI_HAS_PASID, or 0 for the requests without one
 * @domain: the tag by which caches keep its translations apart from others': domain ID (VT-d, AMD-Vi), VMID or
 *	GSCID; 0 if the tables give none
 * @process: the same tag for stage 1: PASID (VT-d, AMD-Vi), ASID or PSCID
 * @state: only the library reads and writes it
 *
 * Plain data in the caller's memory: it may be copied, thrown away, and used by several threads, but only in
 * the process that made it: it points to the unit and to constants of the library.
 *
 * A context becomes stale when somebody changes the unit's registers, or an entry of a device or PASID table
 * that iommu_abi_context_init() read. It then goes on to answer as the tables were, like hardware that has
 * cached the entry and not been told to forget it. Page tables are read anew for each request.
 */
struct iommu_abi_context {
	const struct iommu_abi_unit *unit;
	__u32 rid;
	__u32 pasid;
	__u32 flags;
	__u32 domain;
	__u32 process;
	__u32 reserved;
	__u64 state[48];
};

/**
 * iommu_abi_context_init() - look a requester up
 * @unit: from iommu_abi_unit_init()
 * @mem: a checked image
 * @rid: requester
 * @pasid: 20 bits; not looked at without IOMMU_ABI_HAS_PASID
 * @flags: IOMMU_ABI_HAS_PASID or 0
 * @trace: receives the device and PASID entries that were read, and those of stage 2 behind which they
 *	lie; NULL for none
 * @context: filled on success, also when the tables refuse the requester: the context then refuses its requests
 *
 * Return: 0; -EINVAL for a requester that no such IOMMU can have, other flags, or a PASID of more than 20
 * bits.
 */
IOMMU_ABI_API int iommu_abi_context_init(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
					 __u32 rid, __u32 pasid, __u32 flags, struct iommu_abi_trace *trace,
					 struct iommu_abi_context *context);

/**
 * iommu_abi_translate_in() - where does this request of a known requester go?
 * @context: from iommu_abi_context_init()
 * @mem: a checked image: the one of the context, or another with the same tables
 * @request: its rid, pasid and IOMMU_ABI_HAS_PASID are the context's
 * @trace: receives the references behind the context: those of page tables, and of what is read instead
 *	of them; NULL for none
 * @out: always filled when the return value is not negative
 *
 * The answer of iommu_abi_translate() while the context is not stale.
 *
 * Return: as iommu_abi_translate(); -EINVAL also for a request of another requester.
 */
IOMMU_ABI_API int iommu_abi_translate_in(const struct iommu_abi_context *context,
					 const struct iommu_abi_mem *mem,
					 const struct iommu_abi_request *request,
					 struct iommu_abi_trace *trace, struct iommu_abi_translation *out);

#ifdef __cplusplus
}
#endif
#endif
