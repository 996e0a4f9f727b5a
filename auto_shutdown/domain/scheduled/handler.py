"""The function that AWS Lambda calls with ``{"command": "report" | "check" | "tidy"}``.

If a run fails, the function raises: Lambda counts an error, which triggers the alarm on errors. If
a run is complete, the function prints a line that the alarms on missing runs count. A run that
gives way to another one does neither: if that happens repeatedly, it triggers those alarms.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from ...core.finding import Level, counts
from ...core.formatting import iso
from .. import facts as f
from ..connection import (
    Connection,
    connect,
    read_policy,
    scope_of_check,
    scope_of_report,
    scope_of_tidy,
)
from ..errors import CallError, ConflictError, DomainError
from ..notices import AwsNotifier
from ..pace import Aws, Pace
from ..policy import DomainPolicy
from ..tidy import Run, Tidy
from . import mail
from .s3 import Bucket, S3Audit, S3State

#: A run ends its work this many seconds before the function's time-out, to write its state.
RESERVE_SECONDS = 60.0

#: How far back the daily report and check read the report lines.
WINDOW = timedelta(hours=24)

#: The most user profiles that a run describes one by one. At 5 a second this takes three minutes.
DESCRIBE_MOST = 900

#: Environment variables, set by the template.
BUCKET, TOPIC, BILL = "AUTO_SHUTDOWN_BUCKET", "AUTO_SHUTDOWN_TOPIC", "AUTO_SHUTDOWN_BILL"

#: The policy file. It is in the zip, beside the package.
POLICY_FILE = Path(__file__).resolve().parents[3] / "policy.json"


#: The boto3 session of the first invocation in this process.
_session: Any = None


class RunFailedError(Exception):
    """A run failed. The message is for the administrator."""


@dataclass
class Job:
    """One invocation. ``id`` is Lambda's request id."""

    id: str
    connection: Connection
    region: str
    bucket: Bucket
    topic: str
    policy: DomainPolicy

    def put_json(self, key: str, value: Any) -> None:
        content = json.dumps(value, indent=1).encode()
        self.bucket.put(key, content, "application/json")


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's handler. ``context`` is Lambda's. Raises RunFailedError."""
    begun = time.monotonic()
    command = str(event.get("command"))
    if command not in COMMANDS:
        raise RunFailedError(f'The event needs a "command": {", ".join(COMMANDS)}; not {command}.')
    result: dict[str, Any] = {"auto_shutdown_run": command, "outcome": "failed"}
    try:
        result.update(COMMANDS[command](_job(context)), outcome="done")
    except ConflictError as error:
        result.update(outcome="gave-way", message=str(error))
    except (DomainError, CallError, RunFailedError) as error:
        result["message"] = str(error)
        # The exception has no cause, because a traceback would show AWS's text, which can quote
        # secrets.
        raise RunFailedError(f"{command}: {error}") from None
    finally:
        result.update(seconds=round(time.monotonic() - begun, 1), memory_mb=_peak_memory())
        print(json.dumps(result), flush=True)
    return result


def _peak_memory() -> int:
    """The peak memory of this process in MB. (``ru_maxrss`` would include the parent process.)"""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024


def _job(context: Any) -> Job:
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    if seconds <= 0:
        message = f"The function's time-out must be more than {RESERVE_SECONDS:g} seconds."
        raise RunFailedError(message)
    missing = [name for name in (BUCKET, TOPIC) if not os.environ.get(name)]
    if missing:
        raise RunFailedError(f"The function's environment lacks {', '.join(missing)}.")
    topic = os.environ[TOPIC]
    global _session
    connection, (region,) = connect((), False, seconds=seconds, session=_session)
    _session = connection.session
    bucket = Bucket(Aws(region, connection.session, Pace()), os.environ[BUCKET])
    policy = read_policy(POLICY_FILE, topic) if POLICY_FILE.exists() else DomainPolicy()
    return Job(context.aws_request_id, connection, region, bucket, topic, policy)


# -- the commands: each returns members of the last log line --------------------------------------


def report(job: Job) -> dict[str, Any]:
    """Write the report as HTML and JSON, each to an object named by the day and to ``latest``."""
    from ..page import html
    from ..report import build

    scope = scope_of_report((job.region,), job.policy, WINDOW, bool(os.environ.get(BILL)))
    facts = job.connection.read(scope)
    found = build(facts, job.policy)
    page = html(found).encode()
    for name in (f"{facts.at:%Y-%m-%d}", "latest"):
        job.bucket.put(f"reports/{name}.html", page, "text/html; charset=utf-8")
        job.put_json(f"reports/{name}.json", found)
    _fail_on_unread(facts.unread, {f.DOMAINS, f.APPS})
    return {"rows": len(found["rows"]), "unread": [unread.source for unread in facts.unread]}


def check(job: Job) -> dict[str, Any]:
    """The findings as JSON. If one of them is a warning or a failure, also send them as a mail."""
    from ..findings import examine

    scope = scope_of_check((job.region,), job.policy, WINDOW, DESCRIBE_MOST)
    facts = job.connection.read(scope)
    findings = examine(facts, job.policy)
    found = {
        "at": iso(facts.at),
        "account": facts.account,
        "region": job.region,
        "findings": [finding.to_json() for finding in findings],
        "counts": counts(findings),
    }
    job.put_json(f"checks/{facts.at:%Y-%m-%d}.json", found)
    job.put_json("checks/latest.json", found)
    if any(finding.level is not Level.OK for finding in findings):
        subject, text = mail.of_check(findings, facts, job.bucket.name)
        aws = job.connection.aws(job.region)
        aws.call("sns", "publish", TopicArn=job.topic, Subject=subject, Message=text)
    _fail_on_unread(facts.unread, {f.DOMAINS, f.APPS})
    return dict(counts(findings))


def tidy(job: Job) -> dict[str, Any]:
    """One run of ``domain tidy``, which may be a dry run. Writes its plan to
    ``plans/latest.json``."""
    connection, policy = job.connection, job.policy
    scope = scope_of_tidy((job.region,), policy)
    if not policy.without_extension.delete:
        # One query of Logs Insights in each run would be the largest cost.
        scope = replace(scope, sources=scope.sources - {f.REPORTS})
    reader = connection.reader(scope)
    audit = S3Audit(job.bucket, job.id, connection.now())
    store, notifier = S3State(job.bucket), AwsNotifier(connection.aws)
    run = Tidy(reader, policy, store, audit, notifier, connection.aws, connection.now).run(False)
    job.put_json("plans/latest.json", _plan(run))
    _fail_on_unread(run.facts.unread, _needed(policy))
    failed = [a for a in run.attempts if a.failed]
    if failed:
        first = failed[0]
        name = f"{first.decision.item.type} of {first.decision.item.owner}"
        raise RunFailedError(f"{len(failed)} deletions failed; the first, {name}: {first.detail}")
    # A run that deletes until its time is over has not failed: the next run continues.
    if run.notices_failed or (run.ended and not run.attempts):
        raise RunFailedError(run.ended)
    return {
        "dry_run": run.dry_run,
        "noticed": len(run.noticed),
        "attempts": len(run.attempts),
        "left": run.left,
    }


COMMANDS: Mapping[str, Callable[[Job], dict[str, Any]]] = {
    "report": report,
    "check": check,
    "tidy": tidy,
}


def _plan(run: Run) -> dict[str, Any]:
    decisions = [
        {
            **decision.item.key._asdict(),
            "person": run.facts.person(decision.item) or decision.item.owner,
            "rule": decision.rule,
            "step": decision.step.value,
            "due_at": iso(decision.due_at),
            "why": decision.detail,
        }
        for decision in run.plan.decisions
    ]
    return {"at": iso(run.facts.at), "dry_run": run.dry_run, "plan": decisions}


def _needed(policy: DomainPolicy) -> set[str]:
    """The sources without which ``tidy`` cannot do everything that the policy says."""
    needed = {f.DOMAINS, f.APPS, f.PROFILES, f.SPACES, f.TAGS, f.CREATIONS}
    if policy.canvas.delete:
        needed.add(f.CANVAS_METRIC)
    if policy.without_extension.delete:
        needed.add(f.REPORTS)
    return needed


def _fail_on_unread(unread: tuple[f.Unread, ...], needed: set[str]) -> None:
    missing = [u for u in unread if u.source in needed]
    if missing:
        texts = "; ".join(f"{u.source}: {u.message} {u.remedy}" for u in missing)
        raise RunFailedError(f"Not everything could be read, and what is unknown is kept. {texts}")
