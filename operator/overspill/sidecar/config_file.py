"""The mounted configuration: read when it changes, kept when the new one is bad."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from overspill.api.errors import InvalidConfig
from overspill.api.sidecar_config import parse_sidecar_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.api.sidecar_config import SidecarConfig

log = logging.getLogger(__name__)


class ConfigFile:
    """A file that is swapped under us (the kubelet swaps a symbolic link)."""

    def __init__(self, path: Path, use: Callable[[SidecarConfig], None]) -> None:
        self._path, self._use = path, use
        self._stamp: tuple[int, int, int] | None = None
        self.problem = f"{path} is not there yet"

    def look(self) -> None:
        """Read the file if it changed; a bad or missing one leaves the last good one in force."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp == self._stamp:
                self.problem = ""
                return
            config = parse_sidecar_config(self._path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, InvalidConfig) as error:
            self._complain(str(error))
            return
        try:
            self._use(config)
        except Exception as error:  # a fault of ours, and no reason to look at no other file
            trouble = f"generation {config.generation} cannot be used: {error!r}"
            self._complain(trouble, error)
            return
        self._stamp, self.problem = stamp, ""
        log.info(json.dumps({"event": "configured", "generation": config.generation}))

    def _complain(self, problem: str, fault: Exception | None = None) -> None:
        if problem != self.problem:
            self.problem = problem
            told = {"event": "configuration refused", "problem": problem}
            log.error(json.dumps(told), exc_info=fault)
