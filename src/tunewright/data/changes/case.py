"""Letters in another case: all small, all capitals, or every word with a capital."""

from __future__ import annotations

from random import Random

from tunewright.data.changes._some import SHARE, SPACED, WORD

LANGUAGES = SPACED
MEANING = "same"


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """The whole text is changed, whatever the share; one that already stands so, in another way."""
    ways = (text.lower(), text.upper(), WORD.sub(lambda word: word[0].capitalize(), text))
    return next((other for other in draws.sample(ways, len(ways)) if other != text), text)
