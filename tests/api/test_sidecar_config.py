"""The file that sidecars read: what must not be sent to anybody is refused with it."""

from __future__ import annotations

import json

import pytest

from overspill.api.errors import InvalidConfig
from overspill.api.sidecar_config import parse_sidecar_config
from tests.sidecar.test_lifecycle import config

ELSEWHERE = [
    pytest.param("/var/run/secrets/kubernetes.io/serviceaccount/token", id="absolute"),
    pytest.param("../../../var/run/secrets/token", id="upwards"),
    pytest.param("credentials/../../passwd", id="upwards from a folder"),
    pytest.param("", id="nothing"),
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_key_is_no_other_file_of_the_pod(path: str) -> None:
    provider = config()["frontier"][0] | {"credentialFile": path}
    with pytest.raises(InvalidConfig, match=r"credentialFile.*beside the configuration file"):
        parse_sidecar_config(json.dumps(config(frontier=[provider])))


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_token_is_no_other_file_of_the_pod(path: str) -> None:
    lender = {"url": "https://evil.example", "caCertificate": "", "tokenFile": path}
    with pytest.raises(InvalidConfig, match=r"tokenFile.*beside the configuration file"):
        parse_sidecar_config(json.dumps(config(budget={"lender": lender})))


def test_files_beside_it_are_taken() -> None:
    lender = {"url": "https://operator.example", "caCertificate": ""}
    found = parse_sidecar_config(json.dumps(config(budget={"lender": lender})))
    assert found.frontier[0].credential_file == "credentials/opus"
    assert found.budget.lender is not None
    assert found.budget.lender.token_file == "token"
