/* Two units in two segments: ranges, aliases, an IOAPIC; reserved and excluded memory. By iasl. */
[0004] Signature : "IVRS"
[0004] Table Length : 00000000
[0001] Revision : 02
[0001] Checksum : 00
[0006] Oem ID : "TESTER"
[0008] Oem Table ID : "IVHDIVMD"
[0004] Oem Revision : 00000001
[0004] Asl Compiler ID : "INTL"
[0004] Asl Compiler Revision : 20200925

[0004] Virtualization Info : 00003003
[0008] Reserved : 0000000000000000

[0001] Subtable Type : 10 [Hardware Definition Block]
[0001] Flags : 10
[0002] Length : 001C
[0002] DeviceId : 0002
[0002] Capability Offset : 0040
[0008] Base Address : 00000000FEB80000
[0002] PCI Segment Group : 0000
[0002] Virtualization Info : 0000
[0004] Feature Reporting : 00000000
[0001] Entry Type : 02
[0002] Device ID : 0018
[0001] Data Setting : 00

[0001] Subtable Type : 11 [Hardware Definition Block]
[0001] Flags : 10
[0002] Length : 0050
[0002] DeviceId : 0002
[0002] Capability Offset : 0040
[0008] Base Address : 00000000FEB80000
[0002] PCI Segment Group : 0000
[0002] Virtualization Info : 0000
[0004] Attributes : 00000000
[0008] EFR Image : 00000000000029D7
[0008] Reserved : 0000000000000000
[0001] Entry Type : 03
[0002] Device ID : 0008
[0001] Data Setting : 00
[0001] Entry Type : 04
[0002] Device ID : 00FE
[0001] Data Setting : 00
[0001] Entry Type : 43
[0002] Device ID : 0200
[0001] Data Setting : 00
[0001] Reserved : 00
[0002] Source Used Device ID : 0010
[0001] Reserved : 00
[0001] Entry Type : 04
[0002] Device ID : 02FF
[0001] Data Setting : 00
[0001] Entry Type : 42
[0002] Device ID : 0300
[0001] Data Setting : 00
[0001] Reserved : 00
[0002] Source Used Device ID : 0018
[0001] Reserved : 00
[0001] Entry Type : 46
[0002] Device ID : 0400
[0001] Data Setting : 00
[0004] Extended Data : 00000000
[0001] Entry Type : 48
[0002] Device ID : 0000
[0001] Data Setting : 00
[0001] Handle : 04
[0002] Source Used Device ID : 00A0
[0001] Variety : 01

[0001] Subtable Type : 11 [Hardware Definition Block]
[0001] Flags : 10
[0002] Length : 002C
[0002] DeviceId : 0002
[0002] Capability Offset : 0040
[0008] Base Address : 00000000F4000000
[0002] PCI Segment Group : 0001
[0002] Virtualization Info : 0000
[0004] Attributes : 00000000
[0008] EFR Image : 00000000000029D7
[0008] Reserved : 0000000000000000
[0001] Entry Type : 01
[0002] Device ID : 0000
[0001] Data Setting : 00

[0001] Subtable Type : 21 [Memory Definition Block]
[0001] Flags : 07
[0002] Length : 0020
[0002] DeviceId : 0018
[0002] Auxiliary Data : 0000
[0008] Reserved : 0000000000000000
[0008] Start Address : 00000000C0000000
[0008] Memory Length : 0000000000010000

[0001] Subtable Type : 22 [Memory Definition Block]
[0001] Flags : 03
[0002] Length : 0020
[0002] DeviceId : 0008
[0002] Auxiliary Data : 00FE
[0008] Reserved : 0000000000000000
[0008] Start Address : 00000000C1000000
[0008] Memory Length : 0000000000001000

[0001] Subtable Type : 20 [Memory Definition Block]
[0001] Flags : 08
[0002] Length : 0020
[0002] DeviceId : 0000
[0002] Auxiliary Data : 0000
[0008] Reserved : 0000000000000000
[0008] Start Address : 00000000C2000000
[0008] Memory Length : 0000000000200000
