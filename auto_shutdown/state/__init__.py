"""The files on disk: the user's settings (preferences.py), the keep-alives and activity marks
(saved_ledger.py), the audit log (history.py), the savings (savings.py), and the data that brings
stopped kernels and terminals back (stopped.py).

Each module owns one kind of file, and keeps the rest of the program running when that file cannot
be read or written. No module here decides about a removal or removes anything.
"""
