"""Any number of labels per row, each with its own threshold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Windows
from tunewright.kinds._answers import Candidate
from tunewright.kinds._pooled import best_temperature, learned_labels, mean_of_windows, sigmoid, unknown_label


@dataclass(frozen=True)
class Labels:
    """The labels of one row, each with its probability; none given where ``reason`` says why."""

    labels: list[str] | None
    scores: list[float] | None
    reason: str | None = None
    candidates: list[Candidate] | None = None


@dataclass(frozen=True)
class Multilabel:
    """Truth and decided values are uint8 (n, k). Logits are (n, k). ``thresholds`` are probabilities (k,)."""

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    temperature: float = 1.0
    separator: str = "|"

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
        return cls(tuple(spec["labels"]), tuple(spec["thresholds"]), float(spec["temperature"]), spec["separator"])

    def spec(self) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}

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

    def proba(self, logits: Array) -> Array:
        """float64 (n, k), each between 0 and 1."""
        return sigmoid(logits / self.temperature)

    def log_odds(self, logits: Array) -> Array:
        """float64 (n, k): ln of p / (1 - p) of each label."""
        return np.asarray(logits / self.temperature, np.float64)

    def decide(self, logits: Array) -> NDArray[np.uint8]:
        return (self.proba(logits) >= np.array(self.thresholds)).astype(np.uint8)

    def decode(self, logits: Array, top: int = 0) -> list[Labels]:
        return [self._answer(proba, top) for proba in self.proba(logits)]

    def _answer(self, proba: Array, top: int) -> Labels:
        chosen = np.flatnonzero(proba >= np.array(self.thresholds))
        ranked = np.argsort(-proba, kind="stable")[:top].tolist()
        candidates = [Candidate(self.labels[at], float(proba[at])) for at in ranked] if top else None
        return Labels([self.labels[at] for at in chosen], proba[chosen].tolist(), None, candidates)

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
        if any(answer.candidates is not None for answer in answers):
            listed = [[asdict(one) for one in answer.candidates or ()] for answer in answers]
            out["candidates"] = [json.dumps(one, ensure_ascii=False) for one in listed]
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
