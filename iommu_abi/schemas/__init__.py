"""The plain ledger: schemas of the tables and a slow, readable walk on them.

Every table entry is a hand-written ``construct`` schema with the vendor's field names, and
the walk reads in the order of the text that it follows. It shares no decoding with the walk
in C: where the two differ, one of them has misread the specification.

- ``entries``: how a schema is written
- ``plain``: what all formats share, ``translate()`` and ``explain()``
- ``vtd_entries`` and ``vtd``, ``amdvi``, ...: a vendor's entries and walk; ``x86`` what two
  vendors share
- ``pasid_table_info``: the seed's struct and its rules
- ``build``: makes tables, for tests, demos and fuzzers
"""
