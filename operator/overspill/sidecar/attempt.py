"""One try at one upstream, until its first byte for the client is there, or it has failed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from overspill.routing.decide import Tier
from overspill.sidecar.upstream import UpstreamError
from overspill.wire import anthropic, from_anthropic, openai, sse, to_anthropic
from overspill.wire.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.sidecar.runtime import Provider, Runtime
    from overspill.sidecar.upstream import Origin, Pool, Response
    from overspill.wire.openai import ChatRequest
    from overspill.wire.usage import Usage

CLIENT_FAULTS: Final = frozenset({400, 413, 422})
"""The request itself is wrong: another upstream would say the same."""
PASSED_ON: Final = ("traceparent", "tracestate")
SMALL_PATH: Final = "/v1/chat/completions"
Stream = openai.StreamFilter | from_anthropic.StreamTranslator | anthropic.StreamFilter


class AttemptFailed(Exception):
    """The upstream gave no usable answer; nothing has reached the client."""

    def __init__(
        self, kind: str, status: int, body: bytes, *, final: bool = False, retry_after: str = ""
    ) -> None:
        self.kind, self.status, self.body = kind, status, body
        self.final, self.retry_after = final, retry_after
        super().__init__(f"{kind} ({status})")


@dataclass(slots=True, kw_only=True)
class Opened:
    """An upstream that has begun to answer."""

    tier: Tier
    response: Response
    provider: Provider | None = None
    stream: Stream | None = None
    native: bool = False
    """The client speaks the provider's own wire: nothing is translated."""
    framer: sse.EventFramer = field(default_factory=sse.EventFramer)
    first: bytes = b""
    """A stream's first bytes for the client, or a whole answer."""
    events: int = 0
    usage: Usage | None = None
    release: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Let go of the upstream: its connection is kept only if it was read to the end."""
        self.response.close()
        self.release()

    def feed(self, chunk: bytes) -> bytes:
        """Return what the client gets for these bytes of the stream."""
        assert self.stream
        out = []
        for event in self.framer.feed(chunk):
            self.events += 1
            out.append(self.stream.pass_on(event, sse.data_of(event)))
        return b"".join(out)

    def feed_rest(self) -> bytes:
        """Return what the client gets for a last event that no blank line ended."""
        assert self.stream
        rest = self.framer.rest()
        if not rest.strip():
            return b""
        return self.stream.pass_on(rest + b"\n\n", sse.data_of(rest))


async def open_small(
    pool: Pool, runtime: Runtime, address: str, chat: ChatRequest, passed_on: dict[str, str]
) -> Opened:
    """Ask one small endpoint. Raises: AttemptFailed."""
    headers = {"content-type": "application/json", "authorization": "Bearer overspill", **passed_on}
    body = openai.upstream_body(chat, runtime.config.small.model)
    response = await _post(pool, runtime.origins[address], SMALL_PATH, headers, body)
    stream = openai.StreamFilter(wants_usage=chat.wants_usage) if chat.stream else None
    return await _begin(Opened(tier=Tier.SMALL, response=response, stream=stream))


async def open_frontier(
    pool: Pool, provider: Provider, chat: ChatRequest, passed_on: dict[str, str]
) -> Opened:
    """Ask one provider. Raises: AttemptFailed, Untranslatable."""
    key = provider.credential.key()
    if not key:
        raise AttemptFailed("credential", 502, b"")
    stream: Stream | None = None
    if provider.anthropic:
        body = _translated(chat, provider)
        headers = {"x-api-key": key, "anthropic-version": to_anthropic.VERSION}
        if chat.stream:
            stream = from_anthropic.StreamTranslator(
                wants_usage=chat.wants_usage, created_s=int(time.time())
            )
    else:
        body = openai.upstream_body(chat, provider.model)
        headers = {"authorization": f"Bearer {key}"}
        stream = openai.StreamFilter(wants_usage=chat.wants_usage) if chat.stream else None
    headers |= {"content-type": "application/json", **passed_on}
    response = await _post(pool, provider.origin, provider.path, headers, body)
    return await _begin(
        Opened(tier=Tier.FRONTIER, response=response, provider=provider, stream=stream)
    )


async def open_messages(
    pool: Pool, provider: Provider, chat: ChatRequest, suffix: str, passed_on: dict[str, str]
) -> Opened:
    """Pass a Messages request on to a provider that speaks it. Raises: AttemptFailed."""
    key = provider.credential.key()
    if not key:
        raise AttemptFailed("credential", 502, b"")
    headers = {"anthropic-version": to_anthropic.VERSION, **passed_on, "x-api-key": key}
    headers["content-type"] = "application/json"
    body = anthropic.upstream_body(chat, provider.model)
    response = await _post(pool, provider.origin, provider.path + suffix, headers, body)
    stream = anthropic.StreamFilter() if chat.stream else None
    return await _begin(
        Opened(tier=Tier.FRONTIER, response=response, provider=provider, stream=stream, native=True)
    )


def _translated(chat: ChatRequest, provider: Provider) -> bytes:
    try:
        return to_anthropic.messages_body(chat, provider.model, provider.max_output_tokens)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadRequest(f"the request is malformed: {error!r}") from None


async def _post(
    pool: Pool, origin: Origin, path: str, headers: dict[str, str], body: bytes
) -> Response:
    try:
        return await pool.post(origin, path, headers, body)
    except UpstreamError as error:
        raise AttemptFailed(error.kind, 502, b"") from None


async def _begin(opened: Opened) -> Opened:
    """Read on until there is something for the client. Raises: AttemptFailed."""
    try:
        if opened.response.status != 200:
            await _refused(opened)
        elif opened.stream:
            await _first_bytes(opened)
        else:
            await _whole(opened)
    except UpstreamError as error:
        opened.response.close()
        raise AttemptFailed(error.kind, 502, b"") from None
    except BaseException:
        opened.response.close()
        raise
    return opened


async def _refused(opened: Opened) -> None:
    status, body = opened.response.status, await opened.response.read_all(10.0)
    raise AttemptFailed(
        f"http_{status}",
        status,
        body,
        final=status in CLIENT_FAULTS,
        retry_after=opened.response.headers.get(b"retry-after", b"").decode("latin-1"),
    )


async def _first_bytes(opened: Opened) -> None:
    assert opened.stream
    while not opened.first:
        chunk = await opened.response.read()
        opened.first = opened.feed(chunk) if chunk else opened.feed_rest()
        failed = getattr(opened.stream, "failed", None)
        if not opened.first and (failed or not chunk):
            raise AttemptFailed("stream", 502, failed or b"")


async def _whole(opened: Opened) -> None:
    raw = await opened.response.read_all()
    try:
        if opened.native:
            opened.first, opened.usage = raw, anthropic.usage_in(raw)
        elif opened.provider and opened.provider.anthropic:
            opened.first, opened.usage = from_anthropic.completion(raw, int(time.time()))
        else:
            opened.first, opened.usage = raw, openai.usage_of(openai.read_answer(raw))
    except (ValueError, KeyError, TypeError):
        raise AttemptFailed("garbled", 502, b"") from None
