"""Blobs of ``struct pasid_table_info``: C against the construct schema, on both byte orders.

The input is that of tests/c/fuzz_unpack.c: 20 bytes that choose, then the blob.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from iommu_abi.errors import AbiError
from iommu_abi.fuzz import blobs
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome, Problem, blank
from iommu_abi.structs.kind import kind
from iommu_abi.structs.pack import pack
from iommu_abi.structs.unpack import unpack
from iommu_abi.uapi.layout import abi
from iommu_abi.worlds.dice import Dice

CHOICES = 20
#: Generation -> bit 0 of the first byte, as the C target has it.
BITS = {"v1_2017": 0, "rfc2017": 1}
ABIS = ("x86_64", "s390x")


class Blobs(FuzzTarget):
    """One generation."""

    c_target = "unpack"

    def __init__(self, generation: str) -> None:
        self.generation = generation
        self.name = f"blob-{generation}"
        self.about = f"pasid_table_info@{generation}: C and plain ledger, strictly and leniently, payloads"

    def _input(self, data: bytes) -> bytes:
        return bytes([BITS[self.generation]]).ljust(CHOICES, b"\0") + data

    def blob(self, data: bytes) -> bytes:
        """The blob of an input, repaired as the C target does it."""
        choices, made = data[:CHOICES].ljust(CHOICES, b"\0"), bytearray(data[CHOICES:])
        how = choices[2]
        if len(made) < blobs.HEAD or not how & 3:
            return bytes(made)
        if how & 1:
            model = (made[16] if blobs.ORDER == "<" else made[19]) & 1
            made[16:20] = (model + BITS[self.generation]).to_bytes(4, sys.byteorder)
        if how & 2:
            made[20:24] = (len(made) - blobs.HEAD).to_bytes(4, sys.byteorder)
        if how & 4 and len(made) >= blobs.HEAD + 4:
            made[24:28] = (1).to_bytes(4, sys.byteorder)
        if how & 8:
            made[28:] = bytes(byte & (0 if how & 16 else 7) for byte in made[28:])
        return bytes(made)

    def seeds(self, dice: Dice) -> Iterator[bytes]:
        """Valid ones, and one for each rule."""
        for rule in (*blobs.RULES, None):
            yield self._input(blobs.make(dice, self.generation, rule).data)
        for payload in blobs.SIZES:
            yield self._input(blobs.valid(dice, self.generation, payload, full=True).data)

    def fresh(self, dice: Dice) -> bytes:
        """One that breaks a rule alone, or is changed at random."""
        return self._input(blobs.make(dice, self.generation, dice.pick((*blobs.RULES, None))).data)

    def vary(self, data: bytes, dice: Dice) -> bytes:
        """Bits flipped, numbers set, bytes added or cut off."""
        return data[:CHOICES].ljust(CHOICES, b"\0") + blobs.noise(dice, data[CHOICES:])

    def run(self, data: bytes) -> Outcome:
        """Ask both ledgers."""
        made = self.blob(data)
        rule, problems = blobs.both(blobs.Blob(self.generation, "", made, made))
        features = [rule or "accepted", f"{rule or 'accepted'} {min(len(made), 64) // 8}"]
        if not problems:
            problems = tuple(self._on_both_orders(made))
        problem = Problem(f"{features[0]}: {blank(problems[0])}", "\n".join(problems)) if problems else None
        return Outcome(tuple(features), problem)

    def _on_both_orders(self, made: bytes) -> Iterator[str]:
        """Unpacked and packed again, the bytes are the same; packed on another ABI, the values."""
        name = f"pasid_table_info@{self.generation}"
        for one, other in (ABIS, ABIS[::-1]):
            here, turned = kind(name, abi(one)), kind(name, abi(other))
            try:
                found = unpack(here, made)
            except AbiError:
                continue
            values = {f.name: f.value for f in found.fields if isinstance(f.value, int)}
            words, opaque = {name: str(value) for name, value in values.items()}, made[blobs.HEAD :]
            if pack(here, words, opaque) != made:
                yield f"unpacked and packed again on {one}: other bytes"
            there = unpack(turned, pack(turned, words, opaque))
            if {f.name: f.value for f in there.fields if isinstance(f.value, int)} != values:
                yield f"packed on {one}, unpacked on {other}: other values"

    def pieces(self, data: bytes) -> list[bytes]:
        """What chooses, and the bytes of the blob."""
        return [data[:CHOICES], *super().pieces(data[CHOICES:])[1:]]

    def show(self, data: bytes) -> list[str]:
        """The blob in hex."""
        return super().show(self.blob(data))

    def known(self) -> Mapping[str, str | None]:
        """Every rule, and none."""
        return dict.fromkeys((*blobs.RULES, "accepted"))


TARGETS: tuple[FuzzTarget, ...] = tuple(Blobs(name) for name in BITS)
