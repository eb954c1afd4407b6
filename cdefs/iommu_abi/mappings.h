/* SPDX-License-Identifier: MIT */
/*
 * Everything that a device can reach: its contexts and their mappings, in order; and the tables
 * that say so.
 *
 * The enumerations fill an array and stop when it is full, when they have made as many
 * walks as the caller allows, or at the end; a cursor says where to go on. They need no
 * memory, whatever the tables hold, and agree with iommu_abi_translate(), because they ask
 * the same walk.
 */
#ifndef IOMMU_ABI_MAPPINGS_H
#define IOMMU_ABI_MAPPINGS_H

#include "iommu_abi/walk.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct iommu_abi_mapping - a range of IOVAs that reaches one range of host memory
 * @first: first IOVA
 * @last: last IOVA; @gpa and @hpa go up with the IOVA
 * @gpa: what S1 makes of @first
 * @hpa: what @first reaches
 * @detail: as in struct iommu_abi_translation; a range whose @target is IOMMU_ABI_MRIF is one page
 * @s1_sizes: page sizes of S1: bit k for pages of 2^k bytes; 0 where S1 is off
 * @s2_sizes: the same of S2
 * @access: enum iommu_abi_access, ORed: what the requester may do, as iommu_abi_translate() says it
 * @target: IOMMU_ABI_MEMORY or IOMMU_ABI_MRIF: interrupt messages are not listed
 */
struct iommu_abi_mapping {
	__u64 first;
	__u64 last;
	__u64 gpa;
	__u64 hpa;
	__u64 detail;
	__u64 s1_sizes;
	__u64 s2_sizes;
	__u8 access;
	__u8 target;
	__u8 reserved[6];
};

/**
 * struct iommu_abi_mapping_cursor - where an enumeration of mappings is
 * @next: the IOVA to look at next; set it, and the rest to 0, to begin there
 * @done: 1 when nothing is left
 * @pending: 1 if @run may still grow
 * @by_size: set it to 1 to have neighbours with other page sizes listed as ranges of their own
 * @run: the mapping that was found last
 */
struct iommu_abi_mapping_cursor {
	__u64 next;
	__u8 done;
	__u8 pending;
	__u8 by_size;
	__u8 reserved[5];
	struct iommu_abi_mapping run;
};

/**
 * iommu_abi_mappings() - what can this requester reach?
 * @unit: from iommu_abi_unit_init()
 * @mem: a checked image
 * @who: rid, pasid, flags and at; its iova and access are not looked at
 * @steps: the call looks at this many places at most, with up to three walks each; at least 1
 * @cursor: where to begin; where to go on
 * @out: receives ranges in ascending IOVA. Neighbours with the same rights whose GPAs and
 *	HPAs are contiguous are one range, even across calls
 * @n: room in @out, at least 1
 *
 * Hardware may ignore address bits: the top byte if tables say so, or the bits above the output width where
 * nothing is translated. Addresses that differ only in such bits are listed once.
 *
 * Ranges are of whole pages of 4 KiB, even where registers say that an IOMMU takes fewer addresses.
 *
 * Return: how many ranges are in @out, fewer than @n when @steps is used up or @cursor->done;
 * -EINVAL for a request that makes no sense.
 */
IOMMU_ABI_API long iommu_abi_mappings(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
				      const struct iommu_abi_request *who, size_t steps,
				      struct iommu_abi_mapping_cursor *cursor, struct iommu_abi_mapping *out,
				      size_t n);

/* What a requester's context does. */
enum iommu_abi_context_state {
	IOMMU_ABI_TRANSLATES, /* addresses go through tables */
	IOMMU_ABI_PASSES,     /* addresses go out as they come in */
	IOMMU_ABI_REFUSES,    /* nothing passes, because registers or legal entries say so; see the fault */
	IOMMU_ABI_BROKEN,     /* nothing passes, because an entry is unreadable or illegal; see the fault */
};

/**
 * struct iommu_abi_context_run - IDs in a row whose context does the same: of devices, or of PASIDs of a device
 * @first: rid or PASID
 * @last: the last one for which the same entry answers: more than one where a table of
 *	tables cannot be followed. Neighbours whose entries cannot be read are one context,
 *	whose fault is that of @first
 * @state: enum iommu_abi_context_state
 * @fault: of IOMMU_ABI_REFUSES and IOMMU_ABI_BROKEN; else 0
 */
struct iommu_abi_context_run {
	__u32 first;
	__u32 last;
	__u8 state;
	__u8 reserved[7];
	struct iommu_abi_fault fault;
};

/**
 * struct iommu_abi_context_cursor - where an enumeration of contexts is
 * @next: the rid or PASID to look at next; set it, and the rest to 0, to begin there
 * @done: 1 when nothing is left
 */
struct iommu_abi_context_cursor {
	__u64 next;
	__u8 done;
	__u8 reserved[7];
};

/**
 * iommu_abi_contexts() - which devices, or PASIDs of a device, have a context?
 * @unit: from iommu_abi_unit_init()
 * @mem: a checked image
 * @who: with IOMMU_ABI_HAS_PASID the PASIDs of its rid are listed, else requesters; iova, access
 *	and the other of the two IDs are not looked at
 * @steps: look at this many IDs at most, with up to three walks each; at least 1. Absent
 *	tables are skipped at once
 * @cursor: where to begin; where to go on
 * @out: receives contexts in ascending ID; absent ones are left out
 * @n: room in @out, at least 1
 *
 * A requester whose requests without PASID end in its PASID table is listed with that fault.
 * PASIDs are listed where a PASID table decides: none where it is off, whatever passes then.
 *
 * Return: as iommu_abi_mappings().
 */
IOMMU_ABI_API long iommu_abi_contexts(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
				      const struct iommu_abi_request *who, size_t steps,
				      struct iommu_abi_context_cursor *cursor,
				      struct iommu_abi_context_run *out, size_t n);

/**
 * struct iommu_abi_table - a page of memory that holds tables, or an entry that no walk can use
 * @first: IOVA or ID whose walk came there first
 * @last: last one whose walk goes the same way
 * @ref: the first entry that was read in that page of 4 KiB; 0 if this is about @fault
 * @fault: reason IOMMU_ABI_OK, or why every walk stops at an entry
 */
struct iommu_abi_table {
	__u64 first;
	__u64 last;
	struct iommu_abi_ref ref;
	struct iommu_abi_fault fault;
};

/**
 * struct iommu_abi_table_cursor - where an enumeration of tables is
 * @at: the IOVA or ID to look at next; set its next, and the rest to 0, to begin there
 * @seen: page numbers, plus 1, of the entries that the walk before read
 */
struct iommu_abi_table_cursor {
	struct iommu_abi_context_cursor at;
	__u64 seen[96];
};

/**
 * iommu_abi_tables() - which memory does the IOMMU read, and which entries are broken?
 * @unit: from iommu_abi_unit_init()
 * @mem: a checked image
 * @who: rid, pasid, flags and at
 * @of: IOMMU_ABI_DEVICE: the device tables, of all requesters. IOMMU_ABI_PASID: the PASID tables of
 *	a rid; @who must have IOMMU_ABI_HAS_PASID. IOMMU_ABI_S1: the page tables of both stages, for
 *	all IOVAs of @who
 * @steps: look at this many IOVAs or IDs at most, with up to three walks each; at least 1
 * @cursor: where to begin; where to go on
 * @out: receives pages of tables as walks come to them; one may come again. With IOMMU_ABI_S1 also
 *	entries that hold reserved bits or encodings, or that point to where no table is; those of
 *	device and PASID tables are in iommu_abi_contexts()
 * @n: room in @out, more than IOMMU_ABI_MAX_REFS
 *
 * Return: how many elements are in @out; -EINVAL for a request that makes no sense, an unknown @of or too
 * little room.
 */
IOMMU_ABI_API long iommu_abi_tables(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
				    const struct iommu_abi_request *who, unsigned int of, size_t steps,
				    struct iommu_abi_table_cursor *cursor, struct iommu_abi_table *out,
				    size_t n);

#ifdef __cplusplus
}
#endif
#endif
