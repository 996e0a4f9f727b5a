"""Observe, and remove: what this server can see and reach (kernels, terminals, processes,
SageMaker, the clock).

world.py joins the sources: kernels.py, terminals.py, sagemaker.py, reported_activity.py,
background_work.py and others. They report facts and instants. Nothing here decides what is idle:
core/planner.py does.

Modules here import ``core`` for its values and ``safe_files``, and nothing of the cycle, the state
on disk or the configuration.
"""
