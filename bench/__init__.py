"""Benchmarks: ``make bench``, or ``python -m bench NAME`` for one of them.

Each benchmark is a module with a function ``measure``. It compares two programs or two situations
in one run on one machine, and returns one table. docs/performance.md has the tables of one run.

No test belongs here, and nothing that the product imports: a benchmark measures the product from
outside.
"""
