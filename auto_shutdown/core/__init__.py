"""Decide: the rules, as pure functions.

- What is idle: planner.py for kernels and terminals, apps.py for apps. Both end with due.py, which
  compares the idle clock with the limit.
- Since when it is idle: marks.py and next_marks.py, called by advance.py. signals.py names the
  evidence of activity.
- What the functions take and return: model.py and resources.py (what was observed), ledger.py (what
  is remembered), policy.py (the settings in force), decision.py and outcome.py (the results).

Modules here import each other and the pure modules of the standard library that ``tests/purity.py``
lists, and no other folder of this package. None of them reads a clock, a file or the network, and
none logs. ``tests/test_layers.py`` checks this.
Time comes in as ``now`` (aware UTC), which the cycle reads once for each pass.
"""
