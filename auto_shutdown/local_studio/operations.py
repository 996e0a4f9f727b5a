"""The SageMaker operations that moto lacks: apps, lifecycle configurations, and the operations on
domains that moto implements only in part. Each handler takes the request and returns the answer,
both as plain JSON. User profiles and spaces are in :mod:`.owners`."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from .owners import KINDS, Owners
from .resources import ACCOUNT, ApiError, Apps, Key, NotOursError, page
from .tags import Tags
from .trail import Trail

Request = dict[str, Any]
Answer = dict[str, Any]


class Operations:
    """``table`` maps the names of operations to handlers. ``find_domain`` returns moto's object for
    the id of a domain, or None."""

    def __init__(
        self,
        apps: Apps,
        region: str,
        find_domain: Callable[[str], Any],
        trail: Trail | None = None,
    ) -> None:
        self.apps = apps
        self.tags = Tags(region)
        self._trail = trail or Trail(region)
        self._region = region
        self._find_domain = find_domain
        #: AWS does not document whether an update of ``…AppSettings`` replaces all members or only
        #: those in the request. This flag selects the behaviour.
        self.update_replaces = False
        self.owners = Owners(apps, self.tags, self._arn, self._check_domain, self._updated)
        #: When each domain that is Deleting vanishes.
        self._domain_ends: dict[str, float] = {}
        self._configs: dict[str, Answer] = {}
        self.table: dict[str, Callable[[Request], Answer]] = {
            "CreateApp": self.create_app,
            "ListApps": self.list_apps,
            "DescribeApp": self.describe_app,
            "DeleteApp": self.delete_app,
            **self.owners.table,
            "DescribeDomain": self.describe_domain,
            "ListDomains": self.list_domains,
            "UpdateDomain": self.update_domain,
            "DeleteDomain": self.delete_domain,
            **self.tags.table,
            "CreateStudioLifecycleConfig": self.create_config,
            "DescribeStudioLifecycleConfig": self.describe_config,
            "ListStudioLifecycleConfigs": self.list_configs,
            "DeleteStudioLifecycleConfig": self.delete_config,
        }

    def _arn(self, kind: str, *parts: str) -> str:
        return f"arn:aws:sagemaker:{self._region}:{ACCOUNT}:{kind}/" + "/".join(parts)

    # -- apps --------------------------------------------------------------------------------

    def create_app(self, request: Request) -> Answer:
        key = self._key(request)
        self._check_domain(key[0])
        if key[2] == "JupyterServer" and key[1][0] == "UserProfileName" and key[3] != "default":
            message = "Invalid request provided: JupyterServer App name must be default."
            raise ApiError("ValidationException", message)
        spec = dict(request.get("ResourceSpec") or {})
        billed = key[2] in ("KernelGateway", "JupyterLab", "CodeEditor")
        if billed and spec.get("InstanceType") in (None, "system"):
            spec["InstanceType"] = "ml.t3.medium"
        if key[2] == "JupyterServer":
            spec["InstanceType"] = "system"
        self.apps.create(key, spec)
        arn = self._app_arn(key)
        self.tags.put(arn, request.get("Tags"))
        self._trail.record("CreateApp", request)
        return {"AppArn": arn}

    def list_apps(self, request: Request) -> Answer:
        owner, late = _owner(request, "Equals", required=False), self.apps.delays.listing
        domain_id, records = request.get("DomainIdEquals"), self.apps.all()
        if owner or domain_id:
            records = [
                record
                for record in records
                if domain_id in (None, record.domain_id) and owner in (None, record.owner)
            ]
        if late:
            records = [record for record in records if record.listed_status(late)]
        answer = page("Apps", records, request)
        return {**answer, "Apps": [r.details(r.listed_status(late)) for r in answer["Apps"]]}

    def describe_app(self, request: Request) -> Answer:
        key = self._key(request)
        record = self.apps.find(key)
        if record is None:
            # The real API answers with this error, although its model declares ResourceNotFound.
            message = f"RecordNotFound: App [{key[3]}] does not exist."
            raise ApiError("ValidationException", message)
        checked = time.time()
        # AWS documents that health checks update the "user activity".
        moving = {"LastHealthCheckTimestamp": checked, "LastUserActivityTimestamp": checked}
        return {**record.details(), "AppArn": self._app_arn(key), **moving}

    def delete_app(self, request: Request) -> Answer:
        key = self._key(request)
        if key[2] == "RStudioServerPro" and self.apps.alive(key[0], app_type="RSessionGateway"):
            message = f"Unable to delete App [{key[3]}] because RSessionGateway App(s) exist."
            raise ApiError("ResourceInUse", message)
        self.apps.delete(key)
        self._trail.record("DeleteApp", request)
        return {}

    @staticmethod
    def _key(request: Request) -> Key:
        owner = _owner(request, "", required=True)
        assert owner is not None
        return request["DomainId"], owner, request["AppType"], request["AppName"]

    def _app_arn(self, key: Key) -> str:
        # The ARN in the real API has the app type in lower case.
        return self._arn("app", key[0], key[1][1], key[2].lower(), key[3])

    def _check_domain(self, domain_id: str) -> None:
        self._end_domains()
        if self._find_domain(domain_id) is None:
            raise ApiError("ResourceNotFound", f"Domain [{domain_id}] does not exist.")

    # -- domains, user profiles and spaces ---------------------------------------------------

    def describe_domain(self, request: Request) -> Answer:
        """moto's answer, with the error of the real API."""
        self._check_domain(request["DomainId"])
        raise NotOursError

    def list_domains(self, request: Request) -> Answer:
        """moto's answer, after domains whose deletion is over were removed."""
        self._end_domains()
        raise NotOursError

    def delete_domain(self, request: Request) -> Answer:
        domain_id = request["DomainId"]
        self._check_domain(domain_id)
        for kind in KINDS:
            if any(key[0] == domain_id for key in self.owners.of(kind)):
                message = f"Unable to delete Domain [{domain_id}] because {kind}(s) exist in it."
                raise ApiError("ResourceInUse", message)
        if self.apps.alive(domain_id):
            message = f"Unable to delete Domain [{domain_id}] because App(s) exist in it."
            raise ApiError("ResourceInUse", message)
        if not self.apps.delays.deleting:
            raise NotOursError
        if domain_id in self._domain_ends:
            raise ApiError("ResourceInUse", f"Domain [{domain_id}] is already being deleted.")
        self._find_domain(domain_id).status = "Deleting"
        self._domain_ends[domain_id] = time.monotonic() + self.apps.delays.deleting
        return {}

    def _end_domains(self) -> None:
        for domain_id, end in list(self._domain_ends.items()):
            if end <= time.monotonic():
                del self._domain_ends[domain_id]
                sagemaker_backends[ACCOUNT][self._region].domains.pop(domain_id, None)

    def update_domain(self, request: Request) -> Answer:
        """Update the default settings for user profiles and spaces; ignore all other members."""
        self._check_domain(request["DomainId"])
        domain = self._find_domain(request["DomainId"])
        for member, attribute in (
            ("DefaultUserSettings", "default_user_settings"),
            ("DefaultSpaceSettings", "default_space_settings"),
        ):
            if member in request:
                old = getattr(domain, attribute) or {}
                setattr(domain, attribute, self._updated(old, request[member]))
        domain.last_modified_time = datetime.now(timezone.utc)
        return {"DomainArn": domain.arn}

    def _updated(self, old: Answer, new: Request) -> Answer:
        """The settings after an update. Members that the request does not name stay. Cleared
        members (an empty list, the word None, an empty structure) are left out."""
        found = dict(old)
        for member, value in new.items():
            whole = self.update_replaces or not isinstance(value, dict)
            found[member] = _listed(value if whole else _merged(old.get(member) or {}, value))
        return {member: value for member, value in found.items() if value not in ({}, [], None)}

    # -- lifecycle configurations ------------------------------------------------------------

    def create_config(self, request: Request) -> Answer:
        name = request["StudioLifecycleConfigName"]
        if name in self._configs:
            raise ApiError("ResourceInUse", f"Studio Lifecycle Config [{name}] already exists.")
        try:
            base64.b64decode(request["StudioLifecycleConfigContent"], validate=True)
        except ValueError:
            raise ApiError("ValidationException", "The content is not base64.") from None
        arn, now = self._arn("studio-lifecycle-config", name), time.time()
        times = {"CreationTime": now, "LastModifiedTime": now}
        kept = {key: value for key, value in request.items() if key != "Tags"}
        self._configs[name] = {**kept, **times, "StudioLifecycleConfigArn": arn}
        return {"StudioLifecycleConfigArn": arn}

    def describe_config(self, request: Request) -> Answer:
        name = request["StudioLifecycleConfigName"]
        if name not in self._configs:
            raise ApiError("ResourceNotFound", f"Studio Lifecycle Config [{name}] does not exist.")
        return self._configs[name]

    def list_configs(self, request: Request) -> Answer:
        hidden, part = "StudioLifecycleConfigContent", request.get("NameContains", "")
        found = [
            {k: v for k, v in config.items() if k != hidden}
            for name, config in self._configs.items()
            if part in name
        ]
        return page("StudioLifecycleConfigs", found, request)

    def delete_config(self, request: Request) -> Answer:
        arn = self.describe_config(request)["StudioLifecycleConfigArn"]
        if any(arn in json.dumps(item, default=str) for item in self._settings()):
            message = f"Studio Lifecycle Config [{arn}] is attached, and cannot be deleted."
            raise ApiError("ResourceInUse", message)
        del self._configs[request["StudioLifecycleConfigName"]]
        return {}

    def _settings(self) -> list[Any]:
        """The settings of all domains, user profiles and spaces."""
        named = [owner for kind in KINDS for owner in self.owners.of(kind).values()]
        domains = [self._find_domain(domain_id) for domain_id in {o["DomainId"] for o in named}]
        defaults = [
            [domain.default_user_settings, domain.default_space_settings]
            for domain in domains
            if domain is not None
        ]
        return [*named, *defaults]


def _merged(old: Answer, new: Request) -> Answer:
    found = dict(old)
    for member, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(member), dict)
        found[member] = _merged(old[member], value) if both else value
    return found


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {member: _listed(item) for member, item in value.items()}
        return {member: item for member, item in kept.items() if item not in ({}, [], None)}
    return None if value == "None" else value


def _owner(request: Request, suffix: str, required: bool) -> tuple[str, str] | None:
    """The owner in a request: exactly one of user profile and space. ``required`` is false for
    ListApps, which needs none. Raises ApiError."""
    names = ("UserProfileName", "SpaceName")
    given = [(name, request[name + suffix]) for name in names if request.get(name + suffix)]
    if len(given) > 1 or (required and not given):
        message = "Exactly one of UserProfileName and SpaceName must be specified."
        raise ApiError("ValidationException", message)
    return given[0] if given else None


def app_name(record_image: str, instance_type: str, seed: str) -> str:
    """The name that Studio gives to an app: image, instance type and 28 hexadecimal digits."""
    image = record_image.rsplit("/", 1)[-1].replace(".", "-").replace("_", "-").lower()[:18]
    digest = hashlib.sha256(seed.encode()).hexdigest()[:28]
    return f"{image.strip('-')}-{instance_type.replace('.', '-')}-{digest}"[:63]
