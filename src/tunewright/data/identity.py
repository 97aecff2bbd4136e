"""Identity terms in texts, and the same texts with these terms swapped for others of their list.

The lists of a language lie in ``terms/``; a task adds its own. A list of two words is swapped both ways; in a longer
one each word becomes the one that stands a drawn number of places on, all words of a text by the same number.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "terms"
KEEP = "keep"

ARTICLE = re.compile(r"\b([Aa])(n?)(\s+)$")
VOWEL = re.compile(r"[ai]|e(?!u)|o(?!ne)|u(?!ni|s[eu]|k\b)", re.IGNORECASE)
"""How words begin that ``an`` stands before."""
WIDE = re.compile(r"[\u3400-\u9fff]")
PLAIN_AFTER_HER = """
a an the and or but if when while that to as at in on of for from with without about by up out off
down back again too also not is was are were has had will would can could this these those it i you he she we they so
because before after until then than all yesterday today tomorrow now there here
"""
"""What follows ``her`` where it means ``him``, and ``his`` where it means ``hers``."""
OF_HER = re.compile(rf"[ \t]+(?!(?:{'|'.join(PLAIN_AFTER_HER.split())})\b)[a-z]", re.IGNORECASE)

Table = Mapping[str, Sequence[Sequence[str]]]
"""Name of the terms, such as ``gender`` → lists of words that stand for each other."""


@dataclass(frozen=True)
class Swap:
    """One word of a text that became another: as they stand in the lists."""

    old: str
    new: str


def languages() -> tuple[str, ...]:
    """Those that there is a list of terms for."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def terms_of(language: str, further: Table) -> dict[str, Terms]:
    """Name → terms, of the language's list and of a task's own; of the latter alone where there is no list."""
    table: dict[str, Any] = {}
    if language in languages():
        table = tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    keep = tuple(table.pop(KEEP, ()))
    named = {name: [*table.get(name, ()), *further.get(name, ())] for name in (*table, *further)}
    her = language == "en"
    return {name: Terms(tuple(map(tuple, lists)), keep, her and name == "gender") for name, lists in named.items()}


@dataclass(frozen=True)
class Terms:
    """Lists of words that stand for each other.

    keep : phrases that are left as they are, whatever words they hold
    possessive : English ``her`` is ``his`` before a noun and ``him`` elsewhere; ``his`` is ``hers`` at an end
    """

    lists: tuple[tuple[str, ...], ...]
    keep: tuple[str, ...] = ()
    possessive: bool = False

    @cached_property
    def _place(self) -> dict[str, tuple[int, int]]:
        """Word in lower case → its list, and its place there; the first list that has it counts."""
        found: dict[str, tuple[int, int]] = {}
        for number, words in enumerate(self.lists):
            for at, word in enumerate(words):
                found.setdefault(word.lower(), (number, at))
        return found

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        known = {*self._place, *(one.lower() for one in self.keep)}
        known |= {"her", "his", "hers"} if self.possessive else set()
        whole = (_bounded(word) for word in sorted(known, key=len, reverse=True))  # the longest first
        return re.compile("|".join(whole) or "(?!)", re.IGNORECASE)

    def swapped(self, text: str, shift: int = 1) -> tuple[str, list[Swap]]:
        """The text with every term swapped, and what was swapped; nothing where no term stands in it.

        shift : how many places on, in lists of more than two words; at least one

        >>> terms_of("en", {})["gender"].swapped("She lost her card")[0]
        'He lost his card'
        >>> terms_of("zh", {})["gender"].swapped("他的其他卡")[0]
        '她的其他卡'
        """
        out, last, swaps = "", 0, list[Swap]()
        for found in self._pattern.finditer(text):
            old = found[0].lower()
            new = self._other(old, text[found.end() :], shift)
            if new is None:
                continue
            before = out + text[last : found.start()]
            out, last = _with_article(before, new) + _in_case_of(found[0], new), found.end()
            swaps.append(Swap(old, new))
        return out + text[last:], swaps

    def _other(self, old: str, rest: str, shift: int) -> str | None:
        if self.possessive and old in ("her", "his", "hers"):
            noun = OF_HER.match(rest) is not None
            return {"her": "his" if noun else "him", "his": "her" if noun else "hers", "hers": "his"}[old]
        if old not in self._place:
            return None  # a phrase that is kept
        number, at = self._place[old]
        words = self.lists[number]
        step = 1 + (shift - 1) % (len(words) - 1)
        return words[(at + step) % len(words)]


def _bounded(word: str) -> str:
    """Chinese words have no bounds; others stand between what is no letter."""
    return re.escape(word) if WIDE.search(word) else rf"(?<!\w){re.escape(word)}(?!\w)"


def _in_case_of(old: str, new: str) -> str:
    """A word in capitals, or with a capital at its start, is replaced by one like it.

    >>> _in_case_of("She", "he"), _in_case_of("HE", "she"), _in_case_of("french", "German")
    ('He', 'SHE', 'german')
    """
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new.lower()


def _with_article(before: str, new: str) -> str:
    """The text before a word, its ``a`` or ``an`` as the word asks for it.

    >>> _with_article("he is an ", "British")
    'he is a '
    """
    found = ARTICLE.search(before)
    if found is None or not new[:1].isascii():
        return before
    return f"{before[: found.start()]}{found[1]}{'n' if VOWEL.match(new) else ''}{found[3]}"
