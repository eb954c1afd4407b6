"""What may stand where the cursor is: the answer to a shell that asks for completions.

argcomplete reads the line and finds the argument; here is which names of ours that can be. Files in
``packaging/completions`` let the shells ask, with ``_ARGCOMPLETE`` in the environment. (shtab would write all
into a script for each shell; but which fields fit depends on the struct that is typed, and so does the rest.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NoReturn

from iommu_abi.errors import Error

if TYPE_CHECKING:
    import argparse

#: From a word's beginning and what stands before it to the words that it may become.
Completer = Callable[[str, "argparse.Namespace"], Iterable[str]]


def _structs(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    """STRUCT, and behind an @ its generations."""
    from iommu_abi import uapi

    name, at, _ = prefix.partition("@")
    return [f"{name}@{gen}" for gen in uapi.structs().get(name, ())] if at else uapi.structs()


def _generations(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    from iommu_abi import uapi

    return uapi.GENERATIONS


def _fields(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    """The struct's fields, but those that have a value."""
    from iommu_abi import uapi

    done = {word.partition("=")[0] for word in given.fields or ()}
    fields = uapi.layout_of(given.struct, given.abi).fields
    return [f"{field.name}=" for field in fields if field.name not in done]


def _ioctls(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    from iommu_abi.schemas import uapi

    return dict.fromkeys(name for gen in uapi.GENERATIONS.values() for name in gen.ioctls)


def _abis(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    from iommu_abi.uapi.layout import ABIS

    return ABIS


def _kinds(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    from iommu_abi.walk import kinds

    return kinds()


def _registers(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    """The registers of the kind that is named, else of all."""
    from iommu_abi.walk import kinds, registers

    return [f"{name}=" for kind in kinds() if given.iommu in (None, kind) for name in registers(kind)]


def _kernels(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    from iommu_abi.rules.kernels import KERNELS

    return KERNELS


def _fuzz_targets(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    from iommu_abi.fuzz.targets import all_targets

    return all_targets()


def _commands_and_structs(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    return [*_ioctls(prefix, given), *_structs(prefix, given)]


def _generations_and_structs(prefix: str, given: argparse.Namespace) -> Iterable[str]:
    return [*_generations(prefix, given), *_structs(prefix, given)]


#: Metavariable of an argument -> what it may be. Of what is not here, shells offer files.
COMPLETERS: dict[str, Completer] = {
    "STRUCT[@GEN]": _structs,
    "STRUCT[@GEN]|IOCTL": _commands_and_structs,
    "GEN|STRUCT@GEN": _generations_and_structs,
    "field=value": _fields,
    "NAME[@GEN]|N": _ioctls,
    "OLD": _generations,
    "NEW": _generations,
    "A": _abis,
    "KIND": _kinds,
    "NAME=VALUE": _registers,
    "V": _kernels,
    "TARGET": _fuzz_targets,
}

#: Those of them that may be files as well.
OR_FILES = ("OLD", "NEW")


def _for_argcomplete(word: str) -> Callable[..., list[str]]:
    """What argcomplete calls for an argument with this metavariable."""
    from argcomplete.completers import FilesCompleter

    def complete(*, prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
        files = FilesCompleter()(prefix) if word in OR_FILES else ()
        try:
            return [*COMPLETERS[word](prefix, parsed_args), *files]
        except Error:  # a word before it is no name
            return []

    return complete


def _parser(line: str) -> argparse.ArgumentParser:
    """All commands, and the arguments of those that are in the line."""
    from importlib import import_module

    from iommu_abi.cli import COMMANDS, Parser

    made = Parser(prog="iommu-abi")
    made.add_argument("--version", action="store_true", help="show the version")
    commands = made.add_subparsers()
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name in line.split():
            import_module(f"iommu_abi.cli.{name}").add(command)
        for action in command._actions:
            if action.metavar in COMPLETERS and not action.choices:
                action.completer = _for_argcomplete(str(action.metavar))  # type: ignore[attr-defined]
    return made


def answer() -> NoReturn:
    """Tell the shell, and end; a line that makes no sense has no completions."""
    import argcomplete

    argcomplete.autocomplete(_parser(os.environ.get("COMP_LINE", "")), always_complete_options=False)
    raise SystemExit(1)
