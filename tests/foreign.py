"""What tests/c/foreign.c is asked, and the answers: none of them from C.

Tables are little-endian on every machine, so a walk has the same answer on all: that of the plain ledger.
A blob has the machine's byte order: its bytes, and what is wrong with them, are those of the construct schema
in that order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

from c_support import ROOT, STRICT, run
from ledgers import Remembered
from smoke import cases

from iommu_abi import Memory, Unit, mappings
from iommu_abi.errors import errno_name
from iommu_abi.fuzz import blobs
from iommu_abi.replay import capture
from iommu_abi.schemas import pasid_table_info as schema
from iommu_abi.schemas import plain_walk, table_walk
from iommu_abi.terms import Fault, Ref, Request, Translation
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.plans import PLANS, VALID, build_case

SOURCE = ROOT / "tests/c/foreign.c"
#: For a program and the core together.
CFLAGS = ["-std=gnu11", *STRICT, f"-I{ROOT}/cdefs", "-DCONFIG_IOMMU_API", '-DIOMMU_ABI_VERSION="0"']
SEED = 2017
GENERATIONS = {"rfc2017": 1, "v1_2017": 2}  # enum iommu_abi_generation


@dataclass(frozen=True)
class Question:
    """Lines for foreign.c, of which the last one is answered."""

    lines: tuple[str, ...]
    answer: str


def _hex(data: bytes) -> str:
    return data.hex() or "-"


def _id(number: int | None) -> str:
    return "-" if number is None else f"{number:x}"


def _memory(runs: Iterator[tuple[int, bytes]]) -> list[str]:
    return ["forget", *(f"memory {first:x} {data.hex()}" for first, data in runs)]


def _unit(kind: str, registers: dict[str, int]) -> str:
    return " ".join(["unit", kind, *(f"{name} {value:x}" for name, value in registers.items())])


# ---------------------------------------------------------------- walks


def _fault(f: Fault) -> str:
    numbers = (f.reason, f.stage, f.level, f.purpose, f.for_level, f.recorded, f.native, f.detail, f.input)
    return " ".join(["blocked", *(f"{n:x}" for n in numbers), *map(_id, (f.entry_gpa, f.entry_hpa, f.raw))])


def _ref(r: Ref) -> str:
    numbers = (r.stage, r.level, r.purpose, r.for_level, r.len, r.gpa, r.hpa, r.raw, r.updated)
    return " | " + " ".join(f"{n:x}" for n in numbers)


def answer_to_dma(t: Translation) -> str:
    """A translation as foreign.c prints it."""
    head = (
        f"passes {t.hpa:x} {t.gpa:x} {t.size_lg2:x} {t.access:x} {t.target:x} {t.detail:x}"
        if t.fault is None
        else _fault(t.fault)
    )
    return head + "".join(map(_ref, t.refs))


def dma(kind: str, registers: dict[str, int], read: table_walk.Read, q: Request) -> Question:
    """A request to the entries that the plain ledger reads for it; ValueError if it is senseless."""
    seen = Remembered(read)
    answer = plain_walk.translate(kind, registers, seen.read, q)
    asked = f"dma {q.rid:x} {_id(q.pasid)} {q.iova:x} {q.access:x} {q.at:x} {q.priv:x}"
    return Question((*_memory(seen.runs()), _unit(kind, registers), asked), answer_to_dma(answer))


def walks(every: int = 1) -> Iterator[Question]:
    """Of the fuzzer's: for every n-th way to fail in a format, a valid request and three broken ones."""
    for plan in PLANS[::every]:
        for attempt in (0, *range(VALID, VALID + 3)):
            case, _ = build_case(SEED, plan, attempt)
            try:
                yield dma(case.world.kind, case.registers, case.image.read, case.request)
            except ValueError:
                continue  # the mutation left a request or register that makes no sense
            finally:
                case.image.restore()


def enumerations() -> Iterator[Question]:
    """The mappings of every device and PASID of the captured guests, as this machine lists them."""
    for directory in sorted((ROOT / "tests/data/captures").iterdir()):
        meta = capture.load(directory).meta
        memory = Memory.open(str(capture.image(directory)))
        unit = Unit(meta.kind, meta.registers)
        runs = ((r.first, memory.read(r.first, r.size) or b"") for r in memory)
        known = [*_memory(runs), _unit(meta.kind, dict(meta.registers))]
        whose = {(each.rid, each.pasid) for each in mappings.everything(unit, memory)}
        for rid, pasid in sorted(whose, key=str):
            found = "".join(
                f"{m.first:x}..{m.last:x} {m.gpa:x} {m.hpa:x} {m.detail:x} {m.s1_sizes:x} {m.s2_sizes:x}"
                f" {m.access:x} {m.target:x}, "
                for m in mappings.mappings(unit, memory, rid, pasid)
            )
            yield Question((*known, f"mappings {rid:x} {_id(pasid)}"), found + "end")
            known = []


# ---------------------------------------------------------------- blobs


def _refusal(broken: schema.RuleBroken) -> str:
    numbers = (broken.offset, broken.got, broken.want)
    name = errno_name(broken.errno)
    return " ".join([name, broken.rule, broken.field or "-", *(f"{n:x}" for n in numbers)])


def _validate(generation: str, data: bytes, order: str) -> Question:
    try:
        info = schema.parse(generation, data, order)
        answer = f"{info.ptr:x} {info.size:x} {info.model:x} {info.length:x} {_hex(info.opaque)}"
    except schema.RuleBroken as broken:
        answer = _refusal(broken)
    return Question((f"validate {GENERATIONS[generation]} {_hex(data)}",), answer)


def _payload(name: str, opaque: bytes, order: str) -> Question:
    model = next(number for number, each in schema.MODELS["v1_2017"].items() if each == name)
    try:
        schema.check_payload(name, opaque, order)
        answer = "good"
    except schema.RuleBroken as broken:
        answer = _refusal(broken)
    return Question((f"payload {model} {_hex(opaque)}",), answer)


def _create(generation: str, data: bytes, order: str) -> Question:
    info = schema.parse(generation, data, order)
    built = schema.build(generation, info.ptr, info.size, info.model, info.opaque, order)
    asked = f"create {GENERATIONS[generation]} {info.ptr:x} {info.size:x} {info.model:x} {_hex(info.opaque)}"
    return Question((asked,), _hex(built))


def envelopes(order: str) -> Iterator[Question]:
    """Valid blobs and ones that break each rule, of both generations; each also in the other byte order."""
    other = {"<": ">", ">": "<"}[order]
    for plan in (each for each in cases.PLANS if isinstance(each, cases.BlobPlan)):
        for attempt in range(8):
            with mock.patch.object(blobs, "ORDER", order):
                blob = blobs.make(Dice(SEED, plan, attempt), plan.generation, plan.rule)
            with mock.patch.object(blobs, "ORDER", other):
                turned = blobs.make(Dice(SEED, plan, attempt), plan.generation, plan.rule)
            yield _create(plan.generation, blob.before, order)
            yield _validate(plan.generation, blob.before, order)
            yield _validate(plan.generation, blob.data, order)
            yield _validate(plan.generation, turned.before, order)
            yield _payload(blob.payload, blob.data[schema.HEADER_SIZE :], order)


# ---------------------------------------------------------------- bind, copy_struct

#: (ptr, size, model, opaque as 32-bit numbers) -> what a VT-d driver that takes 48 bits of address, tables of
#: 8 MiB, WPE and NXE says: the rules of core/rules.h, from "bind.model" on, and their order.
BINDS = {
    (0x4000_5000, 4096, 0, ()): "bound, unbind EINVAL",  # it has no hook to unbind: the patch says EINVAL
    (0xFFFF_FFFF_F000, 8 << 20, 0, (1, 3, 0, 0)): "bound, unbind EINVAL",
    (0x4000_5000, 4096, 1, ()): "EINVAL bind.model model 10 1 0",
    (0x4000_5000, 4096, 0, (1, 3, 0)): "EINVAL bind.length length 14 c 10",
    (0, 4096, 0, ()): "EINVAL bind.ptr.zero ptr 0 0 0",
    (0x4000_5008, 4096, 0, ()): "EINVAL bind.ptr.align ptr 0 40005008 1000",
    (0x1_0000_0000_0000, 4096, 0, ()): "EINVAL bind.ptr.range ptr 0 1000000000000 ffffffffffff",
    (0x4000_5000, 0x1_0000_0001, 0, ()): "EINVAL bind.size.power size 8 100000001 0",
    (0x4000_5000, 128, 0, ()): "EINVAL bind.size.range size 8 80 100",
    (0x4000_5000, 1 << 32, 0, ()): "EINVAL bind.size.host size 8 100000000 800000",
    (0x4000_5000, 4096, 0, (2, 0, 0, 0)): "EOPNOTSUPP payload.version version 18 2 1",
    (0x4000_5000, 4096, 0, (1, 7, 0, 0)): "EINVAL bind.vtd.flags flags 1c 7 3",
    (0x4000_5000, 4096, 0, (1, 3, 0x70, 0)): "EINVAL bind.vtd.pat pat 20 70 0",
}

#: (bytes that this kernel knows, the caller's struct) -> by Linux, include/linux/uaccess.h,
#: copy_struct_from_user()
COPIES = {
    (8, "0102030405060708"): "0102030405060708",
    (8, "010203"): "0102030000000000",
    (8, "-"): "0000000000000000",
    (4, "010203040000"): "01020304",
    (4, "0102030400000900"): "E2BIG copy_struct.tail - 6 9 4",
}


def binds(order: str) -> Iterator[Question]:
    """BINDS in a byte order."""
    for (ptr, size, model, numbers), answer in BINDS.items():
        opaque = struct.pack(f"{order}{len(numbers)}I", *numbers)
        blob = struct.pack(f"{order}QQII", ptr, size, model, len(opaque)) + opaque
        yield Question((f"bind {blob.hex()}",), answer)


def copies() -> Iterator[Question]:
    """COPIES."""
    for (ksize, data), answer in COPIES.items():
        yield Question((f"copy {ksize:x} {data}",), answer)


# ---------------------------------------------------------------- asking


def differences(command: list[str], questions: list[Question]) -> list[tuple[str, str, str]]:
    """(question, answer of the program, expected) where those differ."""
    text = "".join(line + "\n" for each in questions for line in each.lines)
    got = run(*command, stdin=text).splitlines()
    assert len(got) == len(questions), f"{command}: {len(got)} answers to {len(questions)} questions"
    return [(each.lines[-1], a, each.answer) for each, a in zip(questions, got) if a != each.answer]
