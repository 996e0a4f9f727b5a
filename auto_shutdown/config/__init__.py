"""What the administrator and the user may set: traits, settings, whose value wins, who set it.

Only values and configuration files live here. What is read from the state directory is in
``state``.
"""
