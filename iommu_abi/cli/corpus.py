"""iommu-abi corpus: seed files for fuzzers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from iommu_abi.cli import output, words

if TYPE_CHECKING:
    import argparse

EPILOG = """\
writes DIR/corpus/TARGET/NAME and DIR/iommu-abi.dict. Targets:
  those of iommu-abi fuzz   walk-vtd-ecs, layouts, ...: fuzz --dir DIR starts
                            from them; tests/c/fuzz_case.c reads those of
                            walk-*, fuzz_unpack.c blob-*
  STRUCT@GEN                bare structs, for a target of your own

Of a struct: accepted (by its kernel's rules), accepted-filled (with more than
0 in its fields), breaks-RULE (and no rule before it), FIELD-most (all bits
set), zeros, any-N. The same seed writes the same files. A file that is there
with other bytes is left alone, and nothing is written, unless --force is
given.

examples:
  iommu-abi corpus seeds
  iommu-abi corpus seeds --targets walk-vtd; iommu-abi fuzz walk-vtd --dir seeds
  iommu-abi corpus seeds --targets iommu_hwpt_alloc@iommufd_7_2 @vfio_7_2
  build/fuzz/lib-unpack -dict=seeds/iommu-abi.dict seeds/corpus/blob-v1_2017
"""


FORCE = " (--force replaces it)"


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument("directory", metavar="DIR", help="directory to write to; made if it does not exist")
    made.add_argument(
        "--targets", metavar="T", nargs="+", default=[], help="names, how names begin, @GEN (default: all)"
    )
    made.add_argument(
        "--count", metavar="N", default="1", help="seeds that differ by chance alone (default: 1)"
    )
    made.add_argument("--seed", metavar="N", default="1", help="seed of the random bytes (default: 1)")
    made.add_argument(
        "--abi", metavar="A", help="ABI of bare structs and of the dictionary (default: this machine's)"
    )
    made.add_argument("--force", action="store_true", help="replace files that have other bytes")
    made.add_argument("--json", action="store_true", help="list the files as JSON")


def _files(args: argparse.Namespace) -> dict[Path, bytes]:
    """Path below DIR -> bytes."""
    from iommu_abi.fuzz import corpus
    from iommu_abi.fuzz.corpus import dictionary
    from iommu_abi.uapi.layout import abi, host

    on = abi(args.abi) if args.abi else host()
    seed, count = words.number(args.seed, "--seed"), words.number(args.count, "--count", 1 << 16)
    targets = corpus.chosen(args.targets, on)
    found = {Path("iommu-abi.dict"): dictionary.text(on).encode()}
    with output.busy("making seeds", quiet=args.json):
        for target, name, data in corpus.seeds(targets, seed, count):
            found[Path("corpus", target, name)] = data
    return found


def run(args: argparse.Namespace) -> int:
    """Make the seeds, look what is there, write what is not."""
    root = Path(args.directory)
    files = _files(args)
    missing = [
        path for path, data in files.items() if args.force or not words.holds(root / path, data, FORCE)
    ]
    for folder in sorted({(root / path).parent for path in missing}):
        folder.mkdir(parents=True, exist_ok=True)
    for path in output.track(missing, len(missing), "writing", quiet=args.json):
        output.write_bytes(str(root / path), files[path])
    if args.json:
        output.emit_json([{"file": str(root / path), "bytes": len(data)} for path, data in files.items()])
        return 0
    counts: dict[str, int] = {}
    for path in files:
        if len(path.parts) == 3:
            counts[path.parts[1]] = counts.get(path.parts[1], 0) + 1
    structs = {name: n for name, n in counts.items() if "@" in name}
    rows = [(name, str(n)) for name, n in counts.items() if name not in structs]
    if structs:
        rows.append((f"{len(structs)} structs", str(sum(structs.values()))))
    output.table(None, ("target", "seeds"), rows)
    output.line(f"{root}: {len(missing)} of {len(files)} files written, the others were there")
    return 0
