"""Reads a server over HTTP as other idle-shutdown tools do, on one open connection. Prints the
processor seconds of one round of requests: ``python -m bench.poller URL TOKEN ROUNDS``."""

from __future__ import annotations

import http.client
import json
import sys
import time
from urllib.parse import urlsplit

PATHS = ("/api/sessions", "/api/kernels", "/api/terminals", "/sagemaker/api/apps")


def main(url: str, token: str, rounds: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Authorization": f"token {token}"}
    begin = time.process_time()
    for _ in range(rounds):
        for path in PATHS:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, (path, response.status)
            json.loads(body)
    print((time.process_time() - begin) / rounds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
