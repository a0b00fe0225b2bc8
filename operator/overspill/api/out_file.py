"""A file that a command is to write: refused before the work, not after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from overspill.api.errors import OverspillError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class CannotWrite(OverspillError):
    """No file can be written there; says what to name instead."""


def check_writable(option: str, path: Path, read: Iterable[Path | None] = ()) -> None:
    """Look whether the file that `option` names can be written, and is none of those that are read.

    Raises: CannotWrite.
    """
    if any(one is not None and _same(one, path) for one in read):
        raise CannotWrite(f"{option} {path}: is read too, and would be lost; name another file")
    if path.is_dir():
        raise CannotWrite(f"{option} {path}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise CannotWrite(f"{option} {path}: there is no folder {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CannotWrite(f"{option} {path}: may not be written; name another file")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
