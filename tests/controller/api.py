"""An API server in memory, with compare-and-swap, behind what `kube.Api` offers."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from overspill.controller.errors import Conflict, NotFound, Unavailable

if TYPE_CHECKING:
    from overspill.controller.keys import Manifest


@dataclass
class FakeApi:
    """Objects by path; a write must know the resourceVersion that is stored."""

    objects: dict[str, Manifest] = field(default_factory=dict)
    version: int = 0
    writes: int = 0
    down: bool = False
    after_write: Exception | None = None
    """What the writer hears though its write was done."""

    async def get(self, path: str, **params: str) -> Manifest:
        await self._arrive()
        if path not in self.objects:
            raise NotFound(404, path)
        return deepcopy(self.objects[path])

    async def metadata(self, path: str, **params: str) -> list[Manifest]:
        await self._arrive()
        label, _, value = params["labelSelector"].partition("=")
        found = [one["metadata"] for at, one in self.objects.items() if at.startswith(path)]
        return [{"metadata": deepcopy(m)} for m in found if m["labels"].get(label) == value]

    async def create(self, path: str, body: Manifest) -> Manifest:
        await self._arrive()
        return self._store(f"{path}/{body['metadata']['name']}", body, None)

    async def replace(self, path: str, body: Manifest) -> Manifest:
        await self._arrive()
        if path not in self.objects:
            raise NotFound(404, path)
        return self._store(path, body, body["metadata"]["resourceVersion"])

    async def delete(self, path: str, meta: Manifest) -> None:
        await self._arrive()
        if path not in self.objects:
            raise NotFound(404, path)
        if self.objects[path]["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise Conflict(409, "changed")
        del self.objects[path]

    async def _arrive(self) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("the API server did not answer")

    def _store(self, path: str, body: Manifest, read: str | None) -> Manifest:
        stored = self.objects.get(path)
        if (stored or {}).get("metadata", {}).get("resourceVersion") != read:
            raise Conflict(409, "changed")
        self.version, self.writes = self.version + 1, self.writes + 1
        meta = {**body["metadata"], "resourceVersion": str(self.version)}
        self.objects[path] = deepcopy({**body, "metadata": meta})
        if self.after_write:
            raise self.after_write
        return deepcopy(self.objects[path])
