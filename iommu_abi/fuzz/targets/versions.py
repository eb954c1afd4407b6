"""Generation against generation: a program built for one state of the headers, a kernel of another.

What the kernel then sees of the program's fields is simulated: it takes the struct by its contract
(size first, argsz, or as many bytes as it thinks). Fields that get lost and errnos that change are
what generations are about: they are notes. Wrong is where ``compat`` promises that this pair works and
it does not, and where C takes a struct otherwise than the plain simulation.
"""

from __future__ import annotations

import struct as binary
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from iommu_abi import compat, rules
from iommu_abi.compat.fields import Pairs, overlapping, pair, real
from iommu_abi.compat.model import tells_its_size
from iommu_abi.compat.verdict import Verdict
from iommu_abi.errors import AbiError, UsageError, errno_name
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome, Problem
from iommu_abi.schemas import uapi as plain
from iommu_abi.uapi import GENERATIONS
from iommu_abi.uapi.copy_struct import copy_struct_from_user
from iommu_abi.uapi.layout import Field, Layout, host
from iommu_abi.worlds.dice import Dice

X86 = "x86_64"


@dataclass(frozen=True, slots=True)
class Meeting:
    """A program built for one generation meets a kernel of another."""

    struct: str
    program: str
    kernel: str

    def __str__(self) -> str:
        return f"{self.struct}: built for {self.program}, kernel {self.kernel}"


def _meetings() -> Iterator[Meeting]:
    """Each struct in each two generations that follow one another, both ways."""
    names = dict.fromkeys(name for each in GENERATIONS for name in plain.GENERATIONS[each].structs)
    for name in names:
        held = [each for each in GENERATIONS if name in plain.GENERATIONS[each].structs]
        for old, new in pairwise(held):
            yield Meeting(name, old, new)
            yield Meeting(name, new, old)


MEETINGS = tuple(_meetings())
#: u16 meeting; then the program's struct.
HEAD = binary.Struct("<H")


@dataclass(frozen=True, slots=True)
class _Known:
    """What does not depend on the input."""

    program: Layout
    kernel: Layout
    pairs: Pairs
    contract: str
    promised: Verdict


@cache
def _model(generation: str) -> compat.Model:
    return compat.read(generation)


@cache
def _report(old: str, new: str) -> dict[str, compat.Compared]:
    """Of the structs that both have."""
    made = compat.compare(_model(old), _model(new), host())
    return {s.name: s for s in made.subjects if s.kind != "constant" and s.was is not None}


@cache
def _known(meeting: Meeting) -> _Known:
    program = _model(meeting.program).layout(meeting.struct, host())
    kernel = _model(meeting.kernel).layout(meeting.struct, host())
    forward = GENERATIONS.index(meeting.program) < GENERATIONS.index(meeting.kernel)
    old, new = (meeting.program, meeting.kernel) if forward else (meeting.kernel, meeting.program)
    subject = _report(old, new)[meeting.struct]
    promised = subject.old_program if forward else subject.new_program
    return _Known(program, kernel, pair(program, kernel), subject.contract, promised)


class Versions(FuzzTarget):
    """All pairs of neighbours."""

    name = "versions"
    about = (
        f"{len(MEETINGS)} meetings of a program of one generation and a kernel of the next or the one before"
    )

    def seeds(self, dice: Dice) -> Iterator[bytes]:
        """Each meeting: a struct of zeros, and one whose fields are all set."""
        for i, meeting in enumerate(MEETINGS):
            size = plain.layout(plain.get(meeting.struct, meeting.program), plain.abi(X86)).size
            yield HEAD.pack(i) + bytes(size)
            yield HEAD.pack(i) + bytes(1 + at % 255 for at in range(size))

    def fresh(self, dice: Dice) -> bytes:
        """Any meeting; few bytes that are not 0."""
        i = dice.randrange(len(MEETINGS))
        size = plain.layout(plain.get(MEETINGS[i].struct, MEETINGS[i].program), plain.abi(X86)).size
        sparse = bytes(dice.number(8) if dice.chance(0.3) else 0 for _ in range(size))
        return HEAD.pack(i) + sparse

    def run(self, data: bytes) -> Outcome:
        """Let them meet."""
        (number,) = HEAD.unpack(data[: HEAD.size].ljust(HEAD.size, b"\0"))
        meeting = MEETINGS[number % len(MEETINGS)]
        known = _known(meeting)
        sent = _sent(known.program, data[HEAD.size :])
        taken, refused = _taken(known, sent)
        effects = [refused] if refused else list(_effects(known, sent, taken))
        problem = _wrong(meeting, known, sent, effects) or _c_differs(meeting, known, sent, taken)
        notes = tuple(f"{meeting}: {each}" for each in (*effects, *_errnos(meeting, sent)))
        return Outcome((f"{meeting}: {'changes' if effects else 'works'}", *notes), problem, notes)

    def show(self, data: bytes) -> list[str]:
        """Who meets whom, and the program's bytes."""
        (number,) = HEAD.unpack(data[: HEAD.size].ljust(HEAD.size, b"\0"))
        meeting = MEETINGS[number % len(MEETINGS)]
        return [str(meeting), *super().show(_sent(_known(meeting).program, data[HEAD.size :]))]

    def pieces(self, data: bytes) -> list[bytes]:
        """What chooses, and the bytes of the struct."""
        return [data[: HEAD.size], *super().pieces(data[HEAD.size :])[1:]]


# ---------------------------------------------------------------- the call


def _sent(program: Layout, body: bytes) -> bytes:
    """What a careful program gives: 0 in holes and reserved fields, its own size where it is asked for."""
    made = bytearray(body[: program.size].ljust(program.size, b"\0"))
    meant = bytearray(program.size)
    for f in real(program):
        meant[f.offset : f.offset + f.size] = b"\xff" * f.size
    made = bytearray(byte & mask for byte, mask in zip(made, meant))
    if tells_its_size(program):
        made[0:4] = program.size.to_bytes(4, "little")
    return bytes(made)


def _sized(known: _Known) -> str:
    """The name of the member by which the kernel knows the size; "" if there is none."""
    return known.kernel.fields[0].name if known.contract == "size first" else ""


def _taken(known: _Known, sent: bytes) -> tuple[bytes, str]:
    """What the kernel has of it, or why it refuses."""
    size = known.kernel.size
    if _sized(known) == "size" and any(sent[size:]):
        return b"", "E2BIG, the kernel does not know what the program asks for"
    return sent[:size].ljust(size, b"\0"), ""


def _bits(f: Field, data: bytes) -> bytes | int:
    raw = data[f.offset : f.offset + f.size]
    if f.bits is None:
        return raw
    return raw[0] >> (f.bit_offset or 0) % 8 & (1 << f.bits) - 1


def _effects(known: _Known, sent: bytes, taken: bytes) -> Iterator[str]:
    """Fields that do not arrive as they were meant."""
    pairs, kept = known.pairs, set[str]()
    if not _sized(known) and known.kernel.size != known.program.size:
        yield f"reads {known.kernel.size} bytes where the program has {known.program.size}"
    for mine, theirs in pairs.same + pairs.renamed:
        if _is_size(mine, known):
            continue
        kept.add(theirs.name)
        if _bits(mine, sent) != _bits(theirs, taken):
            yield f"{mine.name} does not arrive"
    for mine in pairs.withdrawn:
        if _zero(mine, sent):
            continue
        yield f"{mine.name} is lost"
    for theirs in pairs.added:
        shares = any(other.name in kept for other in overlapping(known.kernel, theirs) if other is not theirs)
        if not shares and not _zero(theirs, taken):
            yield f"{theirs.name} is seen, and was not given"


def _zero(f: Field, data: bytes) -> bool:
    value = _bits(f, data)
    return not value if isinstance(value, int) else not any(value)


def _is_size(f: Field, known: _Known) -> bool:
    return bool(_sized(known)) and f.offset == 0


# ---------------------------------------------------------------- what is wrong


def _wrong(meeting: Meeting, known: _Known, sent: bytes, effects: list[str]) -> Problem | None:
    """``compat`` says that this works."""
    if not effects or known.promised is Verdict.BREAKING:
        return None
    unknown = [f.name for f in known.pairs.withdrawn if not _zero(f, sent)]
    if known.promised is Verdict.COMPATIBLE_IF_ZERO and unknown:
        return None
    text = f"compat says {known.promised.name}, and {effects[0]}"
    return Problem(f"{meeting}: {text}", text)


def _c_differs(meeting: Meeting, known: _Known, sent: bytes, taken: bytes) -> Problem | None:
    """``copy_struct_from_user()`` in C against the simulation."""
    if _sized(known) != "size":
        return None
    try:
        got = copy_struct_from_user(sent, known.kernel.size, meeting.struct)
    except AbiError:
        got = b""
    if got == taken:
        return None
    text = f"copy_struct_from_user: C {got.hex() or 'refuses'}, plain {taken.hex() or 'refuses'}"
    return Problem(f"{meeting.struct}: copy_struct_from_user differs", text)


@cache
def _subject(struct: str, generation: str) -> rules.Subject | None:
    try:
        return rules.struct(f"{struct}@{generation}")
    except UsageError:
        return None


def _errnos(meeting: Meeting, sent: bytes) -> Iterator[str]:
    """What both kernels' rules say to the same bytes."""
    subjects = [_subject(meeting.struct, each) for each in (meeting.program, meeting.kernel)]
    if None in subjects:
        return
    errors = [rules.answer(subject, sent, plain.abi(X86)).error for subject in subjects if subject]
    names = [_name(error) for error in errors]
    if names[0] != names[1]:
        yield f"errno {names[0]} -> {names[1]}"


def _name(error: Any) -> str:
    return f"{errno_name(error.rule.errno)} by {error.rule.name}" if error else "0"


TARGETS: tuple[FuzzTarget, ...] = (Versions(),)
