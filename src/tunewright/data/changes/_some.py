"""Which changes fit, and some of the places of a text changed: what all changes share."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

from tunewright.core.plugins import load, names

SHARE = 0.1
"""How much of what can be changed is: about one word in ten, and one at least."""

SPACED = frozenset({"en", "ru", "xx"})
"""Languages whose letters have two cases and whose words have spaces between them; ``xx`` are any others."""
CHINESE = frozenset({"zh"})

WORD = re.compile(r"[^\W\d_]+")
HAN = re.compile(r"[\u4e00-\u9fff]")
SIGNS = " .,;:!。，；：！…"
"""What a sentence may end in."""

Replace = Callable[[str, Random], str | None]


def fitting(meaning: str, reads: str = "text") -> list[str]:
    """Names of all changes that do this to the meaning, those of other packages too."""
    known = {name: load("changes", name) for name in names("changes")}
    return [name for name, one in known.items() if meaning == one.MEANING and getattr(one, "READS", "text") == reads]


def fits(name: str, language: str) -> bool:
    """Whether a change has what it needs for texts in this language."""
    languages = load("changes", name).LANGUAGES
    return languages is None or language in languages


def changed(name: str, text: str, seed: int, place: int = 0, share: float | None = None) -> str:
    """A text changed, the same for the same seed and place; without a place to change, as it is.

    place : which row it is, so that rows alike are not all changed alike

    >>> changed("typo", "where is my parcel", seed=0)
    'wheee is my parcel'
    """
    how: Any = load("changes", name).change
    draws = Random(f"{name} {seed} {place}")
    return str(how(text, draws) if share is None else how(text, draws, share))


def some(text: str, pattern: re.Pattern[str], replace: Replace, draws: Random, share: float) -> str:
    """The text with a share of what the pattern finds replaced, one at least; what has no replacement is passed over.

    replace : what was found → what stands for it, or None
    """
    found = list(pattern.finditer(text))
    wanted, new = max(1, round(share * len(found))), {}
    for at in draws.sample(range(len(found)), len(found)):
        other = replace(found[at][0], draws)
        if other is not None and other != found[at][0]:
            new[at] = other
        if len(new) == wanted:
            break
    pieces, end = [], 0
    for at in sorted(new):
        pieces += [text[end : found[at].start()], new[at]]
        end = found[at].end()
    return "".join([*pieces, text[end:]])


def as_written(word: str, like: str) -> str:
    """A word in the case of another.

    >>> as_written("cannot", "Can't"), as_written("cannot", "CAN'T")
    ('Cannot', 'CANNOT')
    """
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
