"""Makes tables of a RISC-V IOMMU: page tables, device and process directories, MSI page tables.

A nested set-up, complete::

    host = Memory()
    second = RiscvSecondStage(host, "Sv48")      # Sv48x4
    guest = Guest(host, second)
    first = RiscvFirstStage(guest, "Sv39")
    first.map(0x7000_0000, guest.page())
    processes = ProcessDirectory(guest, bits=17) # at guest-physical addresses
    processes.set(5, first)
    unit = RiscvUnit(host)
    unit.device(0x10, second=second, processes=processes)
    answer = plain_walk.translate("riscv", unit.registers, host.read, Request(0x10, 0x7000_0123, pasid=5))
"""

from __future__ import annotations

from iommu_abi.schemas import riscv_entries as rv
from iommu_abi.schemas.build_base import PAGE, READ, WRITE, Space, Tables
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.riscv_context import DEVICES, EXTENDED_DEVICES, PROCESSES, Directory
from iommu_abi.schemas.riscv_entries import extract
from iommu_abi.schemas.riscv_features import DEFAULT_CAPABILITIES
from iommu_abi.schemas.riscv_tables import MODES
from iommu_abi.terms import Access

_BY_NAME = {mode.name: (code, mode) for (_, code), mode in MODES.items()}
NAPOT = 1 << 16

# ---------------------------------------------------------------- page tables


class RiscvTables(Tables):
    """Tables of ``mode``: "Sv32", "Sv39", "Sv48" or "Sv57".

    ``accessed``: A and D of leaves are set from the start. Pages of 64 KiB are Svnapot's.
    """

    root_lg2 = 0

    def __init__(self, space: Space, mode: str = "Sv39", accessed: bool = True) -> None:
        self.code, self.mode = _BY_NAME[mode]
        self.entry_len = self.mode.layout.size
        self.accessed = int(accessed)
        super().__init__(space, self.mode.levels)

    def page_lg2(self, level: int) -> int:
        """log2 of the bytes that an entry of ``level`` covers."""
        return self.mode.page_lg2(level)

    def _index_lg2(self, level: int) -> int:
        return self.mode.index_lg2 + (self.root_lg2 if level == self.levels - 1 else 0)

    def _new_root(self) -> int:
        length = PAGE << self.root_lg2
        return self.space.page(length // PAGE, align=length)

    def _next(self, raw: int, level: int) -> tuple[int, int]:
        if raw & (rv.R | rv.W | rv.X):
            raise ValueError("a larger page is mapped here")
        return self.mode.layout.of(raw).PPN, level - 1

    def _map_page(self, address: int, to: int, page: int, access: Access, fields: dict[str, int]) -> None:
        if page != NAPOT or self.mode.narrow:
            super()._map_page(address, to, page, access, fields)
            return
        raw = self._leaf(0, to | rv.NAPOT_PPN << 12, access, {"N": 1} | fields)
        for offset in range(0, page, PAGE):
            self._store(self.entry(address + offset, 0), raw)

    def _table(self, address: int, level: int) -> int:
        return self.mode.layout.value(V=1, PPN=address)

    def _leaf(self, level: int, to: int, access: Access, fields: dict[str, int]) -> int:
        values = {"V": 1, "U": 1, "A": self.accessed, "D": self.accessed, "PPN": to}
        values |= {"R": int(READ in access), "W": int(WRITE in access), "X": int(Access.EXEC in access)}
        return self.mode.layout.value(**values | fields)


class RiscvFirstStage(RiscvTables):
    """First stage. Pages are the user's unless U=0 is given."""


class RiscvSecondStage(RiscvTables):
    """Second stage: the x4 variant of ``mode``, whose root has 16 KiB."""

    root_lg2 = 2


# ---------------------------------------------------------------- directories


def _context(space: Space, directory: Directory, table: int, levels: int, identifier: int) -> int:
    """Address of the context of an identifier; missing tables are made."""
    for level in range(levels - 1, 0, -1):
        where = table + 8 * directory.index(identifier, level)
        if not space.load(where):
            space.write(where, directory.entry.build(V=1, PPN=space.page()))
        table = directory.entry.of(space.load(where)).PPN
    return table + directory.context.size * directory.index(identifier, 0)


class ProcessDirectory:
    """A process directory for identifiers of 8, 17 or 20 ``bits``; ``address`` is its place in ``space``."""

    def __init__(self, space: Space, bits: int = 8) -> None:
        self.space = space
        self.bits = bits
        self.address = space.page()

    @property
    def levels(self) -> int:
        """Levels of the directory; the field MODE of pdtp is the same."""
        return {8: 1, 17: 2, 20: 3}[self.bits]

    def set(self, process: int, first: RiscvFirstStage | None = None, **fields: int) -> int:
        """Write a process context, Bare if ``first`` is None; its address."""
        values = {"V": 1}
        if first is not None:
            values |= {"fsc_MODE": first.code, "fsc_PPN": first.root}
        address = _context(self.space, PROCESSES, self.address, self.levels, process)
        self.space.write(address, rv.PC.build(**values | fields))
        return address


# ---------------------------------------------------------------- MSI page tables


class MsiTable:
    """A flat MSI page table for the guest pages that match ``pattern`` outside of ``mask`` (page numbers)."""

    def __init__(self, host: Space, mask: int, pattern: int) -> None:
        self.host = host
        self.mask = mask
        self.pattern = pattern
        length = 16 << bin(mask).count("1")
        self.address = host.page(-(-length // PAGE))

    def entry(self, gpa: int) -> int:
        """Address of the entry of a guest address."""
        return self.address + 16 * extract(gpa >> 12, self.mask)

    def basic(self, gpa: int, to: int, **fields: int) -> int:
        """Let a guest page reach an interrupt file; the address of its entry."""
        return self._set(gpa, rv.MSI_BASIC, {"M": rv.BASIC, "PPN": to} | fields)

    def mrif(self, gpa: int, mrif: int, notice: int, data: int, **fields: int) -> int:
        """Let it reach a memory-resident interrupt file, with a notice of 11 bits of data."""
        values = {"M": rv.MRIF, "MRIF": mrif, "NPPN": notice, "NID": data & 0x3FF, "NID_10": data >> 10}
        return self._set(gpa, rv.MSI_MRIF, values | fields)

    def _set(self, gpa: int, layout: Layout, values: dict[str, int]) -> int:
        address = self.entry(gpa)
        self.host.write(address, layout.build(**{"V": 1} | values))
        return address


# ---------------------------------------------------------------- the unit


class RiscvUnit:
    """A RISC-V IOMMU with a device directory of ``levels``.

    Device contexts have 64 bytes unless CAPABILITIES is given without MSI_FLAT.
    """

    def __init__(self, host: Space, levels: int = 3, **registers: int) -> None:
        self.host = host
        self.levels = levels
        self.directory = host.page()
        self._registers = registers
        capabilities = rv.CAPABILITIES.of(registers.get("CAPABILITIES", DEFAULT_CAPABILITIES))
        self.devices = EXTENDED_DEVICES if capabilities.MSI_FLAT else DEVICES

    @property
    def registers(self) -> dict[str, int]:
        """DDTP, and the registers that were given."""
        return {"DDTP": rv.DDTP.value(iommu_mode=1 + self.levels, PPN=self.directory)} | self._registers

    @property
    def context(self) -> Layout:
        """The layout of its device contexts."""
        return self.devices.context

    def device(
        self,
        device: int,
        first: RiscvFirstStage | None = None,
        second: RiscvSecondStage | None = None,
        processes: ProcessDirectory | None = None,
        msi: MsiTable | None = None,
        **fields: int,
    ) -> int:
        """Write a device context; its address. What is not given is Bare or off."""
        values = {"V": 1}
        if first is not None:
            values |= {"fsc_MODE": first.code, "fsc_PPN": first.root, "SXL": int(first.mode.narrow)}
        if processes is not None:
            values |= {"PDTV": 1, "fsc_MODE": processes.levels, "fsc_PPN": processes.address}
        if second is not None:
            values |= {"iohgatp_MODE": second.code, "iohgatp_PPN": second.root}
        if msi is not None:
            values |= {"msiptp_MODE": rv.MSI_FLAT, "msiptp_PPN": msi.address}
            values |= {"msi_addr_mask": msi.mask, "msi_addr_pattern": msi.pattern}
        address = _context(self.host, self.devices, self.directory, self.levels, device)
        self.host.write(address, self.context.build(**values | fields))
        return address
