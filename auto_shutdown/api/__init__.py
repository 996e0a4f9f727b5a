"""Report: the HTTP contract (``rest-api.yml``), its handlers in the server, and its client.

Handlers read a request, call the cycle and write the answer. No rule and no state lives here.
"""
