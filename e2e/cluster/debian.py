"""Debian packages: those this machine needs, and those the base image is made of."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import command
from e2e.cluster.errors import Failed, Unusable

if TYPE_CHECKING:
    from collections.abc import Iterable

BUILD = ("gcc", "libc6-dev", "libseccomp-dev", "pkg-config")
RUN = ("iproute2", "nftables", "openssl", "util-linux", "mount", "kmod")
_APT = ("apt-get", "-qq", "-o", "APT::Install-Recommends=false", "-o", "APT::Sandbox::User=root")


def lacking(wanted: Iterable[str], dpkg_status: str) -> list[str]:
    """Packages of `wanted` not installed by `dpkg-query -W -f '${Package} ${db:Status-Abbrev}'`."""
    lines = (line.split() for line in dpkg_status.splitlines())
    installed = {words[0] for words in lines if len(words) > 1 and words[1] == "ii"}
    return [name for name in wanted if name not in installed]


def _apt(*words: str | Path) -> None:
    """apt-get, with fresh package lists on a second try."""
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        command.run([*_APT, *words], env=env)
    except Failed:
        command.run([*_APT, "update"], env=env)
        command.run([*_APT, *words], env=env)


def ensure(wanted: Iterable[str]) -> None:
    """Install what is missing. Raises: Unusable where that is not possible."""
    if not shutil.which("dpkg-query"):
        raise Unusable("not Debian or Ubuntu: use Docker with CLUSTER=kind")
    words = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n"]
    todo = lacking(wanted, command.run(words))
    if not todo:
        return
    if os.geteuid() != 0:
        raise Unusable(f"missing packages; run: sudo apt-get install {' '.join(todo)}")
    _apt("-y", "install", *todo)


def unpack(packages: Iterable[str], root: Path) -> None:
    """Unpack packages and all they depend on into a folder; no maintainer script runs.

    Raises: Failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        nothing = Path(scratch) / "status"  # as if nothing were installed: the whole closure
        nothing.touch()
        archives = Path(scratch) / "archives"
        (archives / "partial").mkdir(parents=True)
        options = ("-o", f"Dir::State::status={nothing}", "-o", f"Dir::Cache::archives={archives}")
        _apt("-y", "--download-only", *options, "install", *packages)
        for archive in sorted(archives.glob("*.deb")):
            script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"'
            command.run(["sh", "-ec", script, "sh", archive, root])
