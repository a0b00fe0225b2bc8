"""Requests that both tiers answered, graded: how good each answer was. Pure, as all of the core."""
