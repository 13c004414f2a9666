"""The colours, as they are written, and sides, of which there are none.

WCAG 2 asks for a contrast of 4.5 between text and what is behind it, and of 3 around controls.
"""

import re
from itertools import product

import pytest

from tests.look import ROOT

SITE = (ROOT / "static/site.css").read_text()
STYLES = [SITE, *(path.read_text() for path in ROOT.glob("notifications/static/**/*.css"))]
COLOUR = r"#[0-9a-f]{6}"
PAIR = rf"light-dark\(({COLOUR}), ({COLOUR})\)"
TOKENS = {name: pair for name, *pair in re.findall(rf"--(\w+): {PAIR};", SITE)}
THEMES = "light", "dark"

BEHIND = "canvas", "surface", "unread"
TEXTS = {"text", "muted", "accent", "success", "warning", "error"}
CONTROLS = {"border"}
ORNAMENTS = {"hairline"}  # between things that are told apart without it


def luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def contrasts(names: set[str]) -> list[tuple[float, str]]:
    """Of each of them on all that may be behind it, in both themes; the least first."""
    return sorted(
        (contrast(TOKENS[front][theme], TOKENS[back][theme]), f"{front} on {back}, {THEMES[theme]}")
        for front, back, theme in product(names, BEHIND, range(len(THEMES)))
    )


def test_contrast_is_computed_as_the_standard_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(
    ("what", "names", "least"), [("text", TEXTS, 4.5), ("controls", CONTROLS, 3.0)]
)
def test_what_must_be_seen_stands_out_in_both_themes(what, names, least, record_property):
    lowest, where = contrasts(names)[0]
    record_property(f"contrast of {what}", round(lowest, 2))
    assert lowest >= least, where


@pytest.mark.parametrize("theme", range(len(THEMES)), ids=THEMES)
def test_the_text_of_filled_buttons_stands_out(theme):
    assert contrast(TOKENS["surface"][theme], TOKENS["accent"][theme]) >= 4.5


def test_no_colour_is_left_out():
    assert set(TOKENS) == {*BEHIND, *TEXTS, *CONTROLS, *ORNAMENTS}


def test_where_the_app_stands_alone_its_colours_are_those_of_the_site():
    fallbacks = re.findall(rf"var\(--(\w+), {PAIR}\)", "".join(STYLES))
    assert fallbacks
    for name, *pair in fallbacks:
        assert pair == TOKENS[name], name


def test_nothing_is_placed_by_left_and_right():
    """Where people read from the right, all that is would be on the wrong side."""
    sides = r"(?<![\w-])(?:(?:margin|padding|border)-)?(?:left|right)(?:-\w+)*\s*:"
    sides += r"|:\s*(?:left|right)\s*[;}]"
    for style in STYLES:
        assert re.findall(sides, style) == []
