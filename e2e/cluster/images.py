"""Dockerfile builds through BuildKit, without a registry and without a Docker engine."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import build, command, context, dockerfile, paths, stock, teardown, versions
from e2e.cluster.cgroups import Tree
from e2e.cluster.errors import Failed, Unusable
from e2e.cluster.process import Process
from e2e.cluster.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_BUNDLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_PROXY")
_CA = "ca.crt"
_SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"


def build_image(name: str, file: Path, folder: Path) -> Path:
    """The image's archive, built unless its inputs are unchanged. Raises: Unusable, Failed."""
    text = file.read_text()
    ignores = context.ignore_file(file, folder)
    ignore_text = ignores.read_text() if ignores else ""
    home, digest, _ = stock.base()
    version = versions.module_set("buildkitd").version
    rules = context.rules(ignore_text)
    key = context.digest(folder, rules, text, ignore_text, digest, version)
    out = paths.images() / f"{name.replace('/', '_').replace(':', '_')}.tar"
    stamp = out.with_suffix(".key")
    if out.exists() and stamp.exists() and stamp.read_text() == key:
        return out
    stamp.unlink(missing_ok=True)
    with Progress(1).step(f"image {name}"), daemon() as socket:
        options = [f"--oci-layout=base={home}", f"--local=context={folder}"]
        options += [f"--opt=context:{base}=oci-layout://base@{digest}" for base in checked(text)]
        _solve(socket, name, text, ignore_text, options, out)
    stamp.write_text(key)
    return out


def checked(text: str) -> list[str]:
    """The names that the hand-made base stands in for. Raises: Unusable for any other image."""
    names = dockerfile.bases(text)
    python = stock.base()[2]
    for name in names:
        wanted = dockerfile.python_version(name)
        if wanted is None:
            raise Unusable(f"FROM {name}: without a registry only python:{python}-slim can be had")
        if wanted.split(".")[:2] != python.split(".")[:2]:
            sys.stderr.write(f"note: this system's Python {python} stands in for {name}\n")
    return names


def pip_settings(listing: str) -> dict[str, str]:
    """What `pip config list` says, in the words of pip's environment: `{"PIP_CERT": …}`.

    Lines are `global.index-url='…'`; the environment comes as `:env:.index-url` and wins.
    """
    found: dict[str, str] = {}
    lines = (line.partition("=") for line in listing.splitlines() if "=" in line)
    for key, _, value in sorted(lines, key=lambda line: line[0].startswith(":env:")):
        name = key.rpartition(".")[2].upper().replace("-", "_")
        found[f"PIP_{name}"] = value.strip().strip("'\"")
    return found


def secrets(pip: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """This machine's pip settings and CA bundle, by the variable that RUN shall see.

    Only what is set; a bundle's value is its path here.
    """
    found = {name: pip[name] for name in _PIP if pip.get(name)}
    candidates = (pip.get("PIP_CERT"), *(environ.get(name) for name in _BUNDLES), _SYSTEM_CA)
    bundle = next((path for path in candidates if path and Path(path).is_file()), None)
    return found | ({_CA: bundle} if bundle else {})


def _pip_config() -> str:
    try:
        return command.run([sys.executable, "-m", "pip", "config", "list"])
    except Failed:  # a Python without pip has no settings to lend
        return ""


def _mounts(names: Mapping[str, str]) -> list[str]:
    """Arguments of RUN's --mount=type=secret for these."""
    mounts = [f"id={name},env={name}" for name in names if name != _CA]
    if _CA in names:
        mounts.append(f"id={_CA},target=/run/secrets/{_CA}")
        mounts += [f"id={name},env={name}" for name in _BUNDLES]
    return mounts


def _solve(
    socket: str, name: str, text: str, ignore_text: str, options: list[str], out: Path
) -> None:
    seen = secrets(pip_settings(_pip_config()), os.environ)
    env = {f"RUN_{key}": value for key, value in seen.items() if key != _CA}
    words = ["buildctl", f"--addr={socket}", "build", "--progress=plain", *options]
    words += ["--frontend=dockerfile.v0", f"--output=type=oci,name={name},dest={out}.part"]
    words += [f"--secret=id={key.removeprefix('RUN_')},env={key}" for key in env]
    if _CA in seen:
        words.append(f"--secret=id={_CA},src={seen[_CA]}")
        for variable in _BUNDLES:
            env[f"RUN_{variable}"] = f"/run/secrets/{_CA}"
            words.append(f"--secret=id={variable},env=RUN_{variable}")
    for proxy in (spelling for upper in _PROXIES for spelling in (upper, upper.lower())):
        if os.environ.get(proxy):
            words.append(f"--opt=build-arg:{proxy}={os.environ[proxy]}")
    with tempfile.TemporaryDirectory() as scratch:
        changed = Path(scratch) / "Dockerfile"
        changed.write_text(dockerfile.with_secrets(text, _mounts(seen)))
        changed.with_name("Dockerfile.dockerignore").write_text(ignore_text)
        command.run([*words, f"--local=dockerfile={scratch}"], env=env)
    Path(f"{out}.part").replace(out)


@contextmanager
def daemon() -> Iterator[str]:
    """buildkitd while it is needed, one at a time; its layer cache stays.

    It runs outside of the cluster's namespace: RUN needs the package index.
    """
    home = paths.cache() / "buildkit"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        group = Tree("e2e-buildkit")
        group.make()
        socket = f"unix://{home}/buildkitd.sock"
        process = Process("buildkitd", home)
        process.stop()  # of an earlier run that was killed
        process.start(_daemon_words(home, socket, group.name))
        try:
            ready = ["buildctl", f"--addr={socket}", "debug", "workers"]
            command.wait("BuildKit", lambda: command.succeeds(ready), 30)
            yield socket
        finally:
            process.stop()
            group.kill()
            teardown.unmount(home)
            group.remove()


def _daemon_words(home: Path, socket: str, group: str) -> list[str]:
    config = home / "buildkitd.toml"
    config.write_text(
        f'[otel]\n  socketPath = "{home}/otel.sock"\n'
        f'[worker.oci]\n  defaultCgroupParent = "/{group}"\n'
    )
    runc = build.part(versions.module_set("runc"), "runc")
    return [
        str(build.part(versions.module_set("buildkitd"), "buildkitd")),
        f"--config={config}",
        f"--root={home}/root",
        f"--addr={socket}",
        "--oci-worker=true",
        "--containerd-worker=false",
        f"--oci-worker-binary={runc}",
        "--oci-worker-net=host",
        "--oci-worker-snapshotter=overlayfs",
    ]
