"""A dictionary for libFuzzer and AFL++ (``-dict=``, ``-x``): the words of this ABI as bytes.

Numbers of ioctls, enumerators and flags, sizes of structs, payload versions, and how image files begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from iommu_abi import images, ioctl
from iommu_abi.schemas import uapi
from iommu_abi.uapi.layout import Abi


def _words(abi: Abi) -> Iterator[tuple[str, bytes]]:
    order: Literal["little", "big"] = "little" if abi.byteorder == "little" else "big"
    for generation in uapi.GENERATIONS.values():
        for command in generation.ioctls:
            yield command, ioctl.number(command, generation.name, abi.name).to_bytes(4, order)
        for values in generation.enums.values():
            for name, value in values.names.items():
                yield name, value.to_bytes(4 if value < 1 << 32 else 8, order)
            if values.flags:
                yield f"{values.tag}_all", values.mask.to_bytes(4 if values.mask < 1 << 32 else 8, order)
        for name, struct in generation.structs.items():
            size = uapi.layout(struct, uapi.abi(abi.name)).size
            yield f"sizeof_{name}_{generation.name}", size.to_bytes(4, order)
    yield from images.MAGICS.items()


def text(abi: Abi) -> str:
    """The file: a word a line, each byte string once, under the first of its names."""
    names: dict[bytes, str] = {}
    for name, data in _words(abi):
        names.setdefault(data, name)
    head = f"# Made by iommu-abi corpus: words of the Linux IOMMU user API, {abi.byteorder} endian"
    return "\n".join([head, *(f'{name}="{_escaped(data)}"' for data, name in names.items())]) + "\n"


def _escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)
