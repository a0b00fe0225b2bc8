"""Images that no Dockerfile makes: pause, Prometheus, and what `FROM python:3.11-slim` gets."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import build, command, debian, oci, paths, versions
from e2e.cluster.config import PAUSE
from e2e.cluster.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROMETHEUS = "overspill.test/prometheus:e2e"
BASE_EDITION = "4"  # raise it with any change to what the base image holds
PACKAGES = (
    "base-files base-passwd bash ca-certificates coreutils dash findutils grep gzip libc-bin"
    " libstdc++6 netbase passwd python3 python3-venv sed tar tzdata"
)
_UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache")


def _archive(name: str, key: str, make: Callable[[Path], Mapping[str, object]]) -> Path:
    """The archive of a stock image; `make` fills the root folder and returns the config."""
    out = paths.images() / f"{name.replace('/', '_').replace(':', '_')}-{key}.tar"
    if out.exists():
        return out
    paths.images().mkdir(parents=True, exist_ok=True)
    step = Progress(1).step(f"image {name}")
    with step, tempfile.TemporaryDirectory(dir=paths.images()) as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        root.chmod(0o755)
        config = make(root)
        packed = oci.layer(Path(scratch) / "layer.tar", {".": root})
        oci.layout(Path(scratch) / "layout", name, packed, config)
        oci.archive(Path(scratch) / "layout", out)
    return out


def pause() -> Path:
    """What holds a pod's namespaces; its C source comes inside the Kubernetes module."""

    def make(root: Path) -> Mapping[str, object]:
        debian.ensure(debian.BUILD)
        kube = build.module_folder(versions.module_set("kubelet"))
        source = kube / "build" / "pause" / "linux" / "pause.c"
        command.run(["gcc", "-Os", "-static", "-s", "-DVERSION=1", "-o", root / "pause", source])
        return {"Entrypoint": ["/pause"], "User": "65535:65535"}

    return _archive(PAUSE, versions.KUBERNETES, make)


def prometheus() -> Path:
    """Prometheus from scratch: one static binary."""
    source = build.part(versions.module_set("prometheus"), "prometheus")

    def make(root: Path) -> Mapping[str, object]:
        for folder in ("bin", "etc", "tmp", "data"):
            (root / folder).mkdir()
        (root / "tmp").chmod(0o1777)
        (root / "data").chmod(0o777)
        (root / "etc" / "passwd").write_text("nobody:x:65534:65534:nobody:/:/bin/false\n")
        shutil.copy(source, root / "bin" / "prometheus")
        return {
            "Entrypoint": ["/bin/prometheus"],
            "Cmd": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data"],
            "ExposedPorts": {"9090/tcp": {}},
            "User": "65534:65534",
        }

    return _archive(PROMETHEUS, source.parent.name, make)


def base() -> tuple[Path, str, str]:
    """The Python base: its OCI layout, digest and Python version (`3.11`)."""
    home = paths.images() / f"base-{BASE_EDITION}-{_release()}"
    if not home.exists():
        paths.images().mkdir(parents=True, exist_ok=True)
        step = Progress(1).step("image python base")
        with step, tempfile.TemporaryDirectory(dir=paths.images()) as scratch:
            _make_base(Path(scratch)).rename(home)
    made = json.loads((home / "made.json").read_text())
    return home, made["digest"], made["python"]


def _release() -> str:
    """`debian-12`."""
    lines = Path("/etc/os-release").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return "-".join(fields.get(key, "").strip('"') for key in ("ID", "VERSION_ID"))


def _make_base(scratch: Path) -> Path:
    root = scratch / "root"
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    debian.unpack(PACKAGES.split(), root)
    python = (root / "usr" / "bin" / "python3").readlink().name.removeprefix("python")
    _finish_debian(root)
    _finish_python(root, python)
    packed = oci.layer(scratch / "layer.tar", {".": root})
    home = scratch / "layout"
    config = {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"],
        "Cmd": ["python3"],
    }
    digest = oci.layout(home, f"python:{python}-slim", packed, config)
    (home / "made.json").write_text(json.dumps({"digest": digest, "python": python}))
    return home


def _finish_debian(root: Path) -> None:
    """What maintainer scripts would have done."""
    for folder in ("proc", "sys", "dev", "run", "tmp", "root", "home", "etc/ssl/certs"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    for unread in _UNREAD:
        shutil.rmtree(root / unread, ignore_errors=True)
    for name in ("passwd", "group"):
        shutil.copy(root / "usr/share/base-passwd" / f"{name}.master", root / "etc" / name)
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    bundle = "".join(
        path.read_text() for path in sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    )
    (root / "etc/ssl/certs/ca-certificates.crt").write_text(bundle)
    if not (root / "bin/sh").exists():
        (root / "bin/sh").symlink_to("dash")
    command.run(["ldconfig", "-r", root])


def _finish_python(root: Path, python: str) -> None:
    """pip, and /usr/local as Python's prefix, as the official image has it.

    pyvenv.cfg does that: without it Debian's Python installs into dist-packages.
    """
    local = root / "usr/local"
    packages = local / "lib" / f"python{python}" / "site-packages"
    packages.mkdir(parents=True)
    (local / "bin").mkdir(exist_ok=True)
    (local / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for name in ("python", "python3", f"python{python}"):
        (local / "bin" / name).symlink_to(f"/usr/bin/python{python}")
    for wheel in (root / "usr/share/python-wheels").glob("pip-*.whl"):
        zipfile.ZipFile(wheel).extractall(packages)
    for name in ("pip", "pip3"):
        script = local / "bin" / name
        script.write_text('#!/bin/sh\nexec python3 -m pip "$@"\n')
        script.chmod(0o755)
