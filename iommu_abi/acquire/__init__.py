"""What a memory image says about the kernel that it was taken of.

- ``vmcoreinfo``: the kernel's own note of symbols, sizes and offsets
- ``addresses``: virtual addresses of that kernel -> physical ones
- ``printk``: its log
- ``kallsyms``, ``btf``, ``kernel``: its symbols, its types, and its objects by the names of their members
- ``linux``: its IOMMUs, with a module for each vendor; ``devices``: what is behind them
- ``units``: what every source ends in; ``meta_file``: that as JSON, written and read
"""
