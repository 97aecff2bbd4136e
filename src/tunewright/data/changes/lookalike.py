"""Letters that look the same and are others: Cyrillic or Greek for Latin and the other way round.

One letter in about one word of ten. ``folded`` gives the plain text back.
"""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import SHARE, SPACED, some

LANGUAGES = SPACED
MEANING = "same"

LATIN = "aceijopsxyABCEHIJKMOPSTXYZv"
OTHER = "асеіјорѕхуАВСЕНІЈКМОРЅТХУΖν"
TABLE = {**dict(zip(LATIN, OTHER, strict=True)), **dict(zip(OTHER, LATIN, strict=True))}
PLAIN = str.maketrans(OTHER, LATIN)
HELD = re.compile(rf"\b\w*[{LATIN}{OTHER}]\w*")


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """See the head of this file."""
    return some(text, HELD, disguised, draws, share)


def disguised(word: str, draws: Random) -> str | None:
    """A word with one letter of another alphabet; None if no letter of it has a double."""
    places = [at for at, letter in enumerate(word) if letter in TABLE]
    if not places:
        return None
    at = draws.choice(places)
    return word[:at] + TABLE[word[at]] + word[at + 1 :]


def folded(text: str) -> str:
    """The text in Latin letters.

    >>> folded("раypal")
    'paypal'
    """
    return text.translate(PLAIN)
