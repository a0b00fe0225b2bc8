"""`overspill ledger POLICY`: what sidecars were granted, what they settled, what remains."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from overspill.budget.money import usd, usd_micros

if TYPE_CHECKING:
    import argparse

    from overspill.budget.account import Account
    from overspill.budget.lease import Lease
    from overspill.budget.ledger import Ledger
    from overspill.controller.keys import Manifest

HELP: Final = "Print what a policy's sidecars were granted, what they settled and what remains."
_HEADS: Final = ("POD", "LEASE", "STATE", "GRANTED", "SETTLED", "HELD", "LOST", "UNMETERED")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("policy", help="name of the RoutingPolicy")
    parser.add_argument("-n", "--namespace", default="default", help="of the policy; default")
    parser.add_argument("--json", action="store_true", help="whole micro-dollars, for programs")


def run(args: argparse.Namespace) -> int:
    """Print the ledger; 1 where there is none, 2 where it cannot be read."""
    from overspill.api.errors import OverspillError  # noqa: PLC0415 - `--help` stays quick
    from overspill.controller.errors import NotFound  # noqa: PLC0415
    from overspill.controller.ledgers import ledger_in  # noqa: PLC0415

    try:
        manifest = asyncio.run(_read(args.namespace, args.policy))
        ledger = ledger_in(manifest)
    except NotFound:
        sys.stderr.write(
            f"overspill ledger: policy {args.namespace}/{args.policy} has no ledger: nothing was "
            "lent yet; has it a budget, and do its pods carry the sidecar?\n"
        )
        return 1
    except OverspillError as error:
        sys.stderr.write(f"overspill ledger: {error}\n")
        return 2
    seen = summary(ledger, limit_usd_micros=_limit(manifest), now_s=time.time())
    sys.stdout.write(json.dumps(seen, indent=2) + "\n" if args.json else text(seen))
    return 0


def summary(ledger: Ledger, *, limit_usd_micros: int, now_s: float) -> dict[str, Any]:
    """Return the ledger as JSON values, in whole micro-dollars."""
    seen = _account(ledger.current, now_s)
    seen |= {
        "limitUsdMicros": limit_usd_micros,
        "remainingUsdMicros": limit_usd_micros - ledger.current.committed_usd_micros(),
    }
    if ledger.previous is not None:
        seen["previous"] = _account(ledger.previous, now_s)
    return seen


def text(seen: dict[str, Any]) -> str:
    """Return a summary for people, in USD."""
    rows = [_row(lease) for lease in seen["leases"]]
    widths = [max(len(row[n]) for row in (_HEADS, *rows)) for n in range(len(_HEADS))]
    lines = [_line(row, widths) for row in (_HEADS, *rows)]
    lines += ["", _totals("this period", seen), f"remains  {_usd(seen['remainingUsdMicros'])}"]
    lines[-1] += f" of {_usd(seen['limitUsdMicros'])} USD"
    if previous := seen.get("previous"):
        lines.append(_totals("period before", previous))
    return "\n".join(lines) + "\n"


def _account(account: Account, now_s: float) -> dict[str, Any]:
    committed, settled = account.committed_usd_micros(), account.settled_usd_micros()
    outstanding = account.outstanding_usd_micros(now_s)
    return {
        "periodStartS": account.period.start_s,
        "periodEndS": account.period.end_s,
        "committedUsdMicros": committed,
        "settledUsdMicros": settled,
        "outstandingUsdMicros": outstanding,
        "lostUsdMicros": committed - settled - outstanding,
        "unmeteredUsdMicros": account.unmetered_usd_micros(),
        "spentUsdMicros": account.spent_usd_micros(now_s),
        "leases": [_lease(one, now_s) for one in account.leases.values()],
    }


def _lease(lease: Lease, now_s: float) -> dict[str, Any]:
    left = lease.committed_usd_micros - lease.spent_usd_micros
    live = lease.live(now_s)
    return {
        "pod": lease.pod,
        "lease": lease.id,
        "state": "live" if live else "returned" if lease.closed else "silent",
        "purpose": lease.purpose,
        "grantedUsdMicros": lease.committed_usd_micros,
        "settledUsdMicros": lease.spent_usd_micros,
        "heldUsdMicros": left if live else 0,
        "lostUsdMicros": 0 if live else left,
        "unmeteredUsdMicros": lease.unmetered_usd_micros,
    }


def _row(lease: dict[str, Any]) -> tuple[str, ...]:
    kinds = ("granted", "settled", "held", "lost", "unmetered")
    amounts = (_usd(lease[f"{kind}UsdMicros"]) for kind in kinds)
    return (lease["pod"], lease["lease"], lease["state"], *amounts)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    words = [word.ljust(width) for word, width in zip(row[:3], widths[:3], strict=True)]
    amounts = [word.rjust(width) for word, width in zip(row[3:], widths[3:], strict=True)]
    return "  ".join([*words, *amounts])


def _totals(name: str, seen: dict[str, Any]) -> str:
    return (
        f"{name}: settled {_usd(seen['settledUsdMicros'])}, "
        f"held {_usd(seen['outstandingUsdMicros'])}, lost {_usd(seen['lostUsdMicros'])}, "
        f"unmetered {_usd(seen['unmeteredUsdMicros'])} USD"
    )


def _usd(micros: int) -> str:
    return f"{usd(micros):.6f}"


def _limit(manifest: Manifest) -> int:
    return usd_micros(Decimal(manifest["limitUsd"]))


async def _read(namespace: str, policy: str) -> Manifest:
    from overspill import api  # noqa: PLC0415
    from overspill.api import ledger as kinds  # noqa: PLC0415
    from overspill.controller.kube import Api, load_config  # noqa: PLC0415

    async with Api(await load_config()) as client:
        folder = f"/apis/{api.API_VERSION}/namespaces/{namespace}/{kinds.PLURAL}"
        return await client.get(f"{folder}/{policy}")
