/* Two virtio-iommus, of PCI and of MMIO: compiled by iasl. */
[0004] Signature : "VIOT"
[0004] Table Length : 00000000
[0001] Revision : 00
[0001] Checksum : 00
[0006] Oem ID : "TESTER"
[0008] Oem Table ID : "TWOVIRTS"
[0004] Oem Revision : 00000001
[0004] Asl Compiler ID : "INTL"
[0004] Asl Compiler Revision : 20200925

[0002] Node count : 0005
[0002] Node offset : 0030
[0008] Reserved : 0000000000000000

[0001] Type : 03 [VirtIO-PCI IOMMU]
[0001] Reserved : 00
[0002] Length : 0010
[0002] PCI Segment : 0000
[0002] PCI BDF number : 0018
[0008] Reserved : 0000000000000000

[0001] Type : 04 [VirtIO-MMIO IOMMU]
[0001] Reserved : 00
[0002] Length : 0010
[0004] Reserved : 00000000
[0008] Base address : 000000001D000000

[0001] Type : 01 [PCI Range]
[0001] Reserved : 00
[0002] Length : 0018
[0004] Endpoint start : 00000000
[0002] PCI Segment start : 0000
[0002] PCI Segment end : 0000
[0002] PCI BDF start : 0000
[0002] PCI BDF end : 0017
[0002] Output node : 0030
[0006] Reserved : 000000000000

[0001] Type : 01 [PCI Range]
[0001] Reserved : 00
[0002] Length : 0018
[0004] Endpoint start : 00010008
[0002] PCI Segment start : 0001
[0002] PCI Segment end : 0002
[0002] PCI BDF start : 0008
[0002] PCI BDF end : 00FF
[0002] Output node : 0040
[0006] Reserved : 000000000000

[0001] Type : 02 [MMIO Endpoint]
[0001] Reserved : 00
[0002] Length : 0018
[0004] Endpoint : 00050000
[0008] Base address : 000000001C000000
[0002] Output node : 0040
[0006] Reserved : 000000000000
