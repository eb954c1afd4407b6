"""The command line: ``iommu-abi COMMAND``. It prints and never computes.

Exit status: 0 yes; 1 a finding (an invalid or empty blob, a fault, a mismatch); 2 misuse or
unreadable input; 3 the two ledgers disagree, which is a bug of this package. A command is a module
of this package with ``add(commands)`` and ``run(args)``; what it needs is imported when it runs, so
that ``--help`` is fast.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from iommu_abi import __version__
from iommu_abi.cli import output
from iommu_abi.errors import Error, UsageError

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

COMMANDS = (
    "pack",
    "unpack",
    "layout",
    "compat",
    "translate",
    "mappings",
    "audit",
    "decode",
    "replay",
    "conform",
    "errno",
    "fuzz",
    "corpus",
    "gen",
    "config",
)

FOUND, MISUSE, DISAGREE = 1, 2, 3
INTERRUPTED, BROKEN_PIPE = 128 + 2, 128 + 13  # as a shell reports SIGINT and SIGPIPE

EPILOG = """\
exit status: 0 yes; 1 a finding; 2 misuse or unreadable input; 3 the two ledgers
disagree (a bug of iommu-abi). Every command takes --json, and has examples in its --help.
"""


class Parser(argparse.ArgumentParser):
    """argparse whose errors are exceptions, and which takes no abbreviations."""

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Print, and let a full disk be an error; argparse ignores it."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        command = self.prog.partition(" ")[2]
        where = f"{command}: " if command else ""
        raise UsageError(f"{where}{message} (see {self.prog} --help)")


def parser() -> tuple[Parser, Mapping[str, argparse.ArgumentParser]]:
    """The parser of everything, and those of the commands."""
    made = Parser(
        prog="iommu-abi",
        description="The Linux IOMMU user API and the tables behind it: pack, check and translate.",
        epilog=EPILOG,
    )
    made.add_argument("--version", action="version", version=f"iommu-abi {__version__}")
    commands = made.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name in COMMANDS:
        import_module(f"iommu_abi.cli.{name}").add(commands)
    return made, commands.choices


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Options may stand anywhere among the other words. No word has a NUL: no file's name does."""
    for word in words:
        if "\0" in word:
            raise UsageError(f"got {word!r}: a word with a NUL character")
    whole, commands = parser()
    if words and words[0] in commands:
        return commands[words[0]].parse_intermixed_args(words[1:])
    return whole.parse_args(words)


def _exit_status(error: BaseException) -> int:
    if isinstance(error, output.Finding):
        return FOUND
    from iommu_abi.ledgers import Disagreement

    return DISAGREE if isinstance(error, Disagreement) else MISUSE


def _run(words: Sequence[str]) -> int:
    """Parse and run one command; whatever goes wrong becomes a sentence and a status."""
    try:
        args = _parse(words)
        status: int = args.run(args)
    except SystemExit as done:  # --help and --version
        return done.code if isinstance(done.code, int) else 0
    except BrokenPipeError:
        raise
    except (Error, OSError, UnicodeError, MemoryError) as error:
        if output.is_about_stdout(error):
            raise  # main() tells it, once: what is still buffered would fail again
        output.report(error, as_json="--json" in words)
        return _exit_status(error)
    except Exception as error:
        if os.environ.get("IOMMU_ABI_DEBUG"):
            raise
        output.report(error, as_json="--json" in words, bug=True)
        return DISAGREE
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``iommu-abi`` with these words; returns the exit status and never raises."""
    words = list(sys.argv[1:] if argv is None else argv)
    output.prepare()
    try:
        status = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        output.abandon_stdout()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # standard output cannot be written: a full disk
        output.abandon_stdout()
        error.filename = output.STDOUT
        output.report(error)
        return MISUSE
    return status


__all__ = ["main", "parser"]
