"""Campaigns that are killed with -9, and what is left of them: ``python fuzz_kills.py SEED RANDOM STEPS``.

A target with bugs writes down each run and each bug *before* it shows, in a file outside the campaign: the
witness. Its campaign is killed, RANDOM times at any time and STEPS times at a step that writes to the disk
(0: at every one), and goes on in the same directory. Every bug that the witness saw has to be a finding then,
each once, and the journal must not count more runs than there were. A JSON object is told for each kill.

A step is a call of a function in ``STEPS`` by the campaign's process or by its worker: the kill comes before
it, after it, or in the middle of the line of the journal that it writes.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from iommu_abi.fuzz.campaign.run import Campaign
from iommu_abi.fuzz.campaign.store import Store
from iommu_abi.fuzz.campaign.worker import Chosen
from iommu_abi.fuzz.engines import ENGINES
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome

#: What brings something to the disk.
STEPS = {
    "a line of the journal": (Store, "note"),
    "a finding": (Store, "record"),
    "a smaller input": (Store, "minimised"),
    "an input of the corpus": (Store, "keep"),
    "fsync": (os, "fsync"),
    "replace": (os, "replace"),
    "rename": (Path, "rename"),
}
WHEN = ("before", "middle", "after")
#: Seconds of a campaign that is to be killed, should that not happen.
LONG = 3.0
#: Seconds for a campaign that goes on; it ends as soon as it has what it must have.
PATIENT = 100.0

#: Of so many inputs one is a bug that no other input has: what is lost is never found again by chance.
RARE = 20
#: Signals of which a process dies at once.
DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1))


class Witnessed(FuzzTarget):
    """Inputs that begin with 1, 2, 3 are bugs, each of its own: an exception, an exit, a signal."""

    name, about = "witnessed", "bugs that are written down before they show"
    patience = 60.0

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def seeds(self, dice: Any) -> Iterator[bytes]:
        yield b""

    def fresh(self, dice: Any) -> bytes:
        return sealed(bytes([dice.randrange(4) if dice.randrange(RARE) == 0 else 0]) + dice.randbytes(2))

    def vary(self, data: bytes, dice: Any) -> bytes:
        return self.fresh(dice)

    def run(self, data: bytes) -> Outcome:
        whole = len(data) == 7 and sealed(data[:3]) == data
        kind, number = (data[0], int.from_bytes(data[1:3], "big")) if whole else (0, 0)
        with self.witness.open("a") as file:
            file.write(f"{cause_of(kind, number)}\n")
        if kind == 1:
            raise type(f"Bug{number}", (Exception,), {})
        if kind == 2:
            os._exit(3 + number % 250)
        if kind == 3:
            os.kill(os.getpid(), DEADLY[number % len(DEADLY)])
        return Outcome((f"length {len(data) % 4}",))


def sealed(data: bytes) -> bytes:
    """With a checksum, so that nothing that is made of a bug, to make it smaller, is another bug."""
    return data + zlib.crc32(data).to_bytes(4, "big")


def cause_of(kind: int, number: int) -> str:
    """How a finding's cause begins, up to its place."""
    if kind == 1:
        return f"Bug{number}"
    if kind == 2:
        return f"the process ended with status {3 + number % 250}"
    return f"the process died of {name_of(DEADLY[number % len(DEADLY)])}" if kind == 3 else ""


def name_of(number: int) -> str:
    """As signal(7) and kill -l have it: real-time signals are counted from the first one."""
    above = number - signal.SIGRTMIN
    return f"SIGRTMIN+{above}" if 0 < above < 30 else signal.Signals(number).name


def witnessed(witness: Path) -> tuple[set[str], int]:
    """The causes that the witness has seen, and the number of runs."""
    lines = witness.read_text().splitlines() if witness.exists() else []
    return set(filter(None, lines)), len(lines)


def campaign(folder: Path, seed: int, seconds: float, enough: int | None = None) -> None:
    target = Witnessed(folder / "witness")
    made = Campaign(
        Store(folder / "d"),
        [Chosen(target, (target.name,))],
        [ENGINES["hypothesis"]],
        seed=seed,
        jobs=1,
        enough=enough,
    )
    made.run(seconds, lambda state, news: None)


# ---------------------------------------------------------------- killing


class Killer:
    """Kills the campaign at the n-th call of a step."""

    def __init__(self, step: str, number: int, when: str) -> None:
        self.when, self.left, self.campaign = when, number, os.getpid()
        holder, name = STEPS[step]
        self.original = getattr(holder, name)
        setattr(holder, name, partial(self._step) if holder is os else self._method())

    def _method(self) -> Any:
        return lambda *of, **named: self._step(*of, **named)

    def kill(self) -> None:
        os.kill(self.campaign, signal.SIGKILL)
        signal.pause()  # a worker dies with the campaign

    def _step(self, *of: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left:
            return self.original(*of, **named)
        if self.when == "before":
            self.kill()
        if self.when == "middle" and isinstance(of[0], Store) and named:
            line = json.dumps(named)
            with (of[0].at / "journal.jsonl").open("a") as file:
                file.write(line[: len(line) // 2])
            self.kill()
        done = self.original(*of, **named)
        self.kill()
        return done


def forked(work: Any) -> int:
    """Do something in a process of its own; its process ID."""
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        work()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def ended(child: int) -> str:
    """How it has ended."""
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return "killed" if code == -signal.SIGKILL else f"status {code}"


def at_random(folder: Path, seed: int, dice: random.Random, after_a_bug: bool) -> str:
    """However slow the machine is: half of the campaigns have met a bug."""
    child = forked(lambda: campaign(folder, seed, PATIENT))
    deadline = time.monotonic() + PATIENT / 2
    while after_a_bug and not witnessed(folder / "witness")[0] and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(dice.random() * LONG * 0.7)
    os.kill(child, signal.SIGKILL)
    return ended(child)


def at_step(folder: Path, seed: int, step: str, number: int, when: str) -> str:
    def work() -> None:
        Killer(step, number, when)
        campaign(folder, seed, LONG)

    return ended(forked(work))


def judged(folder: Path, seed: int) -> dict[str, Any]:
    """Let the campaign go on, and hold what it has against the witness."""
    journal = folder / "d/journal.jsonl"
    before = journal.read_bytes() if journal.exists() else b""
    seen, _ = witnessed(folder / "witness")
    went_on = ended(forked(lambda: campaign(folder, seed, PATIENT, max(1, len(seen)))))
    store = Store(folder / "d")
    causes = [re.split(r"[:;]| in ", each.cause)[0] for each in store.findings()]
    whole, ran = witnessed(folder / "witness")
    counted = sum(event.get("executions", 0) for event in store.events())
    return {
        "went_on": went_on,
        "lost": sorted(seen - set(causes)),
        "made_up": sorted(set(causes) - whole),
        "twice": len(causes) - len(set(causes)),
        "counted": counted,
        "ran": ran,
        "journal_grows": journal.read_bytes().startswith(before),
        "smallest": all(each.minimal for each in store.findings()),
        "seen": len(seen),
    }


def told(how: str, seed: int, kill: Any) -> bool:
    """One kill and what came of it, on standard output; whether the campaign was killed."""
    with tempfile.TemporaryDirectory() as name:
        end = kill(Path(name))
        made = {"how": how, "end": end, **judged(Path(name), seed)}
    print(json.dumps(made), flush=True)
    return bool(end == "killed")


def main(seed: int, count: int, steps: int) -> None:
    ENGINES["hypothesis"].turn = 0.1  # so that the journal has a dozen lines while a campaign lives
    dice = random.Random(seed)
    for number in range(count):
        told(
            "at random",
            seed + number,
            lambda folder, n=number: at_random(folder, seed + n, dice, bool(n % 2)),
        )
    # the first calls come in each campaign; later ones as long as it comes to them
    points = [
        (step, n, when)
        for step in STEPS
        for n in range(1, 13 if step == "a line of the journal" else 7)
        for when in WHEN
        if when != "middle" or step == "a line of the journal"
    ]
    for step, n, when in dice.sample(points, steps) if steps else points:
        told(f"{when} {step} {n}", seed, lambda folder, at=(step, n, when): at_step(folder, seed, *at))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
