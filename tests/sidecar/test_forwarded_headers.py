"""Which of an app's headers a provider sees: those that the policy names, never a credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overspill.api.errors import InvalidConfig
from overspill.api.policy import NEVER_FORWARDED
from overspill.api.sidecar_config import ProviderConfig, SidecarConfig, parse_sidecar_config
from overspill.sidecar.runtime import compile_runtime
from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Asked, Got, Script, client, post
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, Road, Scene, asking, scene

if TYPE_CHECKING:
    from pathlib import Path

_, OPENAI, ANTHROPIC, MESSAGES = ROADS
GOOD = replies.good_whole(Wire.OPENAI)
MESSAGE = replies.good_whole(Wire.ANTHROPIC)


def forwarding(made: Scene, *named: str) -> SidecarConfig:
    """The scene's configuration with these headers, whatever the file would be told of them."""
    config = SidecarConfig.model_validate(made.stage.base)
    providers = [one.model_copy(update={"forward_headers": named}) for one in config.frontier]
    return config.model_copy(update={"frontier": tuple(providers)})


def ask_with(
    folder: Path, road: Road, said: bytes, headers: list[tuple[str, str]], *named: str
) -> tuple[Asked, Got]:
    """What the provider was asked, and what the app got."""

    async def story() -> tuple[Asked, Got]:
        async with scene(folder, road, Script(says=(said,)), other=said) as made:
            made.stage.proxy.configure(forwarding(made, *named), folder)
            async with client(made.stage.port) as app:
                await app.say(post(road.path, asking(stream=False), [*road.headers, *headers]))
                got = await app.answer()
            assert made.first.illegal == []
            return made.first.asked[0], got

    return play(story())


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a\r\n x-evil: 1", id="a folded line"),
        pytest.param("a\r\n\tx-evil: 1", id="a line folded by a tab"),
        pytest.param("a\nx-evil: 1", id="a bare line feed"),
        pytest.param("a\rx-evil: 1", id="a bare carriage return"),
        pytest.param("a\0b", id="a zero"),
    ],
)
def test_no_header_that_is_passed_on_brings_another_line_along(tmp_path: Path, value: str) -> None:
    async def story() -> None:
        async with scene(tmp_path, OPENAI, Script(says=(GOOD,)), other=GOOD) as made:
            made.stage.proxy.configure(forwarding(made, "x-team"), tmp_path)
            headers = [("x-priority", "high"), ("x-team", value)]
            async with client(made.stage.port) as app:
                await app.say(post(OPENAI.path, asking(stream=False), headers))
                await app.answer()
            assert made.first.illegal == []
            for asked in made.first.asked:
                assert b"x-evil" not in asked.headers
                assert not {13, 10, 0} & set(b"".join(asked.headers.values()))

    play(story())


NEVER = ["authorization", "Cookie", "X-Api-Key", "proxy-authorization", "content-length", "host"]


@pytest.mark.parametrize("name", NEVER)
def test_a_file_that_would_forward_a_credential_or_the_framing_is_refused(name: str) -> None:
    text = b'{"frontier":[{"forwardHeaders":["x-team","%b"]}]}' % name.encode()
    with pytest.raises(InvalidConfig, match=r"forwardHeaders\[1\]: is never forwarded"):
        parse_sidecar_config(text)


@pytest.mark.parametrize("name", NEVER)
def test_a_credential_never_leaves_even_where_the_configuration_names_it(
    tmp_path: Path, name: str
) -> None:
    value = "17" if name == "content-length" else "Bearer sk-of-the-app"
    sent = [] if name in ("content-length", "host") else [(name, value)]
    asked, got = ask_with(tmp_path, OPENAI, GOOD, [*sent, ("x-team", "legal")], name, "x-team")
    assert got.status == 200
    assert asked.headers[b"x-team"] == b"legal"
    assert asked.headers[b"authorization"] == b"Bearer sk-provider"
    assert b"sk-of-the-app" not in b" ".join(asked.headers.values())


@pytest.mark.parametrize("api", ["OpenAI", "Anthropic"])
def test_a_header_is_sent_once_however_often_it_is_named(tmp_path: Path, api: str) -> None:
    named = ("traceparent", "X-Team", "x-team", "anthropic-version", *sorted(NEVER_FORWARDED))
    provider: dict[str, Any] = {
        "name": "p",
        "api": api,
        "baseURL": "https://api.example",
        "model": "m",
        "credentialFile": "credentials/p",
        "price": {"inputPerMTok": "5", "outputPerMTok": "25"},
        "maxOutputTokens": 9,
    }
    small = {
        "model": "glm",
        "contextWindow": 1000,
        "endpoints": [],
        "slotsPerEndpoint": 1,
        "inputTokenWeight": "0.1",
        "firstTokenDeadlineS": 2.0,
    }
    base = {"policy": "ns/p", "generation": 1, "mode": "Enforce", "small": small}
    config = SidecarConfig.model_validate({**base, "frontier": [provider]})
    loose = ProviderConfig.model_validate(provider).model_copy(update={"forward_headers": named})
    config = config.model_copy(update={"frontier": (loose,)})
    (upstream,) = compile_runtime(config, tmp_path).frontier
    headers = {name.lower().encode(): b"1" for name in named}
    lines = upstream.own_headers(headers, native=True).split(b"\r\n")
    assert sorted(lines) == [b"", b"anthropic-version: 1", b"traceparent: 1", b"x-team: 1"]


# -- Anthropic's own
BETA = ("anthropic-beta", "context-1m-2025-08-07")
VERSION = ("anthropic-version", "2023-01-01")


def test_the_version_of_anthropics_wire_is_the_clients_where_it_speaks_it(tmp_path: Path) -> None:
    asked, _ = ask_with(tmp_path, MESSAGES, MESSAGE, [VERSION])
    assert asked.headers[b"anthropic-version"] == b"2023-01-01"


def test_the_version_of_anthropics_wire_is_ours_where_we_translate(tmp_path: Path) -> None:
    asked, _ = ask_with(tmp_path, ANTHROPIC, MESSAGE, [VERSION], "anthropic-version")
    assert asked.headers[b"anthropic-version"] == b"2023-06-01"


def test_a_beta_reaches_a_provider_only_where_the_policy_names_it(tmp_path: Path) -> None:
    """It may change what a token costs, and the answer's form."""
    asked, got = ask_with(tmp_path / "named", MESSAGES, MESSAGE, [BETA], "Anthropic-Beta")
    assert asked.headers[b"anthropic-beta"] == BETA[1].encode()
    assert "x-overspill-lossy" not in got.headers
    asked, got = ask_with(tmp_path / "not", MESSAGES, MESSAGE, [BETA], "x-team")
    assert b"anthropic-beta" not in asked.headers
    assert got.headers["x-overspill-lossy"] == "anthropic-beta"


def test_an_error_that_a_beta_would_have_prevented_tells_that_it_was_left_out(
    tmp_path: Path,
) -> None:
    error = b'{"type":"error","error":{"type":"invalid_request_error","message":"speed: no"}}'
    said = b"HTTP/1.1 400 No\r\ncontent-length: %d\r\n\r\n%b" % (len(error), error)
    _, got = ask_with(tmp_path, MESSAGES, said, [BETA])
    assert (got.status, got.body) == (400, error)
    assert got.headers["x-overspill-lossy"] == "anthropic-beta"


def test_a_beta_that_a_translation_cannot_need_is_not_told_of(tmp_path: Path) -> None:
    _, got = ask_with(tmp_path, ANTHROPIC, MESSAGE, [BETA])
    assert "x-overspill-lossy" not in got.headers
