"""Learns the score from examples that both tiers answered. Numpy; no sidecar loads it."""
