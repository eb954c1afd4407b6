"""The C library as programs use it: headers, archive, shared object, pkg-config, CMake, `config`.

Each program is built as its author would build it, and must run. Tools that are not installed here are
left out by name; CI installs all of them.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from c_support import CORE, EXAMPLE, ROOT, SAID, STRICT, run, tool

import iommu_abi


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """What `make install` leaves, moved afterwards: nothing in it may know where it was made."""
    tool("make")
    made = tmp_path_factory.mktemp("made")
    run("make", "-s", "-C", ROOT, "install", f"DESTDIR={made}", "PREFIX=/opt/iommu", "CFLAGS=-O2")
    moved = tmp_path_factory.mktemp("moved") / "elsewhere"
    shutil.move(made / "opt/iommu", moved)
    return moved


def asked(*options: str) -> list[str]:
    return run(Path(sys.executable).parent / "iommu-abi", "config", *options).split()


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
@pytest.mark.parametrize(
    "compiler", ["gcc -std=c11", "clang -std=c11", "g++ -std=c++17 -xc++", "clang++ -xc++"]
)
def test_the_example_builds_with_config_and_runs(tmp_path, compiler, static):
    cc, *flags = compiler.split()
    libs = asked("--libs", *(["--static"] if static else []))

    run(tool(cc), *flags, *STRICT, *asked("--cflags"), EXAMPLE, "-xnone", *libs, "-o", tmp_path / "example")

    assert run(tmp_path / "example") == SAID


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_the_example_builds_with_pkg_config_and_runs(tmp_path, prefix, static):
    path = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    cflags = run(tool("pkg-config"), "--cflags", "iommu_abi", **path).split()
    libs = run("pkg-config", "--libs", "iommu_abi", **path).split()
    if static:
        libs = ["-Wl,-Bstatic", *libs, "-Wl,-Bdynamic"]

    run(tool("cc"), *STRICT, *cflags, EXAMPLE, *libs, "-o", tmp_path / "example")

    assert run(tmp_path / "example", LD_LIBRARY_PATH=str(prefix / "lib")) == SAID
    assert run("pkg-config", "--modversion", "iommu_abi", **path).strip() == iommu_abi.__version__


def test_the_example_builds_with_cmake_and_runs(tmp_path, prefix):
    run(tool("cmake"), "-S", EXAMPLE.parent, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path)

    assert run(tmp_path / "example_iommu_abi") == SAID
    assert run(tmp_path / "example_static") == SAID


def test_a_shared_program_needs_the_library_by_its_soname(tmp_path, prefix):
    run(tool("cc"), EXAMPLE, f"-I{prefix}/include", "-DCONFIG_IOMMU_API", f"-L{prefix}/lib", "-liommu_abi",
        "-o", tmp_path / "example")  # fmt: skip

    needed = run(tool("readelf"), "-d", tmp_path / "example")

    assert "[libiommu_abi.so.0]" in needed


def test_install_brings_the_man_pages(prefix):
    found = {str(path.relative_to(prefix / "share/man")) for path in (prefix / "share/man").rglob("*.?")}

    assert found == {"man1/iommu-abi.1", "man3/iommu_abi.3"}


def test_install_says_what_the_dynamic_linker_needs(tmp_path, prefix):
    # ld.so(8), ldconfig(8); a package's install into DESTDIR has nothing to say
    words = ("make", "-s", "-C", ROOT, "install", "CFLAGS=-O2")
    said = run(*words, f"PREFIX={tmp_path}/p").splitlines()[-1]

    assert "after ldconfig, run as root" in said
    assert f"LD_LIBRARY_PATH={tmp_path}/p/lib" in said
    assert "ldconfig" not in run(*words, f"PREFIX={tmp_path}/p", f"DESTDIR={tmp_path}/d")


def test_install_brings_the_completions(prefix):
    found = {str(path.relative_to(prefix / "share")) for path in (prefix / "share").rglob("*iommu-abi*")}

    assert found >= {
        "bash-completion/completions/iommu-abi.bash",
        "zsh/site-functions/_iommu-abi",
        "fish/vendor_completions.d/iommu-abi.fish",
    }


def declared() -> set[str]:
    """The functions of the public headers."""
    headers = [ROOT / "cdefs/iommu_abi.h", *(ROOT / "cdefs/iommu_abi").glob("*.h")]
    text = "\n".join(path.read_text() for path in headers)
    return set(re.findall(r"^IOMMU_ABI_API [^;(]*?(\w+)\(", text, re.M))


@pytest.mark.parametrize("library", ["so", "a"])
def test_the_library_has_the_declared_functions_and_no_other_names(prefix, library):
    options = ["-D"] if library == "so" else ["-g"]
    listed = run(tool("nm"), *options, "--defined-only", prefix / f"lib/libiommu_abi.{library}")
    names = {line.split()[-1].split("@")[0] for line in listed.splitlines() if len(line.split()) == 3}

    assert {name for name in names if not name.startswith("IOMMU_ABI_")} == declared()


def test_every_symbol_has_a_version(prefix):
    listed = run(tool("nm"), "-D", "--defined-only", "--with-symbol-versions", prefix / "lib/libiommu_abi.so")

    assert all("IOMMU_ABI_0.1" in line for line in listed.splitlines())


@pytest.mark.parametrize("order", ["", "-DLINUX_LAST"], ids=["linux first", "linux last"])
def test_the_umbrella_compiles_beside_the_systems_iommufd_header(tmp_path, order):
    source = ROOT / "tests/c/beside_linux.c"
    cc = [tool("cc")]
    if not Path("/usr/include/linux/iommufd.h").exists():
        zig = pytest.importorskip(
            "ziglang", reason="no <linux/iommufd.h> here, and no ziglang that brings one"
        )
        cc += ["-idirafter", str(Path(zig.__file__).parent / "lib/libc/include/any-linux-any")]

    run(*cc, *STRICT, *([order] if order else []), *asked("--cflags"), source, *asked("--libs"),
        "-o", tmp_path / "beside")  # fmt: skip

    run(tmp_path / "beside")


def test_the_example_is_clean_under_valgrind(tmp_path):
    run(
        tool("cc"),
        "-g",
        *asked("--cflags"),
        EXAMPLE,
        *asked("--libs", "--static"),
        "-o",
        tmp_path / "example",
    )

    assert (
        run(tool("valgrind"), "-q", "--error-exitcode=9", "--leak-check=full", tmp_path / "example") == SAID
    )


def test_the_example_is_clean_under_sanitizers(tmp_path):
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

    run(tool("cc"), *flags, "-DIOMMU_ABI_VERSION=\"0\"", *asked("--cflags"), EXAMPLE, *CORE,
        "-o", tmp_path / "example")  # fmt: skip

    assert run(tmp_path / "example") == SAID


@pytest.mark.parametrize("level", ["-O0", "-Og", "-Os"])
def test_the_core_compiles_at_every_level_of_optimisation(tmp_path, level):
    flags = ["-std=gnu11", level, *STRICT, "-DCONFIG_IOMMU_API", '-DIOMMU_ABI_VERSION="0"', f"-I{ROOT}/cdefs"]

    run(tool("cc"), *flags, "-r", "-nostdlib", *CORE, "-o", tmp_path / "core.o")


def test_the_readmes_example_is_this_one():
    block = re.search(r"```c\n(.*?)```", (ROOT / "docs/c.md").read_text(), re.S)

    assert block
    assert block[1] in EXAMPLE.read_text()


def test_without_config_iommu_api_both_calls_are_einval(tmp_path):
    source = tmp_path / "stub.c"
    source.write_text(
        "#include <iommu_abi.h>\n"
        "int main(void) { return iommu_bind_pasid_table(0, 0, 0) != -EINVAL"
        " || iommu_unbind_pasid_table(0, 0) != -EINVAL; }\n"
    )

    run(tool("cc"), *STRICT, f"-I{iommu_abi.get_include()}", source, "-o", tmp_path / "stub")

    run(tmp_path / "stub")
