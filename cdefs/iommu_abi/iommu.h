/* SPDX-License-Identifier: MIT */
/*
 * The kernel API of "iommu: Introduce bind_pasid_table API function" (June 2017, patch
 * 1/9): two functions and the two hooks of a driver behind them.
 *
 * Compile with -DCONFIG_IOMMU_API, as `iommu-abi config --cflags` and pkg-config say.
 * Without it both functions are inline and answer -EINVAL, which is what the patch does
 * for a kernel built without IOMMU support.
 */
#ifndef IOMMU_ABI_IOMMU_H
#define IOMMU_ABI_IOMMU_H

#include <errno.h>

#include "iommu_abi/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pasid_table_info;
struct device; /* the core hands it on and never looks inside */
struct iommu_domain;

/**
 * struct iommu_ops - what an IOMMU driver offers; a NULL hook means "not supported"
 * @bind_pasid_table: install a guest's PASID table for @dev; 0 or a negative errno, and
 *	on error nothing has changed
 * @unbind_pasid_table: take it away and restore what was there before
 */
struct iommu_ops {
	int (*bind_pasid_table)(struct iommu_domain *domain, struct device *dev,
				struct pasid_table_info *pasidt_binfo);
	int (*unbind_pasid_table)(struct iommu_domain *domain, struct device *dev);
};

/**
 * struct iommu_domain - the address space that a device is attached to
 * @ops: hooks of the driver; must outlive the domain
 * @priv: the driver's own
 */
struct iommu_domain {
	const struct iommu_ops *ops;
	void *priv;
};

#ifdef CONFIG_IOMMU_API
/**
 * iommu_bind_pasid_table() - hand a guest's PASID table to the host IOMMU
 * @domain: must not be NULL, nor its ops: the patch tests neither
 * @dev: passed on as it is
 * @pasidt_binfo: passed on as it is; the driver checks it
 *
 * Takes no lock: callers serialise calls for one domain.
 *
 * Return: -EINVAL when the driver has no hook, else what the hook returns.
 */
IOMMU_ABI_API int iommu_bind_pasid_table(struct iommu_domain *domain, struct device *dev,
					 struct pasid_table_info *pasidt_binfo);

/**
 * iommu_unbind_pasid_table() - take the guest's table away, restore defaults
 * @domain: as above
 * @dev: as above
 *
 * Return: -EINVAL when the driver has no hook, else what the hook returns.
 */
IOMMU_ABI_API int iommu_unbind_pasid_table(struct iommu_domain *domain, struct device *dev);
#else
static inline int iommu_bind_pasid_table(struct iommu_domain *domain, struct device *dev,
					 struct pasid_table_info *pasidt_binfo)
{
	(void)domain;
	(void)dev;
	(void)pasidt_binfo;
	return -EINVAL;
}

static inline int iommu_unbind_pasid_table(struct iommu_domain *domain, struct device *dev)
{
	(void)domain;
	(void)dev;
	return -EINVAL;
}
#endif

#ifdef __cplusplus
}
#endif
#endif
