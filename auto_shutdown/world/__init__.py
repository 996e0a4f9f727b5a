"""Observe, and remove: what this server can see and reach (kernels, terminals, processes,
SageMaker, the clock).

Nothing here decides what is idle. Modules here import ``core`` for its values and ``safe_files``,
and nothing of the cycle, the state on disk or the configuration. ``world.py`` joins the rest.
"""
