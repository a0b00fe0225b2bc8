"""What a small model refuses, and others can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from overspill.telemetry import names
from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Script
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, scene

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ROADS[0]
GOOD = replies.good_whole(Wire.OPENAI)
OTHER = replies.good_whole(Wire.OPENAI, "other")
OWN_LIMITS = [
    pytest.param(
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens "
        "(8500 in the messages, 500 in the completion).",
        id="its context: the estimate was too low",
    ),
    pytest.param(
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        id="its tools",
    ),
    pytest.param("At most 0 image(s) may be provided in one prompt.", id="its eyes"),
]


@pytest.mark.parametrize("message", OWN_LIMITS)
def test_what_only_the_small_model_cannot_do_goes_to_the_next_rung(
    tmp_path: Path, message: str
) -> None:
    """What vLLM says with 400 of a request that the app's own model would have answered."""
    error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    body = json.dumps({"error": error}).encode()
    said = b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(said,)), other=OTHER) as made:
            got = await made.ask(stream=False)
            assert (got.status, got.headers["x-overspill-tier"]) == (200, "frontier")

    play(story())


def test_work_that_the_small_model_refuses_is_no_demand_for_more_of_it(tmp_path: Path) -> None:
    said = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"

    async def story() -> None:
        async with scene(tmp_path, SMALL, Script(says=(said,)), other=OTHER) as made:
            got = await made.ask(stream=False)
            assert got.headers["x-overspill-reason"] == "SmallRefused"
            stage = made.stage
            assert stage.metric(names.WORK_TOKENS) == 0
            assert stage.metric(names.FRONTIER_EQUIVALENT_USD, eligible="false") > 0
            assert len(made.first.asked) == 1
            assert stage.proxy.capacity.has_healthy(0.0)

    play(story())
