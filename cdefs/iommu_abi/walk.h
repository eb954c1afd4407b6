/* SPDX-License-Identifier: MIT */
/*
 * The translation walk: where does this DMA go, and through which table entries?
 *
 * Four steps: describe memory (struct iommu_abi_mem), describe the IOMMU by its registers
 * (iommu_abi_unit_init()), describe the request, call iommu_abi_translate().
 *
 * Words. Stage 1 (S1) is the guest's translation, IOVA -> GPA; stage 2 (S2) the host's,
 * GPA -> HPA. A device table finds the context of a requester, a PASID table that of a
 * process. Tables are counted from the leaves: level 0 is the table that holds only
 * leaves, for device and PASID tables the one that holds the contexts. The vendors'
 * words (second level, IPA, StreamID, DeviceID, ...) are used in the vendors' files only.
 */
#ifndef IOMMU_ABI_WALK_H
#define IOMMU_ABI_WALK_H

#include "iommu_abi/types.h"
#include "iommu_abi/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct iommu_abi_region - bytes of physical memory that lie in this process
 * @first: address of the first byte
 * @size: bytes, at least 1
 * @data: the bytes; borrowed. Any alignment
 */
struct iommu_abi_region {
	__u64 first;
	__u64 size;
	const void *data;
};

/**
 * struct iommu_abi_mem - a memory image
 * @regions: ascending by @first, without overlap; borrowed
 * @n: how many, may be 0
 *
 * An address in no region has no memory: a walk that reads an entry there ends in a fault. An
 * entry must lie in one region as a whole. Any thread may change the bytes at any time; nobody may
 * change the table of regions during a call.
 */
struct iommu_abi_mem {
	const struct iommu_abi_region *regions;
	size_t n;
};

/**
 * iommu_abi_mem_check() - are the regions ascending, disjoint and inside 64 bits?
 * @mem: looked at; its bytes are not
 * @err: filled on error, offset is the region's index; may be NULL
 *
 * A walk over regions that fail this check may miss memory, but still reads no byte
 * outside them.
 *
 * Return: 0 or -EINVAL.
 */
IOMMU_ABI_API int iommu_abi_mem_check(const struct iommu_abi_mem *mem, struct iommu_abi_error *err);

/**
 * iommu_abi_mem_find() - the bytes at an address
 * @mem: a checked image
 * @addr: physical address
 * @len: bytes wanted, at least 1
 *
 * Return: a pointer to @len bytes inside one region, NULL if there is none.
 */
IOMMU_ABI_API const void *iommu_abi_mem_find(const struct iommu_abi_mem *mem, __u64 addr, __u64 len);

/**
 * struct iommu_abi_reg - a register of an IOMMU by its name in the vendor's manual
 */
struct iommu_abi_reg {
	const char *name;
	__u64 value;
};

/**
 * struct iommu_abi_unit - one IOMMU, made by iommu_abi_unit_init(), constant afterwards
 *
 * Plain data without pointers of its own: may be copied and used by several threads.
 */
struct iommu_abi_unit {
	const void *vendor;
	__u64 state[96];
};

/**
 * iommu_abi_kind() - name of the i-th kind of IOMMU ("vtd", "amdvi", ...); NULL past the last
 * iommu_abi_kind_register() - name of a register of a kind; NULL past the last
 * @kind: as iommu_abi_kind() gives it
 * @i: index
 * @value: receives the value that is assumed when the register is not given; may be NULL
 * @required: receives 1 if it must be given, else 0; may be NULL
 */
IOMMU_ABI_API const char *iommu_abi_kind(size_t i);
IOMMU_ABI_API const char *iommu_abi_kind_register(const char *kind, size_t i, __u64 *value, int *required);

/**
 * iommu_abi_unit_init() - describe an IOMMU by its registers
 * @kind: "vtd", "amdvi", ...
 * @regs: @n registers in any order; read during the call only
 * @n: how many
 * @err: filled on error, offset is the index in @regs; may be NULL
 * @unit: filled on success
 *
 * Checks nothing that hardware checks at translation time: a root pointer to nowhere
 * is a fault of every request, not an error.
 *
 * Return: 0; -ENODEV for an unknown @kind; -EINVAL for an unknown register, one given
 * twice, a missing one, or a value that no such IOMMU can have.
 */
IOMMU_ABI_API int iommu_abi_unit_init(const char *kind, const struct iommu_abi_reg *regs, size_t n,
				      struct iommu_abi_error *err, struct iommu_abi_unit *unit);

/* What a request wants to do; in results, what it may do. */
enum iommu_abi_access {
	IOMMU_ABI_READ = 1 << 0,
	IOMMU_ABI_WRITE = 1 << 1,
	IOMMU_ABI_EXEC = 1 << 2,
};

enum iommu_abi_request_flags {
	IOMMU_ABI_HAS_PASID = 1 << 0, /* the request carries @pasid; 0 is a PASID too */
	IOMMU_ABI_PRIV = 1 << 1,      /* privileged (supervisor) mode is requested */
};

/* PCIe address type. */
enum iommu_abi_at {
	IOMMU_ABI_UNTRANSLATED,
	IOMMU_ABI_TRANSLATION, /* ATS translation request */
	IOMMU_ABI_TRANSLATED,  /* the device has translated it already */
};

/**
 * struct iommu_abi_request - one DMA
 * @iova: address that the device uses
 * @rid: requester ID: bus << 8 | device << 3 | function, or a wider StreamID or device_id
 * @pasid: 20 bits, with IOMMU_ABI_HAS_PASID
 * @access: exactly one of enum iommu_abi_access
 * @at: enum iommu_abi_at
 * @flags: enum iommu_abi_request_flags
 */
struct iommu_abi_request {
	__u64 iova;
	__u32 rid;
	__u32 pasid;
	__u8 access;
	__u8 at;
	__u8 flags;
	__u8 reserved[5];
};

/* Whose table an entry belongs to. */
enum iommu_abi_stage {
	IOMMU_ABI_DEVICE,
	IOMMU_ABI_PASID,
	IOMMU_ABI_S1,
	IOMMU_ABI_S2,
};

/* Why a translation stopped. The vendor's own code is in iommu_abi_fault.native. */
enum iommu_abi_reason {
	IOMMU_ABI_OK,
	IOMMU_ABI_NOT_PRESENT,     /* the entry says that it maps nothing */
	IOMMU_ABI_RESERVED,        /* a reserved bit, encoding or alignment in an entry */
	IOMMU_ABI_INVALID,         /* a context asks for what the IOMMU lacks, or contradicts itself */
	IOMMU_ABI_UNREADABLE,      /* no memory where the entry should be */
	IOMMU_ABI_DENIED,          /* the rights do not cover this access */
	IOMMU_ABI_PRIVILEGE,       /* user request, supervisor's page, or the other way round */
	IOMMU_ABI_INPUT_RANGE,     /* address that this stage cannot take */
	IOMMU_ABI_OUTPUT_RANGE,    /* an entry points beyond the implemented address width */
	IOMMU_ABI_ACCESS_FLAG,     /* accessed or dirty is clear and hardware does not set it */
	IOMMU_ABI_UPDATE_DENIED,   /* hardware must set a flag in a table that S2 maps read-only */
	IOMMU_ABI_BLOCKED,         /* this kind of request is switched off for this device */
	IOMMU_ABI_PASID_RANGE,     /* PASID outside its table */
	IOMMU_ABI_RID_RANGE,       /* requester outside the device table */
	IOMMU_ABI_ABORTED,         /* configured to refuse every request */
	IOMMU_ABI_INTERRUPT_RANGE, /* the result lies where writes are interrupts */
};

/* What S2 was walked for. */
enum iommu_abi_purpose {
	IOMMU_ABI_FOR_DATA,        /* the request itself */
	IOMMU_ABI_FOR_S1_ENTRY,    /* to read an entry of an S1 table */
	IOMMU_ABI_FOR_S1_UPDATE,   /* to set A/D in an entry of an S1 table */
	IOMMU_ABI_FOR_PASID_ENTRY, /* to read an entry of a PASID table */
};

/* What the request reaches. */
enum iommu_abi_target {
	IOMMU_ABI_MEMORY,    /* physical memory at .hpa */
	IOMMU_ABI_INTERRUPT, /* the interrupt logic, not memory; .hpa is the input */
	IOMMU_ABI_MRIF,      /* a memory-resident interrupt file; see .detail */
};

/**
 * struct iommu_abi_fault - why, and at which entry, a translation stopped
 * @reason: enum iommu_abi_reason; IOMMU_ABI_OK if there is no fault
 * @stage: whose table was being read, enum iommu_abi_stage
 * @level: level of that table
 * @purpose: S2: what it was walked for, enum iommu_abi_purpose
 * @for_level: S2 for an entry: level of that entry's table
 * @recorded: 0 if the IOMMU would block the request without recording a fault
 * @native: the vendor's code (VT-d fault reason, SMMUv3 event, AMD event, RISC-V cause);
 *	0 where no source gives one
 * @detail: what the vendor records beside it: AMD event flags, SMMUv3 S2 and CLASS,
 *	RISC-V iotval2; else 0
 * @input: the address that the stage was translating: IOVA or GPA
 * @entry_gpa: address of the entry in its own space: GPA if S2 covers it, else as @entry_hpa
 * @entry_hpa: address of the entry; unknown and 0 if @has_entry is 0
 * @raw: first eight bytes of the entry, 0 if @has_raw is 0
 * @has_entry: 0 if the fault was decided before an entry was addressed
 * @has_raw: 0 if the entry could not be read
 */
struct iommu_abi_fault {
	__u8 reason;
	__u8 stage;
	__u8 level;
	__u8 purpose;
	__u8 for_level;
	__u8 recorded;
	__u8 has_entry;
	__u8 has_raw;
	__u32 native;
	__u32 reserved;
	__u64 detail;
	__u64 input;
	__u64 entry_gpa;
	__u64 entry_hpa;
	__u64 raw;
};

/**
 * struct iommu_abi_translation - the answer
 * @hpa: host-physical address of the byte that was asked for
 * @gpa: what S1 made of it; the IOVA where S1 is off
 * @target: enum iommu_abi_target
 * @size_lg2: log2 of the largest aligned range around the IOVA for which this answer
 *	holds, 12..63: the smaller page of the two stages; 12 where nothing is translated
 * @access: enum iommu_abi_access, ORed: every access that the same requester may make;
 *	IOMMU_ABI_EXEC only where the tables know that right
 * @detail: IOMMU_ABI_MRIF: notice data in bits 10:0 and notice address in 63:12; else 0
 * @fault: reason is IOMMU_ABI_OK unless the request was blocked; then the rest is 0
 */
struct iommu_abi_translation {
	__u64 hpa;
	__u64 gpa;
	__u64 detail;
	__u8 target;
	__u8 size_lg2;
	__u8 access;
	__u8 reserved[5];
	struct iommu_abi_fault fault;
};

/**
 * struct iommu_abi_ref - one entry that was read
 * @gpa: its address in its own space: GPA if S2 covers it, else as @hpa
 * @hpa: its address
 * @raw: its first eight bytes
 * @updated: what the hardware leaves there: @raw with A/D flags set, else @raw
 * @stage: whose table, enum iommu_abi_stage
 * @level: level of the table
 * @purpose: S2: what it was walked for, enum iommu_abi_purpose
 * @for_level: S2 for an entry: level of that entry's table
 * @len: bytes of the entry, 4..64
 */
struct iommu_abi_ref {
	__u64 gpa;
	__u64 hpa;
	__u64 raw;
	__u64 updated;
	__u8 stage;
	__u8 level;
	__u8 purpose;
	__u8 for_level;
	__u8 len;
	__u8 reserved[3];
};

/* No translation reads more entries than this. */
enum { IOMMU_ABI_MAX_REFS = 96 };

/**
 * struct iommu_abi_trace - every reference of one translation, in order
 * @n: how many were made
 * @refs: the first IOMMU_ABI_MAX_REFS of them
 */
struct iommu_abi_trace {
	__u32 n;
	__u32 reserved;
	struct iommu_abi_ref refs[96];
};

/**
 * iommu_abi_translate() - where does this request go?
 * @unit: from iommu_abi_unit_init()
 * @mem: a checked image
 * @request: the DMA
 * @trace: receives every reference; NULL for none, which is faster
 * @out: always filled when the return value is not negative
 *
 * Writes nothing but @trace and @out: A/D flags that hardware would set are listed in
 * the trace and not set. Reads only through @mem, at most IOMMU_ABI_MAX_REFS times,
 * whatever the tables hold.
 *
 * Return: 0 if the request passes, 1 if it is blocked (@out->fault says why), -EINVAL for
 * a request that makes no sense (access not one of the three, unknown at or flags, a
 * PASID of more than 20 bits).
 */
IOMMU_ABI_API int iommu_abi_translate(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
				      const struct iommu_abi_request *request, struct iommu_abi_trace *trace,
				      struct iommu_abi_translation *out);

#ifdef __cplusplus
}
#endif
#endif
