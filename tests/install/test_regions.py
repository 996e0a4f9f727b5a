"""One command on two regions that each hold a domain: one plan for both, and a failure in one does
not stop the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from boto3.session import Session
from moto.sagemaker.models import sagemaker_backends
from studio_account import Capture, make_domain, run

from auto_shutdown.install import account_commands
from auto_shutdown.install.calls import Calls
from auto_shutdown.install.names import PREFIX
from auto_shutdown.local_studio.api import Api, Fault
from auto_shutdown.local_studio.resources import ACCOUNT, Apps, Delays


@pytest.fixture
def frankfurt(client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A second region with a domain of its own, beside the domain of ``client``'s region. In AWS
    each region has its own endpoint, and so here."""
    make_domain(client)
    api = Api(Apps(lambda _record: None, lambda _record: None, Delays()), "eu-central-1")
    there = Session("local", "local", region_name=api.region).client(
        "sagemaker", endpoint_url=api.url
    )
    make_domain(there, "frankfurt")
    clients = {api.region: there, "us-west-2": client}
    monkeypatch.setattr(account_commands, "connect", lambda region: Calls(clients[region], region))
    yield api
    api.close()
    assert api.invalid_answers == []


BOTH = ("--region", "us-west-2,eu-central-1")


def ours_in(api: Api) -> set[str]:
    """The places of the region that refer to one of ours, by domain."""
    return {
        domain_id
        for domain_id, domain in sagemaker_backends[ACCOUNT][api.region].domains.items()
        if PREFIX in json.dumps(domain.default_user_settings)
    }


def test_two_regions_that_each_hold_a_domain(account: Api, frankfurt: Api, capsys: Capture) -> None:
    where = (*BOTH, "--domain", "d-*")
    printed = run(capsys, *where, "--attach", "domain", "--yes")
    for place in ("d-local (us-west-2)", "d-frankfurt (eu-central-1)"):
        assert f"-- domain {place}\nCreate the lifecycle configuration auto-shutdown-" in printed
    assert (ours_in(account), ours_in(frankfurt)) == ({"d-local"}, {"d-frankfurt"})
    shown = run(capsys, *where, "--show", "domain")
    assert "-- domain d-local (us-west-2)" in shown
    assert "-- domain d-frankfurt (eu-central-1)" in shown
    run(capsys, *where, "--detach", "domain", "--yes")
    assert (ours_in(account), ours_in(frankfurt)) == (set(), set())
    printed = run(capsys, *BOTH, "--delete-unused", "--yes")
    for region in ("us-west-2", "eu-central-1"):
        assert re.search(rf"^Deleted auto-shutdown-\S+ \({region}\)\.$", printed, re.MULTILINE)
    assert "There is no unused lifecycle configuration" in run(capsys, *BOTH, "--delete-unused")


@pytest.mark.parametrize(
    ("action", "operation"),
    [
        ("--attach", "UpdateDomain"),
        ("--attach", "CreateStudioLifecycleConfig"),
        ("--detach", "UpdateDomain"),
    ],
)
def test_a_failure_in_one_region_does_not_stop_the_other(
    action: str, operation: str, account: Api, frankfurt: Api, capsys: Capture
) -> None:
    where = (*BOTH, "--domain", "d-*", "--yes")
    if action == "--detach":
        run(capsys, *where, "--attach", "domain")
    account.faults.append(Fault(operation, "AccessDeniedException", times=1))
    printed = run(capsys, *where, action, "domain", code=1)
    assert f"Failed: domain d-local (us-west-2): {operation} failed for " in printed
    assert "Done for 1 of 2. Run the same command again for the rest." in printed
    attached = action == "--attach"
    assert ours_in(frankfurt) == ({"d-frankfurt"} if attached else set())
    assert ours_in(account) == (set() if attached else {"d-local"})
    run(capsys, *where, action, "domain")
    assert ours_in(account) == ({"d-local"} if attached else set())


def test_a_region_that_cannot_be_read_does_not_stop_the_other(
    account: Api, frankfurt: Api, capsys: Capture
) -> None:
    run(capsys, *BOTH, "--domain", "d-*", "--attach", "domain", "--yes")
    run(capsys, *BOTH, "--domain", "d-*", "--detach", "domain", "--yes")
    account.faults.append(Fault("ListDomains", "AccessDeniedException"))
    printed = run(capsys, *BOTH, "--domain", "d-*", "--attach", "domain", "--yes", code=1)
    assert (
        "Not planned: ListDomains failed for this account in us-west-2: AccessDeniedException"
        in printed
    )
    assert ours_in(frankfurt) == {"d-frankfurt"}
    run(capsys, "--region", "eu-central-1", "--domain", "d-*", "--detach", "domain", "--yes")
    printed = run(capsys, *BOTH, "--delete-unused", "--yes", code=1)
    account.faults.clear()
    assert "Nothing is deleted in us-west-2: ListDomains failed" in printed
    assert re.search(r"^Deleted auto-shutdown-\S+ \(eu-central-1\)\.$", printed, re.MULTILINE)
