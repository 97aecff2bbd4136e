"""Pinyin in place of Chinese characters, as in fast or evasive typing: tuikuan for 退款, in about one word of ten."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import CHINESE, HAN, SHARE, some
from tunewright.data.changes._sounds import reading

LANGUAGES = CHINESE
MEANING = "same"

PAIR = re.compile(rf"{HAN.pattern}{{1,2}}")


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """Two characters that stand together are taken for a word; tones are not written."""
    return some(text, PAIR, spelled, draws, share)


def spelled(word: str, draws: Random | None = None) -> str | None:
    """How a word is read; None if one of its characters is rare.

    >>> spelled("退款")
    'tuikuan'
    """
    syllables = [reading(character) for character in word]
    return "".join(syllables) if all(syllables) else None
