"""Doubles of model servers: what cannot be here, a GPU and a paid API, on the real wire."""
