"""What memory images, files and logs say about a machine and its IOMMUs.

- ``vmcoreinfo``: the kernel's own note of symbols, sizes and offsets
- ``addresses``: virtual addresses of that kernel -> physical ones
- ``printk``: its log
- ``kallsyms``, ``btf``, ``kernel``: its symbols, its types, and its objects by the names of their members
- ``linux``: its IOMMUs, with a module for each vendor; ``devices``: what is behind them
- ``acpi``: what firmware's tables say; ``image``: all that is in an image
- ``debugfs``, ``boot_lines``: text of a running kernel; ``sources``: a file or a directory of any form
- ``qemu``, ``qmp``: a QEMU that runs; ``types``: a kernel's types, as its ABI
- ``merge``: what several sources say of one machine
- ``units``: what every source ends in; ``meta_file``: that as JSON, written and read
"""
