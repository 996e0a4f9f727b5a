"""Benchmarks: ``make bench``. Each benchmark compares two programs or situations in one run on one
machine and prints one table. ``docs/performance.md`` has the tables of one run of all of them."""
