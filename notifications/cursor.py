"""Where a reader stands in the log: `word-position`."""

import re
import secrets
from typing import NamedTuple

# 48 random bits: a cursor of another database, or from before a restore, is told apart by them.
WORD_BYTES = 6
_FORM = re.compile(r"([0-9a-f]{1,16})-(0|[1-9][0-9]{0,17})", re.ASCII)


def new_word() -> str:
    """The random word that a new change carries."""
    return secrets.token_hex(WORD_BYTES)


class Cursor(NamedTuple):
    """A position, and the word of the change there (of the empty log, at position 0)."""

    word: str
    position: int

    def __str__(self) -> str:
        return f"{self.word}-{self.position}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """The cursor written as `text`, or None when it is not of the form."""
        match = _FORM.fullmatch(text)
        return cls(match[1], int(match[2])) if match else None
