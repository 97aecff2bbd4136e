"""Every n-gram of some texts as a 64-bit hash, by numpy alone: nothing loops over rows, words or characters.

All arithmetic is modulo 2**64. A character c has the value f(c), the finaliser of splitmix64 on c + 1. A string s has
the polynomial value v(s) = sum of f(s[j]) * A**j, so that a window's value comes from the shorter one's, and a word's
from a running sum over the whole batch. Words w in a row have the value sum of v(w[i]) * B**i. ``_finished`` mixes the
bits of a value; the lowest bit of a hash tells word n-grams (1) from character n-grams (0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import category, normalize

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Mask = NDArray[np.bool_]

END = "\0"
"""Stands between two texts; one that a text holds is read as a space."""
A, B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
INVERSE_A = np.uint64(pow(int(A), -1, 2**64))
MIX = np.uint64(0xFF51AFD7ED558CCD)
KEPT = np.uint64(2**64 - 1 - 1 - 2**33)
"""Bits of a mixed value that a hash keeps: the lowest is the mark of words, and without 33 no hash is 2**64 - 1."""

SPACE, WORD, ALONE, SIGN = 1, 2, 3, 4
"""Kinds of characters: ALONE are Han and kana, each a word by itself; SIGN are punctuation and symbols."""
HAN_AND_KANA = (
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
_kinds = np.zeros(0x110000, np.uint8)
"""Kind of each code point, filled in as they are met."""


@dataclass(frozen=True)
class Cuts:
    """Which n-grams are taken.

    words : sizes of word n-grams; punctuation stands in no word
    characters : sizes of character n-grams
    inside : character n-grams stay between two spaces, where one space at either end belongs to them
    fold : characters are folded first (NFKC, then case)
    """

    words: tuple[int, ...] = (1, 2)
    characters: tuple[int, ...] = (1, 2, 3, 4)
    inside: bool = True
    fold: bool = True


CUTS = Cuts()


def hashes(texts: Sequence[str], cuts: Cuts) -> tuple[Bits, NDArray[np.int64]]:
    """uint64 (g,), int64 (g,): the hash of every n-gram of every text, as often as it occurs, and the text's index.

    Raises
    ------
    TypeError, UnicodeEncodeError
        A value is no string, or no valid Unicode.
    """
    codes, kinds = _tidy(*coded(texts, cuts.fold))
    end, space = codes == 0, kinds == SPACE
    text = np.cumsum(end) - 1
    letters = values(np.where(space, np.uint32(32), codes))
    found = [
        *_characters(letters, text, space, space if cuts.inside else end, cuts.characters),
        *_words(letters, text, kinds, cuts.words),
    ]
    none = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    every, of = zip(*found, strict=True) if found else ((none[0],), (none[1],))
    return np.concatenate(every), np.concatenate(of)


def coded(texts: Sequence[str], fold: bool) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Code points of all texts with a 0 before, between and behind them, and their kinds."""
    joined = END + END.join(texts) + END
    if joined.count(END) != len(texts) + 1:
        joined = END + END.join([text.replace(END, " ") for text in texts]) + END
    if fold:  # neither looks across a 0, so each text is folded as it would be alone
        joined = normalize("NFKC", joined).casefold()
    if joined.isascii():
        codes = np.frombuffer(joined.encode(), np.uint8).astype(np.uint32)
    else:
        codes = np.frombuffer(joined.encode("utf-32-le"), "<u4").astype(np.uint32, copy=False)
    kinds = _kinds[codes]
    if not kinds.all():
        for code in np.unique(codes[kinds == 0]).tolist():
            _kinds[code] = _kind(chr(code))
        kinds = _kinds[codes]
    return codes, kinds


def _kind(character: str) -> int:
    if character == END or character.isspace():
        return SPACE
    if not (character.isalnum() or character == "_" or category(character).startswith("M")):
        return SIGN
    return ALONE if any(low <= ord(character) <= high for low, high in HAN_AND_KANA) else WORD


def _tidy(codes: NDArray[np.uint32], kinds: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """One space where there are several, none at the ends of a text."""
    for neighbour in (slice(None, -2), slice(2, None)):  # first what follows on a space or an end, then what precedes
        space = kinds == SPACE
        wanted = space if neighbour.start is None else codes == 0
        idle = space[1:-1] & (codes[1:-1] != 0) & wanted[neighbour]
        if idle.any():
            keep = np.concatenate([[True], ~idle, [True]])
            codes, kinds = codes[keep], kinds[keep]
    return codes, kinds


def values(codes: NDArray[np.uint32]) -> Bits:
    """f: the finaliser of splitmix64. Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom generators."""
    out = codes.astype(np.uint64) + np.uint64(1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        out ^= out >> np.uint64(shift)
        out *= np.uint64(factor)
    out ^= out >> np.uint64(31)
    return out


def _characters(
    letters: Bits, text: NDArray[np.int64], space: Mask, stop: Mask, sizes: Sequence[int]
) -> list[tuple[Bits, NDArray[np.int64]]]:
    """Character n-grams: no ``stop`` inside, and not of spaces alone."""
    out = []
    window, power = letters, A
    inner = np.ones(max(len(letters) - 1, 0), bool)  # of a window of two nothing lies inside
    for size in range(1, max(sizes, default=0) + 1):
        if size > 1:
            with np.errstate(over="ignore"):
                window = window[:-1] + letters[size - 1 :] * power
                power = power * A
        if size > 2:
            inner = inner[:-1] & ~stop[size - 2 : -1]
        if size in sizes and len(window):
            valid = ~space if size == 1 else ~(space[:-1] & space[1:]) if size == 2 else inner
            at = np.flatnonzero(valid)
            out.append((_finished(window[at], 0), text[at]))
    return out


def _words(
    letters: Bits, text: NDArray[np.int64], kinds: NDArray[np.uint8], sizes: Sequence[int]
) -> list[tuple[Bits, NDArray[np.int64]]]:
    """Word n-grams: runs of word characters, and single Han or kana, that follow on each other in one text."""
    word, alone = kinds == WORD, kinds == ALONE  # the first and the last character are ends
    starts = np.flatnonzero(word[1:] & ~word[:-1] | alone[1:]) + 1
    ends = np.flatnonzero(word[:-1] & ~word[1:] | alone[:-1]) + 1
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(letters * _powers(A, len(letters)))])
    alone_values = (sums[ends] - sums[starts]) * _powers(INVERSE_A, len(letters))[starts]
    owner = text[starts]
    out = []
    several, power = alone_values, B
    for size in range(1, max(sizes, default=0) + 1):
        if size > 1:
            with np.errstate(over="ignore"):
                several = several[:-1] + alone_values[size - 1 :] * power
                power = power * B
        if size in sizes and len(several):
            at = np.flatnonzero(owner[: len(several)] == owner[size - 1 :])
            out.append((_finished(several[at], 1), owner[at]))
    return out


def _powers(factor: np.uint64, count: int) -> Bits:
    """factor ** 0, 1, …, count - 1"""
    out = np.full(count, factor)
    out[:1] = 1
    return np.multiply.accumulate(out)


def _finished(values: Bits, mark: int) -> Bits:
    """Hashes of values, which are overwritten. Source: the finaliser of MurmurHash3, shortened."""
    values ^= values >> np.uint64(32)
    values *= MIX
    values ^= values >> np.uint64(29)
    values &= KEPT
    values |= np.uint64(mark)
    return values
