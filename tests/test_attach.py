"""--attach qmp:SOCKET: a running QEMU's registers and memory, by its monitor.

The monitor here is a stand-in that answers as QEMU 7.2 to 11 do, of a capture's memory and registers; `make
peers` is where QEMU itself is asked.
"""

from __future__ import annotations

import json
import re
import socket
import threading

import pytest
from cli_support import DATA, run, sentence
from test_kcore import pytestmark as needs_userfaultfd

from iommu_abi.acquire import qemu
from iommu_abi.memory import Memory

pytestmark = needs_userfaultfd

CAPTURES = {
    "vtd-legacy-k6.12": "intel_iommu",
    "amd-xtsup-on-k7.2-q11": "amdvi-mmio",
    "smmuv3-s1-k7.2": "arm-smmuv3",
    "riscv-k7.2-q11": "riscv-iommu-regs",
}
ROW = "  {:016x}-{:016x} (prio 0, {}): {}\r\n"


class Monitor:
    """QMP over a socket: registers and memory of a capture, and what was done to the machine."""

    def __init__(self, path, capture: str, *, running: bool = True, break_at: str = "") -> None:
        meta = json.loads((DATA / "captures" / capture / "meta.json").read_text())
        self.memory = Memory.open(DATA / "captures" / capture / "sparse.elf.xz")
        self.region, self.base = CAPTURES[capture], int(meta["registers"]["base"], 16)
        self.registers = {
            at: (int(meta["registers"][name], 16), size)
            for name, (at, size) in qemu._KINDS[self.region][1].items()
            if name in meta["registers"]
        }
        self.running, self.break_at, self.done = running, break_at, []
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
        self.thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
        self.thread.start()

    def _serve(self, server: socket.socket) -> None:
        with server, server.accept()[0] as peer, peer.makefile("rwb") as file:
            version = {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""}
            self._say(file, {"QMP": {"version": version, "capabilities": []}})
            for line in file:
                asked = json.loads(line)
                command = asked["execute"]
                self.done.append(command)
                if command == self.break_at:
                    return
                if command == "stop":
                    self._say(file, {"event": "STOP", "timestamp": {}})
                text = asked.get("arguments", {}).get("command-line")
                told = (
                    self._monitor(text) if text else {"running": self.running} if "status" in command else {}
                )
                self._say(file, {"return": told})

    def _say(self, file, what: object) -> None:
        file.write(json.dumps(what).encode() + b"\r\n")
        file.flush()

    def _monitor(self, line: str) -> str:
        if line == "info mtree -f":
            rows = [ROW.format(r.first, r.last, "ram", "pc.ram") for r in self.memory]
            # the second part of registers that an MSI-X table cuts in two, as QEMU 11 tells those of RISC-V
            rest = f"{self.region} @{0x340:016x}"
            rows.append(ROW.format(self.base, self.base + 0x2FF, "i/o", self.region))
            rows.append(ROW.format(self.base + 0x340, self.base + 0xFFF, "i/o", rest))
            other = ROW.format(0, 0xFFF, "i/o", "intel_iommu")
            return (
                f'FlatView #0\r\n AS "I/O", root: io\r\n{other}\r\n'
                'FlatView #1\r\n AS "memory", root: system\r\n' + "".join(rows)
            )
        count, unit, address = re.fullmatch(r"xp /(\d+)([gw])x (0x[0-9a-f]+)", line).groups()
        size, at = (8 if unit == "g" else 4), int(address, 16)
        data = self._read(at, int(count) * size)
        if data is None:
            return f"{at:016x}: Cannot access memory\r\n"
        words = [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]
        lines = (words[i : i + 16 // size] for i in range(0, len(words), 16 // size))
        return "".join(
            f"{at + 16 * i:016x}: " + " ".join(f"0x{word:0{2 * size}x}" for word in row) + "\r\n"
            for i, row in enumerate(lines)
        )

    def _read(self, at: int, length: int) -> bytes | None:
        if self.base <= at < self.base + 0x10000:
            value, _ = self.registers.get(at - self.base, (0, 8))
            return value.to_bytes(8, "little")[:length]
        return self.memory.read(at, length)


@pytest.mark.parametrize("capture", CAPTURES)
def test_answers_are_those_with_the_images_registers(capsys, tmp_path, capture):
    directory = DATA / "captures" / capture
    line = json.loads((directory / "oracle.jsonl").read_text().splitlines()[0])
    ask = ("--rid", str(line["sid"]), "--iova", line["iova"], "--access", line["access"], "--json")
    monitor = Monitor(tmp_path / "qmp", capture)

    live = run(capsys, "translate", "--attach", f"qmp:{tmp_path / 'qmp'}", *ask)

    dumped = run(capsys, "translate", directory / "sparse.elf.xz", "--config", directory / "meta.json", *ask)
    assert (live.status, live.json["hpa"]) == (dumped.status, dumped.json["hpa"])
    assert live.json["hpa"] == line["pa"]
    assert live.json["found_in"] == f"QEMU 7.2.22 behind {tmp_path / 'qmp'}, paused while it is asked"
    assert [word for word in monitor.done if word in ("stop", "cont")] == ["stop", "cont"]


@pytest.mark.parametrize("words", [("mappings", "--csv"), ("audit", "--json"), ("config", "--json")])
def test_the_other_commands_attach_too(capsys, tmp_path, words):
    Monitor(tmp_path / "qmp", "vtd-legacy-k6.12", running=False)
    directory = DATA / "captures/vtd-legacy-k6.12"

    live = run(capsys, words[0], "--attach", f"qmp:{tmp_path / 'qmp'}", *words[1:])

    if words[0] == "config":
        truth = json.loads((directory / "meta.json").read_text())["registers"]
        assert live.json["units"][0]["base"] == truth["base"]
        assert live.json["units"][0]["registers"]["RTADDR"] == truth["RTADDR"]
        return
    dumped = run(
        capsys, words[0], directory / "sparse.elf.xz", "--config", directory / "meta.json", *words[1:]
    )
    assert live.status == dumped.status
    if words[0] == "mappings":
        assert live.out == dumped.out
    else:
        assert [f["kind"] for f in live.json["findings"]] == [f["kind"] for f in dumped.json["findings"]]


def test_a_machine_that_was_paused_stays_so(capsys, tmp_path):
    monitor = Monitor(tmp_path / "qmp", "vtd-legacy-k6.12", running=False)

    done = run(capsys, "translate", "--attach", f"qmp:{tmp_path / 'qmp'}", "--rid", "0x18", "--iova", "0")

    assert "while it is asked" not in done.out
    assert not {"stop", "cont"} & set(monitor.done)


@pytest.mark.parametrize("command", ["qmp_capabilities", "stop", "human-monitor-command", "cont"])
def test_a_qemu_that_goes_away_is_one_sentence(capsys, tmp_path, command):
    Monitor(tmp_path / "qmp", "vtd-legacy-k6.12", break_at=command)

    done = run(capsys, "translate", "--attach", f"qmp:{tmp_path / 'qmp'}", "--rid", "0x18", "--iova", "0")

    assert done.status == 2  # the answer may have been printed: it does not count
    assert "expected a line of JSON" in sentence(done)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--attach", "gdb:1234"), "--attach: got 'gdb:1234', expected qmp:SOCKET"),
        (("--attach", "qmp:/nonexistent/socket"), "/nonexistent/socket: No such file or directory"),
        (("vmcore", "--attach", "qmp:x"), "--attach has its own memory, and vmcore is given too"),
        ((), "IMAGE[@BASE] is needed, or --attach qmp:SOCKET: whose memory is it?"),
    ],
)  # fmt: skip
def test_what_cannot_be_attached_to_is_one_sentence(capsys, words, said):
    done = run(capsys, "translate", *words, "--rid", "1", "--iova", "1")

    assert (done.status, said in sentence(done)) == (2, True)
