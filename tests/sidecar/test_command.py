"""What a sidecar that runs alone says of flags that it cannot use."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from overspill.sidecar import command

EXAMPLE = Path(__file__).parents[2] / "manifests" / "examples" / "contracts.yaml"


@pytest.mark.parametrize(
    ("flag", "value", "remedy"),
    [
        pytest.param("--listen", "4000", "write HOST:PORT", id="no host"),
        pytest.param("--listen", "127.0.0.1:99999", "write HOST:PORT", id="no such port"),
        pytest.param("--small", "glm", "must be host:port such as 10.0.0.1:8000", id="no port"),
    ],
)
def test_an_address_that_is_none_is_refused(
    flag: str, value: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    args = parser.parse_args(["--policy", str(EXAMPLE), "--admin-listen", "127.0.0.1:0"])
    setattr(args, flag.removeprefix("--"), value)
    assert command.run(args) == 2
    assert remedy in capsys.readouterr().err
