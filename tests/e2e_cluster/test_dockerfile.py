"""Dockerfiles are read as BuildKit reads them."""

from __future__ import annotations

import pytest

from e2e.cluster import dockerfile

STAGES = """# syntax=docker/dockerfile:1
ARG PY=3.11
FROM --platform=$BUILDPLATFORM python:${PY}-slim AS build
RUN pip install \\
    # RUN in a comment
    a \\
    b
RUN <<EOF
RUN not an instruction
FROM nor:this
EOF
FROM build AS test
FROM scratch
COPY --from=build /a /a
FROM python:3.11-slim
"""


def test_bases_are_images_and_not_stages() -> None:
    assert dockerfile.bases(STAGES) == ["python:3.11-slim"]
    assert dockerfile.bases("from node:22 as x\nFROM x\n") == ["node:22"]


def test_each_run_gets_the_secrets_and_the_syntax_line_goes() -> None:
    changed = dockerfile.with_secrets(STAGES, ["id=A,env=A"])
    assert "syntax" not in changed
    assert changed.count("--mount=type=secret,id=A,env=A") == 2
    assert "RUN --mount=type=secret,id=A,env=A pip install \\\n" in changed
    assert "\nRUN not an instruction\n" in changed
    assert dockerfile.with_secrets("RUN x\n", []) == "RUN x\n"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("python:3.11-slim", "3.11"),
        ("library/python:3.11.9-slim-bookworm", "3.11.9"),
        ("python:3-slim@sha256:0123", "3"),
        ("python:3.11", None),
        ("python:3.11-alpine", None),
        ("other/python:3.11-slim", None),
    ],
)
def test_only_the_slim_python_image_can_be_stood_in_for(name: str, version: str | None) -> None:
    assert dockerfile.python_version(name) == version
