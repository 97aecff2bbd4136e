"""Spaces too many or too few: between two words, at the ends, or between two Chinese characters."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import SHARE, some

LANGUAGES = None
MEANING = "same"

GAP = re.compile(r" +|(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])")


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """A space between words is doubled or left out, one between characters put in; else one is added at the end."""
    other = some(text, GAP, _gap, draws, share)
    return other if other != text or not text.strip() else f"{text} "


def _gap(gap: str, draws: Random) -> str:
    return draws.choice((f"{gap} ", "")) if gap else " "
