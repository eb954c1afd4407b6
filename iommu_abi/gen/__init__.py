"""Text made from what is known of the user API, for other tools.

- ``syzlang``, ``syzlang_facts``: a description of /dev/iommu for syzkaller
- ``c_asserts``: a C file that holds somebody's header against a generation
"""
