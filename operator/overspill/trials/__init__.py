"""Trials: requests that both tiers answered, from the lot to how they are graded and told. Pure."""
