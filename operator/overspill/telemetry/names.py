"""Metric names and their labels. What is of a policy carries `policy="namespace/name"`.

Dashboards, alerts, queries and tests import these; a name is written nowhere else.
"""

from __future__ import annotations

from typing import Final

POLICY: Final = "policy"

# -- sidecar: counters
REQUESTS: Final = "overspill_requests_total"
"""Finished requests; labels tier (small, hosted, frontier, none), provider, outcome."""
DECISIONS: Final = "overspill_decisions_total"
"""Routing decisions; labels tier (small, hosted, frontier, none), reason."""
WORK_TOKENS: Final = "overspill_work_tokens_total"
"""Work the small tier could have done, wherever it was done or shed: output + weight × input."""
INPUT_TOKENS: Final = "overspill_input_tokens_total"
"""Labels tier, provider."""
OUTPUT_TOKENS: Final = "overspill_output_tokens_total"
"""Labels tier, provider."""
SPEND_USD: Final = "overspill_spend_usd_total"
"""Dollars paid to hosted and frontier providers; label provider."""
UNMETERED_USD: Final = "overspill_unmetered_usd_total"
"""Of them, charged at worst case under a budget, because no usage was told; label provider."""
FRONTIER_EQUIVALENT_USD: Final = "overspill_frontier_equivalent_usd_total"
"""What all answers would have cost outside the small tier; label eligible (true, false): what
the small tier could do at the price of the first rung it would spill to, else the frontier's."""
FRONTIER_ASKED_USD: Final = "overspill_frontier_asked_usd_total"
"""What all requests that the policy would send to the frontier cost there, wherever they went;
label priority (low, normal, high)."""
OVERFLOW_USD: Final = "overspill_overflow_usd_total"
"""Dollars paid for what the policy would have the small tier answer."""
TRIMMED_TOKENS: Final = "overspill_trimmed_tokens_total"
"""Input that was left out of conversations that were too long, as estimated."""
TRIMMED_USD: Final = "overspill_trimmed_usd_total"
"""What it would have cost where it was left out of a request to a paid provider."""
NOT_VERIFIED: Final = "overspill_not_verified_total"
"""Answers of the small model that were held back for what is wrong with them; label check."""
TRIALS: Final = "overspill_trials_total"
"""Requests that both tiers were to answer; label outcome (graded, or why it came to nothing)."""
JUDGES_USD: Final = "overspill_judges_usd_total"
"""Dollars paid for judging trials; part of the spend."""
UPSTREAM_ERRORS: Final = "overspill_upstream_errors_total"
"""Attempts that failed before the first byte; labels tier, provider, kind."""

# -- sidecar: gauges and histograms
IN_FLIGHT: Final = "overspill_in_flight"
"""Requests under way; label tier."""
QUEUED: Final = "overspill_queued"
"""Requests that wait for room at the small tier."""
SMALL_SLOTS: Final = "overspill_small_slots"
"""Requests this sidecar may have in flight at the small tier, as learned so far."""
LEASE_USD: Final = "overspill_budget_lease_usd"
"""What this sidecar may spend of the budget, as lent to it so far."""
LEASE_SPENT_USD: Final = "overspill_budget_lease_spent_usd"
"""Of that, what is settled."""
CONFIG_GENERATION: Final = "overspill_config_generation"
"""Generation of the policy this sidecar runs."""
CREDENTIAL_MISSING: Final = "overspill_credential_missing"
"""1 where a provider's key is not mounted; label provider."""
TTFT_SECONDS: Final = "overspill_ttft_seconds"
"""Time to the first byte of the answer; label tier."""
DURATION_SECONDS: Final = "overspill_request_duration_seconds"
"""Time to the last byte of the answer; label tier."""
QUEUE_WAIT_SECONDS: Final = "overspill_queue_wait_seconds"
"""How long a request waited for room at the small tier; only those that waited."""

# -- sidecar: OpenTelemetry's names for calls of models, as Prometheus writes them
# https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics
GEN_AI_DURATION: Final = "gen_ai_client_operation_duration_seconds"
"""Labels gen_ai_operation_name, gen_ai_provider_name, gen_ai_request_model, error_type."""
GEN_AI_TOKENS: Final = "gen_ai_client_token_usage"
"""Labels as above but the error, and gen_ai_token_type (input, output)."""
GEN_AI_FIRST_CHUNK: Final = "gen_ai_client_operation_time_to_first_chunk_seconds"
"""Labels gen_ai_operation_name, gen_ai_provider_name, gen_ai_request_model; streams only."""

_LATENCIES_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_POWERS_OF_2_S: Final = tuple(0.01 * 2**power for power in range(14))
_POWERS_OF_4: Final = tuple(float(4**power) for power in range(14))
BUCKETS: Final = {
    TTFT_SECONDS: _LATENCIES_S,
    DURATION_SECONDS: _LATENCIES_S,
    QUEUE_WAIT_SECONDS: _LATENCIES_S,
    GEN_AI_DURATION: _POWERS_OF_2_S,
    GEN_AI_FIRST_CHUNK: _POWERS_OF_2_S,
    GEN_AI_TOKENS: _POWERS_OF_4,
}

# -- operator
DESIRED_REPLICAS: Final = "overspill_desired_replicas"
READY_REPLICAS: Final = "overspill_ready_replicas"
STARTUP_SECONDS: Final = "overspill_startup_seconds"
"""From a place for a replica to its first answer, as learned so far."""
CAPACITY_TOKENS_PER_S: Final = "overspill_capacity_tokens_per_second"
"""Work one small replica can do, as learned so far."""
BUDGET_LIMIT_USD: Final = "overspill_budget_limit_usd"
BUDGET_SPENT_USD: Final = "overspill_budget_spent_usd"
BUDGET_LEASED_USD: Final = "overspill_budget_leased_usd"
"""What sidecars hold and may still spend."""
BUDGET_USED_RATIO: Final = "overspill_budget_used_ratio"
"""Spent by limit: 0.5, 0.8 and 1 are worth an alert."""
QUALITY: Final = "overspill_quality_ratio"
"""Of the frontier's, over what trials are kept of, as estimated."""
QUALITY_LOW: Final = "overspill_quality_low_ratio"
"""At least so much, by the policy's confidence."""
QUALITY_FLOOR: Final = "overspill_quality_floor_ratio"
TRIALS_KEPT: Final = "overspill_trials_kept"
"""Requests that both tiers answered, of which quality is told."""
RECONCILES: Final = "overspill_reconciles_total"
"""Label outcome (ok, invalid, unavailable, error)."""
RECONCILE_SECONDS: Final = "overspill_reconcile_duration_seconds"
LEADER: Final = "overspill_leader"
METRICS_AGE_SECONDS: Final = "overspill_metrics_age_seconds"
RENT_USD: Final = "overspill_rent_usd_total"
"""Dollars of rent for the small replicas that are asked for, from the leader's looks; time in which
they were not known is not in it."""
CONDITION: Final = "overspill_condition"
"""1 for what each condition of a policy says now; labels type, status, reason. A condition that
says something else is another series, and the one before ends."""

_OF_PROVIDER: Final = ("tier", "provider")
_OF_GEN_AI: Final = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_OWN_LABELS: Final[dict[str, tuple[str, ...]]] = {
    REQUESTS: (*_OF_PROVIDER, "outcome"),
    DECISIONS: ("tier", "reason"),
    WORK_TOKENS: (),
    INPUT_TOKENS: _OF_PROVIDER,
    OUTPUT_TOKENS: _OF_PROVIDER,
    SPEND_USD: ("provider",),
    UNMETERED_USD: ("provider",),
    FRONTIER_EQUIVALENT_USD: ("eligible",),
    FRONTIER_ASKED_USD: ("priority",),
    OVERFLOW_USD: (),
    TRIMMED_TOKENS: (),
    TRIMMED_USD: (),
    NOT_VERIFIED: ("check",),
    TRIALS: ("outcome",),
    JUDGES_USD: (),
    UPSTREAM_ERRORS: (*_OF_PROVIDER, "kind"),
    IN_FLIGHT: ("tier",),
    QUEUED: (),
    SMALL_SLOTS: (),
    LEASE_USD: (),
    LEASE_SPENT_USD: (),
    CONFIG_GENERATION: (),
    CREDENTIAL_MISSING: ("provider",),
    TTFT_SECONDS: ("tier",),
    DURATION_SECONDS: ("tier",),
    QUEUE_WAIT_SECONDS: (),
    GEN_AI_DURATION: (*_OF_GEN_AI, "error_type"),
    GEN_AI_TOKENS: (*_OF_GEN_AI, "gen_ai_token_type"),
    GEN_AI_FIRST_CHUNK: _OF_GEN_AI,
    DESIRED_REPLICAS: (),
    READY_REPLICAS: (),
    STARTUP_SECONDS: (),
    CAPACITY_TOKENS_PER_S: (),
    BUDGET_LIMIT_USD: (),
    BUDGET_SPENT_USD: (),
    BUDGET_LEASED_USD: (),
    BUDGET_USED_RATIO: (),
    QUALITY: (),
    QUALITY_LOW: (),
    QUALITY_FLOOR: (),
    TRIALS_KEPT: (),
    RENT_USD: (),
    CONDITION: ("type", "status", "reason"),
}
LABELS: Final[dict[str, tuple[str, ...]]] = {
    **{metric: (POLICY, *own) for metric, own in _OWN_LABELS.items()},
    RECONCILES: ("outcome",),
    RECONCILE_SECONDS: (),
    LEADER: (),
    METRICS_AGE_SECONDS: (),
}
"""Labels of each metric, beside those that Prometheus adds. What is of the operator as a whole
has no policy."""
