/* SPDX-License-Identifier: MIT */
/*
 * pt_context.h - who: what a requester, or a PASID of it, has.
 *
 * pt_vendor.look_up() fills one from registers and tables, and knows neither address nor access: what
 * depends on these is for pt_vendor.admit(). So one context serves every request of its requester, for as
 * long as registers and tables stay as they are. Plain data: it points to its unit and to constants.
 */
#ifndef IOMMU_ABI_PT_CONTEXT_H
#define IOMMU_ABI_PT_CONTEXT_H

#include "pt_format.h"

/* The level 0 entry of a device or PASID table that decided on the requests; @raw: its first eight bytes. */
struct pt_decided {
	u64 gpa, hpa, raw;
};

/**
 * struct pt_context - filled by pt_vendor.look_up(), constant afterwards
 * @unit: the IOMMU; borrowed
 * @rid: requester
 * @pasid: 0 without @has_pasid
 * @flags: the vendor's: what its entries say, how far look_up() came
 * @own: words that only the vendor's file reads and writes
 * @has_pasid: the context is that of a PASID, not of the requester's requests without one
 * @grant: PT_R.. that the entries above the stages allow
 * @refs: [DEVICE], [PASID]: references of look_up() up to that entry
 * @entry: [DEVICE], [PASID]: what decided; set where @flags say so
 * @domain: by which caches of translations tell contexts apart: domain ID, VMID or GSCID
 * @process: the same of stage 1: PASID, ASID or PSCID; both 0 where there is none
 * @f1, @f2: formats of @s1 and @s2
 * @s1: of addresses of the lower and, where it has tables of its own, of the upper half
 * @refusal: what stopped look_up(); reason IOMMU_ABI_OK: nothing. Input is 0 where it is the request's
 *	address, native 0 where pt_vendor.native() says it
 */
struct pt_context {
	const struct iommu_abi_unit *unit;
	u32 rid, pasid;
	u32 flags, domain, process;
	bool has_pasid;
	u8 grant, refs[2];
	u64 own[3];
	struct pt_decided entry[2];
	const struct pt_format *f1[2], *f2;
	struct pt_stage s1[2], s2;
	struct iommu_abi_fault refusal;
};

#endif
