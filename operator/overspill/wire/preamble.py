"""What a stream says before its answer: comments, and events that only announce one.

Until more than that has come, another upstream may still answer in this one's place.
"""

from __future__ import annotations

import re
from typing import Final

from overspill.wire.sse import EventFramer, data_of

_ANNOUNCES: Final = re.compile(
    rb'\A\{\s*"type"\s*:\s*"(?:message_start|ping|response\.(?:created|in_progress|queued))"'
)
"""Of Anthropic's Messages and OpenAI's Responses."""
_ROLE: Final = re.compile(rb'"delta"\s*:\s*\{\s*"role"\s*:\s*"\w+"([^{}]*)\}')
"""Of chat completions: a first chunk whose delta has a role, and maybe more."""
_NOTHING: Final = re.compile(rb'(?:\s*,\s*"\w+"\s*:\s*(?:""|null|\[\]))*\s*\Z')
_FINISHED: Final = re.compile(rb'"finish_reason"\s*:\s*"')


def begun(stream: bytes) -> bool:
    """Whether a stream's first bytes, whole events, hold any of the answer, or its end."""
    events = EventFramer().feed(stream)
    return any(data and not _announces(data) for data in map(data_of, events))


def _announces(data: bytes) -> bool:
    if _ANNOUNCES.match(data):
        return True
    role = _ROLE.search(data)
    return bool(role and _NOTHING.match(role[1]) and not _FINISHED.search(data))
