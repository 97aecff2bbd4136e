"""Pieces of a text: words, single Han and kana, runs of signs; each with its place in the text as it was written."""

from __future__ import annotations

import re
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from tunewright.modalities._ngrams import ALONE, SPACE, WORD, coded

INNER = re.compile(r"['’\u200c\u200d-]|(?<=[0-9])[.,](?=[0-9])")
"""Signs that belong to the word on both sides of them: ``don't``, ``e-mail``, ``1,000.50``."""


def pieces(text: str) -> NDArray[np.int64]:
    """int64 (p, 2): where each piece begins and ends. Every character that is no white space stands in exactly one.

    Kinds of characters are those of the n-grams; nothing is folded, so that the places are those of the text. Marks
    stay with what they follow, so that an emoji of several code points is one piece.

    Raises
    ------
    UnicodeEncodeError
        The text is no valid Unicode.

    >>> text = "I don't know 我的卡 :-("
    >>> [text[start:end] for start, end in pieces(text).tolist()]
    ['I', "don't", 'know', '我', '的', '卡', ':-(']
    """
    _, around = coded([text], fold=False)
    kinds, marks = _with_marks(text, around[1:-1])
    joined = marks
    joined[1:] |= (kinds[1:] == kinds[:-1]) & (kinds[1:] != ALONE)
    for found in INNER.finditer(text):
        at = found.start()
        if 0 < at < len(text) - 1 and kinds[at - 1] == WORD == kinds[at + 1]:
            joined[at : at + 2] = True
    inside = kinds != SPACE
    begins = inside & ~joined
    ends = inside & np.append(~joined[1:] | ~inside[1:], True)[: len(text)]
    return np.stack([np.flatnonzero(begins), np.flatnonzero(ends) + 1], axis=1)


def _with_marks(text: str, kinds: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Kinds, where a mark has that of what it follows; and which characters are such marks."""
    out, marks = kinds.copy(), np.zeros(len(kinds), bool)
    for at in () if text.isascii() else range(1, len(text)):
        if out[at - 1] != SPACE and category(text[at]).startswith("M"):
            out[at], marks[at] = out[at - 1], True
    return out, marks
