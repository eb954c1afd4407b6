"""What README.md and docs/ show is what their commands print. `python tests/test_readme.py` writes it anew.

README's examples, those of the tutorials and of the commands' pages run in a directory that `iommu-abi demo`
has filled; those of all other pages, and those that ask for what is in tests/data/, in the checkout.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from iommu_abi import samples

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(DOCS.rglob("*.md")))
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
BLOCKS = [(page, block) for page in PAGES for block in BLOCK.findall(page.read_text())]
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


def commands(block: str) -> list[str]:
    return re.findall(r"^\$ (.*)$", block, re.M)


def printed(command: str, where: Path) -> str:
    """What a person sees at 80 columns, without colour; both streams."""
    program, *rest = shlex.split(command)
    start = {"iommu-abi": [sys.executable, "-m", "iommu_abi"], "python": [sys.executable]}[program]
    path = f"{os.environ.get('PYTHONPATH', '')}:{ROOT}"
    env = os.environ | {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONPATH": path}
    done = subprocess.run(
        [*start, *rest], cwd=where, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def fresh(page: Path, block: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        of_the_site = page.parent in (DOCS / "tutorials", DOCS / "commands") and "tests/data/" not in block
        on_samples = page == README or of_the_site
        where = Path(scratch) if on_samples else ROOT
        if on_samples:
            for name, data in samples.contents().items():
                (where / name).write_bytes(data)
        return "".join(f"$ {command}\n{printed(command, where)}" for command in commands(block))


@pytest.mark.parametrize(
    ("page", "block"), BLOCKS, ids=[f"{p.stem}: {b.splitlines()[0][2:40]}" for p, b in BLOCKS]
)
def test_a_page_shows_what_its_commands_print(page, block):
    assert block == fresh(page, block), "run: python tests/test_readme.py"


def test_the_readme_is_read_in_five_minutes():
    lines = README.read_text().splitlines()

    assert len(lines) <= 200
    for block in BLOCK.findall(README.read_text()):
        assert all(len(command) <= 100 for command in commands(block))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page):
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_leads_to_every_page():
    """The tutorials and the reference are the site's: its index leads to them."""
    linked = {README.parent / link for link in LINK.findall(README.read_text())}

    assert [page.name for page in DOCS.glob("*.md") if page not in linked] == []


#: What a sample was made from.
ORIGINALS = {
    "pasid.elf.xz": "captures/vtd-scalable-fs-pasid-k7.2/sparse.elf.xz",
    "vtd.elf.xz": "captures/vtd-scalable-fs-k6.12/sparse.elf.xz",
    "amd.elf.xz": "captures/amd-xtsup-on-k7.2-q11/sparse.elf.xz",
    "riscv.lime.xz": "acquire/riscv-k7.2.lime.xz",
    "dmesg.txt": "dmesg.txt",
    "strace.log": "strace/hwpt_alloc.log",
    "hwpt_alloc.hex": "hwpt_alloc.hex",
}


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_sample_is_what_the_tests_know(name):
    assert samples.contents()[name] == (ROOT / "tests/data" / ORIGINALS[name]).read_bytes()


def test_the_samples_are_small_and_every_file_is_one():
    contents = samples.contents()

    assert sum(map(len, contents.values())) < 200_000
    assert {path.name for path in (ROOT / "iommu_abi/samples/files").iterdir()} == set(contents)


def test_the_demo_is_one_file_of_at_most_80_lines_on_the_public_api():
    text = (ROOT / "demo.py").read_text()

    assert len(text.splitlines()) <= 80
    assert not re.search(r"\b_\w+|_core", text.replace("__future__", ""))


if __name__ == "__main__":
    for page in PAGES:
        text = page.read_text()
        page.write_text(BLOCK.sub(lambda m, page=page: f"```console\n{fresh(page, m[1])}```", text))  # type: ignore[misc]
