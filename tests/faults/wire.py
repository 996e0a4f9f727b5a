"""A wire between the product and the SageMaker API, on which things go wrong."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any


class Wire:
    """Listens on ``url``; passes everything on to ``port`` of this host while it is ``whole``.

    ``silent`` takes requests and never answers (a half-open connection), ``reset`` breaks the
    connection once the request is there, ``half`` ends in the middle of an answer, ``refused``
    hangs up at once. Connections do not outlive a change, as with a network that breaks.
    """

    MODES = ("silent", "reset", "half", "refused")

    def __init__(self, port: int) -> None:
        self._port = port
        self._mode = "whole"
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def turn(self, mode: str) -> None:
        self._mode = mode
        for connection in list(self._open):
            self._drop(connection)

    def close(self) -> None:
        self._server.close()
        self.turn("refused")

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._open.add(client)
            threading.Thread(target=self._serve, args=(client, self._mode), daemon=True).start()

    def _serve(self, client: socket.socket, mode: str) -> None:
        with contextlib.suppress(OSError):
            if mode == "refused":
                return self._drop(client)
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                pump = threading.Thread(target=_copy, args=(client, server, mode), daemon=True)
                pump.start()
                while mode != "silent":
                    answer = server.recv(65536)
                    if not answer or mode == "reset":
                        break
                    client.sendall(answer if mode == "whole" else answer[: len(answer) // 2])
                    if mode == "half":
                        break
                if mode == "silent":
                    pump.join(60)
        return self._drop(client)

    def _drop(self, connection: socket.socket) -> None:
        self._open.discard(connection)
        with contextlib.suppress(OSError):
            # Not a farewell but a reset, which shutdown() alone would not be.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def _copy(source: socket.socket, target: socket.socket, mode: str) -> Any:
    with contextlib.suppress(OSError):
        while request := source.recv(65536):
            if mode in ("whole", "half"):
                target.sendall(request)
            elif mode == "reset":
                target.shutdown(socket.SHUT_RDWR)
