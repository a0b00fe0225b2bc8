"""How a provider is spoken to, by where it stands in a policy and whose host it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overspill.api import parse_policy
from overspill.controller.keys import PolicyKey
from overspill.controller.publication import sidecar_config
from overspill.sidecar.runtime import compile_runtime
from tests.api.policies import policy

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.wire.ask import Target

NEWER, OLDER = "max_completion_tokens", "max_tokens"


def target(folder: Path, place: str, base_url: str) -> Target:
    """The provider at this URL, first in that list of a policy."""
    provider = policy()["frontier"][0] | {"name": "one", "api": "OpenAI", "baseURL": base_url}
    spec = parse_policy(policy(**{place: [provider]}))
    config = sidecar_config(
        PolicyKey("legal", "contracts"), 1, spec, endpoints=[], running_sidecars=1, budget=None
    )
    runtime = compile_runtime(config, folder)
    return next(one.target for one in runtime.providers if one.name == "one")


@pytest.mark.parametrize(
    ("place", "base_url", "limit", "open_model"),
    [
        pytest.param("frontier", "https://api.openai.com/v1", NEWER, False, id="OpenAI"),
        pytest.param("frontier", "https://x.openai.azure.com/openai/v1", NEWER, False, id="Azure"),
        pytest.param("hosted", "https://api.openai.com/v1", NEWER, False, id="OpenAI as a host"),
        pytest.param("frontier", "https://api.mistral.ai/v1", OLDER, False, id="another frontier"),
        pytest.param("hosted", "https://api.together.xyz/v1", OLDER, True, id="a host"),
    ],
)
def test_a_limit_of_output_goes_by_the_name_that_the_host_knows(
    tmp_path: Path, place: str, base_url: str, limit: str, open_model: bool
) -> None:
    found = target(tmp_path, place, base_url)
    assert (found.chat_limit, found.open_model) == (limit, open_model)
