"""Typing errors: a neighbouring key, two letters swapped, one dropped or doubled, in about one word of ten.

Only words of four letters or more are changed, by one error each, and their first letter stays: they are still read
without effort. Neighbours are those of a QWERTY keyboard; letters that are not on it are swapped, dropped or doubled.
"""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import SHARE, SPACED, some

LANGUAGES = SPACED
MEANING = "same"

LONG = re.compile(r"[^\W\d_]{4,}")
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbours() -> dict[str, str]:
    """Key → those beside it, and those that touch it in the row above and below (each row is set half a key right)."""
    at = {key: (row, column) for row, keys in enumerate(ROWS) for column, key in enumerate(keys)}
    touching = {(0, -1), (0, 1), (1, -1), (1, 0), (-1, 0), (-1, 1)}
    return {
        key: "".join(other for other, (r, c) in at.items() if (r - row, c - column) in touching)
        for key, (row, column) in at.items()
    }


NEIGHBOURS = _neighbours()


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """See the head of this file."""
    return some(text, LONG, mistyped, draws, share)


def mistyped(word: str, draws: Random) -> str | None:
    """A word with one error behind its first letter; None if it has none to give (``aaaa``)."""
    ways = draws.sample(WAYS, len(WAYS))
    at = draws.randrange(1, len(word))
    return next((other for way in ways if (other := way(word, at, draws)) != word), None)


def neighbour(word: str, at: int, draws: Random) -> str:
    """The key beside it."""
    keys = NEIGHBOURS.get(word[at].lower())
    if keys is None:
        return word
    key = draws.choice(keys)
    return word[:at] + (key.upper() if word[at].isupper() else key) + word[at + 1 :]


def swapped(word: str, at: int, draws: Random) -> str:
    """Two letters in the wrong order, the first of the word not among them."""
    at = min(at, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def dropped(word: str, at: int, draws: Random) -> str:
    """One letter less."""
    return word[:at] + word[at + 1 :]


def doubled(word: str, at: int, draws: Random) -> str:
    """One letter twice."""
    return word[:at] + word[at] + word[at:]


WAYS = (neighbour, swapped, dropped, doubled)
