"""Certificates: renewed in time, trusted across a renewal, shared by replicas."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from overspill.controller.certificates import (
    CA_LIFE,
    SERVING_LIFE,
    Bundle,
    needs_renewal,
    renewed,
)
from overspill.controller.errors import Conflict, NotFound
from overspill.controller.webhook_tls import WebhookTLS, load, trust_patch
from tests.controller.test_admission import SETTINGS

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOSTS = ["overspill-webhook.overspill-system.svc", "127.0.0.1"]
DAY = timedelta(days=1)


def fresh() -> Bundle:
    return renewed(None, HOSTS, NOW)


def authorities(bundle: Bundle) -> int:
    return len(x509.load_pem_x509_certificates(bundle.ca_cert))


RENEWALS = [
    pytest.param(NOW, HOSTS, False, id="fresh"),
    pytest.param(NOW + SERVING_LIFE - 31 * DAY, HOSTS, False, id="31 days left"),
    pytest.param(NOW + SERVING_LIFE - 29 * DAY, HOSTS, True, id="29 days left"),
    pytest.param(NOW, HOSTS[:1], True, id="other names"),
    pytest.param(NOW - DAY, HOSTS, True, id="made by a clock that was ahead"),
]


@pytest.mark.parametrize(("now", "hosts", "due"), RENEWALS)
def test_a_certificate_is_renewed_when_due(now: datetime, hosts: list[str], due: bool) -> None:
    assert needs_renewal(fresh(), hosts, now) is due


def test_a_renewal_keeps_the_authority_while_it_lasts() -> None:
    first = fresh()
    second = renewed(first, HOSTS, NOW + 340 * DAY)
    assert second.ca_cert == first.ca_cert
    assert second.cert != first.cert


def test_a_new_authority_is_trusted_beside_the_old_one() -> None:
    first = fresh()
    second = renewed(first, HOSTS, NOW + CA_LIFE - 100 * DAY)
    third = renewed(second, HOSTS, NOW + 2 * CA_LIFE - 200 * DAY)
    assert second.ca_cert.endswith(first.ca_cert)
    assert [authorities(bundle) for bundle in (first, second, third)] == [1, 2, 2]


def test_an_authority_that_a_clock_ahead_has_made_is_made_anew() -> None:
    first = fresh()
    second = renewed(first, HOSTS, NOW - DAY)
    ca = x509.load_pem_x509_certificates(second.ca_cert)[0]
    assert ca.not_valid_before_utc <= NOW - DAY
    assert not needs_renewal(second, HOSTS, NOW - DAY)


def test_a_strict_client_trusts_what_is_served() -> None:
    bundle = fresh()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(server, bundle)
    client = ssl.create_default_context(cadata=bundle.ca_cert.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=HOSTS[0])
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near, far):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert near.version() == "TLSv1.3"


def test_a_bundle_comes_back_from_its_secret() -> None:
    bundle = fresh()
    assert Bundle.from_secret(bundle.to_secret()) == bundle


BROKEN = [
    pytest.param({}, id="empty"),
    pytest.param(dict.fromkeys(("ca.crt", "ca.key", "tls.crt", "tls.key"), "eA=="), id="garbage"),
]


def _mixed(**parts: bytes) -> dict[str, str]:
    return replace(fresh(), **parts).to_secret()


BROKEN += [
    pytest.param(_mixed(ca_key=b"x"), id="no key of the authority"),
    pytest.param(_mixed(key=b"x"), id="no key of the certificate"),
    pytest.param(_mixed(key=fresh().key), id="another's key"),
    pytest.param(_mixed(ca_key=fresh().ca_key), id="another authority's key"),
    pytest.param(_mixed(ca_cert=fresh().ca_cert), id="another authority"),
    pytest.param(_mixed(cert=fresh().ca_cert), id="a certificate for no name"),
]


@pytest.mark.parametrize("data", BROKEN)
def test_a_broken_secret_is_no_bundle(data: dict[str, str]) -> None:
    assert Bundle.from_secret(data) is None


def test_only_webhooks_that_do_not_trust_us_are_patched() -> None:
    webhooks = [{"clientConfig": {"caBundle": "new"}}, {"clientConfig": {}}]
    assert trust_patch({"webhooks": webhooks}, "new") == [
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "new"}
    ]


class FakeApi:
    """One Secret behind compare-and-swap."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.before_create: dict[str, Any] | None = None

    async def get(self, path: str) -> dict[str, Any]:
        if self.secret is None:
            raise NotFound(404, path)
        return self.secret

    async def create(self, path: str, body: dict[str, Any]) -> None:
        if self.before_create is not None:  # another replica was faster
            self.secret, self.before_create = self.before_create, None
        if self.secret is not None:
            raise Conflict(409, path)
        self.secret = body

    async def replace(self, path: str, body: dict[str, Any]) -> None:
        self.secret = body


def tls(api: FakeApi) -> WebhookTLS:
    return WebhookTLS(api, replace(SETTINGS, webhook_hosts=("127.0.0.1",)))  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_replicas_share_the_certificate_of_whoever_was_first() -> None:
    api = FakeApi()
    first, second = tls(api), tls(api)
    await first.prepare()
    stored = api.secret
    await second.prepare()
    assert api.secret is stored
    assert first.loaded
    assert second.loaded


@pytest.mark.asyncio
async def test_the_replica_that_loses_the_race_serves_with_the_winners() -> None:
    winner, loser = FakeApi(), FakeApi()
    await tls(winner).prepare()
    loser.before_create = winner.secret
    await tls(loser).prepare()
    assert loser.secret is winner.secret


@pytest.mark.asyncio
async def test_a_broken_secret_is_written_anew() -> None:
    api = FakeApi()
    api.secret = {"metadata": {"resourceVersion": "1"}, "data": {"tls.crt": "eA=="}}
    await tls(api).prepare()
    assert api.secret["metadata"] == {"resourceVersion": "1"}
    assert b"BEGIN CERTIFICATE" in base64.b64decode(api.secret["data"]["tls.crt"])


@pytest.mark.asyncio
async def test_a_check_that_fails_for_whatever_reason_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api, slept = FakeApi(), [0]
    keeper = tls(api)
    await keeper.prepare()

    async def sleep(_: float) -> None:
        slept[0] += 1
        if slept[0] == 2:
            raise asyncio.CancelledError

    async def broken(path: str) -> dict[str, Any]:
        raise KeyError(path)

    monkeypatch.setattr(api, "get", broken)
    monkeypatch.setattr("overspill.controller.webhook_tls.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await keeper.keep()
    assert slept == [2]
