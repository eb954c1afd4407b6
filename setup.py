"""What pyproject.toml cannot say: the cffi modules, the C library and its headers, the wheel's tag."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools._distutils.ccompiler import new_compiler
from setuptools._distutils.sysconfig import customize_compiler
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "iommu_abi"))
from _build import FLAGS, GENERATIONS, MACROS, MODULES, SOURCES, VERSION, flatten  # noqa: E402

# Two builds of one state are the same byte for byte, wherever and whenever: no time of a file, no directory.
os.environ.setdefault("SOURCE_DATE_EPOCH", "315532800")  # 1980, the first that a zip file can hold


def install_library(prefix: Path, scratch: str) -> None:
    """The same tree as `make install PREFIX=...`, by the compiler that Python was built with."""
    lib = prefix / "lib"
    shutil.rmtree(lib, ignore_errors=True)
    compiler = new_compiler()
    customize_compiler(compiler)
    objects = compiler.compile(
        SOURCES, output_dir=scratch, macros=MACROS, include_dirs=["cdefs"], extra_preargs=[*FLAGS, "-fPIC"]
    )
    # one object in which only the public names are left, so that no other library's can meet ours
    whole = f"{scratch}/libiommu_abi.o"
    compiler.spawn([*compiler.compiler_so[:1], "-r", "-nostdlib", "-o", whole, *objects])
    compiler.spawn(["objcopy", "--localize-hidden", whole])
    compiler.create_static_lib([whole], "iommu_abi", output_dir=str(lib))
    soname = f"libiommu_abi.so.{VERSION.split('.')[0]}"
    linker = [f"-Wl,-soname,{soname}", "-Wl,--version-script=packaging/libiommu_abi.map"]
    compiler.link_shared_object(objects, str(lib / soname), extra_postargs=linker)
    shutil.copy(lib / soname, lib / "libiommu_abi.so")  # a wheel holds no symbolic links
    for source, target in (
        ("iommu_abi.pc.in", "pkgconfig/iommu_abi.pc"),
        ("iommu_abi-config.cmake.in", "cmake/iommu_abi/iommu_abi-config.cmake"),
        ("iommu_abi-config-version.cmake.in", "cmake/iommu_abi/iommu_abi-config-version.cmake"),
    ):
        text = (ROOT / "packaging" / source).read_text().replace("@VERSION@", VERSION)
        (lib / target).parent.mkdir(parents=True, exist_ok=True)
        (lib / target).write_text(text)


class BuildWithLibrary(build_py):
    """Headers and library travel in the package, so that a C program can be built against a wheel.

    Compiling needs no Python: the library is the same that `make lib` builds.
    """

    def run(self) -> None:
        """Fill iommu_abi/include and iommu_abi/lib; in an editable install the first is cdefs/ itself."""
        super().run()
        prefix = ROOT / "iommu_abi" if self.editable_mode else Path(self.build_lib) / "iommu_abi"
        install_library(prefix, self.get_finalized_command("build").build_temp)
        include = prefix / "include"
        if not self.editable_mode:
            no_stand_ins = shutil.ignore_patterns(".cffi")
            shutil.copytree(ROOT / "cdefs", include, dirs_exist_ok=True, ignore=no_stand_ins)
        elif not include.exists():
            include.symlink_to("../cdefs")


class BuildWithDeclarations(build_ext):
    """What the headers declare is read once, here, and travels beside the modules that were compiled."""

    def run(self) -> None:
        """Write iommu_abi/uapi/declarations.bin; reading it needs the package, but none of its C."""
        super().run()
        root = ROOT if self.inplace else Path(self.build_lib).resolve()
        texts = json.dumps({name: flatten(f"iommu_abi/uapi/{name}.h") for name in GENERATIONS})
        command = [sys.executable, "-B", "-m", "iommu_abi.uapi.reader"]
        done = subprocess.run(command, input=texts.encode(), cwd=root, check=True, stdout=subprocess.PIPE)
        (root / "iommu_abi/uapi/declarations.bin").write_bytes(done.stdout)


setup(
    cffi_modules=[f"iommu_abi/_build.py:{name}" for name in MODULES],
    cmdclass={"build_py": BuildWithLibrary, "build_ext": BuildWithDeclarations},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},  # abi3: one wheel for 3.10 and newer
)
