"""One label per row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Windows
from tunewright.kinds._pooled import (
    best_temperature,
    learned_labels,
    log_softmax,
    mean_of_windows,
    one_against_rest,
    softmax,
    unknown_label,
)


@dataclass(frozen=True)
class Candidate:
    """One of the best labels and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class Label:
    """The label of one row and its probability; no label where ``reason`` says why."""

    label: str | None
    score: float | None
    reason: str | None = None
    candidates: list[Candidate] | None = None


@dataclass(frozen=True)
class Classify:
    """Truth and decided values are int64 (n,): positions in ``labels``. Logits are (n, k)."""

    labels: tuple[str, ...]
    temperature: float = 1.0

    closed_form: ClassVar[str | None] = "logistic"
    headline: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    answer: ClassVar[type] = Label

    @classmethod
    def learn(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        return cls(learned_labels(values, options.get("labels", ())))

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        return cls(tuple(spec["labels"]), float(spec["temperature"]))

    def spec(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "temperature": self.temperature}

    @property
    def size(self) -> int:
        return len(self.labels)

    def encode(self, values: Sequence[Any]) -> NDArray[np.int64]:
        """Labels → positions; an unknown label is an error that names the nearest one."""
        position = {label: at for at, label in enumerate(self.labels)}
        try:
            return np.array([position[value] for value in values], np.int64)
        except KeyError as error:
            raise unknown_label(error.args[0], self.labels) from None

    def spread(self, truth: Array, windows: Windows) -> Array:
        return truth[windows.owner]

    def gather(self, logits: Sequence[Array], windows: Windows) -> Array:
        return mean_of_windows(logits, windows, self.size)

    def calibrate(self, logits: Array, truth: Array) -> Self:
        """Fit the temperature by the negative log-likelihood of held-out rows."""
        rows = np.arange(len(truth))

        def loss(temperature: float) -> float:
            return float(-log_softmax(logits / temperature)[rows, truth].mean())

        return replace(self, temperature=round(best_temperature(loss), 6)) if len(truth) else self

    def proba(self, logits: Array) -> Array:
        """float64 (n, k), rows sum to 1."""
        return softmax(logits / self.temperature)

    def log_odds(self, logits: Array) -> Array:
        """float64 (n, k): ln of p / (1 - p) of each label; where p is almost 1, too."""
        return one_against_rest(logits / self.temperature)

    def decide(self, logits: Array) -> NDArray[np.int64]:
        return np.asarray(logits.argmax(-1), np.int64)

    def decode(self, logits: Array, top: int = 0) -> list[Label]:
        proba = self.proba(logits)
        best = self.decide(logits)
        scores = proba[np.arange(len(proba)), best].tolist()
        ranked = np.argsort(-logits, axis=-1, kind="stable")[:, :top] if top else None
        return [
            Label(
                self.labels[label], score, None, None if ranked is None else self._candidates(proba[row], ranked[row])
            )
            for row, (label, score) in enumerate(zip(best.tolist(), scores, strict=True))
        ]

    def _candidates(self, proba: Array, order: Array) -> list[Candidate]:
        return [Candidate(self.labels[at], float(proba[at])) for at in order.tolist()]

    def empty(self, reason: str) -> Label:
        return Label(None, None, reason)

    def columns(self, answers: Sequence[Label]) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {
            "prediction": [answer.label for answer in answers],
            "score": [answer.score for answer in answers],
        }
        if any(answer.candidates is not None for answer in answers):
            listed = [[asdict(one) for one in answer.candidates or ()] for answer in answers]
            out["candidates"] = [json.dumps(one, ensure_ascii=False) for one in listed]
        return out

    def row_score(self, logits: Array, truth: Array) -> NDArray[np.float64]:
        """1 where the label is right, else 0."""
        return np.asarray(self.decide(logits) == truth, np.float64)

    def metrics(self, decided: Array, truth: Array) -> dict[str, float]:
        """accuracy, macro_f1 (classes that neither occur nor are predicted are left out), balanced_accuracy."""
        counts = np.bincount(truth * self.size + decided, minlength=self.size**2).reshape(self.size, self.size)
        hits, true, said = np.diag(counts), counts.sum(1), counts.sum(0)
        seen = true + said > 0
        f1 = 2 * hits[seen] / (true + said)[seen]
        return {
            "accuracy": float(hits.sum() / max(len(truth), 1)),
            "macro_f1": float(f1.mean()) if seen.any() else 0.0,
            "balanced_accuracy": float((hits[true > 0] / true[true > 0]).mean()) if len(truth) else 0.0,
        }
