"""The sidecar's line to the operator: JSON over HTTPS, with the token that says which pod it is."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Final

from overspill.api.errors import OverspillError
from overspill.sidecar.upstream import Origin, Pool, UpstreamError

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.api.sidecar_config import LenderConfig

ANSWER_S: Final = 5.0
"""The longest that an answer may take."""
ASK_AGAIN_S: Final = (0.7, 1.4)
"""After so long without an answer, another replica is asked too. A connection to a pod that has
vanished says nothing, and what comes twice is answered as before."""
WORDS_SHOWN: Final = 300
"""Of an error that is not ours."""


class NotAnswered(OverspillError):
    """The operator did not answer, or answered no; the message says why."""


class Link:
    """The operator, as a sidecar asks it."""

    def __init__(self, config: LenderConfig, folder: Path) -> None:
        """Raises: ValueError where the certificate is none."""
        url = str(config.url).rstrip("/")
        self._origin, trust = Origin.of(url), None
        try:
            if self._origin.tls:
                trust = ssl.create_default_context(cadata=config.ca_certificate)
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(f"{config.url}: its caCertificate is not PEM: {error}") from None
        self._base = url.partition("://")[2].partition("/")[2]
        self._token = folder / config.token_file
        self._pool, self._now_s = Pool(trust), asyncio.get_running_loop().time

    @property
    def name(self) -> str:
        """Who it is, as errors say it."""
        return self._origin.authority

    async def post(self, path: str, raw: bytes) -> bytes:
        """Send JSON and return the JSON that comes back. Raises: NotAnswered."""
        status, answer = await self._first_answer(self._head(path), raw)
        if status != 200:
            raise NotAnswered(f"{self.name}: {status}, {_words(answer)}")
        return answer

    async def _first_answer(self, head: bytes, raw: bytes) -> tuple[int, bytes]:
        """Ask, again where nothing comes or a connection fails, and take what comes first."""
        deadline_s = self._now_s() + ANSWER_S
        patience_s = list(ASK_AGAIN_S)
        asking = {asyncio.create_task(self._ask(head, raw, deadline_s))}
        trouble: BaseException | None = None
        try:
            while asking:
                ended, asking = await asyncio.wait(
                    asking,
                    timeout=patience_s[0] if patience_s else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for one in ended:
                    trouble = one.exception()
                    if not isinstance(trouble, UpstreamError):
                        return one.result()
                if patience_s:
                    del patience_s[0]
                    asking.add(asyncio.create_task(self._ask(head, raw, deadline_s)))
        finally:
            for task in asking:
                task.cancel()
        raise NotAnswered(f"{self.name}: {trouble}")

    async def _ask(self, head: bytes, raw: bytes, deadline_s: float) -> tuple[int, bytes]:
        response = await self._pool.post(self._origin, head, raw, deadline_s=deadline_s)
        async with response:
            return response.status, await response.read_all()

    def _head(self, path: str) -> bytes:
        lines = (
            f"POST {f'/{self._base}'.rstrip('/')}{path} HTTP/1.1",
            f"host: {self._origin.authority}",
            f"authorization: Bearer {self._read_token()}",
            "content-type: application/json",
            "",
        )
        return "\r\n".join(lines).encode("latin-1")

    def _read_token(self) -> str:
        """Read it anew: the kubelet renews it."""
        try:
            token = self._token.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NotAnswered(f"{self._token} cannot be read: {error}") from None
        if not token or not token.isascii() or not token.isprintable():
            raise NotAnswered(f"{self._token} holds no token")
        return token

    def close(self) -> None:
        """Let its connections go."""
        self._pool.close()


def _words(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer[:WORDS_SHOWN].decode("latin-1")
