"""Which tier answers a request, and why. Pure: time and state come in as values."""

from overspill.routing.capacity import SmallCapacity
from overspill.routing.decide import Facts, Reason, Route, Terms, Tier, decide

__all__ = ["Facts", "Reason", "Route", "SmallCapacity", "Terms", "Tier", "decide"]
