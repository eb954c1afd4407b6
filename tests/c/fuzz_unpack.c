/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: struct pasid_table_info and its payloads.
 *
 * The first bytes of the input choose the generation, alignment, room and repairs of what follows
 * them: with a repaired header every second input or so is a blob that is accepted.
 */
#include <errno.h>

#include "fuzz.h"
#include "iommu_abi.h"

enum { HEAD = sizeof(struct pasid_table_info), SHIFTS = 8 };

static unsigned long long blobs, accepted, payloads;

void fuzz_summary(void)
{
	printf("  blobs %llu, accepted %llu, with a valid payload that is not empty %llu\n", blobs, accepted,
	       payloads);
}

/* What every refusal has to bring. */
static void check_error(int rc, const struct iommu_abi_error *err, size_t room)
{
	char *sentence = malloc(room ? room : 1);
	size_t n;

	REQUIRE(rc < 0 && err->errnum == -rc);
	REQUIRE(err->rule && err->rule->name && err->field);
	n = iommu_abi_strerror(err, sentence, room);
	REQUIRE(n > 0);
	REQUIRE(!room || strlen(sentence) == (n < room ? n : room - 1));
	free(sentence);
}

static void repair(struct input *in, enum iommu_abi_generation gen, unsigned char *blob, size_t len)
{
	struct pasid_table_info head;
	unsigned int how = (unsigned int)take(in, 1);

	if (len < HEAD || !(how & 3))
		return;
	memcpy(&head, blob, HEAD);
	if (how & 1)
		head.model = (head.model & 1) + (gen == IOMMU_ABI_RFC2017);
	if (how & 2)
		head.length = (__u32)(len - HEAD);
	memcpy(blob, &head, HEAD);
	if (how & 4 && len >= HEAD + 4)
		memcpy(blob + HEAD, &(__u32){ IOMMU_ABI_PAYLOAD_VERSION_1 }, 4);
	/* small numbers are more often legal */
	for (size_t i = HEAD + 4; how & 8 && i < len; i++)
		blob[i] &= how & 16 ? 0 : 7;
}

static void check_copies(enum iommu_abi_generation gen, const unsigned char *blob, size_t len)
{
	unsigned char *copy = malloc(len);
	struct pasid_table_info head;
	struct iommu_abi_error err;

	memcpy(&head, blob, HEAD);
	memset(copy, 0xa5, len);
	REQUIRE(!iommu_abi_pasid_table_info_create(gen, &head, blob + HEAD, len, &err, copy));
	REQUIRE(!memcmp(copy, blob, len));
	memset(copy, 0xa5, len);
	REQUIRE(!iommu_abi_pasid_table_info_pack(gen, blob, len, len, NULL, copy));
	REQUIRE(!memcmp(copy, blob, len));
	free(copy);
}

/* unpack() into @room bytes does what validate() said, or writes nothing. */
static void check_unpack(enum iommu_abi_generation gen, const unsigned char *blob, size_t len, size_t room,
			 int expected)
{
	struct pasid_table_info *info = malloc(room ? room : 1);
	struct iommu_abi_error err;
	int rc;

	memset(info, 0xa5, room);
	rc = iommu_abi_pasid_table_info_unpack(gen, blob, len, room, &err, info);
	REQUIRE(rc == (!expected && room < len ? -ENOSPC : expected));
	if (!rc)
		REQUIRE(!memcmp(info, blob, len));
	for (size_t i = 0; rc && i < room; i++)
		REQUIRE(((unsigned char *)info)[i] == 0xa5);
	free(info);
}

static void check_payload(const unsigned char *opaque, size_t len, size_t room)
{
	struct iommu_abi_error err;

	for (unsigned int model = 0; model < 3; model++) {
		int rc = iommu_abi_payload_validate((enum iommu_model)model, opaque, len, &err);

		REQUIRE(rc == iommu_abi_payload_validate((enum iommu_model)model, opaque, len, NULL));
		REQUIRE(len || !rc);
		payloads += len && !rc;
		if (rc)
			check_error(rc, &err, room);
	}
}

static void check_bind(struct input *in, const struct pasid_table_info *info, size_t room)
{
	const struct iommu_abi_bind_limits limits = {
		.model = (enum iommu_model)(take(in, 1) & 1),
		.ptr_align = 1ull << (take(in, 1) & 15),
		.ptr_last = take(in, 8) | 0xffffffff,
		.size_min = take(in, 1),
		.size_host = take(in, 8),
		.vtd_flags = (__u32)take(in, 2),
		.vtd_pat = (__u32)take(in, 1) & 1,
	};
	struct iommu_abi_error err;
	int rc = iommu_abi_bind_check(&limits, info, &err);

	REQUIRE(rc == iommu_abi_bind_check(&limits, info, NULL));
	if (rc)
		check_error(rc, &err, room);
}

static void check_view(enum iommu_abi_generation gen, const unsigned char *blob, size_t len, int expected)
{
	const struct pasid_table_info *view = NULL;
	bool aligned = !((uintptr_t)blob % __alignof__(struct pasid_table_info));
	int rc = iommu_abi_pasid_table_info_view(gen, blob, len, NULL, &view);

	REQUIRE(rc == (aligned ? expected : -EINVAL));
	if (!rc)
		REQUIRE((const void *)view == blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int control = (unsigned int)take(&in, 1);
	enum iommu_abi_generation gen = control & 1 ? IOMMU_ABI_RFC2017 : IOMMU_ABI_V1_2017;
	size_t shift = control >> 1 & (SHIFTS - 1), room = (size_t)take(&in, 1), len;
	struct input rest = { data + (size < 20 ? size : 20), size < 20 ? 0 : size - 20 };
	struct iommu_abi_error err;
	unsigned char *memory, *blob;
	int rc;

	len = rest.size;
	memory = malloc(shift + len + !(shift + len));
	blob = memory + shift;
	memcpy(blob, rest.data, len);
	repair(&in, gen, blob, len);
	rc = iommu_abi_pasid_table_info_validate(gen, blob, len, &err);
	REQUIRE(rc == 0 || rc == -EINVAL || rc == -E2BIG);
	blobs++;
	accepted += !rc;
	REQUIRE(rc == iommu_abi_pasid_table_info_validate(gen, blob, len, NULL));
	if (rc)
		check_error(rc, &err, room);
	check_unpack(gen, blob, len, len, rc);
	check_unpack(gen, blob, len, room, rc);
	check_view(gen, blob, len, rc);
	if (!rc) {
		check_copies(gen, blob, len);
		check_payload(blob + HEAD, len - HEAD, room);
		if (!shift)
			check_bind(&in, (const struct pasid_table_info *)blob, room);
	}
	free(memory);
	return 0;
}
