/* Two RISC-V IOMMUs, of the platform and of PCI: compiled by iasl. The ID mappings of the first root complex are
   those of the specification's example. */
[0004] Signature : "RIMT"
[0004] Table Length : 00000000
[0001] Revision : 01
[0001] Checksum : 00
[0006] Oem ID : "TESTER"
[0008] Oem Table ID : "TWORISCV"
[0004] Oem Revision : 00000001
[0004] Asl Compiler ID : "INTL"
[0004] Asl Compiler Revision : 20200925

[0004] Number of RIMT Nodes : 00000003
[0004] Offset to RIMT Node Array : 00000030
[0004] Reserved : 00000000

[0001] Type : 00
[0001] Revision : 01
[0002] Length : 0028
[0002] Reserved : 0000
[0002] ID : 0000
[0008] Hardware ID : "RSCV0004"
[0008] Base Address : 0000000003010000
[0004] Flags : 00000000
[0004] Proximity Domain : 00000000
[0002] PCIe Segment number : 0000
[0002] PCIe B/D/F : 0000
[0002] Number of interrupt wires : 0000
[0002] Interrupt wire array offset : 0028

[0001] Type : 00
[0001] Revision : 01
[0002] Length : 0028
[0002] Reserved : 0000
[0002] ID : 0001
[0008] Hardware ID : "10140036"
[0008] Base Address : 0000000000000000
[0004] Flags : 00000001
[0004] Proximity Domain : 00000000
[0002] PCIe Segment number : 0000
[0002] PCIe B/D/F : 0008
[0002] Number of interrupt wires : 0000
[0002] Interrupt wire array offset : 0028

[0001] Type : 01
[0001] Revision : 01
[0002] Length : 0050
[0002] Reserved : 0000
[0002] ID : 0002
[0004] Flags : 00000001
[0002] Reserved : 0000
[0002] PCIe Segment number : 0000
[0002] ID mapping array offset : 0014
[0002] Number of ID mappings : 0003

[0004] Source ID Base : 00000000
[0004] Number of IDs : 00000010
[0004] Destination Device ID Base : 00000000
[0004] Destination IOMMU Offset : 00000030
[0004] Flags : 00000000

[0004] Source ID Base : 00000100
[0004] Number of IDs : 00000010
[0004] Destination Device ID Base : 00000010
[0004] Destination IOMMU Offset : 00000030
[0004] Flags : 00000000

[0004] Source ID Base : 00000200
[0004] Number of IDs : 00000100
[0004] Destination Device ID Base : 00000200
[0004] Destination IOMMU Offset : 00000058
[0004] Flags : 00000000
