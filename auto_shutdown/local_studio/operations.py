"""The SageMaker operations that moto lacks: apps, user profiles, spaces and lifecycle
configurations. Each takes the request and returns the answer as plain JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from .resources import ACCOUNT, ApiError, Apps, Key, NotOursError, page
from .tags import Tags
from .trail import Trail

Request = dict[str, Any]
Answer = dict[str, Any]


class Operations:
    """The handlers by operation name. ``find_domain`` gives moto's object."""

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
        #: AWS does not say whether an update of ``…AppSettings`` replaces all of them or only the
        #: members given. Either can be had here.
        self.update_replaces = False
        self._named: dict[str, dict[tuple[str, str], Answer]] = {"UserProfile": {}, "Space": {}}
        self._configs: dict[str, Answer] = {}
        self.table: dict[str, Callable[[Request], Answer]] = {
            "CreateApp": self.create_app,
            "ListApps": self.list_apps,
            "DescribeApp": self.describe_app,
            "DeleteApp": self.delete_app,
            "DescribeDomain": self.describe_domain,
            "UpdateDomain": self.update_domain,
            "DeleteDomain": self.delete_domain,
            **self.tags.table,
            "CreateStudioLifecycleConfig": self.create_config,
            "DescribeStudioLifecycleConfig": self.describe_config,
            "ListStudioLifecycleConfigs": self.list_configs,
            "DeleteStudioLifecycleConfig": self.delete_config,
        }
        for sort in self._named:
            self.table[f"Create{sort}"] = self._bind(self._create, sort)
            self.table[f"Describe{sort}"] = self._bind(self._describe, sort)
            self.table[f"Update{sort}"] = self._bind(self._update, sort)
            self.table[f"Delete{sort}"] = self._bind(self._delete, sort)
            self.table[f"List{sort}s"] = self._bind(self._list, sort)

    @staticmethod
    def _bind(method: Callable[[str, Request], Answer], sort: str) -> Callable[[Request], Answer]:
        return lambda request: method(sort, request)

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
        owner = _owner(request, "Equals", required=False)
        records = [
            record
            for record in self.apps.all()
            if request.get("DomainIdEquals") in (None, record.domain_id)
            and owner in (None, record.owner)
        ]
        answer = page("Apps", records, request)
        return {**answer, "Apps": [record.details() for record in answer["Apps"]]}

    def describe_app(self, request: Request) -> Answer:
        key = self._key(request)
        record = self.apps.find(key)
        if record is None:
            # Not ResourceNotFound, whatever the model declares.
            message = f"RecordNotFound: App [{key[3]}] does not exist."
            raise ApiError("ValidationException", message)
        checked = time.time()
        # Health checks move the "user activity": that is AWS's own documentation.
        moving = {"LastHealthCheckTimestamp": checked, "LastUserActivityTimestamp": checked}
        return {**record.details(), "AppArn": self._app_arn(key), **moving}

    def delete_app(self, request: Request) -> Answer:
        key = self._key(request)
        if key[2] == "RStudioServerPro" and self._alive(key[0], app_type="RSessionGateway"):
            message = f"Unable to delete App [{key[3]}] because RSessionGateway App(s) exist."
            raise ApiError("ResourceInUse", message)
        self.apps.delete(key)
        self._trail.record("DeleteApp", request)
        return {}

    def _alive(
        self, domain_id: str, owner: tuple[str, str] | None = None, app_type: str = ""
    ) -> bool:
        """Whether the domain (or one owner in it) has apps that are neither deleted nor failed."""
        return any(
            app.domain_id == domain_id
            and app.status not in ("Deleted", "Failed")
            and owner in (None, app.owner)
            and app_type in ("", app.type)
            for app in self.apps.all()
        )

    @staticmethod
    def _key(request: Request) -> Key:
        owner = _owner(request, "", required=True)
        assert owner is not None
        return request["DomainId"], owner, request["AppType"], request["AppName"]

    def _app_arn(self, key: Key) -> str:
        # The real API answers with the app type in lower case.
        return self._arn("app", key[0], key[1][1], key[2].lower(), key[3])

    def _check_domain(self, domain_id: str) -> None:
        if self._find_domain(domain_id) is None:
            raise ApiError("ResourceNotFound", f"Domain [{domain_id}] does not exist.")

    # -- domains, user profiles and spaces ---------------------------------------------------

    def describe_domain(self, request: Request) -> Answer:
        """moto's, with the error of the real one."""
        self._check_domain(request["DomainId"])
        raise NotOursError

    def delete_domain(self, request: Request) -> Answer:
        domain_id = request["DomainId"]
        self._check_domain(domain_id)
        for sort, named in self._named.items():
            if any(key[0] == domain_id for key in named):
                message = f"Unable to delete Domain [{domain_id}] because {sort}(s) exist in it."
                raise ApiError("ResourceInUse", message)
        if self._alive(domain_id):
            message = f"Unable to delete Domain [{domain_id}] because App(s) exist in it."
            raise ApiError("ResourceInUse", message)
        raise NotOursError

    def update_domain(self, request: Request) -> Answer:
        """The defaults for user profiles and spaces; the rest of it changes nothing here."""
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
        """Settings after an update: other members stay, and what is cleared (an empty list, the
        word None, and structures in which nothing is left) is no longer listed."""
        found = dict(old)
        for member, value in new.items():
            whole = self.update_replaces or not isinstance(value, dict)
            found[member] = _listed(value if whole else _merged(old.get(member) or {}, value))
        return {member: value for member, value in found.items() if value not in ({}, [], None)}

    def _create(self, sort: str, request: Request) -> Answer:
        key = (request["DomainId"], request[f"{sort}Name"])
        self._check_domain(key[0])
        if key in self._named[sort]:
            raise ApiError("ResourceInUse", f"{sort} [{key[1]}] already exists.")
        now = time.time()
        times = {"CreationTime": now, "LastModifiedTime": now, "Status": "InService"}
        self._named[sort][key] = {**{k: v for k, v in request.items() if k != "Tags"}, **times}
        kind = "user-profile" if sort == "UserProfile" else "space"
        arn = self._arn(kind, *key)
        self.tags.put(arn, request.get("Tags"))
        return {f"{sort}Arn": arn}

    def _get(self, sort: str, request: Request) -> tuple[tuple[str, str], Answer]:
        key = (request["DomainId"], request[f"{sort}Name"])
        if key not in self._named[sort]:
            raise ApiError("ResourceNotFound", f"{sort} [{key[1]}] does not exist.")
        return key, self._named[sort][key]

    def _describe(self, sort: str, request: Request) -> Answer:
        return self._get(sort, request)[1]

    def _update(self, sort: str, request: Request) -> Answer:
        key, found = self._get(sort, request)
        member = "UserSettings" if sort == "UserProfile" else "SpaceSettings"
        if member in request:
            request = {**request, member: self._updated(found.get(member) or {}, request[member])}
        found.update(request, LastModifiedTime=time.time())
        kind = "user-profile" if sort == "UserProfile" else "space"
        return {f"{sort}Arn": self._arn(kind, *key)}

    def _delete(self, sort: str, request: Request) -> Answer:
        key, _ = self._get(sort, request)
        if self._alive(key[0], (f"{sort}Name", key[1])):
            message = f"Unable to delete {sort} [{key[1]}] because App(s) are associated with it."
            raise ApiError("ResourceInUse", message)
        del self._named[sort][key]
        return {}

    def _list(self, sort: str, request: Request) -> Answer:
        wanted = request.get("DomainIdEquals")
        names = ("DomainId", f"{sort}Name", "Status", "CreationTime", "LastModifiedTime")
        found = [
            {**{n: v for n, v in item.items() if n in names}, **_summaries(sort, item)}
            for (domain_id, _), item in self._named[sort].items()
            if wanted in (None, domain_id)
        ]
        return page(f"{sort}s", found, request)

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
        named = [item for items in self._named.values() for item in items.values()]
        ids = {key[0] for items in self._named.values() for key in items}
        domains = [self._find_domain(domain_id) for domain_id in ids]
        defaults = [
            [domain.default_user_settings, domain.default_space_settings]
            for domain in domains
            if domain is not None
        ]
        return [*named, *defaults]


def _summaries(sort: str, item: Answer) -> Answer:
    """What ListSpaces tells beside the names: owner, sharing and a part of the settings."""
    if sort != "Space":
        return {}
    settings = item.get("SpaceSettings") or {}
    names = ("AppType", "RemoteAccess", "SpaceStorageSettings")
    found = {
        "OwnershipSettingsSummary": item.get("OwnershipSettings"),
        "SpaceSharingSettingsSummary": item.get("SpaceSharingSettings"),
        "SpaceSettingsSummary": {n: settings[n] for n in names if n in settings},
    }
    return {name: value for name, value in found.items() if value}


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
    """Exactly one of user profile and space (ListApps: at most one)."""
    names = ("UserProfileName", "SpaceName")
    given = [(name, request[name + suffix]) for name in names if request.get(name + suffix)]
    if len(given) > 1 or (required and not given):
        message = "Exactly one of UserProfileName and SpaceName must be specified."
        raise ApiError("ValidationException", message)
    return given[0] if given else None


def app_name(record_image: str, instance_type: str, seed: str) -> str:
    """As Studio makes them: image, instance type and 28 hexadecimal digits."""
    image = record_image.rsplit("/", 1)[-1].replace(".", "-").replace("_", "-").lower()[:18]
    digest = hashlib.sha256(seed.encode()).hexdigest()[:28]
    return f"{image.strip('-')}-{instance_type.replace('.', '-')}-{digest}"[:63]
