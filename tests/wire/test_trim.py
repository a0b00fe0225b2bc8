"""Long conversations lose their oldest turns, whole, and nothing else."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.wire.ingress import INGRESSES
from overspill.wire.trim import TYPICAL_IMAGE_TOKENS, likely_input_tokens, trimmed

if TYPE_CHECKING:
    from overspill.wire.ask import Ask

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
LONG = "word " * 200
"""About 250 tokens."""


def ask(items: object, path: str = CHAT, **more: object) -> Ask:
    field = "input" if path == RESPONSES else "messages"
    body = {"model": "m", "max_tokens": 9, field: items, **more}
    if path == RESPONSES:
        del body["max_tokens"]
    return INGRESSES[path].read(json.dumps(body).encode())


def user(text: str = LONG) -> dict[str, Any]:
    return {"role": "user", "content": text}


def says(text: str = LONG) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


SYSTEM = {"role": "system", "content": "be kind " * 50}
CALLS = [
    {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
    {"role": "tool", "tool_call_id": "c", "content": LONG},
    says("it is so"),
]
ANTHROPIC_CALLS = [
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": LONG}]},
    says("it is so"),
]
RESPONSES_CALLS = [
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": LONG},
    says("it is so"),
]


def left(found: Ask) -> list[Any]:
    items = found.document.get(found.opening)
    assert isinstance(items, list)
    return items


@pytest.mark.parametrize(
    ("path", "calls"),
    [
        pytest.param(CHAT, CALLS, id="chat completions"),
        pytest.param(MESSAGES, ANTHROPIC_CALLS, id="Messages"),
        pytest.param(RESPONSES, RESPONSES_CALLS, id="Responses"),
    ],
)
def test_a_turn_goes_with_all_its_tool_calls_or_stays_with_them(
    path: str, calls: list[dict[str, Any]]
) -> None:
    first, second, last = [user(), *calls], [user(), *calls], [user("and now?")]
    whole = ask([*first, *second, *last], path)
    found = trimmed(whole, whole.input_tokens - 10)
    assert found
    fitted, cut = found
    assert cut.turns == 1
    assert left(fitted) == [*second, *last]
    assert fitted.input_tokens == whole.input_tokens - cut.tokens


def test_system_prompts_stay_wherever_they_stand() -> None:
    again = {"role": "developer", "content": "and brief"}
    whole = ask([SYSTEM, user(), says(), again, user(), says(), user("now?")])
    found = trimmed(whole, 300)
    assert found
    assert left(found[0])[:2] == [SYSTEM, again]
    assert left(found[0])[-1] == user("now?")


def test_the_last_turn_stays_however_long() -> None:
    whole = ask([user(), says(), user(LONG * 20)])
    found = trimmed(whole, 256)
    assert found
    assert left(found[0]) == [user(LONG * 20)]


@pytest.mark.parametrize(
    ("items", "at_most"),
    [
        pytest.param([user(), says(), user()], 10_000, id="short enough"),
        pytest.param([SYSTEM, user(LONG * 9)], 256, id="one turn"),
        pytest.param([says(), says()], 1, id="nobody asks"),
        pytest.param([1, None, "x"], 1, id="of another shape"),
    ],
)
def test_nothing_is_left_out_where_nothing_need_or_can_be(items: object, at_most: int) -> None:
    assert trimmed(ask(items), at_most) is None


PIXELS = "A" * 400_000
URL = f"data:image/png;base64,{PIXELS}"
SOURCE = {"type": "base64", "media_type": "image/png", "data": PIXELS}
IMAGES = [
    pytest.param(CHAT, {"type": "image_url", "image_url": {"url": URL}}, id="chat completions"),
    pytest.param(MESSAGES, {"type": "image", "source": SOURCE}, id="Messages"),
    pytest.param(RESPONSES, {"type": "input_image", "image_url": URL}, id="Responses"),
]


@pytest.mark.parametrize(("path", "image"), IMAGES)
def test_an_image_costs_a_conversation_nothing_of_what_was_said_before(
    path: str, image: dict[str, Any]
) -> None:
    seen = {"role": "user", "content": [image]}
    assert trimmed(ask([user(), says(), seen], path), 4_000) is None
    found = trimmed(ask([seen, says(), user(), says(), seen], path), 3_000)
    assert found
    fitted, cut = found
    assert left(fitted) == [user(), says(), seen]
    assert 1_600 < cut.tokens < 2_400
    assert fitted.input_tokens < 110_000


@pytest.mark.parametrize(("path", "image"), IMAGES)
def test_what_nobody_metered_is_guessed_without_the_pixels(
    path: str, image: dict[str, Any]
) -> None:
    shown = ask([user(), {"role": "user", "content": [image]}], path)
    told = ask([user()], path)
    assert shown.input_tokens > 100_000
    seen = likely_input_tokens(shown) - likely_input_tokens(told)
    assert TYPICAL_IMAGE_TOKENS <= seen < TYPICAL_IMAGE_TOKENS + 100


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(LONG, id="a text"),
        pytest.param('an image"', id="a text that only speaks of images"),
        pytest.param([{"type": "image_url", "image_url": {"url": "https://x"}}], id="a link"),
        pytest.param(
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
            id="an image smaller than most",
        ),
    ],
)
def test_without_many_pixels_the_guess_is_the_usual_one(content: object) -> None:
    asked = ask([{"role": "user", "content": content}])
    assert likely_input_tokens(asked) == asked.input_tokens


def test_a_turn_without_content_is_one_turn_all_the_same() -> None:
    nothing = {"role": "user", "content": None}
    found = trimmed(ask([user(), nothing, says(), user("last")]), 100)
    assert found is not None
    assert left(found[0])[-1] == user("last")


def test_a_text_is_one_turn() -> None:
    assert trimmed(ask(LONG * 9, RESPONSES), 256) is None


def test_a_growing_conversation_mostly_begins_alike_and_is_the_same_conversation() -> None:
    items: list[dict[str, Any]] = [SYSTEM]
    beginnings, conversations, cuts = [], set(), 0
    for number in range(60):
        items = [*items, user(f"{number} {LONG}")]
        whole = ask(items)
        conversations.add(whole.conversation())
        if found := trimmed(whole, 4_000):
            fitted = found[0]
            conversations.add(fitted.conversation())
            assert fitted.input_tokens <= 4_000
            cuts += 1
            beginnings.append(fitted.document.head("messages", 600))
        items = [*items, says()]
    assert cuts > 40
    assert len(conversations) == 1
    changes = sum(a != b for a, b in itertools.pairwise(beginnings))
    assert changes < cuts / 2


def test_everything_else_is_as_it_was() -> None:
    whole = ask([user(), says(), user("now?")], temperature=0.5, tools=[{"type": "function"}])
    found = trimmed(whole, 256)
    assert found
    fitted = found[0]
    kept = {name: raw for name, raw in whole.document.fields.items() if name != "messages"}
    assert {n: r for n, r in fitted.document.fields.items() if n != "messages"} == kept
    assert (fitted.model, fitted.max_tokens) == (whole.model, whole.max_tokens)


messages = st.sampled_from([SYSTEM, user("hi"), user(), says(), *CALLS, *ANTHROPIC_CALLS])


@given(items=st.lists(messages, min_size=1, max_size=30), at_most=st.integers(1, 3_000))
def test_what_is_left_is_the_end_of_what_was_and_every_system_prompt(
    items: list[dict[str, Any]], at_most: int
) -> None:
    found = trimmed(ask(items), at_most)
    if found is None:
        return
    fitted, cut = found
    rest = [item for item in left(fitted) if item != SYSTEM]
    assert left(fitted).count(SYSTEM) == items.count(SYSTEM)
    assert rest == [item for item in items if item != SYSTEM][-len(rest) :]
    assert rest[0]["role"] == "user"
    assert cut.turns >= 1
    assert cut.tokens > 0
