"""The protocols an app may speak, each as one object that reads and words them."""

from overspill.wire.ingress.base import Ingress
from overspill.wire.ingress.chat import ChatCompletions
from overspill.wire.ingress.messages import CountTokens, Messages
from overspill.wire.ingress.plain import Completions, Embeddings
from overspill.wire.ingress.responses import Responses

INGRESSES: dict[str, Ingress] = {
    "/v1/chat/completions": ChatCompletions(),
    "/v1/completions": Completions(),
    "/v1/embeddings": Embeddings(),
    "/v1/responses": Responses(),
    "/v1/messages": Messages(),
    "/v1/messages/count_tokens": CountTokens(),
}

__all__ = ["INGRESSES", "Ingress"]
