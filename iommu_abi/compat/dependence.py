"""Whether a header says one thing on one machine and another on the next: the first place where it may.

What the layout engine computes for other ABIs is right for declarations that are the same on all of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|//[^\n]*", re.S)
_MACHINES = (
    "x86|i[3-6]86|amd64|ia64|arm|thumb|aarch64|riscv|powerpc|ppc|s390|mips|sparc|loongarch|hexagon|m68k|mc68"
    "|alpha|hppa|csky|nios2|or1k|openrisc|xtensa|microblaze|superh|sh[1-5]|tile|parisc|avr32|blackfin|score"
)
#: Predefined names of machines, byte orders, and sizes of words: of compilers, libc and the kernel.
_NAME = re.compile(
    rf"\b(?:__(?:{_MACHINES})\w*|_(?:ARCH|MIPS|ABI|ILP32|LP64)\w*"
    r"|_*(?:LITTLE_ENDIAN|BIG_ENDIAN|BYTE_ORDER)\w*|__ORDER_\w+|__MIPSE[BL]__"
    r"|_*BITS_PER_LONG\w*|_*WORDSIZE\w*|__SIZEOF_\w+__|__I?LP(?:32|64)__|__\w*_MAX__|__ARCH_\w+"
    r"|__CHAR_UNSIGNED__|__TIMESIZE\w*)\b",
    re.ASCII,
)
#: Names without an underscore, which are predefined with gnu11.
_IN_CONDITION = re.compile(r"^\s*#\s*(?:if|elif).*\b(?:i386|m68k|mc68\d+|mips|sparc|hppa|PPC\d*|R3000)\b")
#: Types of other widths on other machines: long and pointers the layout engine knows.
_TYPE = re.compile(
    r"\b(?:__kernel_(?!loff_t|time64_t|sa_family_t|pid_t|uid32_t|gid32_t|clockid_t|timer_t|key_t|mqd_t|fsid_t"
    r"|rwf_t|size_t|ssize_t|ptrdiff_t|time_t|off_t)\w+_t|(?:time|off|ino|dev|mode|nlink|suseconds|blkcnt"
    r"|blksize|wchar|sigset|siginfo|stack|max_align)_t|timeval|timespec|itimerspec|long double|__int128)\b"
)
#: Of a long or a pointer; any sizeof in an array's bounds; numbers that are as wide as a long.
_WIDTH = re.compile(
    r"\b(?:sizeof|_IO[A-Z]*) ?\([^()\n]{0,80}(?:\blong\b(?! long)(?<!long long)|\*|size_t|ptr_t)"
    r"|\[[^\]\n]{0,80}\bsizeof\b|~ ?\(?(?:0x)?[0-9a-fA-F]+(?:[uU]?[lL]|[lL][uU])\b"
    r"|\b\d+(?:[uU]?[lL]|[lL][uU]) ?<< ?\(?(?:3[1-9]|[4-9]\d|[A-Za-z_])"
)
_BLANKS = re.compile(r"[ \t]+")
#: Of asm/: what has the same types, numbers of ioctls and byte orders in other words on each machine.
_PLAIN = re.compile(r"(?:types|posix_types\w*|bitsperlong|byteorder|ioctl|int-l+64|swab)\.h")
_LONGEST = 60


def first(own: Iterable[str], included: Iterable[str]) -> str:
    """Where a header depends on the machine, in a few words; empty if it does not.

    ``own`` are the files that it consists of, ``included`` those of others.
    """
    return next(_places(own, included), "")


def _places(own: Iterable[str], included: Iterable[str]) -> Iterator[str]:
    for path in sorted(own):
        yield from _in_text(path)
    for path in sorted(included):
        if Path(path).parent.name == "asm" and not _PLAIN.fullmatch(Path(path).name):
            yield f"it includes asm/{Path(path).name}, which is each machine's own"


def _in_text(path: str) -> Iterator[str]:
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return
    text = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    for number, line in enumerate(text.splitlines(), 1):
        words = _BLANKS.sub(" ", line).strip()
        if any(pattern.search(words) for pattern in (_NAME, _IN_CONDITION, _TYPE, _WIDTH)):
            shown = words if len(words) <= _LONGEST else words[:_LONGEST] + "..."
            yield f"line {number} of {os.path.basename(path)}: {shown}"
