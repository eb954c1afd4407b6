"""The fast ledger: the C walk as Python calls it.

A :class:`Unit` is one IOMMU, described by its registers; :meth:`Unit.translate` says where a DMA
goes. Any thread may use a unit; the GIL is not held during a walk.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from iommu_abi import vendors
from iommu_abi._core import ffi, lib
from iommu_abi._core_errors import abi_error
from iommu_abi.errors import AbiError, UsageError
from iommu_abi.memory import Memory
from iommu_abi.names import unknown
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Ref, Request, Stage, Target, Translation

#: What is among the registers there and is none: where the IOMMU's MMIO lies.
NOT_REGISTERS = ("base",)

_ACCESS = tuple(Access(i) for i in range(8))
_STAGE, _REASON, _PURPOSE, _TARGET = tuple(Stage), tuple(Reason), tuple(Purpose), tuple(Target)


@cache
def kinds() -> tuple[str, ...]:
    """The kinds of IOMMU that the core knows."""
    found: list[str] = []
    while name := lib.iommu_abi_kind(len(found)):
        found.append(ffi.string(name).decode())
    return tuple(found)


@cache
def registers(kind: str) -> dict[str, int | None]:
    """Registers of a kind with their defaults; None where one must be given."""
    value, required = ffi.new("unsigned long long *"), ffi.new("int *")
    found: dict[str, int | None] = {}
    while name := lib.iommu_abi_kind_register(kind.encode(), len(found), value, required):
        found[ffi.string(name).decode()] = None if required[0] else value[0]
    return found


class Unit:
    """One IOMMU: its kind, and its registers by the names of the vendor's manual.

    Both may be those of a ``meta.json`` as they are: numbers also as ``"0x1000"``, and a ``base``.
    """

    def __init__(self, kind: str, registers: Mapping[str, int | str]) -> None:
        """AbiError for a register that is unknown, missing or impossible."""
        kind = vendors.kind_of(kind)
        if kind not in kinds():
            raise UsageError(unknown("kind of IOMMU", kind, kinds()))
        self.kind = kind
        self.registers = {
            name: _number(name, value) for name, value in registers.items() if name not in NOT_REGISTERS
        }
        names = [ffi.new("char[]", name.encode()) for name in self.registers]
        rows = ffi.new("struct iommu_abi_reg[]", max(1, len(names)))
        for row, name, value in zip(rows, names, self.registers.values()):
            row.name, row.value = name, value
        err = ffi.new("struct iommu_abi_error *")
        self.c = ffi.new("struct iommu_abi_unit *")
        if lib.iommu_abi_unit_init(kind.encode(), rows, len(names), err, self.c):
            raise _register_error(err, kind)

    def __repr__(self) -> str:
        return f"Unit({self.kind!r}, {{{', '.join(f'{k!r}: {v:#x}' for k, v in self.registers.items())}}})"

    def translate(self, memory: Memory, request: Request, *, trace: bool = False) -> Translation:
        """Where does this request go? With ``trace``, the answer lists every entry that was read.

        UsageError for a request that makes no sense; what the tables do to it is a fault in the
        answer, never an exception.
        """
        q = _request(request)
        out = ffi.new("struct iommu_abi_translation *")
        refs = ffi.new("struct iommu_abi_trace *") if trace else ffi.NULL
        table = memory.table  # one load: keeps the buffers alive
        rc = lib.iommu_abi_translate(self.c, table.c, q, refs, out)
        if rc < 0:
            raise UsageError(f"a request that makes no sense to {self.kind}: {request}")
        return _translation(out, rc, _refs(refs) if trace else ())

    def context(self, memory: Memory, rid: int, pasid: int | None = None) -> Context:
        """Look a requester up, or a PASID of it: for many requests of the same one. ``rid`` as in a Request.

        UsageError for a requester that no such IOMMU can have. What its tables refuse is part of the context.
        """
        return Context(self, memory, rid, pasid)


class Context:
    """What a requester has, as device and PASID tables said when it was looked up (struct iommu_abi_context).

    Page tables are read at each :meth:`translate`. After a change of an entry of a device or PASID table it
    goes on as before: make a new one. Any thread may use it.
    """

    def __init__(self, unit: Unit, memory: Memory, rid: int, pasid: int | None = None) -> None:
        """As :meth:`Unit.context`."""
        who = _request(Request(rid, 0, pasid))
        self.unit, self.memory, self.rid, self.pasid = unit, memory, int(who.rid), pasid
        self.c = ffi.new("struct iommu_abi_context *")
        trace, table = ffi.new("struct iommu_abi_trace *"), memory.table
        if lib.iommu_abi_context_init(unit.c, table.c, who.rid, who.pasid, who.flags, trace, self.c):
            raise UsageError(f"a requester that makes no sense to {unit.kind}: {self!r}")
        #: Entries of device and PASID tables that were read, and those of stage 2 on the way to them.
        self.refs: tuple[Ref, ...] = _refs(trace)

    def __repr__(self) -> str:
        pasid = "" if self.pasid is None else f", pasid={self.pasid:#x}"
        return f"Context({self.unit.kind!r}, rid={self.rid:#x}{pasid})"

    @property
    def domain(self) -> int:
        """By which caches tell its translations from others': domain ID, VMID or GSCID."""
        return int(self.c.domain)

    @property
    def process(self) -> int:
        """The same for those of stage 1: PASID, ASID or PSCID."""
        return int(self.c.process)

    def translate(
        self,
        iova: int,
        access: Access = Access.READ,
        *,
        at: At = At.UNTRANSLATED,
        priv: bool = False,
        trace: bool = False,
    ) -> Translation:
        """Where does this request go? ``trace`` lists what is read behind ``refs``.

        The answer, and errors, of :meth:`Unit.translate`.
        """
        request = Request(self.rid, iova, self.pasid, access, priv, at)
        q = _request(request)
        out = ffi.new("struct iommu_abi_translation *")
        refs = ffi.new("struct iommu_abi_trace *") if trace else ffi.NULL
        table = self.memory.table  # one load: keeps the buffers alive
        rc = lib.iommu_abi_translate_in(self.c, table.c, q, refs, out)
        if rc < 0:
            raise UsageError(f"a request that makes no sense to {self.unit.kind}: {request}")
        return _translation(out, rc, _refs(refs) if trace else ())


def _request(request: Request) -> Any:
    """A struct iommu_abi_request."""
    pasid = request.pasid
    try:
        return ffi.new(
            "struct iommu_abi_request *",
            (
                request.iova,
                request.rid,
                pasid or 0,
                int(request.access),
                int(request.at),
                (0 if pasid is None else lib.IOMMU_ABI_HAS_PASID)
                | (lib.IOMMU_ABI_PRIV if request.priv else 0),
            ),
        )
    except (OverflowError, TypeError):
        raise UsageError(f"request out of range, or with what is no number: {request}") from None


def _number(register: str, value: int | str) -> int:
    if type(value) is int and 0 <= value < 1 << 64:
        return value
    from iommu_abi.inputs import InputError, to_number  # of text: with it comes json

    try:
        return to_number(value, f"register {register}")
    except InputError as error:
        raise UsageError(str(error)) from None


def _register_error(err: Any, kind: str) -> AbiError:
    """About a register, which has no offset; a missing one has no value either."""
    error = abi_error(err, kind)
    got = None if error.rule.name == "unit.missing" else error.got
    return AbiError(error.rule, "", None, got, error.want, f"{kind}.{error.field}")


def _refs(trace: Any) -> tuple[Ref, ...]:
    return tuple(ref_of(trace.refs[i]) for i in range(min(trace.n, lib.IOMMU_ABI_MAX_REFS)))


def ref_of(r: Any) -> Ref:
    """A struct iommu_abi_ref."""
    return Ref(
        _STAGE[r.stage], r.level, r.gpa, r.hpa, r.raw, r.updated, r.len, _PURPOSE[r.purpose], r.for_level
    )


def fault_of(f: Any) -> Fault:
    """A struct iommu_abi_fault."""
    entry = bool(f.has_entry)
    return Fault(
        reason=_REASON[f.reason],
        stage=_STAGE[f.stage],
        level=f.level,
        native=f.native,
        input=f.input,
        entry_gpa=f.entry_gpa if entry else None,
        entry_hpa=f.entry_hpa if entry else None,
        raw=f.raw if f.has_raw else None,
        purpose=_PURPOSE[f.purpose],
        for_level=f.for_level,
        recorded=bool(f.recorded),
        detail=f.detail,
    )


def _translation(out: Any, rc: int, refs: tuple[Ref, ...]) -> Translation:
    if rc:
        return Translation(fault=fault_of(out.fault), refs=refs)
    return Translation(
        out.hpa, out.gpa, out.size_lg2, _ACCESS[out.access], _TARGET[out.target], out.detail, None, refs
    )
