"""Explanations: what each piece of a text speaks for or against a label, by asking for the text without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.types import Array, Kind
from tunewright.kinds._pooled import unknown_label
from tunewright.runtime.explainer import Asked, Explainer
from tunewright.runtime.inputs import as_columns
from tunewright.runtime.pieces import Cut, Piece, cut
from tunewright.runtime.ways import WAYS

MOST = 32
"""Pieces of a text, unless the caller allows more or fewer; the words of a longer one are taken together."""


@dataclass(frozen=True)
class Explanation:
    """What the pieces of one row speak for one label of one target, or for a number.

    row : index of the row
    label : what is explained; None where the target is a number
    score : its probability, or the number
    measure : what the weights are differences of: ``log_odds`` of the label, or ``value``
    words : how many there are; where they are more than the pieces, neighbours stand together
    asked : how many texts were answered for it
    r2 : of LIME, how well a sum of weights describes the answers
    base : of Shapley values and gradients, what is said of no words at all: with the weights added, the log-odds of the
        label, or the number
    """

    row: int
    target: str
    label: str | None
    score: float
    method: str
    measure: str
    pieces: list[Piece]
    words: int
    asked: int
    r2: float | None = None
    base: float | None = None


def explain(
    predictor: Asked,
    inputs: Any,
    method: str | Explainer = "occlusion",
    *,
    target: str | None = None,
    label: str | None = None,
    most: int = MOST,
    seed: int = 0,
    characters: int | None = None,
) -> list[Explanation]:
    """One explanation per row, in input order; of several labels, one for each.

    Parameters
    ----------
    inputs : strings, records (column → text), a frame, or columns (column → list)
    method : ``occlusion`` (each piece left out alone) or ``lime`` (a linear model of random subsets),
        or an explainer with means of its own
    target : default: the first one
    label : what to explain; default: what is predicted. Where any number of labels may be, each that is predicted, or
        the likeliest if there is none
    most : pieces of a row
    seed : of the random subsets
    characters : of the two ways with names, most characters that all variants of a row may have; default: any number

    Raises
    ------
    TunewrightError
        A row has no word, a name is unknown, the target's kind has neither labels with odds nor one number, or a row
        needs more ``characters``.
    """
    if isinstance(method, str) and method not in WAYS:
        raise TunewrightError(f"there is no way to explain named {method!r}", nearest(method, WAYS))
    if most < 1:
        raise TunewrightError(f"{most} pieces explain nothing", "allow at least 1; the default is 32")
    name = target_of(predictor.kinds, target)
    wanted = _position(predictor.kinds[name], name, label)
    columns = as_read(predictor, as_columns(inputs, list(predictor.manifest.inputs)))
    found: list[Explanation] = []
    for row, values in enumerate(zip(*columns, strict=True)):
        place = f"row {row}: " if len(columns[0]) > 1 else ""
        one = cut(predictor.manifest.inputs, values, most, place)
        if isinstance(method, str):
            told = _of_row(predictor, one, name, method, wanted, seed, characters)
        else:
            told = _by(method, predictor, one, name, wanted, seed)
        found += [replace(each, row=row) for each in told]
    return found


def as_read(predictor: Asked, columns: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """What the model reads of the columns: explained is the text in which personal data are masked."""
    read = getattr(predictor, "as_read", None)
    return columns if read is None else read(columns)


def target_of(kinds: Mapping[str, Kind], target: str | None) -> str:
    """The name of a target that can be explained; None = the first one."""
    name = next(iter(kinds)) if target is None else target
    if name not in kinds:
        raise TunewrightError(f"there is no target {name!r}", nearest(name, kinds))
    kind = kinds[name]
    if not explainable(kind):
        raise TunewrightError(
            f"target {name!r}: {type(kind).__name__.lower()} gives neither labels with odds nor a number",
            "explain a target of kind classify, multilabel or regress",
        )
    return name


def explainable(kind: Kind) -> bool:
    """Whether a kind has log-odds of labels, or is one number."""
    return hasattr(kind, "log_odds") or (not kind.labels and kind.size == 1)


def scores(kind: Kind, logits: Array) -> Array:
    """float64 (v, k): log-odds of each label, or (v, 1): the number."""
    if hasattr(kind, "log_odds"):
        return np.asarray(kind.log_odds(logits), np.float64)
    return np.asarray(kind.decide(logits), np.float64)[:, None]


def _of_row(
    predictor: Asked, one: Cut, target: str, method: str, wanted: int | None, seed: int, characters: int | None
) -> Iterator[Explanation]:
    way, kind = WAYS[method], predictor.kinds[target]
    kept = way.draw(len(one.pieces), seed)
    columns = one.without(kept)
    if characters is not None:
        _check_cost(columns, method, characters)
    logits = predictor.logits_of(columns, [target])[target]
    answers = scores(kind, logits)
    for at in _explained(kind, logits[:1]) if wanted is None else [wanted]:
        weights, r2 = way.weigh(kept, answers[:, at])
        yield replace(_told(one, target, kind, logits[:1], at, weights), method=method, asked=len(kept), r2=r2)


def _by(
    explainer: Explainer, predictor: Asked, one: Cut, target: str, wanted: int | None, seed: int
) -> Iterator[Explanation]:
    kind = predictor.kinds[target]
    logits = predictor.logits_of([[text] for text in one.texts], [target])[target]
    explained = _explained(kind, logits) if wanted is None else [wanted]
    found = explainer.weigh(predictor, one, target, explained, seed)
    for at, weights, base in zip(explained, found.weights.T, found.base.tolist(), strict=True):
        told = _told(one, target, kind, logits, at, weights)
        yield replace(told, method=explainer.name, asked=found.asked + 1, base=base)


def _told(one: Cut, target: str, kind: Kind, logits: Array, at: int, weights: Array) -> Explanation:
    """What the weights say of label ``at``; logits (1, k) are those of the whole row."""
    pieces = [replace(piece, weight=weight) for piece, weight in zip(one.pieces, weights.tolist(), strict=True)]
    if kind.labels:
        label, score, measure = kind.labels[at], kind.proba(logits)[0, at], "log_odds"
    else:
        label, score, measure = None, scores(kind, logits)[0, at], "value"
    return Explanation(0, target, label, float(score), "", measure, pieces, one.words, 1)


def _check_cost(columns: Sequence[Sequence[str]], method: str, characters: int) -> None:
    total = sum(len(text) for column in columns for text in column)
    if total > characters:
        other = "" if method == "occlusion" else ", or take occlusion, which asks for fewer of them"
        raise TunewrightError(
            f"{method} of this text reads {len(columns[0])} variants of it, {total:,} characters in all; the limit is "
            f"{characters:,}",
            f"send a shorter text{other}",
        )


def _position(kind: Kind, target: str, label: str | None) -> int | None:
    """Where a named label stands; None = what is predicted."""
    if label is None:
        return None
    if not kind.labels:
        raise TunewrightError(f"target {target!r} is a number and has no label {label!r}", "leave the label out")
    if label not in kind.labels:
        raise unknown_label(label, kind.labels)
    return kind.labels.index(label)


def _explained(kind: Kind, logits: Array) -> list[int]:
    """Which labels are predicted; where none is, the likeliest."""
    if not kind.labels:
        return [0]
    decided = np.asarray(kind.decide(logits))[0]
    if np.ndim(decided) == 0:
        return [int(decided)]
    return [int(at) for at in np.flatnonzero(decided)] or [int(kind.proba(logits)[0].argmax())]
