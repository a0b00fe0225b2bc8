"""Certificates and kubeconfigs of a throw-away cluster, made by openssl."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2e.cluster import command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAYS = "3650"
MASTERS = "/O=system:masters"


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA in one folder."""

    home: Path

    def path(self, name: str) -> Path:
        """A file of the folder."""
        return self.home / name

    def make(self) -> None:
        """The CA itself and the key that signs service account tokens."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._key("ca")
        words: list[str | Path] = [
            "openssl",
            "req",
            "-x509",
            "-new",
            "-key",
            self.path("ca.key"),
            "-sha256",
        ]
        words += ["-days", DAYS, "-subj", "/CN=overspill-e2e", "-out", self.path("ca.crt")]
        command.run(words)
        command.run(["openssl", "genrsa", "-out", self.path("sa.key"), "2048"])

    def _key(self, name: str) -> None:
        words = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"]
        command.run([*words, "-out", self.path(f"{name}.key")])

    def issue(self, name: str, subject: str, names: Sequence[str] = ()) -> None:
        """A client certificate, or a serving one if it has `names` (`DNS:x`, `IP:x`)."""
        self._key(name)
        request = command.run(
            ["openssl", "req", "-new", "-key", self.path(f"{name}.key"), "-subj", subject]
        )
        extensions = self.path(f"{name}.ext")
        extensions.write_text(extension_file(names))
        words: list[str | Path] = [
            "openssl",
            "x509",
            "-req",
            "-sha256",
            "-days",
            DAYS,
            "-extfile",
            extensions,
        ]
        words += ["-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key")]
        words += ["-set_serial", f"0x{secrets.token_hex(8)}", "-out", self.path(f"{name}.crt")]
        command.run(words, stdin=request)

    def kubeconfig(self, name: str, subject: str, server: str) -> None:
        """A certificate and a kubeconfig, NAME.kubeconfig, for one component or user."""
        self.issue(name, subject)
        self.path(f"{name}.kubeconfig").write_text(kubeconfig(self.home, name, server))


def extension_file(names: Sequence[str]) -> str:
    """What the certificate may be used for."""
    usage = "serverAuth" if names else "clientAuth"
    lines = ["basicConstraints=CA:FALSE", "keyUsage=digitalSignature,keyEncipherment"]
    lines.append(f"extendedKeyUsage={usage}")
    if names:
        lines.append(f"subjectAltName={','.join(names)}")
    return "\n".join(lines) + "\n"


def kubeconfig(home: Path, name: str, server: str) -> str:
    """A kubeconfig that names the certificate files (JSON is YAML)."""
    cluster = {"server": server, "certificate-authority": str(home / "ca.crt")}
    keys = ("client-certificate", f"{name}.crt"), ("client-key", f"{name}.key")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "overspill", "cluster": cluster}],
        "users": [{"name": name, "user": {key: str(home / file) for key, file in keys}}],
        "contexts": [{"name": "overspill", "context": {"cluster": "overspill", "user": name}}],
        "current-context": "overspill",
    }
    return json.dumps(config, indent=2) + "\n"
