"""People from a file: usernames or e-mail addresses, one a line or in a column of a CSV file.

All of it raises ValidationError by the names of the options.
"""

import csv
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

from ..staff import names

DELIMITERS = ",;\t"
LISTED = 20  # names that are written out; the rest are counted


def read(option: str, file: str) -> str:
    """The text of `file`, or of standard input where that is `-`."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValidationError({option: f"Not UTF-8 at byte {error.start}."}) from None
    except OSError as error:
        raise ValidationError({option: f"{file}: {error.strerror}."}) from None


def people(file: str, column: str | None) -> tuple[dict[str, Any], list[str]]:
    """The accounts that the file names, as `names.accounts`; and what in it names nobody, or
    several."""
    text = read("to-file", file).removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    wanted = _column(text, column) if column else _lines(text)
    return names.accounts(name for name in map(str.strip, wanted) if name)


def not_known(unknown: list[str]) -> str:
    listed = ", ".join(map(repr, unknown[:LISTED]))
    more = f" and {len(unknown) - LISTED:,} more" if len(unknown) > LISTED else ""
    return f"{len(unknown):,} not found: {listed}{more}."


def _lines(text: str) -> list[str]:
    lines = text.splitlines()
    if lines and any(delimiter in lines[0] for delimiter in DELIMITERS):
        raise ValidationError({"to-file": "It has several columns: say which one with --column."})
    return lines


def _column(text: str, name: str) -> list[str]:
    head = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=max(DELIMITERS, key=head.count))
    titles = [title.strip() for title in next(rows, [])]
    if name not in titles:
        there = ", ".join(map(repr, titles)) or "none"
        raise ValidationError({"column": f"There is no column {name!r}. There is: {there}."})
    number = titles.index(name)
    return [row[number] for row in rows if len(row) > number]
