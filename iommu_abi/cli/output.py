"""Printing: text, colours, JSON, errors, files. Colours and progress only where a person looks."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeVar

from iommu_abi.errors import AbiError, Error, errno_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

T = TypeVar("T")

#: For terminals and files whose encoding has no lines, dots and blocks.
PLAIN = str.maketrans("│─├┼┤┌┬┐└┴┘·░…█", "|-+++++++++./~#")

#: What an error of standard output is about, as errors of files name theirs.
STDOUT = "standard output"

LINES = 256  # of a block
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF)
#: Characters: names can be of any length.
MOST_OF_A_SENTENCE = 600


class BrokenRule(Error):
    """A blob that breaks a rule: an answer, with exit status 1. ``note`` is added to the sentence."""

    def __init__(self, error: AbiError, note: str = "") -> None:
        self.error = error
        super().__init__(f"{error} ({note})" if note else str(error))


def prepare() -> None:
    """A stream that the caller has closed becomes one that swallows everything."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


def abandon_stdout() -> None:
    """Nobody reads any more: what is still buffered must not raise again when Python ends."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def is_about_stdout(error: BaseException) -> bool:
    """No room, and no file is named: what we write is named, but for what we print to."""
    return (
        isinstance(error, OSError)
        and not isinstance(error, Error)
        and error.filename is None
        and error.errno in NO_ROOM
    )


# ---------------------------------------------------------------- text

#: What a terminal obeys instead of showing it, or cannot show: C0 but for tab and newline, DEL, C1, line
#: separators, marks that turn the direction of text, halves of surrogate pairs (bytes of file names).
_UNSHOWN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """The text with everything escaped that a terminal would obey: names and causes come from strangers."""
    return _UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def sentence(text: str) -> str:
    """The text as one line of bounded length: what is too long is left out in its middle."""
    text = shown(text).replace("\n", "\\n").replace("\t", "\\t")
    if len(text) <= MOST_OF_A_SENTENCE:
        return text
    half = MOST_OF_A_SENTENCE // 2 - 20
    return f"{text[:half]} ... {len(text) - 2 * half} characters ... {text[-half:]}"


def console(*, stderr: bool = False) -> Console:
    """A rich console: escapes on terminals only, none at all with NO_COLOR."""
    from rich.console import Console
    from rich.segment import Segment

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # main() knows what to do; rich would end the program with status 1

        def render(self, *args: Any, **options: Any) -> Iterable[Segment]:
            for segment in super().render(*args, **options):
                text, style, control = segment
                yield segment if control else Segment(shown(text), style)

    return Quiet(
        stderr=stderr,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


def is_plain(*, stderr: bool = False) -> bool:
    """Is this no terminal? Then text goes out as it is: no styles, nothing folded, no blanks at ends.

    FORCE_COLOR and TTY_COMPATIBLE are rich's, which says what they mean.
    """
    stream = sys.stderr if stderr else sys.stdout
    return not stream.isatty() and not {"FORCE_COLOR", "TTY_COMPATIBLE"} & os.environ.keys()


def line(text: object, style: str | None = None, *, stderr: bool = False) -> None:
    """One line, which a terminal may wrap and nobody else does."""
    if is_plain(stderr=stderr):
        print(shown(str(text)), file=sys.stderr if stderr else sys.stdout)
    else:
        console(stderr=stderr).print(text, style=style, soft_wrap=True)


def lines(found: Iterable[str]) -> None:
    """Text that ends lines itself, in blocks where nobody waits for each: a call costs more than a line."""
    room = 1 if sys.stdout.isatty() else LINES
    block: list[str] = []
    try:
        for each in found:
            block.append(each)
            if len(block) == room:
                sys.stdout.write("".join(block))
                block.clear()
    finally:
        sys.stdout.write("".join(block))


def parts_line(parts: Iterable[tuple[str, str]]) -> None:
    """One line of several (text, style)."""
    if is_plain():
        line("".join(text for text, _ in parts))
        return
    from rich.text import Text

    console().print(Text.assemble(*parts), soft_wrap=True)


def picture_line(segments: Iterable[tuple[str, str]], styles: Mapping[str, str]) -> None:
    """One line of a picture: (text, what it shows), with the style of each."""
    parts_line((_drawn(text), styles[kind]) for text, kind in segments)


def _drawn(text: str) -> str:
    """Lines and blocks as standard output's encoding has them."""
    return text if (sys.stdout.encoding or "").lower().startswith("utf") else text.translate(PLAIN)


def table(title: str | None, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; a terminal folds long cells, and nobody cuts them."""
    if is_plain():
        _plain_table(title, headings, [list(map(shown, row)) for row in rows])
        return
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*map(shown, row))
    console().print(made)


def _plain_table(title: str | None, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As wide as its cells; a cell may have several lines."""
    cells = [[cell.split("\n") for cell in row] for row in (headings, *rows)]
    widths = [max(len(text) for row in cells for text in row[i]) for i in range(len(headings))]
    whole = [
        (" " + "   ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True))).rstrip()
        for row in cells
        for texts in zip_longest(*row, fillvalue="")
    ]
    rule = " " + _drawn("─") * (sum(widths) + 3 * (len(widths) - 1))
    head = max(len(cell) for cell in cells[0])
    print(*([title] if title else []), "", *whole[:head], rule, *whole[head:], "", sep="\n")


def track(items: Iterable[T], total: int, text: str, *, quiet: bool) -> Iterator[T]:
    """The items, with a progress bar on stderr if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=total)
        for item in items:
            yield item
            progress.advance(task)


class _Now:
    """Renders as what an object says of itself then."""

    def __init__(self, what: object) -> None:
        self.what = what

    def __rich__(self) -> str:
        return str(self.what)


@contextlib.contextmanager
def busy(what: object, *, quiet: bool) -> Iterator[contextlib.ExitStack]:
    """A sign on stderr, if that is a terminal, that something takes its time: ``str(what)``, ever anew.

    It goes when what this gives is closed, if not at the end.
    """
    with contextlib.ExitStack() as sign:
        if not quiet and sys.stderr.isatty():
            sign.enter_context(_live(what))
        yield sign


def _live(what: object) -> Live:
    from rich.live import Live
    from rich.spinner import Spinner

    # what is printed meanwhile goes where it belongs
    return Live(
        Spinner("dots", text=_Now(what)),
        console=console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


# ---------------------------------------------------------------- JSON


def emit_json(value: object) -> None:
    """A JSON value on standard output."""
    import json

    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def hex_or_none(number: int | None) -> str | None:
    """An address as JSON has it."""
    return None if number is None else f"{number:#x}"


# ---------------------------------------------------------------- errors


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and not isinstance(error, Error):
        where = error.filename
        return f"{where}: {error.strerror or error}" if where else str(error.strerror or error)
    if isinstance(error, MemoryError):
        return "not enough memory for this input"
    return str(error)


def _facts(error: BaseException) -> dict[str, Any]:
    """What an error says beside its sentence."""
    from iommu_abi.ledgers import Disagreement

    inner = error.error if isinstance(error, BrokenRule) else error
    if isinstance(inner, AbiError):
        return {
            "rule": inner.rule.name,
            "field": inner.field,
            "offset": inner.offset,
            "got": inner.got,
            "expected": inner.expected,
            "errno": errno_name(inner.rule.errno),
        }
    if isinstance(inner, Disagreement):
        return {"subject": inner.subject, "disagreement": [difference_json(d) for d in inner.differences]}
    if isinstance(inner, OSError) and inner.errno:
        return {"errno": errno_name(inner.errno)}
    return {}


def difference_json(difference: Any) -> dict[str, str]:
    """A difference of the ledgers as JSON has it."""
    from iommu_abi.ledgers import shown

    return {"what": difference.what, "fast": shown(difference.fast), "plain": shown(difference.plain)}


def report(error: BaseException, *, as_json: bool = False, bug: bool = False) -> None:
    """One sentence on stderr; with --json also an object on standard output."""
    text = _sentence(error)
    if bug:
        text = f"a bug of iommu-abi: {type(error).__name__}: {text} (IOMMU_ABI_DEBUG=1 shows where)"
    text = sentence(text)
    with contextlib.suppress(OSError):
        print(f"iommu-abi: {text}", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):  # it may be what the error is about
        if as_json:
            emit_json({"error": text, **_facts(error)})


# ---------------------------------------------------------------- files


def write_bytes(path: str, data: bytes) -> None:
    """Write a file at once or not at all; "-" is standard output. OSError names the file."""
    if path == "-":
        sys.stdout.buffer.write(data)
        return
    try:
        _write(os.path.realpath(path) + ("/" if path.endswith("/") else ""), data)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), path) from None


def _write(target: str, data: bytes) -> None:
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if target.endswith("/") or (mode is not None and not stat.S_ISREG(mode)):
        with open(target, "wb") as device:  # a pipe, a terminal, /dev/null: nothing to replace
            device.write(data)
        return
    import tempfile

    handle, temporary = tempfile.mkstemp(prefix=".iommu-abi-", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, stat.S_IMODE(mode) if mode is not None else 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
