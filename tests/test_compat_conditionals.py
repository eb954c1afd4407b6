"""Headers that say one thing on one machine and another on the next.

Here the compiler of this machine plays that of the package ziglang, for five of the 22 ABIs: it predefines
the name of the machine that is asked for, and the layout engine computes what it declares. What ziglang's own
clang makes of such headers on all ABIs is in check_cross.py.
"""

from __future__ import annotations

import pytest
from cli_support import DATA, run

from iommu_abi import compat
from iommu_abi.compat import Verdict, compiler, dependence, everywhere, machines, roots
from iommu_abi.uapi import layout

FOUR = ("aarch64", "arm", "mips", "s390x")
TYPES = "#include <linux/types.h>\n"
OK, IF_ZERO, BREAKING = Verdict


@pytest.fixture
def write(tmp_path):
    def one(text, name="x.h"):
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / name
        path.parent.mkdir()
        path.write_text(TYPES + text)
        return path

    return one


@pytest.fixture
def no_ziglang(monkeypatch):
    monkeypatch.setattr(compiler, "find_spec", lambda _: None)


@pytest.fixture
def ziglang(monkeypatch, tmp_path_factory):
    """A compiler for five ABIs that knows their names, and nothing else about them."""
    five = [compat.read("vfio_7_2").abi or layout.host(), *map(layout.ABIS.get, FOUR)]
    monkeypatch.setattr(everywhere, "ABIS", {abi.name: abi for abi in five})
    names = [f"-U__{name}__" for name in ("x86_64", "aarch64", "i386", "arm", "s390x")]
    monkeypatch.setattr(compiler, "ziglang", lambda: tmp_path_factory.mktemp("zig"))
    monkeypatch.setattr(compiler, "zig", compiler.command)
    monkeypatch.setattr(machines, "target", lambda m: (*names, f"-D__{m.abi}__=1", "-fmax-errors=0"))


def compared(write, old, new, **more):
    return compat.compare(*(compat.read(str(write(text))) for text in (old, new)), **more)


def said(report):
    return [
        (f"{s.name}.{f.field}".rstrip("."), f.change, f.reason) for s in report.subjects for f in s.findings
    ]


# ---------------------------------------------------------------- which headers depend on the machine


@pytest.mark.parametrize(
    "line",
    [
        "#ifdef __x86_64__",
        "#if defined(__i386__) || defined(__arm__)",
        "#ifndef __s390x__",
        "#  elif defined(__powerpc64__)",
        "#if __BITS_PER_LONG == 64",
        "#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__",
        "#if defined(__BIG_ENDIAN_BITFIELD)",
        "#ifdef __LITTLE_ENDIAN",
        "#if __BYTE_ORDER == __BIG_ENDIAN",
        "#ifdef __LP64__",
        "#ifdef _LP64",
        "#if __WORDSIZE == 32",
        "#if defined(mips)",
        "#if defined __ARCH_WANT_STAT64",
        "#ifdef __KVM_H\n#ifdef __riscv",
        "struct s { __u8 pad[16 - sizeof(long)]; };",
        "struct s { __u8 pad[2 * sizeof(struct t)]; };",
        "struct s { unsigned long sig[64 / __BITS_PER_LONG]; };",
        "struct s { __kernel_old_uid_t uid; };",
        "struct s { time_t when; };",
        "struct s { struct timeval when; };",
        "#define CMD _IOR('x', 1, unsigned long)",
        "#define CMD _IOWR('x', 1, struct s *)",
        "#define CMD _IOW('x', 1, size_t)",
        "#define NONE (~0UL)",
        "#define BIT (1UL << 40)",
        "#define BIT (1UL << X_SHIFT)",
    ],
)
def test_a_header_depends_on_the_machine(tmp_path, line):
    path = tmp_path / "x.h"
    path.write_text(f"/* __x86_64__ */\n// __s390x__\n{line}\n")

    number = 3 + line.count("\n")
    assert dependence.first([str(path)], []).startswith(f"line {number} of x.h: ")


@pytest.mark.parametrize(
    "line",
    [
        "#ifndef _LINUX_ARM_SMMU_H",
        "#ifdef __KERNEL__",
        "#if defined(__cplusplus) && defined(__STDC__) && defined(__GNUC__)",
        "struct iommu_hwpt_arm_smmuv3 { __aligned_le64 ste[2]; __u64 arm; };",
        "enum { IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2, X86 = 3, IOMMU_HWPT_ALLOC_S390X = 4 };",
        "struct s { unsigned long a; void *b; size_t c; __kernel_size_t d; __kernel_loff_t e; };",
        "struct s { __be32 big_endian; __le64 little_endian; };",
        "#define CMD _IOWR('x', 1, struct s)",
        "#define CMD _IOR('x', 1, __u64)",
        "#define CMD _IOR('x', 1, long long)",
        "#define NONE (~0ULL)",
        "#define BIT (1ULL << 40)",
        "#define BIT (1UL << 7)",
        "/* #ifdef __x86_64__\n * sizeof(long) */",
        "#define X (sizeof(struct s))",
    ],
)
def test_a_header_is_the_same_on_all_machines(tmp_path, line):
    path = tmp_path / "x.h"
    path.write_text(line + "\n")

    assert dependence.first([str(path)], ["/usr/include/asm/types.h", "/usr/include/stdlib.h"]) == ""


def test_what_each_machine_has_of_its_own_is_a_dependence_too():
    assert "asm/kvm.h" in dependence.first([], ["/usr/include/x86_64-linux-gnu/asm/kvm.h"])


@pytest.mark.parametrize("path", sorted((DATA / "reports/compat").glob("*.h")), ids=lambda path: path.name)
def test_headers_without_conditionals_need_no_other_compiler(path):
    assert compat.read(str(path)).depends == ""


# ---------------------------------------------------------------- without a compiler for other machines


PAIR = (
    "struct s { __u32 a; };",
    "struct s { __u32 a;\n#ifdef __s390x__\n__u32 b;\n#endif\n};",
)


def test_without_ziglang_one_line_says_what_was_not_seen(no_ziglang, capsys, write):
    done = run(capsys, "compat", *map(write, PAIR))
    here = layout.host().name

    assert done.status == 0
    assert done.out.endswith(
        "line 3 of x.h: #ifdef __s390x__: "
        f"seen as {here} has it only; the package ziglang would compile each ABI\n"
    )
    assert done.out.count("the package ziglang") == 1


def test_without_ziglang_what_is_asked_about_this_machine_is_not_in_doubt(no_ziglang, capsys, write):
    done = run(capsys, "compat", *map(write, PAIR), "--abi", compat.read(str(write(""))).abi.name)

    assert done.status == 0
    assert "the package ziglang" not in done.out


# ---------------------------------------------------------------- with one


def test_a_break_on_one_machine_is_said_with_its_name(ziglang, capsys, write):
    done = run(capsys, "compat", *map(write, PAIR))

    assert done.status == 1
    assert "s: size: 4 -> 8 bytes: nothing that is known tells the struct's size, on s390x\n" in done.out
    assert "line 3 of x.h: #ifdef __s390x__: each ABI was compiled" in done.out


def test_a_difference_that_vanishes_is_a_break_where_it_was(ziglang, write):
    assert compared(write, *reversed(PAIR)).verdict is BREAKING
    assert ("s", "size", "8 -> 4 bytes: nothing that is known tells the struct's size, on s390x") in said(
        compared(write, *reversed(PAIR))
    )


@pytest.mark.parametrize(("abi", "verdict"), [("s390x", BREAKING), ("mips", OK)])
def test_one_abi_alone_can_be_asked(ziglang, write, abi, verdict):
    assert compared(write, *PAIR, abi=layout.ABIS[abi]).verdict is verdict


def test_equal_verdicts_of_several_abis_are_one_line(ziglang, write):
    report = compared(
        write,
        "#if defined(__arm__) || defined(__mips__) || defined(__s390x__)\nstruct s { __u64 a; };\n#endif",
        "#ifdef __mips__\nstruct s { __u64 a; };\n#endif",
    )

    assert said(report) == [("s", "withdrawn", "new kernels do not know it, on arm s390x")]


def test_what_all_but_a_few_have_is_said_so(ziglang, write):
    report = compared(
        write,
        "#ifndef __s390x__\n#define X 1\n#endif\n#define Y 1",
        "#ifndef __s390x__\n#define X 2\n#endif\n#define Y 2",
    )

    assert said(report) == [("X", "renumbered", "1 -> 2, on all but s390x"), ("Y", "renumbered", "1 -> 2")]


def test_what_only_other_machines_have_is_listed(ziglang, write):
    report = compared(write, "", "#ifdef __s390x__\nstruct s { __u64 a; };\nenum { X = 7 };\n#endif")

    assert said(report) == [
        ("s", "added", "8 bytes, on s390x"), ("X", "added", "old kernels do not know 7, on s390x"),
    ]  # fmt: skip
    assert report.verdict is OK


def test_different_numbers_on_different_machines_are_different_lines(ziglang, write):
    text = "struct s {\n#ifdef __s390x__\n__u32 a[%d];\n#elif defined(__mips__)\n__u32 a[%d];\n#endif\n};"
    report = compared(write, text % (1, 4), text % (2, 5))

    assert [r for _, change, r in said(report) if change == "size"] == [
        "16 -> 20 bytes: nothing that is known tells the struct's size, on mips",
        "4 -> 8 bytes: nothing that is known tells the struct's size, on s390x",
    ]


def test_what_is_conditional_is_compared_within_one_kernels_programs(ziglang, write):
    # aarch64's kernel runs programs of arm, and none of mips
    other = "#ifdef __{}__\nstruct s {{ __u64 a; __u64 b; }};\n#else\nstruct s {{ __u64 a; }};\n#endif"

    def between(old, new):
        return [r for _, change, r in said(compared(write, old, new)) if change == "ABIs differ"]

    places = "b is not there on aarch64, and 8 bytes at 8 on arm"
    assert between("", other.format("mips")) == []
    assert between("", other.format("arm")) == [
        f"{places}; the struct is new: its kernel has to know them all",
    ]
    assert between("struct s { __u64 a; };", other.format("arm")) == [places]


def test_a_new_field_that_is_conditional_breaks_nothing_old(ziglang, write):
    # as riscv_sbi of kvm_run (Linux 5.20), whose numbers are as wide as a long
    text = "struct s {{ __u32 a;\n#ifdef __s390x__\n__u32 b;\n#endif\nunion {{ __u64 c[8]; {} }}; }};"
    report = compared(write, text.format(""), text.format("struct { unsigned long x; } d;"))

    places = "d.x is 8 bytes at 8 on aarch64, and 4 bytes at 8 on arm"
    assert [r for _, change, r in said(report) if change == "ABIs differ"] == [
        f"{places}; the field is new: its kernel has to know them all"
    ]
    assert report.old_program is OK


def test_what_moved_to_the_asm_of_one_machine_is_gone_on_none(ziglang, tmp_path):
    # as the x86 part of linux/kvm.h did in Linux 6.9
    own = "struct x_own {\n\t__u32 a;\n};\n#define X_RESET 4\nenum {\n\tX_EN = 3,\n};\n"
    here = layout.host().name.replace("x86_64", "x86")
    for tree, text, asm in (
        ("a", own, ""),
        ("b", "", own.replace("{ _", "{\n_").replace(" X_EN", "\n X_EN")),
    ):
        for machine in (here, *FOUR):
            (tmp_path / tree / f"{machine}-linux-any/asm").mkdir(parents=True)
            (tmp_path / tree / f"{machine}-linux-any/asm/x.h").write_text(asm if machine == here else "")
        (tmp_path / tree / "any-linux-any/linux").mkdir(parents=True)
        path = tmp_path / tree / "any-linux-any/linux/x.h"
        path.write_text(f"{TYPES}#include <asm/x.h>\n{text}")
    report = compat.compare(*(compat.read(str(tmp_path / t / "any-linux-any/linux/x.h")) for t in "ab"))

    assert {(name, change) for name, change, _ in said(report)} == {
        ("x_own", "moved"), ("X_RESET", "moved"), ("X_EN", "moved"),
    }  # fmt: skip
    assert report.verdict is OK


@pytest.mark.parametrize(
    ("abi", "there", "used"),
    [
        ("i386", ["x86_64-linux-gnu", "i386-linux-gnu"], "i386-linux-gnu"),
        ("i386", ["x86_64-linux-gnu", "s390x-linux-gnu"], "x86_64-linux-gnu"),
        ("x32", ["x86_64-linux-gnu"], "x86_64-linux-gnu"),
        ("armeb", ["arm-linux-gnueabi", "x86_64-linux-gnu"], "arm-linux-gnueabi"),
        ("mips", ["x86_64-linux-gnu"], "mips-linux-any"),
        ("s390x", ["s390x-linux-gnu", "x86_64-linux-gnu"], "s390x-linux-gnu"),
    ],
)
def test_a_machine_has_the_asm_of_its_family_first(tmp_path, abi, there, used):
    # Debian's multiarch directories; in the package ziglang a directory for each family
    for name in there:
        (tmp_path / "include" / name / "asm").mkdir(parents=True)
    header = tmp_path / "include/linux/x.h"

    first, *others = roots.directories_for(header, [], machines.MACHINES[abi], tmp_path / "zig")

    assert first.name == used
    assert [path.name for path in others][-1] == "any-linux-any"
    assert not {path for path in others if path.parent.name == "include"} & {
        tmp_path / "include" / name for name in there
    }


def test_a_machine_for_which_a_header_does_not_compile_is_said(ziglang, capsys, write):
    text = '#ifdef __s390x__\n#error "not here"\n#endif\nstruct s { __u32 a; };'
    done = run(capsys, "compat", write(text), write(text.replace("u32", "u64")))

    assert done.status == 1
    assert "not compared on s390x: " in done.out
    assert "s: size: 4 -> 8 bytes: nothing that is known tells the struct's size\n" in done.out


def test_standard_input_is_compiled_for_each_abi_too(ziglang, capsys, write, monkeypatch):
    old, new = map(write, PAIR)
    done = run(capsys, "compat", "-", new, stdin=old.read_bytes(), monkeypatch=monkeypatch)
    back = run(capsys, "compat", new, "-", stdin=old.read_bytes(), monkeypatch=monkeypatch)

    assert (done.status, back.status) == (1, 1)
    assert "on s390x" in done.out
    assert "on s390x" in back.out


def test_numbers_of_ioctls_are_compared_with_a_header_only(ziglang, write):
    # a generation has the numbers of this machine; those of powerpc, mips and sparc are others
    same = write(
        "#include <linux/ioctl.h>\n#ifdef __mips__\n#endif\n#define VFIO_CHECK_EXTENSION _IO(';', 101)\n"
    )
    report = compat.compare(compat.read("vfio_7_2"), compat.read(str(same)))

    assert [f for s in report.subjects if s.name == "VFIO_CHECK_EXTENSION" for f in s.findings] == []
