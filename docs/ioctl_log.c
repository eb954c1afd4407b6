/* SPDX-License-Identifier: MIT */
/*
 * Logs the ioctls of iommufd and VFIO with what strace cannot show: the bytes behind the pointers.
 *
 *	cc -shared -fPIC -o ioctl_log.so ioctl_log.c
 *	LD_PRELOAD=./ioctl_log.so program 2>log; iommu-abi decode log
 *
 * After the line of a call come lines "0xADDRESS: bytes": the struct as it is after the call, and the
 * first bytes behind each 8-byte word of it that is an address of readable memory, also of memory that
 * was only to be mapped. Statically linked programs and those that make system calls themselves are not
 * seen. Needs glibc 2.32.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TYPE = ';', ROW = 16, BEHIND = 256, MOST = 4096, PAGE = 4096 };

/* At most a page at a time: a read that meets a hole gives nothing at all. */
static size_t peek(uintptr_t from, unsigned char *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t n = PAGE - (from + done) % PAGE;
		struct iovec local = { to + done, n < len - done ? n : len - done };
		struct iovec remote = { (void *)(from + done), local.iov_len };

		if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) <= 0)
			break;
		done += local.iov_len;
	}
	return done;
}

static void dump(uintptr_t address, const unsigned char *data, size_t len)
{
	for (size_t at = 0; at < len; at += ROW) {
		char text[3 * ROW + 1] = "";

		for (size_t i = at; i < len && i < at + ROW; i++)
			sprintf(text + 3 * (i - at), " %02x", data[i]);
		dprintf(STDERR_FILENO, "%#jx:%s\n", (uintmax_t)(address + at), text);
	}
}

/* The struct, whose first member is its size, and what its words point to. */
static void dump_argument(uintptr_t arg)
{
	unsigned char data[MOST], behind[BEHIND];
	uint32_t size = 0;

	if (peek(arg, (unsigned char *)&size, sizeof(size)) != sizeof(size))
		return;
	size = peek(arg, data, size < MOST ? size : MOST);
	dump(arg, data, size);
	for (size_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, data + at, sizeof(word));
		if (word >= PAGE && word <= UINTPTR_MAX)
			dump(word, behind, peek(word, behind, BEHIND));
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	uintptr_t arg;
	int ret, saved;

	va_start(args, request);
	arg = va_arg(args, uintptr_t);
	va_end(args);
	ret = syscall(SYS_ioctl, fd, request, arg);
	saved = errno;
	if ((request >> 8 & 0xff) == TYPE) {
		dprintf(STDERR_FILENO, "ioctl(%d, %#lx, %#jx) = %d", fd, request, (uintmax_t)arg, ret);
		if (ret < 0)
			dprintf(STDERR_FILENO, " %s (%s)", strerrorname_np(saved), strerror(saved));
		dprintf(STDERR_FILENO, "\n");
		dump_argument(arg);
	}
	errno = saved;
	return ret;
}
