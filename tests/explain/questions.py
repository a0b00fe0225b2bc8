"""Requests to ask about, and a policy with all three rungs to ask it of."""

from __future__ import annotations

import json
from typing import Any, Final

from overspill.api.policy import parse_policy
from overspill.api.policy_file import PolicyFile
from overspill.explain.alternative import Alternative, alternatives
from overspill.explain.question import Question, read_headers, read_question
from overspill.explain.setting import Setting, setting_of
from overspill.explain.verdict import Verdict, judge
from tests.api.policies import policy

CHAT: Final = "/v1/chat/completions"
MESSAGES: Final = "/v1/messages"
RESPONSES: Final = "/v1/responses"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
COUNT: Final = "/v1/messages/count_tokens"
TURN: Final = [{"role": "user", "content": "[[in=10]][[out=5]]"}]
BODIES: Final[dict[str, dict[str, Any]]] = {
    CHAT: {"model": "gpt-4o", "messages": TURN},
    MESSAGES: {"model": "opus", "messages": TURN, "max_tokens": 100},
    RESPONSES: {"model": "gpt-4o", "input": "[[in=10]][[out=5]]"},
    COMPLETIONS: {"model": "gpt-4o", "prompt": "[[in=10]][[out=5]]"},
    EMBEDDINGS: {"model": "text-embedding", "input": "[[in=10]]"},
    COUNT: {"model": "opus", "messages": TURN},
}
HIGH: Final = "x-priority: high"
BULK: Final = "x-priority: bulk"
RULES: Final = [
    {
        "name": "partner",
        "when": {"header": {"name": "x-priority", "value": "high"}},
        "tier": "Frontier",
    },
    {
        "name": "bulk",
        "when": {"header": {"name": "x-priority", "value": "bulk"}},
        "tier": "Small",
        "overflow": "Deny",
        "priority": "Low",
    },
]


def provider(name: str, api: str, model: str, price: tuple[str, str]) -> dict[str, Any]:
    host = {"OpenAI": "https://api.openai.com", "Anthropic": "https://api.anthropic.com"}
    return {
        "name": name,
        "api": api,
        "baseURL": host[api],
        "model": model,
        "credentials": {"secretName": name},
        "price": {"inputPerMTok": price[0], "outputPerMTok": price[1]},
    }


OPUS: Final = provider("opus", "Anthropic", "claude-opus-4-8", ("5", "25"))
GPT: Final = provider("gpt", "OpenAI", "gpt-frontier", ("5", "25"))
HOST: Final = provider("host", "OpenAI", "glm-hosted", ("0.1", "0.4"))


def policy_file(**changes: object) -> PolicyFile:
    """A small tier, a host, an Anthropic and an OpenAI frontier."""
    base = {"frontier": [OPUS, GPT], "hosted": [HOST], "routing__rules": RULES}
    spec = parse_policy(policy(**{**base, **changes}))
    return PolicyFile(name="contracts", namespace="legal", spec=spec)


def body(path: str = CHAT, **more: object) -> bytes:
    return json.dumps({**BODIES[path], **more}).encode()


def question(path: str = CHAT, *headers: str, **more: object) -> Question:
    return read_question(body(path, **more), "request.json", path, read_headers(headers))


def judged(asked: Question, setting: Setting | None = None) -> Verdict:
    setting = setting or setting_of(policy_file())
    return judge(asked, setting, alternatives(asked, setting))


def told(verdict: Verdict) -> tuple[int, str, str]:
    return verdict.status, verdict.tier.value, verdict.reason.value


def of(name: str, everybody: tuple[Alternative, ...]) -> Alternative:
    return next(one for one in everybody if one.name == name)
