"""The attack: words of a text are exchanged, the weightiest first, until the model gives another answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._altered import same, score_of
from tunewright.audit._context import Columns
from tunewright.audit._nearby import TEXT_NEAR, Nearby
from tunewright.core.types import Array, Kind
from tunewright.data.changes.homophone import sounding
from tunewright.data.changes.lookalike import disguised
from tunewright.data.changes.pinyin import spelled
from tunewright.data.changes.shape import resembling
from tunewright.data.changes.traditional import TO_OLD
from tunewright.data.changes.typo import WAYS

QUERIES = 100
"""Times that the model is asked about one text at most, the weighing of its words included."""
CHANGED = 0.25
"""Share of the words of a text that may be exchanged; one at least."""

HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
UNIT = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+(?:['’][^\W\d_{HAN}]+)*")
"""A word, or one Han character."""


@dataclass
class Victim:
    """One text under attack.

    frames : column → its text, cut so that between two pieces stands a word
    words : all words, as they stand now; first : as they stood
    order : places of words, the weightiest first
    score : of the first answer, now
    """

    row: int
    columns: dict[str, Any]
    frames: dict[str, list[str]]
    first: list[str]
    score: float
    draws: Random
    words: list[str] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    queries: int = 0
    fell: bool = False

    @classmethod
    def of(cls, row: int, columns: dict[str, Any], names: Sequence[str], score: float, seed: int) -> Victim:
        """The texts of some columns of one row."""
        frames = {name: UNIT.split(columns[name] or "") for name in names}
        words = [word for name in names for word in UNIT.findall(columns[name] or "")]
        return cls(row, columns, frames, words, score, Random(f"attack {seed} {row}"), list(words))

    def texts(self, words: Sequence[str]) -> dict[str, str]:
        """Column → its text with other words in the same places."""
        rest = iter(words)
        return {
            name: "".join([frame[0], *(next(rest) + piece for piece in frame[1:])])
            for name, frame in self.frames.items()
        }

    def texts_with(self, at: int, word: str) -> dict[str, str]:
        """Its texts with one more word exchanged or, for an empty one, left out."""
        return self.texts([*self.words[:at], word, *self.words[at + 1 :]])

    @property
    def weighed(self) -> list[int]:
        """Places whose words are weighed: all, or evenly spaced ones where that would cost over half the queries."""
        most = min(len(self.words), QUERIES // 2)
        return sorted(set(np.linspace(0, len(self.words) - 1, most).astype(int).tolist()))

    @property
    def open(self) -> bool:
        """Whether there is something left to try."""
        allowed = max(1, int(CHANGED * len(self.words)))
        return not self.fell and bool(self.order) and len(self.changed) < allowed and self.queries < QUERIES


Tries = list[tuple[int, str]]
"""Places of words, and what is to stand there."""


class Attack:
    """What is attacked.

    ask : columns → logits
    decided : (n, ...), the answers to the rows as they stand
    nearby : finds near words; None: only slips are tried
    """

    def __init__(
        self, kind: Kind, ask: Callable[[Columns], Array], decided: Array, nearby: Nearby | None = None
    ) -> None:
        self.kind, self.ask, self.decided, self.nearby = kind, ask, np.asarray(decided), nearby

    def run(self, victims: Sequence[Victim]) -> None:
        """Attack all of them, each step of all in one call of the model."""
        for victim, places, scores, _ in self._asked(victims, [[(at, "") for at in one.weighed] for one in victims]):
            victim.order = [places[at][0] for at in np.argsort(scores, kind="stable")]
        first = self.nearby.vectors([joined(one.texts(one.first)) for one in victims]) if self.nearby else None
        while live := [at for at, one in enumerate(victims) if one.open]:
            next_ones = [victims[at] for at in live]
            tries = self._candidates(next_ones, first[live] if first is not None else None)
            for victim, tried, scores, fell in self._asked(next_ones, tries):
                _take(victim, tried, scores, fell)

    def _candidates(self, victims: Sequence[Victim], first: Array | None) -> list[Tries]:
        """Of the next word of each: near words with which the text stays near, and slips."""
        places = [victim.order.pop(0) for victim in victims]
        tries: list[Tries] = [[] for _ in victims]
        if self.nearby is not None and first is not None:
            found = [
                (at, word)
                for at, (victim, place) in enumerate(zip(victims, places, strict=True))
                for word in self.nearby.of(victim.words[place])
            ]
            vectors = self.nearby.vectors([joined(victims[at].texts_with(places[at], word)) for at, word in found])
            for (at, word), vector in zip(found, vectors, strict=True):
                if vector @ first[at] >= TEXT_NEAR:
                    tries[at].append((places[at], word))
        for victim, place, tried in zip(victims, places, tries, strict=True):
            tried += [(place, word) for word in slips(victim.words[place], victim.draws)]
        return tries

    def _asked(
        self, victims: Sequence[Victim], tries: Sequence[Tries]
    ) -> Iterator[tuple[Victim, Tries, NDArray[np.float64], NDArray[np.bool_]]]:
        """Each victim with what was tried, as far as its queries reach: the score of the first answer then, and
        whether it fell."""
        allowed = [some[: QUERIES - one.queries] for one, some in zip(victims, tries, strict=True)]
        rows = [
            one.columns | one.texts_with(*each) for one, some in zip(victims, allowed, strict=True) for each in some
        ]
        if not rows:
            return
        logits = np.asarray(self.ask({name: [row[name] for row in rows] for name in rows[0]}))
        owner = np.repeat(np.arange(len(victims)), [len(some) for some in allowed])
        before = self.decided[[victims[at].row for at in owner.tolist()]]
        scores, fell = score_of(self.kind, logits, before), ~same(self.kind.decide(logits), before)
        for at, (victim, some) in enumerate(zip(victims, allowed, strict=True)):
            victim.queries += len(some)
            yield victim, some, scores[owner == at], fell[owner == at]


def _take(victim: Victim, tried: Tries, scores: NDArray[np.float64], fell: NDArray[np.bool_]) -> None:
    """The first word by which the answer falls, or the one that lowers its score most; none if none does."""
    if not tried:
        return
    best = int(np.flatnonzero(fell)[0]) if fell.any() else int(scores.argmin())
    if fell[best] or scores[best] < victim.score:
        at, word = tried[best]
        victim.words[at] = word
        victim.changed.add(at)
        victim.score, victim.fell = float(scores[best]), bool(fell[best])


def slips(word: str, draws: Random) -> list[str]:
    """What a hand or an input method may make of a word: four typing errors and a look-alike; of a Han character two
    of the same sound, two of like shape, the traditional form and the pinyin."""
    if re.fullmatch(f"[{HAN}]", word):
        found = [sounding(word, draws), sounding(word, draws), resembling(word, draws), resembling(word, draws)]
        found += [word.translate(TO_OLD), spelled(word)]
    elif len(word) > 3:
        at = draws.randrange(1, len(word))
        found = [*(way(word, at, draws) for way in WAYS), disguised(word, draws)]
    else:
        found = [disguised(word, draws)]
    return [one for one in dict.fromkeys(found) if one and one != word]


def joined(texts: dict[str, str]) -> str:
    """The texts of a row as one."""
    return "\n".join(texts.values())
