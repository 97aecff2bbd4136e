"""One label per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Windows
from tunewright.kinds._answers import Candidate, Label, written
from tunewright.kinds._pooled import (
    best_temperature,
    learned_labels,
    log_softmax,
    mean_of_windows,
    one_against_rest,
    softmax,
    unknown_label,
)
from tunewright.kinds._promise import Promise, made
from tunewright.kinds._scaling import better_scaling


@dataclass(frozen=True)
class Classify:
    """Truth and decided values are int64 (n,): positions in ``labels``. Logits are (n, k).

    temperature : logits are divided by it; factors, biases : of each class, behind it; empty = none
    offsets : of each class, added where a label is decided, and to no probability; empty = none
    promise : what sets of labels rest on; scope : what the detector of strange rows is told, with its file
    """

    labels: tuple[str, ...]
    temperature: float = 1.0
    factors: tuple[float, ...] = ()
    biases: tuple[float, ...] = ()
    promise: Promise | None = None
    scope: Mapping[str, Any] | None = None
    offsets: tuple[float, ...] = ()

    closed_form: ClassVar[str | None] = "logistic"
    headline: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    answer: ClassVar[type] = Label

    @classmethod
    def learn(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        return cls(learned_labels(values, options.get("labels", ())))

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        each = {name: tuple(spec.get(name, ())) for name in ("labels", "factors", "biases", "offsets")}
        promise = Promise.load(spec["promise"]) if "promise" in spec else None
        return cls(**each, temperature=float(spec["temperature"]), promise=promise, scope=spec.get("scope"))

    def spec(self) -> dict[str, Any]:
        told: dict[str, Any] = {"labels": list(self.labels), "temperature": self.temperature}
        if self.factors:
            told |= {"factors": list(self.factors), "biases": list(self.biases)}
        if self.offsets:
            told["offsets"] = list(self.offsets)
        if self.promise is not None:
            told["promise"] = self.promise.spec()
        return told if self.scope is None else told | {"scope": dict(self.scope)}

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
        """Fit the temperature by the log loss of held-out rows; and where it helps, factors and biases."""
        if not len(truth):
            return self
        warm = self._warm(logits, truth)
        found = better_scaling(logits / warm.temperature, truth)
        if found is None:
            return warm
        factors, biases = (tuple(one.round(6).tolist()) for one in found[0])
        return replace(warm, factors=factors, biases=biases)

    def _warm(self, logits: Array, truth: Array) -> Self:
        rows = np.arange(len(truth))

        def loss(temperature: float) -> float:
            return float(-log_softmax(logits / temperature)[rows, truth].mean())

        return replace(self, temperature=round(best_temperature(loss, len(truth)), 6), factors=(), biases=())

    def raw(self) -> Self:
        """The kind as it is without any calibration."""
        return replace(self, temperature=1.0, factors=(), biases=())

    def promised(self, logits: Array, truth: Array, error: float = 0.0, *, per_class: bool = False) -> Self:
        """The kind with sets of labels that miss the true one at a stated rate, from held-out rows.

        Each row's probabilities come from factors that were fitted on other rows, where there are any.

        logits : (n, k) of rows that the model did not learn from; truth : int64 (n,); error : 0 = answer all the same
        """
        cold = logits / self.temperature
        found = better_scaling(cold, truth) if self.factors else None
        proba = softmax(cold if found is None else found[1])
        return replace(self, promise=Promise.of(proba, truth, error, per_class=per_class))

    def at_error(self, error: float) -> Self:
        """The kind whose sets miss the true label at another rate; 0 = every row is answered, sure or not.

        Raises
        ------
        TunewrightError
            It is no rate, or no scores were kept at fit.
        """
        return replace(self, promise=made(self.promise).at(error))

    @property
    def refuses(self) -> bool:
        """Whether rows with a text may be left without a label."""
        return self.scope is not None or (self.promise is not None and self.promise.error > 0)

    def _scaled(self, logits: Array) -> Array:
        """(n, k): the logits whose softmax are the probabilities."""
        warm: Array = logits / self.temperature
        return np.asarray(warm * np.array(self.factors) + np.array(self.biases)) if self.factors else warm

    def proba(self, logits: Array) -> Array:
        """float64 (n, k), rows sum to 1."""
        return softmax(self._scaled(logits))

    def log_odds(self, logits: Array) -> Array:
        """float64 (n, k): ln of p / (1 - p) of each label; where p is almost 1, too."""
        return one_against_rest(self._scaled(logits))

    def decide(self, logits: Array) -> NDArray[np.int64]:
        """The best label of each row, sure or not."""
        return np.asarray(self._ranked(logits).argmax(-1), np.int64)

    def _ranked(self, logits: Array) -> Array:
        """(n, k): what the best label is the largest of."""
        if self.offsets:
            return np.asarray(self._scaled(logits) + np.array(self.offsets))
        return self._scaled(logits) if self.factors else logits

    def decode(self, logits: Array, top: int = 0) -> list[Label]:
        proba = self.proba(logits)
        best = self.decide(logits).tolist()
        scores = [float(row[label]) for row, label in zip(proba, best, strict=True)]
        ranked = np.argsort(-self._ranked(logits), axis=-1, kind="stable")[:, :top] if top else None
        answers = [
            Label(self.labels[label], score, None, None if ranked is None else self._listed(proba[row], ranked[row]))
            for row, (label, score) in enumerate(zip(best, scores, strict=True))
        ]
        if self.promise is None or not self.promise.error:
            return answers
        sets = self.promise.sets(proba)
        return [self._kept(*of) for of in zip(answers, proba, sets, strict=True)]

    def _kept(self, answer: Label, proba: Array, held: NDArray[np.bool_]) -> Label:
        """The answer, if its set is one label; else the set. Where it is empty, the best label stands there alone."""
        inside = np.flatnonzero(held)
        if len(inside) == 1:
            label = self.labels[inside[0]]
            return answer if label == answer.label else replace(answer, label=label, score=float(proba[inside[0]]))
        order = inside[np.argsort(-proba[inside], kind="stable")] if len(inside) else np.array([proba.argmax()])
        return Label(None, None, "unsure", self._listed(proba, order))

    def _listed(self, proba: Array, order: Array) -> list[Candidate]:
        return [Candidate(self.labels[at], float(proba[at])) for at in order.tolist()]

    def empty(self, reason: str) -> Label:
        return Label(None, None, reason)

    def columns(self, answers: Sequence[Label]) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {
            "prediction": [answer.label for answer in answers],
            "score": [answer.score for answer in answers],
        }
        if self.refuses:
            out["reason"] = [answer.reason or "" for answer in answers]
        if self.refuses or any(answer.candidates is not None for answer in answers):
            out["candidates"] = [written(answer.candidates or ()) for answer in answers]
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
