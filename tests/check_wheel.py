"""C programs against an installed wheel: `make wheel-check`, which makes the wheel and a fresh venv for it.

Beside the wheel and what it needs, the venv has pkgconf, which finds the wheel's file by its entry point.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from c_support import EXAMPLE, SAID, STRICT, run, tool

BIN = Path(os.environ["WHEEL_VENV"]) / "bin"


def config(*options: str) -> list[str]:
    return run(BIN / "iommu-abi", "config", *options).split()


def test_the_wheel_is_for_any_linux_with_glibc_2_17_and_any_python_from_3_10():
    # PEP 600; manylinux2014 is its older name
    (wheel,) = BIN.parent.parent.glob("*.whl")

    assert re.search(r"-cp310-abi3-manylinux(2014_\w+\.manylinux)?_2_17_\w+\.whl$", wheel.name)


def test_nothing_is_taken_from_the_tree():
    assert config("--includedir")[0].startswith(str(BIN.parent / "lib"))
    assert config("--libdir")[0].startswith(str(BIN.parent / "lib"))


@pytest.mark.parametrize("compiler", ["gcc -std=c11", "clang -std=c11", "g++ -xc++", "clang++ -xc++"])
@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_config(tmp_path, compiler, static):
    cc, *flags = compiler.split()
    libs = config("--libs", *(["--static"] if static else []))

    run(tool(cc), *flags, *STRICT, *config("--cflags"), EXAMPLE, "-xnone", *libs, "-o", tmp_path / "example")

    assert run(tmp_path / "example") == SAID
    needed = "libiommu_abi.so.0" in run(tool("readelf"), "-d", tmp_path / "example")
    assert needed is not static


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_pkg_config(tmp_path, static):
    lib = config("--libdir")[0]
    path = {"PKG_CONFIG_PATH": f"{lib}/pkgconfig"}
    cflags = run(tool("pkg-config"), "--cflags", "iommu_abi", **path).split()
    libs = run("pkg-config", "--libs", *(["--static"] if static else []), "iommu_abi", **path).split()
    link = ["-static", *libs] if static else libs

    run(tool("cc"), *STRICT, *cflags, EXAMPLE, *link, "-o", tmp_path / "example")

    assert run(tmp_path / "example", LD_LIBRARY_PATH=lib) == SAID


def test_the_entry_point_for_pkgconf(tmp_path):
    asked = run(BIN / "python", "-m", "pkgconf", "--cflags", "--libs", "iommu_abi").split()

    run(tool("cc"), *STRICT, EXAMPLE, *asked, "-o", tmp_path / "example")

    assert run(tmp_path / "example", LD_LIBRARY_PATH=config("--libdir")[0]) == SAID


def test_cmake(tmp_path):
    prefix = Path(config("--libdir")[0]).parent
    run(tool("cmake"), "-S", EXAMPLE.parent, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path)

    assert run(tmp_path / "example_iommu_abi") == SAID
    assert run(tmp_path / "example_static") == SAID


def test_the_man_pages_are_where_man_looks_for_them_in_a_venv():
    for page in ("man1/iommu-abi.1", "man3/iommu_abi.3"):
        assert (BIN.parent / "share/man" / page).is_file()


def test_completions_are_where_the_shells_look_for_them_below_a_prefix():
    for name in (
        "bash-completion/completions/iommu-abi.bash",
        "zsh/site-functions/_iommu-abi",
        "fish/vendor_completions.d/iommu-abi.fish",
    ):
        assert (BIN.parent / "share" / name).is_file()


def test_the_command_works():
    packed = run(BIN / "iommu-abi", "pack", "pasid_table_info", "ptr=0x20000", "size=4096", "--out", "hex")

    assert run(BIN / "iommu-abi", "unpack", "pasid_table_info", stdin=packed).count("\n") > 3
