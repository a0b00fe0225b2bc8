"""A build context: which files count, by .dockerignore, and the hash over them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Rule = tuple[re.Pattern[str], bool]


def ignore_file(dockerfile: Path, context: Path) -> Path | None:
    """`X.dockerignore` beside the Dockerfile X wins over the context's own."""
    beside = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    candidates = (beside, context / ".dockerignore")
    return next((path for path in candidates if path.is_file()), None)


def rules(text: str) -> list[Rule]:
    """Patterns in order, with whether a hit ignores; the last hit decides."""
    found = []
    for line in text.splitlines():
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        ignores = not bare.startswith("!")
        pattern = bare.removeprefix("!").strip().strip("/").removeprefix("./")
        found.append((_compiled(pattern), ignores))
    return found


def _compiled(pattern: str) -> re.Pattern[str]:
    """Docker's matching: `**` spans folders, `*` and `?` do not; a folder covers what is in it."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", pattern)
    glob = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "": ""}
    regex = "".join(
        glob[part] if part in glob else part if part.startswith("[") else re.escape(part)
        for part in parts
    )
    return re.compile("(?s:.*)" if pattern == "." else f"{regex}(?:/.*)?", re.DOTALL)


def ignored(path: str, chosen: Sequence[Rule]) -> bool:
    """Whether a relative path is left out."""
    out = False
    for pattern, ignores in chosen:
        if pattern.fullmatch(path):
            out = ignores
    return out


def files(context: Path, chosen: Sequence[Rule]) -> Iterator[Path]:
    """All files that count, sorted within each folder.

    An ignored folder is not walked at all unless a `!` rule might bring some of it back.
    """
    exceptions = any(not ignores for _, ignores in chosen)
    for folder, names, leaves in os.walk(context):
        here = Path(folder)
        links = [name for name in names if (here / name).is_symlink()]
        kept = [
            name
            for name in sorted(set(names) - set(links))
            if exceptions or not ignored((here / name).relative_to(context).as_posix(), chosen)
        ]
        names[:] = kept
        for name in sorted([*leaves, *links]):
            if not ignored((here / name).relative_to(context).as_posix(), chosen):
                yield here / name


def digest(context: Path, chosen: Sequence[Rule], *more: str) -> str:
    """Over names, modes and contents of the files, and over `more`."""
    total = hashlib.sha256()
    for text in more:
        total.update(hashlib.sha256(text.encode()).digest())
    for path in files(context, chosen):
        mode = path.lstat().st_mode
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        total.update(f"{path.relative_to(context)}\0{mode:o}\0".encode())
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:16]
