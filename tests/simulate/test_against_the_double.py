"""The request level beside what it stands for: the real sidecar and model doubles, over HTTP.

Time is virtual, so both see the same arrivals to the millisecond, however busy the machine is.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from e2e.models.answering import TICK_S, Worker
from e2e.models.ledger import Ledger, Prices
from e2e.models.openai_server import OpenAIServer
from e2e.models.physics import Speed as DoubleSpeed
from overspill.simulate.engine import run
from overspill.simulate.fixed import Given
from overspill.simulate.replay import Replay
from overspill.simulate.replica import Speed
from overspill.simulate.requests import Requests, Traffic
from overspill.simulate.tier import Tier
from tests.sidecar.replies import Wire
from tests.sidecar.scene import frontier
from tests.sidecar.stage import serving, staged
from tests.simulate.loads import STEP_S, load
from tests.virtual_time import play

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import web

SLOTS: Final = 8
SPEED: Final = Speed(
    work_tokens_per_s=400.0, prefill_tokens_per_s=400_000.0, stream_tokens_per_s=100.0, slots=SLOTS
)
"""Prompts are a hundredth of the work: the double reads and writes at once, a replica in turn."""
INPUT_WEIGHT: Final = SPEED.work_tokens_per_s / SPEED.prefill_tokens_per_s
SMALL: Final = DoubleSpeed(
    slots=SPEED.slots,
    output_tokens_per_s=SPEED.work_tokens_per_s,
    max_stream_tokens_per_s=SPEED.stream_tokens_per_s,
    prefill_tokens_per_s=SPEED.prefill_tokens_per_s,
)
LARGE: Final = DoubleSpeed(
    slots=1000, output_tokens_per_s=1e9, max_stream_tokens_per_s=1e9, prefill_tokens_per_s=1e9
)
COUNT: Final = 100


@dataclass(frozen=True, slots=True)
class Told:
    """What a client saw."""

    tier: str
    ttft_s: float
    duration_s: float


def arrivals(rate_per_s: float) -> Requests:
    """Poisson arrivals of requests of all sizes, the same each time."""
    chance = random.Random(7)
    gaps_s = [chance.expovariate(rate_per_s) for _ in range(COUNT)]
    return Requests(
        arrival_s=np.cumsum(gaps_s).round(3),
        input_tokens=np.array([float(chance.randint(50, 1500)) for _ in range(COUNT)]),
        output_tokens=np.array([float(chance.randint(10, 150)) for _ in range(COUNT)]),
    )


async def ask(port: int, at_s: float, inputs: float, outputs: float) -> Told:
    """One streaming request on a connection of its own, at its time."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(at_s - loop.time())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    message = {"role": "user", "content": f"[[in={inputs:.0f}]][[out={outputs:.0f}]]"}
    body = json.dumps({"model": "glm", "stream": True, "messages": [message]}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    first = await reader.read(65536)
    ttft_s = loop.time() - at_s
    rest = await reader.read()
    writer.close()
    assert b" 200 OK\r\n" in first
    assert b"[DONE]" in first + rest
    tier = "frontier" if b"x-overspill-tier: frontier" in first else "small"
    return Told(tier, ttft_s, loop.time() - at_s)


def double(speed: DoubleSpeed) -> tuple[web.Application, Ledger]:
    """A model server that lives in the loop's time."""
    ledger = Ledger(Prices())
    worker = Worker(speed, clock=asyncio.get_running_loop().time)
    return OpenAIServer(model="glm", worker=worker, ledger=ledger).application(), ledger


async def ask_all(port: int, requests: Requests) -> list[Told]:
    """Send all of them."""
    columns = (requests.arrival_s, requests.input_tokens, requests.output_tokens)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return await asyncio.gather(*(ask(port, *row) for row in rows))


def real(folder: Path, requests: Requests, tier: Tier) -> tuple[list[Told], int]:
    """Play against the real sidecar; return too how many tokens the small doubles wrote."""
    told: list[Told] = []
    ledgers: list[Ledger] = []

    async def story() -> None:
        async with AsyncExitStack() as stack:
            stage = await stack.enter_async_context(staged(folder))
            small, opus = [
                await stack.enter_async_context(serving(*double(speed))) for speed in (SMALL, LARGE)
            ]
            stage.configure(
                small={
                    **stage.base["small"],
                    "endpoints": [small.address],
                    "slotsPerEndpoint": tier.speed.slots,
                    "firstTokenDeadlineS": tier.first_token_s,
                },
                queueMaxWaitS=tier.max_wait_s,
                frontier=[frontier("opus", Wire.OPENAI, opus.address)],
            )
            told.extend(await ask_all(stage.port, requests))
            ledgers.append(small.ledger)

    play(story())
    return told, ledgers[0].output_tokens


def simulated(requests: Requests, tier: Tier) -> Replay:
    work = requests.output_tokens + INPUT_WEIGHT * requests.input_tokens
    requests = replace(requests, arrival_s=requests.arrival_s + STEP_S)  # replicas start meanwhile
    steps = int(requests.arrival_s[-1] / STEP_S) + 1
    case = load([0.0] * steps, startup_s=STEP_S)
    replay = Replay(case, Traffic(requests=requests, work_tokens=work, rungs={}), tier)
    run(case, Given(np.full(steps, 1)), serve=replay.serve)
    return replay


CASES = [
    pytest.param(5.0, Tier(speed=SPEED, first_token_s=2.0, max_wait_s=0.0), id="too little"),
    pytest.param(5.0, Tier(speed=SPEED, first_token_s=2.0, max_wait_s=2.0), id="waiting"),
    pytest.param(6.0, Tier(speed=SPEED, first_token_s=0.5, max_wait_s=0.0), id="in a hurry"),
]


@pytest.mark.parametrize(("rate_per_s", "tier"), CASES)
def test_the_sidecar_and_the_doubles_do_what_was_simulated(
    tmp_path: Path, rate_per_s: float, tier: Tier
) -> None:
    """A double looks at its work every 50 ms: a slot may come free that much late, and the next
    first token be out that much late once more. Times agree within these, or within 10%.
    """
    requests = arrivals(rate_per_s)
    told, written_tokens = real(tmp_path, requests, tier)
    replay = simulated(requests, tier)
    spilled = np.array([one.tier == "frontier" for one in told])
    thought = np.frombuffer(replay.spilled, dtype=np.bool_)
    assert abs(int(spilled.sum()) - int(thought.sum())) <= 0.03 * COUNT
    assert written_tokens == requests.output_tokens[~spilled].sum()
    assert requests.output_tokens[~thought].sum() == pytest.approx(written_tokens, rel=0.05)
    seen_s = np.array([(one.ttft_s, one.duration_s) for one in told])[~spilled]
    watch = replay.watch
    thought_s = np.array([watch.ttft_s, watch.duration_s]).T[~thought]
    for percent in (50, 75, 90):
        assert np.percentile(thought_s, percent, axis=0) == pytest.approx(
            np.percentile(seen_s, percent, axis=0), rel=0.1, abs=2 * TICK_S
        )
