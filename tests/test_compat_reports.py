"""compat on the shapes of real headers that it once judged wrongly, in both directions.

What is expected comes from the kernel: copy_struct_from_user() (include/linux/uaccess.h) takes what a size
tells, drm_ioctl() and extensible_ioctl_valid() take it from the number, spare fields are zero, and gcc -m32
says how large a struct is on i386.
"""

from __future__ import annotations

import os
import socket
import time

import pytest
from cli_support import run, sentence

from iommu_abi import compat
from iommu_abi.compat import Verdict, compiler
from iommu_abi.uapi import layout

OK, IF_ZERO, BREAKING = Verdict
TYPES = "#include <linux/types.h>\n"
IOCTL = TYPES + "#include <linux/ioctl.h>\n"


@pytest.fixture
def written(tmp_path):
    """Writes a file in a directory of its own and returns its path."""

    def write(text, name="x.h"):
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def compared(written):
    def compare(old, new, **more):
        return compat.compare(*(compat.read(str(written(TYPES + text))) for text in (old, new)), **more)

    return compare


def findings(report):
    return {(f"{s.name}.{f.field}".rstrip("."), f.change) for s in report.subjects for f in s.findings}


def reasons(report):
    return " ".join(f.reason for s in report.subjects for f in s.findings)


# ---------------------------------------------------------------- false COMPATIBLE


@pytest.mark.parametrize("words", [("-I", 0, "-I", 1), ("--include-old", 0, "--include-new", 1)])
def test_each_side_has_its_own_include_root(capsys, tmp_path, words):
    for tree, n in (("t1", 1), ("t2", 2)):
        for path, text in (("inc/my/dep.h", f"#define N {n}\n"), ("api/s.h", "struct s { __u32 a[N]; };")):
            file = tmp_path / tree / path
            file.parent.mkdir(parents=True)
            file.write_text(text if path[0] == "i" else f"{TYPES}#include <my/dep.h>\n{text}")
    trees = [tmp_path / "t1", tmp_path / "t2"]
    include = [trees[word] / "inc" if isinstance(word, int) else word for word in words]

    done = run(capsys, "compat", *include, *(tree / "api/s.h" for tree in trees))

    assert done.status == 1
    assert "s: size: 4 -> 8 bytes" in done.out


@pytest.mark.parametrize("top", ["drm/x.h", "linux/sched/x.h", "asm/x.h", "rdma/x.h"])
def test_a_header_finds_its_own_tree(tmp_path, top):
    for tree, n in (("a", 1), ("b", 2)):
        for path, text in (("linux/of_mine.h", f"#define N {n}\n"), (top, "#include <linux/of_mine.h>\n")):
            file = tmp_path / tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + ("#define X (N + 1)\n" if path == top else ""))

    assert [compat.read(str(tmp_path / tree / top)).macros["X"] for tree in "ab"] == [2, 3]


def test_the_machines_own_headers_of_a_tree_are_found_beside_it(tmp_path):
    root = tmp_path / "any-linux-any"
    for path in (root / "linux", tmp_path / "x86-linux-any/asm"):
        path.mkdir(parents=True)
    (tmp_path / "x86-linux-any/asm/of_mine.h").write_text("#define N 7\n")
    (root / "linux/x.h").write_text("#include <asm/of_mine.h>\n#define X N\n")
    if layout.host().name != "x86_64":
        pytest.skip("the tree is one of x86")

    assert compat.read(str(root / "linux/x.h")).macros == {"X": 7}


def test_a_difference_between_abis_that_vanishes_is_a_break_there(capsys, written):
    old, new = (written(f"{TYPES}struct s {{ __u32 a; {t} b; }};") for t in ("__u64", "__aligned_u64"))
    done = run(capsys, "compat", old, new)

    assert done.status == 1
    assert "s: size: 12 -> 16 bytes" in done.out
    assert "s.b: moved: offset 4 -> 8, on i386 m68k" in done.out
    assert run(capsys, "compat", old, new, "--abi", "i386").status == 1
    assert run(capsys, "compat", old, new, "--abi", "x86_64").status == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [  # gcc -m32
        ("union u { struct { long long a; long long b[]; } __attribute__((aligned(8))) x; __u32 y; };", 16),
        ("typedef struct { __u64 a; } __attribute__((aligned(8))) u_t; struct u { u_t a; };", 16),
        ("struct u { __u64 a __attribute__((aligned(8))); };", 16),
        ("struct u { struct { __u64 a; } b __attribute__((aligned(8))); };", 16),
        ("struct u { __u64 a; };", 12),
    ],
)
def test_alignment_is_read_and_not_guessed(written, text, size):
    kind = text.partition(" ")[0].replace("typedef", "struct")
    model = compat.read(str(written(f"{TYPES}{text} struct o {{ __u32 z; {kind} u u; }};")))

    assert model.portable("o")
    assert model.layout("o", layout.ABIS["i386"]).size == size


def test_bit_fields_without_a_name_keep_a_struct_to_its_abi(compared):
    # m68k would not place c at 4 without them, and DWARF does not have them
    old = "struct s { __u16 a; __u16 :16; __u32 c; };"

    assert findings(compared(old, old)) == set()
    assert compared(old, old.replace("__u16 a", "__u8 a; __u8 b")).verdict is not IF_ZERO
    assert not any("m68k" in r for r in reasons(compared(old, "struct s { __u32 a; __u32 c; };")).split())


# ---------------------------------------------------------------- false BREAKING


@pytest.mark.parametrize(
    "name", ["spare", "spare0", "__spare2", "f_spare", "resvd", "mem_rsvd", "cap_____res", "mbz", "filler"]
)
def test_reserved_names_of_real_headers(compared, name):
    report = compared(f"struct s {{ __u32 a; __u32 {name}; }};", "struct s { __u32 a; __u32 b; };")

    assert findings(report) == {("s.b", "reserved taken")}
    assert report.verdict is IF_ZERO


def test_spare_fields_taken_are_compatible_if_zero(compared):
    report = compared(
        "struct s { __u32 a; __u32 spare0; __u64 spare[4]; };",
        "struct s { __u32 a; __u32 b; __u64 c; __u64 spare[3]; };",
    )

    assert (report.old_program, report.new_program) == (IF_ZERO, IF_ZERO)


@pytest.mark.parametrize(
    ("tag", "members", "constants", "contract"),
    [
        ("attr", "__u32 type; __u32 size; __u64 config;", "", "size at 4"),
        ("op", "__u32 flags; __u32 argsz; __u64 config;", "", "size at 4"),
        ("how", "__u64 flags; __u64 mode;", "#define HOW_SIZE_VER0 16\n", "size as argument"),
        ("open_how", "__u64 flags; __u64 mode;", "", "size as argument"),
        ("landlock_ruleset_attr", "__u64 handled_access_fs;", "", "size as argument"),
        ("bpf_attr", "__u64 a;", "", "size as argument"),
        ("pidfd_info", "__u64 mask;", "", "size in the ioctl"),
        ("__sk_buff", "__u64 a;", "", "BPF context"),
        ("rtnl_link_stats64", "__u64 a;", "", "netlink attribute"),
        ("fuse_init_out", "__u64 a;", "", "negotiated"),
    ],
)
def test_a_size_that_is_told_otherwise_lets_a_struct_grow(compared, tag, members, constants, contract):
    kind = "union" if tag == "bpf_attr" else "struct"
    more = "struct { __u64 x; __u64 more; };" if kind == "union" else "__u64 more;"
    report = compared(
        f"{constants}{kind} {tag} {{ {members} }};", f"{constants}{kind} {tag} {{ {members} {more} }};"
    )
    (found,) = (s for s in report.subjects if s.name == tag)

    assert found.contract == contract
    assert (report.old_program, report.new_program) == (OK, IF_ZERO)


@pytest.mark.parametrize("tag", ["handle", "other_attr_of_nobody"])
def test_any_other_struct_stays_frozen(compared, tag):
    report = compared(
        f"struct {tag} {{ __u64 handle; __u64 size; }};",
        f"struct {tag} {{ __u64 handle; __u64 size; __u64 b; }};",
    )

    assert report.verdict is BREAKING


@pytest.mark.parametrize(
    ("word", "contract"), [("s=length", "size in length"), ("s=arg", "size as argument")]
)
def test_the_user_can_say_what_is_extensible(capsys, written, word, contract):
    old = written(f"{TYPES}struct s {{ __u64 a; __u32 length; __u32 b; }};")
    new = written(f"{TYPES}struct s {{ __u64 a; __u32 length; __u32 b; __u64 c; }};")

    assert run(capsys, "compat", old, new).status == 1
    done = run(capsys, "compat", old, new, "--extensible", word, "--json")
    assert done.status == 0
    assert done.json["subjects"][0]["contract"] == contract
    assert run(capsys, "compat", old, new, "--extensible", "s").status == 0


@pytest.mark.parametrize(
    ("word", "said"), [("s=nothing", "has no field nothing"), ("=a", "expected STRUCT"), ("s=", "got 's='")]
)
def test_a_wrong_word_about_what_is_extensible_is_misuse(capsys, written, word, said):
    header = written(f"{TYPES}struct s {{ __u64 a; }};")
    done = run(capsys, "compat", header, header, "--extensible", word)

    assert done.status == 2
    assert said in sentence(done)


@pytest.mark.parametrize("macro", ["DRM_IOWR(1, struct s)", "_IOWR('d', 1, struct s)"])
def test_an_ioctl_of_drm_grows_with_its_struct(written, macro):
    head = IOCTL + "#define DRM_IOWR(nr, type) _IOWR('d', nr, type)\n"
    models = [
        compat.read(str(written(f"{head}struct s {{ __u64 {members}; }};\n#define DO_IT {macro}\n")))
        for members in ("a", "a, b")
    ]
    report = compat.compare(*models)

    assert report.verdict is (OK if macro.startswith("DRM") else BREAKING)


def test_a_flexible_tail_that_leaves_the_size_as_it_was(compared):
    head = "struct s { __u64 a; __u32 res; __u32 flags; "

    assert findings(compared(head + "};", head + "__u64 big[]; };")) == {("s.big", "flexible tail")}
    assert compared(head + "};", head + "__u64 big[]; };").verdict is OK


def test_a_new_struct_that_differs_between_abis_is_a_note(compared):
    report = compared("", "struct fresh { __u32 id; __u64 addr; };")

    assert report.verdict is OK
    assert ("fresh.addr", "ABIs differ") in findings(report)


@pytest.mark.parametrize(
    "more", ["struct { __u32 x; __u64 y; } t;", "struct { __u64 x; __u32 y; __u64 z; } t;"]
)
def test_a_new_member_of_a_union_that_differs_between_abis_is_a_note(compared, more):
    # as link_create.tracing of bpf_attr (Linux 5.18), perf_event.tracepoint of bpf_link_info (6.6)
    old = "struct s {{ __u32 size; __u32 id; union {{ __u64 a[4]; {} }}; }};"
    report = compared(old.format(""), old.format(more))

    assert report.old_program is OK
    assert ("ABIs differ", OK) in {(f.change, f.old_program) for s in report.subjects for f in s.findings}


def test_an_alias_withdrawn_leaves_the_number_to_its_other_name(compared):
    # RTM_NEWNVLAN of rtnetlink.h, which stood for RTM_NEWVLAN (Linux 5.18)
    report = compared("enum { X_NEW = 7 };\n#define X_NNEW X_NEW", "enum { X_NEW = 7 };")

    assert (report.verdict, findings(report)) == (OK, {("X_NNEW", "withdrawn")})
    assert compared("enum { X_NEW = 7 };\n#define X_NNEW X_NEW", "enum { X_NEW = 8 };").verdict is BREAKING


def test_a_member_that_became_a_union_which_holds_it(compared):
    report = compared(
        "struct s { __u32 a; __u32 data; };",
        "struct s { __u32 a; union { __u32 word; struct { __u16 x; __u16 y; } half; } data; };",
    )

    assert (report.old_program, report.new_program) == (OK, IF_ZERO)


# ---------------------------------------------------------------- constants


def test_a_macro_that_cannot_be_evaluated_is_not_withdrawn(capsys, written):
    text = "struct a { __u32 x; };\n#define CMD _IOW(0x62, 0, struct a)\n"
    done = run(capsys, "compat", written(IOCTL + text), written(TYPES + text))

    assert done.status == 0
    assert "CMD is still defined, but cannot be evaluated" in done.out
    assert "0 withdrawn, 1 not evaluable" in done.out
    assert "1 macro is no integer to the compiler and not evaluated: CMD" in done.out


def test_what_moved_to_a_header_that_is_included_is_not_withdrawn(tmp_path):
    own = "#define X_A 1\n#define X_B 2\nstruct s { __u32 a; };\nenum { X_C = 3 };\n"
    for tree, there, here in (("a", "", own), ("b", own.replace("X_B 2", "X_B 4"), "")):
        (tmp_path / tree / "linux").mkdir(parents=True)
        (tmp_path / tree / "linux/part.h").write_text(TYPES + there)
        (tmp_path / tree / "linux/x.h").write_text(TYPES + "#include <linux/part.h>\n" + here)
    report = compat.compare(*(compat.read(str(tmp_path / tree / "linux/x.h")) for tree in "ab"))

    assert findings(report) == {
        ("X_A", "moved"), ("X_B", "renumbered"), ("X_B", "moved"), ("X_C", "moved"), ("s", "moved"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("#define BPF_F_IPV6 0x80", "#define BPF_F_DECAP_L3_IPV6 0x100", {"withdrawn", "added"}),
        ("#define BPF_F_IPV6 0x80", "#define BPF_F_DECAP_L3_IPV6 0x80", {"renamed"}),
        ("#define A_B 1\n#define A_C 2", "enum e { X_A_B = 0, X_A_C = 1 };", {"renumbered"}),
        ("#define A_B 1\n#define A_C 2", "enum e {X_A_B = 1, X_A_C = 0};", {"renamed", "added", "withdrawn"}),
        ("#define X_ALL 7", "#define X_ALL 15", {"limit"}),
        ("#define X_ALL 7", "#define X_ALL 8", {"renumbered"}),
        ("#define X_SUPPORTED 1", "#define X_SUPPORTED 3", {"limit"}),
        ("#define X_VALID_EXITS 7", "#define X_VALID_EXITS 15", {"limit"}),
        ("#define X_VERSION_MINOR 7", "#define X_VERSION_MINOR 9", {"version"}),
        ("#define X_CNT 7", "#define X_CNT 9", {"limit"}),
        # it would have got more bits, but this enumeration counts: a command
        ("enum e { A, B, C, D, X_ALL = 6 };", "enum e { A, B, C, D, X_ALL = 7 };", {"renumbered"}),
    ],
)  # fmt: skip
def test_names_and_numbers(compared, old, new, changes):
    assert {change for _, change in findings(compared(old, new))} == changes


@pytest.mark.parametrize(
    ("old", "verdict"),
    [
        ("#define X_FLAGS_LEAF 4\n", BREAKING),  # IOMMU_INV_ADDR_FLAGS_LEAF, gone in Linux 5.18
        ("#define X_MASK_INTX (1 << 2)\n", BREAKING),  # KVM_DEV_ASSIGN_MASK_INTX, gone in 6.9
        ("#include <linux/ioctl.h>\n#define X_SET_MSIX_NR _IO(0xae, 0x73)\n", BREAKING),  # KVM_ASSIGN_SET_...
        ("enum e { X_A, X_B, X_C, X_D, X_SHARE_ALL = 6 };", BREAKING),  # KVM_PV_UNSHARE_ALL
        ("#define X_ALL 7\n", OK),
        ("#define X_NR 7\n", OK),
        ("#define X_MAX 8\n", OK),
    ],
)
def test_what_is_withdrawn_is_a_limit_by_more_than_its_name(compared, old, verdict):
    new = "enum e { X_A, X_B, X_C, X_D };" if "enum" in old else ""

    assert compared(old, new).verdict is verdict


@pytest.mark.parametrize(
    ("root", "there"),
    [("any-linux-any", "{}/../s390x-linux-any/asm"), ("include", "{}/s390x-linux-gnu/asm")],
)
def test_what_moved_to_the_asm_of_another_machine_is_not_withdrawn(tmp_path, root, there):
    # as the s390 part of linux/kvm.h did in Linux 6.9
    own = "struct x_s390 { __u32 a; };\n#define X_RESET 4\n#define X_GONE 5\nenum { X_EN = 3, };\n"
    moved = "struct x_s390 {\n\t__u32 a;\n};\n#define X_RESET 4\nenum {\n\tX_EN = 3,\n};\n"
    for tree, here, asm in (("a", own, ""), ("b", "", moved)):
        include = tmp_path / tree / root
        (include / "linux").mkdir(parents=True)
        (include / "linux/x.h").write_text(TYPES + here)
        machine = tmp_path / tree / there.format(root)
        machine.resolve().mkdir(parents=True)
        (machine.resolve() / "x.h").write_text(asm)
    report = compat.compare(*(compat.read(str(tmp_path / tree / root / "linux/x.h")) for tree in "ab"))

    assert findings(report) == {
        ("x_s390", "moved"), ("X_RESET", "moved"), ("X_EN", "moved"), ("X_GONE", "withdrawn"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#define A (~0ULL)", 2**64 - 1),
        ("#define A (1ULL << 63)", 2**63),
        ("#define A (1 << 31)", 2**31),
        ("enum { A = 1 << 31 };", 2**31),
        ("enum { A = ~0ULL };", 2**64 - 1),
        ("#define A (-1)", -1),
        ("enum { A = -22 };", -22),
    ],
)
def test_numbers_are_unsigned_but_for_errnos(written, text, value):
    assert compat.read(str(written(text))).constants()["A"].value == value


def test_one_compile_finds_all_macros_that_cannot_be_evaluated(capsys, written, monkeypatch):
    # gcc reports an undeclared identifier once in each function
    header = written("".join(f"#define X_{n} (UNDECLARED_ELSEWHERE + {n})\n" for n in range(300)))
    runs = []
    real = compiler.run
    monkeypatch.setattr(compiler, "run", lambda *a, **k: (runs.append(a), real(*a, **k))[1])

    done = run(capsys, "compat", header, header)

    assert done.status == 0
    assert len(runs) <= 2 * 5
    assert "300 macros are no integers to the compiler and not evaluated: X_0, X_1, X_2, ..." in done.out


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_what_is_no_file_is_refused(capsys, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = "/dev/zero" if kind == "device" else "x.h"
    if kind == "fifo":
        os.mkfifo(path)
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path)

    done = run(capsys, "compat", path, "iommufd_7_2")

    assert done.status == 2
    assert "a pipe, a socket or a device" in sentence(done)


def test_a_header_that_is_too_large_is_refused(capsys, tmp_path):
    path = tmp_path / "x.h"
    with path.open("wb") as file:
        file.truncate((16 << 20) + 1)

    done = run(capsys, "compat", path, "iommufd_7_2")

    assert done.status == 2
    assert "are no C header" in sentence(done)


def test_a_compiler_that_does_not_end_is_ended(capsys, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "never.h")
    header = tmp_path / "x.h"
    header.write_text('#include "never.h"\n')
    monkeypatch.setattr(compiler, "SECONDS", 1)
    start = time.monotonic()

    done = run(capsys, "compat", header, "iommufd_7_2")

    assert done.status == 2
    assert "did not end within 1 s" in sentence(done)
    assert time.monotonic() - start < 30


def test_a_compiler_that_takes_too_much_memory_is_misuse_and_no_trouble(capsys, tmp_path, monkeypatch):
    header = tmp_path / "x.h"
    bomb = "".join(f"#define B{n + 1} B{n}, B{n}, B{n}, B{n}, B{n}, B{n}, B{n}, B{n}\n" for n in range(12))
    header.write_text(f"#define B0 0\n{bomb}int a[] = {{ B12 }};\n")
    monkeypatch.setattr(compiler, "SECONDS", 2)

    done = run(capsys, "compat", header, "iommufd_7_2")

    assert done.status == 2
    assert sentence(done)
