/* SPDX-License-Identifier: MIT */
/*
 * pt.h - what a table format and a vendor say to the walk that all of them share.
 *
 * The interface document of core/: read it first. pt_walk.h holds the walk and knows no
 * vendor; a vendor's file holds what is below and knows no walk. Public callers see
 * iommu_abi/walk.h only, whose words are used here too: level 0 holds only leaves, "in"
 * is a stage's input address, "out" its output, ranges are inclusive, _lg2 is a log2.
 * To add a format: core/X.c with a struct pt_vendor at the bottom, and what CONTRIBUTING.md lists.
 *
 * Where the oddities of the four vendors plug in
 *
 *	AMD level skip				pt_entry.next, pt_format.skips
 *	AMD next-level 7, RISC-V NAPOT		pt_entry.size_lg2 above the level's own size
 *	AMD DTE.IR/IW				pt_stage.grant
 *	AMD level 6, x4 and concatenated roots	pt_stage.in_mask: the root's index is the rest
 *	Arm TTB0/TTB1, canonical halves, TBI	resolve() picks the half, pt_stage.in_mask
 *	4K, 16K, 64K granules			a const pt_format each, from one decoder
 *	Arm address size faults			pt_stage.out_last, pt_format.checks_out
 *	RISC-V Sv32				pt_format.entry_lg2 = 2
 *	U/S, SMEP, PAN, SUM, WXN, WPE, SLEE	pt_stage.rule[]: rights needed and forbidden
 *	S2PTW, RISC-V ATS requests		pt_stage.rule[PT_JUDGE_TABLE], [PT_JUDGE_NONE]
 *	superpage support, alignment, HAW, XD	pt_stage.rsvd[][]: masks per kind and level
 *	A/D, EA, HTTU, SADE, SLADE, HAD		pt_format.update(), pt_stage.ad
 *	RISC-V checks after the rights		pt_entry.late
 *	ECS, CD, GCR3, PDT tables in GPA	resolve() reads them by pt_read_gpa()
 *	VT-d RID_PASID, Arm S1DSS, GIoV, DPE	resolve()
 *	RISC-V MSI page tables			pt_vendor.intercept(), instead of the final stage 2
 *	RISC-V physical address size		pt_format.checks_pas
 *	interrupt range of the output		pt_vendor.output(), after it
 *	numeric codes, FPD, SE/SA, DTF		pt_vendor.native(), cold
 */
#ifndef IOMMU_ABI_PT_H
#define IOMMU_ABI_PT_H

#include "int.h"
#include "iommu_abi/walk.h"

#define PT_INLINE static inline __attribute__((always_inline))
#define PT_COLD __attribute__((cold, noinline))

/* MAX_LEVELS: AMD mode 6. OFF: pt_stage.top of a stage that passes everything. */
enum { PT_MAX_LEVELS = 6, PT_MAX_REGS = 24, PT_OFF = 0xff };

/* Rights of an entry, ANDed over the levels. R, W, X as in enum iommu_abi_access. */
enum { PT_R = 1, PT_W = 2, PT_X = 4, PT_USER = 8, PT_PR = 16, PT_PX = 32, PT_ALL = 63 };

enum pt_kind { PT_EMPTY, PT_TABLE, PT_LEAF };

/* One decoded entry: the walk never looks at raw bits. */
struct pt_entry {
	u64 base;              /* next table, or first byte of the leaf's output */
	unsigned int kind;     /* enum pt_kind; PT_EMPTY is NOT_PRESENT */
	unsigned int size_lg2; /* leaf: bytes mapped, may exceed the level's own size */
	unsigned int next;     /* table: its level, below this one */
	unsigned int grant;    /* PT_R.. that this entry allows */
	u8 bad;                /* enum iommu_abi_reason to stop with at once, or 0 */
	u8 late;               /* leaf: the same, but after the rights were judged */
};

/* Allowed: of the rights in @look exactly @need are granted; with has_never, not all of @never. */
struct pt_rule {
	u8 look, need, never;
};

/* What is judged: an access, the walk's own read of a stage-1 or PASID entry, or no access at all. */
enum pt_judge { PT_JUDGE_R, PT_JUDGE_W, PT_JUDGE_X, PT_JUDGE_TABLE, PT_JUDGE_NONE, PT_JUDGES };

/* What the hardware does about flags that pt_format.update() would set. UNSNOOPED: it must, and cannot, which
 * is UPDATE_DENIED where nothing else is wrong. */
enum pt_ad { PT_AD_SET, PT_AD_FAULT, PT_AD_UNSNOOPED };

/* One stage of one translation. What varies per context is a number: decode() stays pure. */
struct pt_stage {
	u64 root;
	u64 in_first, in_span;            /* legal input: in_span bytes beyond in_first; else INPUT_RANGE */
	u64 in_mask;                      /* bits of the input that are translated */
	u64 out_last;                     /* with pt_format.checks_out */
	const u64 (*rsvd)[PT_MAX_LEVELS]; /* [leaf][level]: bits that must be 0 */
	u32 flags;                        /* the format's own */
	u8 top;                           /* level of the root table, or PT_OFF */
	u8 grant;                         /* rights before the first entry */
	u8 ad;                            /* enum pt_ad */
	struct pt_rule rule[PT_JUDGES];
};

/* A table format: constants, so that an inlined walk over a const one folds. */
struct pt_format {
	u8 granule_lg2;            /* bytes of the smallest page: 12, 14, 16 */
	u8 index_lg2;              /* index bits of every table below the root */
	u8 entry_lg2;              /* bytes of an entry: 3; Sv32 2 */
	bool big_endian;           /* entries are, and are swapped when read */
	bool skips;                /* a table entry may name a level below the next one */
	bool checks_out;           /* tables and leaves beyond pt_stage.out_last are OUTPUT_RANGE */
	bool has_rsvd;             /* pt_stage.rsvd is used */
	bool ad_faults, unsnooped; /* pt_stage.ad may be PT_AD_FAULT, PT_AD_UNSNOOPED */
	bool checks_pas;           /* entries beyond pt_walk.pas_last are unreadable */
	bool has_never;            /* pt_rule.never is used */
	bool user_last;            /* a missing PT_USER counts only where nothing else is missing */
	bool has_both; /* pt_walk.access may be PT_R | PT_W: a write where that is granted, else a read */

	/* Meaning of one entry. Pure. Reserved bits are the walk's to test. */
	struct pt_entry (*decode)(u64 raw, unsigned int level, const struct pt_stage *s);
	/* @raw with the flags that this access sets in an entry it uses; NULL: none ever. */
	u64 (*update)(u64 raw, bool leaf, unsigned int access, const struct pt_stage *s);
};

/* A request on its way. resolve() fills the part below the line. */
struct pt_walk {
	struct {                  /* the region used last */
		u64 first, words; /* words: offsets at which 8 bytes fit, 0 if there are none */
		const unsigned char *data;
	} near;
	const struct iommu_abi_unit *unit;
	const struct iommu_abi_mem *mem;
	const struct iommu_abi_request *q;
	struct iommu_abi_trace *trace; /* NULL: none */
	struct iommu_abi_translation *out;
	/* ---- */
	struct pt_stage s1, s2;
	const struct pt_format *f1, *f2;    /* begin as the vendor's */
	u64 pas_last;                       /* last physical address, of all that there are */
	u64 own[3];                         /* the vendor's: what native() will want to know */
	u32 flags;                          /* the vendor's: mode, FPD seen, ... */
	u8 access, judge;                   /* how the request counts; begin as it says */
	u8 report, s1_lg2, s2_lg2, granted; /* rights to show; page sizes; of a stage 2 that stopped */
	struct iommu_abi_fault unset;       /* of the first entry whose flags stay clear: PT_AD_UNSNOOPED */
	bool alias, lone; /* intercept() ignored bits of the GPA; refused for this PASID alone */
};

/* How resolve() ends: go on with the stages, answer now from *out, or a fault in *out. */
enum pt_verdict { PT_GO, PT_DONE, PT_FAULT };

/* A register that a unit is described by; in the order of the unit's state[]. */
struct pt_reg {
	const char *name;
	u64 value; /* when it is not given */
	bool required;
};

/* A vendor: registers and device and PASID tables in, two stages out. NULL: has none. */
struct pt_vendor {
	const char *name;
	u32 rid_last;
	const struct pt_reg *regs; /* ends with a NULL name; at most PT_MAX_REGS */
	/* registers in u->state[] -> numbers behind them, from PT_MAX_REGS on */
	int (*init)(struct iommu_abi_unit *u, struct iommu_abi_error *err);
	enum pt_verdict (*resolve)(struct pt_walk *w); /* request -> both stages */
	/* the GPA before the final stage 2; PT_DONE: has narrowed *out as that would */
	enum pt_verdict (*intercept)(struct pt_walk *w, u64 gpa);
	enum pt_verdict (*output)(struct pt_walk *w);     /* looks at the final address */
	void (*native)(struct pt_walk *w);                /* fault.native, .detail and .recorded */
	u64 (*window)(const struct pt_walk *w, u64 addr); /* last one that all these treat like @addr */
	/* of tables above level 0: lg2 of the requesters or PASIDs behind one entry */
	unsigned int (*covers_lg2)(const struct pt_walk *w, unsigned int stage, unsigned int level);
	int (*translate)(struct pt_walk *w); /* the walk over these: PT_TRANSLATE() writes it */
	const struct pt_format *f1, *f2;
};

#endif
