"""`make bench-leases`: what the budget costs a request, and 500 sidecars at one operator.

The operator's own lease service answers over HTTP on loopback, in a process of its own; only the
API server behind it is a double, which takes 5 ms for each call. Requests come at random, and the
traffic of the middle third is four times the rest's.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from bench import debit, report
from bench.processes import Broken
from overspill.api.leases import AUDIENCE
from overspill.api.sidecar_config import LenderConfig
from overspill.budget.wallet import Wallet
from overspill.controller import counter
from overspill.controller.credentials import Credentials
from overspill.controller.errors import Conflict, NotFound
from overspill.controller.keys import POLICY_LABEL
from overspill.controller.lending import Lender
from overspill.controller.trials import Keeper
from overspill.sidecar.lender import RemoteLender, lease_names
from overspill.sidecar.purse import Purse

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api

SIDECARS, SECONDS, PER_S = 500, 60.0, 0.5
API_SERVER_S = 0.005
WORST, COST = 20_000, 9_000
"""Micro-dollars of one request: a worst case of two cents, of which nine tenths of one are used."""
LIMIT_USD = "50000"


@dataclass
class ApiServer:
    """A policy, its ledger, and everybody's token and pod."""

    policy: Manifest
    ledger: Manifest | None = None
    version: int = 0
    calls: dict[str, int] = field(default_factory=dict)

    def _count(self, what: str) -> None:
        self.calls[what] = self.calls.get(what, 0) + 1

    async def get(self, path: str, **_: str) -> Manifest:
        await asyncio.sleep(API_SERVER_S)
        self._count("reads")
        if "/pods/" in path:
            name = path.rpartition("/")[2]
            return {"metadata": {"uid": name, "labels": {"app": "a", POLICY_LABEL: "p"}}}
        found = self.ledger if "budgetledgers" in path else self.policy
        if found is None:
            raise NotFound(404, path)
        return deepcopy(found)

    async def create(self, path: str, body: Manifest) -> Manifest:
        if path.endswith("tokenreviews"):
            await asyncio.sleep(API_SERVER_S)
            self._count("token reviews")
            name = body["spec"]["token"]
            extra = {f"authentication.kubernetes.io/pod-{kind}": [name] for kind in ("name", "uid")}
            user = {"username": "system:serviceaccount:ns:sa", "extra": extra}
            return {"status": {"authenticated": True, "audiences": [AUDIENCE], "user": user}}
        return await self.replace(path, body)

    async def replace(self, _: str, body: Manifest) -> Manifest:
        await asyncio.sleep(API_SERVER_S)
        self._count("ledger writes")
        read = body["metadata"].get("resourceVersion")
        if self.ledger is not None and read != str(self.version):
            raise Conflict(409, "changed")
        self.version += 1
        self.ledger = {
            **body,
            "metadata": {**body["metadata"], "resourceVersion": str(self.version)},
        }
        return deepcopy(self.ledger)


def _operator(pipe: Connection) -> None:
    async def serve() -> None:
        spec = _policy()
        api = ApiServer(policy={"metadata": {"name": "p", "namespace": "ns"}, "spec": spec})
        app = web.Application()
        client = cast("Api", api)
        counter.serve(app, Credentials(client), Lender(client), Keeper(client))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server
        began_s = time.process_time()
        pipe.send(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
        await asyncio.to_thread(pipe.recv)
        used_s = time.process_time() - began_s
        size = len(str(api.ledger))
        pipe.send({"cpu_s": used_s, "ledger_bytes": size, **api.calls})
        await runner.cleanup()

    asyncio.run(serve())


def _policy() -> dict[str, Any]:
    return {
        "workload": {"selector": {"matchLabels": {"app": "a"}}},
        "small": {
            "scaleTargetRef": {"name": "s"},
            "service": {"name": "s", "port": 80},
            "model": "m",
            "replicas": {"max": 1},
            "replicaHourlyCost": "1",
            "capacity": {"outputTokensPerSecond": 1},
        },
        "frontier": [
            {
                "name": "f",
                "api": "OpenAI",
                "baseURL": "https://api.example.com",
                "model": "m",
                "credentials": {"secretName": "s"},
                "price": {"inputPerMTok": "5", "outputPerMTok": "25"},
            }
        ],
        "budget": {"limit": LIMIT_USD},
    }


@dataclass
class Counts:
    """What became of all requests."""

    requests: int = 0
    waited: int = 0
    waits_s: list[float] = field(default_factory=list)
    refused: int = 0


async def _sidecar(number: int, url: str, folder: Path, seconds: float, counts: Counts) -> None:
    chance = random.Random(number)
    place = folder / str(number)
    place.mkdir()
    (place / "token").write_text(f"pod-{number}")
    lender = RemoteLender(LenderConfig(url=url, ca_certificate=""), "ns/p", place)
    loop = asyncio.get_running_loop()
    purse = Purse(Wallet(str(number), lease_names(), loop.time()), lender)
    first = await purse.wait_for(WORST, float("inf"))  # it has a lease before its app starts
    if first is not None:
        purse.wallet.settle(first, WORST, 0)
    began_s, working = loop.time(), set[asyncio.Task[None]]()
    while (passed_s := loop.time() - began_s) < seconds:
        busy = 4 if seconds / 3 < passed_s < 2 * seconds / 3 else 1
        await asyncio.sleep(chance.expovariate(PER_S * busy))
        task = asyncio.create_task(_request(purse, chance, counts))
        working.add(task)
        task.add_done_callback(working.discard)
    await asyncio.gather(*working)
    await purse.close()
    lender.close()


async def _request(purse: Purse, chance: random.Random, counts: Counts) -> None:
    counts.requests += 1
    book = purse.debit(WORST)
    if book is None:
        counts.waited += 1
        began_s = time.perf_counter()
        book = await purse.wait_for(WORST, float("inf"))
        counts.waits_s.append(time.perf_counter() - began_s)
    if book is None:
        counts.refused += 1
        return
    await asyncio.sleep(chance.uniform(0.5, 4.0))
    purse.wallet.settle(book, WORST, COST)


async def _crowd(port: int, sidecars: int, seconds: float) -> Counts:
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{port}"
        everyone = [
            _sidecar(number, url, Path(folder), seconds, counts) for number in range(sidecars)
        ]
        await asyncio.gather(*everyone)
    return counts


def many(sidecars: int, seconds: float) -> dict[str, Any]:
    """Run sidecars against one operator; return what came of it. Raises: Broken."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_operator, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # else nobody would be told that the operator has ended
    try:
        counts = asyncio.run(_crowd(ours.recv(), sidecars, seconds))
        ours.send("done")
        operator = ours.recv()
    except (EOFError, BrokenPipeError):
        process.join()
        raise Broken(f"the operator ended with {process.exitcode}") from None
    process.join()
    return {
        "sidecars": sidecars,
        "seconds": seconds,
        "requests": counts.requests,
        "waited": counts.waited,
        "longest_wait_ms": round(1e3 * max(counts.waits_s, default=0.0), 1),
        "refused": counts.refused,
        "operator": operator,
    }


def main(words: list[str]) -> int:
    """Measure, print, write; 1 where an aim is missed."""
    parser = argparse.ArgumentParser(prog="make bench-leases", description=__doc__)
    parser.add_argument("--sidecars", type=int, default=SIDECARS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    args = parser.parse_args(words)
    paid_us = asyncio.run(debit.microseconds())
    try:
        median_us, crowd = statistics.median(paid_us), many(args.sidecars, args.seconds)
    except Broken as error:
        sys.stderr.write(f"bench-leases: {error}\n")
        return 1
    operator = crowd["operator"]
    rows = [
        ["figure", "value", "aim"],
        ["a request's share of the hot path", f"{median_us:.2f} µs", f"< {debit.AIM_US:g} µs"],
        ["requests", str(crowd["requests"]), ""],
        ["requests that waited", str(crowd["waited"]), "0"],
        ["longest wait", f"{crowd['longest_wait_ms']} ms", ""],
        ["ledger writes", str(operator.get("ledger writes")), ""],
        ["operator's CPU", f"{operator['cpu_s'] / args.seconds:.1%} of a core", ""],
        ["ledger", f"{operator['ledger_bytes'] / 1024:.0f} KiB", ""],
    ]
    report.write("leases", {"hot_path_us": paid_us, "crowd": crowd}, rows, packages=["overspill"])
    return int(median_us >= debit.AIM_US or crowd["waited"] > 0 or crowd["refused"] > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
