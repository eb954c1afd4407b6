/* SPDX-License-Identifier: MIT */
/* The head of an element in a chain of capabilities. */
struct vfio_info_cap_header {
	__u16 id;
	__u16 version;
	__u32 next; /* bytes from the start of the outer struct, 0 at the end */
};
