#include <stddef.h>
#include <linux/types.h>
struct iommu_abi_rule {
 const char *name;
 const char *field;
 int errnum;
 const char *want;
 const char *source;
};
struct iommu_abi_error {
 const struct iommu_abi_rule *rule;
 const char *field;
 int errnum;
 __u64 offset;
 __u64 got;
 __u64 want;
};
 size_t iommu_abi_rule_count(void);
 const struct iommu_abi_rule *iommu_abi_rule_at(size_t i);
 size_t iommu_abi_strerror(const struct iommu_abi_error *err, char *buf, size_t room);
struct device;
enum iommu_model {
 IOMMU_MODEL_INTEL_VTD,
 IOMMU_MODEL_ARM_SMMU,
};
struct pasid_table_info {
 __u64 ptr;
 __u64 size;
 __u32 model;
 __u32 length;
 __u8 opaque[];
};
struct tlb_invalidate_info {
 __u32 model;
 __u32 length;
 __u8 opaque[];
};
enum {
 IOMMU_FAULT_PAGE_REQ = 1 << 0,
 IOMMU_FAULT_UNRECOV = 1 << 1,
 IOMMU_FAULT_IRQ_REMAP = 1 << 2,
 IOMMU_FAULT_INVAL = 1 << 3,
};
struct iommu_fault_event {
 struct device *dev;
 __u64 addr;
 __u32 pasid;
 __u32 prot;
 __u32 flags;
 __u32 length;
 __u8 buf[];
};
enum iommu_abi_payload_version {
 IOMMU_ABI_PAYLOAD_VERSION_1 = 1,
};
enum iommu_abi_vtd_flags {
 IOMMU_ABI_VTD_WPE = 1 << 0,
 IOMMU_ABI_VTD_NXE = 1 << 1,
 IOMMU_ABI_VTD_SMEP = 1 << 2,
 IOMMU_ABI_VTD_PGE = 1 << 3,
 IOMMU_ABI_VTD_EAFE = 1 << 4,
 IOMMU_ABI_VTD_ERE = 1 << 5,
 IOMMU_ABI_VTD_SLEE = 1 << 6,
 IOMMU_ABI_VTD_CD = 1 << 7,
 IOMMU_ABI_VTD_EMTE = 1 << 8,
 IOMMU_ABI_VTD_FLAGS = (1 << 9) - 1,
};
struct iommu_abi_pasid_vtd {
 __u32 version;
 __u32 flags;
 __u32 pat;
 __u32 emt;
};
enum iommu_abi_s1fmt {
 IOMMU_ABI_S1FMT_LINEAR,
 IOMMU_ABI_S1FMT_4K_L2,
 IOMMU_ABI_S1FMT_64K_L2,
};
enum iommu_abi_s1dss {
 IOMMU_ABI_S1DSS_TERMINATE,
 IOMMU_ABI_S1DSS_BYPASS,
 IOMMU_ABI_S1DSS_SSID0,
};
struct iommu_abi_pasid_smmuv3 {
 __u32 version;
 __u8 s1fmt;
 __u8 s1dss;
 __u8 padding[2];
};
 int iommu_abi_copy_struct_from_user(void *dst, size_t ksize, const void *src, size_t usize,
        struct iommu_abi_error *err);
struct pasid_table_info;
struct device;
struct iommu_domain;
struct iommu_ops {
 int (*bind_pasid_table)(struct iommu_domain *domain, struct device *dev,
    struct pasid_table_info *pasidt_binfo);
 int (*unbind_pasid_table)(struct iommu_domain *domain, struct device *dev);
};
struct iommu_domain {
 const struct iommu_ops *ops;
 void *priv;
};
 int iommu_bind_pasid_table(struct iommu_domain *domain, struct device *dev,
      struct pasid_table_info *pasidt_binfo);
 int iommu_unbind_pasid_table(struct iommu_domain *domain, struct device *dev);
struct iommu_abi_region {
 __u64 first;
 __u64 size;
 const void *data;
};
struct iommu_abi_mem {
 const struct iommu_abi_region *regions;
 size_t n;
};
 int iommu_abi_mem_check(const struct iommu_abi_mem *mem, struct iommu_abi_error *err);
 const void *iommu_abi_mem_find(const struct iommu_abi_mem *mem, __u64 addr, __u64 len);
struct iommu_abi_reg {
 const char *name;
 __u64 value;
};
struct iommu_abi_unit {
 const void *vendor;
 __u64 state[96];
};
 const char *iommu_abi_kind(size_t i);
 const char *iommu_abi_kind_register(const char *kind, size_t i, __u64 *value, int *required);
 int iommu_abi_unit_init(const char *kind, const struct iommu_abi_reg *regs, size_t n,
          struct iommu_abi_error *err, struct iommu_abi_unit *unit);
enum iommu_abi_access {
 IOMMU_ABI_READ = 1 << 0,
 IOMMU_ABI_WRITE = 1 << 1,
 IOMMU_ABI_EXEC = 1 << 2,
};
enum iommu_abi_request_flags {
 IOMMU_ABI_HAS_PASID = 1 << 0,
 IOMMU_ABI_PRIV = 1 << 1,
};
enum iommu_abi_at {
 IOMMU_ABI_UNTRANSLATED,
 IOMMU_ABI_TRANSLATION,
 IOMMU_ABI_TRANSLATED,
};
struct iommu_abi_request {
 __u64 iova;
 __u32 rid;
 __u32 pasid;
 __u8 access;
 __u8 at;
 __u8 flags;
 __u8 reserved[5];
};
enum iommu_abi_stage {
 IOMMU_ABI_DEVICE,
 IOMMU_ABI_PASID,
 IOMMU_ABI_S1,
 IOMMU_ABI_S2,
};
enum iommu_abi_reason {
 IOMMU_ABI_OK,
 IOMMU_ABI_NOT_PRESENT,
 IOMMU_ABI_RESERVED,
 IOMMU_ABI_INVALID,
 IOMMU_ABI_UNREADABLE,
 IOMMU_ABI_DENIED,
 IOMMU_ABI_PRIVILEGE,
 IOMMU_ABI_INPUT_RANGE,
 IOMMU_ABI_OUTPUT_RANGE,
 IOMMU_ABI_ACCESS_FLAG,
 IOMMU_ABI_UPDATE_DENIED,
 IOMMU_ABI_BLOCKED,
 IOMMU_ABI_PASID_RANGE,
 IOMMU_ABI_RID_RANGE,
 IOMMU_ABI_ABORTED,
 IOMMU_ABI_INTERRUPT_RANGE,
};
enum iommu_abi_purpose {
 IOMMU_ABI_FOR_DATA,
 IOMMU_ABI_FOR_S1_ENTRY,
 IOMMU_ABI_FOR_S1_UPDATE,
 IOMMU_ABI_FOR_PASID_ENTRY,
};
enum iommu_abi_target {
 IOMMU_ABI_MEMORY,
 IOMMU_ABI_INTERRUPT,
 IOMMU_ABI_MRIF,
};
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
enum { IOMMU_ABI_MAX_REFS = 96 };
struct iommu_abi_trace {
 __u32 n;
 __u32 reserved;
 struct iommu_abi_ref refs[96];
};
 int iommu_abi_translate(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
          const struct iommu_abi_request *request, struct iommu_abi_trace *trace,
          struct iommu_abi_translation *out);
struct iommu_abi_context {
 const struct iommu_abi_unit *unit;
 __u32 rid;
 __u32 pasid;
 __u32 flags;
 __u32 domain;
 __u32 process;
 __u32 reserved;
 __u64 state[48];
};
 int iommu_abi_context_init(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
      __u32 rid, __u32 pasid, __u32 flags, struct iommu_abi_trace *trace,
      struct iommu_abi_context *context);
 int iommu_abi_translate_in(const struct iommu_abi_context *context,
      const struct iommu_abi_mem *mem,
      const struct iommu_abi_request *request,
      struct iommu_abi_trace *trace, struct iommu_abi_translation *out);
struct iommu_abi_mapping {
 __u64 first;
 __u64 last;
 __u64 gpa;
 __u64 hpa;
 __u64 detail;
 __u64 s1_sizes;
 __u64 s2_sizes;
 __u8 access;
 __u8 target;
 __u8 reserved[6];
};
struct iommu_abi_mapping_cursor {
 __u64 next;
 __u8 done;
 __u8 pending;
 __u8 by_size;
 __u8 reserved[5];
 struct iommu_abi_mapping run;
};
 long iommu_abi_mappings(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
          const struct iommu_abi_request *who, size_t steps,
          struct iommu_abi_mapping_cursor *cursor, struct iommu_abi_mapping *out,
          size_t n);
enum iommu_abi_context_state {
 IOMMU_ABI_TRANSLATES,
 IOMMU_ABI_PASSES,
 IOMMU_ABI_REFUSES,
 IOMMU_ABI_BROKEN,
};
struct iommu_abi_context_run {
 __u32 first;
 __u32 last;
 __u8 state;
 __u8 reserved[7];
 struct iommu_abi_fault fault;
};
struct iommu_abi_context_cursor {
 __u64 next;
 __u8 done;
 __u8 reserved[7];
};
 long iommu_abi_contexts(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
          const struct iommu_abi_request *who, size_t steps,
          struct iommu_abi_context_cursor *cursor,
          struct iommu_abi_context_run *out, size_t n);
struct iommu_abi_table {
 __u64 first;
 __u64 last;
 struct iommu_abi_ref ref;
 struct iommu_abi_fault fault;
};
struct iommu_abi_table_cursor {
 struct iommu_abi_context_cursor at;
 __u64 seen[96];
};
 long iommu_abi_tables(const struct iommu_abi_unit *unit, const struct iommu_abi_mem *mem,
        const struct iommu_abi_request *who, unsigned int of, size_t steps,
        struct iommu_abi_table_cursor *cursor, struct iommu_abi_table *out,
        size_t n);
 const char *iommu_abi_version(void);
enum iommu_abi_generation {
 IOMMU_ABI_RFC2017 = 1,
 IOMMU_ABI_V1_2017,
};
 int iommu_abi_pasid_table_info_validate(enum iommu_abi_generation gen, const void *blob,
            size_t len, struct iommu_abi_error *err);
 int iommu_abi_pasid_table_info_create(enum iommu_abi_generation gen,
          const struct pasid_table_info *head, const void *opaque,
          size_t room, struct iommu_abi_error *err, void *out);
 int iommu_abi_pasid_table_info_pack(enum iommu_abi_generation gen, const void *info,
        size_t have, size_t room, struct iommu_abi_error *err,
        void *out);
 int iommu_abi_pasid_table_info_unpack(enum iommu_abi_generation gen, const void *blob,
          size_t len, size_t room, struct iommu_abi_error *err,
          struct pasid_table_info *info);
 int iommu_abi_pasid_table_info_unpack_many(enum iommu_abi_generation gen, const void *blobs,
        size_t len, size_t room, struct iommu_abi_error *err,
        struct pasid_table_info *heads, __u64 *offsets,
        size_t *n);
 int iommu_abi_pasid_table_info_view(enum iommu_abi_generation gen, const void *blob, size_t len,
        struct iommu_abi_error *err,
        const struct pasid_table_info **view);
 int iommu_abi_payload_validate(enum iommu_model model, const void *opaque, size_t len,
          struct iommu_abi_error *err);
struct iommu_abi_bind_limits {
 enum iommu_model model;
 __u64 ptr_align;
 __u64 ptr_last;
 __u64 size_min;
 __u64 size_host;
 __u32 vtd_flags;
 __u32 vtd_pat;
};
 int iommu_abi_bind_check(const struct iommu_abi_bind_limits *limits,
           const struct pasid_table_info *info, struct iommu_abi_error *err);
