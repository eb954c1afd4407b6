"""Atheris: coverage of the plain ledger's Python guides the mutations, where the package is installed.

It never returns and keeps its state in the process, so each turn is a process of its own:
``python -m iommu_abi.fuzz.engines.by_atheris DIR SECONDS SEED TARGET...``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from iommu_abi.fuzz.campaign.session import SLOT_SIZE, Session
from iommu_abi.fuzz.campaign.store import Store
from iommu_abi.fuzz.engines.engine import Engine, EngineFailed
from iommu_abi.fuzz.process import die_with
from iommu_abi.fuzz.targets.target import MOST, Target
from iommu_abi.fuzz.worlds import Dice

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

    def serves(self, target: Target) -> bool:
        """Everything but programs, which are no Python."""
        return not target.name.startswith("program")

    def work(self, session: Session, seed: str, seconds: float) -> None:
        """A process of its own, which works on the same store."""
        number = int(hashlib.sha1(seed.encode()).hexdigest()[:7], 16) or 1
        result = session.store.root / f"{RESULT}.{os.getpid()}"
        result.unlink(missing_ok=True)
        words = [str(session.store.root), str(seconds), str(number), str(result), *session.words]
        parent = os.getpid()
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__, *words],
                capture_output=True,
                preexec_fn=lambda: die_with(parent),
                timeout=seconds + GRACE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EngineFailed(f"no end {GRACE} s after its time") from None
        if not result.exists():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise EngineFailed(f"it did not start: {said[-1] if said else done.returncode}")
        found = json.loads(result.read_text())
        result.unlink()
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

    root, seconds, seed, result, *target_words = words
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from iommu_abi.fuzz.targets import target_of

        target = target_of(target_words)
        session = Session(target, tuple(target_words), Store(Path(root)), bytearray(SLOT_SIZE))
        session.begin("atheris", set(), set())
        session.catch_up()
    latest = [0.0]

    def one(data: bytes) -> None:
        session.try_(data)
        if time.monotonic() - latest[0] > OFTEN:
            latest[0] = time.monotonic()
            _report(session, Path(result))

    def mutate(data: bytes, most: int, turn: int) -> bytes:
        if turn % 2:
            return bytes(atheris.Mutate(data, most))
        return session.make(target.vary, bytes(data), Dice(turn))[:most]

    folder = str(session.store.corpus_at(target.name))
    options = [f"-seed={seed}", f"-max_total_time={max(1, round(float(seconds)))}", f"-max_len={MOST}"]
    atheris.Setup(["atheris", *options, folder], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
