"""AWS Lambda's runtime on this machine: the real zip and the real runtime client (awslambdaric),
with a stand-in of the Runtime API (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: What Lambda's runtime for Python brings. Nothing else of this environment is there.
BROUGHT = (
    *("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py"),
    *("awslambdaric", "simplejson", "snapshot_restore_py"),
)

#: A cold start on a busy machine, and a paced run.
DEADLINE = 90


@dataclass
class Invocation:
    """``kind`` is response or error; ``body`` what the function answered."""

    event: Mapping[str, Any]
    seconds: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    kind: str = ""
    body: Any = None
    is_done: threading.Event = field(default_factory=threading.Event)

    def result(self) -> Invocation:
        assert self.is_done.wait(DEADLINE), "the function did not answer"
        return self


class Runtime:
    """One execution environment: a process that serves invocations one after the other."""

    def __init__(self, folder: Path, code: bytes, handler: str, environ: Mapping[str, str]) -> None:
        self._next: queue.Queue[Invocation | None] = queue.Queue()
        self._open: dict[str, Invocation] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        task, brought = folder / "task", folder / "brought"
        if not task.exists():
            zipfile.ZipFile(io.BytesIO(code)).extractall(task)
            _bring(brought)
        host, port = self._server.server_address[:2]
        self._process = subprocess.Popen(
            # -S: without the packages of this environment.
            [sys.executable, "-S", "-m", "awslambdaric", handler],
            cwd=task,
            env={
                **environ,
                "PYTHONPATH": f"{task}:{brought}",
                "AWS_LAMBDA_RUNTIME_API": f"{host!s}:{port}",
                "LAMBDA_TASK_ROOT": str(task),
                "AWS_LAMBDA_FUNCTION_NAME": "function",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                "PATH": os.environ["PATH"],
            },
            stdout=subprocess.DEVNULL,
        )

    def start(self, event: Mapping[str, Any], seconds: float = 900) -> Invocation:
        invocation = Invocation(event, seconds)
        self._open[invocation.id] = invocation
        self._next.put(invocation)
        return invocation

    def invoke(self, event: Mapping[str, Any], seconds: float = 900) -> Invocation:
        return self.start(event, seconds).result()

    def kill(self) -> None:
        """As the machine below it may be lost."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._next.put(None)
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        runtime = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                invocation = runtime._next.get()
                if invocation is None:
                    return
                deadline = time.time() + invocation.seconds
                arn = "arn:aws:lambda:us-west-2:123456789012:function:function"
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", invocation.id)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(deadline * 1000)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
                # Without these two the compiled client ends in a segmentation fault.
                self.send_header("Lambda-Runtime-Trace-Id", f"Root={invocation.id}")
                self.send_header("Content-Type", "application/json")
                self._end(json.dumps(invocation.event).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                *_, request_id, kind = self.path.split("/")
                self.send_response(202)
                self._end(b"{}")
                # An error at start has no invocation: whoever waits for one learns of it.
                concerned = [runtime._open.get(request_id)]
                if request_id == "init":
                    concerned = list(runtime._open.values())
                for invocation in concerned:
                    if invocation is not None:
                        invocation.kind, invocation.body = kind, json.loads(body or b"null")
                        invocation.is_done.set()

            def _end(self, body: bytes) -> None:
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _bring(folder: Path) -> None:
    site = Path(sysconfig.get_path("purelib"))
    folder.mkdir()
    compiled = [path.name for path in site.glob("runtime_client*.so")]
    for name in (*BROUGHT, *compiled):
        if (site / name).exists():
            (folder / name).symlink_to(site / name)
