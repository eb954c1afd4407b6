"""Mutation testing of the core and the plain ledger: `make mutants`, `PYTHONPATH=tests python -m mutants`."""
