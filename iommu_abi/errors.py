"""What can go wrong, as exceptions; and the kernel's errno numbers by name.

Everything that this package raises on purpose is an :class:`Error`. What table bytes in memory
do to a translation is not an exception but a value, :class:`iommu_abi.terms.Fault`.
"""

from __future__ import annotations

import errno as _errno
from typing import NamedTuple

#: errno names by number. Not errno.errorcode: it calls 95 ENOTSUP and does not know 524.
ERRNO_NAMES = {
    1: "EPERM", 2: "ENOENT", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 9: "EBADF", 11: "EAGAIN",
    12: "ENOMEM", 13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST", 19: "ENODEV", 22: "EINVAL",
    25: "ENOTTY", 27: "EFBIG", 28: "ENOSPC", 29: "ESPIPE", 34: "ERANGE", 61: "ENODATA", 75: "EOVERFLOW",
    77: "EBADFD", 90: "EMSGSIZE", 95: "EOPNOTSUPP", 98: "EADDRINUSE", 110: "ETIMEDOUT", 125: "ECANCELED",
    515: "ENOIOCTLCMD", 524: "ENOTSUPP",
}  # fmt: skip


def errno_name(number: int) -> str:
    """Name of an errno: ``errno_name(22)`` is ``"EINVAL"``."""
    return ERRNO_NAMES.get(number) or _errno.errorcode.get(number, f"errno {number}")


class Error(Exception):
    """Base of everything that this package raises on purpose."""


class UsageError(Error, ValueError):
    """The caller asked for something that makes no sense: a name, a number, a combination."""


class ImageError(Error):
    """A memory image that cannot be used: missing, damaged, ambiguous or too large."""


class Rule(NamedTuple):
    """Identity of one check: stable name, field, errno that a kernel would return, source."""

    name: str
    field: str
    errno: int
    want: str
    source: str


class AbiError(Error, OSError):
    """A blob, register or request that breaks a rule; ``errno`` is what a kernel would return.

    ``field`` and ``offset`` (bytes from the start of the blob) say where, ``got`` and ``expected``
    what; ``rule`` is the broken :class:`Rule`.
    """

    def __init__(
        self, rule: Rule, field: str, offset: int | None, got: int | None, want: int, where: str = ""
    ) -> None:
        """``where`` names the struct or object that ``field`` is in.

        ``offset`` and ``got`` are None for a rule about a state, not about a number in a blob.
        """
        self.rule, self.field, self.offset, self.got, self.want = rule, field, offset, got, want
        self.where = where
        expected = rule.want
        for conversion, text in (("%llu", str(want)), ("%#llx", f"{want:#x}")):
            expected = expected.replace(conversion, text)
        self.expected = expected
        super().__init__(rule.errno, self._sentence())

    def _sentence(self) -> str:
        """What is wrong: a field, or the length of the whole, which is no field's fault."""
        found = "" if self.got is None else f"got {self._number(self.got)}"
        if self.where and self.rule.name.endswith((".truncated", ".trailing")):
            cut = self.field and self.rule.name.endswith(".truncated")
            end = f"; {self.field} at offset {self.offset} is not all there" if cut else ""
            return f"{self.where}: {found} bytes, expected {self.expected}{end}"
        place = self.where or self.field
        if self.offset is not None:
            name = f"{self.where}.{self.field}" if self.where and self.field else place
            place = f"{name} at offset {self.offset}"
        return f"{place}: {found}{', ' if found else ''}expected {self.expected}"

    @staticmethod
    def _number(n: int) -> str:
        return str(n) if n < 10 else f"{n} ({n:#x})"

    def __str__(self) -> str:
        return f"{self.strerror} ({errno_name(self.rule.errno)})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.rule, self.field, self.offset, self.got, self.want, self.where)


class TranslationFault(Error):
    """Raised by ``Translation.raise_for_fault()`` only; ``fault`` has the details."""

    def __init__(self, fault: object) -> None:
        self.fault = fault
        super().__init__(str(fault))
