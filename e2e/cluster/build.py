"""Go builds: each binary once per pin, from the committed go.mod and go.sum."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import command, debian, paths, versions
from e2e.cluster.errors import Unusable
from e2e.cluster.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from e2e.cluster.versions import ModuleSet

MODULES = Path(__file__).parent / "modules"
ARCH = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def arch() -> str:
    """This machine in Go's words."""
    return ARCH.get(platform.machine(), platform.machine())


def cache_key(chosen: ModuleSet, package: str, go_mod: bytes, go_sum: bytes, machine: str) -> str:
    """Changes with everything that changes the binary, and with nothing else."""
    digest = hashlib.sha256()
    settings = (package, chosen.tags, chosen.ldflags, str(chosen.cgo), chosen.target_os, machine)
    for part in (*(setting.encode() for setting in settings), go_mod, go_sum):
        digest.update(hashlib.sha256(part).digest())
    return f"{chosen.version}-{digest.hexdigest()[:12]}"


def part(chosen: ModuleSet, name: str) -> Path:
    """Where this pin of a binary lies once built."""
    home = MODULES / chosen.name
    files = ((home / "go.mod").read_bytes(), (home / "go.sum").read_bytes())
    key = cache_key(chosen, chosen.binaries[name], *files, arch())
    return paths.cache() / "parts" / name / key / name


def missing(sets: Iterable[ModuleSet]) -> list[tuple[ModuleSet, str]]:
    """Binaries not built at their pin yet."""
    return [(s, name) for s in sets for name in s.binaries if not part(s, name).exists()]


def go_build(chosen: ModuleSet, name: str) -> None:
    """Build one binary into its part. Raises: Failed."""
    out = part(chosen, name)
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_suffix(f".{os.getpid()}")
    words = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-tags", chosen.tags]
    words += ["-ldflags", f"-s -w {chosen.ldflags}", "-o", str(fresh), chosen.binaries[name]]
    env = {"CGO_ENABLED": "1" if chosen.cgo else "0", "GOFLAGS": "", "GOWORK": "off"}
    if chosen.target_os:
        env["GOOS"] = chosen.target_os
    command.run(words, cwd=MODULES / chosen.name, env=env)
    fresh.replace(out)


def link(sets: Iterable[ModuleSet]) -> None:
    """Point the stable names in bin/ and cni/ at the pinned parts."""
    for chosen in sets:
        folder = paths.cache() / chosen.folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in chosen.binaries:
            point(folder / name, part(chosen, name))


def point(name: Path, target: Path) -> None:
    """A symbolic link, replaced in one step and only when it differs."""
    if name.is_symlink() and name.readlink() == target:
        return
    fresh = name.with_name(f".{name.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(name)


def module_folder(chosen: ModuleSet) -> Path:
    """The unpacked source of a set's main module, fetched if need be. Raises: Unusable, Failed."""
    require_go()
    words = ["go", "mod", "download", "-json", chosen.module]
    env = {"GOFLAGS": "", "GOWORK": "off"}
    answer = json.loads(command.run(words, cwd=MODULES / chosen.name, env=env))
    return Path(answer["Dir"])


def require_go() -> None:
    """Raises: Unusable where there is no Go."""
    if not shutil.which("go"):
        raise Unusable("go: not found; install Go 1.21 or newer (it fetches the pinned one itself)")


def binaries(sets: Sequence[ModuleSet]) -> None:
    """Build what is missing, showing progress. Raises: Unusable, Failed."""
    todo = missing(sets)
    if todo:
        require_go()
        if any(chosen.cgo for chosen, _ in todo):
            debian.ensure(debian.BUILD)
    progress = Progress(len(todo))
    for chosen, name in todo:
        with progress.step(f"{name} {chosen.version}"):
            go_build(chosen, name)
    link(sets)


def kind() -> Path:
    """The kind binary at its pin. Raises: Unusable, Failed."""
    out = paths.cache() / "parts" / "kind" / versions.KIND / "kind"
    if not out.exists():
        require_go()
        with Progress(1).step(f"kind {versions.KIND}"):
            env = {"GOBIN": str(out.parent), "CGO_ENABLED": "0", "GOFLAGS": ""}
            command.run(["go", "install", f"sigs.k8s.io/kind@{versions.KIND}"], env=env)
    point(paths.binary("kind"), out)
    return out
