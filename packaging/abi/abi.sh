#!/bin/sh
# The ABI that libiommu_abi.so exports, and its record in this directory:
#
#	packaging/abi/abi.sh check	does every program built against the record still run?
#	packaging/abi/abi.sh record	the ABI of this tree is the one to keep from now on
#
# iommu_abi.h is the umbrella as a compiler sees it, for `iommu-abi compat`; symbols are the exported names
# with their versions; libiommu_abi.abi is what libabigail's abidw says of x86_64, for abidiff. What is new is no break.
set -eu
cd "$(dirname "$0")/../.."
record=packaging/abi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# without the types of the stand-ins for system headers
printf '#include <stddef.h>\n#include <linux/types.h>\n' >"$made/iommu_abi.h"
${CC:-cc} -E -P -nostdinc -DIOMMU_ABI_API= -DCONFIG_IOMMU_API -D__linux__ -Icdefs/.cffi -Icdefs \
	cdefs/iommu_abi.h | sed '/^typedef .* __[a-z0-9_]*;$/d' >>"$made/iommu_abi.h"
# not optimised: that is fast, and shows the same ABI
${CC:-cc} -std=gnu11 -g -O0 -fPIC -fvisibility=hidden -DCONFIG_IOMMU_API=1 '-DIOMMU_ABI_VERSION="0"' -Icdefs -shared \
	-Wl,-soname,"libiommu_abi.so.$(cut -d. -f1 VERSION)" -Wl,--version-script=packaging/libiommu_abi.map \
	iommu_abi/core/*.c -o "$made/libiommu_abi.so"
nm -D --defined-only --with-symbol-versions "$made/libiommu_abi.so" | cut -d' ' -f3 | LC_ALL=C sort >"$made/symbols"

check() {
	missing=$(LC_ALL=C comm -23 $record/symbols "$made/symbols")
	if [ -n "$missing" ]; then
		echo "abi: no longer exported:" $missing
		broken=1
	fi
	${COMPAT:-iommu-abi compat} $record/iommu_abi.h "$made/iommu_abi.h" || broken=1
	if command -v abidiff >/dev/null && [ "$(uname -m)" = x86_64 ]; then
		abidiff --no-added-syms $record/libiommu_abi.abi "$made/libiommu_abi.so" || broken=1
	else
		echo "abi: no abidiff here (Debian: abigail-tools), or another machine than the record's: left out"
	fi
	if [ -n "${broken:-}" ]; then
		echo "abi: programs built before no longer run: undo the change, or a new soname and 'abi.sh record'"
		return 1
	fi
	echo "abi: $(wc -l <"$made/symbols") symbols; nothing breaks what $record has"
}

record() {
	cp "$made/iommu_abi.h" "$made/symbols" $record/
	abidw --headers-dir cdefs --drop-private-types --no-corpus-path --no-comp-dir-path --no-show-locs \
		"$made/libiommu_abi.so" >$record/libiommu_abi.abi
}

case "${1:-}" in
check) check ;;
record) record ;;
*) echo "usage: $0 check|record" >&2; exit 2 ;;
esac
