"""Benchmarks: ``make bench``. Each compares two things in one run on one machine, and prints one
table; ``docs/performance.md`` is a run of all of them."""
