"""As little proxy as uvloop and httptools allow: the ceiling for one written in Python.

Both directions are parsed and passed on byte for byte; each client has an upstream connection of
its own. Nothing is routed, counted or checked.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast

import httptools
import uvloop


class Upstream(asyncio.Protocol):
    """Passes answers back."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        self._parser.feed_data(data)
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody answers any more."""
        self._client.close()

    def on_message_complete(self) -> None:
        """Be ready for the next answer."""
        self._parser = httptools.HttpResponseParser(self)


class Client(asyncio.Protocol):
    """Passes requests on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._parser = httptools.HttpRequestParser(self)
        self._upstream: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the upstream."""
        self._transport = cast("asyncio.Transport", transport)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        made = await asyncio.get_running_loop().create_connection(
            lambda: Upstream(self._transport), "127.0.0.1", self._port
        )
        self._upstream = made[0]
        self._upstream.writelines(self._early)

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        self._parser.feed_data(data)
        if self._upstream:
            self._upstream.write(data)
        else:
            self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._connecting.cancel()
        if self._upstream:
            self._upstream.close()


async def _serve(port: int, upstream: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(upstream), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True)
    ports = parser.parse_args()
    uvloop.run(_serve(ports.port, ports.upstream))
