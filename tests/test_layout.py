"""The repository's own promises."""

from __future__ import annotations

import operator
import re
from pathlib import Path

import pytest

import overspill

ROOT = Path(__file__).parents[1]


def test_operator_is_only_a_source_root_and_does_not_shadow_the_standard_library() -> None:
    assert {path.name for path in (ROOT / "operator").iterdir()} - {"__pycache__"} == {"overspill"}
    assert operator.add(1, 1) == 2


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## {overspill.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("lock", ["runtime.lock", "dev.lock"])
def test_every_locked_dependency_is_pinned_by_hash(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    pins = re.findall(r"^\S+==.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(pins) > 20
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_the_runtime_lock_is_part_of_the_dev_lock() -> None:
    def pins(lock: str) -> set[str]:
        text = (ROOT / "requirements" / lock).read_text()
        return set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE))

    assert pins("runtime.lock") <= pins("dev.lock")


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        (path.name, target)
        for path in documents
        for target in re.findall(r"`?make ([a-z][a-z0-9-]*)\b(?=[` \n]|$)", path.read_text())
    }
    assert {(name, target) for name, target in named if target not in targets} == set()


def test_every_relative_link_in_the_documents_leads_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        (path.name, link)
        for path in documents
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text())
        if not (path.parent / link).exists()
    ]
    assert broken == []
