/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share: an input taken apart, and a check that ends the run. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                        \
	do {                                                                                      \
		if (!(condition)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                  \
		}                                                                                 \
	} while (0)

/* The rest of an input; what is beyond its end is 0. */
struct input {
	const uint8_t *data;
	size_t size;
};

static inline uint64_t take(struct input *in, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes && in->size; i++, in->size--)
		value |= (uint64_t)*in->data++ << 8 * i;
	return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Prints how the inputs so far ended. */
void fuzz_summary(void);

#endif
