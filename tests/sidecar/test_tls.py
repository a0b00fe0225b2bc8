"""A provider is who its certificate says, or it sees neither key nor request."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Script, client, faulty, post
from tests.sidecar.replies import Wire
from tests.sidecar.scene import asking, frontier
from tests.sidecar.stage import staged

if TYPE_CHECKING:
    from pathlib import Path

GOOD = replies.good_whole(Wire.OPENAI)
OTHER = replies.good_whole(Wire.OPENAI, "other")


def certificate(
    folder: Path,
    name: str,
    alt: x509.GeneralName,
    issuer: tuple[Any, Any] | None,
    *,
    days: int = 30,
) -> tuple[Any, Any]:
    """Make one and write it as NAME.pem, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([alt]), critical=False)
    )
    if issuer is not None:
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key())
        builder = builder.add_extension(known, critical=False)
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(ski, critical=False)
    made = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / f"{name}.pem").write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return made, key


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
LOCALHOST = x509.DNSName("localhost")


@pytest.mark.parametrize("patient", [False, True], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize(
    ("kind", "host", "trusted"),
    [
        ("right", "localhost", True),
        ("address", "127.0.0.1", True),
        ("right", "127.0.0.1", False),
        ("elsewhere", "localhost", False),
        ("self-signed", "localhost", False),
        ("expired", "localhost", False),
    ],
)
def test_a_provider_must_prove_who_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    host: str,
    trusted: bool,
    patient: bool,
) -> None:
    ca = certificate(tmp_path, "ca", x509.DNSName("ca"), None)
    certificate(tmp_path, "right", LOCALHOST, ca)
    certificate(tmp_path, "address", LOOPBACK, ca)
    certificate(tmp_path, "elsewhere", x509.DNSName("elsewhere.example"), ca)
    certificate(tmp_path, "expired", LOCALHOST, ca, days=-1)
    certificate(tmp_path, "self-signed", LOCALHOST, None)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(GOOD)
        await writer.drain()
        writer.close()

    async def story() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / f"{kind}.pem")
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with server, staged(tmp_path) as stage, faulty(Script(says=(OTHER,))) as other:
            secure = frontier("secure", Wire.OPENAI, "x")
            providers = [
                {**secure, "baseURL": f"https://{host}:{port}"},
                frontier("other", Wire.OPENAI, other.address),
            ]
            stage.configure(frontier=providers)
            async with client(stage.port) as app:
                headers = [("x-priority", "high")]
                await app.say(post("/v1/chat/completions", asking(stream=False), headers))
                got = await app.answer()
            assert got.status == 200
            assert (b"other" not in got.body) is trusted
            assert bool(heard) is trusted  # no key to a stranger
            if not trusted:
                rendered = stage.proxy.metrics.render().decode()
                assert 'provider="secure",kind="tls"} 1.0' in rendered

    play(story(), patient=patient)
