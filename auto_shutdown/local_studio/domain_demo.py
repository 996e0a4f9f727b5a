"""The demo for administrators: it runs ``domain report``, ``check`` and ``tidy`` as programs
against an account of a thousand people on this machine, in about a minute."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from .api import Api
from .large_account import DOMAIN_ID, LargeAccount, Size, environment
from .rates import Rates
from .resources import AppRecord, Apps, Delays
from .screen import Screen

#: How many times as many requests a second this account allows as AWS does, so that the demo takes
#: a minute.
FASTER = 20

POLICY = {
    "version": 1,
    "dry_run": False,
    "notify": {"event_bus": "default"},
    "canvas": {"delete": True, "idle_minutes": 120},
    "orphans": {"delete": True, "age_hours": 24},
    "exceptions": {"tags": {"auto-shutdown": "keep"}},
    "prices": {"Canvas": 1.9},
}

#: The page of ``domain report --html``, in the directory in which the demo was started.
HTML = Path("studio.html")


def run(root: Path, console: Console | None = None, size: Size | None = None) -> int:
    """Run the demo with its files below ``root``. Returns 0 only if exactly the right apps were
    deleted. ``size`` is the size of the account."""
    screen = Screen(console or Console())
    api = Api(Apps(_nothing, _nothing, Delays(deleting=0.2)), rates=Rates(times=FASTER))
    account = LargeAccount(api, size)
    try:
        screen.step(f"Making an AWS account with {len(account.people):,} people")
        account.fill()
        return _Demo(root, screen, api, account).run()
    finally:
        account.clear()
        api.close()


def _nothing(_app: AppRecord) -> None:
    """Start or stop an app: does nothing, because the apps of this account have no processes."""


class _Demo:
    def __init__(self, root: Path, screen: Screen, api: Api, account: LargeAccount) -> None:
        self._root, self._screen, self._api, self._account = root, screen, api, account
        self._policy, self._state = root / "policy.json", root / "state.json"
        self._policy.write_text(json.dumps(POLICY))
        self._failed: list[str] = []

    def run(self) -> int:
        say = self._screen.say
        apps = self._api.apps.all()
        running = sum(app.status == "InService" for app in apps)
        say(
            f"\nThe account lists {len(apps):,} apps: {running:,} run, the others ended today. "
            "They have no processes, and nothing leaves this machine. The account allows "
            f"{FASTER} times as many requests a second as AWS does."
        )
        say("\n1. What is billed now, who pays for it, and who forgot it?")
        self._command("report", "--policy", self._policy, "--html", HTML, "-n", "6")
        say(f"\nThe same as a page for a browser, with all rows: {HTML.resolve()}")
        say("\n2. What should an administrator look at?")
        people = str(len(self._account.people))
        self._command("check", "--policy", self._policy, "--describe", people, allowed=(0, 1))
        say(
            "\n3. Canvas has no extension that could remove it. A policy file says: delete Canvas "
            "apps idle for two hours, and apps of people who are gone; give notice an hour before."
        )
        audit = self._root / "audit.jsonl"
        tidy = ("tidy", "--policy", self._policy, "--state", self._state, "--audit", audit)
        self._command(*tidy)
        due = self._due()
        active, tagged = due[0], due[1]
        self._an_hour_passes(active, tagged)
        say(
            "\n4. An hour later (the demo makes the notices an hour older). Meanwhile "
            f"{active} works in Canvas again, and {tagged} has set the tag auto-shutdown=keep."
        )
        self._command(*tidy)
        return self._sum_up(due, (active, tagged))

    def _command(self, *words: str | Path, allowed: Sequence[int] = (0,)) -> None:
        """Run ``jupyter auto-shutdown domain`` with ``words``."""
        rate = ["--calls-a-second", str(2 * FASTER)]
        shown = " ".join(Path(word).name if isinstance(word, Path) else word for word in words)
        self._screen.say(f"\n$ jupyter auto-shutdown domain {shown}\n")
        begin = time.monotonic()
        code, lines = self._run_on_a_terminal(
            [sys.executable, "-m", "auto_shutdown", "domain", *map(str, words), *rate]
        )
        for line in lines:
            self._screen.console.print(Text.from_ansi(line), soft_wrap=True)
        self._screen.say(f"({time.monotonic() - begin:.0f} s)")
        if code not in allowed:
            self._failed.append(f"domain {words[0]} ended with {code}")

    def _run_on_a_terminal(self, command: Sequence[str]) -> tuple[int, list[str]]:
        """Run ``command`` on a terminal as wide as this console, at most 80 columns. Returns its
        exit code and the lines that it writes."""
        master, terminal = pty.openpty()
        width = min(80, self._screen.console.width)
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment(self._api), "COLUMNS": str(width), "TERM": "xterm"},
            stdout=terminal,
        )
        os.close(terminal)
        parts = []
        with contextlib.suppress(OSError):  # raised when the command has closed the terminal
            while part := os.read(master, 65536):
                parts.append(part)
        os.close(master)
        return process.wait(), b"".join(parts).decode().rstrip().splitlines()

    def _due(self) -> list[str]:
        """The people who got a notice for their Canvas app."""
        content = json.loads(self._state.read_text())
        return sorted(n["owner"] for n in content["notices"] if n["type"] == "Canvas")

    def _an_hour_passes(self, active: str, tagged: str) -> None:
        content = json.loads(self._state.read_text())
        for notice in content["notices"]:
            for member in ("given_at", "due_at"):
                at = datetime.fromisoformat(notice[member].replace("Z", "+00:00"))
                notice[member] = (at - timedelta(minutes=61)).isoformat()
        self._state.write_text(json.dumps(content))
        self._account.put_canvas_idle(active, timedelta(minutes=1), timedelta(seconds=5))
        arn = f"arn:aws:sagemaker:{self._api.region}:123456789012:user-profile/{DOMAIN_ID}/{tagged}"
        tag = {"Key": "auto-shutdown", "Value": "keep"}
        self._api.operations.tags.add({"ResourceArn": arn, "Tags": [tag]})

    def _sum_up(self, due: Sequence[str], kept: Sequence[str]) -> int:
        deleted = {
            (call.request.get("UserProfileName"), call.request["AppType"])
            for call in self._api.calls
            if call.operation == "DeleteApp"
        }
        wanted = {(person, "Canvas") for person in due if person not in kept}
        wanted.add((self._account.gone, "TensorBoard"))
        checks = {
            f"The {len(due) - len(kept)} forgotten Canvas apps are deleted, each with one call.": (
                wanted <= deleted and self._api.count("DeleteApp") == len(deleted)
            ),
            f"The app of {self._account.gone}, who has left, is deleted.": (
                (self._account.gone, "TensorBoard") in deleted
            ),
            f"{kept[0]}, who came back, and {kept[1]}, who set a tag, keep theirs.": not (
                {(person, "Canvas") for person in kept} & deleted
            ),
            "No other app was deleted.": deleted <= wanted,
            "Every command had the expected exit code.": not self._failed,
            "Every call matched AWS's own description of its API.": not self._api.invalid_answers,
        }
        self._screen.say("\nChecks:")
        self._screen.points(
            ("  ok  ", "green", text) if right else ("  FAIL", "bold red", text)
            for text, right in checks.items()
        )
        return 0 if all(checks.values()) else 1
