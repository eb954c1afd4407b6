/* SPDX-License-Identifier: MIT */
/*
 * A main() for fuzz targets where there is no libFuzzer: runs the files and directories that
 * are given, or random inputs, or with -m random changes of those files.
 *
 *	fuzz_X [-n COUNT] [-s SEED] [-l MAXLEN] [-i FIRST] [-m] [FILE|DIR]...
 *
 * Input number i depends on the seed and i only. When one kills the process its number is
 * printed; -i NUMBER -n 1 runs it again.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "fuzz_mutate.h"

enum { MOST = 1 << 16 }; /* bytes of an input */

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static uint64_t seed = 1, current;
static const char *current_file;
static int mutating;

static void last_words(void)
{
	if (current_file)
		fprintf(stderr, "while running %s\n", current_file);
	else
		fprintf(stderr, "while running random input %llu: again with -s %llu -i %llu -n 1\n",
			(unsigned long long)current, (unsigned long long)seed, (unsigned long long)current);
}

static void on_abort(int number)
{
	last_words();
	signal(number, SIG_DFL);
	raise(number);
}

/* splitmix64: every state is good */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* In memory of exactly its size, so that a sanitizer sees what reads beyond it. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run_random(uint64_t index, size_t most)
{
	static uint8_t data[MOST];
	uint64_t state = seed * 0x2545f4914f6cdd1d + index;
	size_t size;

	current = index;
	if (mutating) {
		size = fuzz_mutated(data, most, &state, next);
		run(data, size);
		return;
	}
	size = next(&state) % (most + 1);
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = next(&state);

		memcpy(data + i, &word, 8);
	}
	run(data, size);
}

static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0) {
		perror(path);
		return 1;
	}
	rewind(file);
	data = malloc((size_t)size + 1);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		return 1;
	}
	fclose(file);
	if (mutating) {
		fuzz_base(data, (size_t)size);
	} else {
		current_file = path;
		run(data, (size_t)size);
	}
	free(data);
	return 0;
}

static int run_path(const char *path)
{
	struct dirent *entry;
	struct stat st;
	int bad = 0;
	DIR *dir;

	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return run_file(path);
	dir = opendir(path);
	if (!dir) {
		perror(path);
		return 1;
	}
	while ((entry = readdir(dir))) {
		char name[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		bad |= run_path(name);
	}
	closedir(dir);
	return bad;
}

static int run_many(const char *name, uint64_t first, uint64_t count, uint64_t most)
{
	clock_t start = clock();

	for (uint64_t i = first; i < first + count; i++)
		run_random(i, (size_t)most);
	printf("%s: %llu random %s of up to %llu bytes, seed %llu, %.1f s\n", name, (unsigned long long)count,
	       mutating ? "changes of files" : "inputs", (unsigned long long)most, (unsigned long long)seed,
	       (double)(clock() - start) / CLOCKS_PER_SEC);
	fuzz_summary();
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t count = 100000, first = 0, most = 256;
	int option, bad = 0;

	while ((option = getopt(argc, argv, "n:s:l:i:m")) != -1) {
		uint64_t number = optarg ? strtoull(optarg, NULL, 0) : 0;

		if (option == 'n')
			count = number;
		else if (option == 's')
			seed = number;
		else if (option == 'l')
			most = number < MOST ? number : MOST;
		else if (option == 'i')
			first = number;
		else if (option == 'm')
			mutating = 1;
		else
			return 2;
	}
	signal(SIGABRT, on_abort);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(last_words);
	if (optind == argc && !mutating)
		return run_many(argv[0], first, count, most);
	for (; optind < argc; optind++)
		bad |= run_path(argv[optind]);
	if (mutating && fuzz_nbases)
		return bad | run_many(argv[0], first, count, most);
	fuzz_summary();
	return bad;
}
