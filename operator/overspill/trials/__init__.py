"""Trials: requests that both tiers answered, from the lot to what is told of them. Pure."""
