"""Completion as the shells do it: they are run, and what they would offer is read.

bash and zsh run in a pseudo-terminal, where a key inserts all that fits into the line, which `echo` then
prints; fish prints what it would offer. Names: <linux/iommufd.h> of Linux 7.2, the vendors' manuals.
"""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iommu_abi.cli import COMMANDS, command_parser
from iommu_abi.cli.complete import COMPLETERS

FILES = Path(__file__).parent.parent / "packaging/completions"
PATIENCE = 120.0  # seconds, for a machine under load

#: A line, and what may stand at its end.
OFFERED = {
    "iommu-abi trans": {"translate"},
    "iommu-abi layout iommu_hwpt_al": {"iommu_hwpt_alloc"},
    "iommu-abi layout vfio_group_status@vfio_4": {"vfio_group_status@vfio_4_19"},
    "iommu-abi errno IOMMU_IOAS_A": {"IOMMU_IOAS_ALLOC", "IOMMU_IOAS_ALLOW_IOVAS"},
    "iommu-abi gen c-": {"c-asserts"},
    "iommu-abi layout iommu_option --abi aa": {"aarch64", "aarch64_be"},
    "iommu-abi translate x --iommu riscv --reg D": {"DDTP="},
    "iommu-abi pack iommu_hwpt_alloc data": {"data_len=", "data_type=", "data_uptr="},
    "iommu-abi pack iommu_hwpt_alloc dev_id=1 de": set(),  # it has its value
}

BASH = f"""\
PS1='ready> '
bind 'set enable-bracketed-paste off'
source {FILES}/iommu-abi.bash
bind '"\\C-t": insert-completions'
"""
ZSH = f"""\
PS1='ready> '
unsetopt zle_bracketed_paste PROMPT_SP
fpath=({FILES} $fpath)
autoload -Uz compinit
compinit -u -D
zle -C all-matches complete-word _generic
bindkey '^T' all-matches
zstyle ':completion:all-matches:*' insert yes
zstyle ':completion:all-matches::::' completer _all_matches _complete
"""
SHELLS = {"bash": (("bash", "--norc", "--noprofile", "-i"), BASH), "zsh": (("zsh", "-f", "-i"), ZSH)}


def environment(tmp_path: Path) -> dict[str, str]:
    found = {"HOME": str(tmp_path), "TERM": "dumb", "COLUMNS": "2000", "LINES": "50"}
    return found | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


class Terminal:
    """A shell in a pseudo-terminal."""

    def __init__(self, command: tuple[str, ...], directory: Path) -> None:
        self.end, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=directory, env=environment(directory),
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def until(self, text: str) -> str:
        """What is printed up to and with a text."""
        seen, end = "", time.monotonic() + PATIENCE
        while text not in seen:
            ready, _, _ = select.select([self.end], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {text!r} in {seen!r}"
            seen += os.read(self.end, 4096).decode(errors="replace")
        return seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.end)


def offered_in_a_terminal(shell: str, line: str, directory: Path) -> set[str]:
    command, setup = SHELLS[shell]
    terminal = Terminal(command, directory)
    try:
        terminal.type(f"stty cols 1000\n{setup}echo set''tled\n")
        terminal.until("settled")
        # all that fits, then echo before and an end behind, with quotes by which both differ from their echo
        terminal.type(f"{line}\x14\x01echo ans''wer:\x05 e''nd:\n")
        return set(terminal.until("end:").rpartition("answer:")[2].partition("end:")[0].split()) - set(
            line.split()[:-1]
        )
    finally:
        terminal.close()


def offered_by_fish(line: str, directory: Path) -> set[str]:
    text = f"source {FILES}/iommu-abi.fish; complete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", text],
        capture_output=True,
        text=True,
        cwd=directory,
        env=environment(directory),
        check=True,
    )
    return {each.partition("\t")[0] for each in done.stdout.splitlines()}


def offered(shell: str, line: str, directory: Path) -> set[str]:
    return (
        offered_by_fish(line, directory)
        if shell == "fish"
        else offered_in_a_terminal(shell, line, directory) - {line.split()[-1]}  # what stays if nothing fits
    )


@pytest.mark.parametrize("line", OFFERED)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_offers_the_names_that_fit(shell, line, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")

    assert offered(shell, line, tmp_path) == OFFERED[line]


def test_every_kind_of_name_has_an_argument():
    # a metavariable that was renamed would lose its completion without a word
    found = {action.metavar for name in COMMANDS for action in command_parser(name)._actions}

    assert found >= set(COMPLETERS)
