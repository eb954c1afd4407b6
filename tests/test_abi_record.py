"""packaging/abi: the exported ABI against its record, by our compat and, where there is one, by abidiff."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from c_support import ROOT, tool


def check(tree: Path) -> tuple[int, str]:
    """Status and report of `abi.sh check` on a tree."""
    for needed in ("cc", "nm"):
        tool(needed)
    compat = f"{Path(sys.executable).parent / 'iommu-abi'} compat"
    done = subprocess.run(
        [tree / "packaging/abi/abi.sh", "check"],
        capture_output=True,
        text=True,
        env={**os.environ, "COMPAT": compat, "LD_PRELOAD": "", "COLUMNS": "100"},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path):
    """Changes one place in a copy of the tree."""
    for name in ("cdefs", "iommu_abi/core", "packaging"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "VERSION", tmp_path)

    def change(file: str, old: str, new: str) -> Path:
        path = tmp_path / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        return tmp_path

    return change


def test_this_tree_exports_what_is_recorded():
    status, said = check(ROOT)

    assert status == 0, said
    assert "constants: 65 unchanged, 0 changed, 0 added, 0 withdrawn" in said


def test_two_fields_that_change_places_are_seen_by_compat_and_by_abidiff(copy):
    was, then = "\t__u64 hpa;\n\t__u64 gpa;\n", "\t__u64 gpa;\n\t__u64 hpa;\n"
    rest = "\t__u64 detail;\n\t__u8 target"

    status, said = check(copy("cdefs/iommu_abi/walk.h", was + rest, then + rest))

    assert status == 1
    assert "iommu_abi_translation.hpa: moved: offset 0 -> 8" in said
    if shutil.which("abidiff"):
        assert "'__u64 hpa' offset changed from 0 to 64 (in bits)" in said


def test_a_constant_with_another_number_is_seen_by_compat(copy):
    status, said = check(
        copy("cdefs/iommu_abi/walk.h", "IOMMU_ABI_WRITE = 1 << 1", "IOMMU_ABI_WRITE = 1 << 3")
    )

    assert status == 1
    assert "IOMMU_ABI_WRITE" in said


def test_a_function_that_is_no_longer_exported_is_seen(copy):
    tree = copy("packaging/libiommu_abi.map", "local:\n", "local:\n\tiommu_abi_mem_find;\n")

    status, said = check(tree)

    assert status == 1
    assert "abi: no longer exported: iommu_abi_mem_find@@IOMMU_ABI_0.1" in said


def test_another_argument_of_a_function_is_seen_by_abidiff(copy):
    tool("abidiff")
    name = "const void *iommu_abi_mem_find(const struct iommu_abi_mem *mem, __u64 addr,"
    tree = copy("cdefs/iommu_abi/walk.h", f"{name} __u64 len)", f"{name} __u32 len)")
    source = tree / "iommu_abi/core/memory.c"
    source.write_text(source.read_text().replace(f"{name} __u64 len)", f"{name} __u32 len)"))

    status, said = check(tree)

    assert status == 1
    assert "from 64 to 32 (in bits)" in said


def test_something_new_is_no_break(copy):
    last = "\tIOMMU_ABI_EXEC = 1 << 2,\n"
    tree = copy("cdefs/iommu_abi/walk.h", last, f"{last}\tIOMMU_ABI_NEW = 1 << 3,\n")
    source = tree / "iommu_abi/core/copy_struct.c"
    added = "IOMMU_ABI_API int iommu_abi_new(void);\nint iommu_abi_new(void) { return 0; }\n"
    source.write_text(source.read_text() + added)

    status, said = check(tree)

    assert status == 0, said
    assert "1 added" in said
