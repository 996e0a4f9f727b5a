"""The names of the evidence of activity, as decisions show them (``signal`` in the report). How to
add one: docs/developers.md."""

from __future__ import annotations


class Signal:
    """Plain strings; each has a row in docs/reference/signals.md, held by a test."""

    #: A kernel is busy, or was busy at the previous pass.
    EXECUTION_STATE = "execution-state"
    #: Jupyter's own ``last_activity``, where no better evidence is available.
    LAST_ACTIVITY = "last-activity"
    #: A client sent a request to a kernel: it ran a cell, asked for a completion or moved a widget.
    REQUEST = "request"
    #: A kernel or terminal printed without a new request or key.
    OUTPUT = "output"
    #: Somebody typed in a terminal.
    INPUT = "input"
    #: A command runs in a terminal's foreground.
    FOREGROUND_PROCESS = "foreground-process"
    #: A process used processor time in the background.
    BACKGROUND_WORK = "background-work"
    #: A background process read or wrote bytes, or holds a connection to another host, but used
    #: hardly any processor time.
    BACKGROUND_IO = "background-io"
    #: Another Jupyter server in the same app reports its last activity.
    OTHER_SERVER = "other-server"
    #: The panel reports that a person uses the keyboard or mouse.
    PRESENCE = "presence"
    #: A user's program reports that it is at work: it touches a file or calls the API.
    HEARTBEAT = "heartbeat"
    #: Extensions of this server report activity (``last_activity_times``).
    EXTENSION = "extension"
    #: A person opened a page of a web application behind jupyter-server-proxy.
    PROXIED_PAGE = "proxied-page"
    #: A web application behind jupyter-server-proxy got a request. A person may have caused it, or
    #: a page that polls.
    PROXIED_APP = "proxied-app"
    #: A remote IDE touched the file that SageMaker's own idle shutdown reads.
    ACTIVITY_FILE = "activity-file"
    #: A document was saved.
    SAVED = "saved"
    #: A kernel or terminal appeared in an app.
    ARRIVAL = "arrival"
    #: The status of an app became InService.
    IN_SERVICE = "in-service"
    #: No activity is known since this extension first saw the resource.
    FIRST_SEEN = "first-seen"


#: The weak signals, which count only for a limited time after the last strong signal. Some programs
#: print, poll or keep a connection open for ever. And a person at the keyboard need not use each
#: resource that is open.
WEAK = frozenset({Signal.OUTPUT, Signal.PRESENCE, Signal.BACKGROUND_IO, Signal.PROXIED_APP})

#: How a sentence for people names the signal ("Last activity: a cell ran."). The field ``signal``
#: of the report has the signal's name.
WORDS = {
    Signal.EXECUTION_STATE: "a cell ran",
    Signal.LAST_ACTIVITY: "the time that Jupyter reports",
    Signal.REQUEST: "a request to a kernel",
    Signal.OUTPUT: "output without a request",
    Signal.INPUT: "a key pressed in the terminal",
    Signal.FOREGROUND_PROCESS: "a command in a terminal",
    Signal.BACKGROUND_WORK: "work in the background",
    Signal.BACKGROUND_IO: "a background program read or wrote data",
    Signal.OTHER_SERVER: "use of another Jupyter server",
    Signal.PRESENCE: "a person used the keyboard or mouse",
    Signal.HEARTBEAT: "a program reported that it works",
    Signal.EXTENSION: "a server extension reported it",
    Signal.PROXIED_PAGE: "a person opened a page of a web application",
    Signal.PROXIED_APP: "requests to a web application",
    Signal.ACTIVITY_FILE: "a remote IDE reported it",
    Signal.SAVED: "a document was saved",
    Signal.ARRIVAL: "a kernel or terminal appeared in it",
    Signal.IN_SERVICE: "it came in service",
    Signal.FIRST_SEEN: "none since it was first seen",
}
