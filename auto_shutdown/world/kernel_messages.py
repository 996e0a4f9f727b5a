"""Read the Jupyter messages on this server's websockets, in each of their three formats.

Every message of every kernel passes here. So a message is parsed only if its header names a type
that the caller wants.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Union

#: A longer message from a kernel is output. The messages that matter here are short.
LONGEST_STATUS = 64 * 1024

#: How many offsets a v1 message may have; a larger number means that it has another form.
_MOST_OFFSETS = 4096

Raw = Union[str, bytes]


@dataclass(frozen=True)
class Message:
    """The parts of a Jupyter message that show activity."""

    channel: str
    header: Mapping[str, Any]
    parent: Mapping[str, Any]
    content: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.header.get("msg_type"))

    @property
    def parent_id(self) -> str:
        return str(self.parent.get("msg_id") or "")


def read(raw: Any, kinds: Collection[str], longest: int | None = None) -> Message | None:
    """The message, where its ``msg_type`` is one of ``kinds``; None for any other, and for one
    longer than ``longest`` bytes. Raises ValueError or KeyError for what is no Jupyter message.

    The forms: JSON text; the same with binary buffers behind it (jupyter_server's default
    protocol); and ``v1.kernel.websocket.jupyter.org``, in which offsets tell where each part is.
    """
    if longest is not None and len(raw) > longest:
        return None
    if isinstance(raw, str):
        return _from_json(raw, kinds) if any(f'"{kind}"' in raw for kind in kinds) else None
    if raw[:1] == b"{":
        text = raw
    else:
        parts = _v1_parts(raw)
        if parts is not None:
            return _from_v1(parts, kinds)
        text = _json_before_buffers(raw)
    return _from_json(text, kinds) if any(f'"{kind}"'.encode() in text for kind in kinds) else None


def _from_json(text: Raw, kinds: Collection[str]) -> Message | None:
    whole = json.loads(text)
    header = whole["header"]
    if header.get("msg_type") not in kinds:
        return None
    parent, content = whole.get("parent_header") or {}, whole.get("content") or {}
    return Message(str(whole.get("channel") or ""), header, parent, content)


def _v1_parts(raw: bytes) -> list[bytes] | None:
    """The channel and the parts of a v1 message; None where it is none."""
    count = int.from_bytes(raw[:8], "little")
    if not 6 <= count <= _MOST_OFFSETS:
        return None
    offsets = [int.from_bytes(raw[8 * i : 8 * (i + 1)], "little") for i in range(1, 7)]
    if offsets[0] != 8 * (count + 1):
        return None
    return [raw[begin:end] for begin, end in zip(offsets, offsets[1:])]


def _from_v1(parts: list[bytes], kinds: Collection[str]) -> Message | None:
    channel, head, parent, _, content = parts
    if not any(f'"{kind}"'.encode() in head for kind in kinds):
        return None
    header = json.loads(head)
    if header.get("msg_type") not in kinds:
        return None
    return Message(
        channel.decode(), header, json.loads(parent) or {}, json.loads(content or b"{}") or {}
    )


def _json_before_buffers(raw: bytes) -> bytes:
    """The JSON part of a message in the default protocol with buffers: the number of parts, the
    offset of each, big-endian, and the parts."""
    begin = int.from_bytes(raw[4:8], "big")
    end = int.from_bytes(raw[8:12], "big") if int.from_bytes(raw[:4], "big") > 1 else None
    return raw[begin:end]
