"""An strace log with all that is known about its ioctls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from iommu_abi import rules
from iommu_abi.decode import payload, strace
from iommu_abi.decode.commands import Meaning, explain
from iommu_abi.decode.payload import Payload
from iommu_abi.decode.pieces import Piece
from iommu_abi.decode.strace import Call
from iommu_abi.errors import errno_name
from iommu_abi.ioctl import TYPE, io
from iommu_abi.uapi.layout import Abi


@dataclass(frozen=True, slots=True)
class Decoded:
    """A call. ``payload`` is None if its bytes were not noted, ``verdict`` how they explain the errno."""

    call: Call
    number: int
    meaning: Meaning
    payload: Payload | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Log:
    """The calls of a text in order; ``unread`` are positions of lines that only look like one.

    ``noted`` are lines of bytes.
    """

    calls: tuple[Decoded, ...]
    unread: tuple[int, ...]
    lines: int
    noted: int

    @property
    def skipped(self) -> int:
        """How many lines are about something else."""
        of_calls = sum(len(each.call.lines) for each in self.calls)
        return self.lines - of_calls - self.noted - len(self.unread)

    @property
    def distinct(self) -> tuple[tuple[Decoded, tuple[int, ...]], ...]:
        """Each call once, with the lines at which it begins; those with bytes are all different."""
        found: dict[object, tuple[Decoded, list[int]]] = {}
        for each in self.calls:
            call = replace(each.call, lines=(), arg=None, below=())
            key = each.call.lines if each.payload else call
            found.setdefault(key, (each, []))[1].append(each.call.lines[0])
        return tuple((each, tuple(at)) for each, at in found.values())


def decode(text: str, kernel: str, abi: Abi, blobs: Sequence[Piece] = ()) -> Log:
    """Every ioctl of iommufd and VFIO in a log, on a kernel.

    The bytes of a call are those noted below it, with an address or, the first piece, without; then
    those above the first call, and ``blobs``.
    """
    log = strace.read(text, abi.name)
    everywhere = (*log.above, *blobs)
    found = [_decoded(call, kernel, abi, (*call.below, *everywhere)) for call in log.calls]
    return Log(tuple(found), log.unread, log.lines, log.noted)


def without(text: str, log: Log) -> str:
    """A text in which the lines of its calls are empty."""
    said = {at for each in log.calls for at in each.call.lines} | set(log.unread)
    return "".join("\n" if at in said else f"{line}\n" for at, line in enumerate(text.splitlines()))


def _decoded(call: Call, kernel: str, abi: Abi, pieces: tuple[Piece, ...]) -> Decoded:
    meaning = explain(call, kernel, abi)
    found = _payload(call, meaning, pieces)
    number = io(TYPE, call.nr, abi.name)
    return Decoded(call, number, meaning, found, _verdict(call, found))


def _payload(call: Call, meaning: Meaning, pieces: tuple[Piece, ...]) -> Payload | None:
    """Of several commands the one whose struct the bytes can be: VFIO's numbers depend on the file.

    Where that does not tell, a container's command, which logs are full of.
    """
    if not call.arg:
        return None
    unplaced = next((piece for piece in call.below if piece.address is None), None)
    if unplaced:
        pieces = (Piece(unplaced.data, call.arg), *pieces)
    container_first = sorted(meaning.commands, key=lambda each: not each.name.startswith("VFIO_IOMMU_"))
    found = [payload.at(each.kind, call.arg, pieces) for each in container_first if each.kind]
    read = [each for each in found if each]
    if len(read) > 1:
        accepted = [each for each in read if _answer(each).error is None]
        read = accepted if len(accepted) == 1 else read
    return read[0] if read else None


def _answer(found: Payload) -> rules.Answer:
    kind = found.blob.kind
    return rules.answer(rules.any_struct(kind.name), found.blob.data, kind.plain_abi)


def _verdict(call: Call, found: Payload | None) -> str:
    """The broken rule, if a kernel answers it with the errno of the call."""
    if found is None or not call.errno:
        return ""
    answer = _answer(found)
    if answer.error is None:
        return ""
    if errno_name(answer.error.rule.errno) == call.errno:
        return f"the bytes explain it: {answer.error}"
    return ""
