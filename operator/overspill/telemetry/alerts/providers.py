"""Alerts on hosted and frontier providers that do not answer."""

from __future__ import annotations

from typing import Final

from overspill.telemetry import names, queries
from overspill.telemetry.alert import Alert, Group, Severity
from overspill.telemetry.alerts.signals import RECENT
from overspill.telemetry.promql import among, none_of, share

FAILING: Final = 0.25
"""Of a provider's attempts."""
ENOUGH: Final = 10
"""Failures in the window: of fewer a share says nothing."""
_OF: Final = (names.POLICY, "tier", "provider")
_PAID: Final = among("tier", "hosted", "frontier")
_THEIRS: Final = none_of("kind", "http_400", "http_413", "http_422", "credential")
"""Not the request's own fault, nor a missing key, which has an alert of its own."""
_FAILED: Final = RECENT.rate(names.UPSTREAM_ERRORS, _PAID, _THEIRS, by=_OF)
_ENDED: Final = RECENT.rate(names.REQUESTS, _PAID, by=_OF)
_FAILURES: Final = RECENT.increase(names.UPSTREAM_ERRORS, _PAID, _THEIRS, by=_OF)

PROVIDERS: Final = Group(
    name="overspill.providers",
    alerts=(
        Alert(
            name="OverspillCredentialMissing",
            expr=f"{queries.credential_missing().expr} == 1",
            lasting="5m",
            severity=Severity.CRITICAL,
            summary="{{ $labels.policy }}: no key for {{ $labels.provider }}",
            description="A sidecar finds no key for this provider and does not ask it; where it "
            "is the only one, requests that need it fail. SidecarsCurrent is False, "
            "CredentialMissing: create the Secret and key that its message names.",
        ),
        Alert(
            name="OverspillProviderFailing",
            expr=f"{share(_FAILED, f'({_FAILED} + {_ENDED})')} > {FAILING:g} "
            f"and {_FAILURES} >= {ENOUGH}",
            lasting="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.policy }}: {{ $value | humanizePercentage }} of attempts at "
            "{{ $labels.provider }} fail",
            description="Attempts fail before the first byte; the next provider or the small tier "
            "answers where it can. The dashboard's attempts that failed say of which kind: "
            "http_429, raise the rate limit there; http_401 or http_403, renew the key; connect, "
            "tls or timeout, see the way there; http_5xx, see the provider's status page.",
        ),
    ),
)
