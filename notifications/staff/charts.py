"""Charts as SVG, made here: they need no script, and look the same printed, paused and live.

A chart says in one sentence what it shows (`label`), and its numbers are beside it as a table.
Lines differ by their dashes, areas by their tone and edge; colour only helps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log10
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT = 240, 64
EDGE = 2  # so that a line at the top or the bottom is seen whole

Values = Sequence[float | None]


@dataclass
class Chart:
    """`range` says what its lower and upper edge are. `key`: class and name of each part."""

    name: str
    label: str
    svg: SafeString
    range: tuple[str, str]
    key: list[tuple[str, str]] = field(default_factory=list)
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()


def svg(label: str, *parts: SafeString) -> SafeString:
    return format_html(
        '<svg role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" height="{}" '
        'preserveAspectRatio="none">{}</svg>',
        label, WIDTH, HEIGHT, WIDTH, HEIGHT, format_html_join("", "{}", ((p,) for p in parts)),
    )  # fmt: skip


def line(look: str, values: Values, low: float, high: float) -> SafeString:
    """None is a gap: nothing was measured, which is not nothing."""
    steps, up = [], True
    for n, value in enumerate(values):
        if value is None:
            up = True
            continue
        x, y = _x(n, len(values)), _y(value, low, high)
        # A point between two gaps is seen as a dot: the ends of lines are round.
        steps.append(f"M{x:g} {y:g}h0" if up else f"L{x:g} {y:g}")
        up = False
    return format_html('<path class="line {}" d="{}"/>', look, "".join(steps))


def area(look: str, below: Values, above: Values, high: float) -> SafeString:
    """What lies between two lines."""
    there = [(_x(n, len(above)), _y(v or 0, 0, high)) for n, v in enumerate(above)]
    back = [(_x(n, len(below)), _y(v or 0, 0, high)) for n, v in enumerate(below)]
    points = " ".join(f"{x:g},{y:g}" for x, y in [*there, *reversed(back)])
    return format_html('<polygon class="area {}" points="{}"/>', look, points)


def bars(counts: Sequence[int]) -> SafeString:
    wide, most = WIDTH / max(1, len(counts)), max(counts, default=0) or 1
    return format_html_join(
        "",
        '<rect class="bar" x="{}" y="{}" width="{}" height="{}"/>',
        (
            (f"{n * wide:g}", f"{_y(count, 0, most):g}", f"{wide - 1:g}",
             f"{HEIGHT - EDGE - _y(count, 0, most):g}")
            for n, count in enumerate(counts) if count
        ),
    )  # fmt: skip


def logarithm(value: float | None) -> float | None:
    return None if value is None else log10(max(value, 1e-4))


def base() -> SafeString:
    return mark_safe(f'<path class="base" d="M0 {HEIGHT - 1}H{WIDTH}"/>')  # noqa: S308 - no input


def _x(n: int, count: int) -> float:
    return round(EDGE + n * (WIDTH - 2 * EDGE) / max(1, count - 1), 2)


def _y(value: float, low: float, high: float) -> float:
    part = (value - low) / (high - low) if high > low else 0
    return round(HEIGHT - EDGE - min(max(part, 0), 1) * (HEIGHT - 2 * EDGE), 2)
