"""``jupyter auto-shutdown``: the parser (``main``), and one module for each command.

Each command module adds its parser with ``add(commands)``. The parser's ``run`` default is called
with the arguments and answers an exit code. Commands ask the running server over HTTP; they never
read its state files.
"""
