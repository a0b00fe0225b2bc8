"""`python -m e2e.cluster COMMAND`: the cluster that the end-to-end tests and the demo run on."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from e2e.cluster import build, command, kwok, paths, pin, versions
from e2e.cluster.errors import Failed, Unusable
from e2e.cluster.existing import Existing
from e2e.cluster.kind import Kind
from e2e.cluster.network import NO_PROXY
from e2e.cluster.own import Own
from e2e.cluster.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOG_LINES = 40


class Cluster(Protocol):
    """What every kind of cluster can do."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""

    @property
    def enter(self) -> list[str]:
        """Words before a command that is to reach the cluster."""

    @property
    def state(self) -> Path:
        """A folder for pid files and logs."""

    def build(self) -> None:
        """Make what `up` needs."""

    def up(self, sync_frequency: str) -> None:
        """Start it, or what of it does not run."""

    def down(self) -> None:
        """Remove it."""

    def status(self) -> dict[str, bool]:
        """What should be so, and whether it is."""

    def image(self, name: str, file: Path, folder: Path) -> None:
        """Build an image and give it to the cluster."""

    def logs(self) -> list[Path]:
        """Log files of its components."""


KINDS: dict[str, type[Own | Kind | Existing]] = {
    "own": Own,
    "kind": Kind,
    "existing": Existing,
}


def chosen_kind(environ: Mapping[str, str], *, linux_root: bool, docker: bool) -> str:
    """own, kind or existing. Raises: Unusable with the way out where none is possible.

    A cluster of the user's own is taken only where they say so: KUBECONFIG alone may well be
    production.
    """
    asked = environ.get("CLUSTER", "")
    if asked and asked not in KINDS:
        raise Unusable(f"CLUSTER={asked}: want own, kind or existing")
    if asked == "own" and not linux_root:
        raise Unusable("CLUSTER=own needs Linux and root; use sudo, or Docker with CLUSTER=kind")
    if asked == "kind" and not docker:
        raise Unusable("CLUSTER=kind needs a running Docker; start it, or use root on Linux")
    if asked:
        return asked
    if docker:
        return "kind"
    if linux_root:
        return "own"
    raise Unusable(
        "no cluster possible here: run as root on Linux, start Docker, or set "
        "CLUSTER=existing and KUBECONFIG"
    )


def cluster() -> Cluster:
    """The cluster that this environment asks for."""
    linux_root = platform.system() == "Linux" and os.geteuid() == 0
    wanted = os.environ.get("CLUSTER", "") in ("", "kind")
    docker = wanted and bool(shutil.which("docker")) and command.succeeds(["docker", "info"])
    return KINDS[chosen_kind(os.environ, linux_root=linux_root, docker=docker)](
        paths.cluster_name()
    )


def kind_of(target: Cluster) -> str:
    """Its name in CLUSTER."""
    return next(name for name, kind in KINDS.items() if isinstance(target, kind))


def _build(options: argparse.Namespace) -> int:
    if not options.only:
        cluster().build()
        return 0
    wanted = set(options.only)
    sets = [s for s in versions.SETS if s.name in wanted or wanted & set(s.binaries)]
    if not sets:
        raise Unusable(
            f"--only {' '.join(wanted)}: want {', '.join(s.name for s in versions.SETS)}"
        )
    build.binaries(sets)
    return 0


def _up(options: argparse.Namespace) -> int:
    target = cluster()
    target.up(options.sync_frequency)
    print(f"KUBECONFIG={target.kubeconfig}")
    if target.enter:
        sys.stderr.write("reach it by: python -m e2e.cluster exec -- kubectl get pods -A\n")
    return 0


def _down(_: argparse.Namespace) -> int:
    target = cluster()
    _kwok_process(target).stop()
    target.down()
    return 0


def _status(_: argparse.Namespace) -> int:
    seen = cluster().status()
    for what, so in seen.items():
        print(f"{'ok  ' if so else 'DOWN'} {what}")
    return 0 if all(seen.values()) else 1


def _exec(options: argparse.Namespace) -> int:
    target = cluster()
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise Unusable("exec: want -- COMMAND…")
    enter = target.enter
    env = environment(os.environ, target.kubeconfig, kind_of(target), isolated=bool(enter))
    env["PATH"] = paths.search_path()
    try:
        os.execvpe([*enter, *words][0], [*enter, *words], env)
    except FileNotFoundError as error:
        raise Unusable(f"exec: {words[0]}: not found") from error


def environment(
    environ: Mapping[str, str], kubeconfig: Path, kind: str, *, isolated: bool
) -> dict[str, str]:
    """What a command in the cluster sees. A proxy cannot be reached from the namespace."""
    env = dict(environ)
    if isolated:
        env = {name: value for name, value in env.items() if not name.lower().endswith("_proxy")}
    return env | {"KUBECONFIG": str(kubeconfig), "CLUSTER": kind}


def _image(options: argparse.Namespace) -> int:
    file, folder = Path(options.file).absolute(), Path(options.context).absolute()
    if not file.is_file():
        raise Unusable(f"--file {options.file}: no such file")
    cluster().image(options.name, file, folder)
    return 0


def _kwok_process(target: Cluster) -> Process:
    return Process("kwok", target.state)


def _kwok(options: argparse.Namespace) -> int:
    target = cluster()
    env = {"KUBECONFIG": str(target.kubeconfig), **(NO_PROXY if target.enter else {})}
    kubectl = [*target.enter, "kubectl"]
    if options.what == "up":
        build.binaries([versions.module_set("kwok")])
        command.run([*kubectl, "apply", "-f", "-"], stdin=kwok.nodes(options.nodes), env=env)
        _kwok_process(target).start(kwok.words(target.kubeconfig), target.enter)
        ready = ["wait", "node", "-l", "type=kwok", "--for=condition=Ready", "--timeout=60s"]
        command.run([*kubectl, *ready], env=env)
        return 0
    command.run([*kubectl, "delete", "node", "-l", "type=kwok", "--ignore-not-found"], env=env)
    _kwok_process(target).stop()
    return 0


def _logs(options: argparse.Namespace) -> int:
    for file in cluster().logs():
        lines = file.read_text(errors="replace").splitlines()[-options.lines :]
        print(f"==> {file.stem}", *lines, sep="\n", end="\n\n")
    return 0


def _pin(options: argparse.Namespace) -> int:
    for chosen in versions.SETS:
        if not options.sets or chosen.name in options.sets:
            pin.pin(chosen)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m e2e.cluster", description=__doc__)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, help_: str, run: object) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help_)
        made.set_defaults(run=run)
        return made

    made = add("build", "build all binaries; cached outside of the tree", _build)
    made.add_argument("--only", nargs="+", metavar="NAME", help="a set or a binary, e.g. helm")
    made = add("up", "start the cluster, or what of it does not run", _up)
    made.add_argument("--sync-frequency", default="1m0s", help="kubelet's; ConfigMaps follow it")
    add("down", "remove the cluster and all its state", _down)
    add("status", "what runs; exit 1 unless all does", _status)
    made = add("exec", "run a command where it reaches the cluster", _exec)
    made.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    made = add("image", "build an image from a Dockerfile and give it to the cluster", _image)
    made.add_argument("name", metavar="NAME:TAG")
    made.add_argument("--file", default="Dockerfile")
    made.add_argument("--context", default=".")
    made = add("kwok", "fake nodes", _kwok)
    made.add_argument("what", choices=["up", "down"])
    made.add_argument("--nodes", type=int, default=10)
    made = add("logs", "the last lines of every component", _logs)
    made.add_argument("--lines", type=int, default=LOG_LINES)
    made = add("pin", "write modules/*/go.mod and go.sum from versions.py", _pin)
    made.add_argument("sets", nargs="*")
    return top


def main(words: Sequence[str]) -> int:
    """Run one command; return its exit status."""
    options = parser().parse_args(words)
    for number in (signal.SIGTERM, signal.SIGINT):  # a cancelled job cleans up, in background too
        signal.signal(number, signal.default_int_handler)
    status = 0
    try:
        status = options.run(options)
    except Unusable as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
