"""Files that are to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overspill.api.out_file import CannotWrite, check_writable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["new.png", "old.png"])
def test_a_file_may_be_new_or_written_anew(tmp_path: Path, name: str) -> None:
    (tmp_path / "old.png").touch()
    check_writable("--plot", tmp_path / name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param(".", "is a folder; name a file in it", id="a folder"),
        pytest.param("gone/x.png", "there is no folder .*gone; make it first", id="no folder"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(CannotWrite, match=f"--plot .*: {said}"):
        check_writable("--plot", tmp_path / name)


def test_what_is_read_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "graded.jsonl").touch()
    read = (None, tmp_path / "gone", tmp_path / "graded.jsonl")
    with pytest.raises(CannotWrite, match="is read too, and would be lost"):
        check_writable("--write", tmp_path / "." / "graded.jsonl", read)


def test_what_may_not_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(CannotWrite, match="may not be written; name another file"):
        check_writable("--plot", tmp_path / "x.png")
