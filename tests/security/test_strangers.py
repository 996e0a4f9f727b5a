"""Two users of one domain: no name in the requests of one deletes an app of the other. And a whole
run of a Studio leaves no secret in a log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.local_studio.api import Fault
from auto_shutdown.local_studio.server import TOKEN, HttpError, JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAVERYSECRETKEYID0",
    "AWS_SECRET_ACCESS_KEY": "very-secret-access-key",
    "AWS_SESSION_TOKEN": "very-secret-session-token",
}

#: The secrets in SageMaker's own texts (an InvalidSignatureException quotes the session token).
TELLTALE = f"canonical string: x-amz-security-token:{SECRETS['AWS_SESSION_TOKEN']} arn:aws:sts::1:x"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found


def _serve(studio: LocalStudio, **traits: Any) -> JupyterServerApp:
    given = {
        "metadata_path": str(studio.metadata_path),
        "min_idle_timeout_minutes": 0.05,
        "idle_timeout_minutes": 0.15,
        "grace_minutes": 0.05,
        "warn_minutes": 0.02,
        "poll_interval_seconds": 1,
        **traits,
    }
    return studio.start_server({"AutoShutdown": given}, SECRETS)


def _create(studio: LocalStudio, app_type: str, name: str, user: str) -> None:
    studio.client().create_app(
        DomainId=studio.domain_id, AppType=app_type, AppName=name, UserProfileName=user
    )


def test_user_cannot_remove_or_keep_the_app_of_another_user(studio: LocalStudio) -> None:
    studio.client().create_user_profile(DomainId=studio.domain_id, UserProfileName="bob")
    _create(studio, "KernelGateway", "bobs", "bob")
    _create(studio, "Canvas", "default", studio.user_profile_name)
    mine = studio.create_app()
    server = _serve(studio)
    ids = [
        "KernelGateway/bobs",
        "kernelgateway/bobs",
        "KernelGateway/bobs ",
        f"KernelGateway/../{studio.domain_id}/bob/KernelGateway/bobs",
        "KernelGateway/*",
        "JupyterServer/default",
        "bobs",
        "",
    ]
    for name in ids:
        for method, path in (
            ("POST", "remove"),
            ("PUT", "keep-alive"),
            ("POST", "activity"),
        ):
            body = {"kind": "app", "id": name, "minutes": 1}
            with pytest.raises(HttpError) as caught:
                server.request(method, f"auto-shutdown/{path}", body)
            assert caught.value.status in (400, 404, 409)
    with pytest.raises(HttpError) as caught:
        server.request("POST", "auto-shutdown/remove", {"kind": "app", "id": "Canvas/default"})
    assert caught.value.status == 409
    server.wait_for("the own app is deleted", lambda: studio.status(mine) == "Deleted", 90)
    deleted = [c.request for c in studio.api.calls if c.operation == "DeleteApp"]
    assert {(c["AppName"], c["UserProfileName"]) for c in deleted} == {(mine, "ada")}
    assert "bobs" not in str(server.status())


def test_logs_of_a_whole_run_hold_no_secret(studio: LocalStudio) -> None:
    """The inputs that make programs log much: errors that quote secrets, garbage, wrong
    requests."""
    app = studio.create_app("tensorflow-2.3", "ml.m5.large")
    for code in ("InvalidSignatureException", "AccessDeniedException", "ExpiredTokenException"):
        studio.api.faults.append(Fault("ListApps", code, TELLTALE, times=1))
        studio.api.faults.append(Fault("DeleteApp", code, TELLTALE, times=1))
    studio.api.faults.append(Fault("ListApps", garbage=True, times=1))
    server = _serve(studio)
    kernel = server.open_notebook("a.ipynb")
    server.execute(kernel, "1")
    for body in ({"kind": "app", "id": TOKEN}, {"kind": "all", "minutes": -1}, {}):
        with pytest.raises(HttpError):
            server.request("PUT", "auto-shutdown/keep-alive", body)
    for _ in range(8):
        server.request("POST", "auto-shutdown/check")
    server.wait_for("a failed delete", lambda: studio.api.count("DeleteApp"), 60)
    report = str(server.status())
    history = str(server.request("GET", "auto-shutdown/history"))
    server.stop()
    assert studio.status(app) is not None
    log = server.log
    ours = "\n".join(line for line in log.split("\n") if "utoShutdown" in line)
    assert "InvalidSignatureException" in ours or "AccessDeniedException" in ours
    state = "".join(p.read_text() for p in studio.root.rglob("auto-shutdown/*") if p.is_file())
    for text in (log, report, history, state):
        for secret in (*SECRETS.values(), "arn:aws:sts::1", "canonical string"):
            assert secret not in text
    for text in (ours, report, history, state):
        assert TOKEN not in text.replace("auto_shutdown/local_studio", "")
        assert not re.search(r"_xsrf|Set-Cookie|username-\d|[?&]token=|Authorization", text)
