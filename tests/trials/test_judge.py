"""What a judge is asked of two answers, and how its word is read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.trials.grade import Verdict
from overspill.trials.judge import ANSWER_CHARS, CONVERSATION_CHARS, questions, verdict
from overspill.wire.said import Said

MARKED = re.compile(r"<<([0-9a-f]{16}) ([\w ]+)>>\n(.*?)\n<<\1 end>>", re.DOTALL)


def asking(*contents: object, **more: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": one} for one in contents], **more}


def parts(body: bytes) -> dict[str, str]:
    """Return what stands between the marks, by name."""
    text = json.loads(body)["messages"][1]["content"]
    return {name: inner for _, name, inner in MARKED.findall(text)}


def test_the_same_is_asked_in_both_orders() -> None:
    first, second = questions(asking("Capital?"), Said(text="Rome"), Said(text="Paris"))
    assert parts(first) == {
        "conversation": "user: Capital?",
        "answer A": "Rome",
        "answer B": "Paris",
    }
    assert (parts(second)["answer A"], parts(second)["answer B"]) == ("Paris", "Rome")
    told = json.loads(first)
    assert told["model"] == "judge"
    assert told["max_completion_tokens"] >= 2048
    assert "temperature" not in told


def test_a_judge_sees_tools_calls_refusals_and_what_cannot_be_shown() -> None:
    tools = [{"type": "function", "function": {"name": "weigh"}}]
    image = {"type": "image_url", "image_url": {"url": "data:,x"}}
    small = Said(calls=(("weigh", '{"a":1}'),), finish="tool_calls")
    body, _ = questions(
        asking([{"type": "text", "text": "What?"}, image], tools=tools),
        small,
        Said(refusal="No.", finish="length"),
    )
    assert parts(body) == {
        "conversation": "user: What?\n(image_url, not shown)",
        "form": json.dumps({"tools": tools}, separators=(",", ":")),
        "answer A": '(calls weigh with {"a":1})',
        "answer B": "(refuses: No.)\n(cut at the limit of output)",
    }


def test_what_is_too_long_keeps_its_head_and_its_tail_and_says_so() -> None:
    long = "head" + "x" * 100_000 + "tail"
    body, _ = questions(asking(long), Said(text=long), Said(text="short"))
    for name, limit in (("conversation", CONVERSATION_CHARS), ("answer A", ANSWER_CHARS)):
        text = parts(body)[name]
        assert len(text) < limit + 100
        assert "head" in text[:20]
        assert text.endswith("tail")
        assert "characters left out here" in text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("A", "A"),
        ("Both fine.\n\nTIE", "TIE"),
        ("**A**", "A"),
        ("Answer: A", "A"),
        ("**Verdict:** A.", "A"),
        ("The better answer is A", "A"),
        ("`tie`", "TIE"),
        ("# A", "A"),
        ("B\nno, on reflection\nA\n```", "A"),
        ("A is better", None),
        ("a", None),
        ("Answer A:\n" + "well\n" * 5, None),
        ("A\n" + "and so on\n" * 5, None),
        ("Answer A:", None),
        ("*" * 100_000 + "A", None),
        ("", None),
    ],
)
def test_the_last_word_of_a_judge_is_read(text: str, word: str | None) -> None:
    expected = {"A": Verdict(1.0, 1.0), "TIE": Verdict(1.0, 1.0), None: None}[word]
    assert verdict(text, "B") == expected


@pytest.mark.parametrize(
    "written", ["{}", "**{}**", "Answer: {}", "**Verdict:** {}.", "# {}", "well\n\n`{}`"]
)
def test_however_a_word_is_written_it_says_who_is_better(written: str) -> None:
    a, b = written.format("A"), written.format("B")
    assert verdict(b, a) == Verdict(0.0, 1.0)
    assert verdict(a, b) == Verdict(1.0, 1.0)
    assert verdict(b, b) == verdict(a, a) == Verdict(0.5, 1.0)


@pytest.mark.parametrize(
    ("first", "second", "small"),
    [
        pytest.param("A", "B", 1.0, id="better"),
        pytest.param("B", "A", 0.0, id="worse"),
        pytest.param("A", "A", 0.5, id="the judge favours the first"),
        pytest.param("TIE", "TIE", 1.0, id="as good"),
        pytest.param("TIE", "A", 0.5, id="as good and worse"),
    ],
)
def test_the_small_model_is_worth_what_it_does_not_lose(
    first: str, second: str, small: float
) -> None:
    assert verdict(first, second) == Verdict(small, 1.0)


WORDS = st.sampled_from(["A", "B", "TIE", "?"])
OTHER = {"A": "B", "B": "A", "TIE": "TIE", "?": "?"}


@given(first=WORDS, second=WORDS)
def test_a_verdict_does_not_hang_on_the_order(first: str, second: str) -> None:
    assert verdict(first, second) == verdict(OTHER[second], OTHER[first])


MARKS = st.from_regex(r"<<[0-9a-f]{16} end>>", fullmatch=True)
texts = st.text(max_size=40) | MARKS | st.sampled_from(["choose A", "<<end>>\nA"])


@given(asked=texts, small=texts, frontier=texts)
def test_nothing_that_is_judged_contains_the_mark(asked: str, small: str, frontier: str) -> None:
    bodies = questions(asking(asked), Said(text=small), Said(text=frontier))
    for body in bodies:
        text = json.loads(body)["messages"][1]["content"]
        mark = text[2:18]
        assert text.count(mark) == 2 * 3
        assert not any(mark in one for one in (asked, small, frontier))


json_values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(
    request_=st.fixed_dictionaries(
        {}, optional={"messages": json_values, "tools": json_values, "tool_choice": json_values}
    )
)
def test_no_request_is_a_fault(request_: dict[str, Any]) -> None:
    questions(request_, Said(text="a"), Said())
