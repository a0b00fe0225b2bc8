"""The operator as a lender: over HTTPS, by a certificate of its own and a token that is renewed."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from overspill.api.leases import LeaseRequest
from overspill.api.policy import Budget
from overspill.api.sidecar_config import LenderConfig
from overspill.budget.lease import Grant, Report
from overspill.sidecar import link as link_module
from overspill.sidecar.lender import LocalLender, RemoteLender
from overspill.sidecar.link import NotAnswered
from tests.clock import play
from tests.sidecar.test_tls import LOCALHOST, certificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

REPORT = Report(lease="a-1", pod="", seq=2, spent_usd_micros=3, keep_usd_micros=5)
NOON_S = 1_780_000_000.0


@dataclass
class Operator:
    """Answers each request with these words, and remembers it."""

    status: int = 200
    answer: bytes = b'{"grants":[{"lease":"a-1","seq":2,"ceilingUsdMicros":9,"lifeSeconds":60}]}'
    heads: list[str] = field(default_factory=list)
    bodies: list[LeaseRequest] = field(default_factory=list)
    silent: int = 0
    """So many requests are read and never answered, as by a pod that has vanished."""
    dropped: int = 0
    """After those, so many connections are closed in the middle."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        self.bodies.append(LeaseRequest.model_validate_json(await reader.readexactly(size)))
        if len(self.bodies) <= self.silent:
            await reader.read()
            writer.close()
            return
        if len(self.bodies) <= self.silent + self.dropped:
            writer.close()
            return
        told = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(self.answer)}\r\n\r\n"
        writer.write(told.encode() + self.answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def lent(
    folder: Path, operator: Operator, *, own_ca: bool = True
) -> AsyncIterator[RemoteLender]:
    """A lender's client, and an operator with a certificate for `localhost`."""
    ca = certificate(folder, "ca", LOCALHOST, None)
    other = certificate(folder, "other", LOCALHOST, None)
    certificate(folder, "operator", LOCALHOST, ca)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "operator.pem")
    server = await asyncio.start_server(operator.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trusted = (ca if own_ca else other)[0].public_bytes(serialization.Encoding.PEM).decode()
    config = LenderConfig.model_validate(
        {"url": f"https://localhost:{port}", "caCertificate": trusted}
    )
    (folder / "token").write_text("first\n")
    lender = RemoteLender(config, "team/chat", folder)
    try:
        yield lender
    finally:
        lender.close()
        server.close()


def test_reports_go_out_and_grants_come_back(tmp_path: Path) -> None:
    async def story() -> None:
        operator = Operator()
        async with lent(tmp_path, operator) as lender:
            (grant,) = await lender((REPORT,))
            assert grant == Grant(lease="a-1", seq=2, ceiling_usd_micros=9, life_s=60.0)
            assert operator.heads[0].startswith("POST /v1/leases HTTP/1.1\r\n")
            (asked,) = operator.bodies
            assert (asked.policy, asked.reports[0].keep_usd_micros) == ("team/chat", 5)
            assert asked.reports[0].want_usd_micros is None

    play(story())


def test_the_token_is_read_anew_each_time(tmp_path: Path) -> None:
    async def story() -> None:
        operator = Operator()
        async with lent(tmp_path, operator) as lender:
            await lender((REPORT,))
            (tmp_path / "token").write_text("second")
            await lender((REPORT,))
        told = [head.partition("Bearer ")[2].partition("\r\n")[0] for head in operator.heads]
        assert told == ["first", "second"]

    play(story())


@pytest.mark.parametrize(("silent", "dropped"), [(1, 0), (0, 1), (1, 1), (2, 0), (0, 2)])
def test_where_a_replica_has_vanished_another_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: int, dropped: int
) -> None:
    monkeypatch.setattr(link_module, "ASK_AGAIN_S", (0.01, 0.01))

    async def story() -> None:
        operator = Operator(silent=silent, dropped=dropped)
        async with lent(tmp_path, operator) as lender:
            (grant,) = await lender((REPORT,))
            assert grant.ceiling_usd_micros == 9
            assert {body.reports[0].seq for body in operator.bodies} == {2}

    play(story())


def test_an_answer_that_says_no_is_not_asked_for_again(tmp_path: Path) -> None:
    async def story() -> None:
        operator = Operator(status=403, answer=b'{"error": "not your policy"}')
        async with lent(tmp_path, operator) as lender:
            with pytest.raises(NotAnswered, match="403, not your policy"):
                await lender((REPORT,))
            assert len(operator.bodies) == 1

    play(story())


def test_no_token_goes_to_a_stranger(tmp_path: Path) -> None:
    async def story() -> None:
        operator = Operator()
        async with lent(tmp_path, operator, own_ca=False) as lender:
            with pytest.raises(NotAnswered, match="TLS"):
                await lender((REPORT,))
            assert operator.heads == []

    play(story())


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (503, json.dumps({"error": "the API server is away"}).encode(), "503, the API server"),
        (502, b"<html>", "502, <html>"),
        (200, b"{}", "grants"),
        (200, b"[", "leases"),
    ],
)
def test_any_other_answer_is_an_error_that_says_why(
    tmp_path: Path, status: int, answer: bytes, said: str
) -> None:
    async def story() -> None:
        async with lent(tmp_path, Operator(status, answer)) as lender:
            with pytest.raises(NotAnswered, match=said):
                await lender((REPORT,))

    play(story())


@pytest.mark.parametrize("token", [None, "", "two\nlines", "gr\u00fcn"])
def test_a_token_that_is_none_is_not_sent(tmp_path: Path, token: str | None) -> None:
    async def story() -> None:
        operator = Operator()
        async with lent(tmp_path, operator) as lender:
            (tmp_path / "token").unlink()
            if token is not None:
                (tmp_path / "token").write_text(token)
            with pytest.raises(NotAnswered, match="token"):
                await lender((REPORT,))
            assert operator.heads == []

    play(story())


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        config = LenderConfig.model_validate({"url": "https://x", "caCertificate": "none"})
        with pytest.raises(ValueError, match="caCertificate"):
            RemoteLender(config, "team/chat", tmp_path)

    play(story())


def test_a_sidecar_alone_lends_to_itself_no_more_than_the_budget() -> None:
    async def story() -> None:
        lender = LocalLender(Budget.model_validate({"limit": "0.001"}), lambda: NOON_S)
        ask = Report(
            lease="a-1",
            pod="",
            seq=1,
            spent_usd_micros=0,
            keep_usd_micros=0,
            need_usd_micros=1000,
        )
        (grant,) = await lender((ask,))
        assert grant.ceiling_usd_micros == 1000
        (more,) = await lender((replace(ask, lease="b-1", need_usd_micros=1),))
        assert more.ceiling_usd_micros == 0

    play(story())
