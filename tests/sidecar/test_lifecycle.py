"""Configuration comes, changes and breaks; the sidecar drains and leaves."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overspill.api.sidecar_config import SidecarConfig
from overspill.sidecar.command import run, until_told, watch
from overspill.sidecar.config_file import ConfigFile
from overspill.sidecar.metrics import Metrics
from overspill.sidecar.proxy import Proxy
from overspill.sidecar.runtime import Credential, compile_runtime
from overspill.telemetry import names
from tests.clock import play, until
from tests.sidecar.stage import Stage, staged

if TYPE_CHECKING:
    from pathlib import Path


def config(**changes: object) -> dict[str, Any]:
    frontier = {
        "name": "opus",
        "api": "Anthropic",
        "baseURL": "https://api.example.com",
        "model": "opus",
        "credentialFile": "credentials/opus",
        "price": {"inputPerMTok": "5", "outputPerMTok": "25"},
        "maxOutputTokens": 100,
    }
    small = {
        "model": "glm",
        "contextWindow": 1000,
        "endpoints": ["10.0.0.1:8000"],
        "slotsPerEndpoint": 2,
        "inputTokenWeight": "0.1",
        "firstTokenDeadlineS": 2.0,
    }
    base = {"policy": "ns/p", "generation": 1, "mode": "Enforce", "small": small}
    return {**base, "frontier": [frontier], **changes}


def test_a_file_is_used_when_it_changes_and_kept_when_it_breaks(tmp_path: Path) -> None:
    used: list[int] = []
    path = tmp_path / "policy.json"
    file = ConfigFile(path, lambda found: used.append(found.generation))
    file.look()
    assert (used, file.problem) == ([], f"{path} is not there yet")
    path.write_text(json.dumps(config()))
    file.look()
    file.look()
    assert (used, file.problem) == ([1], "")
    path.write_text(json.dumps(config(mode="Sometimes")))
    file.look()
    assert used == [1]
    assert "policy.json.mode" in file.problem
    path.write_text(json.dumps(config(generation=22)))
    file.look()
    assert (used, file.problem) == ([1, 22], "")
    path.unlink()
    file.look()
    assert (used, file.problem) == ([1, 22], "")


def test_a_swapped_symbolic_link_is_seen(tmp_path: Path) -> None:
    used: list[int] = []
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "policy.json").write_text(json.dumps(config(generation=number)))
    data = tmp_path / "..data"
    data.symlink_to("v1")
    file = ConfigFile(data / "policy.json", lambda found: used.append(found.generation))
    file.look()
    data.unlink()
    data.symlink_to("v2")
    file.look()
    assert used == [1, 2]


def test_a_file_that_comes_back_as_it_was_is_no_problem(tmp_path: Path) -> None:
    good, bad = tmp_path / "policy.json", tmp_path / "bad.json"
    good.write_text(json.dumps(config()))
    bad.write_text("{")
    file = ConfigFile(good, lambda _: None)
    file.look()
    good.rename(tmp_path / "kept.json")
    bad.rename(good)
    file.look()
    assert file.problem
    (tmp_path / "kept.json").rename(good)
    file.look()
    assert file.problem == ""


def test_a_configuration_whose_use_fails_is_complained_of_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used: list[int] = []
    healed = False

    def use(found: SidecarConfig) -> None:
        if found.generation == 2 and not healed:
            raise LookupError("nobody thought of this")
        used.append(found.generation)

    path = tmp_path / "policy.json"
    file = ConfigFile(path, use)
    for generation in (1, 2, 2):
        path.write_text(json.dumps(config(generation=generation)) + " " * generation)
        file.look()
    assert used == [1]
    assert file.problem.startswith("generation 2 cannot be used: LookupError")
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    healed = True
    file.look()
    assert (used, file.problem) == ([1, 2], "")


UNUSABLE = [
    pytest.param({"endpoints": ["a:99999"]}, {}, "small.endpoints[0]", id="port of an endpoint"),
    pytest.param({"endpoints": ["[::1:80"]}, {}, "small.endpoints[0]", id="half a bracket"),
    pytest.param({}, {"baseURL": "https://x:99999"}, "frontier[0].baseURL", id="port of a URL"),
    pytest.param({}, {"baseURL": "https://api..x"}, "frontier[0].baseURL", id="no host name"),
]


@pytest.mark.parametrize(("small", "provider", "place"), UNUSABLE)
def test_an_unusable_configuration_leaves_the_last_one_in_force_and_the_next_is_read(
    tmp_path: Path, small: dict[str, Any], provider: dict[str, Any], place: str
) -> None:
    path = tmp_path / "policy.json"
    base = config()
    bad = {
        "small": {**base["small"], **small},
        "frontier": [{**base["frontier"][0], **provider}],
    }

    async def story() -> None:
        proxy = Proxy()

        def runs(generation: int) -> bool:
            return proxy.runtime is not None and proxy.runtime.config.generation == generation

        watching = asyncio.create_task(watch(proxy, path))
        path.write_text(json.dumps(config()))
        await until(lambda: runs(1) and not proxy.problem)
        path.write_text(json.dumps(config(generation=22, **bad)))
        await until(lambda: place in proxy.problem)
        assert runs(1)
        path.write_text(json.dumps(config(generation=333)))
        await until(lambda: runs(333) and not proxy.problem)
        assert not watching.done()
        watching.cancel()
        await asyncio.wait([watching])

    play(story(), patient=True)


@pytest.mark.parametrize(
    ("given", "kept"), [(None, "timeout:1 attempts:4"), ("timeout:3", "timeout:3")]
)
def test_a_lost_packet_of_the_name_service_costs_a_second_unless_told_otherwise(
    given: str | None, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RES_OPTIONS", given or "")
    if given is None:
        monkeypatch.delenv("RES_OPTIONS")
    nowhere = argparse.Namespace(policy=str(tmp_path / "none.yaml"), admin_listen=None)
    assert run(nowhere) == 2
    assert os.environ["RES_OPTIONS"] == kept


async def _serve_until(stop: asyncio.Event, watch_ends: asyncio.Event) -> bool:
    async def watching() -> None:
        await watch_ends.wait()
        raise LookupError("nobody thought of this")

    task = asyncio.create_task(watching())
    told = await until_told(stop, task)
    await asyncio.wait([task])
    return told


@pytest.mark.asyncio
async def test_a_signal_ends_the_sidecar_well_and_the_end_of_the_watch_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, never = asyncio.Event(), asyncio.Event()
    now.set()
    assert await _serve_until(stop=now, watch_ends=never)
    assert caplog.text == ""
    assert not await _serve_until(stop=never, watch_ends=now)
    assert "no longer watched" in caplog.text
    assert "nobody thought of this" in caplog.text


@pytest.mark.parametrize(
    ("api", "base", "path"),
    [
        ("Anthropic", "https://x", "/v1"),
        ("OpenAI", "https://x", "/v1"),
        ("OpenAI", "https://x/v1", "/v1"),
        ("OpenAI", "https://x/inference/", "/inference/v1"),
    ],
)
def test_a_base_url_may_have_a_path(api: str, base: str, path: str, tmp_path: Path) -> None:
    frontier = {**config()["frontier"][0], "api": api, "baseURL": base}
    made = SidecarConfig.model_validate(config(frontier=[frontier]))
    (provider,) = compile_runtime(made, tmp_path).providers
    assert provider.base == path
    assert (provider.origin.host, provider.origin.port, provider.origin.tls) == ("x", 443, True)


def test_a_key_is_read_again_when_its_file_changes_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overspill.sidecar.runtime.KEY_CHECK_S", 0.0)
    path = tmp_path / "key"
    credential = Credential(path)
    assert credential.key() == ""
    path.write_text("sk-one\n")
    assert credential.key() == "sk-one"
    path.write_text("sk-two-longer\n")
    assert credential.key() == "sk-two-longer"
    assert "sk-" not in repr(credential)
    path.unlink()
    assert credential.key() == ""


def test_metrics_are_rendered_for_prometheus() -> None:
    metrics = Metrics('ns/"p"\\')
    metrics.cell(names.SPEND_USD, provider="a").value += 1.5
    metrics.histogram(names.TTFT_SECONDS, tier="small").observe(0.3)
    text = metrics.render().decode()
    label = 'policy="ns/\\"p\\"\\\\"'
    assert f'overspill_spend_usd_total{{{label},provider="a"}} 1.5' in text
    assert f'overspill_ttft_seconds_bucket{{{label},tier="small",le="0.25"}} 0' in text
    assert f'overspill_ttft_seconds_bucket{{{label},tier="small",le="+Inf"}} 1' in text


@pytest.mark.asyncio
async def test_before_its_configuration_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        runtime, stage.proxy.runtime = stage.proxy.runtime, None
        stage.proxy.problem = "no configuration yet"
        assert await _get(stage, "/healthz") == (200, "ok\n")
        assert await _get(stage, "/readyz") == (503, "no configuration yet\n")
        status, body = await _get(stage, "/v1/chat/completions", method="POST")
        assert (status, "no configuration yet" in body) == (503, True)
        stage.proxy.runtime = runtime
        stage.proxy.problem = "policy.json.mode: wrong"
        assert await _get(stage, "/readyz") == (200, "ok, generation 1; policy.json.mode: wrong\n")


async def _get(stage: Stage, path: str, method: str = "GET") -> tuple[int, str]:
    async with httpx.AsyncClient() as client:
        answer = await client.request(method, f"http://127.0.0.1:{stage.port}{path}", json={})
    return answer.status_code, answer.text


@pytest.mark.asyncio
async def test_every_series_is_there_before_the_first_request(stage: Stage) -> None:
    _, text = await _get(stage, "/metrics")
    for name in (
        names.REQUESTS,
        names.WORK_TOKENS,
        names.SPEND_USD,
        names.FRONTIER_EQUIVALENT_USD,
        names.CONFIG_GENERATION,
        names.IN_FLIGHT,
        names.SMALL_SLOTS,
    ):
        assert f'{name}{{policy="test/chat"' in text, name


@pytest.mark.asyncio
async def test_draining_finishes_what_is_under_way_and_takes_nothing_new(tmp_path: Path) -> None:
    async with staged(tmp_path, small_scale=2.0) as stage:
        body = {"model": "m", "messages": [{"role": "user", "content": "[[out=30]]"}]}
        url = f"{stage.url}/chat/completions"
        async with httpx.AsyncClient(timeout=20) as client:
            under_way = asyncio.create_task(client.post(url, json={**body, "stream": True}))
            while not stage.proxy.capacity.in_flight:  # noqa: ASYNC110 - until it is under way
                await asyncio.sleep(0)
            drained = asyncio.create_task(stage.proxy.drain(20.0))
            answer = await under_way
        assert answer.text.endswith("data: [DONE]\n\n")
        assert await drained is True
        assert not any(connection.busy for connection in stage.proxy.connections)


@pytest.mark.asyncio
async def test_a_new_configuration_drops_no_request(tmp_path: Path) -> None:
    async with staged(tmp_path, small_scale=2.0) as stage:
        body = {"model": "m", "messages": [{"role": "user", "content": "[[out=30]]"}]}
        url = f"{stage.url}/chat/completions"
        async with httpx.AsyncClient(timeout=20) as client:
            under_way = asyncio.create_task(client.post(url, json={**body, "stream": True}))
            while not stage.proxy.capacity.in_flight:  # noqa: ASYNC110 - until it is under way
                await asyncio.sleep(0)
            stage.configure(generation=2, small={**stage.base["small"], "endpoints": []})
            after = await client.post(url, json=body)
            answer = await under_way
        assert answer.text.endswith("data: [DONE]\n\n")
        assert after.headers["x-overspill-reason"] == "NoEndpoints"
        assert stage.proxy.capacity.in_flight == 0
        assert stage.metric(names.CONFIG_GENERATION) == 2
