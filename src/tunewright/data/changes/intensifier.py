"""What is said is said more strongly: really, 非常."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import HAN, SHARE, SIGNS

LANGUAGES = frozenset({"en", "zh"})
MEANING = "stronger"

BEFORE = re.compile(
    r"\b(is|are|was|were|am|i'm|it's)(?= +(?!(?:a|an|the|not|no|my|your|his|her|its|our|their|this|that|in|on|at|to|of"
    r"|really|very|so|too|there|it|i|you|he|she|we|they)\b)[a-z])",
    re.I,
)
CHINESE = re.compile("(?<!不)(?:很|挺|比较)|(?<![不很太挺])(?=满意|喜欢|失望|方便|漂亮|舒服|难吃|好吃|便宜|干净)")


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """Before the first word that a form of `to be` tells of; where there is none, at the end. Questions stay."""
    if not text.strip().strip(SIGNS) or re.search("[?？]", text):
        return text
    if HAN.search(text):
        if CHINESE.search(text):
            return CHINESE.sub("非常", text, count=1)
        return f"{text.rstrip(SIGNS)}。我说的是真的。"
    if BEFORE.search(text):
        return BEFORE.sub(r"\1 really", text, count=1)
    return f"{text.rstrip(SIGNS)}. I really mean it."
