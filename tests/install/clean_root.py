"""A root directory in which the generated scripts run. It has SageMaker's folders and users, and no
network. Of this machine it has only ``/usr`` (read-only) and a Python interpreter. It needs root
and `unshare`.

Its ``sudo`` is a stand-in, but an unprivileged user does become root by it, and only by it.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SAGEMAKER_USER = "1000:100"
CONFIGURATION = "etc/jupyter/jupyter_server_config.d/auto_shutdown_admin.json"

#: Runs in the namespace. ``$1`` is the root, ``$2`` the user, ``$3`` the folder of the interpreter.
ENTER = """
set -e
root=$1 user=$2 interpreter=$3
shift 3
mount --make-rprivate /
mount --bind /usr "$root/usr" && mount -o remount,bind,ro "$root/usr"
mount --rbind /proc "$root/proc"
for device in null zero urandom; do mount --bind /dev/$device "$root/dev/$device"; done
if [ -d "$root$interpreter" ]; then mount --bind "$interpreter" "$root$interpreter"; fi
exec chroot --userspec="$user" "$root" /usr/bin/env -i "$@"
"""

SUDO = """#!/bin/bash
[ "$1" = -n ] && shift
exec /opt/tools/lib/become --reuid=0 --regid=0 --clear-groups -- "$@"
"""

#: With the processes in a namespace of their own, none outlives a run.
UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child")

#: Both note what they are asked, and say that the server runs.
SUPERVISORCTL = """#!/bin/bash
echo "supervisorctl $*" >> /opt/tools/calls
echo "jupyterlabserver   RUNNING   pid 7, uptime 0:00:09"
"""
SYSTEMCTL = """#!/bin/bash
echo "systemctl $*" >> /opt/tools/calls
"""

#: Starts a server of the environment, waits until it answers, prints the answers.
SERVER = """
import fcntl, json, socket, struct, subprocess, sys, time, urllib.request
log = open("/tmp/server.log", "wb")
server = subprocess.Popen(
    [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--port=8888",
     "--ServerApp.token=t", "--ServerApp.root_dir=/tmp"], stdout=log, stderr=log)

def get(path):
    address = f"http://127.0.0.1:8888/{path}"
    request = urllib.request.Request(address, headers={"Authorization": "token t"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)

def wait_for(path, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            return get(path)
        except Exception as error:
            if time.monotonic() > end or server.poll() is not None:
                return {"failed": repr(error)}
            time.sleep(0.1)
try:
    found = {"api/status": wait_for("api/status", 40)}
    for path in sys.argv[1:]:
        found[path] = wait_for(path, 10)
    print(json.dumps(found))
finally:
    server.terminate()
    server.wait(15)
"""

#: Stands for a server that started in 2020. Its list of kernels is the file /opt/tools/kernels. The
#: program runs the command in its arguments. Then it waits until something restarts the server, or
#: asks for its kernels a second time.
OLD_SERVER = """
import http.server, json, ssl, subprocess, sys, threading, time

def read(name):
    return open("/opt/tools/" + name).read()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.partition("?")[0].rpartition("/")[2]
        answers = {"status": {"started": "2020-01-01T00:00:00Z"}, "terminals": []}
        answers["kernels"] = json.loads(read("kernels"))
        body = json.dumps(answers[name]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        with open("/opt/tools/asked", "a") as file:
            file.write(self.path + "\\n")

server = http.server.ThreadingHTTPServer(("127.0.0.1", 8888), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
code = subprocess.call(sys.argv[1:])
end = time.monotonic() + 90
while time.monotonic() < end:
    if " restart " in read("calls") or read("asked").count("api/kernels") > 1:
        break
    time.sleep(0.05)
sys.exit(code)
"""

LOOPBACK = """
import fcntl, socket, struct
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))
"""


def possible() -> str:
    """Why this machine cannot make a clean root; empty if it can."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return "needs Linux, root and unshare"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "namespaces are not allowed here"


def make_environment(place: Path, python: str, *packages: str, compiled: bool = True) -> Path:
    """Make a Python environment with pip, as conda's have it. ``compiled`` compiles its files,
    which is worth the time if it is used more than once."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--seed", "--python", python, place], check=True)
    inside = place / "bin" / "python"
    argv = [uv, "pip", "install", "--quiet", "--python", inside, *packages]
    subprocess.run(argv, check=True)
    if compiled:
        subprocess.run([inside, "-m", "compileall", "-q", "-j0", place / "lib"], check=False)
    # In SageMaker's images, the user may write to the environment.
    subprocess.run(["chown", "-R", SAGEMAKER_USER, place], check=True)
    return place


@dataclass
class CleanRoot:
    """One root directory, in the folder ``place``. ``prefix`` is the path in it of a copy of
    ``environment``."""

    place: Path
    environment: Path
    prefix: str
    user: str = SAGEMAKER_USER
    home: str = "/home/sagemaker-user"
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("usr", "proc", "dev", "etc", "opt/tools/bin", "opt/tools/lib"):
            (self.place / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                (self.place / name).symlink_to(os.readlink(f"/{name}"))
        for name in ("null", "zero", "urandom"):
            (self.place / "dev" / name).touch()
        self.path("/tmp").mkdir(mode=0o777)
        self.path("/tmp").chmod(0o1777)
        self.write(
            "/etc/passwd", f"root:x:0:0::/root:/bin/sh\nme:x:1000:100::{self.home}:/bin/sh\n"
        )
        self.write("/etc/group", "root:x:0:\nusers:x:100:\n")
        self.path(self.home).mkdir(parents=True)
        self.interpreter = self._interpreter()
        self._copy_environment()
        for name, text in (
            ("sudo", SUDO),
            ("supervisorctl", SUPERVISORCTL),
            ("systemctl", SYSTEMCTL),
        ):
            self.tool(name, text)
        become = shutil.copy(shutil.which("setpriv") or "", self.path("/opt/tools/lib/become"))
        os.chmod(become, 0o4755)
        self.write("/opt/tools/calls", "").chmod(0o666)
        subprocess.run(["chown", "-R", SAGEMAKER_USER, self.path(self.home)], check=True)

    def path(self, inside: str) -> Path:
        return self.place / inside.lstrip("/")

    def write(self, inside: str, text: str) -> Path:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def tool(self, name: str, text: str) -> None:
        self.write(f"/opt/tools/bin/{name}", text).chmod(0o755)

    def _interpreter(self) -> str:
        """The folder of the real Python, which the root makes visible under its own path. A folder
        that does not exist if Python is in /usr, which is visible anyway."""
        real = (self.environment / "bin" / "python").resolve()
        if real.is_relative_to("/usr"):
            return "/nonexistent"
        folder = real.parents[1]
        self.path(str(folder)).mkdir(parents=True)
        return str(folder)

    def _copy_environment(self) -> None:
        target = self.path(self.prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Hard links suffice, because pip replaces files and does not write into existing ones.
        subprocess.run(["cp", "-al", self.environment, target], check=True)
        for program in (target / "bin").iterdir():
            if program.is_file() and not program.is_symlink():
                content = program.read_bytes()
                program.unlink()
                program.write_bytes(
                    content.replace(str(self.environment).encode(), self.prefix.encode())
                )
                program.chmod(0o755)

    def run(self, *argv: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
        variables = {
            "HOME": self.home,
            "PATH": "/opt/tools/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            **self.variables,
        }
        bring_up = f"{sys.executable} -c '{LOOPBACK}'"
        return subprocess.run(
            [
                *(*UNSHARE, "bash", "-c", f"{bring_up}\n{ENTER}", "enter"),
                *(str(self.place), user or self.user, self.interpreter),
                *(f"{name}={value}" for name, value in variables.items()),
                *argv,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )

    def start(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run the script as SageMaker does: as a file in the root folder."""
        return self.run(*self.start_line(script))

    def start_line(self, script: str) -> list[str]:
        """Write the script into the root, and return the command line that runs it."""
        text = script.replace("RESTART_DELAY=30", "RESTART_DELAY=0")
        self.write("/on-start.sh", text).chmod(0o755)
        return ["/on-start.sh"]

    def python(self, *argv: str, user: str | None = None) -> str:
        done = self.run(f"{self.prefix}/bin/python", *argv, user=user)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def jupyter(self, *argv: str) -> str:
        done = self.run("/usr/bin/env", f"PATH={self.prefix}/bin:/usr/bin:/bin", "jupyter", *argv)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def packages(self) -> set[str]:
        """The installed packages of the environment, each as ``name==version``."""
        (folder,) = self.path(self.prefix).glob("lib/python3.*/site-packages")
        names = [path.stem.split("-") for path in folder.glob("*.dist-info")]
        return {f"{name.replace('_', '-')}=={version}" for name, version in names}

    def calls(self) -> list[str]:
        return self.path("/opt/tools/calls").read_text().splitlines()

    def start_beside_server(
        self, script: str, kernels: list[str]
    ) -> subprocess.CompletedProcess[str]:
        """Run the script beside a server with these kernels (OLD_SERVER), and wait until the
        background process restarts the server, or has looked at its kernels twice."""
        self.write("/opt/tools/kernels", json.dumps([{"id": each} for each in kernels]))
        self.write("/opt/tools/asked", "").chmod(0o666)
        python = f"{self.prefix}/bin/python"
        return self.run(python, "-c", OLD_SERVER, *self.start_line(script))

    def tree(self) -> dict[str, tuple[int, int, int]]:
        """The inode, size and time of each file, to see whether a script has changed any."""
        files = {}
        for folder in (self.prefix, "/etc", self.home):
            for path in self.path(folder).rglob("*"):
                status = path.lstat()
                if not stat.S_ISDIR(status.st_mode):
                    key = str(path.relative_to(self.place))
                    files[key] = (status.st_ino, status.st_size, status.st_mtime_ns)
        return files
