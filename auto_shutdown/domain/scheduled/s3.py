"""State, audit log and results of the scheduled run in one S3 bucket.

S3 supports conditional writes: with ``If-Match`` it replaces only the version that was read, with
``If-None-Match: *`` it replaces nothing. If two runs have read the same state, S3 refuses the
second write.

The pace of ``aws`` has no end here: a run that is out of time must still write its results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..errors import CallError, ConflictError, DomainError
from ..memory import Memory, from_json, to_json
from ..pace import Aws

STATE = "state.json"

#: S3's answers to a conditional write that it refused. 409: another write is in progress.
_CONFLICT = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})

#: S3 answers 403 for an object that does not exist, unless the role may list the bucket.
_MISSING = frozenset({"NoSuchKey", "404"})


class Bucket:
    """Objects of one bucket. Raises DomainError with a remedy."""

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws, self.name = aws, name

    def get(self, key: str) -> tuple[bytes, str]:
        """The content and its version (ETag). Both are empty if the object does not exist."""
        try:
            answer = self._aws.call("s3", "get_object", Bucket=self.name, Key=key)
        except CallError as error:
            if error.code in _MISSING:
                return b"", ""
            raise DomainError(f"s3://{self.name}/{key}: {error}") from None
        try:
            return answer["Body"].read(), str(answer["ETag"])
        except Exception as error:
            # botocore has several errors for a truncated body.
            reason = type(error).__name__
            raise DomainError(f"s3://{self.name}/{key} was not read whole ({reason}).") from None

    def put(self, key: str, content: bytes, kind: str, **condition: str) -> str:
        """Write an object and return its version. Raises ConflictError if ``condition`` is not
        met."""
        request = {"Bucket": self.name, "Key": key, "Body": content, "ContentType": kind}
        try:
            return str(self._aws.call("s3", "put_object", **request, **condition)["ETag"])
        except CallError as error:
            if condition and error.code in (_CONFLICT | _MISSING):
                raise ConflictError(f"Another run has changed s3://{self.name}/{key}.") from None
            raise DomainError(f"s3://{self.name}/{key}: {error}") from None


class S3State:
    """A :class:`~auto_shutdown.domain.stores.StateStore`. The version is the object's ETag."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def load(self) -> tuple[Memory, str]:
        content, version = self._bucket.get(STATE)
        if not version:
            return Memory(), ""
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        try:
            return from_json(value), version
        except DomainError as error:
            raise DomainError(f"s3://{self._bucket.name}/{STATE}: {error}") from None

    def save(self, memory: Memory, version: str) -> str:
        content = json.dumps(to_json(memory), indent=1).encode()
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        try:
            return self._bucket.put(STATE, content, "application/json", **condition)
        except ConflictError:
            # If the answer to a write was lost, the write is repeated, and S3 refuses the
            # repetition. The state contains the run's id, so equal content is this run's own.
            current, current_version = self._bucket.get(STATE)
            if current == content:
                return current_version
            raise


class S3Audit:
    """An :class:`~auto_shutdown.domain.stores.AuditLog`: one object for each write, because S3
    cannot append. Sorted by key and concatenated, the objects are one JSONL file."""

    def __init__(self, bucket: Bucket, run: str, at: datetime) -> None:
        self._bucket = bucket
        self._prefix = f"audit/{at:%Y/%m/%d}/{at:%H%M%S}-{run}"
        self._written = 0

    def write(self, *entries: Mapping[str, Any]) -> None:
        if not entries:
            return
        self._written += 1
        self._bucket.put(
            f"{self._prefix}-{self._written:05}.jsonl", _lines(entries), "application/jsonl"
        )
        for line in _lines(entries).decode().splitlines():
            print(line, flush=True)  # also to the log of the function


def _lines(entries: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()
