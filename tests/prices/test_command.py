"""`overspill prices`, as it is typed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from overspill.cli import main
from tests.prices.test_fill import BARE, EXAMPLE, OPUS, price_of

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = "List prices of 2026-11-24"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(BARE)
    return path


def test_all_prices_are_printed_in_columns_with_their_date(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["prices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "model",
        "input",
        "cached",
        "write",
        "output",
        "long",
        "window",
        "retires",
    ]
    assert len(lines) > 50
    assert lines[-1].startswith(ORIGIN)
    assert len({line.index("  ") for line in lines[:1]}) == 1


def test_words_choose_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "OPUS-5-5", "gpt-5.6-luna"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["gpt-5.6-luna", "claude-opus-5-5"]
    assert "0.4/1.8 above 272000" in lines[1]


def test_json_has_prices_as_a_policy_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--json", "claude-opus-4-8"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["date"] == "2026-11-24"
    assert "LiteLLM" in told["source"]
    assert told["models"] == {
        "claude-opus-4-8": {
            "provider": "anthropic",
            "price": OPUS,
            "contextWindow": 1000000,
            "maxOutputTokens": 128000,
            "retires": None,
        }
    }


def test_a_policy_is_printed_with_its_prices_and_the_file_stays(
    bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prices", "--policy", str(bare)]) == 0
    told = capsys.readouterr()
    assert price_of(told.out) == OPUS
    assert "spec.frontier[0].price: filled in, that of claude-opus-4-8" in told.err
    assert ORIGIN in told.err
    assert bare.read_text() == BARE


def test_a_policy_is_edited_in_place(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--policy", str(bare), "--write"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert ORIGIN in told.err
    assert price_of(bare.read_text()) == OPUS
    assert main(["prices", "--policy", str(bare), "--write"]) == 0
    assert "filled in" not in capsys.readouterr().err


def test_another_table_is_used(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = bare.with_name("prices.json")
    table.write_text(
        json.dumps(
            {
                "date": "2027-01-02",
                "source": "our contract",
                "models": {
                    "claude-opus-4-8": {"input_usd_per_mtok": 3, "output_usd_per_mtok": 20.5}
                },
            }
        )
    )
    assert main(["prices", "--policy", str(bare), "--table", str(table)]) == 0
    told = capsys.readouterr()
    assert price_of(told.out) == {"inputPerMTok": "3", "outputPerMTok": "20.5"}
    assert "List prices of 2027-01-02 in USD per million tokens. Source: our contract." in told.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["zzz"], "no model has zzz in its name", id="no such model"),
        pytest.param(["--write"], "name it with --policy FILE", id="nothing to write"),
        pytest.param(["--policy", "x", "opus"], "leave the words and --json out", id="both"),
        pytest.param(["--policy", "missing.yaml"], "missing.yaml", id="no such file"),
        pytest.param(["--table", "missing.json"], "missing.json", id="no such table"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_the_remedy(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prices", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("overspill prices: ")
    assert told in err


def test_an_unknown_model_exits_with_2_and_changes_nothing(
    bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = BARE.replace("claude-opus-4-8", "claude-opus-4-9")
    bare.write_text(text)
    assert main(["prices", "--policy", str(bare), "--write"]) == 2
    told = capsys.readouterr()
    assert f"overspill prices: {bare}: spec.frontier[0].price: the table of" in told.err
    assert "nearest: claude-opus-4-" in told.err
    assert bare.read_text() == text


def test_a_policy_that_is_wrong_is_told_by_its_path(
    bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare.write_text(EXAMPLE.replace("mode: Enforce", "mode: Sometimes"))
    assert main(["prices", "--policy", str(bare)]) == 2
    assert f"{bare}: spec.mode: " in capsys.readouterr().err
    bare.write_bytes(b"\xff")
    assert main(["prices", "--policy", str(bare)]) == 2
    assert "is not UTF-8 text" in capsys.readouterr().err


def test_a_terminal_gets_a_drawn_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["prices", "opus-5-5"]) == 0
    out = capsys.readouterr().out
    assert "─" in out
    assert "claude-opus-5-5" in out
    assert ORIGIN in out
