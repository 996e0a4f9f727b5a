"""Checks the running server, if there is one: whether the extension works in it, and the faults
that it reports."""

from __future__ import annotations

from collections.abc import Iterator

from ..api.server_error import ExitCode
from ..core.faults import STOPS_ALL
from ..core.finding import Finding, failure, ok, warning
from .situation import Situation

CHECK = "server"


def examine(situation: Situation) -> Iterator[Finding]:
    report, problem = situation.report, situation.server_problem
    if situation.other_servers:
        yield warning(CHECK, situation.other_servers, "Run the doctor once more for each of them.")
    if problem is not None:
        # If no server runs, the installation can still be right: a warning. If a server runs and
        # does not answer, the doctor cannot know whether the extension works: a failure.
        cannot_tell = situation.client is not None or problem.code is ExitCode.USAGE
        yield (failure if cannot_tell else warning)(CHECK, str(problem), problem.remedy)
    if report is None or situation.client is None:
        return
    health = report["health"]
    where = situation.client.server.url
    if not report["policy"]["enabled"]:
        remedy = "jupyter auto-shutdown settings enabled=true"
        yield warning(CHECK, f"{where}: switched off, so nothing is removed", remedy)
    elif report["policy"]["dry_run"]:
        remedy = "jupyter auto-shutdown settings dry_run=false"
        yield warning(CHECK, f"{where}: a dry run (dry_run), so nothing is removed", remedy)
    elif not health["armed"] and not any(f["source"] in STOPS_ALL for f in health["faults"]):
        yield failure(CHECK, f"{where}: it does not watch", "Restart the server; see its log.")
    elif health["armed"] and not health["faults"]:
        yield ok(CHECK, f"{where}: watching, last pass {health['last_ok_pass']}")
    for fault in health["faults"]:
        level = failure if health["state"] == "failing" else warning
        text = f"{where}: {fault['source']}: {fault['message']} ({fault['code']})"
        yield level(CHECK, text, fault["remedy"])
