"""The command line: ``iommu-abi COMMAND``. It prints and never computes.

Exit status: 0 yes; 1 a finding (an invalid or empty blob, a fault, a mismatch); 2 misuse or
unreadable input; 3 the two ledgers disagree, which is a bug of this package. A command is a module
of this package with an ``EPILOG``, ``add(parser)`` and ``run(args)``; it is loaded when it is named,
and what it needs when it runs, so that the start is fast.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from iommu_abi.cli import output
from iommu_abi.errors import Error, UsageError

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

#: Each command, and what it is for. Listing them loads none of them.
COMMANDS = {
    "pack": "make a blob from values",
    "unpack": "check a blob and show its fields",
    "layout": "show where the bytes of a struct lie",
    "compat": "what breaks between two states of an ABI",
    "translate": "where does this DMA go?",
    "mappings": "what can each device reach?",
    "audit": "what is wrong, or too open, in these tables?",
    "decode": "what do these lines or bytes say?",
    "replay": "compare the walk with a capture",
    "conform": "run conformance cases",
    "errno": "what a kernel would answer, and why",
    "fuzz": "look for inputs with which something is wrong",
    "corpus": "seed files and a dictionary for fuzzers",
    "gen": "text for syzkaller and compilers of C and Rust",
    "demo": "small inputs to try the others on",
    "config": "the IOMMUs of a memory image; flags for the C library",
}

FOUND, MISUSE, DISAGREE = 1, 2, 3
INTERRUPTED, BROKEN_PIPE = 128 + 2, 128 + 13  # as a shell reports SIGINT and SIGPIPE

MOST_COLUMNS = 80

EPILOG = """\
exit status: 0 yes; 1 a finding; 2 misuse or unreadable input; 3 the two ledgers
disagree (a bug of iommu-abi). Every command takes --json, and has examples in
its --help.
"""


class Parser(argparse.ArgumentParser):
    """argparse whose errors are exceptions, and which takes no abbreviations."""

    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def _get_formatter(self) -> argparse.HelpFormatter:
        """Help fits 80 columns. argparse would ask for the terminal's, once for every argument."""
        return argparse.RawDescriptionHelpFormatter(prog=self.prog, width=MOST_COLUMNS)

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Print, and let a full disk be an error; argparse ignores it."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        command = self.prog.partition(" ")[2]
        where = f"{command}: " if command else ""
        raise UsageError(f"{where}{message} (see {self.prog} --help)")


def parser() -> Parser:
    """What stands before a command: ``--help`` lists the commands, ``--version`` prints one."""
    made = Parser(
        prog="iommu-abi",
        description="The Linux IOMMU user API and the tables behind it: pack, check and translate.",
        epilog=EPILOG,
    )
    made.add_argument("--version", action=Version)
    commands = made.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return made


class Version(argparse.Action):
    """``--version``, of which the package is asked when it is given."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show program's version number and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from iommu_abi import __version__

        print(f"iommu-abi {__version__}")
        parser.exit()


def command_parser(name: str) -> Parser:
    """The parser of one command; only its module is loaded."""
    module = import_module(f"iommu_abi.cli.{name}")
    made = Parser(prog=f"iommu-abi {name}", epilog=module.EPILOG)
    module.add(made)
    made.set_defaults(run=module.run)
    return made


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Options may stand anywhere among the other words. No word has a NUL: no file's name does."""
    for word in words:
        if "\0" in word:
            raise UsageError(f"got {word!r}: a word with a NUL character")
    if words and words[0] == "help":  # `help CMD` is `CMD --help`
        words = [*words[1:2], "--help"]
    if not words or words[0].startswith("-"):
        return parser().parse_args(words)
    name, *rest = words
    if name not in COMMANDS:
        from iommu_abi.names import unknown

        raise UsageError(unknown("command", name, COMMANDS, "iommu-abi --help lists all"))
    return command_parser(name).parse_intermixed_args(rest)


def _exit_status(error: BaseException) -> int:
    if isinstance(error, output.BrokenRule):
        return FOUND
    from iommu_abi.ledgers import Disagreement

    return DISAGREE if isinstance(error, Disagreement) else MISUSE


def _run(words: Sequence[str]) -> int:
    """Parse and run one command; whatever goes wrong becomes a sentence and a status."""
    try:
        args = _parse(words)
        with ExitStack() as args.closing:
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
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may stand at its cursor
        from iommu_abi.cli import complete

        complete.answer()
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


__all__ = ["COMMANDS", "command_parser", "main", "parser"]
