"""Metric names. Every series carries `policy="namespace/name"`.

Dashboards, alerts, queries and tests import these; a name is written nowhere else.
"""

from __future__ import annotations

from typing import Final

POLICY: Final = "policy"

# -- sidecar: counters
REQUESTS: Final = "overspill_requests_total"
"""Finished requests; labels tier (small, frontier, none), provider, outcome."""
DECISIONS: Final = "overspill_decisions_total"
"""Routing decisions; labels tier (small, frontier, none), reason."""
WORK_TOKENS: Final = "overspill_work_tokens_total"
"""Work the small tier could have done, wherever it was done or shed: output + weight × input."""
INPUT_TOKENS: Final = "overspill_input_tokens_total"
"""Labels tier, provider."""
OUTPUT_TOKENS: Final = "overspill_output_tokens_total"
"""Labels tier, provider."""
SPEND_USD: Final = "overspill_spend_usd_total"
"""Dollars paid to frontier providers; label provider."""
FRONTIER_EQUIVALENT_USD: Final = "overspill_frontier_equivalent_usd_total"
"""What all answers would have cost at the first provider; label eligible (true, false)."""
UPSTREAM_ERRORS: Final = "overspill_upstream_errors_total"
"""Attempts that failed before the first byte; labels tier, provider, kind."""

# -- sidecar: gauges and histograms
IN_FLIGHT: Final = "overspill_in_flight"
"""Requests under way; label tier."""
SMALL_SLOTS: Final = "overspill_small_slots"
"""Requests this sidecar may have in flight at the small tier."""
CONFIG_GENERATION: Final = "overspill_config_generation"
"""Generation of the policy this sidecar runs."""
CREDENTIAL_MISSING: Final = "overspill_credential_missing"
"""1 where a provider's key is not mounted; label provider."""
TTFT_SECONDS: Final = "overspill_ttft_seconds"
"""Time to the first byte of the answer; label tier."""
DURATION_SECONDS: Final = "overspill_request_duration_seconds"
"""Time to the last byte of the answer; label tier."""

# -- operator
DESIRED_REPLICAS: Final = "overspill_desired_replicas"
READY_REPLICAS: Final = "overspill_ready_replicas"
BUDGET_LIMIT_USD: Final = "overspill_budget_limit_usd"
BUDGET_SPENT_USD: Final = "overspill_budget_spent_usd"
RECONCILES: Final = "overspill_reconciles_total"
"""Label outcome (ok, invalid, unavailable, error)."""
RECONCILE_SECONDS: Final = "overspill_reconcile_duration_seconds"
LEADER: Final = "overspill_leader"
METRICS_AGE_SECONDS: Final = "overspill_metrics_age_seconds"
