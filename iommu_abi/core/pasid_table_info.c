/* SPDX-License-Identifier: MIT */
/*
 * pasid_table_info.c - the seed's struct as a blob: envelope, payload, and the checks of a
 * request to bind. docs/rules.md has the same rules as a table.
 */
#include <string.h>

#include "error.h"
#include "iommu_abi.h"

enum { HEAD = sizeof(struct pasid_table_info) };

struct field {
	const char *name;
	u8 first, size;
};

#define FIELD(s, f) .name = #f, .first = offsetof(struct s, f), .size = sizeof(((struct s *)0)->f)

static const struct field info_fields[] = {
	{ FIELD(pasid_table_info, ptr) },
	{ FIELD(pasid_table_info, size) },
	{ FIELD(pasid_table_info, model) },
	{ FIELD(pasid_table_info, length) },
};
static const struct field vtd_fields[] = {
	{ FIELD(iommu_abi_pasid_vtd, version) },
	{ FIELD(iommu_abi_pasid_vtd, flags) },
	{ FIELD(iommu_abi_pasid_vtd, pat) },
	{ FIELD(iommu_abi_pasid_vtd, emt) },
};
static const struct field smmuv3_fields[] = {
	{ FIELD(iommu_abi_pasid_smmuv3, version) },
	{ FIELD(iommu_abi_pasid_smmuv3, s1fmt) },
	{ FIELD(iommu_abi_pasid_smmuv3, s1dss) },
	{ FIELD(iommu_abi_pasid_smmuv3, padding) },
};

/* Refuse @len bytes that end inside one of @fields, of which @full would hold all. */
static int truncated(struct iommu_abi_error *err, enum rule_id id, const struct field *fields, size_t len,
		     size_t full)
{
	while (fields->first + fields->size <= len)
		fields++;
	return refuse_field(err, id, fields->name, fields->first, len, full);
}

/* Bytes of @p from @first to @len that are not 0: refuse the first of them. */
static int not_zero(struct iommu_abi_error *err, enum rule_id id, const unsigned char *p, size_t first,
		    size_t len)
{
	for (size_t i = first; i < len; i++)
		if (p[i])
			return refuse(err, id, i, p[i], 0);
	return 0;
}

/* ---- the envelope ---- */

/* Each generation has two models, with neighbouring numbers. */
static bool known_model(enum iommu_abi_generation gen, __u32 model)
{
	return model - (gen == IOMMU_ABI_RFC2017 ? 1 : IOMMU_MODEL_INTEL_VTD) < 2;
}

static int check_model(enum iommu_abi_generation gen, __u32 model, struct iommu_abi_error *err)
{
	if (known_model(gen, model))
		return 0;
	return refuse(err, RULE_INFO_MODEL, offsetof(struct pasid_table_info, model), model, 0);
}

/* A struct of at least its own length in @have bytes; copies the header to @head. */
static int check_have(enum iommu_abi_generation gen, const void *info, size_t have,
		      struct iommu_abi_error *err, struct pasid_table_info *head)
{
	int rc;

	if (have < HEAD)
		return truncated(err, RULE_INFO_TRUNCATED, info_fields, have, HEAD);
	memcpy(head, info, HEAD);
	rc = check_model(gen, head->model, err);
	if (rc)
		return rc;
	if (head->length > have - HEAD)
		return refuse(err, RULE_INFO_LENGTH, offsetof(struct pasid_table_info, length), head->length,
			      have - HEAD);
	return 0;
}

static int check_blob(enum iommu_abi_generation gen, const void *blob, size_t len,
		      struct iommu_abi_error *err)
{
	struct pasid_table_info head = { 0 };
	int rc = check_have(gen, blob, len, err, &head);

	if (rc)
		return rc;
	if (head.length < len - HEAD)
		return refuse(err, RULE_INFO_TRAILING, HEAD + (__u64)head.length, len,
			      HEAD + (__u64)head.length);
	return 0;
}

int iommu_abi_pasid_table_info_validate(enum iommu_abi_generation gen, const void *blob, size_t len,
					struct iommu_abi_error *err)
{
	return check_blob(gen, blob, len, err);
}

int iommu_abi_pasid_table_info_create(enum iommu_abi_generation gen, const struct pasid_table_info *head,
				      const void *opaque, size_t room, struct iommu_abi_error *err, void *out)
{
	int rc = check_model(gen, head->model, err);

	if (rc)
		return rc;
	if (room < HEAD || room - HEAD < head->length)
		return refuse(err, RULE_INFO_ROOM, 0, room, HEAD + (__u64)head->length);
	memcpy(out, head, HEAD);
	if (head->length)
		memcpy((unsigned char *)out + HEAD, opaque, head->length);
	return 0;
}

int iommu_abi_pasid_table_info_pack(enum iommu_abi_generation gen, const void *info, size_t have, size_t room,
				    struct iommu_abi_error *err, void *out)
{
	struct pasid_table_info head;
	int rc = check_have(gen, info, have, err, &head);

	if (rc)
		return rc;
	return iommu_abi_pasid_table_info_create(gen, &head, (const unsigned char *)info + HEAD, room, err,
						 out);
}

int iommu_abi_pasid_table_info_unpack(enum iommu_abi_generation gen, const void *blob, size_t len,
				      size_t room, struct iommu_abi_error *err, struct pasid_table_info *info)
{
	int rc = check_blob(gen, blob, len, err);

	if (rc)
		return rc;
	if (room < len)
		return refuse(err, RULE_INFO_ROOM, 0, room, len);
	memcpy(info, blob, len);
	return 0;
}

int iommu_abi_pasid_table_info_unpack_many(enum iommu_abi_generation gen, const void *blobs, size_t len,
					   size_t room, struct iommu_abi_error *err,
					   struct pasid_table_info *heads, __u64 *offsets, size_t *n)
{
	const unsigned char *p = blobs;
	struct pasid_table_info head;
	size_t at = 0, i;
	int rc = 0;

	for (i = 0; at < len && i < room; i++) {
		__u32 model, length;

		if (len - at < HEAD)
			break;
		/* where the next one begins depends on the length: read where it lies, not in a copy */
		memcpy(&model, p + at + offsetof(struct pasid_table_info, model), sizeof(model));
		memcpy(&length, p + at + offsetof(struct pasid_table_info, length), sizeof(length));
		if (!known_model(gen, model) || length > len - at - HEAD)
			break;
		memcpy(&heads[i], p + at, HEAD);
		at += HEAD;
		offsets[i] = at;
		at += length;
	}
	*n = i;
	if (at == len)
		return 0;
	/* say why it stopped */
	rc = i == room ? refuse(err, RULE_INFO_ROOM, 0, room, i + 1)
		       : check_have(gen, p + at, len - at, err, &head);
	if (err)
		err->offset += at;
	return rc;
}

int iommu_abi_pasid_table_info_view(enum iommu_abi_generation gen, const void *blob, size_t len,
				    struct iommu_abi_error *err, const struct pasid_table_info **view)
{
	size_t align = __alignof__(struct pasid_table_info);

	if ((uintptr_t)blob % align)
		return refuse(err, RULE_INFO_ALIGN, 0, (uintptr_t)blob, align);
	*view = blob;
	return check_blob(gen, blob, len, err);
}

/* ---- the payload ---- */

static int check_vtd(const unsigned char *opaque, size_t len, struct iommu_abi_error *err)
{
	const __u32 pat = 0x77777777;
	struct iommu_abi_pasid_vtd p;

	if (len < sizeof(p))
		return truncated(err, RULE_PAYLOAD_TRUNCATED, vtd_fields, len, sizeof(p));
	memcpy(&p, opaque, sizeof(p));
	if (p.version != IOMMU_ABI_PAYLOAD_VERSION_1)
		return refuse(err, RULE_PAYLOAD_VERSION, 0, p.version, IOMMU_ABI_PAYLOAD_VERSION_1);
	if (p.flags & ~(__u32)IOMMU_ABI_VTD_FLAGS)
		return refuse(err, RULE_VTD_FLAGS, 4, p.flags, IOMMU_ABI_VTD_FLAGS);
	if (p.pat & ~pat)
		return refuse(err, RULE_VTD_PAT, 8, p.pat, pat);
	if (p.emt > 7)
		return refuse(err, RULE_VTD_EMT, 12, p.emt, 7);
	if (p.emt && !(p.flags & IOMMU_ABI_VTD_EMTE))
		return refuse(err, RULE_VTD_EMT_EMTE, 12, p.emt, 0);
	return not_zero(err, RULE_PAYLOAD_TRAILING, opaque, sizeof(p), len);
}

static int check_smmuv3(const unsigned char *opaque, size_t len, struct iommu_abi_error *err)
{
	struct iommu_abi_pasid_smmuv3 p;
	int rc;

	if (len < sizeof(p))
		return truncated(err, RULE_PAYLOAD_TRUNCATED, smmuv3_fields, len, sizeof(p));
	memcpy(&p, opaque, sizeof(p));
	if (p.version != IOMMU_ABI_PAYLOAD_VERSION_1)
		return refuse(err, RULE_PAYLOAD_VERSION, 0, p.version, IOMMU_ABI_PAYLOAD_VERSION_1);
	if (p.s1fmt > IOMMU_ABI_S1FMT_64K_L2)
		return refuse(err, RULE_SMMUV3_S1FMT, 4, p.s1fmt, IOMMU_ABI_S1FMT_64K_L2);
	if (p.s1dss > IOMMU_ABI_S1DSS_SSID0)
		return refuse(err, RULE_SMMUV3_S1DSS, 5, p.s1dss, IOMMU_ABI_S1DSS_SSID0);
	rc = not_zero(err, RULE_SMMUV3_PADDING, opaque, offsetof(struct iommu_abi_pasid_smmuv3, padding),
		      sizeof(p));
	return rc ? rc : not_zero(err, RULE_PAYLOAD_TRAILING, opaque, sizeof(p), len);
}

int iommu_abi_payload_validate(enum iommu_model model, const void *opaque, size_t len,
			       struct iommu_abi_error *err)
{
	if (!len)
		return 0;
	switch (model) {
	case IOMMU_MODEL_INTEL_VTD:
		return check_vtd(opaque, len, err);
	case IOMMU_MODEL_ARM_SMMU:
		return check_smmuv3(opaque, len, err);
	}
	return refuse(err, RULE_INFO_MODEL, 0, model, 0);
}

/* ---- a request to bind ---- */

static int check_ptr(const struct iommu_abi_bind_limits *l, __u64 ptr, struct iommu_abi_error *err)
{
	if (!ptr)
		return refuse(err, RULE_BIND_PTR_ZERO, 0, ptr, 0);
	if (ptr & (l->ptr_align - 1))
		return refuse(err, RULE_BIND_PTR_ALIGN, 0, ptr, l->ptr_align);
	if (ptr > l->ptr_last)
		return refuse(err, RULE_BIND_PTR_RANGE, 0, ptr, l->ptr_last);
	return 0;
}

static int check_size(const struct iommu_abi_bind_limits *l, __u64 size, struct iommu_abi_error *err)
{
	const size_t at = offsetof(struct pasid_table_info, size);

	if (!size || size & (size - 1))
		return refuse(err, RULE_BIND_SIZE_POWER, at, size, 0);
	if (size < l->size_min)
		return refuse(err, RULE_BIND_SIZE_RANGE, at, size, l->size_min);
	if (size > l->size_host)
		return refuse(err, RULE_BIND_SIZE_HOST, at, size, l->size_host);
	return 0;
}

static int check_capabilities(const struct iommu_abi_bind_limits *l, const struct pasid_table_info *info,
			      struct iommu_abi_error *err)
{
	struct iommu_abi_pasid_vtd p;

	if (l->model != IOMMU_MODEL_INTEL_VTD || !info->length)
		return 0;
	memcpy(&p, info->opaque, sizeof(p));
	if (p.flags & ~l->vtd_flags)
		return refuse(err, RULE_BIND_VTD_FLAGS, HEAD + 4, p.flags, l->vtd_flags);
	if (p.pat && !l->vtd_pat)
		return refuse(err, RULE_BIND_VTD_PAT, HEAD + 8, p.pat, 0);
	return 0;
}

int iommu_abi_bind_check(const struct iommu_abi_bind_limits *l, const struct pasid_table_info *info,
			 struct iommu_abi_error *err)
{
	size_t payload = l->model == IOMMU_MODEL_INTEL_VTD ? sizeof(struct iommu_abi_pasid_vtd)
							   : sizeof(struct iommu_abi_pasid_smmuv3);
	int rc;

	if (info->model != (__u32)l->model)
		return refuse(err, RULE_BIND_MODEL, offsetof(struct pasid_table_info, model), info->model,
			      l->model);
	if (info->length && info->length < payload)
		return refuse(err, RULE_BIND_LENGTH, offsetof(struct pasid_table_info, length), info->length,
			      payload);
	rc = check_ptr(l, info->ptr, err);
	if (!rc)
		rc = check_size(l, info->size, err);
	if (!rc) {
		rc = iommu_abi_payload_validate(l->model, info->opaque, info->length, err);
		if (rc && err)
			err->offset += HEAD;
	}
	return rc ? rc : check_capabilities(l, info, err);
}
