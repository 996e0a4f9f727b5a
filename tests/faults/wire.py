"""A proxy between the product and the SageMaker API that breaks connections."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any


class Wire:
    """Listens on ``url``, and forwards everything to ``port`` of this host in the mode ``whole``.

    ``silent`` takes requests and never answers (a half-open connection). ``reset`` resets the
    connection after the request. ``half`` ends in the middle of an answer. ``refused`` resets the
    connection at once. A change of the mode resets all connections, as a broken network does.
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
        with contextlib.suppress(OSError):
            self._server.shutdown(
                socket.SHUT_RDWR
            )  # wakes the thread in accept(), close() does not
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
            # Without a linger time, closing the socket sends a reset.
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
