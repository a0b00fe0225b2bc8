"""A policy in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from overspill.api import InvalidPolicy, parse_policy
from overspill.api.policy_file import PolicyFile, read_policy
from tests.api.policies import policy

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> PolicyFile:
    (folder / "policy.yaml").write_text(text)
    return read_policy(folder / "policy.yaml")


@pytest.mark.parametrize(
    ("whole", "name", "namespace"),
    [
        pytest.param(
            {"metadata": {"name": "contracts", "namespace": "legal"}, "spec": policy()},
            "contracts", "legal", id="as kubectl takes it",
        ),
        pytest.param({"metadata": {"name": "x"}, "spec": policy()}, "x", "default",
                     id="no namespace"),
        pytest.param(policy(), "policy", "default", id="the spec alone"),
    ],
)  # fmt: skip
def test_a_policy_is_read(
    tmp_path: Path, whole: dict[str, object], name: str, namespace: str
) -> None:
    found = read(tmp_path, yaml.safe_dump(whole))
    assert found == PolicyFile(name=name, namespace=namespace, spec=parse_policy(policy()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "policy.yaml: is empty; write", id="empty"),
        pytest.param("- 1", "policy.yaml: is no object; write", id="a list"),
        pytest.param("kind: ConfigMap", "has kind 'ConfigMap' and no spec", id="another kind"),
        pytest.param("[" * 5000, "nested too deeply", id="no end of brackets"),
        pytest.param("spec: {mode: Never}", "spec.mode", id="an invalid field"),
        pytest.param("a: [", "is not one YAML document", id="no YAML"),
        pytest.param("a: 2026-13-01", "is not one YAML document", id="the 13th month"),
        pytest.param("a: 1\n---\nb: 2", "is not one YAML document", id="two documents"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidPolicy, match=said):
        read(tmp_path, text)
