"""gen c-asserts: a C file that holds a header against a generation.

The witness is the compiler, which computes sizes and offsets itself: of our headers here, and of the kernel's
own on all ABIs by `make cross`. Numbers of ioctls and layouts by machine: layouts.json, made by clang.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_support import run, sentence

from iommu_abi import uapi
from iommu_abi.errors import UsageError
from iommu_abi.gen import c_asserts
from iommu_abi.uapi import layout

ROOT = Path(__file__).resolve().parent.parent
HEADERS = json.loads((ROOT / "tests/data/layouts.json").read_text())["kernels"]["7.2.13"]["headers"]
pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")

C = ("gcc", "-std=c11", "-x", "c")
CXX = ("g++", "-std=c++11", "-x", "c++")


def compiled(text: str, compiler=C, *flags: object) -> subprocess.CompletedProcess[str]:
    command = [*compiler, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{ROOT}/cdefs", *map(str, flags)]
    return subprocess.run([*command, "-"], input=text, capture_output=True, text=True)


def failing_lines(text: str, done: subprocess.CompletedProcess[str]) -> set[str]:
    """The lines of the text that the compiler names in an error."""
    numbers = re.findall(r"^<stdin>:(\d+):\d+: error", done.stderr, re.M)
    return {text.splitlines()[int(number) - 1] for number in numbers}


def asserted(fact: str) -> str:
    return f'_Static_assert({fact}, "{fact}");'


def ours(generation: str, *structs: str) -> str:
    return c_asserts.text(
        {generation: c_asserts.facts(generation, structs)}, [f'"iommu_abi/uapi/{generation}.h"']
    )


@pytest.mark.parametrize("generation", uapi.GENERATIONS)
def test_our_headers_pass_as_c(generation):
    done = compiled(ours(generation))

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
@pytest.mark.parametrize("generation", ["v1_2017", "ptc_v12", "linux_5_10", "iommufd_7_2", "vfio_7_2"])
def test_our_headers_pass_as_cxx(generation):
    done = compiled(ours(generation), CXX)

    assert (done.returncode, done.stderr) == (0, "")


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """Our headers with one change in those parts that 7.2 has."""
    made = tmp_path / "changed"
    shutil.copytree(ROOT / "cdefs", made)
    for path in (made / "iommu_abi/uapi/part").glob("iommufd*.h"):
        path.write_text(path.read_text().replace(old, new))
    return made


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        # a field too many moves what follows and makes the struct larger
        ("__u32 hwpt_id; /* the nesting parent */", "__u32 hwpt_id; __u64 more;",
         "sizeof(struct iommu_viommu_alloc) == 40"),
        # two fields that change places
        ("__u32 index;\n\t__u32 out_hw_queue_id;", "__u32 out_hw_queue_id;\n\t__u32 index;",
         "offsetof(struct iommu_hw_queue_alloc, index) == 16"),
        ("IOMMU_HWPT_ALLOC_PASID = 1 << 3", "IOMMU_HWPT_ALLOC_PASID = 1 << 4", "IOMMU_HWPT_ALLOC_PASID == 8"),
        ("CMD_VEVENTQ_ALLOC = 0x93", "CMD_VEVENTQ_ALLOC = 0x95", "IOMMU_VEVENTQ_ALLOC == 0x3b93"),
    ],
)  # fmt: skip
def test_a_wrong_header_fails_at_the_line_of_the_fact(tmp_path, old, new, first):
    text = ours("iommufd_7_2")
    done = compiled(text, C, "-I", changed(tmp_path, old, new), "-iquote", tmp_path / "changed")

    assert compiled(text).returncode == 0
    assert done.returncode != 0
    lines = failing_lines(text, done)
    assert asserted(first) in lines
    assert len(lines) < 12


def test_the_header_of_another_kernel_fails_where_it_differs():
    # 6.19 gave iommu_viommu_alloc 16 bytes more; iommu_vdevice_alloc is the same in both
    facts = {"iommufd_6_19": c_asserts.facts("iommufd_6_19", ["iommu_viommu_alloc", "iommu_vdevice_alloc"])}
    text = c_asserts.text(facts, ['"iommu_abi/uapi/iommufd_6_13.h"'])
    lines = failing_lines(text, compiled(text))

    assert asserted("sizeof(struct iommu_viommu_alloc) == 40") in lines
    assert not [line for line in lines if "vdevice" in line]


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
def test_cxx_names_the_line_too():
    text = c_asserts.text(
        {"iommufd_6_19": c_asserts.facts("iommufd_6_19", ["iommu_vdevice_alloc"])}, ['"x.h"']
    )
    done = compiled(text.replace('"x.h"', '"iommu_abi/uapi/iommufd_6_19.h"').replace("== 24", "== 32"), CXX)

    assert failing_lines(text, done) == {asserted("sizeof(struct iommu_vdevice_alloc) == 24")}


def test_where_abis_differ_the_machine_chooses():
    # lineage A4: base_ptr of v12 at 12 where 8 bytes are aligned to less than 8: i386 and m68k
    text = ours("ptc_v12", "iommu_pasid_table_config")

    assert (
        "#if defined(IOMMU_ABI_ON_I386) || defined(IOMMU_ABI_ON_M68K)\n"
        + asserted("offsetof(struct iommu_pasid_table_config, base_ptr) == 12")
    ) in text
    assert compiled(text).returncode == 0


def test_an_abi_alone_needs_no_machine():
    facts = {"ptc_v12": c_asserts.facts("ptc_v12", ["iommu_pasid_table_config"], ["i386"])}
    text = c_asserts.text(facts, ['"iommu_abi/uapi/ptc_v12.h"'])

    assert "IOMMU_ABI_ON" not in text
    assert asserted("sizeof(struct iommu_pasid_table_config) == 32") in text
    if layout.host().name == "x86_64":
        assert "sizeof(struct iommu_pasid_table_config) == 32" in compiled(text).stderr


@pytest.mark.parametrize(("generation", "header"), [("iommufd_7_2", "iommufd.h"), ("vfio_7_2", "vfio.h")])
def test_every_constant_is_on_every_abi_what_the_kernels_header_has(generation, header):
    # 0x3b89 on most machines is 0x20003b89 on mips, powerpc and sparc
    theirs = dict(HEADERS[header]["macros"])
    for names in HEADERS[header]["enums"].values():
        theirs |= names
    checked = 0
    for fact in c_asserts.facts(generation):
        expected = theirs.get(fact.expression)
        if isinstance(expected, dict):
            expected = {abi: int(number, 16) for number, abis in expected.items() for abi in abis}
            assert fact.values == expected, fact.expression
            checked += 1
        elif expected is not None:
            assert set(fact.values.values()) == {expected}, fact.expression
    assert checked >= 3


def test_each_abi_has_one_machine():
    assert set(c_asserts.MACHINES) == set(layout.ABIS)
    assert len(set(c_asserts.MACHINES.values())) == len(layout.ABIS)


def test_a_struct_brings_its_values_and_its_command(capsys):
    done = run(capsys, "gen", "c-asserts", "iommu_hwpt_alloc@iommufd_7_2", "--json")
    expressions = [fact["expression"] for fact in done.json["facts"]]

    assert expressions[0] == "sizeof(struct iommu_hwpt_alloc)"
    assert {"IOMMU_HWPT_ALLOC", "IOMMU_HWPT_ALLOC_PASID", "IOMMU_HWPT_DATA_AMD_GUEST"} <= set(expressions)
    assert "IOMMU_IOAS_MAP" not in expressions


def test_the_kernels_header_is_included_unless_another_is_named(capsys):
    assert "#include <linux/iommufd.h>\n" in run(capsys, "gen", "c-asserts").out
    assert "#include <linux/iommu.h>\n" in run(capsys, "gen", "c-asserts", "linux_5_10").out
    assert '#include "iommu_abi/uapi/v1_2017.h"\n' in run(capsys, "gen", "c-asserts", "v1_2017").out
    other = run(capsys, "gen", "c-asserts", "--include", '"mine.h"').out
    assert '#include "mine.h"\n' in other
    assert "linux" not in other.partition("#if ")[0]


def test_two_generations_of_one_struct_need_two_files(capsys):
    done = run(capsys, "gen", "c-asserts", "iommufd_6_12", "iommufd_7_2")

    assert done.status == 2
    assert sentence(done).endswith("is in iommufd_6_12 and in iommufd_7_2: they need a file each")
    assert run(capsys, "gen", "c-asserts", "iommufd_7_2", "vfio_7_2").status == 0


def test_an_unknown_struct_or_abi_is_named(capsys):
    done = run(capsys, "gen", "c-asserts", "iommu_nothing@iommufd_7_2")
    assert done.status == 2
    assert sentence(done).startswith("unknown struct 'iommu_nothing'")
    assert sentence(run(capsys, "gen", "c-asserts", "--abi", "vax")).startswith("unknown ABI 'vax'")
    with pytest.raises(UsageError, match="is not in iommufd_6_3"):
        c_asserts.facts("iommufd_6_3", ["iommu_hwpt_alloc"])


def test_the_text_is_written_at_once_or_not_at_all(capsys, tmp_path):
    path = tmp_path / "check.c"

    assert run(capsys, "gen", "c-asserts", "-o", path).out == ""
    assert compiled(path.read_text(), C).returncode == 0 or "iommufd.h" in path.read_text()
    done = run(capsys, "gen", "c-asserts", "-o", tmp_path / "none" / "check.c")
    assert done.status == 2
    assert "No such file or directory" in sentence(done)
