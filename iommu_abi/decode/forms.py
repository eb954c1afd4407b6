"""Which kind of input this is."""

from __future__ import annotations

from iommu_abi.decode import carray, faults, hexdump
from iommu_abi.decode import text as texts
from iommu_abi.hextext import is_hex_text

#: Kinds of input, in the order in which they are looked for.
FORMS = ("strace", "faults", "array", "hex", "raw")

_CONTROLS = frozenset(range(0x20)) - frozenset(b"\t\n\r\f\b\x1b")


def detect(data: bytes, *, wanted: bool = False) -> str:
    """One of :data:`FORMS`. Text that is none of them can only be raw bytes if these are ``wanted``.

    Without that it is taken for fault lines, of which there is none then.
    """
    text = texts.decoded(data)
    lines = text.splitlines()
    if "ioctl" in text:
        from iommu_abi.decode.strace import is_call

        if any(is_call(line) for line in lines):
            return "strace"
    if faults.is_fault(text):
        return "faults"
    if texts.encoding(data) == "utf-8" and _is_binary(data):
        return "raw" if wanted or b"\0" in data else "faults"
    if carray.is_array(text):
        return "array"
    if text.strip() and all(_is_hex(line) for line in lines):
        return "hex"
    return "raw" if wanted else "faults"


def _is_binary(data: bytes) -> bool:
    if _CONTROLS.intersection(data):
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _is_hex(line: str) -> bool:
    return (
        hexdump.is_row(line)
        or hexdump.is_end(line)
        or is_hex_text(line.replace("\\", "").replace('"', "").encode())
    )
