"""Act: one pass after another observes, decides, looks again and removes.

This package owns the order of those steps, the one lock and the timer. It holds no rule (``core``
has them) and no way to reach a kernel or AWS (``world`` has them).
"""
