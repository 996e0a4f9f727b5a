"""The text of the daily mail. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.finding import Finding, Level
from ...core.formatting import printable
from ..facts import Facts

#: SNS accepts 256 KB in a message, and 100 ASCII characters in its subject.
MOST_CHARACTERS = 60_000
MOST_OF_SUBJECT = 100


def of_check(findings: Iterable[Finding], facts: Facts, bucket: str) -> tuple[str, str]:
    """Subject and text: failures first, each with its remedy."""
    found = list(findings)
    ranked = [x for level in (Level.FAILURE, Level.WARNING) for x in found if x.level is level]
    failures = sum(x.level is Level.FAILURE for x in ranked)
    numbers = f"{failures} failures, {len(ranked) - failures} warnings"
    where = f"account {facts.account or '?'}, {', '.join(facts.regions)}"
    lines = [f"SageMaker Studio in {where}.", ""]
    for finding in ranked:
        lines.append(printable(f"{finding.level.value.upper()} {finding.check}: {finding.message}"))
        if finding.remedy:
            lines.append(printable(f"  What to do: {finding.remedy}"))
        lines.append("")
    lines.append("The whole report, as a page for your browser:")
    lines.append(f"aws s3 cp s3://{bucket}/reports/latest.html .")
    text = "\n".join(lines)
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}\n… the rest: s3://{bucket}/checks/latest.json"
    return f"Auto Shutdown: {numbers} in {where}"[:MOST_OF_SUBJECT], text
