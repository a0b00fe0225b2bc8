"""Keeping the webhook's certificate: in one Secret for all replicas, and in the API server's trust.

Both replicas do the same thing and the API server's compare-and-swap decides whose certificate
counts; the other one reads it.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from overspill.controller import kube
from overspill.controller.certificates import Bundle, needs_renewal, renewed
from overspill.controller.errors import Conflict, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api
    from overspill.controller.settings import Settings

log = logging.getLogger(__name__)

SECRET: Final = "overspill-webhook-tls"
CHECK_EVERY_S: Final = 60.0
_RETRY_S: Final = 2.0
_KINDS: Final = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
_REGISTRATION: Final = "/apis/admissionregistration.k8s.io/v1"


class WebhookTLS:
    """Holds the TLS context that the HTTPS server serves with."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._api = api
        self._folder = f"/api/v1/namespaces/{settings.operator_namespace}/secrets"
        self._config_name = settings.webhook_config_name
        self._hosts = hosts(settings)
        self._loaded: Bundle | None = None

    @property
    def loaded(self) -> bool:
        """Whether there is a certificate to serve with."""
        return self._loaded is not None

    @property
    def ca_certificate(self) -> str:
        """PEM of who signed it; empty while there is none."""
        return self._loaded.ca_cert.decode() if self._loaded else ""

    async def prepare(self) -> None:
        """Return once there is a certificate to serve with."""
        while self._loaded is None:
            try:
                await self.refresh()
            except (Refused, Unavailable) as error:
                log.warning("no webhook certificate yet: %s", error)
                await asyncio.sleep(_RETRY_S)

    async def keep(self) -> None:
        """Check certificate and trust for ever."""
        while True:
            try:
                await self.refresh()
                await self.trust()
            except (Refused, Unavailable) as error:
                log.warning("the webhook's certificate was not checked: %s", error)
            except Exception:  # else nobody would renew it for as long as this process runs
                log.exception("the webhook's certificate was not checked")
            await asyncio.sleep(CHECK_EVERY_S)

    async def refresh(self) -> None:
        """Read, create or renew the Secret, and serve with what is in it."""
        bundle = await self._settle()
        if bundle != self._loaded:
            load(self.context, bundle)
            self._loaded = bundle
            log.info("serving webhooks with a certificate for %s", ", ".join(self._hosts))

    async def trust(self) -> None:
        """Write the CA into the webhook configurations, where it is not there already."""
        assert self._loaded is not None
        ca_bundle = base64.b64encode(self._loaded.ca_cert).decode()
        for kind in _KINDS:
            path = f"{_REGISTRATION}/{kind}/{self._config_name}"
            try:
                if operations := trust_patch(await self._api.get(path), ca_bundle):
                    await self._api.patch(path, operations, kube.JSON_PATCH)
                    log.info("%s %s trusts the webhook", kind, self._config_name)
            except NotFound:
                log.debug("%s %s is not installed", kind, self._config_name)

    async def _settle(self) -> Bundle:
        now = datetime.now(UTC)
        path = f"{self._folder}/{SECRET}"
        try:
            secret = await self._api.get(path)
        except NotFound:
            return await self._write(None, renewed(None, self._hosts, now))
        bundle = Bundle.from_secret(secret.get("data") or {})
        if bundle is not None and not needs_renewal(bundle, self._hosts, now):
            return bundle
        return await self._write(secret, renewed(bundle, self._hosts, now))

    async def _write(self, before: Manifest | None, bundle: Bundle) -> Bundle:
        """Compare and swap; whoever loses reads the winner's."""
        secret = secret_manifest(before, bundle)
        try:
            if before is None:
                await self._api.create(self._folder, secret)
            else:
                await self._api.replace(f"{self._folder}/{SECRET}", secret)
        except Conflict:
            return await self._settle()
        return bundle


def hosts(settings: Settings) -> list[str]:
    """Names the API server calls the webhook by."""
    service = f"{settings.webhook_service}.{settings.operator_namespace}.svc"
    return [service, f"{service}.cluster.local", *settings.webhook_hosts]


def secret_manifest(before: Manifest | None, bundle: Bundle) -> Manifest:
    """Return the Secret with this bundle; everything else about it stays."""
    fresh: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": SECRET, "labels": {"app.kubernetes.io/managed-by": "overspill"}},
    }
    return (before or fresh) | {"data": bundle.to_secret()}


def trust_patch(configuration: Manifest, ca_bundle: str) -> list[dict[str, Any]]:
    """Return the JSON patch that makes every webhook of a configuration trust this CA."""
    return [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": ca_bundle}
        for index, webhook in enumerate(configuration.get("webhooks") or ())
        if webhook["clientConfig"].get("caBundle") != ca_bundle
    ]


def load(context: ssl.SSLContext, bundle: Bundle) -> None:
    """Serve with this certificate from the next handshake on.

    Python's ssl reads files only; an anonymous one keeps the key off every disk.
    """
    descriptor = os.memfd_create("overspill-tls", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(bundle.cert + bundle.key)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
