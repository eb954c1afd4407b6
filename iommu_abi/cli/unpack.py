"""iommu-abi unpack: a blob -> its fields, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import AbiError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from iommu_abi.structs import Blob, Field, StructKind

EPILOG = """\
hex input is digits with spaces, newlines, commas, 0x, # comments, and OFFSET:
at the start of a line. The length is checked by the struct's contract: one
that begins with its size may be longer by zeros, and shorter as long as every
caller may leave that out. Reserved fields must be 0. --lenient shows whatever
is there and says what is wrong. Of pasid_table_info the rules are checked by
both ledgers; what opaque[] means only with --payload.

examples:
  iommu-abi unpack pasid_table_info info.bin --payload
  iommu-abi unpack iommu_hwpt_alloc@iommufd_6_12 alloc.bin --abi s390x --json
  echo "0000020000000000 0010000000000000 00000000 00000000" |
      iommu-abi unpack pasid_table_info
"""


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument(
        "struct", metavar="STRUCT[@GEN]", help="pasid_table_info, iommu_option, gpasid_bind_data@sva_v4_2019"
    )
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
    made.add_argument(
        "--payload", action="store_true", help="also take the payload in opaque[] of pasid_table_info apart"
    )
    made.add_argument("--lenient", action="store_true", help="let pass what is broken, and say so")
    made.add_argument("--json", action="store_true", help="print JSON")


def _value(value: int | bytes) -> str:
    from iommu_abi.structs.names import number_text

    return number_text(value) if isinstance(value, int) else value.hex(" ") or "-"


def _meaning(f: Field) -> str:
    if f.broken:
        return "RESERVED, must be 0"
    return "not given" if f.missing else f.meaning


def _rows(fields: Iterable[Field], prefix: str = "") -> Iterable[tuple[str, ...]]:
    for f in fields:
        if not f.other:
            yield str(f.offset), str(f.size), prefix + f.name, _value(f.value), _meaning(f)


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
    made: dict[str, object] = {"name": f.name, "offset": f.offset, "size": f.size, "value": value}
    marks = {"reserved": f.reserved, "other_member": f.other, "missing": f.missing}
    return {**made, "meaning": f.meaning, **{name: True for name, said in marks.items() if said}}


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


def _read(kind: StructKind, args: argparse.Namespace) -> tuple[bytes, str]:
    from iommu_abi.hextext import hex_or_raw
    from iommu_abi.structs.unpack import broken

    source = words.read_bytes(args.file)
    try:
        return hex_or_raw(source, args.form, lambda data: broken(kind, data) is None)
    except UsageError as error:
        raise UsageError(f"{words.input_name(args.file)}: {error}") from None


def run(args: argparse.Namespace) -> int:
    """Read, check, show."""
    from iommu_abi import structs
    from iommu_abi.structs.unpack import hint, unpack
    from iommu_abi.uapi.layout import abi

    kind = structs.kind(args.struct, abi(args.abi) if args.abi else None)
    data, taken_as = _read(kind, args)
    try:
        found = unpack(kind, data, lenient=args.lenient, payload=args.payload)
    except AbiError as error:
        where = words.input_name(args.file)
        note = f"{where}: taken as {taken_as}" if data else f"{where} is empty"
        helps = hint(kind, error, data)
        raise output.BrokenRule(error, f"{note}; {helps}" if helps else note) from None
    if args.json:
        output.emit_json(_json(found, taken_as))
    else:
        _print(found, taken_as)
    return 0
