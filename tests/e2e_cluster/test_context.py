"""An image is built again when, and only when, a file that counts has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.cluster import context

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "path", "out"),
    [
        pytest.param("build", "build", True, id="the folder"),
        pytest.param("build/", "build/a/b", True, id="what is in it"),
        pytest.param("build", "src/build", False, id="only at the top"),
        pytest.param("**/build", "src/build/x", True, id="anywhere"),
        pytest.param("**/build", "build/x", True, id="anywhere, the top included"),
        pytest.param("*.md", "README.md", True, id="star"),
        pytest.param("*.md", "docs/x.md", False, id="star stays in its folder"),
        pytest.param("**/*.py[co]", "a/b.pyc", True, id="class of characters"),
        pytest.param("*\n!src\n", "src/a.py", False, id="exception"),
        pytest.param("*\n!src\nsrc/b*\n", "src/b.py", True, id="the last rule decides"),
        pytest.param("# x\n\n./a\n", "a", True, id="comments and ./"),
        pytest.param("a.c", "abc", False, id="a dot is a dot"),
    ],
)
def test_dockerignore(text: str, path: str, out: bool) -> None:
    assert context.ignored(path, context.rules(text)) is out


def test_the_digest_sees_names_contents_and_modes_but_no_ignored_file(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    file = tmp_path / "src" / "a.py"
    file.write_text("1")
    rules = context.rules(".git\n")
    first = context.digest(tmp_path, rules, "FROM x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("x")
    assert context.digest(tmp_path, rules, "FROM x") == first
    assert context.digest(tmp_path, rules, "FROM y") != first
    file.chmod(0o755)
    second = context.digest(tmp_path, rules, "FROM x")
    file.write_text("2")
    third = context.digest(tmp_path, rules, "FROM x")
    file.rename(tmp_path / "src" / "b.py")
    fourth = context.digest(tmp_path, rules, "FROM x")
    assert len({first, second, third, fourth}) == 4


def test_the_ignore_file_beside_the_dockerfile_wins(tmp_path: Path) -> None:
    dockerfile = tmp_path / "sub" / "Dockerfile"
    dockerfile.parent.mkdir()
    assert context.ignore_file(dockerfile, tmp_path) is None
    own = tmp_path / ".dockerignore"
    own.touch()
    assert context.ignore_file(dockerfile, tmp_path) == own
    beside = tmp_path / "sub" / "Dockerfile.dockerignore"
    beside.touch()
    assert context.ignore_file(dockerfile, tmp_path) == beside
