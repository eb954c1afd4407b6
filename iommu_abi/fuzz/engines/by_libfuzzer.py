"""libFuzzer on the C core: the targets of tests/c, with AddressSanitizer and UBSan, where there is clang.

It needs a checkout, for the C sources. Programs are built once for each state of them, in the user's
cache. What it puts into the corpus is run by the other engines too, and so reaches the plain ledger.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import iommu_abi
from iommu_abi.errors import Error
from iommu_abi.fuzz.campaign import files
from iommu_abi.fuzz.campaign.session import Session
from iommu_abi.fuzz.campaign.store import MOST_FILE
from iommu_abi.fuzz.engines.engine import Engine
from iommu_abi.fuzz.process import die_with
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome, Problem, blank

ROOT = Path(iommu_abi.__file__).resolve().parents[1]
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
FLAGS = ["-std=gnu11", "-g", "-O1", "-DCONFIG_IOMMU_API=1", f'-DIOMMU_ABI_VERSION="{iommu_abi.__version__}"']
MAX_LEN = 4096
_RAN = re.compile(r"stat::number_of_executed_units: +(\d+)")
_WHY = re.compile(
    r"^(?:.*: not true: .*|SUMMARY: .*|.*runtime error: .*|==\d+== ERROR: libFuzzer: .*)$", re.M
)


def sources(name: str) -> list[Path]:
    """The C files of a target; none outside a checkout."""
    own = ROOT / f"tests/c/fuzz_{name}.c"
    return [own, *sorted((ROOT / "iommu_abi/core").glob("*.c"))] if own.exists() else []


def _read(name: str) -> str:
    """The state of everything that is compiled."""
    made = hashlib.sha1(" ".join([*FLAGS, *SANITIZERS]).encode())
    headers = [*(ROOT / "tests/c").glob("*.h"), *(ROOT / "iommu_abi/core").glob("*.h")]
    for path in [*sources(name), *sorted(headers), *sorted((ROOT / "cdefs").rglob("*.h"))]:
        made.update(path.read_bytes())
    return made.hexdigest()[:16]


@cache
def program(name: str) -> Path:
    """The program of a C target, built if it has to be. Error with the compiler's words if it cannot be."""
    cache_dir = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    made = Path(cache_dir) / "iommu-abi" / f"fuzz-{name}-{_read(name)}"
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as folder:
        out = Path(folder) / "program"
        files = [f"-I{ROOT / 'cdefs'}", *map(str, sources(name)), "-o", str(out)]
        command = ["clang", *FLAGS, *SANITIZERS, *files]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Error(f"libFuzzer target {name}: clang fails: {(done.stderr.splitlines() or ['?'])[0]}")
        out.replace(made)
    return made


@cache
def _clang_has_it() -> bool:
    """Whether clang is there with libFuzzer's runtime, which is a package of its own."""
    if shutil.which("clang") is None:
        return False
    text = b"int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }"
    command = ["clang", "-fsanitize=fuzzer,address", "-x", "c", "-", "-o", os.devnull]
    return subprocess.run(command, input=text, capture_output=True).returncode == 0


class ByLibFuzzer(Engine):
    """The C targets by coverage of the C code."""

    name = "libfuzzer"
    turn = 5.0

    def missing(self) -> str:
        """Clang with libFuzzer, and a checkout."""
        if not sources("unpack"):
            return "the C sources of a checkout"
        return "" if _clang_has_it() else "clang with libFuzzer's runtime"

    def serves(self, target: FuzzTarget) -> bool:
        """Targets that have a C target of the same inputs."""
        return bool(target.c_target)

    def prepare(self, targets: list[FuzzTarget]) -> None:
        """Build the programs."""
        for name in dict.fromkeys(target.c_target for target in targets):
            program(name)

    def work(self, session: Session, seed: str, seconds: float) -> None:
        """Run the program on the corpus; what it dies of is a finding."""
        target, artifacts = session.target, session.store.artifacts_at(session.target.name)
        self._record(session, artifacts)  # of a campaign that was killed
        number = int(hashlib.sha1(seed.encode()).hexdigest()[:7], 16) or 1
        command = [
            str(program(target.c_target)),
            f"-seed={number}",
            f"-max_total_time={max(1, round(seconds))}",
            f"-max_len={MAX_LEN}",
            f"-artifact_prefix={artifacts}/",
            "-print_final_stats=1",
            f"-timeout={round(target.patience)}",
            str(session.store.corpus_at(target.name)),
        ]
        _, said = _execute(command)
        ran = _RAN.search(said)
        session.slice.executions += int(ran[1]) if ran else 0
        self._record(session, artifacts, said)

    def _record(self, session: Session, artifacts: Path, said: str = "") -> None:
        """Make findings of what the program has left; without its words, by running that again."""
        for name in sorted(files.plain_names(artifacts)):
            path = artifacts / name
            data = files.read(path, MOST_FILE)
            problem = _problem(said) if said else in_c(session.target, data).problem
            if problem and not name.startswith("slow-unit-"):  # which came to its end
                session.record(problem, data, "c")
            path.unlink(missing_ok=True)


def _execute(command: list[str]) -> tuple[int, str]:
    env = os.environ | {"ASAN_OPTIONS": "detect_leaks=0:malloc_context_size=0"}
    env.pop("LD_PRELOAD", None)
    parent = os.getpid()
    done = subprocess.run(
        command, capture_output=True, env=env, preexec_fn=lambda: die_with(parent), check=False
    )
    return done.returncode, done.stderr.decode(errors="replace")


def _problem(said: str) -> Problem:
    """What a program said when it died."""
    why = _WHY.search(said)
    cause = why[0].replace(f"{ROOT}/", "") if why else "it died and said nothing"
    return Problem(f"C: {blank(cause)}", said[-6000:])


def in_c(target: FuzzTarget, data: bytes) -> Outcome:
    """Run one input in the C target."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        status, said = _execute([str(program(target.c_target)), "-artifact_prefix=/dev/null", file.name])
    return Outcome(("ends",)) if not status else Outcome(("dies",), _problem(said))
