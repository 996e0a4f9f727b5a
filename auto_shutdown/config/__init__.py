"""What the administrator and the user may set: traits, settings, whose value wins, who set it.

This folder defines and validates the settings, and reads Jupyter's configuration files. The file
with a user's own settings is read and written by ``state`` (preferences.py).
"""
