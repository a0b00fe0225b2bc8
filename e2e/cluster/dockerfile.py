"""Reading a Dockerfile: what it builds on, and letting RUN see this machine's pip settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SYNTAX = re.compile(r"^#\s*syntax\s*=", re.IGNORECASE)
_HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")
_ARG = re.compile(r"^\s*ARG\s+(\w+)=(\S+)", re.IGNORECASE)
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_RUN = re.compile(r"^(\s*RUN)(?=\s)", re.IGNORECASE)
_PYTHON = re.compile(r"(?:library/)?python:(3(?:\.\d+)*)-slim\S*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and whether an instruction starts on it."""

    text: str
    starts: bool


def lines(text: str) -> Iterator[Line]:
    """All lines but `# syntax=`, which would make BuildKit reach for a registry."""
    goes_on = False
    ends: list[str] = []
    for line in text.splitlines():
        bare = line.strip()
        if ends:
            ends = ends[1:] if bare == ends[0] else ends
            yield Line(line, starts=False)
            continue
        if _SYNTAX.match(bare):
            continue
        comment = not bare or bare.startswith("#")
        yield Line(line, starts=not goes_on and not comment)
        if not comment:  # a comment inside a continued instruction does not end it
            goes_on = bare.endswith("\\")
            ends = _HEREDOC.findall(line)


def bases(text: str) -> list[str]:
    """Names behind FROM that are no earlier stage, with ARG defaults filled in."""
    values: dict[str, str] = {}
    found: list[str] = []
    stages: set[str] = {"scratch"}
    for line in lines(text):
        if line.starts and (arg := _ARG.match(line.text)):
            values[arg[1]] = arg[2].strip("\"'")
        if line.starts and (base := _FROM.match(line.text)):
            name = _filled(base[1], values)
            if name not in stages and name not in found:
                found.append(name)
            stages.add(base[2] or "")
    return found


def _filled(name: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda hit: values.get(hit[1], hit[0]), name.strip("\"'"))


def python_version(base: str) -> str | None:
    """`3.11` for any spelling of the slim Python image, None for another image."""
    hit = _PYTHON.fullmatch(base)
    return hit[1] if hit else None


def with_secrets(text: str, mounts: Iterable[str]) -> str:
    """The Dockerfile with these secrets mounted in every RUN; none of it stays in the image."""
    flags = "".join(f" --mount=type=secret,{mount}" for mount in mounts)
    changed = (_RUN.sub(rf"\1{flags}", li.text) if li.starts else li.text for li in lines(text))
    return "\n".join(changed) + "\n"
