"""Protocols without sockets: OpenAI and Anthropic shapes, SSE framing, translation, usage, cost."""
