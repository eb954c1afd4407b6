"""iommu-abi unpack: a blob -> its fields, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import AbiError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from iommu_abi.blob import Blob, Field, Kind

EPILOG = """\
hex input is digits with spaces, newlines, commas, 0x, # comments, and OFFSET: at the start
of a line. The envelope is checked by both ledgers; what opaque[] means only with --payload.

examples:
  iommu-abi unpack pasid_table_info info.bin --payload
  echo "0000020000000000 0010000000000000 00000000 00000000" | iommu-abi unpack pasid_table_info
"""


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("unpack", help="check a blob and show its fields", epilog=EPILOG)
    made.add_argument("struct", metavar="STRUCT[@GEN]", help="pasid_table_info, pasid_table_info@rfc2017")
    made.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: -, standard input")
    made.add_argument(
        "--in",
        dest="form",
        choices=("auto", "hex", "raw"),
        default="auto",
        help="what the input is (default: auto: hex if it has only such characters, unless only the raw"
        " bytes are a valid blob)",
    )
    made.add_argument(
        "--abi", metavar="A", help="byte order and layout of this ABI (default: this machine's)"
    )
    made.add_argument("--payload", action="store_true", help="look into opaque[] too")
    made.add_argument("--lenient", action="store_true", help="let pass unknown models and trailing bytes")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=run)


def number(value: int) -> str:
    """Hex from 10 on, where it differs."""
    return f"{value:#x}" if value > 9 else str(value)


def _value(value: int | bytes) -> str:
    return number(value) if isinstance(value, int) else value.hex(" ") or "-"


def _rows(fields: Iterable[Field], prefix: str = "") -> Iterable[tuple[str, ...]]:
    for f in fields:
        yield str(f.offset), str(f.size), prefix + f.name, _value(f.value), f.meaning


def _print(blob: Blob, taken_as: str) -> None:
    kind = blob.kind
    rows = list(_rows(blob.fields))
    rows += [(str(at), str(size), "(hole)", "", "belongs to no field") for at, size in blob.holes]
    rows.sort(key=lambda row: int(row[0]))
    rows += _rows(blob.payload or (), "opaque.")
    output.line(f"struct {kind.name}, {len(blob.data)} bytes, {kind.abi.name} ({taken_as})")
    output.table(None, ("offset", "bytes", "field", "value", "meaning"), rows)
    if blob.payload == ():
        output.line("the payload is empty: every field 0")
    for note in blob.notes:
        output.line(note, "yellow")


def field_json(f: Field) -> dict[str, object]:
    """A field; numbers are in hex, and so are bytes."""
    value = f.value.hex() if isinstance(f.value, bytes) else f"{f.value:#x}"
    return {"name": f.name, "offset": f.offset, "size": f.size, "value": value, "meaning": f.meaning}


def _json(blob: Blob, taken_as: str) -> dict[str, object]:
    made: dict[str, object] = {
        "struct": blob.kind.struct,
        "generation": blob.kind.generation,
        "abi": blob.kind.abi.name,
        "size": len(blob.data),
        "taken_as": taken_as,
        "fields": [field_json(f) for f in blob.fields],
        "holes": [{"offset": at, "size": size} for at, size in blob.holes],
        "notes": list(blob.notes),
    }
    if blob.payload is not None:
        made["payload"] = [field_json(f) for f in blob.payload]
    return made


def _read(kind: Kind, args: argparse.Namespace) -> tuple[bytes, str]:
    from iommu_abi import blob

    source = words.read_bytes(args.file)
    try:
        return blob.read(kind, source, args.form)
    except UsageError as error:
        raise UsageError(f"{words.input_name(args.file)}: {error}") from None


def run(args: argparse.Namespace) -> int:
    """Read, check, show."""
    from iommu_abi import blob
    from iommu_abi.uapi.layout import abi

    kind = blob.kind(args.struct, abi(args.abi) if args.abi else None)
    data, taken_as = _read(kind, args)
    try:
        found = blob.unpack(kind, data, lenient=args.lenient, payload=args.payload)
    except AbiError as error:
        where = words.input_name(args.file)
        note = f"{where}: taken as {taken_as}" if data else f"{where} is empty"
        hint = blob.hint(kind, error, data)
        raise output.Finding(error, f"{note}; {hint}" if hint else note) from None
    if args.json:
        output.emit_json(_json(found, taken_as))
    else:
        _print(found, taken_as)
    return 0
