"""Registers as people copy them: debugfs, boot lines, and directories of such files.

Forms: drivers/iommu/intel/debugfs.c, iommu_regset_show(); drivers/iommu/amd/debugfs.c, iommu_mmio_show() and
dump_dte(); the boot lines are those of docs and captures. Values are those of the dumps' own hardware.
"""

from __future__ import annotations

import json
import shutil

import pytest
from cli_support import DATA, run, sentence

from iommu_abi.acquire import boot_lines, debugfs, sources
from iommu_abi.inputs import InputError

VTD = DATA / "acquire/vtd-legacy-k6.12-kaslr-d31.lime.xz"
AMD = DATA / "acquire/amd-k7.2-kaslr.lime.xz"
HEAD = "IOMMU: {} Register Base Address: {}\nName\t\t\tOffset\t\tContents\n"
ROW = "{:<16}\t0x{:02x}\t\t0x{:016x}\n"
#: VT-d specification 11.4: offsets.
OFFSETS = {
    "VER": 0,
    "GSTS": 0x1C,
    "FSTS": 0x34,
    "CAP": 8,
    "ECAP": 0x10,
    "RTADDR": 0x20,
    "IQA": 0x90,
    "IRTA": 0xB8,
}
BOOT = """\
[    0.008034] ACPI: DMAR 0x000000000FFE2B35 000098 (v01 BOCHS  BXPC     00000001 BXPC 00000001)
[    0.120000] DMAR: Host address width 39
[    0.120001] DMAR: DRHD base: 0x000000fed90000 flags: 0x0
[    0.120002] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 80d2008c222f0606 ecap f00f4a
[    0.120003] DMAR: dmar1: reg_base_addr fed91000 ver 5:0 cap d2008c40660462 ecap f050da
[    0.130000] AMD-Vi: Extended features (0x29d7, 0x3): GT [5] IA GA PC GA_vAPIC
[    0.140000] arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit, oas 44-bit (features 0x00008305)
"""


def truth(image) -> dict[str, str]:
    path = image.with_name(image.name.replace(".lime.xz", ".json"))
    return json.loads(path.read_text())["registers"]


def regset(values: dict[str, str], name: str = "dmar0") -> str:
    rows = (ROW.format(reg, at, int(values[reg], 16)) for reg, at in OFFSETS.items() if reg in values)
    return HEAD.format(name, values["base"][2:]) + "".join(rows) + "\n"


def test_a_regset_is_the_registers_of_each_unit():
    values = truth(VTD)
    other = {**values, "base": "0xfed91000", "RTADDR": "0x0", "GSTS": "0x0"}

    found = debugfs.read(regset(values) + regset(other, "dmar1"), "iommu_regset")

    assert [(unit.name, unit.base) for unit in found.units] == [("dmar0", 0xFED90000), ("dmar1", 0xFED91000)]
    assert {name: f"{value:#x}" for name, value in found.units[0].registers.items()} == {
        name: value for name, value in values.items() if name in OFFSETS
    }
    assert found.units[1].registers["RTADDR"] == 0


def test_a_walk_by_a_regset_is_the_walk_by_what_is_found_in_the_image(capsys, tmp_path):
    path = tmp_path / "iommu_regset"
    path.write_text(regset(truth(VTD)))
    ask = ("translate", VTD, "--rid", "00:04.0", "--iova", "0x1000")

    found, given = run(capsys, *ask, "--json").json, run(capsys, *ask, "--config", path, "--json").json

    assert (given["reason"], given["entry_hpa"]) == (found["reason"], found["entry_hpa"])
    assert given["assumed"] == ["HAW, which no register says, is 52"]
    shown = run(capsys, *ask, "--config", path).out.splitlines()[0]
    assert shown == f"found vtd dmar0 at 0xfed90000 of {path}; assumed: HAW, which no register says, is 52"


def amd_directory(tmp_path):
    """/sys/kernel/debug/iommu, as somebody saved it: a line for each offset that was asked for."""
    values = truth(AMD)
    offsets = {0: "DEVTAB_BASE", 8: "CMDBUF_BASE", 0x10: "EVTLOG_BASE", 0x18: "CONTROL", 0x30: "EXT_FEATURES"}
    lines = [f"Offset:0x{at:x} Value:0x{int(values[name], 16):016x}\n" for at, name in offsets.items()]
    place = tmp_path / "amd" / "iommu00"
    place.mkdir(parents=True)
    (place / "mmio").write_text("".join(lines))
    words = " ".join(f"{word:016x}" for word in (0, 0x20000000123456, 0, 0x6000000001234003))
    head = f"{'DeviceId':<12} {'QWORD[3]':>16} {'QWORD[2]':>16} {'QWORD[1]':>16} {'QWORD[0]':>16} iommu\n"
    (tmp_path / "amd" / "devtbl").write_text(f"{head}0000:00:03.0 {words} iommu0\n")
    (tmp_path / "amd" / "devid").write_text("0000:00:03.0\n")
    return tmp_path


def test_amds_directory_is_one_unit_with_its_devices(capsys, tmp_path):
    values = truth(AMD)

    found = sources.of_directory(amd_directory(tmp_path))

    [unit] = found.units
    assert (unit.kind, unit.name, unit.registers["CONTROL"]) == ("amdvi", "ivhd0", int(values["CONTROL"], 16))
    assert unit.registers["DEVTAB_BASE"] == int(values["DEVTAB_BASE"], 16)
    assert [device.short for device in unit.devices] == ["00:03.0"]
    assert any("device table entry of 00:03.0 is 0000000000000000 00200000001234" in e for e in unit.evidence)
    made = run(
        capsys, "translate", AMD, "--config", tmp_path, "--rid", "00:04.0", "--iova", "0", "--json"
    ).json
    assert made["found_in"].startswith(str(tmp_path))


def test_boot_lines_are_capabilities_and_places():
    found = boot_lines.read(BOOT, "dmesg")

    assert [(unit.kind, unit.name, unit.base) for unit in found.units] == [
        ("vtd", "dmar0", 0xFED90000), ("vtd", "dmar1", 0xFED91000), ("amdvi", "amdvi", None),
        ("smmuv3", "arm-smmu-v3.0.auto", None),
    ]  # fmt: skip
    assert found.units[1].registers == {"CAP": 0xD2008C40660462, "ECAP": 0xF050DA}
    assert found.units[2].registers == {"EXT_FEATURES": 0x29D7, "EXT_FEATURES2": 3}
    assert found.units[3].registers["IDR5"] & 7 == 4  # OAS of 44 bits (6.3.6)
    assert found.firmware.facts == ("DMAR: host addresses have 39 bits (--reg HAW says so)",)


def test_a_log_needs_the_register_of_the_tables(capsys, tmp_path):
    path = tmp_path / "dmesg"
    path.write_text("".join(BOOT.splitlines(keepends=True)[:4]))
    ask = ("translate", VTD, "--config", path, "--rid", "00:04.0", "--iova", "0x1000")

    assert f"{path}: vtd needs RTADDR" in sentence(run(capsys, *ask))
    assert run(capsys, *ask, "--reg", f"RTADDR={truth(VTD)['RTADDR']}", "--json").json["unit"] == "dmar0"


def test_a_directory_is_all_that_its_files_say(capsys, tmp_path):
    """The registers of debugfs, the devices of firmware's table, in one."""
    values = truth(VTD)
    (tmp_path / "iommu_regset").write_text(regset(values))
    (tmp_path / "dmesg.txt").write_text(BOOT.replace("cap 80d2008c222f0606", "cap 80d2008c222f0607"))
    shutil.copy(DATA / "acpi/dmar.aml", tmp_path / "DMAR")
    (tmp_path / "notes.json").write_text("[1, 2]")
    (tmp_path / "README").write_text("nothing of interest\n")
    ask = ("translate", VTD, "--config", tmp_path, "--iova", "0x1000", "--json", "--rid")

    named = run(capsys, *ask, "00:02.0").json
    other = run(capsys, *ask, "0x20").json

    assert named["unit"] == "dmar0"
    differs = [text for text in named["assumed"] if "CAP is 0x80d2008c222f0606 by" in text]
    assert len(differs) == 1
    assert "0x80d2008c222f0607 by" in differs[0]
    assert "vtd dmar1 at 0xfed91000 is not asked: its tables are not known" in named["assumed"]
    assert other["reason"] == named["reason"] or other["unit"] == "dmar0"


def test_the_id_that_a_table_gives_a_device_is_asked_for_and_told(capsys, tmp_path):
    shutil.copy(DATA / "acpi/iort.aml", tmp_path / "IORT")
    unit = {"kind": "smmuv3", "name": "smmu0", "registers": {"base": "0x2b400000", "STRTAB_BASE": "0x0",
                                                             "STRTAB_BASE_CFG": "0x3"}}  # fmt: skip
    (tmp_path / "meta.json").write_text(json.dumps(unit))
    ask = ("translate", VTD, "--config", tmp_path, "--iova", "0x1000", "--rid", "00:03.0")

    assert run(capsys, *ask, "--json").json["request"]["rid"] == "0x118"
    assert "smmuv3 smmu0 at 0x2b400000, where 00:03.0 has ID 0x118" in run(capsys, *ask).out


def test_what_nobody_said_of_an_iommus_abilities_is_told(capsys):
    """CAP of VT-d when only RTADDR is given."""
    ask = (
        "translate",
        VTD,
        "--iommu",
        "vtd",
        "--reg",
        "RTADDR=0x1c84000",
        "--rid",
        "0x20",
        "--iova",
        "0x1000",
    )

    shown, made = run(capsys, *ask).out.splitlines()[0], run(capsys, *ask, "--json").json

    assert shown == "assumed: CAP 0x100000c002f0406, ECAP 0x1c998c50000c4: not given"
    assert made["assumed"] == [shown.removeprefix("assumed: ")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "not text: byte 0 is 0xff; expected JSON of `config -o`, a table of ACPI"),
        (b"Please provide mmio register's offset\n", "not JSON: Expecting value at line 1, column 1"),
        (b"", "empty, expected JSON"),
    ],
)
def test_a_file_of_no_known_form_is_one_sentence(content, said):
    with pytest.raises(InputError) as caught:
        sources.of_bytes(content, "file")

    assert said in str(caught.value)


def test_a_directory_of_nothing_known_is_one_sentence(capsys, tmp_path):
    (tmp_path / "README").write_text("nothing\n")

    done = run(capsys, "translate", VTD, "--config", tmp_path, "--rid", "1", "--iova", "1")

    assert (done.status, "nothing in it says what the IOMMUs are: expected JSON" in sentence(done)) == (
        2,
        True,
    )
