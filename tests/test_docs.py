"""The pages of the site that are written by hand agree with the package. Sphinx is not needed for that."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module

import pytest
from c_support import ROOT, run, tool

from iommu_abi import samples
from iommu_abi.cli import COMMANDS
from iommu_abi.uapi import GENERATIONS

pytest_plugins = ["pytester"]
DOCS = ROOT / "docs"
PUBLIC = [
    name
    for page in sorted((DOCS / "reference").glob("python*.md"))
    for name in re.findall(r"automodule:: (\S+)", page.read_text())
]


#: What one may import beside the names of a module: another module, a generation of the ABI.
PACKAGES = {*PUBLIC, *(f"iommu_abi.uapi.{name}" for name in GENERATIONS)}


def python_examples() -> str:
    pages = [page.read_text() for page in (ROOT / "README.md", *DOCS.rglob("*.md"))]
    return "".join(text for page in pages for text in re.findall(r"```python\n(.*?)```", page, re.S))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_module_says_what_of_it_is_public(name):
    module = import_module(name)

    assert len(module.__all__) == len(set(module.__all__))
    assert [each for each in module.__all__ if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_and_class_is_described(name):
    module = import_module(name)
    described = [each for each in module.__all__ if callable(getattr(module, each))]

    assert [each for each in described if not inspect.getdoc(getattr(module, each))] == []


def test_a_module_with_a_border_is_public_or_inside_a_package():
    """`__all__` also says what the modules of one package may take from each other."""
    inside = re.compile(r"iommu_abi\.(cli|schemas|fuzz|worlds)\b")
    bordered = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "iommu_abi").rglob("*.py")
        if "\n__all__ = [" in path.read_text()
    }

    assert set(PUBLIC) <= bordered
    others = [name for name in bordered - set(PUBLIC) if not inside.match(name)]
    strays = [name for name in others if name.rpartition(".")[0] not in PUBLIC[1:]]
    assert strays == [], "give it a line automodule in docs/reference, or add its package to `inside`"


def test_what_the_examples_import_is_public():
    found = re.findall(r"^ *from (iommu_abi[\w.]*) import (.*)$", python_examples(), re.M)

    assert len(found) > 5
    for module, names in found:
        assert module in PUBLIC
        for name in names.split(", "):
            assert name in import_module(module).__all__ or f"{module}.{name}" in PACKAGES, f"{module}.{name}"


def test_every_command_has_a_page_with_its_options():
    assert {page.stem for page in (DOCS / "commands").glob("*.md")} == {*COMMANDS, "index"}
    for name in COMMANDS:
        assert f"```{{options}} {name}\n" in (DOCS / "commands" / f"{name}.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / "tutorials/tests.md").read_text(), re.S)


def test_the_tests_of_the_tutorial_pass(pytester: pytest.Pytester):
    (pytester.path / "vtd.elf.xz").write_bytes(samples.contents()["vtd.elf.xz"])
    pytester.makepyfile("\n\n".join(blocks("python")))

    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)


def test_the_tutorials_c_program_says_what_the_tutorial_says(tmp_path):
    config = (sys.executable, "-m", "iommu_abi", "config")
    source = tmp_path / "check.c"
    source.write_text(*blocks("c"))

    compiler = [tool("cc"), *run(*config, "--cflags").split(), source, *run(*config, "--libs").split()]
    run(*compiler, "-o", tmp_path / "check")

    assert [run(tmp_path / "check")] == blocks("text")
