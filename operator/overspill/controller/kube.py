"""Talking to the API server in plain JSON, with deadlines and errors that say whose turn it is.

`kubernetes.aio` gives credentials, TLS and connections; its models are left aside, because a
policy's target may be of any kind and everything here is read and patched as JSON.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import ApiClient, Configuration

from overspill.controller.errors import Conflict, NoCluster, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.controller.keys import Manifest

REQUEST_TIMEOUT_S: Final = 15.0
JSON: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
_PAGE: Final = 500
_TRY_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


async def load_config() -> Configuration:
    """Use the pod's service account, else KUBECONFIG. Raises: NoCluster where neither can be."""
    configuration = Configuration()
    try:
        kube_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except kube_config.ConfigException:
        try:
            await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        except Exception as error:  # the library's own, YAML's, and whatever a file's shape brings
            raise NoCluster(
                f"no cluster to ask: {error}; set KUBECONFIG to a file with a current-context"
            ) from None
    return configuration


class Api:
    """JSON in, JSON out. Raises: NotFound, Conflict, Refused, Unavailable."""

    def __init__(self, configuration: Configuration) -> None:
        self._client = ApiClient(configuration)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, path: str, **params: str) -> Manifest:
        """Read one object."""
        return await self.request("GET", path, params=params)

    async def items(self, path: str, **params: str) -> list[Manifest]:
        """List objects; resourceVersion=0 is answered from the API server's cache, in one page."""
        return await self._pages(path, params)

    async def _pages(
        self, path: str, params: Mapping[str, str], accept: str = JSON
    ) -> list[Manifest]:
        page = {} if params.get("resourceVersion") == "0" else {"limit": str(_PAGE)}
        found: list[Manifest] = []
        more = ""
        while True:
            asked = {**params, **page, **({"continue": more} if more else {})}
            answer = await self.request("GET", path, params=asked, accept=accept)
            found += answer.get("items") or ()
            more = (answer.get("metadata") or {}).get("continue", "")
            if not more:
                return found

    async def metadata(self, path: str, **params: str) -> list[Manifest]:
        """List objects with their metadata only."""
        return await self._pages(path, params, accept=METADATA)

    async def create(self, path: str, body: Manifest) -> Manifest:
        """Create one object. Raises: Conflict where it is there already."""
        return await self.request("POST", path, body=body)

    async def replace(self, path: str, body: Manifest) -> Manifest:
        """Put an object as a whole. Raises: Conflict where its resourceVersion has moved on."""
        return await self.request("PUT", path, body=body)

    async def patch(
        self, path: str, body: Manifest | list[Any], kind: str = MERGE_PATCH, **params: str
    ) -> Manifest:
        """Change parts of an object."""
        return await self.request("PATCH", path, body=body, content_type=kind, params=params)

    async def delete(self, path: str, meta: Manifest) -> None:
        """Delete an object as it was read. Raises: Conflict where it has changed."""
        exactly = {name: meta[name] for name in ("uid", "resourceVersion")}
        await self.request("DELETE", path, body={"preconditions": exactly})

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content_type: str = JSON,
        params: Mapping[str, str] | None = None,
        accept: str = JSON,
    ) -> Manifest:
        """Send one request and return the JSON that comes back."""
        _check(path)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                status, data = await self._exchange(
                    method, path, body, {"Accept": accept, "Content-Type": content_type}, params
                )
        except (aiohttp.ClientError, TimeoutError, OSError, kube_config.ConfigException) as error:
            said = str(error) or type(error).__name__
            raise Unavailable(f"{method} {path}: the API server did not answer: {said}") from error
        if status >= 400:
            raise refusal(status, f"{method} {path}: {_message(data)}")
        return _read(data, f"{method} {path}")

    async def _exchange(
        self,
        method: str,
        path: str,
        body: object,
        headers: dict[str, str],
        params: Mapping[str, str] | None,
    ) -> tuple[int, bytes]:
        request = await self._client.param_serialize(
            method,
            path,
            query_params=list((params or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        response = await self._client.call_api(*request, _request_timeout=REQUEST_TIMEOUT_S)
        data: bytes = await response.read()  # type: ignore[no-untyped-call]
        return response.status, data


def _check(path: str) -> None:
    """Refuse what would lead elsewhere than it says: names in it come from users and sidecars."""
    if {".", ".."} & set(path.split("/")) or set("%?#\\") & set(path):
        raise Refused(400, f"{path}: a name in it is none that Kubernetes gives")


def refusal(status: int, message: str) -> Exception:
    """Name an HTTP status by whose turn it is."""
    if status in _TRY_AGAIN:
        return Unavailable(message)
    return {404: NotFound, 409: Conflict}.get(status, Refused)(status, message)


def _read(data: bytes, what: str) -> Manifest:
    try:
        answer: Manifest = json.loads(data) if data else {}
    except ValueError as error:  # a proxy's page, or an answer that broke off
        raise Unavailable(f"{what}: the answer is no JSON: {error}") from None
    return answer


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data[:200].decode(errors="replace")
