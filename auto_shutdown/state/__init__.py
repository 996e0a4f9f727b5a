"""The files on disk: the user's settings, the saved ledger, the audit log, the savings, and the
data that brings stopped kernels and terminals back.

Each module owns one kind of file, and keeps the rest of the program running when that file cannot
be read or written. No module here decides about a removal or removes anything.
"""
