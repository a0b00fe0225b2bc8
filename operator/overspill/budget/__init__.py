"""What may be spent at the frontier, and until when. Pure: time and spend come in as values."""

from overspill.budget.limit import BudgetState, Effect, observe_spend
from overspill.budget.period import Period, period_at

__all__ = ["BudgetState", "Effect", "Period", "observe_spend", "period_at"]
