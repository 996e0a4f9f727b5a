"""``domain teardown``: deletes a whole Studio domain in the order that SageMaker requires.

The order is: apps (RStudio sessions before the RStudio server), spaces, user profiles, and the
domain with an explicit retention policy for its file system. A run has no state. It reads what
exists and continues from there, so it can be interrupted at any point and run again. If Studio
starts a JupyterServer app again, the next round finds the app and deletes it again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.outcome import Result as Verdict
from ..world.aws_errors import classify
from .entries import app_of, app_request, is_missing, profile_of, space_of
from .errors import CallError
from .pace import Aws
from .resources import IN_SERVICE, R_SERVER, R_SESSION, Item, Profile, Space
from .scope import PAGE_SIZE

#: States of an app that does not have to be deleted. A Failed app does not block its owner.
GONE = frozenset({"Deleted", "Failed"})

DELETING = "Deleting"

#: Seconds between two looks at deletions in progress, and the longest wait for one stage. The
#: deletion of an app was reported to take 20 minutes.
LOOK_SECONDS = 10.0
WAIT_SECONDS = 40 * 60.0


@dataclass(frozen=True)
class Contents:
    """The contents of a domain. ``apps`` are those that still have to be deleted."""

    domain: Mapping[str, Any] | None
    apps: tuple[Item, ...] = ()
    spaces: tuple[Space, ...] = ()
    profiles: tuple[Profile, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.apps or self.spaces or self.profiles)


@dataclass
class Result:
    """``deleted`` counts the accepted deletions by kind. ``failed`` are sentences. ``remains`` says
    what AWS keeps and how to remove it. ``done``: the domain no longer exists."""

    deleted: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)
    done: bool = False


class Teardown:
    """``keep_files``: the domain's EFS file system, with the homes of Studio Classic, is retained.
    ``delete_spaces``: the administrator agrees that the files in the spaces are deleted. ``tell``
    gets a sentence for each step."""

    def __init__(
        self,
        aws: Aws,
        domain_id: str,
        keep_files: bool,
        delete_spaces: bool,
        tell: Callable[[str], None],
        audit: Callable[[Mapping[str, Any]], None] = lambda entry: None,
    ) -> None:
        self._aws, self._domain_id = aws, domain_id
        self._keep_files, self._may_delete_spaces = keep_files, delete_spaces
        self._tell, self._audit = tell, audit
        self._result = Result()
        self._stage, self._give_up_at = "", 0.0

    def look(self) -> Contents:
        """The contents of the domain now. Raises CallError."""
        try:
            domain = self._call("describe_domain", DomainId=self._domain_id)
        except CallError as error:
            if is_missing(error):
                return Contents(None)
            raise
        entries = self._list("list_apps", "Apps")
        apps = [app for entry in entries if (app := app_of(self._aws.region, entry))]
        spaces = [space_of(self._aws.region, e) for e in self._list("list_spaces", "Spaces")]
        profiles = [profile_of(self._aws.region, e) for e in self._list(*_PROFILES)]
        alive = tuple(app for app in apps if app.status not in GONE)
        return Contents(domain, alive, tuple(spaces), tuple(profiles))

    def plan(self, contents: Contents) -> list[str]:
        """The steps in order, as lines for people."""
        if contents.domain is None:
            return [f"The domain {self._domain_id} does not exist: nothing to do."]
        name = contents.domain.get("DomainName", "")
        lines = [f"Remove the domain {self._domain_id} ({name}) in {self._aws.region}, in order:"]
        groups: dict[str, int] = {}
        for app in sorted(contents.apps, key=_order):
            groups[app.type] = groups.get(app.type, 0) + 1
        lines += [f"  delete {_counted(count, f'{sort} app')}" for sort, count in groups.items()]
        if contents.spaces:
            size = sum(space.storage_gb or 0 for space in contents.spaces)
            text = _counted(len(contents.spaces), "space")
            lines.append(f"  delete {text}, with the files in them ({size} GB): {_some(contents)}")
        if contents.profiles:
            lines.append(f"  delete {_counted(len(contents.profiles), 'user profile')}")
        kept = "kept" if self._keep_files else "deleted, with every home directory in it"
        lines.append(f"  delete the domain; its file system (EFS) is {kept}")
        return lines + [f"It will remain: {line}" for line in self._remains(contents.domain)]

    def run(self) -> Result:
        """Delete everything, from any state of the domain. The result has the failures; another run
        continues. Raises OutOfTimeError, and CallError if the domain cannot be read."""
        while True:
            contents = self.look()
            if contents.domain is None:
                self._result.done = True
                return self._result
            self._result.remains = self._remains(contents.domain)
            if contents.apps:
                moved = self._delete_apps(contents.apps)
            elif contents.spaces:
                moved = self._delete_spaces(contents.spaces)
            elif contents.profiles:
                moved = self._delete_profiles(contents.profiles)
            else:
                moved = self._delete_domain(contents.domain)
            if not moved:
                return self._result

    # -- the stages: each returns whether to continue ------------------------------------------

    def _delete_apps(self, apps: tuple[Item, ...]) -> bool:
        sessions = [app for app in apps if app.type == R_SESSION]
        # SageMaker does not delete the RStudio server while a session exists.
        batch = [app for app in apps if not (sessions and app.type == R_SERVER)]
        failed = len(self._result.failed)
        for app in batch:
            if app.status == IN_SERVICE:
                where = f"{app.owner}/{app.type}/{app.name}"
                self._delete(f"{app.type} app", where, "delete_app", app_request(app))
        if len(self._result.failed) > failed:
            return False
        keys = {app.key for app in batch}

        def on_their_way(now: Contents) -> bool:
            # An app that was Pending and is in service now is deleted in the next round.
            return any(a.key in keys and a.status != IN_SERVICE for a in now.apps)

        return self._wait("apps", lambda now: not on_their_way(now))

    def _delete_spaces(self, spaces: tuple[Space, ...]) -> bool:
        if not self._may_delete_spaces:
            # Somebody created them after the plan was shown.
            names = ", ".join(space.name for space in spaces)
            self._result.failed.append(
                f"The domain has spaces with files now: {names}. --delete-spaces agrees that the "
                "files are deleted."
            )
            return False
        failed = len(self._result.failed)
        for space in spaces:
            if space.status != DELETING:
                request = {"DomainId": self._domain_id, "SpaceName": space.name}
                self._delete("space", space.name, "delete_space", request)
        if len(self._result.failed) > failed:
            return False
        return self._wait("spaces", lambda now: not _are_going(now, now.spaces))

    def _delete_profiles(self, profiles: tuple[Profile, ...]) -> bool:
        failed = len(self._result.failed)
        for profile in profiles:
            if profile.status != DELETING:
                request = {"DomainId": self._domain_id, "UserProfileName": profile.name}
                self._delete("user profile", profile.name, "delete_user_profile", request)
        if len(self._result.failed) > failed:
            return False
        return self._wait("user profiles", lambda now: not _are_going(now, now.profiles))

    def _delete_domain(self, domain: Mapping[str, Any]) -> bool:
        if domain.get("Status") != DELETING:
            policy = {"HomeEfsFileSystem": "Retain" if self._keep_files else "Delete"}
            request = {"DomainId": self._domain_id, "RetentionPolicy": policy}
            failed = len(self._result.failed)
            self._delete("domain", self._domain_id, "delete_domain", request)
            if len(self._result.failed) > failed:
                return False

        def on_its_way(now: Contents) -> bool:
            return now.domain is not None and now.domain.get("Status") == DELETING

        return self._wait("the domain", lambda now: not on_its_way(now))

    def _delete(self, kind: str, name: str, method: str, request: Mapping[str, Any]) -> None:
        """Delete one resource. It is no failure if the resource is gone or being deleted."""
        about = {"attempt": uuid.uuid4().hex[:12], "kind": kind, "name": name}
        self._audit({"event": "delete", **about, **request})
        outcome, code = "removed", ""
        try:
            self._call(method, **request)
        except CallError as error:
            code = error.code
            if is_missing(error) or classify(error.code, error.text) is Verdict.GONE:
                outcome = "gone"
            elif error.code == "ResourceInUse":
                # An app was started again or is still being deleted: the next round sees it.
                outcome = "in-use"
            else:
                outcome = "failed"
                self._result.failed.append(f"{kind} {name}: {error}")
        self._audit({"event": "outcome", **about, "outcome": outcome, "code": code})
        if outcome == "removed":
            self._tell(f"deleting {kind} {name}")
            self._result.deleted[kind] = self._result.deleted.get(kind, 0) + 1

    def _wait(self, what: str, is_done: Callable[[Contents], bool]) -> bool:
        """Wait until ``is_done`` is true. Returns False if that takes too long."""
        pace = self._aws.pace
        if self._stage != what:
            self._stage, self._give_up_at = what, pace.monotonic() + WAIT_SECONDS / pace.speed
            self._tell(f"waiting until SageMaker has deleted {what}")
        while pace.monotonic() < self._give_up_at:
            if is_done(self.look()):
                return True
            pace.rest(LOOK_SECONDS / pace.speed)
        minutes = WAIT_SECONDS / 60
        text = f"SageMaker did not delete {what} within {minutes:g} min; run the command again."
        self._result.failed.append(text)
        return False

    # -- what AWS keeps ------------------------------------------------------------------------

    def _remains(self, domain: Mapping[str, Any]) -> list[str]:
        """What AWS keeps after the deletion, and how to remove it."""
        found = []
        file_system, region = domain.get("HomeEfsFileSystemId"), self._aws.region
        if self._keep_files and file_system:
            found.append(
                f"the EFS file system {file_system} and its mount targets, which block subnets: "
                f"aws efs describe-mount-targets --file-system-id {file_system} --region {region}, "
                "delete-mount-target for each, then delete-file-system."
            )
        found.append(
            f"the security groups security-group-for-inbound-nfs-{self._domain_id} and "
            f"…-outbound-nfs-{self._domain_id}, which refer to each other: remove their rules, "
            "then delete both (aws ec2 revoke-security-group-ingress, delete-security-group)."
        )
        found.append(
            "lifecycle configurations and images that were attached: aws sagemaker "
            f"list-studio-lifecycle-configs, list-images --region {region}."
        )
        return found

    def _list(self, method: str, member: str) -> list[Mapping[str, Any]]:
        request = {"DomainIdEquals": self._domain_id, "MaxResults": PAGE_SIZE}
        return list(self._aws.pages("sagemaker", method, member, **request))

    def _call(self, method: str, **request: Any) -> dict[str, Any]:
        return self._aws.call("sagemaker", method, **request)


_PROFILES = ("list_user_profiles", "UserProfiles")


def _are_going(now: Contents, group: Sequence[Space | Profile]) -> bool:
    """Whether everything left of a group is being deleted, and no app was started again."""
    return not now.apps and bool(group) and all(each.status == DELETING for each in group)


def _order(app: Item) -> tuple[int, str]:
    """Sorts the RStudio server last."""
    return (app.type == R_SERVER, app.type)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _some(contents: Contents) -> str:
    names = [space.name for space in contents.spaces]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
