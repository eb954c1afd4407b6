"""``python -m smoke``: both ledgers on valid and on broken inputs, until every way to fail was met."""

from __future__ import annotations
