"""What a memory image says about the kernel that it was taken of.

- ``vmcoreinfo``: the kernel's own note of symbols, sizes and offsets
- ``addresses``: virtual addresses of that kernel -> physical ones
- ``printk``: its log
"""
