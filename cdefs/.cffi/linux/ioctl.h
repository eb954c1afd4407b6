/* Stand-in: _IO() as a number that cdef() can read. Three families say "no data" with a bit. */
#if defined(__mips__) || defined(__powerpc__) || defined(__sparc__)
#define _IO(type, nr) (0x20000000 | (type << 8) | (nr))
#else
#define _IO(type, nr) ((type << 8) | (nr))
#endif
