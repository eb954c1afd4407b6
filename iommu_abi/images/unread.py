"""Formats that are not read: what a file is by how it begins, and what makes a readable dump of it.

The magics: QEMU's docs (interop/qcow2, migration), libvirt's save image header ("LibvirtQemudSave"),
Microsoft's and VMware's published file headers, the formats' own specifications (LZ4 frame format,
RFC 1950, PKZIP APPNOTE), and the magic file of file(1).
"""

from __future__ import annotations

import codecs

from iommu_abi.errors import ImageError

_DISK = "a disk, not memory: `virsh dump --memory-only` or QEMU's dump-guest-memory makes a memory dump"
_SAVED = "start the guest from it, then `virsh dump --memory-only` or QEMU's dump-guest-memory makes a dump"
_UNPACK = "unpack it first"
_CRASH = "crash reads it; makedumpfile -E makes an ELF core of a vmcore"

#: (offset, bytes there, name, what to do)
_KNOWN = (
    (0, b"PAGEDU64", "a Windows crash dump", "a raw or LiME dump of the same machine can be read"),
    (0, b"PAGEDUMP", "a Windows crash dump", "a raw or LiME dump of the same machine can be read"),
    (0, b"MDMP\x93\xa7", "a Windows minidump", "it holds processes; a raw or LiME dump can be read"),
    (0, b"hibr", "a Windows hibernation file", "a raw dump can be read: volatility's layerwriter makes one"),
    (0, b"HIBR", "a Windows hibernation file", "a raw dump can be read: volatility's layerwriter makes one"),
    (0, b"LibvirtQemudSave", "a libvirt save image", _SAVED),
    (0, b"LibvirtQemudPart", "an unfinished libvirt save image", _SAVED),
    (0, b"QEVM", "a QEMU migration stream", _SAVED),
    (0, b"Xen saved domain", "a saved Xen domain", "restore it, then `xl dump-core` makes a dump"),
    (0, b"LinuxGuestRecord", "a saved Xen domain", "restore it, then `xl dump-core` makes a dump"),
    (0, b"\x7fVirtualBox SavedState", "a VirtualBox saved state", "`VBoxManage debugvm VM dumpvmcore`"),
    (0, b"QFI\xfb", "a qcow2 image", f"{_DISK}; `qemu-img` converts disks"),
    (0, b"QED\0", "a QED image", _DISK),
    (0, b"KDMV", "a VMDK image", f"{_DISK}; of VMware the .vmss or .vmsn with its .vmem is read"),
    (0, b"vhdxfile", "a VHDX image", _DISK),
    (0, b"conectix", "a VHD image", _DISK),
    (64, b"\x7f\x10\xda\xbe", "a VDI image", _DISK),
    (0, b"\x04\x22\x4d\x18", "an LZ4-packed file", f"{_UNPACK}: lz4 -d"),
    (0, b"\x02\x21\x4c\x18", "an LZ4-packed file", f"{_UNPACK}: lz4 -d"),
    (0, b"\x89LZO\0\r\n\x1a\n", "an LZO-packed file", f"{_UNPACK}: lzop -d"),
    (0, b"LZIP", "an lzip-packed file", f"{_UNPACK}: lzip -d"),
    (0, b"\xff\x06\0\0sNaPpY", "a Snappy-packed file", _UNPACK),
    (0, b"PK\x03\x04", "a ZIP archive", f"{_UNPACK}: unzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", f"{_UNPACK}: 7z x"),
    (0, b"Rar!\x1a\x07", "a RAR archive", f"{_UNPACK}: unrar x"),
    (257, b"ustar", "a tar archive", f"{_UNPACK}: tar -x"),
    (0, b"HPAK", "an HPAK dump", "volatility's layerwriter makes a raw dump of it"),
    (0, b"EVF\x09\x0d\x0a\xff\x00", "an EWF (E01) image", "ewfexport -f raw makes a raw dump of it"),
    (0, b"\xed\x23\x8f\x61\x73\x01\x19\xa8", "an LKCD dump", _CRASH),
    (0, b"\xa8\x19\x01\x73\x61\x8f\x23\xed", "an LKCD dump", _CRASH),
    (0, b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", "an s390 stand-alone dump", "zgetdump -f elf makes an ELF core"),
    (0, b"\xcf\xfa\xed\xfe", "a Mach-O file", "memory dumps are ELF cores, LiME, kdump-compressed or raw"),
)
#: Of so many bytes a text is known.
HEAD = 4096
_CONTROLS = bytes(range(9)) + bytes(range(14, 27)) + bytes(range(28, 32)) + b"\x7f"


def _is_text(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and len(head) > 8:
        return head[2:].count(0) * 3 > len(head) and not any(head[2:10].count(b) > 6 for b in (0, 0xFF))
    if len(head) < 16 or b"\n" not in head or head.translate(None, _CONTROLS) != head:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # a character may be cut at the end
    except UnicodeDecodeError:
        return False
    return True


def refuse(where: object, head: bytes) -> None:
    """ImageError if a file that begins like this is known to be no memory."""
    for offset, magic, name, advice in _KNOWN:
        if head[offset : offset + len(magic)] == magic:
            raise ImageError(f"{where}: {name}: {advice} (--format raw takes it for memory)")
    if _is_text(head):
        raise ImageError(f"{where}: a text file, no memory image (--format raw takes it for memory)")
