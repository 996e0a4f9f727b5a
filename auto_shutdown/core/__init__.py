"""The decision: values in, values out.

Nothing below this package reads a clock, a file or the network, and nothing logs: a test holds
that. Time comes in as ``now`` (aware UTC, read once a cycle by the controller) and every rule is
a function of a :class:`~auto_shutdown.core.model.Snapshot`, a ledger, a policy and ``now``.
"""
