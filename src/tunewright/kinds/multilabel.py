"""Any number of labels per row, each with its own threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Windows
from tunewright.kinds._answers import Candidate, written
from tunewright.kinds._pooled import best_temperature, learned_labels, mean_of_windows, sigmoid, unknown_label
from tunewright.kinds._promise import made
from tunewright.kinds._promised_labels import LabelPromise


@dataclass(frozen=True)
class Labels:
    """The labels of one row, each with its probability; none given where ``reason`` says why.

    reason : ``empty``, or ``unsure``: then ``labels`` are those that are sure, ``candidates`` those that stay open
    """

    labels: list[str] | None
    scores: list[float] | None
    reason: str | None = None
    candidates: list[Candidate] | None = None


@dataclass(frozen=True)
class Multilabel:
    """Truth and decided values are uint8 (n, k). Logits are (n, k). ``thresholds`` are probabilities (k,).

    promise : what labels that are said, stay open or are left out at a stated rate rest on
    """

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    temperature: float = 1.0
    separator: str = "|"
    promise: LabelPromise | None = None

    closed_form: ClassVar[str | None] = "logistic_per_label"
    headline: ClassVar[tuple[str, ...]] = ("micro_f1", "macro_f1", "subset_accuracy")
    answer: ClassVar[type] = Labels

    @classmethod
    def learn(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        given = options.get("labels", ()) or options.get("columns", ())
        labels = learned_labels((label for row in values for label in row), given)
        return cls(labels, (0.5,) * len(labels), separator=options.get("separator", "|"))

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        promise = LabelPromise.load(spec["promise"]) if "promise" in spec else None
        fixed = tuple(spec["labels"]), tuple(spec["thresholds"]), float(spec["temperature"]), spec["separator"]
        return cls(*fixed, promise)

    def spec(self) -> dict[str, Any]:
        told = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        del told["promise"]
        return told if self.promise is None else told | {"promise": self.promise.spec()}

    @property
    def size(self) -> int:
        return len(self.labels)

    def encode(self, values: Sequence[Any]) -> NDArray[np.uint8]:
        """Lists of labels → uint8 (n, k); an unknown label is an error that names the nearest one."""
        position = {label: at for at, label in enumerate(self.labels)}
        out = np.zeros((len(values), self.size), np.uint8)
        for row, labels in enumerate(values):
            for label in labels:
                if label not in position:
                    raise unknown_label(label, self.labels)
                out[row, position[label]] = 1
        return out

    def spread(self, truth: Array, windows: Windows) -> Array:
        return truth[windows.owner]

    def gather(self, logits: Sequence[Array], windows: Windows) -> Array:
        return mean_of_windows(logits, windows, self.size)

    def calibrate(self, logits: Array, truth: Array) -> Self:
        """Fit the temperature, then for each label the threshold with the best F1 on held-out rows.

        A label with fewer than 5 held-out rows keeps 0.5: a threshold from so few would be chance.
        """
        if not len(truth):
            return self

        def loss(temperature: float) -> float:
            signed = np.where(truth > 0, -logits, logits) / temperature
            return float(np.logaddexp(0, signed.astype(np.float64)).mean())

        warm = replace(self, temperature=round(best_temperature(loss, len(truth)), 6))
        proba = warm.proba(logits)
        thresholds = [best_threshold(proba[:, at], truth[:, at]) for at in range(self.size)]
        return replace(warm, thresholds=tuple(thresholds))

    def raw(self) -> Self:
        """The kind as it is without any calibration."""
        return replace(self, temperature=1.0)

    def promised(self, logits: Array, truth: Array, error: float = 0.0, *, per_class: bool = False) -> Self:
        """The kind that leaves labels out and says wrong ones at a stated rate each, from held-out rows.

        logits : (n, k) of rows that the model did not learn from; truth : uint8 (n, k); error : 0 = decide every label
        """
        return replace(self, promise=LabelPromise.of(self.proba(logits), truth, error, per_class=per_class))

    def at_error(self, error: float) -> Self:
        """The kind at another rate; 0 = every label is decided, by its threshold.

        Raises
        ------
        TunewrightError
            It is no rate, or no scores were kept at fit.
        """
        return replace(self, promise=made(self.promise).at(error))

    @property
    def refuses(self) -> bool:
        """Whether labels of a row may stay open."""
        return self.promise is not None and self.promise.error > 0

    def proba(self, logits: Array) -> Array:
        """float64 (n, k), each between 0 and 1."""
        return sigmoid(logits / self.temperature)

    def log_odds(self, logits: Array) -> Array:
        """float64 (n, k): ln of p / (1 - p) of each label."""
        return np.asarray(logits / self.temperature, np.float64)

    def decide(self, logits: Array) -> NDArray[np.uint8]:
        return (self.proba(logits) >= np.array(self.thresholds)).astype(np.uint8)

    def decode(self, logits: Array, top: int = 0) -> list[Labels]:
        proba = self.proba(logits)
        if self.promise is None or not self.refuses:
            said, unsure = proba >= np.array(self.thresholds), np.zeros(proba.shape, bool)
        else:
            said, unsure = self.promise.parted(proba)
        return [self._answer(*of, top) for of in zip(proba, said, unsure, strict=True)]

    def _answer(self, proba: Array, said: NDArray[np.bool_], unsure: NDArray[np.bool_], top: int) -> Labels:
        """The labels that are said; as candidates those that stay open, or the best ones where none does."""
        chosen, ranked = np.flatnonzero(said), np.argsort(-proba, kind="stable")
        labels, scores = [self.labels[at] for at in chosen], proba[chosen].tolist()
        if unsure.any():
            return Labels(labels, scores, "unsure", self._listed(proba, ranked[unsure[ranked]]))
        return Labels(labels, scores, None, self._listed(proba, ranked[:top]) if top else None)

    def _listed(self, proba: Array, order: Array) -> list[Candidate]:
        return [Candidate(self.labels[at], float(proba[at])) for at in order.tolist()]

    def empty(self, reason: str) -> Labels:
        return Labels(None, None, reason)

    def columns(self, answers: Sequence[Labels]) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {
            "prediction": [None if one.labels is None else self.separator.join(one.labels) for one in answers],
            "score": [
                None if one.scores is None else self.separator.join(f"{score:.6g}" for score in one.scores)
                for one in answers
            ],
        }
        if self.refuses:
            out["reason"] = [answer.reason or "" for answer in answers]
        if self.refuses or any(answer.candidates is not None for answer in answers):
            out["candidates"] = [written(answer.candidates or ()) for answer in answers]
        return out

    def row_score(self, logits: Array, truth: Array) -> NDArray[np.float64]:
        """F1 of each row's labels; 1 where both are empty."""
        decided = self.decide(logits)
        both, total = (decided & truth).sum(1), decided.sum(1, dtype=np.int64) + truth.sum(1, dtype=np.int64)
        return np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)

    def metrics(self, decided: Array, truth: Array) -> dict[str, float]:
        """micro_f1, macro_f1 (labels neither true nor predicted are left out), subset_accuracy, hamming_loss."""
        both = (decided & truth).sum(0, dtype=np.int64)
        total = decided.sum(0, dtype=np.int64) + truth.sum(0, dtype=np.int64)
        seen = total > 0
        return {
            "micro_f1": float(2 * both.sum() / max(total.sum(), 1)),
            "macro_f1": float((2 * both[seen] / total[seen]).mean()) if seen.any() else 0.0,
            "subset_accuracy": float((decided == truth).all(1).mean()) if len(truth) else 0.0,
            "hamming_loss": float((decided != truth).mean()) if len(truth) else 0.0,
        }


def best_threshold(proba: Array, truth: Array) -> float:
    """The probability from which calling a label gives the best F1; halfway between the two rows that it parts.

    >>> best_threshold(np.array([.1, .2, .3, .35, .4, .8, .9]), np.array([0, 0, 1, 1, 1, 1, 1]))
    0.25
    """
    positives = int(truth.sum())
    if positives < 5:
        return 0.5
    order = np.argsort(-proba, kind="stable")
    ranked, hits = proba[order], np.cumsum(truth[order], dtype=np.int64)
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + positives)
    f1[:-1][ranked[:-1] == ranked[1:]] = -1  # equal probabilities cannot be parted
    cut = int(f1.argmax())
    below = float(ranked[cut + 1]) if cut + 1 < len(ranked) else 0.0
    middle = (float(ranked[cut]) + below) / 2
    return middle if middle > below else float(ranked[cut])  # nothing may lie between two neighbours
