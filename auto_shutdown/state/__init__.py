"""What is on disk: the user's settings, the saved ledger, the audit log and the savings.

Each module owns one kind of file and keeps the rest of the program running when that file cannot
be read or written. Nothing here decides or removes anything.
"""
