"""Chinese characters that sound alike, as slips of an input method: 在 for 再, in about one character of ten."""

from __future__ import annotations

from random import Random

from tunewright.data.changes._some import CHINESE, HAN, SHARE, some
from tunewright.data.changes._sounds import alike, reading

LANGUAGES = CHINESE
MEANING = "same"


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """Each for a frequent one of the same syllable, whatever its tone; one that has none stays."""
    return some(text, HAN, sounding, draws, share)


def sounding(character: str, draws: Random) -> str | None:
    """Another frequent character of the same syllable."""
    others = alike().get(reading(character), "").replace(character, "") if reading(character) else ""
    return draws.choice(others) if others else None
