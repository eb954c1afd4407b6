/* SPDX-License-Identifier: MIT */
/* What every part of VFIO begins with. The type of its ioctls is also that of iommufd. */

/* Posted as macros. */
enum {
	VFIO_TYPE = 0x3b, /* ';' */
	VFIO_BASE = 100,
};
