"""A scripted upstream, and a client that takes nothing on trust.

Both talk over real sockets and know nothing of the sidecar's inside.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import h11

from tests.clock import bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable


# -- the upstream
class How(StrEnum):
    """How a connection ends."""

    FIN = "FIN"
    RST = "RST"
    STALL = "stall"


class When(StrEnum):
    """How far a connection comes before anything is said on it."""

    BEFORE_ACCEPT = "before accept"
    AFTER_ACCEPT = "after accept"
    AFTER_REQUEST = "after reading the request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What an upstream does with a request: these pieces, then this end."""

    says: tuple[bytes | float, ...] = ()
    """Bytes to say, and seconds to be silent; those are for the patient loop."""
    then: How | None = None
    """None: it keeps the connection and waits for the next request."""
    when: When = When.AFTER_REQUEST


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as h11 read it."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes


@dataclass
class Faulty:
    """A scripted upstream that counts."""

    script: Script | Callable[[Asked], Script]
    port: int
    asked: list[Asked] = field(default_factory=list)
    illegal: list[str] = field(default_factory=list)
    """What h11 said of requests that were none."""
    accepted: int = 0
    open: int = 0
    resets: int = 0
    """Connections that the other side cut by a reset."""
    said_bytes: int = 0
    finished: int = 0
    """Scripts that were said to their end."""

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    async def listen(self, listener: socket.socket) -> None:
        """Serve, each connection in a task of its own."""
        loop = asyncio.get_running_loop()
        script = self.script
        if isinstance(script, Script) and script.when is When.BEFORE_ACCEPT:
            await _never_accept(listener, script.then)
        async with asyncio.TaskGroup() as connections:
            while True:
                peer, _ = await loop.sock_accept(listener)
                self.accepted += 1
                self.open += 1
                connections.create_task(self._connection(peer))

    async def _connection(self, peer: socket.socket) -> None:
        try:
            await self._serve(peer)
        except ConnectionResetError:
            self.resets += 1
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            peer.close()

    async def _serve(self, peer: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(self.script, Script) and self.script.when is When.AFTER_ACCEPT:
            await _end(peer, self.script.then)
            return
        left = b""
        while True:
            try:
                found = await _request(peer, left)
            except h11.RemoteProtocolError as error:
                self.illegal.append(str(error))
                return
            if found is None:
                return
            asked, left = found
            self.asked.append(asked)
            script = self.script if isinstance(self.script, Script) else self.script(asked)
            for piece in script.says:
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                    continue
                await loop.sock_sendall(peer, piece)
                self.said_bytes += len(piece)
                await asyncio.sleep(0)
            self.finished += 1
            if script.then is not None:
                await _end(peer, script.then)
                return


async def _never_accept(listener: socket.socket, how: How | None) -> None:
    """Refuse, or let the kernel take the connection and then reset or forget it."""
    loop = asyncio.get_running_loop()
    if how is How.RST:
        knocked = asyncio.Event()
        loop.add_reader(listener, knocked.set)
        await knocked.wait()
        loop.remove_reader(listener)
    if how is not How.STALL:
        listener.close()
    await loop.create_future()


async def _request(peer: socket.socket, left: bytes) -> tuple[Asked, bytes] | None:
    """Read one request; None where the peer left before the first byte of one."""
    reading = h11.Connection(h11.SERVER)
    head, body = None, b""
    if left:
        reading.receive_data(left)
    while True:
        event = reading.next_event()
        if event is h11.NEED_DATA:
            data = await asyncio.get_running_loop().sock_recv(peer, 65536)
            if not data:
                return None
            reading.receive_data(data)
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            assert head
            asked = Asked(head.method, head.target, dict(head.headers), body)
            return asked, reading.trailing_data[0]


async def _end(peer: socket.socket, how: How | None) -> None:
    if how is How.RST:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return
    if how is How.FIN:
        peer.shutdown(socket.SHUT_WR)
    while await asyncio.get_running_loop().sock_recv(peer, 65536):
        pass


@asynccontextmanager
async def faulty(script: Script | None = None) -> AsyncIterator[Faulty]:
    """Start a scripted upstream on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    made = Faulty(script or Script(), listener.getsockname()[1])
    task = asyncio.create_task(made.listen(listener))
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        listener.close()


# -- the client
@dataclass
class Got:
    """One answer as h11 read it; `complete` only where HTTP itself said that it ended."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False
    informational: list[int] = field(default_factory=list)
    trouble: str = ""
    """What h11 objected to, an early end too."""

    def note(self, event: object) -> None:
        """Take over one event of h11."""
        if isinstance(event, h11.InformationalResponse):
            self.informational.append(event.status_code)
        elif isinstance(event, h11.Response):
            self.status = event.status_code
            self.headers = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, h11.Data):
            self.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self.complete = True


class Client:
    """A connection to the sidecar: says bytes, and lets h11 judge what comes back."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._left = b""
        self.closed = False

    async def say(self, *pieces: bytes) -> None:
        """Send the pieces, each a read of its own at the other end."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):  # it need not listen to the end
            for piece in pieces:
                await loop.sock_sendall(self._peer, piece)
                await asyncio.sleep(0)

    async def hear(self) -> bytes:
        """Return the next bytes; empty once the other end has closed."""
        if self._left:
            data, self._left = self._left, b""
            return data
        async with bounded():
            try:
                data = await asyncio.get_running_loop().sock_recv(self._peer, 65536)
            except ConnectionError:
                data = b""
        self.closed = not data
        return data

    async def more(self) -> bool:
        """Whether another byte comes before the end."""
        self._left = await self.hear()
        return bool(self._left)

    async def answer(self, method: bytes = b"POST", got: Got | None = None) -> Got:
        """Read one answer. `got` may be looked at meanwhile."""
        reading = h11.Connection(h11.CLIENT)
        reading.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        reading.send(h11.EndOfMessage())
        got = Got() if got is None else got
        while not got.complete:
            try:
                event = reading.next_event()
            except h11.RemoteProtocolError as error:
                got.trouble = str(error)
                break
            if event is h11.NEED_DATA:
                reading.receive_data(await self.hear())
            elif isinstance(event, h11.ConnectionClosed):
                got.trouble = "closed without an answer"
                break
            else:
                got.note(event)
        self._left = reading.trailing_data[0]
        return got

    def leave(self, how: How = How.RST) -> None:
        """Go away."""
        if how is How.RST:
            self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._peer.close()


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Client]:
    """Connect to the sidecar."""
    peer = socket.socket()
    peer.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Client(peer)
    finally:
        peer.close()


def post(path: str, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The bytes of a request."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\n{more}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body
