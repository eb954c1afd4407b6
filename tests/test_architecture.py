"""The house rules that a test can hold: who imports whom, what the walk may not know."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from iommu_abi import _core, terms, walk
from iommu_abi.vendors import KINDS

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "iommu_abi/core"
VENDOR_WORDS = [
    "intel",
    "vtd",
    "vt-d",
    "amd",
    "amdvi",
    "arm",
    "smmu",
    "riscv",
    "risc-v",
    "pasid_entry",
    "gcr3",
    "pgtt",
    "ste",
    "dte",
    "nxe",
    "slade",
]


@pytest.mark.parametrize(
    "name",
    [
        *("pt_walk.h", "pt_plain.h", "pt_stages.h", "pt_tables.h", "pt_request.h"),
        *("translate.c", "mappings.c", "fault.c"),
    ],
)
def test_the_walk_names_no_vendor(name):
    text = (CORE / name).read_text().lower()

    assert [word for word in VENDOR_WORDS if re.search(rf"\b{re.escape(word)}\b", text)] == []


@pytest.mark.parametrize("name", ["pt_vendor.h", "pt_context.h", "pt_format.h"])
def test_an_interface_document_is_at_most_160_lines(name):
    assert len((CORE / name).read_text().splitlines()) <= 160


def test_the_interface_document_lists_every_vendors_oddities():
    text = (CORE / "pt_vendor.h").read_text()

    for vendor in ("AMD", "Arm", "RISC-V", "VT-d", "ECS"):
        assert vendor in text


def formats() -> list[str]:
    return re.findall(r"^FORMAT\((\w+)\)", (CORE / "formats.h").read_text(), re.M)


def test_every_format_has_the_files_that_contributing_names():
    for name in formats():
        for path in (
            "iommu_abi/core/{}.c",
            "iommu_abi/schemas/{}.py",
            "iommu_abi/vendors/{}.py",
            "tests/test_{}.py",
        ):
            assert (ROOT / path.format(name)).is_file(), path.format(name)


def test_python_reads_the_formats_from_the_core():
    assert list(walk.kinds()) == formats()
    assert sorted(KINDS) == sorted(formats())


def test_the_core_neither_allocates_nor_has_globals():
    objects = sorted((ROOT / "iommu_abi/core").glob("*.c"))

    for source in objects:
        text = source.read_text()
        assert not re.search(r"\b(malloc|calloc|realloc|free|alloca)\s*\(", text), source
        assert not re.search(r"^(static )?(?!.*\bconst\b)[a-z]\w* \w+( = .*)?;", text, re.M), source


def test_no_c_file_knows_python():
    assert [p.name for p in CORE.iterdir() if "Python.h" in p.read_text()] == []


@pytest.mark.parametrize(
    ("enum", "prefix"),
    [
        (terms.Access, ""),
        (terms.At, ""),
        (terms.Stage, ""),
        (terms.Reason, ""),
        (terms.Target, ""),
        (terms.Purpose, "FOR_"),
    ],
)
def test_the_words_have_the_numbers_of_walk_h(enum, prefix):
    expected = {m.name: getattr(_core.lib, f"IOMMU_ABI_{prefix}{m.name}") for m in enum if m.name != "NONE"}

    assert {m.name: m.value for m in enum if m.name != "NONE"} == expected


def test_the_words_are_complete():
    declared = (ROOT / "cdefs/iommu_abi/walk.h").read_text()

    for enum, tag in ((terms.Reason, "reason"), (terms.Stage, "stage"), (terms.Purpose, "purpose")):
        body = re.search(rf"enum iommu_abi_{tag} {{(.*?)}};", declared, re.S)
        assert body
        assert len(re.findall(r"^\s*IOMMU_ABI_\w+", body[1], re.M)) == len(enum)


def test_only_four_modules_touch_the_core():
    users = {
        str(path.relative_to(ROOT / "iommu_abi"))
        for path in (ROOT / "iommu_abi").rglob("*.py")
        if re.search(r"iommu_abi\._core\b|from iommu_abi import _core\b", path.read_text())
    }

    allowed = {"__init__.py", "_build.py", "_core_buffers.py", "_core_errors.py"}
    allowed |= {"iommu.py", "mappings/enumeration.py", "memory.py", "walk.py"}
    assert {user for user in users if not user.startswith("uapi/")} <= allowed


def test_the_plain_ledger_works_without_the_core():
    code = (
        "import sys; sys.modules['iommu_abi._core'] = None\n"
        "import types; p = types.ModuleType('iommu_abi'); p.__path__ = [sys.argv[1]]\n"
        "sys.modules['iommu_abi'] = p\n"
        "import iommu_abi.schemas.plain_walk, iommu_abi.schemas.vtd, iommu_abi.schemas.amdvi\n"
        "print('independent')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "iommu_abi")], capture_output=True, text=True, check=True
    )

    assert done.stdout == "independent\n"


def test_nothing_committed_names_this_machine():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in (".xz", ".json", ".jsonl") or not path.is_file() or path == Path(__file__):
            continue
        assert not re.search(r"/(work|farm|root)/", path.read_text(errors="replace")), name
