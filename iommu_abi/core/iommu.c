/* SPDX-License-Identifier: MIT */
/*
 * iommu.c - the core of the seed's kernel API, which does what the patch does and no more:
 * no check of its arguments, no lock, no reference count.
 */
#include "iommu_abi.h"

int iommu_bind_pasid_table(struct iommu_domain *domain, struct device *dev,
			   struct pasid_table_info *pasidt_binfo)
{
	if (!domain->ops->bind_pasid_table)
		return -EINVAL;
	return domain->ops->bind_pasid_table(domain, dev, pasidt_binfo);
}

int iommu_unbind_pasid_table(struct iommu_domain *domain, struct device *dev)
{
	if (!domain->ops->unbind_pasid_table)
		return -EINVAL;
	return domain->ops->unbind_pasid_table(domain, dev);
}
