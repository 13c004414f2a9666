"""docs/running.md: what is calculated there follows from what was measured."""

import pytest

from tests.test_docs import TEXTS, table

ONE, MILLION = TEXTS["docs/running.md"].split("\nA million readers")
SERVERS = ["daphne", "uvicorn"]


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("what", "calculation", "values"),
    [(row[0], row[1], row[2:]) for part in (ONE, MILLION) for row in table(part, "result")],
)
def test_a_result_is_what_the_figures_give(what, calculation, values, server):
    column = SERVERS.index(server)
    figures = {name.strip("`"): number(row[column]) for name, *row in table(ONE, "quantity")}
    found = eval(calculation.strip("`"), {"streams": 10_000, "users": 1_000_000, **figures})
    assert number(values[column]) == pytest.approx(found, rel=0.05)
