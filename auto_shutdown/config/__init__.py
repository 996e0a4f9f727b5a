"""Defines what the administrator and the user can configure, and decides which value applies.

This folder defines and validates the settings, and reads Jupyter's configuration files. The file
with a user's own settings is read and written by ``state`` (preferences.py).
"""
