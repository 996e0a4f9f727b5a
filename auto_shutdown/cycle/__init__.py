"""Act: one pass after another observes, decides, looks again and removes.

Start reading at ``OnePass.run`` (one_pass.py): it has the steps of a pass in their order. The
controller (controller.py) decides when a pass begins, and the pass runner (pass_runner.py) runs one
pass at a time. ``Remover.carry_out`` (removal.py) looks at a resource again and decides again,
``RemovalTasks`` (removal_tasks.py) then removes it.

This package owns the order of those steps, the timer, and the requests of users. The rules are in
``core``. Only ``world`` can reach a kernel or AWS.
"""
