"""Text made from what is known of the user API, for other tools.

- ``syzlang``: a description of /dev/iommu for syzkaller
- ``c_asserts``: a C file that holds somebody's header against a generation
"""
