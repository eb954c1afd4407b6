/* SPDX-License-Identifier: MIT */
/* Inputs made of those in files: some bits, bytes or words changed, a part cut out, or ends exchanged. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include "fuzz.h"

enum { MOST_FILES = 1 << 14, MOST_EDITS = 6 };

static struct {
	uint8_t *data;
	size_t size;
} fuzz_bases[MOST_FILES];
static size_t fuzz_nbases;

/* Keep what a file holds; what is beyond the room for files is left out. */
static inline void fuzz_base(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (fuzz_nbases == MOST_FILES)
		return;
	copy = malloc(size + 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	fuzz_bases[fuzz_nbases].data = copy;
	fuzz_bases[fuzz_nbases++].size = size;
}

/* One edit, by a number from which all its choices come; the new size. */
static inline size_t fuzz_edit(uint8_t *data, size_t size, uint64_t number)
{
	static const uint64_t words[] = {
		0, 1, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 1ull << 32, 1ull << 63, ~0ull
	};
	size_t at = size ? number / 64 % size : 0, room = size - at;
	uint64_t word = words[number / 8 % (sizeof(words) / sizeof(*words))];

	if (!size)
		return 0;
	switch (number & 7) {
	case 0:
		memcpy(data + at, &word, room < 8 ? room : 8);
		return size;
	case 1:
		data[at] = (uint8_t)(number >> 56);
		return size;
	case 2:
		room = room < 8 ? room : 8;
		memmove(data + at, data + at + room, size - at - room);
		return size - room;
	case 3:
		return number >> 60 ? size : at;
	default:
		data[at] ^= (uint8_t)(1 << (number >> 61));
		return size;
	}
}

/* An input of at most so many bytes; next() is where its choices come from. */
static inline size_t fuzz_mutated(uint8_t *data, size_t most, uint64_t *state, uint64_t (*next)(uint64_t *))
{
	size_t base = next(state) % fuzz_nbases, size = fuzz_bases[base].size,
	       edits = next(state) % MOST_EDITS;

	size = size < most ? size : most;
	memcpy(data, fuzz_bases[base].data, size);
	for (size_t i = 0; i <= edits; i++)
		size = fuzz_edit(data, size, next(state));
	return size;
}

#endif
