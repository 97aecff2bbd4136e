"""Words that stand near each other by a model's vectors, and texts that stay near when one stands for the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._altered import Change, text_columns
from tunewright.audit._context import Columns
from tunewright.audit._han_words import han_words
from tunewright.core.types import Array
from tunewright.data.changes._some import CHINESE, HAN, SPACED, as_written
from tunewright.data.language import ENGLISH

WORDS = 1000
"""Words that are compared at most: the most frequent ones of the rows."""
NEAREST = 8
MEAN_OF = 200
"""Texts that the mean is taken of, about."""
WORD_NEAR, TEXT_NEAR = 0.5, 0.85
"""Least cosine of two words, and of two texts, each after the mean of all is taken off."""

WORD = re.compile(r"[^\W\d_]{4,}")
NOTHING = re.compile(r"(?!)")
KEPT = ENGLISH | {"never", "nothing", "nobody", "none", "without", "neither", "rather", "hardly", "barely"}
"""Words that carry the sentence, not its matter, or turn its meaning: they are not swapped."""

Floats = NDArray[np.float32]


class Nearby:
    """The vocabulary of some rows.

    embed : columns → float32 (n, d)
    inputs : the rows, of which the most frequent words are taken
    language : of the rows; Chinese words are found by the rows themselves, and of other scripts without spaces none are
    """

    def __init__(self, embed: Callable[[Any], Array], inputs: Columns, language: str = "en") -> None:
        self.columns = text_columns(inputs)
        self.inputs = inputs
        self._embed = embed
        texts = [text for name in self.columns for text in inputs[name] if text]
        self.words, self._word = _vocabulary(texts, language)
        self.near = self._neighbours() if len(self.words) > 1 else {}
        some = texts[:: max(1, len(texts) // MEAN_OF)]
        self._middle = np.asarray(self._vectors(some).mean(0)) if some else np.zeros(1, np.float32)

    def of(self, word: str) -> list[str]:
        """The words near one, nearest first, written as it is."""
        return [as_written(other, word) for other in self.near.get(word.lower(), ())]

    def vectors(self, texts: Sequence[str]) -> Floats:
        """float32 (n, d), of length 1, after the mean text is taken off; ``TEXT_NEAR`` is on their products."""
        return _unit(self._vectors(texts) - self._middle) if len(texts) else np.zeros((0, 1), np.float32)

    def swaps(self, rows: Sequence[int], seed: int) -> Change:
        """A change that puts near words for about one word of ten, where the text stays near; others stay."""
        old, new = [], []
        for row in rows:
            for name in self.columns:
                text = self.inputs[name][row]
                if text:
                    old.append(text)
                    new.append(self._swapped(text, Random(f"synonym {seed} {row}")))
        near = (self.vectors(old) * self.vectors(new)).sum(1) >= TEXT_NEAR
        kept = {one: other for one, other, fits in zip(old, new, near, strict=True) if fits}
        return lambda text, row: kept.get(text, text)

    def _swapped(self, text: str, draws: Random) -> str:
        words = list(self._word.finditer(text))
        found = [one for one in words if self.of(one[0])]
        wanted = max(1, round(0.1 * len(words)))
        chosen = {
            one.start(): draws.choice(self.of(one[0])[:3]) for one in draws.sample(found, min(wanted, len(found)))
        }
        return self._word.sub(lambda one: chosen.get(one.start(), one[0]), text)

    def _neighbours(self) -> dict[str, list[str]]:
        vectors = self._vectors(self.words)
        unit = _unit(vectors - vectors.mean(0))
        near = unit @ unit.T
        np.fill_diagonal(near, -1)
        best = np.argsort(-near, axis=1, kind="stable")[:, :NEAREST]
        return {
            word: [
                self.words[other]
                for other in best[at]
                if near[at, other] >= WORD_NEAR and not _within(word, self.words[other])
            ]
            for at, word in enumerate(self.words)
        }

    def _vectors(self, texts: Sequence[str]) -> Floats:
        columns: dict[str, list[Any]] = {name: [None] * len(texts) for name in self.inputs}
        columns |= {name: [""] * len(texts) for name in self.columns} | {self.columns[0]: list(texts)}
        return np.asarray(self._embed(columns), np.float32)


def _vocabulary(texts: Sequence[str], language: str) -> tuple[list[str], re.Pattern[str]]:
    """The most frequent words of some texts, and what finds words in a text; of Chinese ones the longest that fits."""
    if language in CHINESE:
        words = han_words(texts, WORDS)
        longest = sorted(words, key=lambda word: (-len(word), word))
        return words, re.compile("|".join(longest)) if longest else NOTHING
    if language not in SPACED:
        return [], NOTHING
    counts = Counter(word for text in texts for word in sorted({one.lower() for one in WORD.findall(text)} - KEPT))
    return [word for word, _ in counts.most_common(WORDS)], WORD


def _within(one: str, other: str) -> bool:
    """Whether two Chinese words are one with more about it: 酒店 and 该酒店 are no exchange."""
    return HAN.match(one) is not None and (one in other or other in one)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)
