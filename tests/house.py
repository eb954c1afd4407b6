"""The house as it stands: ``python tests/house.py [CHECKOUT]`` prints its rooms, their sizes and the arrows.

A room is a package or module right below ``iommu_abi``; an arrow is a module of one room that imports a
module of another, wherever the import stands and also where only type checkers see it. The floors are those
that CONTRIBUTING.md draws: what is on a line may import only what is on lines below.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "iommu_abi"
TOP = "__init__"
#: Compiled, and so not found among the sources.
COMPILED = "_core"


def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _text(node: ast.expr, package: str) -> str:
    """The beginning of a text that is put together: ``f"iommu_abi.cli.{name}"``."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    text = ""
    for part in node.values if isinstance(node, ast.JoinedStr) else ():
        if isinstance(part, ast.Constant):
            text += str(part.value)
        elif isinstance(part, ast.FormattedValue) and ast.unparse(part.value) in ("__package__", "__name__"):
            text += package
        else:
            break
    return text


def imports(tree: ast.Module, module: str) -> Iterator[str]:
    """Every name of the package that a module imports, by statement or by ``import_module()``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative imports are not read here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "import_module":
            yield _text(node.args[0], module)


def room(name: str) -> str:
    """The room of a dotted name."""
    _, _, inside = name.partition(".")
    return inside.partition(".")[0] or TOP


def arrows(root: Path) -> Counter[tuple[str, str]]:
    """(room, room that it imports) -> from how many modules."""
    found: Counter[tuple[str, str]] = Counter()
    known = modules(root)
    rooms = {room(name) for name in known} | {COMPILED}
    for module, path in known.items():
        of_package = (n for n in imports(ast.parse(path.read_text()), module) if n.split(".")[0] == PACKAGE)
        # a name that the package itself gives away, such as iommu_abi.Unit, is no room
        targets = {room(name) if room(name) in rooms else TOP for name in of_package}
        found.update((room(module), target) for target in targets if target != room(module))
    return found


def floors(root: Path) -> list[list[str]]:
    """The lines of CONTRIBUTING.md's drawing, the highest first."""
    text = (root / "CONTRIBUTING.md").read_text()
    drawn = re.search(r"^Imports go downwards only.*?^```\n(.*?)^```", text, re.M | re.S)
    return [line.split() for line in drawn[1].splitlines()] if drawn else []


def up(found: Counter[tuple[str, str]], lines: list[list[str]]) -> list[tuple[str, str]]:
    """The arrows that do not lead to a lower line; a room that is on none is above and below all."""
    depth = {name: i for i, line in enumerate(lines) for name in line}
    return sorted((a, b) for a, b in found if depth.get(a, len(lines)) >= depth.get(b, -1))


def circles(found: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """The arrows between rooms that reach each other."""
    reach = {a: {b for x, b in found if x == a} for a, _ in found}
    for middle in list(reach):
        for each in reach.values():
            if middle in each:
                each |= reach[middle]
    return sorted((a, b) for a, b in found if a in reach.get(b, ()))


def _print(root: Path) -> None:
    files = modules(root)
    found, lines = arrows(root), floors(root)
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for name, path in files.items():
        sizes[room(name)] += len(path.read_text().splitlines())
        counts[room(name)] += 1
    order = [name for line in lines for name in line]
    for name in sorted(sizes, key=lambda n: (order.index(n) if n in order else len(order), n)):
        to = " ".join(f"{b}:{n}" for (a, b), n in sorted(found.items()) if a == name)
        print(f"{name:18} {counts[name]:3} files {sizes[name]:6} lines -> {to or '-'}")
    inner = found.total()
    print(f"{len(sizes)} rooms, {sum(counts.values())} files, {sum(sizes.values())} lines")
    print(f"{len(found)} arrows between rooms, from {inner} modules")
    print("in circles:", ", ".join(f"{a} -> {b}" for a, b in circles(found)) or "none")
    if lines:
        print("run up:", ", ".join(f"{a} -> {b}" for a, b in up(found, lines)) or "none")
    for directory in sorted({path.parent for path in (root / PACKAGE).rglob("*.[ch]")}):
        print(
            directory.relative_to(root),
            sum(len(p.read_text().splitlines()) for p in directory.glob("*.[ch]")),
        )


if __name__ == "__main__":
    _print(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
