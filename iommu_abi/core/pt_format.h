/* SPDX-License-Identifier: MIT */
/*
 * pt_format.h - one table format: geometry, what an entry means, what using it changes.
 *
 * Formats are const data and pure functions: they know no request, no memory and no device.
 * Words are those of iommu_abi/walk.h: level 0 holds only leaves, "in" is a stage's input address,
 * "out" its output, ranges are inclusive, _lg2 is a log2.
 */
#ifndef IOMMU_ABI_PT_FORMAT_H
#define IOMMU_ABI_PT_FORMAT_H

#include "int.h"
#include "iommu_abi/walk.h"

#define PT_INLINE static inline __attribute__((always_inline))
#define PT_COLD __attribute__((cold, noinline))

/* MAX_LEVELS: AMD mode 6. OFF: pt_stage.top of a stage that passes everything. */
enum { PT_MAX_LEVELS = 6, PT_OFF = 0xff };

/* Rights of an entry, ANDed over the levels. R, W, X as in enum iommu_abi_access. */
enum { PT_R = 1, PT_W = 2, PT_X = 4, PT_USER = 8, PT_PR = 16, PT_PX = 32, PT_ALL = 63 };

enum pt_kind { PT_EMPTY, PT_TABLE, PT_LEAF };

/**
 * struct pt_entry - one decoded entry: the walk never looks at raw bits
 * @base: next table, or first byte of the leaf's output
 * @kind: enum pt_kind; PT_EMPTY is NOT_PRESENT
 * @size_lg2: of a leaf: bytes mapped, may exceed the level's own size
 * @next: of a table: its level, below this one; read with pt_format.skips
 * @grant: PT_R.. that this entry allows
 * @bad: enum iommu_abi_reason with which the walk stops at once, or 0
 * @late: of a leaf: the same, but the walk judges the rights first
 */
struct pt_entry {
	u64 base;
	unsigned int kind, size_lg2, next, grant;
	u8 bad, late;
};

/**
 * struct pt_rule - is an access allowed?
 * @look: rights that are looked at
 * @need: of them exactly these are granted
 * @never: with pt_format.has_never: not all of these
 */
struct pt_rule {
	u8 look, need, never;
};

/* A pt_rule: rights that must be granted, and rights that must not. */
#define PT_NEED(need_, forbid_)                           \
	{                                                 \
		(u8)((need_) | (forbid_)), (u8)(need_), 0 \
	}

/* What the rules of a stage judge: a read, write or fetch; the walk's own read of a stage-1 or PASID
 * entry; or no right at all, only privilege: for data and for a fetch. */
enum pt_judge {
	PT_JUDGE_R,
	PT_JUDGE_W,
	PT_JUDGE_X,
	PT_JUDGE_TABLE,
	PT_JUDGE_NONE,
	PT_JUDGE_NONE_X,
	PT_JUDGES
};

/* The rules of a stage, [privileged] of the request: constants of the vendor. */
typedef const struct pt_rule pt_rules[2][PT_JUDGES];

/* What hardware does where pt_format.update() would set flags. SET: sets them. FAULT: refuses, ACCESS_FLAG.
 * UNSNOOPED: cannot set them, and refuses with UPDATE_DENIED unless something else is wrong. */
enum pt_ad { PT_AD_SET, PT_AD_FAULT, PT_AD_UNSNOOPED };

/**
 * struct pt_stage - one stage of one context. What varies per context is a number: decode() stays pure
 * @root: address of the first table
 * @in_first: of stage 1: lowest input; canonical addresses begin at the negative of their half
 * @in_span: bytes of legal input beyond @in_first, of stage 2 beyond 0; else INPUT_RANGE
 * @in_mask: bits of the input that are translated
 * @out_last: with pt_format.checks_out: the last output
 * @rsvd: with pt_format.has_rsvd: [leaf][level], bits that must be 0; lies in the unit's state
 * @rules: which rights an access needs
 * @flags: the format's own
 * @top: level of the root table, or PT_OFF: then nothing else is set
 * @ad: enum pt_ad
 */
struct pt_stage {
	u64 root;
	u64 in_first, in_span;
	u64 in_mask;
	u64 out_last;
	const u64 (*rsvd)[PT_MAX_LEVELS];
	pt_rules *rules;
	u32 flags;
	u8 top, ad;
};

/**
 * struct pt_plain - which entries of a stage are plain for one kind of access: present, nothing reserved, granting
 * what is asked for, with no flag to set
 * @table, @table_is: a table entry of level n if (raw & @table) == @table_is + n * pt_format.plain_step
 * @page, @page_is: an entry of level 0
 * @large, @large_is: a page of level 1
 */
struct pt_plain {
	u64 table, table_is, page, page_is, large, large_is;
};

/**
 * struct pt_format - constants, so that an inlined walk over a const one folds
 * @granule_lg2: bytes of the smallest page: 12, 14, 16
 * @index_lg2: index bits of every table below the root
 * @entry_lg2: bytes of an entry: 3; Sv32 2
 * @big_endian: entries are, and are swapped when read
 * @skips: a table entry may name a level below the next one
 * @checks_out: tables and leaves beyond pt_stage.out_last are OUTPUT_RANGE
 * @has_rsvd: pt_stage.rsvd is used
 * @ad_faults: pt_stage.ad may be PT_AD_FAULT
 * @unsnooped: pt_stage.ad may be PT_AD_UNSNOOPED
 * @has_never: pt_rule.never is used
 * @user_last: a missing PT_USER counts only where nothing else is missing
 * @has_both: pt_walk.access may be PT_R | PT_W: a write where that is granted, else a read
 * @plain_address, @plain_up: where plain entries have their address, and how far it is shifted up
 * @plain_step: see struct pt_plain
 * @decode: the meaning of one entry of a table of @level. Reserved bits are the walk's to test
 * @update: @raw with the flags that hardware sets in an entry for @access, PT_R, PT_W or PT_X; NULL: none ever
 * @plain: fills *p for a rule and an access of which no flags are to be set; false: look at each entry. NULL: always
 */
struct pt_format {
	u8 granule_lg2, index_lg2, entry_lg2;
	bool big_endian, skips, checks_out, has_rsvd, ad_faults, unsnooped, has_never, user_last, has_both;
	struct pt_entry (*decode)(u64 raw, unsigned int level, const struct pt_stage *s);
	u64 (*update)(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s);
	u64 plain_address, plain_step;
	u8 plain_up;
	bool (*plain)(const struct pt_stage *s, const struct pt_rule *rule, unsigned int access,
		      struct pt_plain *p);
};

#endif
