"""Which tokens stay of a vocabulary: those seen in texts, and others of the scripts that the texts are written in."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from functools import cache
from typing import Any

RARE, MAIN, NONE = 0.001, 0.1, math.inf
"""Share of the letters from which on a script is one that is seen, one of the main ones, and none at all."""
MARKS = ("▁", "##")
"""What a piece begins with to tell its place in a word."""


def kept(record: dict[str, Any], pieces: dict[int, str], seen: Counter[int], whole: float = NONE) -> set[int]:
    """Ids of the tokens that stay.

    Beside the tokens seen: added ones, the unknown one, bytes, single characters of the scripts seen and without a
    script, and of a Unigram model the least likely token, since unknown characters are rated after it.

    whole : share of the letters from which on all tokens of a script stay, and with them those without any letter
    """
    model = record["model"]
    special = {one["id"] for one in record["added_tokens"]}
    stay = set(seen) | special
    if model["type"] == "Unigram":
        if model.get("unk_id") is not None:
            stay.add(model["unk_id"])
        stay.add(min(range(len(model["vocab"])), key=lambda at: model["vocab"][at][1]))
    else:
        stay |= {at for at, piece in pieces.items() if piece == model["unk_token"]}
    counts = {pieces[at]: count for at, count in seen.items() if at not in special}
    in_letters, in_full = scripts(counts, RARE), scripts(counts, whole)
    for at, piece in pieces.items():
        letters = bare(piece)
        own = {one for one in map(script, letters) if one}
        single, entire = len(letters) <= 1 and own <= in_letters, bool(in_full) and own <= in_full
        if single or entire or is_byte(piece):
            stay.add(at)
    return stay


def scripts(counts: dict[str, int], share: float) -> set[str]:
    """The scripts that have at least this share of the letters of tokens seen so many times."""
    found: Counter[str] = Counter()
    for piece, count in counts.items():
        for letter in bare(piece):
            found[script(letter)] += count
    del found[""]
    return {name for name, count in found.items() if count >= share * found.total()}


@cache
def script(letter: str) -> str:
    """The script of a letter, by the first word of its name in Unicode; empty for digits, signs and marks.

    >>> script("a"), script("调"), script("7")
    ('LATIN', 'CJK', '')
    """
    return unicodedata.name(letter, "?").partition(" ")[0] if unicodedata.category(letter).startswith("L") else ""


def bare(piece: str) -> str:
    """A token without the mark of its place in a word."""
    for mark in MARKS:
        piece = piece.removeprefix(mark) if piece != mark else piece
    return piece


def is_byte(piece: str) -> bool:
    """Whether a token stands for one byte of an unknown character."""
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
