"""`overspill sidecar`: in a pod with `--config`, or alone with `--policy`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop
from pydantic import ValidationError

from overspill.api.address import LAST_PORT
from overspill.api.errors import InvalidPolicy, sentences
from overspill.api.policy import OnExhausted
from overspill.api.policy_file import read_policy
from overspill.api.sidecar_config import (
    CREDENTIALS_DIR,
    BudgetConfig,
    SidecarConfig,
    sidecar_config_of,
)
from overspill.sidecar import memory
from overspill.sidecar.access_log import access_log
from overspill.sidecar.config_file import ConfigFile
from overspill.sidecar.http import Connection
from overspill.sidecar.lender import LocalLender
from overspill.sidecar.proxy import Admin, Proxy

if TYPE_CHECKING:
    import argparse

    from overspill.api.policy import Budget, RoutingPolicySpec
    from overspill.api.policy_file import PolicyFile
    from overspill.sidecar.tracing import Tracer

HELP: Final = "Route an app's model calls: small tier, else frontier. In a pod, or alone."
LOOK_EVERY_S: Final = 0.2
BACKLOG: Final = 4096
"""Connections that wait to be accepted. With asyncio's 100, a burst of new ones costs some of them
the second after which a lost SYN is sent again."""
NAME_SERVICE: Final = "timeout:1 attempts:4"
"""What glibc is told of the name service, unless RES_OPTIONS says otherwise: where a packet is lost
it asks again after a second. By itself it waits five, and by then the connection was given up."""
ENV: Final = "OVERSPILL_SIDECAR_"
TRACING_SWITCHES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
log = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments; each has an environment variable, OVERSPILL_SIDECAR_NAME."""

    def env(name: str, default: str | None) -> str | None:
        return os.environ.get(ENV + name, default)

    source = parser.add_mutually_exclusive_group(required=not env("CONFIG", None))
    source.add_argument("--config", default=env("CONFIG", None), help="the mounted policy.json")
    source.add_argument("--policy", help="a RoutingPolicy file: run alone, without a cluster")
    parser.add_argument(
        "--small", default="", help="with --policy: URLs of the small tier, by comma"
    )
    parser.add_argument(
        "--frontier", help="with --policy: base URL instead of the first provider's"
    )
    parser.add_argument(
        "--frontier-key-env", help="with --policy: variable with that provider's key"
    )
    parser.add_argument(
        "--score", help="with --policy: the score of routing.complexity, as evaluate --write has it"
    )
    parser.add_argument(
        "--listen",
        default=env("LISTEN", "127.0.0.1:4000"),
        help="where the app sends its calls; 127.0.0.1:4000",
    )
    parser.add_argument(
        "--admin-listen",
        default=env("ADMIN_LISTEN", None),
        help="health and metrics; alone 127.0.0.1:4001, in a pod 0.0.0.0:4001, for the kubelet and "
        "Prometheus",
    )
    parser.add_argument(
        "--access-log",
        action="store_true",
        default=env("ACCESS_LOG", "") not in ("", "0", "false"),
        help="one JSON line a request on standard output: decision, tokens, cost, times",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=env("GRACE", None) or "30",
        help="seconds that open requests have to end after SIGTERM; 30",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM; drain; return 0, or 1 where the grace period was too short.

    Also 1 where the configuration could no longer be watched.
    """
    if not args.admin_listen:
        args.admin_listen = "127.0.0.1:4001" if args.policy else "0.0.0.0:4001"
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ.setdefault("RES_OPTIONS", NAME_SERVICE)
    try:
        if not args.policy:  # in a pod nothing is written: the root file system is read-only
            return uvloop.run(_serve(args, None, Path()))
        file = read_policy(Path(args.policy))
        with tempfile.TemporaryDirectory(prefix="overspill-") as keys:
            config = _alone(args, file, Path(keys))
            return uvloop.run(_serve(args, config, Path(keys), file.spec.budget))
    except ValidationError as error:
        sys.stderr.write(
            f"overspill sidecar: --small, --frontier: {'; '.join(sentences(error, 'small'))}\n"
        )
        return 2
    except (InvalidPolicy, OSError, ValueError) as error:
        sys.stderr.write(f"overspill sidecar: {error}\n")
        return 2


async def _serve(
    args: argparse.Namespace,
    alone: SidecarConfig | None,
    keys: Path,
    budget: Budget | None = None,
) -> int:
    proxy = Proxy()
    if budget is not None:
        proxy.money.local_lender = LocalLender(budget)
    proxy.tracer = _tracer()
    if args.access_log:
        proxy.access_log = access_log(sys.stdout)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    admin = Admin(proxy)
    main = await loop.create_server(
        lambda: Connection(proxy), *_address(args.listen), backlog=BACKLOG
    )
    side = await loop.create_server(lambda: Connection(admin), *_address(args.admin_listen))
    watching = None
    if alone:
        proxy.configure(alone, keys)
        _greet(args, alone, budget)
    else:
        watching = asyncio.create_task(watch(proxy, Path(args.config)))
    memory.settle()
    told = await until_told(stop, watching)
    main.close()
    drained = await proxy.drain(args.grace)
    await proxy.give_back()
    side.close()
    proxy.pool.close()
    if proxy.tracer:
        await asyncio.to_thread(proxy.tracer.close)
    log.info(json.dumps({"event": "stopped", "drained": drained}))
    return 0 if drained and told else 1


async def until_told(stop: asyncio.Event, watching: asyncio.Task[None] | None) -> bool:
    """Wait for a signal; return False where the watch ended instead, which has no end.

    A sidecar that would never see another configuration leaves, so that a fresh one is started.
    """
    if watching is None:
        return await stop.wait()
    signalled = asyncio.create_task(stop.wait())
    await asyncio.wait((signalled, watching), return_when=asyncio.FIRST_COMPLETED)
    if watching.done():
        signalled.cancel()
        told = {"event": "the configuration is no longer watched"}
        log.error(json.dumps(told), exc_info=watching.exception())
        return False
    watching.cancel()
    return True


def _tracer() -> Tracer | None:
    """Return a tracer where the environment asks for one. Raises: ValueError saying the remedy."""
    if not any(os.environ.get(name) for name in TRACING_SWITCHES):
        return None
    try:
        from overspill.sidecar.tracing import Tracer  # noqa: PLC0415 - an extra, and 20 MiB
    except ImportError:
        raise ValueError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set and OpenTelemetry is not installed; "
            "install it with: pip install 'overspill[otel]'"
        ) from None
    return Tracer()


async def watch(proxy: Proxy, path: Path) -> None:
    """Look at the file for ever, and use what it says."""
    file = ConfigFile(path, lambda config: proxy.configure(config, path.parent))
    while True:
        file.look()
        proxy.problem = file.problem
        await asyncio.sleep(LOOK_EVERY_S)


def _address(text: str) -> tuple[str, int]:
    """Without a host it would be every interface; of a port too high, uvloop takes a remainder."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > LAST_PORT:
        raise ValueError(f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:4000")
    return host.strip("[]"), int(port)


def _alone(args: argparse.Namespace, file: PolicyFile, keys: Path) -> SidecarConfig:
    """Make the configuration that the operator would publish. Raises: OSError."""
    policy = file.spec
    endpoints = tuple(url.partition("://")[2] or url for url in args.small.split(",") if url)
    _write_keys(args, policy, keys)
    return sidecar_config_of(
        _elsewhere(policy, args.frontier),
        policy=f"local/{file.name}",
        generation=1,
        endpoints=tuple(endpoint.rstrip("/") for endpoint in endpoints),
        slots_per_endpoint=policy.small.capacity.max_concurrency,
        budget=BudgetConfig(
            on_exhausted=policy.budget.on_exhausted if policy.budget else OnExhausted.SMALL_ONLY
        ),
        score=_score(args, policy),
    )


def _elsewhere(policy: RoutingPolicySpec, base_url: str | None) -> RoutingPolicySpec:
    """Let the first provider be found at this URL, where one is given."""
    if not base_url:
        return policy
    first, *others = policy.frontier
    moved = first.model_copy(update={"base_url": base_url})
    return policy.model_copy(update={"frontier": (moved, *others)})


def _score(args: argparse.Namespace, policy: RoutingPolicySpec) -> str | None:
    """Raises: OSError, ValueError."""
    told = policy.routing.complexity
    if told is None:
        return None
    if told.score is not None and not args.score:
        raise ValueError(
            f"the policy's score is in ConfigMap {told.score.config_map_name}, which a sidecar "
            "alone cannot read; give --score FILE"
        )
    return Path(args.score).read_text() if args.score else None


def _write_keys(args: argparse.Namespace, policy: RoutingPolicySpec, keys: Path) -> None:
    """Put keys from the environment where a Secret would be mounted, for us alone to read."""
    folder = keys / CREDENTIALS_DIR
    folder.mkdir(mode=0o700)
    for provider in (one.name for one in policy.providers):
        variable = f"OVERSPILL_KEY_{provider.upper().replace('-', '_')}"
        if provider == policy.frontier[0].name and args.frontier_key_env:
            variable = args.frontier_key_env
        if key := os.environ.get(variable):
            (folder / provider).write_text(key)
        else:
            sys.stderr.write(f"overspill sidecar: {variable} is not set: {provider} is not used\n")


def _greet(args: argparse.Namespace, config: SidecarConfig, budget: Budget | None) -> None:
    host, port = _address(args.admin_listen)
    shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
    small = ", ".join(config.small.endpoints) or "none: everything goes to the frontier"
    paid = (*config.hosted, *config.frontier)
    careful = config.complexity and config.complexity.plan and config.complexity.plan.careful
    frontier = ", ".join(f"{one.name} ({one.api}, {one.base_url})" for one in paid)
    sys.stderr.write(
        f"overspill sidecar for {config.policy}\n"
        f"  small     {small}\n"
        f"  frontier  {frontier}\n"
        f"  budget    {_budget(budget)}\n"
        f"{_CAREFUL if careful else ''}"
        f"  metrics   http://{shown}:{port}/metrics\n"
        f"  in your app's shell:  export OPENAI_BASE_URL=http://{args.listen}/v1\n"
    )


_CAREFUL: Final = (
    "  quality   the floor is proven by trials, which only an operator counts: "
    "all goes to the frontier\n"
)


def _budget(budget: Budget | None) -> str:
    if budget is None:
        return "none: the frontier may cost what it will"
    kept = "kept in memory: a restart begins it anew"
    return f"{budget.limit} USD a {budget.period.lower()} ({budget.time_zone}); {kept}"
