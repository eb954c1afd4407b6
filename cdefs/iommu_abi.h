/* SPDX-License-Identifier: MIT */
/*
 * iommu_abi - the Linux IOMMU user API of June 2017 and the tables behind it, in C.
 *
 * Introduction
 * ------------
 * A guest that owns its PASID table and first-stage page tables (IOVA -> GPA) hands them
 * to a host IOMMU that owns the second stage (GPA -> HPA). struct pasid_table_info is the
 * hand-over, iommu_bind_pasid_table() the call, and iommu_abi_translate() follows the
 * tables that result, entry by entry, as the hardware would.
 *
 * Most programs need three things:
 *
 *	iommu_abi_pasid_table_info_validate()	is this blob well-formed?
 *	iommu_bind_pasid_table()		give it to a driver        (iommu_abi/iommu.h)
 *	iommu_abi_translate()			where does this DMA go?    (iommu_abi/walk.h)
 *
 * For many DMAs of one requester there is a handle (iommu_abi/context.h), for all that it can reach an
 * enumeration (iommu_abi/mappings.h).
 *
 * Byte order is the machine's for blobs and little-endian for hardware tables. Sizes and
 * offsets are in bytes. Ranges are [first, last], inclusive.
 *
 * Threads: the library has no state of its own. Any function may run in any thread at any
 * time, as long as nobody writes to what it was given. Memory images are the exception:
 * their contents may change during a walk.
 *
 * Ownership: the library allocates nothing and keeps no pointer after a call returns,
 * except those that a caller stores in a struct of its own.
 *
 * Hostile input: no blob, register value or table content can make a function read
 * outside the memory it was given, loop, or fail to return.
 */
#ifndef IOMMU_ABI_H
#define IOMMU_ABI_H

#include "iommu_abi/types.h"
#include "iommu_abi/error.h"
#include "iommu_abi/uapi/v1_2017.h"
#include "iommu_abi/payload.h"
#include "iommu_abi/copy_struct.h"
#include "iommu_abi/iommu.h"
#include "iommu_abi/walk.h"
#include "iommu_abi/context.h"
#include "iommu_abi/mappings.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * iommu_abi_version() - the library that is linked, "MAJOR.MINOR.PATCH"; static storage
 */
IOMMU_ABI_API const char *iommu_abi_version(void);

/* Generations of the ABI that have a struct pasid_table_info. Their layouts agree and
 * their numbers for the models do not. */
enum iommu_abi_generation {
	IOMMU_ABI_RFC2017 = 1,
	IOMMU_ABI_V1_2017,
};

/*
 * struct pasid_table_info as a blob. Every function below checks the envelope, in this
 * order: 24 bytes of header are there; a known generation's model; opaque[] has the bytes
 * that `length` announces; nothing follows. The meaning of opaque[] is checked by
 * iommu_abi_payload_validate(). `blob` may have any alignment unless a line says otherwise,
 * and is not read beyond `len`. All return 0 or a negative errno with `err` filled:
 * -EINVAL, or -E2BIG for bytes that follow.
 */

/**
 * iommu_abi_pasid_table_info_validate() - check a blob
 * @gen: whose numbers @blob uses
 * @blob: @len bytes; may be NULL if @len is 0
 * @len: exactly the bytes of the blob
 * @err: filled on error; may be NULL
 */
IOMMU_ABI_API int iommu_abi_pasid_table_info_validate(enum iommu_abi_generation gen, const void *blob,
						      size_t len, struct iommu_abi_error *err);

/**
 * iommu_abi_pasid_table_info_create() - write a blob from values
 * @gen: whose numbers @head->model uses
 * @head: ptr, size, model and length; its opaque[] is not looked at
 * @opaque: @head->length bytes; may be NULL if that is 0
 * @room: bytes at @out
 * @err: filled on error; may be NULL
 * @out: receives 24 + @head->length bytes, or nothing on error
 *
 * Return: 0, -EINVAL for an unknown model, -ENOSPC if @room is too small.
 */
IOMMU_ABI_API int iommu_abi_pasid_table_info_create(enum iommu_abi_generation gen,
						    const struct pasid_table_info *head, const void *opaque,
						    size_t room, struct iommu_abi_error *err, void *out);

/**
 * iommu_abi_pasid_table_info_pack() - copy a struct in memory to a blob
 * @gen: whose numbers @info uses
 * @info: the struct with its opaque[]
 * @have: bytes at @info; may be more than the struct needs
 * @room: bytes at @out
 * @err: filled on error; may be NULL
 * @out: receives 24 + length bytes, or nothing on error
 *
 * Return: 0, -EINVAL as above, -ENOSPC if @room is too small.
 */
IOMMU_ABI_API int iommu_abi_pasid_table_info_pack(enum iommu_abi_generation gen, const void *info,
						  size_t have, size_t room, struct iommu_abi_error *err,
						  void *out);

/**
 * iommu_abi_pasid_table_info_unpack() - check a blob and copy it to an aligned struct
 * @gen: whose numbers @blob uses
 * @blob: @len bytes
 * @len: exactly the bytes of the blob
 * @room: bytes at @info
 * @err: filled on error; may be NULL
 * @info: receives the struct with its opaque[], or nothing on error
 *
 * Return: 0, -EINVAL or -E2BIG as above, -ENOSPC if @room is too small.
 */
IOMMU_ABI_API int iommu_abi_pasid_table_info_unpack(enum iommu_abi_generation gen, const void *blob,
						    size_t len, size_t room, struct iommu_abi_error *err,
						    struct pasid_table_info *info);

/**
 * iommu_abi_pasid_table_info_unpack_many() - check blobs that lie one behind the other
 * @gen: whose numbers they use
 * @blobs: @len bytes
 * @len: exactly the bytes of all of them
 * @room: elements at @heads and at @offsets; @len / 24 are always enough
 * @err: filled on error, its offset counts from @blobs; may be NULL
 * @heads: receives ptr, size, model and length of each
 * @offsets: receives where in @blobs the opaque[] of each begins
 * @n: receives how many there are; on error the index of the one that was refused
 *
 * Return: 0, -EINVAL as above, -ENOSPC if @room is too small.
 */
IOMMU_ABI_API int iommu_abi_pasid_table_info_unpack_many(enum iommu_abi_generation gen, const void *blobs,
							 size_t len, size_t room, struct iommu_abi_error *err,
							 struct pasid_table_info *heads, __u64 *offsets,
							 size_t *n);

/**
 * iommu_abi_pasid_table_info_view() - check a blob and use it where it lies
 * @gen: whose numbers @blob uses
 * @blob: @len bytes, aligned as struct pasid_table_info is
 * @len: exactly the bytes of the blob
 * @err: filled on error; may be NULL
 * @view: receives @blob as a struct; valid as long as @blob is
 *
 * Return: 0, -EINVAL or -E2BIG as above, -EINVAL for a misaligned @blob.
 */
IOMMU_ABI_API int iommu_abi_pasid_table_info_view(enum iommu_abi_generation gen, const void *blob, size_t len,
						  struct iommu_abi_error *err,
						  const struct pasid_table_info **view);

/**
 * iommu_abi_payload_validate() - check opaque[] against its model
 * @model: which payload, see payload.h
 * @opaque: @len bytes of any alignment; may be NULL if @len is 0
 * @len: 0, or at least the payload's size; bytes beyond it must be 0
 * @err: filled on error, offsets count from the start of @opaque; may be NULL
 *
 * Return: 0, -EINVAL, or -EOPNOTSUPP for an unknown version.
 */
IOMMU_ABI_API int iommu_abi_payload_validate(enum iommu_model model, const void *opaque, size_t len,
					     struct iommu_abi_error *err);

/**
 * struct iommu_abi_bind_limits - what a host IOMMU can take
 * @model: the driver's own
 * @ptr_align: alignment of the table, bytes, a power of two
 * @ptr_last: last legal guest-physical address of the table
 * @size_min: smallest table, bytes
 * @size_host: the host's table, bytes
 * @vtd_flags: VT-d: the payload flags that the unit's capabilities allow
 * @vtd_pat: VT-d: whether a PAT may be given
 */
struct iommu_abi_bind_limits {
	enum iommu_model model;
	__u64 ptr_align;
	__u64 ptr_last;
	__u64 size_min;
	__u64 size_host;
	__u32 vtd_flags;
	__u32 vtd_pat;
};

/**
 * iommu_abi_bind_check() - the checks that every driver makes on a request to bind
 * @limits: the driver's
 * @info: the request with its opaque[]
 * @err: filled on error; may be NULL
 *
 * In this order: model, length against the payload, ptr, size, size against the host's
 * table, payload. What depends on the device (no PASID support, already bound) is the
 * driver's own to check, after these.
 *
 * Return: 0, -EINVAL, or -EOPNOTSUPP for an unknown payload version.
 */
IOMMU_ABI_API int iommu_abi_bind_check(const struct iommu_abi_bind_limits *limits,
				       const struct pasid_table_info *info, struct iommu_abi_error *err);

#ifdef __cplusplus
}
#endif
#endif
