"""`python -m e2e.models small|openai|anthropic`: serve one double until SIGTERM, then drain."""

from __future__ import annotations

import argparse

from aiohttp import web

from e2e.models.answering import Worker
from e2e.models.anthropic_server import AnthropicServer
from e2e.models.ledger import Ledger, Prices
from e2e.models.openai_server import OpenAIServer
from e2e.models.physics import Speed


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="e2e.models")
    parser.add_argument("kind", choices=["small", "openai", "anthropic"])
    parser.add_argument("--model", default="double")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--slots", type=int, default=None)
    parser.add_argument("--output-tokens-per-s", type=float, default=None)
    parser.add_argument("--max-stream-tokens-per-s", type=float, default=100)
    parser.add_argument("--prefill-tokens-per-s", type=float, default=20000)
    parser.add_argument("--startup-s", type=float, default=0)
    parser.add_argument("--time-scale", type=float, default=1)
    parser.add_argument("--price-input", type=float, default=0)
    parser.add_argument("--price-cached", type=float, default=0)
    parser.add_argument("--price-output", type=float, default=0)
    return parser.parse_args()


def build(args: argparse.Namespace) -> web.Application:
    """The application the arguments ask for. A frontier has room for everybody."""
    small = args.kind == "small"
    speed = Speed(
        slots=args.slots or (32 if small else 100_000),
        output_tokens_per_s=args.output_tokens_per_s or (2500 if small else 1e9),
        max_stream_tokens_per_s=args.max_stream_tokens_per_s,
        prefill_tokens_per_s=args.prefill_tokens_per_s if small else 1e9,
    )
    worker = Worker(speed, args.time_scale)
    prices = Prices(input=args.price_input, cached=args.price_cached, output=args.price_output)
    ledger = Ledger(prices)
    if args.kind == "anthropic":
        server = AnthropicServer(
            model=args.model, worker=worker, ledger=ledger, api_key=args.api_key
        )
        return server.application()
    return OpenAIServer(
        model=args.model,
        worker=worker,
        ledger=ledger,
        api_key=args.api_key,
        startup_s=args.startup_s,
    ).application()


async def serve(args: argparse.Namespace) -> web.Application:
    """Build inside the running loop."""
    return build(args)


if __name__ == "__main__":
    arguments = parse()
    web.run_app(serve(arguments), port=arguments.port, print=None, shutdown_timeout=30)
