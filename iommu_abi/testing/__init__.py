"""Assertions about the user API for other people's tests; with pytest, the fixture ``assert_abi``.

>>> def test_my_packer(assert_abi):
...     assert_abi(pack_hwpt_alloc(dev=1), "iommu_hwpt_alloc@iommufd_7_2", size=48, dev_id=1)
...     assert_abi.layout(MyHwptAlloc, "iommu_hwpt_alloc@iommufd_7_2")
...     assert_abi.errno(b"...", "iommu_hwpt_alloc@iommufd_7_2", "EOPNOTSUPP")
"""

from __future__ import annotations

from errno import errorcode
from typing import Any

from iommu_abi import rules, uapi
from iommu_abi.errors import ERRNO_NAMES, UsageError, errno_name
from iommu_abi.schemas import uapi as schemas
from iommu_abi.testing import blobs, layouts
from iommu_abi.uapi.layout import host


def _struct(name: str) -> tuple[schemas.Struct, schemas.Generation]:
    tag, gen = uapi.resolve(name)
    generation = schemas.generation(gen)
    return generation.struct(tag), generation


class AssertAbi:
    """Raises AssertionError with one line for each difference; UsageError for names that do not exist."""

    def __call__(
        self, actual: Any, struct: str, expected: Any = None, /, *, abi: str | None = None, **fields: Any
    ) -> None:
        """Bytes, or an object with the buffer protocol, are the struct ``STRUCT@GENERATION``.

        ``expected`` are all its bytes, or a dict of fields by their paths (``{"vendor.vtd.flags": 1}``);
        ``fields`` are more of them. Fields that are not named may have any number, but reserved ones and
        holes are 0, and the length is right. ``abi``: one of the 22, default this machine's.
        """
        __tracebackhide__ = True
        made, generation = _struct(struct)
        machine = schemas.abi(abi or host().name)
        lines = blobs.differences(made, generation, machine, bytes(actual), expected, fields)
        if lines:
            title = f"{made.name}@{generation.name} on {machine.name}"
            raise AssertionError("\n".join([f"{title}: {lines[0]}", *lines[1:]]))

    def layout(self, theirs: Any, struct: str, *, abi: str | None = None) -> None:
        """Compare a layout of yours with the struct's: sizes and offsets of all fields.

        ``theirs`` is a ctypes class, a cffi type of a struct, or a format or object of the module struct,
        which has no names: its items are compared in their order.
        """
        __tracebackhide__ = True
        made, generation = _struct(struct)
        machine = schemas.abi(abi or host().name)
        lines = layouts.differences(made, machine, layouts.read(theirs))
        if lines:
            title = f"{made.name}@{generation.name} on {machine.name}"
            raise AssertionError("\n".join([f"{title}: {lines[0]}", *lines[1:]]))

    def errno(
        self,
        blob: Any,
        struct: str,
        expected: int | str,
        *,
        kernel: str | None = None,
        abi: str | None = None,
    ) -> None:
        """A kernel answers a blob with an errno: a number, its negative, or its name; 0 if it accepts it.

        What bytes do not show, such as an ID that nobody has, counts as right. UsageError where no rules are
        known.
        """
        __tracebackhide__ = True
        subject = rules.struct(struct, kernel)
        error = rules.answer(subject, bytes(blob), schemas.abi(abi or host().name)).error
        wanted, got = _name(expected), errno_name(error.rule.errno) if error else "0"
        if got == wanted:
            return
        who = f"Linux {subject.kernel}" if subject.kernel else subject.generation.name
        name = f"{subject.struct}@{subject.generation.name}"
        lines = [f"{who} answers {got} to these bytes of {name}, expected {wanted}"]
        if error:
            lines += [f"  {error.strerror}", f"  rule {error.rule.name}; source: {error.rule.source}"]
        raise AssertionError("\n".join(lines))


def _name(number: int | str) -> str:
    """The name of an expected errno; UsageError if there is none such."""
    if number == 0 or number == "0":
        return "0"
    name = number if isinstance(number, str) else errno_name(abs(number))
    if name not in (*errorcode.values(), *ERRNO_NAMES.values()):
        raise UsageError(f"expected an errno: got {number!r}, which is none")
    return name


__all__ = ["AssertAbi"]
