/* SPDX-License-Identifier: MIT */
/*
 * x86_pt.h - entries of x86-64 page tables, which first stages of VT-d (9.7) and guest tables of AMD-Vi (2.2.6)
 * have in common: present, read/write, user/supervisor, page size and execute-disable.
 */
#ifndef IOMMU_ABI_X86_PT_H
#define IOMMU_ABI_X86_PT_H

#include "pt_format.h"

#define X86_ADDRESS BITS(51, 12)
#define X86_LARGE BIT(7) /* in a table above level 0: a page */
#define X86_XD BIT(63)

/* VT-d 3.6, 3.6.1, 9.7; AMD 2.2.6: P=0 is no entry; PS (7) makes a page above level 0. */
static inline struct pt_entry x86_decode(u64 raw, unsigned int level, const struct pt_stage *s)
{
	(void)s;
	return (struct pt_entry){
		.base = raw & X86_ADDRESS,
		.kind = !(raw & BIT(0))             ? PT_EMPTY
			: !level || raw & X86_LARGE ? PT_LEAF
						    : PT_TABLE,
		.size_lg2 = 12 + 9 * level,
		.grant = PT_R | (raw & PT_W) | (~raw >> 61 & PT_X) | (raw << 1 & PT_USER),
	};
}

/* For pt_format.plain; @used: flags that are set in an entry that was used, @dirty: in a page that this access writes.
 * Every entry must grant what a user needs. A table with XD goes through pt_walk.h. */
PT_INLINE bool x86_plain(const struct pt_stage *s, const struct pt_rule *rule, u64 used, u64 dirty,
			 struct pt_plain *p)
{
	u64 must = BIT(0) | used | (rule->need & PT_W) | (rule->need & PT_USER) >> 1;
	u64 clear = rule->need & PT_X ? X86_XD : 0;

	p->table = s->rsvd[0][1] | X86_LARGE | X86_XD | must;
	p->table_is = must;
	p->page = s->rsvd[1][0] | must | dirty | clear;
	p->page_is = must | dirty;
	p->large = s->rsvd[1][1] | X86_LARGE | must | dirty | clear;
	p->large_is = X86_LARGE | must | dirty;
	return rule->look == rule->need;
}

#endif
