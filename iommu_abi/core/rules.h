/* SPDX-License-Identifier: MIT */
/*
 * The identity of every check that can refuse a blob, a register or a request to bind.
 * One row each: RULE(id, name, field, errno, want, source). Kept once, read by both
 * ledgers; only the predicate is written twice. Order: as they are checked.
 */
#define PATCH "iommu: Introduce bind_pasid_table API function, patch 1/9, June 2017"
#define OURS "ours"

RULE(INFO_TRUNCATED, "pasid_table_info.truncated", "", EINVAL, "at least %llu bytes", OURS)
RULE(INFO_MODEL, "pasid_table_info.model", "model", EINVAL, "a model of this generation", PATCH)
RULE(INFO_LENGTH, "pasid_table_info.length", "length", EINVAL, "the %llu bytes that follow the header", PATCH)
RULE(INFO_TRAILING, "pasid_table_info.trailing", "opaque", E2BIG, "%llu bytes in all", OURS)
RULE(INFO_ROOM, "pasid_table_info.room", "", ENOSPC, "room for %llu bytes", OURS)
RULE(INFO_ALIGN, "pasid_table_info.align", "", EINVAL, "an address that is a multiple of %llu", OURS)

RULE(STRUCT_TRUNCATED, "struct.truncated", "", EINVAL, "at least %llu bytes", OURS)
RULE(STRUCT_TRAILING, "struct.trailing", "", E2BIG, "%llu bytes in all", OURS)

RULE(PAYLOAD_TRUNCATED, "payload.truncated", "", EINVAL, "at least %llu bytes, or none", OURS)
RULE(PAYLOAD_VERSION, "payload.version", "version", EOPNOTSUPP, "%llu", OURS)
RULE(VTD_FLAGS, "vtd.flags", "flags", EINVAL, "no bits but %#llx", OURS)
RULE(VTD_PAT, "vtd.pat", "pat", EINVAL, "no bits but %#llx", "VT-d 2.x, 9.4 extended context entry")
RULE(VTD_EMT, "vtd.emt", "emt", EINVAL, "at most %llu", "VT-d 2.x, 9.4 extended context entry")
RULE(VTD_EMT_EMTE, "vtd.emt.emte", "emt", EINVAL, "%llu without the flag EMTE", OURS)
RULE(SMMUV3_S1FMT, "smmuv3.s1fmt", "s1fmt", EINVAL, "at most %llu", "Arm IHI 0070, 5.2 STE.S1Fmt")
RULE(SMMUV3_S1DSS, "smmuv3.s1dss", "s1dss", EINVAL, "at most %llu", "Arm IHI 0070, 5.2 STE.S1DSS")
RULE(SMMUV3_PADDING, "smmuv3.padding", "padding", EINVAL, "%llu", OURS)
RULE(PAYLOAD_TRAILING, "payload.trailing", "opaque", EINVAL, "%llu beyond the payload's own bytes", OURS)

RULE(COPY_STRUCT_TAIL, "copy_struct.tail", "", E2BIG, "0 beyond the %llu bytes that this kernel knows",
     "Linux, include/linux/uaccess.h, copy_struct_from_user()")

RULE(BIND_MODEL, "bind.model", "model", EINVAL, "%llu, the driver's model", PATCH)
RULE(BIND_LENGTH, "bind.length", "length", EINVAL, "0 or at least %llu", OURS)
RULE(BIND_PTR_ZERO, "bind.ptr.zero", "ptr", EINVAL, "an address that is not 0", OURS)
RULE(BIND_PTR_ALIGN, "bind.ptr.align", "ptr", EINVAL, "a multiple of %#llx", OURS)
RULE(BIND_PTR_RANGE, "bind.ptr.range", "ptr", EINVAL, "at most %#llx", OURS)
RULE(BIND_SIZE_POWER, "bind.size.power", "size", EINVAL, "a power of two", OURS)
RULE(BIND_SIZE_RANGE, "bind.size.range", "size", EINVAL, "at least %llu bytes", OURS)
RULE(BIND_SIZE_HOST, "bind.size.host", "size", EINVAL, "at most the host's table of %llu bytes", PATCH)
RULE(BIND_VTD_FLAGS, "bind.vtd.flags", "flags", EINVAL, "no flags but %#llx, which this IOMMU has", OURS)
RULE(BIND_VTD_PAT, "bind.vtd.pat", "pat", EINVAL, "%llu: this IOMMU has no memory types", OURS)
RULE(BIND_SIZE_LEVELS, "bind.size.levels", "size", EINVAL,
     "4096 bytes for each level, of a table as deep as this IOMMU takes it", OURS)
RULE(BIND_FLAGS, "bind.flags", "flags", EINVAL, "no flags but %#llx, which this IOMMU has", OURS)
RULE(BIND_CONTEXT, "bind.context", "context", EINVAL, "a context that the host has set up", OURS)
RULE(BIND_NO_PASID, "bind.pasid", "device", ENODEV, "a device and an IOMMU with PASID and nesting", OURS)
RULE(BIND_BUSY, "bind.busy", "device", EBUSY, "a device without a bound table", OURS)
RULE(UNBIND_UNBOUND, "unbind.unbound", "device", EINVAL, "a device with a bound table", OURS)

RULE(MEM_ORDER, "mem.order", "regions", EINVAL, "regions that ascend, do not overlap and end below 2^64",
     OURS)
RULE(UNIT_KIND, "unit.kind", "kind", ENODEV, "a kind of IOMMU that is known here", OURS)
RULE(UNIT_UNKNOWN, "unit.register", "registers", EINVAL, "a register that this kind of IOMMU has", OURS)
RULE(UNIT_TWICE, "unit.twice", "registers", EINVAL, "each register once", OURS)
RULE(UNIT_MISSING, "unit.missing", "registers", EINVAL, "every required register", OURS)
RULE(UNIT_ENDIAN, "unit.endian", "FCTL", EINVAL, "little-endian tables: big-endian ones are not modelled",
     OURS)
RULE(UNIT_HAW, "unit.haw", "HAW", EINVAL, "a host address width of 12 to 52 bits",
     "VT-d 9.x, pointer fields 51:12")
RULE(UNIT_REV, "unit.rev", "REV", EINVAL,
     "a revision of the specification, major << 8 | minor, of 0x100 to 0xfff", OURS)

#undef PATCH
#undef OURS
