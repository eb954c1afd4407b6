"""gen rust: a generation as a module of Rust.

The witness is rustc, which computes sizes and offsets itself. What the module asserts of other ABIs is held
against layouts.json, made by compilers for them from the kernels' headers; what a target is, rustc says.
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
from iommu_abi.gen import rust, rust_types
from iommu_abi.gen.rust_targets import TARGETS
from iommu_abi.schemas import uapi as plain
from iommu_abi.uapi import layout

KERNELS = json.loads((Path(__file__).parent / "data/layouts.json").read_text())["kernels"]
HEADERS = {
    "iommufd_7_2": ("7.2.13", "iommufd.h"),
    "iommufd_6_12": ("6.12.95", "iommufd.h"),
    "linux_6_1": ("6.1.187", "iommu.h"),
    "linux_5_10": ("5.10.223", "iommu.h"),
}


def has_rustc() -> bool:
    """Is there one that compiles? What rustup puts on the path does not without a toolchain of this user."""
    found = shutil.which("rustc")
    return bool(found) and subprocess.run([found, "--version"], capture_output=True).returncode == 0


needs_rustc = pytest.mark.skipif(not has_rustc(), reason="no rustc that works")


def rustc(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["rustc", *map(str, words)], capture_output=True, text=True)


def compiled(directory: Path, *modules: str) -> subprocess.CompletedProcess[str]:
    """The modules as a library without std; every warning is an error."""
    text = "\n".join(["#![no_std]", *(f"pub mod {name};" for name in modules)])
    (directory / "lib.rs").write_text(text)
    options = ("--edition", "2021", "--crate-type", "lib", "--emit", "metadata", "-D", "warnings")
    return rustc(*options, "--out-dir", directory, directory / "lib.rs")


@needs_rustc
def test_every_generation_compiles_and_its_assertions_hold(tmp_path):
    for generation in uapi.GENERATIONS:
        (tmp_path / f"{generation}.rs").write_text(rust.text(generation))

    done = compiled(tmp_path, *uapi.GENERATIONS)

    assert (done.returncode, done.stderr) == (0, "")


@needs_rustc
@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        # a wider field moves what follows; a narrower last one leaves a hole and moves nothing
        ("pub viommu_id: u32", "pub viommu_id: u64", "offset_of!(iommu_vdevice_alloc, dev_id) == 8"),
        ("pub virt_id: aligned_u64", "pub virt_id: u32", "size_of::<iommu_vdevice_alloc>() == 24"),
        ("#[repr(C, align(8))]", "#[repr(C, align(16))]", "align_of::<iommu_vdevice_alloc>() == 8"),
    ],
)
def test_a_type_that_is_another_one_is_refused_at_its_assertion(tmp_path, old, new, refused):
    text = rust.text("iommufd_7_2", ["iommu_vdevice_alloc"])
    assert old in text
    (tmp_path / "changed.rs").write_text(text.replace(old, new))

    done = compiled(tmp_path, "changed")

    assert done.returncode != 0
    assert refused in done.stderr


#: What a program writes, and the bytes that C has on little endian, by hand from the headers; a hole has any.
WRITTEN = {
    # an ioctl's argument, <linux/iommufd.h>: NEST_PARENT is bit 0, data_uptr stands at 32
    "iommufd_7_2": (
        """iommu_hwpt_alloc {
            size: 48, flags: IOMMU_HWPT_ALLOC_NEST_PARENT, dev_id: 2, pt_id: 3,
            data_uptr: aligned_u64::new(0x1122334455667788), ..Default::default()
        }""",
        "30000000 01000000 02000000 03000000 0{32} 8877665544332211 0{16}",
    ),
    # version 5 of May 2018: a bit field, on little endian the lowest bit of byte 16; its neighbours stay
    "v5_2018": (
        """{
            let mut made = page_response_msg { addr: 0x1000, pasid: 7, bits_3: 0xfe, ..Default::default() };
            made.set_pasid_present(3);
            assert!(made.pasid_present() == 1 && made.bits_3 == 0xff);
            made.set_pasid_present(0);
            made
        }""",
        "0010000000000000 07000000 00000000 fe000000 00000000 0000000000000000",
    ),
    # version 12: a union, and a hole at 12 and at the end
    "ptc_v12": (
        """{
            let mut made = iommu_pasid_table_config { argsz: 40, version: 1, ..Default::default() };
            made.base_ptr = 0x2000;
            made.vendor_data.smmuv3 = iommu_pasid_smmuv3 { version: 1, s1fmt: 2, ..Default::default() };
            made
        }""",
        "28000000 01000000 00000000 ........ 0020000000000000 00000000 01000000 02000000 ........",
    ),
    # words that are little-endian everywhere, a reserved array of nine bytes
    "virtio_2021": (
        """virtio_iommu_req_page_resp {
            grpid: le32::new(0x01020304), resp_code: le16::new(0x0506), ..Default::default()
        }""",
        "00000000 00000000 00000000 00000000 00000000 04030201 0605 00 00 00000000 00000000 00000000",
    ),
    # the seed: its bytes that follow are none of the type's
    "v1_2017": (
        "pasid_table_info { ptr: 1, size: 2, model: 3, length: 4, opaque: [] }",
        "0100000000000000 0200000000000000 03000000 04000000",
    ),
}
PROGRAM = """
mod {generation};
use {generation}::*;

fn main() {{
    let made = {made};
    let data = unsafe {{
        core::slice::from_raw_parts(&made as *const _ as *const u8, core::mem::size_of_val(&made))
    }};
    for byte in data {{
        print!("{{:02x}}", byte);
    }}
}}
"""


@needs_rustc
@pytest.mark.skipif(layout.host().byteorder != "little", reason="the bytes are those of little endian")
@pytest.mark.parametrize("generation", WRITTEN)
def test_a_program_in_rust_writes_the_bytes_of_c(tmp_path, generation):
    made, expected = WRITTEN[generation]
    (tmp_path / f"{generation}.rs").write_text(rust.text(generation))
    (tmp_path / "main.rs").write_text(PROGRAM.format(generation=generation, made=made))

    done = rustc("--edition", "2021", "-D", "warnings", "-o", tmp_path / "main", tmp_path / "main.rs")
    assert (done.returncode, done.stderr) == (0, "")
    written = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout

    assert re.fullmatch(expected.replace(" ", ""), written)


def asserted(generation: str, name: str, abi: str) -> dict[str, int]:
    """What the module asserts of a struct on an ABI."""
    record = uapi.declarations(generation).records[name]
    *_, made = rust_types.aggregates(name, record, plain.get(name, generation))
    return {fact.expression: fact.values[abi] for fact in made.facts()}


@pytest.mark.parametrize("generation", HEADERS)
def test_sizes_and_offsets_on_each_abi_are_the_compilers(generation):
    kernel, header = HEADERS[generation]
    structs = KERNELS[kernel]["headers"][header]["structs"]
    checked = 0
    for name in plain.generation(generation).structs.keys() & structs.keys():
        for row in structs[name]["layouts"]:
            # members of a nameless union begin where it does
            offsets = {field["offset"] for field in row["fields"] if "." not in field["name"]}
            for abi in row["arches"]:
                found = asserted(generation, name, abi)
                assert found.pop(f"size_of::<{name}>()") == row["size"]
                assert found.pop(f"align_of::<{name}>()") == row["align"]
                assert set(found.values()) == offsets
                checked += 1
    assert checked > 30


@needs_rustc
def test_each_target_of_rustc_has_the_condition_of_its_abi_and_no_others():
    targets = {
        "x86_64": "x86_64-unknown-linux-gnu", "x32": "x86_64-unknown-linux-gnux32",
        "i386": "i686-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu",
        "aarch64_be": "aarch64_be-unknown-linux-gnu", "arm": "armv7-unknown-linux-gnueabihf",
        "armeb": "armeb-unknown-linux-gnueabi", "riscv64": "riscv64gc-unknown-linux-gnu",
        "riscv32": "riscv32gc-unknown-linux-gnu", "powerpc64": "powerpc64-unknown-linux-gnu",
        "powerpc64le": "powerpc64le-unknown-linux-gnu", "powerpc": "powerpc-unknown-linux-gnu",
        "s390x": "s390x-unknown-linux-gnu", "mips": "mips-unknown-linux-gnu",
        "mipsel": "mipsel-unknown-linux-gnu", "mips64": "mips64-unknown-linux-gnuabi64",
        "sparc64": "sparc64-unknown-linux-gnu", "sparc": "sparc-unknown-linux-gnu",
        "loongarch64": "loongarch64-unknown-linux-gnu", "hexagon": "hexagon-unknown-linux-musl",
        "m68k": "m68k-unknown-linux-gnu",
    }  # fmt: skip
    assert set(TARGETS) - set(targets) == {"mips64n32"}  # of which rustc has no target
    wanted = {abi: set(re.findall(r'(\w+) = ("\w+")', condition)) for abi, condition in TARGETS.items()}
    for abi, target in targets.items():
        printed = rustc("--print", "cfg", "--target", target).stdout
        cfg = {tuple(line.split("=", 1)) for line in printed.splitlines() if "=" in line}
        assert [name for name, conditions in wanted.items() if conditions <= cfg] == [abi]


def test_numbers_of_ioctls_are_those_of_the_family():
    # asm/ioctl.h of mips, powerpc and sparc: "none" is 1 in the three upper bits
    text = rust.text("iommufd_7_2", ["iommu_hwpt_alloc"])
    condition = re.search(r"const IO: u32 = if cfg!\(any\((.*?)\)\) \{(.*?)\} else \{(.*?)\};", text, re.S)

    assert set(re.findall(r'target_arch = "(\w+)"', condition[1])) == {
        "mips", "mips64", "powerpc", "powerpc64", "sparc", "sparc64",
    }  # fmt: skip
    assert [int(number, 16) for number in condition.groups()[1:]] == [0x20003B00, 0x3B00]
    assert "pub const IOMMU_HWPT_ALLOC: u32 = IO | 0x89;" in text


def test_a_struct_brings_what_lies_in_it_its_values_and_its_command(capsys):
    text = run(capsys, "gen", "rust", "iommu_fault@linux_5_10").out

    assert re.findall(r"^pub (?:struct|union) (\w+)", text, re.M) == [
        "iommu_fault_unrecoverable", "iommu_fault_page_request", "iommu_fault__anon_2", "iommu_fault",
    ]  # fmt: skip
    assert "pub const IOMMU_FAULT_PAGE_REQ: u32 = 2;" in text
    assert "IOMMU_PASID_INVALID" not in text


def test_a_field_says_what_it_is_for_and_who_writes_it(capsys):
    text = run(capsys, "gen", "rust", "iommu_hwpt_alloc@iommufd_7_2").out

    assert "    /// the new HWPT (out)\n    pub out_hwpt_id: u32,\n" in text
    assert "    /// type of the data; values: iommu_hwpt_data_type\n    pub data_type: u32,\n" in text


def test_a_module_is_one_generation(capsys):
    done = run(capsys, "gen", "rust", "iommufd_7_2", "vfio_7_2")

    assert done.status == 2
    assert sentence(done) == "gen rust: a module is one generation, not iommufd_7_2 and vfio_7_2"
    assert sentence(run(capsys, "gen", "rust", "--all")) == "gen rust: --all is for syzlang"
    assert sentence(run(capsys, "gen", "rust", "--abi", "i386")) == "gen rust: --abi is for c-asserts"
    assert sentence(run(capsys, "gen", "rust", "iommu_nothing")).startswith("unknown struct 'iommu_nothing'")
