"""Markdown tables, written and read again: what is concluded is concluded from what is shown."""

import re
import statistics
from collections.abc import Mapping, Sequence

Figures = dict[str, list[float]]  # what, with its unit: as often as it was measured
Read = dict[str, dict[str, float]]  # of a table: row, column, the first number of the cell


def table(rows: Mapping[str, Figures], corner: str = "") -> str:
    """A row each, a column a figure: the median, and the range if there is one."""
    columns = list(dict.fromkeys(what for figures in rows.values() for what in figures))
    lines = [f"| {corner} | " + " | ".join(columns) + " |", "|---" + "|---:" * len(columns) + "|"]
    for name, figures in rows.items():
        cells = (shown(figures[what]) if what in figures else "" for what in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(values: Sequence[float]) -> str:
    text = number(statistics.median(values))
    if min(values) == max(values):
        return text
    return f"{text} ({number(min(values))}–{number(max(values))})"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def read(text: str) -> Read:
    """All tables of a text, as one."""
    found: Read = {}
    columns: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            columns = []
            continue
        name, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
        if not columns:
            columns = cells
        elif not set(line) <= set("|-: "):
            row = found.setdefault(name, {})
            for column, cell in zip(columns, cells, strict=False):
                if match := re.match(r"-?[\d,]+(\.\d+)?", cell):
                    row[column] = float(match[0].replace(",", ""))
    return found
