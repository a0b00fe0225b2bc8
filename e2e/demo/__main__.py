"""Run the demo in the cluster that KUBECONFIG names."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from e2e.app.asks import replay
from e2e.demo import picture
from e2e.demo.samples import Prices, Sample, Summary, summarize
from e2e.demo.view import View
from e2e.stage import guest, kube, overspill, prometheus
from e2e.stage.manifests import FRONTIER_MODEL, SMALL_MODEL, PolicyChanges, SmallServer
from e2e.stage.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from e2e.app.asks import Ask

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build" / "demo"
TRACE = ROOT / "e2e" / "data" / "azure-2023-conv.csv.gz"
TRAFFIC_S = 120.0
LOOK_EVERY_S = 2.0
AFTERWARDS_S = 180.0
SERVER = SmallServer()
PRICES = Prices(input_per_mtok=5.0, output_per_mtok=25.0, replica_hourly=float(SERVER.hourly_cost))


def day(part: float) -> float:
    """The share of the recorded calls to keep: a quiet start, a rush, a quiet end."""
    if part < 0.15 or part > 0.85:
        return 0.02
    return 0.16 if 0.3 < part < 0.6 else 0.07


def look(scene: Scene, started_s: float) -> Sample:
    """One sample of the app's counts and the policy's status."""
    stats, status = scene.stats(), scene.status()
    decision, replicas = status.get("lastDecision", {}), status.get("replicas", {})
    return Sample(
        at_s=time.monotonic() - started_s,
        sent=stats["sent"],
        small_answers=stats["answered"].get(SMALL_MODEL, 0),
        frontier_answers=stats["answered"].get(FRONTIER_MODEL, 0),
        failed=stats["failed"],
        in_flight=stats["in_flight"],
        demand_replicas=status.get("demand", {}).get("replicasWorth", 0.0),
        desired=replicas.get("desired", 0),
        ready=replicas.get("ready", 0),
        spend_usd=float(scene.frontier_stats()["usd"]),
        state=status.get("state", ""),
        reason=decision.get("reason", ""),
        message=decision.get("message", ""),
    )


def watch(scene: Scene, asks: Sequence[Ask], console: Console) -> list[Sample]:
    """Send the traffic and record until every call has ended and the tier is idle again."""
    started_s = time.monotonic()
    seen = [look(scene, started_s)]
    scene.send(asks)
    with View(len(asks), console) as view:
        while True:
            time.sleep(max(0.0, seen[-1].at_s + LOOK_EVERY_S + started_s - time.monotonic()))
            seen.append(look(scene, started_s))
            view.show(seen)
            now = seen[-1]
            quiet = now.sent == len(asks) and now.in_flight == 0
            if (quiet and now.desired == 0) or now.at_s > TRAFFIC_S + AFTERWARDS_S:
                return seen


def report(summary: Summary, console: Console) -> None:
    """The short summary at the end."""
    total = summary.spend_usd + summary.gpu_usd
    grid = Table(title="What happened", show_header=False, title_justify="left")
    grid.add_row("requests", f"{summary.requests}, {summary.failed} failed")
    grid.add_row("answered by the small tier", f"{summary.small_answers}")
    grid.add_row("answered by the frontier", f"{summary.frontier_answers}")
    grid.add_row("small replicas", f"0 → {summary.peak_replicas} → {summary.final_replicas}")
    grid.add_row(
        "cost", f"${total:.4f} (frontier ${summary.spend_usd:.4f} + GPU ${summary.gpu_usd:.4f})"
    )
    saved = 1 - total / summary.frontier_only_usd
    grid.add_row("frontier for everything", f"${summary.frontier_only_usd:.4f}: {saved:.0%} saved")
    console.print(grid)
    console.print(kube.kubectl("get", "rp", "-A"), highlight=False)
    console.print(f"picture  {OUT.relative_to(ROOT)}/demo.png", highlight=False)
    console.print(f"figures  {OUT.relative_to(ROOT)}/summary.json", highlight=False)
    console.print(
        "Models are doubles with a GPU server's timing and real wire; prices are list prices.",
        style="dim",
    )


def main() -> int:
    """Install, watch, sum up, and remove what was installed."""
    console = Console()
    scene = Scene("demo")
    try:
        guest.refuse(f"namespace/{scene.ns}", *prometheus.MADE, *overspill.MADE)
    except guest.Occupied as error:
        console.print(f"[bold red]demo[/] {error}")
        return 2
    with contextlib.ExitStack() as undo:  # each of them, whatever becomes of the others
        if not os.environ.get("KEEP"):
            for one in (prometheus.uninstall, overspill.uninstall, scene.remove):
                undo.callback(one)
            undo.callback(console.print, "[bold]demo[/] cleaning up")
        return _played(scene, console)


def _played(scene: Scene, console: Console) -> int:
    try:
        return play(scene, console)
    except TimeoutError as error:
        console.print(f"[bold red]demo[/] {error}")
        return 1


def play(scene: Scene, console: Console) -> int:
    """The demo itself; return the exit status."""
    console.print("[bold]demo[/] installing Prometheus and Overspill (helm install)")
    prometheus.install()
    overspill.install()
    console.print("[bold]demo[/] applying the app, both tiers and a RoutingPolicy")
    scene.build(PolicyChanges(server=SERVER))
    kube.until("policy ready", lambda: scene.condition("Ready").get("status") == "True")
    asks = replay(TRACE, seconds=TRAFFIC_S, share_at=day, high_share=0.08)
    console.print(
        f"[bold]demo[/] replaying {len(asks)} of the 19,366 calls of azure-2023-conv "
        f"in {TRAFFIC_S:.0f} s; 8% carry x-priority: high"
    )
    seen = watch(scene, asks, console)
    summary = summarize(seen, asks, PRICES, float(scene.frontier_stats()["usd"]))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "summary.json").write_text(json.dumps(summary.to_json(), indent=2) + "\n")
    (OUT / "samples.json").write_text(
        json.dumps([{k: getattr(s, k) for k in Sample.__slots__} for s in seen]) + "\n"
    )
    picture.draw(OUT / "demo.png", seen, asks, PRICES)
    report(summary, console)
    return 0 if summary.failed == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
