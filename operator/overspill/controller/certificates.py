"""The webhook's own certificates: a CA nobody else trusts, and a serving certificate under it.

Pure but for the keys it draws: time is an argument.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CA_LIFE: Final = timedelta(days=3650)
SERVING_LIFE: Final = timedelta(days=365)
RENEW_LEFT: Final = timedelta(days=30)
_SKEW: Final = timedelta(minutes=5)
_FILES: Final = {"ca_cert": "ca.crt", "ca_key": "ca.key", "cert": "tls.crt", "key": "tls.key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """CA and serving certificate, each with its key, as PEM. `ca_cert` may hold an older CA too."""

    ca_cert: bytes
    ca_key: bytes
    cert: bytes
    key: bytes

    def to_secret(self) -> dict[str, str]:
        """Return the `data` of a Secret."""
        values = {file: getattr(self, field) for field, file in _FILES.items()}
        return {file: base64.b64encode(pem).decode() for file, pem in values.items()}

    @classmethod
    def from_secret(cls, data: Mapping[str, str]) -> Bundle | None:
        """Read it back; None where something is missing, or does not belong together."""
        try:
            bundle = cls(**{f: base64.b64decode(data[file]) for f, file in _FILES.items()})
            _check(bundle)
        except (KeyError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return None
        return bundle


def _check(bundle: Bundle) -> None:
    """Look whether it can be served and renewed. Raises: what `from_secret` catches."""
    ca = x509.load_pem_x509_certificates(bundle.ca_cert)[0]
    cert = x509.load_pem_x509_certificate(bundle.cert)
    cert.verify_directly_issued_by(ca)
    _names_in(cert)
    for one, key in ((ca, bundle.ca_key), (cert, bundle.key)):
        if one.public_key() != _load_key(key).public_key():
            raise ValueError("a key belongs to another certificate")


def needs_renewal(bundle: Bundle, hosts: Sequence[str], now: datetime) -> bool:
    """Whether less than `RENEW_LEFT` is left, or the certificate is for other names.

    One that is not valid yet was made by a clock that was ahead: nobody would trust it for so long.
    """
    cert = x509.load_pem_x509_certificate(bundle.cert)
    if cert.not_valid_before_utc > now:
        return True
    return cert.not_valid_after_utc - now < RENEW_LEFT or _names_in(cert) != set(hosts)


def renewed(bundle: Bundle | None, hosts: Sequence[str], now: datetime) -> Bundle:
    """Return a bundle that is good for a while.

    The CA stays as long as it outlives the new certificate, so that callers notice nothing. A new
    CA is put before the old one, and both are trusted while replicas still serve under the old.
    """
    if bundle is not None:
        ca = x509.load_pem_x509_certificates(bundle.ca_cert)[0]
        if ca.not_valid_before_utc <= now and ca.not_valid_after_utc - now > SERVING_LIFE:
            return _serve(bundle.ca_cert, _load_key(bundle.ca_key), ca, hosts, now)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key, now)
    older = b"" if bundle is None else _first_pem(bundle.ca_cert)
    return _serve(_pem(ca) + older, ca_key, ca, hosts, now)


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name("overspill webhook CA")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _draft(name, name, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _serve(
    ca_cert: bytes,
    ca_key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    hosts: Sequence[str],
    now: datetime,
) -> Bundle:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    cert = (
        _draft(_name("overspill webhook"), ca.subject, key.public_key(), now, SERVING_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alt(h) for h in hosts]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Bundle(ca_cert=ca_cert, ca_key=_key_pem(ca_key), cert=_pem(cert), key=_key_pem(key))


def _draft(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _SKEW)
        .not_valid_after(now.astimezone(UTC) + life)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alt(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _names_in(cert: x509.Certificate) -> set[str]:
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def _pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)


def _first_pem(pem: bytes) -> bytes:
    return _pem(x509.load_pem_x509_certificates(pem)[0])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not a key that any operator made")
    return key
