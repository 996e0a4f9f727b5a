"""The names of the evidence of activity, as decisions show them (``signal`` in the report). How to
add one: docs/developers.md."""

from __future__ import annotations


class Signal:
    """Plain strings; each has a row in docs/reference/signals.md, held by a test."""

    #: A kernel is, or was since the last look, busy.
    EXECUTION_STATE = "execution-state"
    #: Jupyter's own ``last_activity``, where nothing better can be had.
    LAST_ACTIVITY = "last-activity"
    #: Somebody asked a kernel for something: a cell, a completion, a widget moved.
    REQUEST = "request"
    #: A kernel or terminal printed, and nobody asked it to.
    OUTPUT = "output"
    #: A key reached a terminal.
    INPUT = "input"
    #: A command runs in a terminal's foreground.
    FOREGROUND_PROCESS = "foreground-process"
    #: Processor time, with nothing to show for it.
    BACKGROUND_WORK = "background-work"
    #: Bytes read or written, or a connection to another host, by what computes next to nothing.
    BACKGROUND_IO = "background-io"
    #: Another Jupyter server says when something in it was last active.
    OTHER_SERVER = "other-server"
    #: A person at the keyboard, as the panel reports it.
    PRESENCE = "presence"
    #: Somebody's program says that it is at work (a file touched, a call made).
    HEARTBEAT = "heartbeat"
    #: Extensions of this server report activity (``last_activity_times``).
    EXTENSION = "extension"
    #: A person opened a page of an application behind jupyter-server-proxy.
    PROXIED_PAGE = "proxied-page"
    #: Such an application is used, or its page polls.
    PROXIED_APP = "proxied-app"
    #: SageMaker's own file for remote IDEs.
    ACTIVITY_FILE = "activity-file"
    #: A document was saved.
    SAVED = "saved"
    #: A kernel or terminal appeared in an app.
    ARRIVAL = "arrival"
    IN_SERVICE = "in-service"
    FIRST_SEEN = "first-seen"


#: Signals that count only for so long after the last other one: some programs print for ever, some
#: keep a connection open, some pages poll, and a person's presence in the lab is a hint.
WEAK = frozenset({Signal.OUTPUT, Signal.PRESENCE, Signal.BACKGROUND_IO, Signal.PROXIED_APP})
