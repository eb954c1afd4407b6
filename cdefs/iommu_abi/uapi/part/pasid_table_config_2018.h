/* SPDX-License-Identifier: MIT */
/*
 * struct PASID_TABLE_CONFIG of 2018: model and opaque tail are gone. "bytes" is the size of this
 * struct, which is another number on ABIs that align 8-byte integers less.
 */
struct PASID_TABLE_CONFIG {
	__u32 version;
	__u32 bytes;
	__u64 base_ptr;
	__u8 pasid_bits; /* at most the width of the host's PASIDs */
};
