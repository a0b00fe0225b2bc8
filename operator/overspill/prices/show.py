"""A table of prices for people, for other programs' columns, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table as Drawn

if TYPE_CHECKING:
    from decimal import Decimal

    from overspill.prices.table import Entry, Table

COLUMNS: Final = ("model", "input", "cached", "write", "output", "long", "window", "retires")
TEXTS: Final = ("model", "long", "retires")


def as_json(table: Table) -> dict[str, Any]:
    """Return everything as plain JSON values; prices as a policy has them."""
    return {
        "date": table.date,
        "source": table.source,
        "models": {
            entry.model: {
                "provider": entry.provider,
                "price": entry.price.to_json(),
                "contextWindow": entry.context_window,
                "maxOutputTokens": entry.max_output_tokens,
                "retires": entry.retires,
            }
            for entry in table.entries
        },
    }


def as_table(table: Table) -> Drawn:
    """Draw it for a terminal."""
    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        long = name == "model"
        drawn.add_column(
            name, justify="left" if name in TEXTS else "right", overflow="fold", no_wrap=not long
        )
    for entry in table.entries:
        drawn.add_row(*_row(entry))
    return drawn


def as_columns(table: Table) -> str:
    """Return lines of columns with two spaces between them, none of them cut."""
    rows = [COLUMNS, *(_row(entry) for entry in table.entries)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if name in TEXTS else cell.rjust(width)
            for name, cell, width in zip(COLUMNS, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def _row(entry: Entry) -> tuple[str, ...]:
    price, window = entry.price, entry.context_window
    far = price.long_context
    return (
        entry.model,
        _usd(price.input_per_m_tok),
        _usd(price.cached_input_per_m_tok),
        _usd(price.cache_write_per_m_tok),
        _usd(price.output_per_m_tok),
        f"{_usd(far.input_per_m_tok)}/{_usd(far.output_per_m_tok)} above {far.above_input_tokens}"
        if far
        else "-",
        str(window) if window else "-",
        entry.retires or "-",
    )


def _usd(value: Decimal | None) -> str:
    return "-" if value is None else format(value, "f")
