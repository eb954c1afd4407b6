"""iommu-abi pack: values -> a blob."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from iommu_abi.cli import hexdump, output, words
from iommu_abi.cli.unpack import field_json
from iommu_abi.errors import AbiError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from iommu_abi.structs import Field, StructKind

EPILOG = """\
numbers are 0x.. or decimal; enumerators and flags go by name, flags with |
between them. Inner fields are vendor.vtd.flags, elements idr[2], arrays of
bytes hex. Fields that are not given are 0, but for a size or argsz at the
start and the length of --opaque. The result is checked before anything is
written. iommu-abi layout lists all structs.

examples:
  iommu-abi pack pasid_table_info ptr=0x20000 size=4096 model=INTEL_VTD
  iommu-abi pack pasid_table_info@rfc2017 model=ARM_SMMU ptr=0x20000 size=4096 \\
      --opaque 0100000000020000 --abi aarch64_be -o info.bin
  iommu-abi pack iommu_hwpt_alloc flags='NEST_PARENT|PASID' dev_id=1 pt_id=2
"""


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument(
        "struct", metavar="STRUCT[@GEN]", help="pasid_table_info, iommu_option, gpasid_bind_data@sva_v4_2019"
    )
    made.add_argument("fields", metavar="field=value", nargs="*")
    made.add_argument("--opaque", metavar="HEX|@FILE", help="the array of bytes at the end; @- is stdin")
    made.add_argument(
        "--abi", metavar="A", help="byte order and layout of this ABI (default: this machine's)"
    )
    made.add_argument(
        "--out",
        choices=("hex", "raw"),
        help="annotated hex, or the bytes (default: raw to a file or pipe, hex to a terminal)",
    )
    made.add_argument("-o", dest="file", metavar="FILE", help="write here, at once or not at all")
    made.add_argument("--json", action="store_true", help="describe the blob as JSON")


def _opaque(text: str | None) -> bytes:
    from iommu_abi import hextext

    if text is None:
        return b""
    if text.startswith("@"):
        return words.read_bytes(text[1:])
    try:
        return hextext.parse_hex(text)
    except hextext.HexError as error:
        raise UsageError(f"--opaque: {str(error).removeprefix('line 1: ')} (@FILE reads a file)") from None


def _json(kind: StructKind, data: bytes, fields: Sequence[Field]) -> dict[str, object]:
    return {
        "struct": kind.struct,
        "generation": kind.generation,
        "abi": kind.abi.name,
        "size": len(data),
        "hex": data.hex(),
        "fields": [field_json(f) for f in fields],
    }


def run(args: argparse.Namespace) -> int:
    """Pack, check, write."""
    from iommu_abi import structs
    from iommu_abi.structs.apart import take_apart
    from iommu_abi.structs.pack import pack
    from iommu_abi.structs.unpack import hint
    from iommu_abi.uapi.layout import abi

    kind = structs.kind(args.struct, abi(args.abi) if args.abi else None)
    texts = words.assignments(args.fields, kind.struct)
    try:
        data = pack(kind, texts, _opaque(args.opaque))
    except AbiError as error:
        raise output.BrokenRule(error, hint(kind, error)) from None
    fields = take_apart(kind, data)
    to_stdout = args.file in (None, "-")
    form = args.out or ("hex" if to_stdout and sys.stdout.isatty() else "raw")
    written = data if form == "raw" else ("\n".join(hexdump.lines(fields, data)) + "\n").encode()
    if not to_stdout:
        output.write_bytes(args.file, written)
    if args.json:
        output.emit_json(_json(kind, data, fields))
    elif to_stdout and form == "raw":
        output.write_bytes("-", data)
    elif to_stdout:
        hexdump.show(fields, data)
    return 0
