"""From a real server's standard output to the row of ``domain report``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import processes_of
from own_apps import needs_containers

from auto_shutdown.cli.main import main
from auto_shutdown.domain.report_lines import MARKER, parse
from auto_shutdown.local_studio.studio import CREDENTIALS, LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), needs_containers]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found
        assert found.api.invalid_answers == []
    assert processes_of(tmp_path) == []


def test_line_in_the_log_of_a_server_becomes_a_row_of_domain_report(
    studio: LocalStudio, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = studio.add_space("mine")
    server = space.start({"AutoShutdown": {"report_to_log": True, "dry_run": True}})
    server.wait_for("the line", lambda: MARKER in server.log)
    (text, *_) = [t for t in server.log.splitlines() if MARKER in t]
    assert text.startswith(MARKER)  # nothing stands before it
    line = parse(text)
    assert line is not None
    assert line["platform"] == "studio-space"

    # As SageMaker ships it.
    from boto3.session import Session

    session = Session("local", "local", region_name=studio.api.region)
    logs = session.client("logs", endpoint_url=studio.api.url)
    group, stream = "/aws/sagemaker/studio", f"{space.domain_id}/Mine/JupyterLab/default"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": text}
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": studio.api.url}.items():
        monkeypatch.setenv(name, value)
    assert main(["domain", "report", "--region", studio.api.region, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unread"] == []
    (row,) = [row for row in found["rows"] if row["type"] == "JupyterLab"]
    assert (row["space"], row["extension"], row["dry_run"]) == ("mine", "seen", True)
    assert row["extension_version"] == line["version"]
    server.process.stop()
