"""The repository's own promises."""

from __future__ import annotations

import ast
import operator
import re
import sys
import tarfile
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder
from hypothesis import settings

import overspill
from e2e.cluster import context

ROOT = Path(__file__).parents[1]


def test_operator_is_only_a_source_root_and_does_not_shadow_the_standard_library() -> None:
    assert {path.name for path in (ROOT / "operator").iterdir()} - {"__pycache__"} == {"overspill"}
    assert operator.add(1, 1) == 2


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## {overspill.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_chart_and_the_commands_in_the_documents_are_of_this_version() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "overspill" / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == overspill.__version__
    texts = [(ROOT / name).read_text() for name in ("README.md", "docs/install.md")]
    tags = {tag for text in texts for tag in re.findall(r"/overspill:([0-9][\w.]*)", text)}
    assert tags == {overspill.__version__}


def test_the_package_declares_what_it_imports_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    declared = {re.split(r"[^\w-]", one)[0].lower() for one in wanted}
    named = {"pyyaml": "yaml", "opentelemetry-exporter-otlp-proto-http": "opentelemetry"}
    named |= {"opentelemetry-sdk": "opentelemetry"}
    modules = {named.get(one, one.replace("-", "_")) for one in declared}
    assert modules == _imported() - {"pydantic_core"}  # pydantic pins its core itself


def _imported() -> set[str]:
    """Packages of others that ours imports, at the top or inside of functions."""
    found: set[str] = set()
    for path in (ROOT / "operator" / "overspill").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"overspill"}


def test_the_source_archive_holds_what_builds_and_installs_and_no_tests(tmp_path: Path) -> None:
    (built,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    metadata = {"PKG-INFO", "pyproject.toml", ".gitignore"}
    folders = {"operator", "charts", "crds", "manifests", "docs"}
    assert {name.partition("/")[0] for name in names} - metadata == folders | {
        *("README.md", "LICENSE", "CHANGELOG.md"),
    }
    package = "operator/overspill"
    data = {f"{package}/{name}" for name in ("prices/table.json", "routing/prior.json", "py.typed")}
    assert data | {f"{package}/learning/prior.seen"} <= names


@pytest.mark.parametrize(
    "dockerfile", ["Dockerfile", "e2e/models/Dockerfile", "e2e/app/Dockerfile"]
)
def test_what_an_image_copies_is_part_of_its_build_context(dockerfile: str) -> None:
    rules = context.rules((ROOT / ".dockerignore").read_text())
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (ROOT / dockerfile).read_text(), re.MULTILINE)
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert not context.ignored(source.rstrip("/"), rules), source


def test_no_property_test_judges_speed() -> None:
    assert settings().deadline is None


def test_the_image_brings_its_licence() -> None:
    assert re.search(r"^COPY LICENSE ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


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
