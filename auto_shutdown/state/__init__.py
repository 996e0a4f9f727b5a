"""What is on disk: the user's settings, the saved ledger, the audit log, the savings, and what is
needed to bring stopped kernels and terminals back.

Each module owns one kind of file and keeps the rest of the program running when that file cannot
be read or written. Nothing here decides or removes anything.
"""
