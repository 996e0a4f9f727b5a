"""The commands. Each module adds its parser with ``add(commands)``; what a parser's ``run`` default
names is called with the arguments and answers an exit code."""
