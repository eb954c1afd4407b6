"""Blobs of ``pasid_table_info``: made from values, taken apart, and checked by the rules of both ledgers.

The fast ledger is the C core behind :mod:`iommu_abi.uapi`, the plain one the construct schemas. C
knows the machine's byte order only: a blob of another ABI is turned first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from iommu_abi import uapi
from iommu_abi.errors import AbiError, UsageError
from iommu_abi.hextext import HexError, is_hex_text, parse_hex
from iommu_abi.ledgers import Difference, Disagreement
from iommu_abi.names import meant
from iommu_abi.schemas import pasid_table_info as schema
from iommu_abi.structs.kind import Blob, Field, Kind
from iommu_abi.uapi import payload as payloads
from iommu_abi.uapi.layout import Array, Scalar, host

#: Envelope rules about what a newer kernel might accept.
LENIENT_RULES = ("pasid_table_info.model", "pasid_table_info.trailing")

_RULE_FACTS = ("rule", "errno", "field", "offset", "got", "want")


# ---------------------------------------------------------------- both ledgers check


def _swap(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    """Bytes of each (offset, size) reversed; a field that is not there as a whole stays."""
    turned = bytearray(data)
    for offset, size in spans:
        if offset + size <= len(data):
            turned[offset : offset + size] = data[offset : offset + size][::-1]
    return bytes(turned)


def _native(kind_: Kind, data: bytes) -> bytes:
    """The same blob in the byte order of this machine."""
    if kind_.abi.order == host().order:
        return data
    return _swap(data, [(f.offset, f.size) for f in kind_.layout.fields if isinstance(f.type, Scalar)])


def _facts(error: AbiError | schema.RuleBroken | None) -> dict[str, object]:
    if error is None:
        return {"rule": "none is broken"}
    name = error.rule if isinstance(error, schema.RuleBroken) else error.rule.name
    values = (name, error.errno, error.field, error.offset, error.got, error.want)
    return dict(zip(_RULE_FACTS, values))


def _both(subject: str, fast: Callable[[], object], plain: Callable[[], object]) -> AbiError | None:
    """The rule that both ledgers find broken, None if both find none; else Disagreement."""
    first: AbiError | None = None
    second: schema.RuleBroken | None = None
    try:
        fast()
    except AbiError as error:
        first = error
    try:
        plain()
    except schema.RuleBroken as error:
        second = error
    a, b = _facts(first), _facts(second)
    differences = tuple(
        Difference(name, a.get(name), b.get(name)) for name in _RULE_FACTS if a.get(name) != b.get(name)
    )
    if differences:
        raise Disagreement(subject, differences)
    return first


def broken_rule(kind_: Kind, data: bytes) -> AbiError | None:
    """The rule of the envelope that a blob breaks, by both ledgers."""
    unpack_fast = getattr(uapi.generation(kind_.generation), kind_.struct).unpack
    return _both(
        kind_.name,
        lambda: unpack_fast(_native(kind_, data)),
        lambda: schema.parse(kind_.generation, data, kind_.abi.order),
    )


def broken_payload(kind_: Kind, model: str, opaque: bytes) -> AbiError | None:
    """The rule of the payload that ``opaque[]`` breaks, by both ledgers; offsets from its start."""
    native = opaque
    if kind_.abi.order != host().order:
        native = _swap(opaque, [(f.offset, f.size) for f in payloads.fields(model) if f.integer])
    return _both(
        f"the {model} payload of {kind_.name}",
        lambda: payloads.validate(model, native),
        lambda: schema.check_payload(model, opaque, kind_.abi.order),
    )


def hint(kind_: Kind, error: AbiError, data: bytes = b"") -> str:
    """What may help with a broken rule, "" if nothing is known."""
    other = _swap(data, [(f.offset, f.size) for f in kind_.layout.fields if isinstance(f.type, Scalar)])
    if data and broken_rule(kind_, other) is None:
        return "valid in the other byte order, see --abi"
    if error.rule.name == "pasid_table_info.model":
        return "known: " + ", ".join(f"{name}={n}" for name, n in kind_.constants("model").items())
    return ""


# ---------------------------------------------------------------- packing


def _encode(kind_: Kind, values: Mapping[str, int], opaque: bytes) -> bytes:
    made = kind_.layout
    data = bytearray(made.size)
    for f in made.fields:
        if isinstance(f.type, Scalar):
            value, bits = values.get(f.name, 0), 8 * f.size
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if f.type.signed else (0, (1 << bits) - 1)
            if not low <= value <= high:
                raise UsageError(f"{kind_.struct}.{f.name}: got {value}, expected {low} to {high:#x}")
            data[f.offset : f.offset + f.size] = value.to_bytes(f.size, kind_.order, signed=f.type.signed)
    return bytes(data) + opaque


def check_names(kind_: Kind, values: Mapping[str, object]) -> None:
    """UsageError for a name that is no field's."""
    known = [f.name for f in kind_.layout.fields if isinstance(f.type, Scalar)]
    for name in values:
        if name == _tail(kind_):
            raise UsageError(f"{kind_.struct}.{name} is given with --{name}")
        if name not in known:
            raise UsageError(f"{kind_.struct} has no field {name!r}{meant(name, known)}")


def _tail(kind_: Kind) -> str | None:
    flexible = kind_.layout.record.flexible
    return flexible.name if flexible else None


def pack(kind_: Kind, values: Mapping[str, int], opaque: bytes = b"") -> bytes:
    """The bytes of a struct; fields that are not given are 0, ``length`` is that of ``opaque``.

    AbiError if the result breaks a rule of the envelope, UsageError for a name or number that does
    not fit.
    """
    check_names(kind_, values)
    data = _encode(kind_, {"length": len(opaque), **values}, opaque)
    error = broken_rule(kind_, data)
    if error is not None:
        raise error
    built = schema.build(
        kind_.generation,
        values.get("ptr", 0),
        values.get("size", 0),
        values.get("model", 0),
        opaque,
        kind_.abi.order,
    )
    if built != data:
        raise Disagreement(f"the bytes of {kind_.name}", (Difference("bytes", data.hex(), built.hex()),))
    return data


# ---------------------------------------------------------------- taking apart


def _doc(field: str) -> str:
    found = next((each.docs for each in schema.schema().subcons if each.name == field), "")
    return str(found)


def _meaning(kind_: Kind, field: str, value: int) -> str:
    constants = kind_.constants(field)
    if not constants:
        return _doc(field)
    return next((name for name, number in constants.items() if number == value), "unknown")


def fields(kind_: Kind, data: bytes) -> tuple[Field, ...]:
    """The fields of a blob whose header is there."""
    found = []
    for f in kind_.layout.fields:
        if isinstance(f.type, Scalar):
            raw = data[f.offset : f.offset + f.size]
            value = int.from_bytes(raw, kind_.order, signed=f.type.signed)
            named = bool(kind_.constants(f.name))
            found.append(Field(f.name, f.offset, f.size, value, _meaning(kind_, f.name, value), named))
        elif isinstance(f.type, Array):
            size = f.size if f.type.count is not None else _value(found, "length")
            rest = data[f.offset : f.offset + size]
            found.append(Field(f.name, f.offset, len(rest), rest, _doc(f.name)))
    return tuple(found)


def _value(found: list[Field], name: str) -> int:
    return next((f.value for f in found if f.name == name and isinstance(f.value, int)), 0)


def _lenient_notes(kind_: Kind, data: bytes) -> list[str]:
    """What lenient reading lets pass; AbiError for what it does not."""
    notes = []
    error = broken_rule(kind_, data)
    if error is not None and error.rule.name == "pasid_table_info.model":
        notes.append(f"let pass: {error}")
        model = next(f for f in kind_.layout.fields if f.name == "model")
        known = min(kind_.constants("model").values())
        number = known.to_bytes(model.size, kind_.order)
        error = broken_rule(kind_, data[: model.offset] + number + data[model.offset + model.size :])
    if error is not None and error.rule.name not in LENIENT_RULES:
        raise error
    if error is not None:
        notes.append(f"let pass: {error}")
    return notes


def _payload_model(kind_: Kind, found: tuple[Field, ...]) -> str | None:
    return schema.MODELS[kind_.generation].get(_value(list(found), "model"))


def _with_payload(blob: Blob) -> Blob:
    """The fields of the payload; AbiError, with offsets from the start of the blob, if it is broken."""
    kind_ = blob.kind
    model = _payload_model(kind_, blob.fields)
    opaque = blob.fields[-1]
    if model is None or not isinstance(opaque.value, bytes):
        return replace(blob, notes=(*blob.notes, "the payload of an unknown model was not looked at"))
    error = broken_payload(kind_, model, opaque.value)
    if error is not None:
        at = None if error.offset is None else error.offset + opaque.offset
        field = f"{opaque.name}.{error.field}" if error.field != opaque.name else opaque.name
        raise AbiError(error.rule, field, at, error.got, error.want, kind_.struct)
    found = []
    for f in payloads.fields(model) if opaque.value else ():
        raw = opaque.value[f.offset : f.offset + f.size]
        value = int.from_bytes(raw, kind_.order) if f.integer else raw
        meaning = payloads.meaning(model, f.name, value) if isinstance(value, int) else ""
        found.append(Field(f.name, opaque.offset + f.offset, f.size, value, meaning))
    return replace(blob, payload=tuple(found))


def unpack(kind_: Kind, data: bytes, *, lenient: bool = False, payload: bool = False) -> Blob:
    """Check a blob and take it apart. AbiError for a broken rule, Disagreement of the ledgers.

    ``lenient`` lets pass what a newer kernel might accept; ``payload`` looks into ``opaque[]``.
    """
    notes = []
    if lenient:
        notes = _lenient_notes(kind_, data)
    else:
        error = broken_rule(kind_, data)
        if error is not None:
            raise error
    blob = Blob(kind_, data, fields(kind_, data), kind_.layout.holes, notes=tuple(notes))
    _compare_values(blob)
    return _with_payload(blob) if payload else blob


def _compare_values(blob: Blob) -> None:
    """The values by layout against those by schema."""
    parsed = schema.parse(blob.kind.generation, blob.data, blob.kind.abi.order, lenient=True)
    differences = tuple(
        Difference(f.name, f.value, getattr(parsed, f.name))
        for f in blob.fields
        if getattr(parsed, f.name) != f.value
    )
    if differences:
        raise Disagreement(blob.kind.name, differences)


# ---------------------------------------------------------------- hex or raw


def read(
    kind_: Kind, data: bytes, form: str, broken: Callable[[Kind, bytes], AbiError | None] | None = None
) -> tuple[bytes, str]:
    """The blob in ``data``, which is "hex", "raw" or, for "auto", whichever it can only be.

    ``broken`` says what a valid blob is, :func:`broken_rule` by default.

    Returns the bytes and what they were taken as. HexError for what is no hex; UsageError for data
    that is a valid blob either way.
    """
    if form == "raw" or (form == "auto" and not is_hex_text(data)):
        return data, "raw bytes" if form == "raw" else "raw bytes, for it is not hex text"
    if form == "hex":
        return parse_hex(data.decode("ascii", "replace")), "hex text"
    broken = broken or broken_rule
    raw_valid = bool(data) and broken(kind_, data) is None
    try:
        found = parse_hex(data.decode("ascii", "replace"))
    except HexError as error:
        if raw_valid:
            return data, "raw bytes, for it is not valid as hex text"
        raise HexError(f"{error} (taken as hex text, for it has only such characters)") from None
    if not raw_valid:
        return found, "hex text, for it has only such characters"
    if broken(kind_, found) is None:
        raise UsageError("a valid blob both as hex text and as raw bytes: say which with --in")
    return data, "raw bytes, for it is not valid as hex text"
