"""`overspill operator`: run the Kubernetes operator. Every flag has an OVERSPILL_* variable."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from overspill.controller import logs
from overspill.controller.settings import Settings, SidecarSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HELP: Final = "Run the Kubernetes operator. Every flag can be given as OVERSPILL_<FLAG> too."

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_DEFAULT_RESOURCES: Final = (
    '{"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}'
)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0; give seconds, such as 15")
    return value


def _window(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is none; give whole seconds, such as 60")
    return int(text)


def _port(text: str) -> int:
    from overspill.api.address import LAST_PORT  # noqa: PLC0415 - `--help` stays quick

    if not text.isdecimal() or not 1 <= int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port; give 1 to {LAST_PORT}")
    return int(text)


def _level(text: str) -> str:
    if text.upper() not in _LEVELS:
        raise argparse.ArgumentTypeError(f"{text} is none; give one of {', '.join(_LEVELS)}")
    return text.upper()


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'{text} is no JSON object; give {{"NAME": …}}')
    return value


_FLAGS: Final[tuple[tuple[str, Callable[[str], Any], str | None, str], ...]] = (
    ("prometheus-url", str, "http://prometheus-operated.monitoring.svc:9090", "where to ask"),
    ("interval", _positive, "15", "seconds between two looks at a policy"),
    ("metrics-window", _window, "60", "seconds that rates are taken over"),
    (
        "stale-after",
        _positive,
        "30",
        "seconds after which a sample says nothing any more: two scrapes",
    ),
    ("sidecar-image", str, None, "image of the injected container; required"),
    ("sidecar-image-pull-policy", str, "", "pull policy of the injected container"),
    ("sidecar-resources", _object, _DEFAULT_RESOURCES, "its resources, as JSON"),
    ("sidecar-env", _object, "{}", "its environment, as a JSON object of strings"),
    ("operator-namespace", str, "", "where Lease and Secret live; the pod's own by default"),
    ("identity", str, "", "this candidate's name; the pod's by default"),
    ("lease-name", str, "overspill-operator", "name of the Lease"),
    ("webhook-port", _port, "9443", "HTTPS port of the admission webhooks"),
    ("http-port", _port, "8080", "HTTP port of /healthz, /readyz and /metrics"),
    ("webhook-config-name", str, "overspill", "name of both webhook configurations"),
    ("webhook-service", str, "overspill-webhook", "name of the Service in front of the webhooks"),
    ("log-level", _level, "INFO", "DEBUG, INFO, WARNING or ERROR"),
)
_LISTS: Final = (
    ("namespace", "serve this namespace only; may be repeated"),
    ("webhook-host", "another name or address in the certificate; may be repeated"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags; the environment gives their defaults."""
    for flag, kind, default, text in _FLAGS:
        value = os.environ.get(_variable(flag)) or default
        parser.add_argument(
            f"--{flag}",
            type=kind,
            default=value,
            required=value is None,
            help=f"{text} [{_variable(flag)}]",
        )
    for flag, text in _LISTS:
        given = [part for part in os.environ.get(_variable(flag), "").split(",") if part]
        parser.add_argument(
            f"--{flag}", action="append", default=given, help=f"{text} [{_variable(flag)}]"
        )
    elect = os.environ.get(_variable("leader-elect"), "true").lower() not in {"false", "0", "no"}
    parser.add_argument(
        "--leader-elect",
        action=argparse.BooleanOptionalAction,
        default=elect,
        help="lead by a Lease; without it there must be one replica [OVERSPILL_LEADER_ELECT]",
    )
    lend = os.environ.get(_variable("lend"), "true").lower() not in {"false", "0", "no"}
    parser.add_argument(
        "--lend",
        action=argparse.BooleanOptionalAction,
        default=lend,
        help="let sidecars pay from leases; else a budget follows what was metered, and may be "
        "passed [OVERSPILL_LEND]",
    )


def run(args: argparse.Namespace) -> int:
    """Run until a signal arrives; 1 where the Lease was lost, 2 where no cluster is named."""
    from overspill.controller.errors import NoCluster  # noqa: PLC0415
    from overspill.controller.process import serve  # noqa: PLC0415 - `--help` stays quick

    logs.configure(args.log_level)
    try:
        return asyncio.run(serve(settings_of(args, os.environ)))
    except NoCluster as error:
        sys.stderr.write(f"overspill operator: {error}\n")
        return 2


def settings_of(args: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """Turn parsed flags into settings."""
    name = args.identity or environ.get("POD_NAME") or platform.node()
    return Settings(
        prometheus_url=args.prometheus_url,
        sidecar=SidecarSettings(
            image=args.sidecar_image,
            image_pull_policy=args.sidecar_image_pull_policy or None,
            resources=args.sidecar_resources,
            env=args.sidecar_env,
        ),
        operator_namespace=args.operator_namespace or _own_namespace(environ),
        identity=f"{name}_{secrets.token_hex(4)}",  # a restarted container is another candidate
        interval_s=args.interval,
        metrics_window_s=args.metrics_window,
        stale_after_s=args.stale_after,
        namespaces=tuple(args.namespace),
        lease_name=args.lease_name,
        leader_elect=args.leader_elect,
        lend=args.lend,
        http_port=args.http_port,
        webhook_port=args.webhook_port,
        webhook_config_name=args.webhook_config_name,
        webhook_service=args.webhook_service,
        webhook_hosts=tuple(args.webhook_host),
    )


def _variable(flag: str) -> str:
    return f"OVERSPILL_{flag.upper().replace('-', '_')}"


def _own_namespace(environ: Mapping[str, str]) -> str:
    if named := environ.get("POD_NAMESPACE"):
        return named
    if _NAMESPACE_FILE.exists():
        return _NAMESPACE_FILE.read_text().strip()
    return "overspill-system"
