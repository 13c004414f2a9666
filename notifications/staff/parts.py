"""Parts of live pages as HTML, by name: the page is made of them, and its stream renews them."""

from typing import Any

from django.template.loader import render_to_string

from .charts import Chart

FOLDER = "admin/notifications/process/"

Parts = dict[str, str]


def render(part: str, **context: Any) -> str:
    return render_to_string(f"{FOLDER}{part}.html", context)


def drawn(chart: Chart) -> Parts:
    """A chart, and its numbers as a table."""
    return {
        chart.name: render("chart", chart=chart),
        f"{chart.name}_table": render("table", head=chart.head, rows=chart.rows),
    }
