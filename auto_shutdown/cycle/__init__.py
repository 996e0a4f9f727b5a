"""Act: one pass after another observes, decides, looks again and removes.

Start reading at ``OnePass.run`` (one_pass.py). ``Remover.carry_out`` (removal.py) removes.

This package owns the order of those steps, the timer, and what users ask of a running server. It
holds no rule (``core`` has them) and cannot reach a kernel or AWS by itself (``world`` can).
"""
