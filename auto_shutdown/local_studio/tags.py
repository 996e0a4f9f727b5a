"""The tags of the resources that moto lacks, and their part of the Resource Groups Tagging API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from moto.core.resource_tagging import TaggedResource
from moto.sagemaker.models import SageMakerModelBackend

from .resources import NotOursError

Request = dict[str, Any]
Answer = dict[str, Any]

#: The kinds of resource, as in their ARNs, whose tags are kept here.
KINDS = frozenset({"app", "domain", "user-profile", "space", "mlflow-tracking-server"})


class Tags:
    """The tags of one region, by ARN. ``table`` maps the names of their operations to handlers."""

    #: The current instances by region, for moto's GetResources.
    by_region: ClassVar[dict[str, Tags]] = {}

    def __init__(self, region: str) -> None:
        self._tags: dict[str, dict[str, str]] = {}
        self.table: dict[str, Callable[[Request], Answer]] = {
            "AddTags": self.add,
            "ListTags": self.list,
            "DeleteTags": self.delete,
        }
        Tags.by_region[region] = self

    def put(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        """Store the tags of a new resource."""
        self._tags[arn] = {tag["Key"]: tag["Value"] for tag in tags or ()}

    def forget(self, arn: str) -> None:
        self._tags.pop(arn, None)

    def add(self, request: Request) -> Answer:
        found = self._of(request)
        found.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
        return {"Tags": request["Tags"]}

    def list(self, request: Request) -> Answer:
        found = self._of(request)
        return {"Tags": [{"Key": key, "Value": value} for key, value in found.items()]}

    def delete(self, request: Request) -> Answer:
        found = self._of(request)
        for key in request["TagKeys"]:
            found.pop(key, None)
        return {}

    def _of(self, request: Request) -> dict[str, str]:
        arn = request["ResourceArn"]
        if arn.split(":", 5)[-1].split("/")[0] not in KINDS:
            raise NotOursError
        return self._tags.setdefault(arn, {})

    def resources(self) -> Iterator[TaggedResource]:
        for arn, tags in list(self._tags.items()):
            kind = arn.split(":", 5)[-1].split("/")[0]
            yield TaggedResource(arn, dict(tags), f"sagemaker:{kind}")


_moto_resources = SageMakerModelBackend.iter_tagged_resources


def _all_resources(backend: Any) -> Iterator[TaggedResource]:
    yield from _moto_resources(backend)
    ours = Tags.by_region.get(backend.region_name)
    if ours is not None:
        yield from ours.resources()


setattr(SageMakerModelBackend, "iter_tagged_resources", _all_resources)  # noqa: B010
