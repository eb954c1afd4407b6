/* Two SMMUv3 with moved StreamIDs, an SMMUv2, a named component, reserved memory: compiled by iasl. */
[0004] Signature : "IORT"
[0004] Table Length : 00000000
[0001] Revision : 06
[0001] Checksum : 00
[0006] Oem ID : "TESTER"
[0008] Oem Table ID : "TWOSMMUS"
[0004] Oem Revision : 00000001
[0004] Asl Compiler ID : "INTL"
[0004] Asl Compiler Revision : 20200925

[0004] Node Count : 00000008
[0004] Node Offset : 00000030
[0004] Reserved : 00000000

[0001] Type : 00
[0002] Length : 0018
[0001] Revision : 01
[0004] Identifier : 00000000
[0004] Mapping Count : 00000000
[0004] Mapping Offset : 00000000
[0004] ItsCount : 00000001
[0004] Identifiers : 00000000

[0001] Type : 04
[0002] Length : 0058
[0001] Revision : 04
[0004] Identifier : 00000000
[0004] Mapping Count : 00000001
[0004] Mapping Offset : 00000044
[0008] Base Address : 000000002B400000
[0004] Flags (decoded below) : 00000001
COHACC Override : 1
HTTU Override : 0
Proximity Domain Valid : 0
DeviceID Valid : 0
[0004] Reserved : 00000000
[0008] VATOS Address : 0000000000000000
[0004] Model : 00000000
[0004] Event GSIV : 00000000
[0004] PRI GSIV : 00000000
[0004] GERR GSIV : 00000000
[0004] Sync GSIV : 00000000
[0004] Proximity Domain : 00000000
[0004] Device ID Mapping Index : 00000000

[0004] Input base : 00000000
[0004] ID Count : 0000FFFF
[0004] Output Base : 00000000
[0004] Output Reference : 00000030
[0004] Flags (decoded below) : 00000000
Single Mapping : 0

[0001] Type : 04
[0002] Length : 0044
[0001] Revision : 04
[0004] Identifier : 00000000
[0004] Mapping Count : 00000000
[0004] Mapping Offset : 00000000
[0008] Base Address : 000000002B500000
[0004] Flags (decoded below) : 00000000
COHACC Override : 0
HTTU Override : 0
Proximity Domain Valid : 0
DeviceID Valid : 0
[0004] Reserved : 00000000
[0008] VATOS Address : 0000000000000000
[0004] Model : 00000000
[0004] Event GSIV : 00000000
[0004] PRI GSIV : 00000000
[0004] GERR GSIV : 00000000
[0004] Sync GSIV : 00000000
[0004] Proximity Domain : 00000000
[0004] Device ID Mapping Index : 00000000

[0001] Type : 03
[0002] Length : 004C
[0001] Revision : 03
[0004] Identifier : 00000000
[0004] Mapping Count : 00000000
[0004] Mapping Offset : 00000000
[0008] Base Address : 000000002B600000
[0008] Span : 0000000000010000
[0004] Model : 00000003
[0004] Flags (decoded below) : 00000000
DVM Supported : 0
Coherent Walk : 0
[0004] Global Interrupt Offset : 0000003C
[0004] Context Interrupt Count : 00000000
[0004] Context Interrupt Offset : 0000004C
[0004] PMU Interrupt Count : 00000000
[0004] PMU Interrupt Offset : 0000004C
[0004] NSgIrpt : 00000000
[0004] NSgIrpt Flags (decoded below) : 00000000
Edge Triggered : 0
[0004] NSgCfgIrpt : 00000000
[0004] NSgCfgIrpt Flags (decoded below) : 00000000
Edge Triggered : 0

[0001] Type : 02
[0002] Length : 004C
[0001] Revision : 04
[0004] Identifier : 00000000
[0004] Mapping Count : 00000002
[0004] Mapping Offset : 00000024
[0008] Memory Properties : [IORT Memory Access Properties]
[0004] Cache Coherency : 00000001
[0001] Hints (decoded below) : 00
Transient : 0
Write Allocate : 0
Read Allocate : 0
Override : 0
[0002] Reserved : 0000
[0001] Memory Flags (decoded below) : 03
Coherency : 1
Device Attribute : 1
Ensured Coherency of Accesses : 0
[0004] ATS Attribute : 00000001
[0004] PCI Segment Number : 00000000
[0001] Memory Size Limit : 40
[0002] PASID Capabilities : 0000
[0001] Reserved : 00

[0004] Input base : 00000000
[0004] ID Count : 000000FF
[0004] Output Base : 00000100
[0004] Output Reference : 00000048
[0004] Flags (decoded below) : 00000000
Single Mapping : 0

[0004] Input base : 00000100
[0004] ID Count : 0000FEFF
[0004] Output Base : 00010000
[0004] Output Reference : 000000A0
[0004] Flags (decoded below) : 00000000
Single Mapping : 0

[0001] Type : 02
[0002] Length : 0038
[0001] Revision : 04
[0004] Identifier : 00000000
[0004] Mapping Count : 00000001
[0004] Mapping Offset : 00000024
[0008] Memory Properties : [IORT Memory Access Properties]
[0004] Cache Coherency : 00000001
[0001] Hints (decoded below) : 00
Transient : 0
Write Allocate : 0
Read Allocate : 0
Override : 0
[0002] Reserved : 0000
[0001] Memory Flags (decoded below) : 03
Coherency : 1
Device Attribute : 1
Ensured Coherency of Accesses : 0
[0004] ATS Attribute : 00000001
[0004] PCI Segment Number : 00000002
[0001] Memory Size Limit : 40
[0002] PASID Capabilities : 0000
[0001] Reserved : 00

[0004] Input base : 00000000
[0004] ID Count : 0000FFFF
[0004] Output Base : 00020000
[0004] Output Reference : 000000A0
[0004] Flags (decoded below) : 00000000
Single Mapping : 0

[0001] Type : 01
[0002] Length : 0040
[0001] Revision : 04
[0004] Identifier : 00000000
[0004] Mapping Count : 00000001
[0004] Mapping Offset : 0000002C
[0004] Node Flags : 00000000
[0008] Memory Properties : [IORT Memory Access Properties]
[0004] Cache Coherency : 00000001
[0001] Hints (decoded below) : 00
Transient : 0
Write Allocate : 0
Read Allocate : 0
Override : 0
[0002] Reserved : 0000
[0001] Memory Flags (decoded below) : 03
Coherency : 1
Device Attribute : 1
Ensured Coherency of Accesses : 0
[0001] Memory Size Limit : 20
[0010] Device Name : "\_SB.DMA0"
[0005] Padding : 00 00 00 00 00

[0004] Input base : 00000000
[0004] ID Count : 00000000
[0004] Output Base : 00000042
[0004] Output Reference : 00000048
[0004] Flags (decoded below) : 00000001
Single Mapping : 1

[0001] Type : 06
[0002] Length : 0044
[0001] Revision : 03
[0004] Identifier : 00000000
[0004] Mapping Count : 00000001
[0004] Mapping Offset : 00000030
[0004] Flags (decoded below) : 00000001
Remapping Permitted : 1
Access Privileged : 0
Access Attributes : 00
[0004] Number of RMR Descriptors : 00000001
[0004] RMR Descriptor Offset : 0000001C
[0008] Base Address of RMR : 00000000E0000000
[0008] Length of RMR : 0000000000400000
[0004] Reserved : 00000000

[0004] Input base : 00000000
[0004] ID Count : 00000000
[0004] Output Base : 00000110
[0004] Output Reference : 00000048
[0004] Flags (decoded below) : 00000001
Single Mapping : 1
