"""The decision rules, as pure functions.

Modules here import each other and the standard library, and no other folder of this package. None
of them reads a clock, a file or the network, and none logs. ``tests/test_layers.py`` checks this.

Time comes in as ``now`` (aware UTC), which the controller reads once a cycle. Every rule is a
function of a :class:`~auto_shutdown.core.model.Snapshot`, a ledger, a policy and ``now``.
"""
