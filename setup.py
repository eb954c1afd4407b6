"""What pyproject.toml cannot say: the cffi modules, the headers, the wheel's tag."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "iommu_abi"))
from _build import MODULES  # noqa: E402


class BuildWithHeaders(build_py):
    """The public headers travel in the package, so that a C program can be built against a wheel."""

    def run(self) -> None:
        """Copy cdefs/ to iommu_abi/include/; an editable install uses cdefs/ itself."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "iommu_abi/include"
            shutil.copytree(
                ROOT / "cdefs", target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".cffi")
            )


setup(
    cffi_modules=[f"iommu_abi/_build.py:{name}" for name in MODULES],
    cmdclass={"build_py": BuildWithHeaders},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},  # abi3: one wheel for 3.10 and newer
)
