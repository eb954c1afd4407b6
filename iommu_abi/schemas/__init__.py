"""The plain ledger: schemas of the tables and a slow, readable walk on them.

Every table entry is a hand-written ``construct`` schema with the vendor's field names, and
the walk reads in the order of the text that it follows. It shares no decoding with the walk
in C: where the two differ, one of them has misread the specification.

- ``entries``: how a schema is written
- ``plain_walk``: ``translate()``; ``in_words``: ``explain()``
- ``context``: what a requester has, and what a request may do; ``table_walk``: the stages
- ``vtd``, ``amdvi``, ...: a vendor's text, and the modules that follow it: its entries, contexts,
  transactions and tables; ``x86`` and ``vmsa`` are tables of processors
- ``pasid_table_info``: the seed's struct and its rules
- ``build``: makes tables, for tests, demos and fuzzers
"""
