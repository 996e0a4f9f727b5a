"""The switch with which an administrator stops all removals at once.

On SageMaker the switch is a tag on the domain, or on the notebook instance. Every server can reach
SageMaker's API, also in a domain without internet access, and one call sets the tag for all users.
Outside SageMaker the switch is a file that always exists (docs/decisions/023 and 031).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import safe_files
from ..core.translatable import sentence
from .aws_errors import read_error
from .file_thread import FileThread
from .platform import NOTEBOOK_INSTANCE, Platform

#: At most so many characters of the administrator's reason are shown.
MOST_CHARACTERS = 200
MOST_BYTES = 10_000

#: The content of the stop file while removals are allowed. Any other content stops them.
RUN = "run"

#: AWS's error codes when the role may not read the tags.
NOT_ALLOWED = ("AccessDeniedException", "AccessDenied")

ListTags = Callable[[str], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True)
class Stop:
    """All removals are stopped: by an administrator, or (``known`` False) because the switch could
    not be read. ``message`` and ``remedy`` are sentences for users."""

    message: str
    remedy: str
    known: bool = True


def switch_arn(platform: Platform) -> str | None:
    """The ARN of the domain or notebook instance that has the tag. None if it is unknown."""
    if platform.kind == NOTEBOOK_INSTANCE:
        return platform.resource_arn
    if not (platform.domain_id and platform.region_name and platform.account_id):
        return None
    where = f"{platform.partition}:sagemaker:{platform.region_name}:{platform.account_id}"
    return f"arn:{where}:domain/{platform.domain_id}"


def stop_by_tag(tag: str, arn: str, tags: Mapping[str, str]) -> Stop | None:
    """What the ``tags`` of the resource ``arn`` say. None if ``tag`` is not among them."""
    if tag not in tags:
        return None
    named = f"the tag {tag} of {arn}"
    return _stopped(
        tags[tag], sentence("Removals continue when the administrator deletes %1.", named)
    )


class StopSwitch:
    """Reads the switch of one server.

    ``tag`` is the tag's key and ``file`` the file's path; empty means none. If the file is missing,
    the state of the switch is unknown, because the file may be on a share that is not mounted.
    ``required``: the administrator configured the tag, so a server that may not read it, or does
    not know the ARN, removes nothing. Otherwise such a server ignores the tag. ``list_tags`` None:
    the server does not run in SageMaker, and there is no tag.
    """

    def __init__(
        self,
        tag: str = "",
        arn: str | None = None,
        list_tags: ListTags | None = None,
        file: str = "",
        required: bool = False,
    ) -> None:
        self._tag, self._arn, self._list_tags = tag, arn, list_tags
        self._file = Path(file) if file else None
        self._required = required
        self._files = FileThread("stop-switch")

    async def read(self) -> Stop | None:
        """None if removals are not stopped. Never raises."""
        return await self._read_file() or await self._read_tag()

    def close(self) -> None:
        """Read no more."""
        self._files.close()

    async def _read_tag(self) -> Stop | None:
        if not self._tag or self._list_tags is None:
            return None
        if self._arn is None:
            if not self._required:
                return None
            remedy = sentence("Use stop_file instead of stop_tag on this server.")
            return self._unknown(f"the tag {self._tag}", "the ARN of its owner is unknown", remedy)
        try:
            tags = await self._list_tags(self._arn)
        except Exception as error:
            code = read_error(error)[0]
            if code in NOT_ALLOWED and not self._required:
                return None
            remedy = sentence("The next pass tries again.")
            if code in NOT_ALLOWED:
                remedy = sentence(
                    "Allow the role of this server sagemaker:ListTags on %1.", self._arn
                )
            return self._unknown(f"the tags of {self._arn}", code, remedy)
        return stop_by_tag(self._tag, self._arn, tags)

    async def _read_file(self) -> Stop | None:
        if self._file is None:
            return None
        try:
            content = await self._files.run(_content, self._file)
        except OSError as error:
            why = error.strerror or type(error).__name__
            remedy = sentence(
                "Make %1 a file that this server can read, with the content run.", self._file
            )
            return self._unknown(str(self._file), why, remedy)
        if content.strip().lower() == RUN:
            return None
        return _stopped(
            content,
            sentence("Removals continue when the administrator writes run into %1.", self._file),
        )

    def _unknown(self, what: str, why: str, remedy: str) -> Stop:
        message = sentence(
            "It is unknown whether an administrator has stopped all removals, because %1 "
            "cannot be read (%2). Nothing is removed meanwhile.",
            what,
            why,
        )
        return Stop(message, remedy, known=False)


def _content(path: Path) -> str:
    """Raises OSError, also if the file does not exist."""
    # The file can only delay a removal, so it may belong to any user.
    content = safe_files.read_bytes(path, MOST_BYTES, follow=True, any_owner=True)
    return content.decode("utf-8-sig", "replace")


def _stopped(reason: Any, remedy: str) -> Stop:
    shown = " ".join(str(reason).split())[:MOST_CHARACTERS].rstrip(".")
    message = sentence("An administrator has stopped all removals.")
    if shown:
        message = sentence("An administrator has stopped all removals: %1.", shown)
    return Stop(message, remedy)
