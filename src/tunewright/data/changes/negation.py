"""What is said is denied: is not for is, 不是 for 是, or a denial behind the whole."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import HAN, SHARE, SIGNS

LANGUAGES = frozenset({"en", "zh"})
MEANING = "turned"

VERB = re.compile(r"\b(am|is|are|was|were|can|could|will|would|should|must|may|might|has been|have been)\b", re.I)
DENIED = re.compile(
    r"\b(?:not|no|never|nothing|nobody|neither|nor|without|cannot)\b|n['’]t\b|不(?!错)|[没无未非]", re.I
)
CHINESE = re.compile("喜欢|推荐|满意|可以|知道|应该|是|会|能|想|要|值得|很|好")


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """The first verb that can be denied is; without one the whole is. Questions and what is denied already stay."""
    if not text.strip() or DENIED.search(text) or re.search("[?？]", text):
        return text
    if HAN.search(text):
        return CHINESE.sub(r"不\g<0>", text, count=1) if CHINESE.search(text) else f"{text.rstrip(SIGNS)}。这话不对。"
    if VERB.search(text):
        return VERB.sub(lambda found: _denied(found[0]), text, count=1)
    return f"{text.rstrip(SIGNS)}. That is not true."


def _denied(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    return f"{first} not {rest}".rstrip()
