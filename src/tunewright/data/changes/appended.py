"""A sentence behind the text that has nothing to do with it."""

from __future__ import annotations

from random import Random

from tunewright.data.changes._some import HAN, SHARE

LANGUAGES = frozenset({"en", "zh"})
MEANING = "same"

ENGLISH = (
    "I am writing this on my phone.",
    "It is Tuesday afternoon here.",
    "This is my first message today.",
    "I read this twice before sending it.",
    "There is a tree in front of my window.",
    "The coffee on my desk is from this morning.",
    "My neighbour has a grey cat.",
    "I will have lunch at noon.",
)
CHINESE = (
    "我是用手机写的。",
    "现在是星期二下午。",
    "这是我今天写的第一条。",
    "窗外有一棵树。",
    "桌上放着一杯水。",
    "邻居家养了一只猫。",
    "我中午去吃饭。",
    "写完之后我看了两遍。",
)


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """One sentence, whatever the share."""
    if not text.strip():
        return text
    if HAN.search(text):
        return f"{text.rstrip()}{'' if text.rstrip()[-1] in '。！？…' else '。'}{draws.choice(CHINESE)}"
    return f"{text.rstrip()}{'' if text.rstrip()[-1] in '.!?' else '.'} {draws.choice(ENGLISH)}"
