"""The seed's kernel API: hooks in Python and in C, reached from either side.

Facts: the patch of June 2017 (semantics: bind and unbind return -EINVAL without the driver's hook and
when CONFIG_IOMMU_API is off; otherwise what the hook returns, arguments unchanged).
"""

from __future__ import annotations

import ctypes
import errno
import gc
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from iommu_abi import Device, Domain, IommuOps, _core, get_include
from iommu_abi.uapi import v1_2017

INFO = v1_2017.pasid_table_info(ptr=0x20000, size=4096, model=1, opaque=b"\1\2\3\4\5")

C_DRIVER = """
#include <errno.h>
#include "iommu_abi.h"
int calls;
static int bind(struct iommu_domain *d, struct device *dev, struct pasid_table_info *i)
{
	calls++;
	return !d->priv || !dev ? -EFAULT : i->size == 4096 && i->opaque[4] == 5 ? 0 : -EBUSY;
}
static int unbind(struct iommu_domain *d, struct device *dev) { (void)d; (void)dev; return -ENODEV; }
const struct iommu_ops c_driver = { bind, unbind }, no_hooks = { 0, 0 };

/* a C program that is given a domain whose driver may be Python */
int bind_from_c(struct iommu_domain *d, struct device *dev, struct pasid_table_info *i)
{
	return d->ops->bind_pasid_table ? d->ops->bind_pasid_table(d, dev, i) : -EINVAL;
}
int stub_bind(void) { return iommu_bind_pasid_table(0, 0, 0); }
int stub_unbind(void) { return iommu_unbind_pasid_table(0, 0); }
"""


@pytest.fixture(scope="session")
def c_side(tmp_path_factory):
    """A shared object with a driver in C, compiled against the public headers, IOMMU API off."""
    cc = shutil.which("cc") or shutil.which("gcc")
    assert cc, "the tests need the C compiler that built the package"
    path = tmp_path_factory.mktemp("c") / "driver.so"
    path.with_suffix(".c").write_text(C_DRIVER)
    flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{get_include()}"]
    subprocess.run([cc, *flags, str(path.with_suffix(".c")), "-o", str(path)], check=True)
    return ctypes.CDLL(str(path))


def address(library, symbol):
    return ctypes.addressof(ctypes.c_char.in_dll(library, symbol))


class Recorder(IommuOps):
    def __init__(self):
        self.seen = []

    def bind_pasid_table(self, domain, dev, info):
        self.seen.append(("bind", domain, dev, info))

    def unbind_pasid_table(self, domain, dev):
        self.seen.append(("unbind", domain, dev))


def test_a_hook_gets_domain_device_and_info_unchanged():
    ops, dev = Recorder(), Device(0x18)
    domain = Domain(ops)

    domain.bind_pasid_table(dev, INFO)
    domain.unbind_pasid_table(dev)

    assert ops.seen == [("bind", domain, dev, INFO), ("unbind", domain, dev)]
    assert ops.seen[0][1] is domain
    assert ops.seen[0][2] is dev


def test_without_a_hook_the_core_answers_einval():
    class OnlyUnbind(IommuOps):
        def unbind_pasid_table(self, domain, dev):
            pass

    domain = Domain(OnlyUnbind())

    domain.unbind_pasid_table(Device(1))
    with pytest.raises(OSError, match="EINVAL") as caught:
        domain.bind_pasid_table(Device(1), INFO)
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="EINVAL"):
        Domain(IommuOps()).unbind_pasid_table(Device(1))


def test_the_core_checks_neither_model_nor_size_nor_length():
    ops = Recorder()

    Domain(ops).bind_pasid_table(Device(1), v1_2017.pasid_table_info(ptr=1, size=3, model=99))

    assert ops.seen[0][3].model == 99


def test_an_exception_of_a_hook_arrives_as_it_was_raised():
    class Bug(Exception):
        pass

    class Broken(IommuOps):
        def bind_pasid_table(self, domain, dev, info):
            raise Bug("a bug must not vanish in C")

        def unbind_pasid_table(self, domain, dev):
            raise KeyboardInterrupt

    domain = Domain(Broken())

    with pytest.raises(Bug, match="must not vanish"):
        domain.bind_pasid_table(Device(1), INFO)
    with pytest.raises(KeyboardInterrupt):
        domain.unbind_pasid_table(Device(1))


def test_an_oserror_keeps_its_errno_and_identity():
    refusal = OSError(errno.EBUSY, "taken")

    class Busy(IommuOps):
        def bind_pasid_table(self, domain, dev, info):
            raise refusal

    with pytest.raises(OSError, match="taken") as caught:
        Domain(Busy()).bind_pasid_table(Device(1), INFO)
    assert caught.value is refusal


def test_a_c_driver_is_reached_from_python(c_side):
    domain = Domain(address(c_side, "c_driver"))

    domain.bind_pasid_table(Device(1), INFO)

    assert ctypes.c_int.in_dll(c_side, "calls").value >= 1
    with pytest.raises(OSError, match="EBUSY") as caught:
        domain.bind_pasid_table(Device(1), v1_2017.pasid_table_info(size=8192))
    assert caught.value.errno == errno.EBUSY
    with pytest.raises(OSError, match="ENODEV"):
        domain.unbind_pasid_table(Device(1))


def test_c_ops_without_hooks_answer_einval(c_side):
    domain = Domain(address(c_side, "no_hooks"))

    with pytest.raises(OSError, match="EINVAL"):
        domain.bind_pasid_table(Device(1), INFO)


def test_a_python_driver_is_reached_from_c(c_side):
    ops, dev = Recorder(), Device(0x18)
    domain = Domain(ops)
    pointer = ctypes.c_void_p(int(_core.ffi.cast("uintptr_t", domain.c)))
    device = ctypes.c_void_p(int(_core.ffi.cast("uintptr_t", dev.c)))

    rc = c_side.bind_from_c(pointer, device, ctypes.byref(v1_2017.pasid_table_info.unpack(bytes(INFO))))

    assert rc == 0
    assert ops.seen == [("bind", domain, dev, INFO)]


def test_c_sees_the_errno_of_a_python_refusal(c_side):
    class Refuses(IommuOps):
        def bind_pasid_table(self, domain, dev, info):
            raise OSError(errno.ENODEV, "no such thing") if info.size == 1 else RuntimeError("a bug")

    domain, dev = Domain(Refuses()), Device(1)
    pointer = ctypes.c_void_p(int(_core.ffi.cast("uintptr_t", domain.c)))
    device = ctypes.c_void_p(int(_core.ffi.cast("uintptr_t", dev.c)))

    for size, rc in ((1, -errno.ENODEV), (2, -errno.EIO)):
        info = v1_2017.pasid_table_info(size=size)
        assert c_side.bind_from_c(pointer, device, ctypes.byref(info)) == rc


def test_without_config_iommu_api_both_calls_are_einval(c_side):
    assert (c_side.stub_bind(), c_side.stub_unbind()) == (-errno.EINVAL, -errno.EINVAL)


def test_exceptions_of_two_threads_do_not_mix():
    class Names(IommuOps):
        def bind_pasid_table(self, domain, dev, info):
            raise ValueError(str(dev.rid))

    domain, wrong = Domain(Names()), []

    def work(rid):
        dev = Device(rid)
        for _ in range(200):
            try:
                domain.bind_pasid_table(dev, INFO)
            except ValueError as e:
                if str(e) != str(rid):
                    wrong.append(e)

    threads = [threading.Thread(target=work, args=(rid,)) for rid in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_a_domain_is_freed_with_its_last_reference():
    import weakref

    domain = Domain(Recorder())
    ref = weakref.ref(domain)

    del domain
    gc.collect()

    assert ref() is None


# C++ has no flexible arrays, which the ABI has: with -pedantic the headers are those of a system, -isystem.
@pytest.mark.parametrize(
    ("compiler", "flags", "option"),
    [
        ("cc", ["-std=c11", "-pedantic"], "-I"),
        ("c++", ["-std=c++17", "-x", "c++"], "-I"),
        ("c++", ["-std=c++17", "-x", "c++", "-pedantic"], "-isystem"),
        ("clang++", ["-std=c++17", "-x", "c++", "-pedantic"], "-isystem"),
    ],
)
@pytest.mark.parametrize("api", [[], ["-DCONFIG_IOMMU_API"]])
def test_every_public_header_compiles_alone(tmp_path, compiler, flags, option, api):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    include = Path(get_include())
    for header in sorted(include.rglob("*.h")):
        name = header.relative_to(include)
        if name.parts[0] == ".cffi" or "part" in name.parts:  # a part is for generations to include
            continue
        source = tmp_path / "alone.c"
        source.write_text(f'#include "{name}"\nint main(void) {{ return 0; }}\n')
        command = [
            compiler,
            *flags,
            *api,
            "-Wall",
            "-Wextra",
            "-Werror",
            f"{option}{include}",
            "-fsyntax-only",
            str(source),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, (name, done.stderr)


def test_a_second_generation_in_one_translation_unit_is_an_error(tmp_path):
    source = tmp_path / "two.c"
    source.write_text('#include "iommu_abi.h"\n#include "iommu_abi/uapi/rfc2017.h"\n')

    done = subprocess.run(
        ["cc", f"-I{get_include()}", "-fsyntax-only", str(source)], capture_output=True, text=True
    )

    assert done.returncode != 0
    assert "two generations" in done.stderr
