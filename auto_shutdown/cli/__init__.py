"""``jupyter auto-shutdown``: the parser (``main``), and one module for each command.

Each command module has a function ``add(commands)``, which adds the parser of the command. The
parser sets ``run``, a function that takes the parsed arguments and returns the exit code. Commands
call the running server over HTTP; they never read its state files.
"""
