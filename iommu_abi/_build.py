"""The only file that configures cffi: C core and headers -> compiled modules (abi3).

``iommu_abi._core`` holds the library. Each generation of the ABI is a module of its own,
``iommu_abi.uapi._GENERATION``, because they reuse names with other layouts: there the
compiler checks every struct against its declaration. setup.py lets ``uapi/reader.py`` read the
same flattened text for the layout engine, the ctypes types and the stubs.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache, partial
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
CDEFS = ROOT / "cdefs"
VERSION = (ROOT / "VERSION").read_text().strip()
FLAGS = ["-std=gnu11", "-O2", "-fvisibility=hidden", f"-ffile-prefix-map={ROOT}=."]
MACROS: list[tuple[str, str | None]] = [("CONFIG_IOMMU_API", "1"), ("IOMMU_ABI_VERSION", json.dumps(VERSION))]
SOURCES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "iommu_abi/core").glob("*.c"))
GENERATIONS = sorted(path.stem for path in (CDEFS / "iommu_abi/uapi").glob("*.h"))


@cache
def flatten(header: str) -> str:
    """A header as the compiler sees it, without what cdef() cannot read."""
    cc = os.environ.get("CC", "cc").split()
    flags = ["-E", "-P", "-nostdinc", "-DIOMMU_ABI_API=", "-DCONFIG_IOMMU_API", "-D__linux__"]
    paths = [f"-I{CDEFS}/.cffi", f"-I{CDEFS}"]
    command = [*cc, *flags, *paths, str(CDEFS / header)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


#: The size of a blob by its header if that is valid, else 0. Each argument would cost a caller in Python more
#: than the check does; at least a header must be there, and nothing beyond it is read.
VALID_SIZE = """
static size_t iommu_abi_py_valid_size_{name}(const char *blob)
{{
	struct pasid_table_info head;
	size_t size;

	memcpy(&head, blob, sizeof(head));
	size = sizeof(head) + head.length;
	return iommu_abi_pasid_table_info_validate(IOMMU_ABI_{upper}, blob, size, NULL) ? 0 : size;
}}
"""


def core() -> FFI:
    """iommu_abi._core: the library, hooks through which C calls drivers in Python, a quick check."""
    ffi = FFI()
    ffi.cdef(flatten("iommu_abi.h"))
    ffi.cdef("""
        extern "Python" int iommu_abi_py_bind(struct iommu_domain *, struct device *,
                                                struct pasid_table_info *);
        extern "Python" int iommu_abi_py_unbind(struct iommu_domain *, struct device *);
        size_t iommu_abi_py_valid_size_v1_2017(const char *);
        size_t iommu_abi_py_valid_size_rfc2017(const char *);
    """)
    quick = "".join(VALID_SIZE.format(name=name, upper=name.upper()) for name in ("v1_2017", "rfc2017"))
    ffi.set_source(
        "iommu_abi._core",
        f'#include <string.h>\n#include "iommu_abi.h"\n{quick}',
        sources=SOURCES,
        include_dirs=["cdefs"],
        define_macros=MACROS,
        extra_compile_args=FLAGS,
        depends=[str(path.relative_to(ROOT)) for path in (ROOT / "iommu_abi/core").glob("*.h")],
        py_limited_api=True,
    )
    return ffi


def generation(name: str) -> FFI:
    """iommu_abi.uapi._NAME: one generation of the ABI."""
    header = f"iommu_abi/uapi/{name}.h"
    ffi = FFI()
    ffi.cdef(flatten(header))
    ffi.set_source(
        f"iommu_abi.uapi._{name}",
        f'#include "{header}"',
        include_dirs=["cdefs"],
        extra_compile_args=FLAGS,
        py_limited_api=True,
    )
    return ffi


# setup.py names these; cffi calls them
MODULES = {"core": core, **{f"uapi_{name}": partial(generation, name) for name in GENERATIONS}}
globals().update(MODULES)
