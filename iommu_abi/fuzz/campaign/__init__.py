"""A campaign: many turns at many targets, on several processes, in a directory that survives being killed.

``store`` is the directory, ``state`` what it adds up to, ``session`` what a process does with an input,
``worker`` the process, ``run`` the one that hands out turns; ``apart`` runs one input in safety, ``minimise``
makes it small; ``summary``, ``html`` and ``pytest_case`` say it to others.
"""

from __future__ import annotations
