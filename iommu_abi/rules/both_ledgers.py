"""The rules of ``pasid_table_info`` and of its payloads, which are kept twice: both ledgers are asked.

The fast ledger is the C core behind :mod:`iommu_abi.uapi`, the plain one
:mod:`iommu_abi.schemas.pasid_table_info`. C knows the machine's byte order only: a blob of another ABI is
turned first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from iommu_abi import uapi
from iommu_abi.errors import AbiError
from iommu_abi.ledgers import Difference, Disagreement
from iommu_abi.rules.seed import STRUCT
from iommu_abi.schemas import pasid_table_info as schema
from iommu_abi.schemas import uapi as plain
from iommu_abi.uapi import payload as payloads
from iommu_abi.uapi.layout import host

_FACTS = ("rule", "errno", "field", "offset", "got", "want")


def _facts(error: AbiError | schema.RuleBroken | None) -> dict[str, object]:
    if error is None:
        return {"rule": "none is broken"}
    name = error.rule if isinstance(error, schema.RuleBroken) else error.rule.name
    values = (name, error.errno, error.field, error.offset, error.got, error.want)
    return dict(zip(_FACTS, values))


def _both(subject: str, fast: Callable[[], object], slow: Callable[[], object]) -> AbiError | None:
    """The rule that both ledgers find broken, None if both find none; else Disagreement."""
    first: AbiError | None = None
    second: schema.RuleBroken | None = None
    try:
        fast()
    except AbiError as error:
        first = error
    try:
        slow()
    except schema.RuleBroken as error:
        second = error
    a, b = _facts(first), _facts(second)
    differences = tuple(
        Difference(name, a.get(name), b.get(name)) for name in _FACTS if a.get(name) != b.get(name)
    )
    if differences:
        raise Disagreement(subject, differences)
    return first


def _native(abi: plain.Abi, data: bytes, spans: list[tuple[int, int]]) -> bytes:
    """The same in the byte order of this machine; ``spans`` are (offset, size) of the numbers.

    A number that is not there as a whole stays.
    """
    if abi.order == host().order:
        return data
    turned = bytearray(data)
    for offset, size in spans:
        if offset + size <= len(data):
            turned[offset : offset + size] = data[offset : offset + size][::-1]
    return bytes(turned)


def _numbers(generation: str, abi: plain.Abi) -> list[plain.Leaf]:
    """The fields before ``opaque[]``."""
    return [leaf for leaf in plain.leaves(plain.get(STRUCT, generation), abi) if not leaf.field.flexible]


def _first_broken(generation: str, data: bytes, abi: plain.Abi) -> AbiError | None:
    spans = [(leaf.offset, leaf.size) for leaf in _numbers(generation, abi)]
    unpack = getattr(uapi.generation(generation), STRUCT).unpack
    return _both(
        f"{STRUCT}@{generation}",
        lambda: unpack(_native(abi, data, spans)),
        lambda: schema.parse(generation, data, abi.order),
    )


def broken(generation: str, data: bytes, abi: plain.Abi) -> Iterator[AbiError]:
    """The rule of the envelope that a blob breaks; behind an unknown model, what it would break with a known.

    Disagreement if the ledgers differ.
    """
    error = _first_broken(generation, data, abi)
    if error is None:
        return
    yield error
    if error.field == "model":
        error = _first_broken(generation, _with_known_model(generation, data, abi), abi)
        if error is not None:
            yield error


def _with_known_model(generation: str, data: bytes, abi: plain.Abi) -> bytes:
    model = next(leaf for leaf in _numbers(generation, abi) if leaf.path == "model")
    known = min(schema.MODELS[generation]).to_bytes(model.size, "little" if abi.order == "<" else "big")
    return data[: model.offset] + known + data[model.offset + model.size :]


def broken_payload(model: str, opaque: bytes, abi: plain.Abi) -> AbiError | None:
    """The rule of a model's payload that ``opaque[]`` breaks; offsets from its start."""
    spans = [(f.offset, f.size) for f in payloads.fields(model) if f.integer]
    return _both(
        f"the {model} payload of {STRUCT}",
        lambda: payloads.validate(model, _native(abi, opaque, spans)),
        lambda: schema.check_payload(model, opaque, abi.order),
    )
