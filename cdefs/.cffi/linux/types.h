/* Stand-in for the system's header when cffi reads ours: cdef() knows no attributes. */
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u64 __aligned_u64;
typedef __u16 __le16;
typedef __u32 __le32;
typedef __u64 __le64;
typedef __le64 __aligned_le64;
