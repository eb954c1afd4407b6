"""Atheris: coverage of the plain ledger's Python guides the mutations, where the package is installed.

It never returns and keeps its state in the process, so each turn is a process of its own:
``python -m iommu_abi.fuzz.engines.by_atheris DIR SLOT SECONDS SEED FOLDER TARGET...``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from iommu_abi.fuzz.campaign import slots
from iommu_abi.fuzz.campaign.apart import Log
from iommu_abi.fuzz.campaign.session import Session
from iommu_abi.fuzz.campaign.store import UNFINISHED, Store
from iommu_abi.fuzz.engines.engine import Engine, EngineFailed
from iommu_abi.fuzz.process import die_with
from iommu_abi.fuzz.targets.target import MOST, FuzzTarget
from iommu_abi.worlds.dice import Dice

#: What is instrumented: the plain ledger.
INSTRUMENTED = ["iommu_abi.schemas"]
RESULT = "atheris.json"
#: Seconds that it may take to start and to end.
GRACE = 60
#: Seconds between two results on the disk.
OFTEN = 0.5


class ByAtheris(Engine):
    """Python targets by coverage of Python."""

    name = "atheris"
    turn = 10.0

    def missing(self) -> str:
        """The package, which has wheels for some versions of Python only."""
        return "" if find_spec("atheris") else "the package atheris (pip install atheris)"

    def serves(self, target: FuzzTarget) -> bool:
        """Everything but programs, which are no Python."""
        return not target.name.startswith("program")

    def work(self, session: Session, seed: str, seconds: float) -> None:
        """A process of its own, which works on the same store."""
        number = int(hashlib.sha1(seed.encode()).hexdigest()[:7], 16) or 1
        store, name = session.store, f"atheris-{os.getpid()}"
        try:
            with tempfile.TemporaryDirectory(dir=store.scratch, prefix=UNFINISHED) as folder:
                _turn(session, [str(store.at), name, str(seconds), str(number), folder], seconds)
        finally:
            if (store.running_at / name).exists():  # what it died of is run again, by another process
                slots.take(store, name, [session.target.name], session.deadly)


def _turn(session: Session, words: list[str], seconds: float) -> None:
    parent, result, log = os.getpid(), Path(words[-1]) / RESULT, Log(Path(words[-1]) / "log")
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, *words, *session.words],
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: die_with(parent),
    )
    end = time.monotonic() + seconds + GRACE
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(OFTEN)
            break
        log.trim()
        if time.monotonic() > end:
            child.kill()
            child.wait()
            raise EngineFailed(f"no end {GRACE} s after its time")
    if not result.exists():
        said = log.last_words().strip().splitlines()
        raise EngineFailed(f"it did not start: {said[-1] if said else child.returncode}")
    found = json.loads(result.read_text())
    session.slice.executions += found["executions"]
    session.slice.features.update(set(found["features"]) - session.seen)
    session.seen.update(found["features"])
    session.slice.notes.update(found["notes"])


def _report(session: Session, path: Path) -> None:
    done = session.slice
    made: dict[str, Any] = {
        "executions": done.executions,
        "features": sorted(done.features),
        "notes": sorted(done.notes),
    }
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(made))
    temporary.replace(path)


def main(words: list[str]) -> None:
    """Let atheris work until its time is over; it ends the process."""
    import atheris

    root, name, seconds, seed, folder, *target_words = words
    Log(Path(folder) / "log").take_over()
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from iommu_abi.fuzz.targets import target_of

        target, store = target_of(target_words), Store(Path(root))
        session = Session(target, tuple(target_words), store, slots.of_process(store, name))
        session.begin("atheris", set(), set())
        session.catch_up()
    latest = [0.0]

    def one(data: bytes) -> None:
        session.try_(data)
        if time.monotonic() - latest[0] > OFTEN:
            latest[0] = time.monotonic()
            _report(session, Path(folder) / RESULT)

    def mutate(data: bytes, most: int, turn: int) -> bytes:
        if turn % 2:
            return bytes(atheris.Mutate(data, most))
        return session.make(target.vary, bytes(data), Dice(turn))[:most]

    options = [
        f"-seed={seed}",
        f"-max_total_time={max(1, round(float(seconds)))}",
        f"-max_len={MOST}",
        f"-artifact_prefix={folder}/",
    ]
    corpus = str(store.corpus_at(target.name))
    atheris.Setup(["atheris", *options, corpus], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
