"""A made-up help desk: texts from lists of words, and a linear model of words that answers most of them rightly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from tunewright.audit import Context, Training
from tunewright.kinds.classify import Classify

TELLING = {
    "billing": "invoice charge payment receipt amount credit debit balance fee tax price statement",
    "delivery": "parcel courier shipment tracking package address arrived delayed postman doorstep van dispatch",
    "access": "password login username profile verify locked reset settings code denied keyboard session",
    "returns": "exchange broken damaged return faulty replacement scratched wrong missing colour torn label",
    "technical": "crash screen update button freeze install device website error slow browser printer",
    "membership": "subscription plan upgrade cancel renew points discount reward trial loyalty benefits invite",
}
TOPICS = [words.split() for words in TELLING.values()]
_FILLER = """
please when would like today again still have been with about since yesterday morning could help know want some more
there what which this that your team company customer service need find tell know really just only after before never
always perhaps maybe nothing something thing time week month last first next long write call answer question matter
"""
PERSONS = ["he", "she", "husband", "wife", "mother", "father", "James", "Mary", "German", "Italian", "young", "old"]
FILLER = _FILLER.split()
LABELS = tuple(TELLING)
TRAIN, HELD, JUDGED = 1200, 400, 400
REGIONS, SOURCES = ("north", "south"), ("web", "mail", "fax")

Ask = Callable[[Mapping[str, Sequence[Any]]], Any]


@dataclass(frozen=True)
class Rows:
    """n rows: their texts, labels, and further columns."""

    text: list[str]
    truth: Any
    others: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.text)

    def first(self, n: int) -> Rows:
        others = {name: values[:n] for name, values in self.others.items()}
        return Rows(self.text[:n], self.truth[:n], others)

    def where(self, kept: Any) -> Rows:
        at = np.flatnonzero(kept).tolist()
        others = {name: [values[row] for row in at] for name, values in self.others.items()}
        return Rows([self.text[row] for row in at], self.truth[at], others)

    def with_texts(self, texts: Mapping[int, str]) -> Rows:
        return replace(self, text=[texts.get(row, text) for row, text in enumerate(self.text)])


@dataclass(frozen=True)
class World:
    """One draw: the rows that are learnt from, those that scores are calibrated on, and those that are judged."""

    train: Rows
    held: Rows
    judged: Rows
    seed: int

    @property
    def dice(self) -> np.random.Generator:
        """The draws of a fault, the same for all of its sizes, so that a larger one holds a smaller one."""
        return np.random.default_rng([self.seed, 1])

    @cached_property
    def model(self) -> Linear:
        """What the training rows teach."""
        return Linear(self.train)


def world(seed: int) -> World:
    draws = np.random.default_rng([seed, 0])
    return World(*(_rows(draws, n) for n in (TRAIN, HELD, JUDGED)), seed)


def _rows(draws: np.random.Generator, n: int) -> Rows:
    truth = draws.integers(0, len(LABELS), n)
    others = {
        "region": draws.choice(REGIONS, n, p=(0.65, 0.35)).tolist(),
        "source": draws.choice(SOURCES, n, p=(0.5, 0.35, 0.15)).tolist(),
        "ticket": [f"{number:07d}" for number in draws.integers(0, 10_000_000, n)],
    }
    return Rows([_text(draws, int(label)) for label in truth], truth, others)


def _text(draws: np.random.Generator, label: int) -> str:
    """9 to 16 words, a third of them of a topic, and one of four of these of another topic than the row's."""
    words = [_one(draws, PERSONS)] if draws.random() < 0.4 else []
    for _ in range(int(draws.integers(9, 17))):
        if draws.random() < 0.35:
            topic = label if draws.random() < 0.7 else int(draws.integers(0, len(LABELS)))
            words.append(_one(draws, TOPICS[topic]))
        else:
            words.append(_one(draws, FILLER))
    return " ".join(words)


def _one(draws: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(draws.integers(0, len(words)))]


class Linear:
    """Counts of words, and a logistic regression on them; ``known`` are the words that it has learnt."""

    def __init__(self, train: Rows) -> None:
        self.words = CountVectorizer().fit(train.text)
        self.known = set(self.words.vocabulary_)
        head = LogisticRegression(C=0.3, max_iter=500).fit(self.words.transform(train.text), train.truth)
        self.weights, self.bias = np.zeros((len(LABELS), head.coef_.shape[1])), np.full(len(LABELS), -20.0)
        self.weights[head.classes_], self.bias[head.classes_] = head.coef_, head.intercept_

    def __call__(self, columns: Mapping[str, Sequence[Any]]) -> Any:
        return (self.words.transform(columns["text"]) @ self.weights.T + self.bias).astype(np.float32)

    def embed(self, columns: Mapping[str, Sequence[Any]]) -> Any:
        vectors = np.asarray(self(columns), np.float64)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def judged(drawn: World, model: Linear | None = None, ask: Ask | None = None) -> Context:
    """What audits get: the rows of the draw, answered by its model.

    model : as it was learnt; default: that of the draw; its scores are calibrated on the held rows
    ask : the model as it is asked, where it is another one; the scores stay calibrated as those of ``model`` were
    """
    model = model or drawn.model
    kind = Classify(LABELS).calibrate(model({"text": drawn.held.text}), drawn.held.truth)
    ask, rows, train = ask or model, drawn.judged, drawn.train
    inputs = {"text": rows.text}
    return Context(
        kind,
        ask(inputs),
        rows.truth,
        inputs,
        others=rows.others,
        groups={"region": rows.others["region"]},
        seed=drawn.seed,
        leaked=np.isin(rows.text, train.text),
        train=Training({"text": train.text}, train.truth, train.others),
        ask=ask,
        embed=model.embed,
        language="en",
    )
