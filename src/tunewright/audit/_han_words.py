"""Words of Chinese texts, found by the texts alone: characters that hold together, and stand beside many others.

A piece of two or three characters counts as a word where it occurs often enough, where its parts come together far more
often than chance would have it, and where different characters stand before and behind it: 房间 does, 的房 and 视机 do
not. Pieces with a character that only carries the sentence, turns its meaning or counts, are left out.

Source: pointwise mutual information by Sproat & Shih 1990 (A Statistical Method for Finding Word Boundaries in Chinese
Text); the variety of neighbours by Jin & Tanaka-Ishii 2006 (Unsupervised Segmentation of Chinese Text by Use of
Branching Entropy).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

LONGEST = 3
FEWEST = 5
"""Occurrences of a word at least."""
HOLD = 3.0
"""Least logarithm of how much more often the parts come together than by chance."""
FREE = 1.0
"""Least entropy of the characters before a word, and of those behind it, in natural logarithms."""

RUN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
CARRYING = frozenset(
    "的了是在和也都就着过吗呢吧啊呀哦嘛与及或而但把被让给对从到向这那我你他她它们很太最更还又再才只个有要会能可去来说"
)
TURNING = frozenset("不没無无未非别勿莫否难")
COUNTING = frozenset("二三四五六七八九十两百千万")
LEFT_OUT = CARRYING | TURNING | COUNTING


def han_words(texts: Sequence[str], most: int) -> list[str]:
    """The words of some texts, the most frequent first; ``most`` of them at the most."""
    runs = [run for text in texts for run in RUN.findall(text)]
    counts = Counter(piece for run in runs for piece, _, _ in _pieces(run, 1))
    whole = sum(len(run) for run in runs)
    held = {
        piece
        for piece, count in counts.items()
        if len(piece) > 1 and count >= FEWEST and not LEFT_OUT & set(piece) and _hold(piece, counts, whole) >= HOLD
    }
    before: dict[str, Counter[str]] = defaultdict(Counter)
    behind: dict[str, Counter[str]] = defaultdict(Counter)
    for number, run in enumerate(runs):
        for piece, start, end in _pieces(run, 2):
            if piece in held:  # what stands at the edge of a run stands beside a sign of its own
                before[piece][run[start - 1] if start else f"^{number}"] += 1
                behind[piece][run[end] if end < len(run) else f"${number}"] += 1
    words = [piece for piece in held if min(_entropy(before[piece]), _entropy(behind[piece])) >= FREE]
    return sorted(words, key=lambda word: (-counts[word], word))[:most]


def _pieces(run: str, shortest: int) -> Iterator[tuple[str, int, int]]:
    for start in range(len(run)):
        for end in range(start + shortest, min(start + LONGEST, len(run)) + 1):
            yield run[start:end], start, end


def _hold(piece: str, counts: Counter[str], whole: int) -> float:
    """Of the ways to part it in two, the least logarithm of (share of the piece / product of its parts' shares)."""
    parts = max(counts[piece[:at]] * counts[piece[at:]] for at in range(1, len(piece)))
    return math.log(counts[piece] * whole / parts)


def _entropy(counts: Counter[str]) -> float:
    n = sum(counts.values())
    return -sum(count / n * math.log(count / n) for count in counts.values())
