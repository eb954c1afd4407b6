"""iommu-abi pack: values -> a blob."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.cli.unpack import field_json, number
from iommu_abi.errors import AbiError, UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.blob import Kind

EPILOG = """\
numbers are 0x.. or decimal; enumerators go by name. Fields that are not given are 0,
length is that of --opaque. The result is checked before anything is written.

examples:
  iommu-abi pack pasid_table_info ptr=0x20000 size=4096 model=IOMMU_MODEL_INTEL_VTD
  iommu-abi pack pasid_table_info@rfc2017 model=ARM_SMMU ptr=0x20000 size=4096 \\
      --opaque 0100000000020000 --abi aarch64_be -o info.bin
"""

BYTES_A_ROW = 8


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("pack", help="make a blob from values", epilog=EPILOG)
    made.add_argument("struct", metavar="STRUCT[@GEN]", help="pasid_table_info, pasid_table_info@rfc2017")
    made.add_argument("fields", metavar="field=value", nargs="*")
    made.add_argument("--opaque", metavar="HEX|@FILE", help="bytes that follow the header; @- is stdin")
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
    made.set_defaults(run=run)


def _value(kind: Kind, field: str, text: str) -> int:
    """A number, or an enumerator of the field."""
    constants = kind.constants(field)
    if text in constants:
        return constants[text]
    if constants and not text[:1].isdigit():
        raise UsageError(f"{kind.struct}.{field}: got {text!r}, expected a number or {' '.join(constants)}")
    return words.number(text, f"{kind.struct}.{field}")


def _opaque(text: str | None) -> bytes:
    from iommu_abi import blob

    if text is None:
        return b""
    if text.startswith("@"):
        return words.read_bytes(text[1:])
    try:
        return blob.parse_hex(text)
    except blob.HexError as error:
        raise UsageError(f"--opaque: {str(error).removeprefix('line 1: ')} (@FILE reads a file)") from None


def dump(kind: Kind, data: bytes) -> list[str]:
    """Annotated hex, which ``unpack --in hex`` reads again."""
    from iommu_abi import blob

    rows = []
    for field in blob.fields(kind, data):
        value = f"{field.size} bytes" if isinstance(field.value, bytes) else number(field.value)
        note = f"{field.name} = {value}"
        if isinstance(field.value, int) and kind.constants(field.name):
            note += f" {field.meaning}"
        end = field.offset + field.size
        for at in range(field.offset, end, BYTES_A_ROW):
            row = data[at : min(at + BYTES_A_ROW, end)].hex(" ")
            rows.append(f"{at:04x}: {row:<23}  # {note}" if note else f"{at:04x}: {row}")
            note = ""
    return rows


def _print_dump(kind: Kind, data: bytes) -> None:
    from rich.text import Text

    out = output.console()
    for row in dump(kind, data):
        text = Text(row)
        text.highlight_regex(r"^\w+:", "dim")
        text.highlight_regex(r"# .*", "cyan")
        out.print(text, soft_wrap=True)


def _json(kind: Kind, data: bytes) -> dict[str, object]:
    from iommu_abi import blob

    return {
        "struct": kind.struct,
        "generation": kind.generation,
        "abi": kind.abi.name,
        "size": len(data),
        "hex": data.hex(),
        "fields": [field_json(f) for f in blob.fields(kind, data)],
    }


def run(args: argparse.Namespace) -> int:
    """Pack, check, write."""
    from iommu_abi import blob
    from iommu_abi.uapi.layout import abi

    kind = blob.kind(args.struct, abi(args.abi) if args.abi else None)
    texts = words.assignments(args.fields, kind.struct)
    values = {name: _value(kind, name, text) for name, text in texts.items()}
    try:
        data = blob.pack(kind, values, _opaque(args.opaque))
    except AbiError as error:
        raise output.Finding(error, blob.hint(kind, error)) from None
    to_stdout = args.file in (None, "-")
    form = args.out or ("hex" if to_stdout and sys.stdout.isatty() else "raw")
    written = data if form == "raw" else ("\n".join(dump(kind, data)) + "\n").encode()
    if not to_stdout:
        output.write_bytes(args.file, written)
    if args.json:
        output.emit_json(_json(kind, data))
    elif to_stdout and form == "raw":
        output.write_bytes("-", data)
    elif to_stdout:
        _print_dump(kind, data)
    return 0
